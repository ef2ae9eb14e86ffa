//! The three ports: what a node needs from the outside, as object-safe traits.
//!
//! All three are synchronous; the shell decides on which thread each is called. This file knows no
//! implementation.

use std::fmt;
use std::io::{Read, Write as WriteBytes};
use std::sync::Arc;

use bytes::Bytes;

use crate::entry::{Entry, Recovered, SnapshotMeta};
use crate::event::Write;
use crate::message::Envelope;
use crate::types::{Index, Term};

/// Why a store or machine can't go on. It is final: the node stops, and nothing is tried again.
#[derive(Debug)]
pub struct PortError {
    /// What was being done, to what.
    pub context: String,
    /// What the system said, if it did.
    pub source: Option<std::io::Error>,
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

/// Durable memory: the log, term and vote, and snapshots.
pub trait LogStore: Send {
    /// What is there. Called once, before all else.
    ///
    /// # Errors
    /// When what is there can't be read, or can't be told from damage.
    fn recover(&mut self) -> Result<Recovered, PortError>;

    /// Makes a freshly created store hold the founding state.
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

    /// The entries of `from..=to`, at least one, then as many as fit into `bytes_max`.
    ///
    /// # Errors
    /// When they can't be read, or are damaged.
    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError>;

    /// Allows the store to drop the entries at and below `up_to`.
    ///
    /// # Errors
    /// When the store can't be written.
    fn purge(&mut self, up_to: Index) -> Result<(), PortError>;

    /// Begins a snapshot. It exists once [`SnapshotSink::finish`] has returned.
    ///
    /// # Errors
    /// When the store can't be written.
    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError>;

    /// The newest snapshot that is complete, with what it stands for.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    fn open_snapshot(&self) -> Result<Option<OpenSnapshot>, PortError>;
}

/// A snapshot and what it stands for.
pub type OpenSnapshot = (Arc<SnapshotMeta>, Box<dyn SnapshotSource>);

/// Takes the files of a snapshot that is being made.
pub trait SnapshotSink: Send {
    /// Adds a file. Names are unique within a snapshot.
    ///
    /// # Errors
    /// When it can't be written.
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError>;

    /// Makes all files durable under their manifest, and with it the snapshot exist.
    ///
    /// # Errors
    /// When durability is not certain; the snapshot does not exist then.
    fn finish(self: Box<Self>) -> Result<(), PortError>;
}

/// The immutable, named files of a snapshot.
pub trait SnapshotSource: Send {
    /// The names, in order.
    fn names(&self) -> Vec<String>;

    /// Copies a file's content out, after its checksum has been found right.
    ///
    /// # Errors
    /// When there is no such file, or it is damaged.
    fn copy(&self, name: &str, to: &mut dyn WriteBytes) -> Result<(), PortError>;
}

/// A committed command, with the place that makes it unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log.
    pub index: Index,
    /// The term of its entry.
    pub term: Term,
    /// The command.
    pub command: Bytes,
}

/// What is replicated: the one trait that a service of one's own implements.
pub trait StateMachine: Send {
    /// Up to which index the machine's own durable state reflects the log. A machine in memory says
    /// 0 after a restart; then the newest snapshot is restored to it, and the log replayed after
    /// it.
    fn durable(&self) -> Index;

    /// Applies commands in the order of the log; one answer each. Must depend on nothing but the
    /// state and the commands.
    ///
    /// # Errors
    /// When the machine can't go on; the node stops before anything else is applied.
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError>;

    /// Answers a question about the present state without changing it.
    ///
    /// # Errors
    /// When the machine can't go on.
    fn query(&self, query: &[u8]) -> Result<Bytes, PortError>;

    /// Writes the present state out as files.
    ///
    /// # Errors
    /// When the machine or the sink can't go on.
    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<(), PortError>;

    /// Replaces all state by that of a snapshot whose last included entry is at `last`.
    ///
    /// # Errors
    /// When the machine or the source can't go on.
    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError>;
}

/// Carries messages to other members. May lose, reorder and double them.
pub trait Transport: Send {
    /// Begins to deliver what arrives to `inbox`.
    ///
    /// # Errors
    /// When it can't listen.
    fn start(&mut self, inbox: Arc<dyn Inbox>) -> Result<(), PortError>;

    /// Hands a message over for sending; never blocks.
    fn send(&self, envelope: Envelope);
}

/// Where a transport delivers.
pub trait Inbox: Send + Sync {
    /// Takes a message, or drops it when the node is busy.
    fn deliver(&self, envelope: Envelope);
}
