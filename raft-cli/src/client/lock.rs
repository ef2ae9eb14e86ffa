//! `lock`: holds a named lock while a command runs, or until we are told to end. It does not know
//! how locks queue.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::pin::{Pin, pin};
use std::process::{self, ExitStatus};

use anyhow::anyhow;
use bytes::Bytes;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::context::{Context, Verb};
use super::queue::{Session, exactly, get, prefix_of};
use super::range::bytes;
use crate::exit::Exit;
use crate::out::say;

/// Take a lock, and hold it while a command runs or until interrupted.
#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// The lock
    name: OsString,
    /// How many seconds after our death others may take it
    #[arg(long, default_value = "10")]
    ttl: i64,
    /// What to run while it is held, with ETCD_LOCK_KEY and ETCD_LOCK_REV in its environment
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Verb for LockArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let session = Session::begin(context.client().await?, self.ttl).await?;
        let prefix = prefix_of(&bytes(self.name));
        // From here on a signal does not end us, but what waits for it.
        let end = pin!(told_to_end()?);
        let mut words = self.command.into_iter();
        let done = match words.next() {
            None => hold(context, &session, &prefix, end).await,
            Some(program) => run(&session, &prefix, (program, words.collect()), end).await,
        };
        // Our place in the queue ends with the session.
        let ended = session.end().await;
        let status = done?;
        ended?;
        match status {
            // As if the command had been run without us.
            Some(status) if !status.success() => {
                say(format_args!("Error: {status}"));
                process::exit(code_of(status));
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What the shell would say.
fn code_of(status: ExitStatus) -> i32 {
    const SIGNALLED: i32 = 128;
    let signalled = || SIGNALLED + status.signal().unwrap_or(0);
    status.code().unwrap_or_else(signalled)
}

/// Waits for the lock, prints it, and holds it until we are told to end.
async fn hold(
    context: &mut Context,
    session: &Session,
    prefix: &Bytes,
    end: Pin<&mut impl Future<Output = ()>>,
) -> Result<Option<ExitStatus>, Exit> {
    let held = async {
        let place = session.queue(prefix, Bytes::new()).await?;
        let own = get(&session.client, exactly(place.key)).await?;
        if own.kvs.is_empty() {
            return Err(Exit::Unwell(anyhow!("lock lost on init")));
        }
        context.printer.get(&own)?;
        std::future::pending().await
    };
    tokio::select! {
        lost = session.keep() => Err(lost),
        failed = held => failed,
        () = end => Ok(None),
    }
}

/// Waits for the lock, and holds it while the command runs: whatever happens meanwhile, the lock is
/// not given away by us before the command has ended. A signal from the terminal reaches the
/// command as well, and it is the command that decides what it means.
async fn run(
    session: &Session,
    prefix: &Bytes,
    (program, arguments): (OsString, Vec<OsString>),
    end: Pin<&mut impl Future<Output = ()>>,
) -> Result<Option<ExitStatus>, Exit> {
    let place = tokio::select! {
        lost = session.keep() => return Err(lost),
        place = session.queue(prefix, Bytes::new()) => place?,
        () = end => return Ok(None),
    };
    let mut process = process::Command::new(&program);
    process
        .args(arguments)
        .env("ETCD_LOCK_KEY", OsString::from_vec(place.key.to_vec()))
        .env("ETCD_LOCK_REV", place.revision.to_string());
    let mut running = tokio::task::spawn_blocking(move || process.status());
    let (status, lost) = tokio::select! {
        status = &mut running => (status, None),
        lost = session.keep() => {
            say(format_args!("Error: the lock is lost while the command runs: {lost}"));
            (running.await, Some(lost))
        }
    };
    if let Some(lost) = lost {
        return Err(lost);
    }
    let failed = |why: String| {
        let program = program.to_string_lossy();
        Exit::Failed(anyhow!("command `{program}`: {why}"))
    };
    let status = status
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    session.leave(&place).await?;
    Ok(Some(status))
}

/// Ends when somebody wants us to end.
pub(super) fn told_to_end() -> Result<impl Future<Output = ()>, Exit> {
    let failed = |error| Exit::Failed(anyhow::Error::new(error).context("no signals"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
