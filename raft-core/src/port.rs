//! The three ports: what a node needs from the outside, as object-safe traits.
//!
//! All three are synchronous; the shell decides on which thread each is called. This file knows no
//! implementation.

mod bounds;
mod machine;
mod snapshot;
mod transport;

pub use bounds::LogBounds;
pub use machine::{Capture, Committed, Framing, StateMachine};
pub use snapshot::{Manifest, SnapshotFile, SnapshotReceiver, SnapshotSink, SnapshotSource};
pub use transport::{Answer, Ask, ClusterView, Inbox, Outcome, Parcel, Question, Transport};

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::entry::{Entry, Recovered, SnapshotMeta};
use crate::event::Write;
use crate::types::{Index, Position};

/// What kind of trouble it is: what an operator has to do depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortErrorKind {
    /// There is no room left. With more room a restart will do.
    Full,
    /// The system failed to read, write or sync.
    Broken,
    /// What is stored is not what was written.
    Damaged,
    /// The port was asked for what its contract forbids, or what is not there.
    Misused,
}

/// Why a store or machine can't go on. It is final: the node stops, and nothing is tried again.
#[derive(Debug)]
pub struct PortError {
    /// What kind of trouble it is.
    pub kind: PortErrorKind,
    /// What was being done, to what.
    pub context: String,
    /// What the system said, if it did.
    pub source: Option<io::Error>,
}

impl PortError {
    /// The system said `source` while doing what `context` says.
    #[must_use]
    pub fn io(context: impl Into<String>, source: io::Error) -> Self {
        let is_full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        Self {
            kind: if is_full {
                PortErrorKind::Full
            } else {
                PortErrorKind::Broken
            },
            context: context.into(),
            source: Some(source),
        }
    }

    /// What was found is not what was written.
    #[must_use]
    pub fn damaged(context: impl Into<String>) -> Self {
        Self {
            kind: PortErrorKind::Damaged,
            context: context.into(),
            source: None,
        }
    }

    /// The contract does not allow that.
    #[must_use]
    pub fn misused(context: impl Into<String>) -> Self {
        Self {
            kind: PortErrorKind::Misused,
            context: context.into(),
            source: None,
        }
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.context),
            None => f.write_str(&self.context),
        }
    }
}

impl std::error::Error for PortError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// How much the log of a group holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// The entries retained.
    pub entries: u64,
    /// The bytes they take.
    pub bytes: u64,
}

/// Durable memory: the log, term and vote, and snapshots.
pub trait LogStore: Send {
    /// What is there. Called before all else. A store that was never founded says an incarnation of
    /// [`Incarnation::UNBOUND`](crate::types::Incarnation::UNBOUND).
    ///
    /// # Errors
    /// When what is there can't be read, or can't be told from damage.
    fn recover(&mut self) -> Result<Recovered, PortError>;

    /// Makes a freshly created store hold the founding state, which has no entries: what
    /// [`Recovered::bootstrap`] and [`Recovered::blank`] say. Durable on return.
    ///
    /// # Errors
    /// When the store is not empty, or can't be written.
    fn found(&mut self, founding: &Recovered) -> Result<(), PortError>;

    /// Carries out the writes in order. On return all of them are durable. After a power cut during
    /// the call any prefix of them may be there, each whole or not at all.
    ///
    /// # Errors
    /// When durability is not certain. From then on every call must fail.
    fn write(&mut self, writes: &[Write]) -> Result<(), PortError>;

    /// The entries of `from..=to`, at least one, then as many as fit into `bytes_max` by
    /// [`Entry::weight`]. None if the first is not there, or not any more.
    ///
    /// # Errors
    /// When they can't be read, or are damaged.
    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError>;

    /// Allows the store to drop the entries at and below `up_to`, an index that a snapshot covers.
    /// It may keep some of them; after a restart it has them, or not.
    ///
    /// # Errors
    /// When the store can't be written.
    fn purge(&mut self, up_to: Index) -> Result<(), PortError>;

    /// How much is retained.
    fn usage(&self) -> LogUsage;

    /// Begins a snapshot. It exists once [`SnapshotSink::finish`] has returned.
    ///
    /// # Errors
    /// When the store can't be written.
    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError>;

    /// The newest snapshot that is complete.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError>;

    /// The snapshot that ends there turned out to be damaged: it is set aside, and does not exist
    /// any more. What [`LogStore::recover`] says next goes without it.
    ///
    /// # Errors
    /// When there is none, or the store can't be written.
    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError>;

    /// Begins to receive the snapshot of this manifest, or goes on where an earlier attempt was
    /// left.
    ///
    /// # Errors
    /// When the manifest is no good, or the store can't be written.
    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError>;
}
