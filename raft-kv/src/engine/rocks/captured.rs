//! A database held fast for a snapshot, from when it was asked for until it is copied out or given
//! up. It does not know how it is made.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use raft_core::port::{PortError, SnapshotSink};

use super::home::{self, failed};

/// In front of the names of the engine's files in a snapshot. Others may lie there too.
pub(super) const PREFIX: &str = "db-";

/// A checkpoint that is being made. Its directory goes with the last one who knows of it.
pub(super) struct Making {
    pub(super) path: PathBuf,
    outcome: Mutex<Outcome>,
    is_known: Condvar,
}

enum Outcome {
    /// Not known yet.
    Open,
    /// Who wanted it does not any more.
    Unwanted,
    Done(Result<(), PortError>),
}

impl Making {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            path,
            outcome: Mutex::new(Outcome::Open),
            is_known: Condvar::new(),
        })
    }

    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*outcome, Outcome::Open)
    }

    pub(super) fn done(&self, result: Result<(), PortError>) {
        self.set(Outcome::Done(result));
    }

    fn set(&self, new: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = new;
        self.is_known.notify_all();
    }

    fn wait(&self) -> Result<(), PortError> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::replace(&mut *outcome, Outcome::Unwanted) {
                Outcome::Open => *outcome = Outcome::Open,
                Outcome::Unwanted => return Err(PortError::misused("a capture is copied once")),
                Outcome::Done(result) => return result,
            }
            let woken = self.is_known.wait(outcome);
            outcome = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Err(error) = home::remove(&self.path) {
            tracing::warn!("the files of a capture stay until the next start: {error}");
        }
    }
}

/// The one who wants the checkpoint.
pub(super) struct Captured(pub(super) Arc<Making>);

impl Captured {
    /// Waits until it is there, and adds its files to a snapshot.
    pub(super) fn copy(self, sink: &mut dyn SnapshotSink) -> Result<(), PortError> {
        self.0.wait()?;
        let path = &self.0.path;
        let failed = failed("list", path);
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(&failed)? {
            names.extend(entry.map_err(&failed)?.file_name().into_string());
        }
        names.sort_unstable();
        for name in names {
            sink.add_file(&format!("{PREFIX}{name}"), &path.join(name))?;
        }
        Ok(())
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        self.0.set(Outcome::Unwanted);
    }
}
