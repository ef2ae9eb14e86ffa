//! The state machine port: what is replicated.
//!
//! This file knows no consensus. Which thread calls a machine is up to the driver; it is one at a
//! time.

use bytes::Bytes;

use super::{PortError, SnapshotSink, SnapshotSource};
use crate::types::{Index, Term};

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

/// The state of a machine at one moment, held fast; it writes itself out when it is called, on
/// another thread, while the machine goes on.
pub type Capture = Box<dyn FnOnce(&mut dyn SnapshotSink) -> Result<(), PortError> + Send>;

/// How commands reach a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// As the client gave them.
    #[default]
    Raw,
    /// As [`Stamped`](crate::session::Stamped), with the time at the leader and the client's
    /// session: for machines that need either.
    Stamped,
}

/// What is replicated: the one trait that a service of one's own implements.
pub trait StateMachine: Send {
    /// How its commands are framed. The same on all members, always.
    fn framing(&self) -> Framing {
        Framing::Raw
    }

    /// Up to which index the machine's own durable state reflects the log. A machine in memory says
    /// 0 after a restart; then the newest snapshot is restored to it, and the log replayed after
    /// it.
    fn durable(&self) -> Index {
        Index(0)
    }

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

    /// Holds the present state fast, to be written out as files. Nothing is applied meanwhile, so
    /// this should be quick; what takes long belongs into the [`Capture`].
    ///
    /// # Errors
    /// When the machine can't go on.
    fn snapshot(&mut self) -> Result<Capture, PortError>;

    /// Replaces all state by that of a snapshot whose last included entry is at `last`.
    ///
    /// # Errors
    /// When the machine or the source can't go on.
    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError>;
}
