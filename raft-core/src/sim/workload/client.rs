//! One client: what it has under way, and when it wants to go on.
//!
//! This file draws nothing and judges nothing.

use bytes::Bytes;

use super::RequestKind;
use crate::event::Consistency;
use crate::sim::history::{OpKind, OperationId};
use crate::sim::machine::{self, Action};
use crate::types::NodeId;

#[derive(Clone, Debug)]
pub(super) struct Client {
    /// When it begins the next operation, if there is room for one.
    pub(super) ready: u64,
    /// How many operations it has under way at most.
    window: usize,
    /// The operations under way, oldest first.
    pub(super) open: Vec<Open>,
    /// How many it ever began.
    pub(super) serials: u64,
    /// The number of its last command.
    pub(super) sequence: u64,
    /// Whom it asks.
    pub(super) target: NodeId,
    /// Whom it was told to ask.
    pub(super) hint: Option<NodeId>,
}

/// An operation under way.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// Tells it from the client's other operations.
    pub(super) serial: u64,
    pub(super) key: u64,
    pub(super) what: What,
    /// Its place in the history, if it is judged there.
    pub(super) operation: Option<OperationId>,
    pub(super) attempts: u32,
    /// How many attempts surely had no effect.
    pub(super) refused: u32,
    /// What is done when it is due.
    pub(super) next: Next,
    pub(super) due: u64,
    pub(super) called: u64,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Command {
        sequence: u64,
        action: Action,
        bytes: Bytes,
    },
    Read(Consistency),
}

/// What is next for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Its first attempt.
    Send,
    /// A second attempt at once, at another node.
    Duplicate,
    /// No answer came in time.
    Timeout,
    /// An answer came that settles nothing.
    Retry,
}

impl Client {
    pub(super) const fn new(ready: u64, window: usize, target: NodeId) -> Self {
        Self {
            ready,
            window,
            open: Vec::new(),
            serials: 0,
            sequence: 0,
            target,
            hint: None,
        }
    }

    /// The operation whose time has come.
    pub(super) fn due(&self, now: u64) -> Option<usize> {
        self.open.iter().position(|open| open.due <= now)
    }

    pub(super) fn earliest_due(&self) -> u64 {
        self.open
            .iter()
            .map(|open| open.due)
            .min()
            .unwrap_or(u64::MAX)
    }

    pub(super) fn begins(&self) -> u64 {
        if self.open.len() < self.window {
            self.ready
        } else {
            u64::MAX
        }
    }

    pub(super) fn may_begin(&self, now: u64) -> bool {
        self.begins() <= now
    }

    pub(super) fn find(&self, serial: u64) -> Option<usize> {
        self.open.iter().position(|open| open.serial == serial)
    }

    /// Forgets an operation; the next one may begin at `ready`.
    pub(super) fn close(&mut self, place: usize, ready: u64) -> Open {
        self.ready = if self.ready == u64::MAX {
            u64::MAX
        } else {
            ready
        };
        self.open.remove(place)
    }

    /// How many commands it has begun since the oldest that it still waits for.
    pub(super) fn ahead(&self) -> u64 {
        self.sequence - self.floor()
    }

    /// No answer to a command of a lower number is waited for.
    pub(super) fn floor(&self) -> u64 {
        self.open
            .iter()
            .find_map(Open::sequence)
            .unwrap_or(self.sequence)
    }
}

impl Open {
    pub(super) const fn is_command(&self) -> bool {
        match self.what {
            What::Command { .. } => true,
            What::Read(_) => false,
        }
    }

    const fn sequence(&self) -> Option<u64> {
        match self.what {
            What::Command { sequence, .. } => Some(sequence),
            What::Read(_) => None,
        }
    }

    pub(super) fn request(&self) -> RequestKind {
        match &self.what {
            What::Command { bytes, .. } => RequestKind::Command(bytes.clone()),
            What::Read(consistency) => RequestKind::Read {
                query: machine::query(self.key),
                consistency: *consistency,
            },
        }
    }
}

impl What {
    /// How it is judged in the history. Reads that may be old are not: they are compared with the
    /// state at their index.
    pub(super) const fn in_history(&self) -> Option<OpKind> {
        match self {
            Self::Command { action, .. } => Some(match action {
                Action::Get => OpKind::Read,
                Action::Put(value) => OpKind::Write(*value),
                Action::CompareAndSet { expect, new } => OpKind::CompareAndSet {
                    expect: *expect,
                    new: *new,
                },
            }),
            Self::Read(Consistency::Linearizable) => Some(OpKind::Read),
            Self::Read(Consistency::Bounded(_) | Consistency::Local) => None,
        }
    }

    /// The value that it stores.
    pub(super) fn value_new(&self) -> Option<u64> {
        self.in_history().and_then(OpKind::value_new)
    }
}
