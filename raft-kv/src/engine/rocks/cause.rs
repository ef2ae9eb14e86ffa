//! What went wrong, in the words of the port. It does not know what was being done.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use raft_core::port::{PortError, PortErrorKind};
use rocksdb::{ErrorKind, InfoLogger, LogLevel};

/// Says what RocksDB said.
pub(super) fn failed(what: &'static str) -> impl Fn(rocksdb::Error) -> PortError {
    move |error| PortError {
        kind: kind_of(error.as_ref(), error.kind() == ErrorKind::Corruption),
        context: format!("{what}: RocksDB"),
        source: Some(std::io::Error::other(error)),
    }
}

fn kind_of(text: &str, is_corruption: bool) -> PortErrorKind {
    if is_corruption || text.contains("Corruption") {
        PortErrorKind::Damaged
    } else if text.contains("No space left") {
        // RocksDB has no kind of its own for it.
        PortErrorKind::Full
    } else {
        PortErrorKind::Broken
    }
}

/// The first error. What is on the disk after it is unknown, so it is the last.
#[derive(Default)]
pub(super) struct Latch(OnceLock<(PortErrorKind, String)>);

impl Latch {
    pub(super) fn check(&self) -> Result<(), PortError> {
        match self.0.get() {
            None => Ok(()),
            Some((kind, first)) => Err(PortError {
                kind: *kind,
                context: format!("the engine stopped at an earlier error: {first}"),
                source: None,
            }),
        }
    }

    pub(super) fn watch<T>(&self, result: Result<T, PortError>) -> Result<T, PortError> {
        if let Err(error) = &result {
            self.0.get_or_init(|| (error.kind, error.to_string()));
        }
        result
    }
}

/// What RocksDB has to say by itself. Its work in the background has nobody to return an error to:
/// it counts them, and writes them here.
#[derive(Clone, Default)]
pub(super) struct Diary(Arc<Mutex<Option<String>>>);

impl Diary {
    /// The pen that writes it.
    pub(super) fn pen(&self) -> InfoLogger {
        let first = Arc::clone(&self.0);
        InfoLogger::new_callback_logger(LogLevel::Warn, move |level, line| {
            let line = line.trim_end();
            match level {
                LogLevel::Error | LogLevel::Fatal => {
                    tracing::error!(target: "rocksdb", "{line}");
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert_with(|| line.to_owned());
                }
                LogLevel::Warn => tracing::warn!(target: "rocksdb", "{line}"),
                LogLevel::Debug | LogLevel::Info | LogLevel::Header => {
                    tracing::debug!(target: "rocksdb", "{line}");
                }
            }
        })
    }

    /// That its work in the background has failed so often.
    pub(super) fn failed(&self, errors: u64) -> PortError {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = first.as_deref().unwrap_or("it does not say why");
        PortError {
            kind: kind_of(first, false),
            context: format!("RocksDB failed {errors} times in the background: {first}"),
            source: None,
        }
    }
}
