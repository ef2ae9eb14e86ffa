//! What a record changes of what is known in memory.
//!
//! A record without the command: that is only on the disk, so nothing here keeps it alive or counts
//! its references. This file decides nothing.

use std::sync::Arc;

use raft_core::{Entry, HardState, Index, Membership, Payload, Position};

use crate::format::{Checkpoint, Record};

/// What a record changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Term and vote are these now.
    HardState(HardState),
    /// The entries from this index on are gone.
    Truncate(Index),
    /// An entry was appended, with this configuration if it is one.
    Entry(Position, Option<Arc<Membership>>),
    /// The whole log is gone; the next entry follows this position.
    Reset(Position),
    /// The entries up to this position are not needed any more.
    Purge(Position),
    /// All that must be known of a group is this, unless more is known.
    Checkpoint(Box<Checkpoint>),
}

impl From<&Record> for Change {
    fn from(record: &Record) -> Self {
        match record {
            Record::HardState(hard_state) => Self::HardState(*hard_state),
            Record::Truncate(from) => Self::Truncate(*from),
            Record::Entry(entry) => Self::from(entry),
            Record::Reset(last) => Self::Reset(*last),
            Record::Purge(last) => Self::Purge(*last),
            Record::Checkpoint(checkpoint) => Self::Checkpoint(checkpoint.clone()),
        }
    }
}

impl From<&Entry> for Change {
    fn from(entry: &Entry) -> Self {
        let membership = match &entry.payload {
            Payload::Noop | Payload::Command(_) => None,
            Payload::Membership(membership) => Some(Arc::clone(membership)),
        };
        Self::Entry(entry.position(), membership)
    }
}
