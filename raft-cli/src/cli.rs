//! The command line: which verbs there are, and what they share. Each verb's own arguments lie with
//! the verb. It does not know what a verb does.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::client::{self, ClientVerb};
use crate::exit::Exit;
use crate::ops;
use crate::out::{Out, say};
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
        Self::try_parse_from(with_two_dashes(client::arranged(arguments)))
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
                say(format_args!("Error: {exit}"));
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

/// The server's flags as Go's programs take them as well: etcd is started by `-name` as often as by
/// `--name`. What has one letter, or begins with a digit, stays as it is.
fn with_two_dashes(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_none_or(|verb| verb != "server") {
        return arguments;
    }
    for argument in &mut arguments[2..] {
        let Some(text) = argument.to_str() else {
            continue;
        };
        let mut letters = text.strip_prefix('-').unwrap_or_default().bytes();
        let is_word = (letters.next()).is_some_and(|first| first.is_ascii_alphabetic());
        if is_word && letters.next().is_some() {
            *argument = format!("-{text}").into();
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_is_as_good_as_two_for_a_server() {
        let check = |given: &str, expected: &str| {
            let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(with_two_dashes(words(given)), words(expected));
        };
        check("c server -name a", "c server --name a");
        check("c server -name=a --x -1 -h", "c server --name=a --x -1 -h");
        check("c server - -- a-b", "c server - -- a-b");
        check("c get -wjson a", "c get -wjson a");
        check("c", "c");
    }
}
