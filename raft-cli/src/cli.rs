//! The command line: which verbs there are, and what they share. Each verb's own arguments lie with
//! the verb. It does not know what a verb does.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::client::{self, ClientVerb};
use crate::exit::Exit;
use crate::ops;
use crate::out::Out;
use crate::server;

/// A replicated key-value store that etcd's clients speak to: the server and its client.
#[derive(Debug, Parser)]
#[command(name = "raft-cli", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a member of a cluster.
    Server(Box<server::config::ServerArgs>),
    Demo(ops::demo::DemoArgs),
    Bench(Box<ops::bench::args::BenchArgs>),
    /// Whether a cluster is fast enough for a load of a known size.
    Check(Box<ops::check::CheckArgs>),
    Top(Box<ops::top::TopArgs>),
    Explain(Box<ops::explain::ExplainArgs>),
    Recover(ops::recover::RecoverArgs),
    Log(ops::log::LogArgs),
    #[command(flatten)]
    Client(ClientVerb),
    /// Make certificates and the authority that signs them; let new machines trust it.
    Tls(ops::tls::TlsArgs),
}

impl Cli {
    /// What a command line says.
    ///
    /// # Errors
    /// When it makes no sense, or asks for help.
    pub fn parse_from(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(client::arranged(arguments))
    }

    /// Does what the command line says.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match self.verb {
            Verb::Server(args) => server::run(*args),
            Verb::Demo(args) => ops::demo::run(args),
            Verb::Bench(args) => ops::bench::run(*args),
            Verb::Check(args) => ops::check::run(*args),
            Verb::Top(args) => ops::top::run(*args),
            Verb::Explain(args) => ops::explain::run(*args),
            Verb::Recover(args) => ops::recover::run(&args),
            Verb::Log(args) => ops::log::run(args),
            Verb::Client(verb) => client::run(verb),
            Verb::Tls(args) => ops::tls::run(args, &mut Out::new()),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(exit) => {
                eprintln!("Error: {exit}");
                ExitCode::from(exit)
            }
        }
    }

    /// Says what is wrong with a command line, or what was asked of it; returns how to end.
    #[must_use]
    pub fn explain(error: &clap::Error) -> ExitCode {
        // Nobody is left to tell if this can't be printed.
        drop(error.print());
        if matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        ) {
            return ExitCode::SUCCESS;
        }
        Exit::BadInput(anyhow::Error::msg("bad command line")).into()
    }
}
