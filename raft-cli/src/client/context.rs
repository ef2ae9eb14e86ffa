//! What every verb of the client has: servers, and somewhere to print. It does not know any verb.

use std::future::Future;

use anyhow::Context as _;
use clap::Args;
use tokio::runtime;

use super::caller::Client;
use super::connect::{ConnectArgs, Settings};
use super::output::{Format, OutputArgs, Printer, unsupported};
use crate::exit::Exit;

/// A verb as a part of the command line.
#[derive(Debug, Args)]
pub(crate) struct With<V: Args> {
    #[command(flatten)]
    verb: V,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What a verb does.
pub(crate) trait Verb: Sized {
    /// Whether its answer has rows, so that a table can be made of it.
    fn has_rows(&self) -> bool {
        false
    }

    /// Does it.
    fn run(self, context: &mut Context) -> impl Future<Output = Result<(), Exit>>;
}

/// What it does it with.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) printer: Printer,
}

impl<V: Args + Verb> With<V> {
    pub(crate) fn run(self) -> Result<(), Exit> {
        let printer = self.output.printer()?;
        // Told before anything is changed that it can't be printed.
        if printer.format() == Format::Table && !self.verb.has_rows() {
            return Err(unsupported("table"));
        }
        let mut context = Context {
            settings: self.connect.resolve()?,
            printer,
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("there is no runtime")?;
        let done = runtime.block_on(Box::pin(self.verb.run(&mut context)));
        // A thread may still wait for a line of standard input that never comes.
        runtime.shutdown_background();
        done
    }
}

impl Context {
    /// A client to all endpoints.
    pub(crate) async fn client(&self) -> Result<Client, Exit> {
        self.settings.clone().connect().await
    }
}
