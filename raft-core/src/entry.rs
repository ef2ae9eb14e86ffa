//! What the log holds: entries, the persistent state beside them, and what stands for a prefix.
//!
//! Plain data. This file does not know how entries are stored, sent, or decided upon.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use crate::membership::Membership;
use crate::types::{Incarnation, Index, NodeId, Position, Term};

/// One entry of the replicated log (Raft §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Payload {
    /// Nothing: a new leader's first entry, by which it learns what is committed (§5.4.2, §8).
    Noop,
    /// A command for the state machine; the core never looks inside.
    Command(Bytes),
    /// The cluster's configuration from this entry on, committed or not (§6).
    Membership(Arc<Membership>),
}

impl Entry {
    /// What one entry weighs beyond its payload: the header in memory and on the wire.
    pub const OVERHEAD: u64 = 48;
    /// What one member of a configuration is taken to weigh.
    const MEMBER_WEIGHT: u64 = 64;

    /// Its term and index.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position::new(self.term, self.index)
    }

    /// What it weighs against every limit in bytes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let payload = match &self.payload {
            Payload::Noop => 0,
            Payload::Command(bytes) => bytes.len() as u64,
            Payload::Membership(membership) => {
                membership.members().count() as u64 * Self::MEMBER_WEIGHT
            }
        };
        Self::OVERHEAD + payload
    }
}

/// The persistent state of Raft's Figure 2 beside the log. Written before anything it implies is
/// sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardState {
    /// The latest term this server has seen; never decreases.
    pub term: Term,
    /// For whom it voted in that term; within a term it changes only from nobody to somebody.
    pub vote: Option<NodeId>,
}

impl HardState {
    /// The one of the later term; within a term the one that voted.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        match self.term.cmp(&other.term) {
            Ordering::Less => other,
            Ordering::Greater => self,
            Ordering::Equal => Self {
                term: self.term,
                vote: self.vote.or(other.vote),
            },
        }
    }

    /// Whether whoever relies on `other` may rely on this one: its term is later, or the same and
    /// the vote, if there was one, too.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        let is_vote_here = other.vote.is_none() || self.vote == other.vote;
        self.term > other.term || self.term == other.term && is_vote_here
    }
}

/// What a snapshot stands for (Raft §7): all entries up to a position, and the configuration there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SnapshotMeta {
    /// The last entry it includes; always a committed one.
    pub last: Position,
    /// The latest configuration at or below that entry.
    pub membership: Arc<Membership>,
    /// The index of the entry that brought that configuration; 0 for a bootstrapped one.
    pub membership_index: Index,
}

/// What a server has let others rely on, kept durable apart from the log. If what is recovered
/// falls short of it, acknowledged state was lost, and the server must not vote as if it had not
/// been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Watermark {
    /// The highest term it has acted in.
    pub term: Term,
    /// For whom it voted in that term.
    pub vote: Option<NodeId>,
    /// The highest index it has acknowledged of its present log: truncation lowers it.
    pub index: Index,
}

impl Watermark {
    /// Its term and vote.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        HardState {
            term: self.term,
            vote: self.vote,
        }
    }
}

/// What a server finds on its disk when it starts: all that the core is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// Which life of the storage this is; drawn once, when the storage was created.
    pub incarnation: Incarnation,
    /// Term and vote.
    pub hard_state: HardState,
    /// The newest durable snapshot; that of a bootstrapped server has index 0.
    pub snapshot: SnapshotMeta,
    /// The position just before the first retained entry; at or below the snapshot.
    pub base: Position,
    /// The terms of the retained entries as runs: each run's first index and its term, ascending.
    pub terms: Vec<(Index, Term)>,
    /// The last index of the log; `base.index` if no entry is retained.
    pub last: Index,
    /// Every configuration among the retained entries, ascending.
    pub memberships: Vec<(Index, Arc<Membership>)>,
    /// Up to where the state machine's own durable state reflects the log.
    pub applied: Index,
    /// How far the server had acknowledged before.
    pub watermark: Watermark,
    /// Whether the store knows that it has not all that the watermark says, however long its log
    /// may seem: what was lost may have been a truncation, which brings back what it removed.
    pub lost: bool,
}

impl Recovered {
    /// The state of a server that founds a cluster together with the other members named.
    ///
    /// Every founder starts from the same `membership`, which stands at index 0.
    #[must_use]
    pub fn bootstrap(incarnation: Incarnation, membership: Membership) -> Self {
        let snapshot = SnapshotMeta {
            membership: Arc::new(membership),
            ..Default::default()
        };
        Self {
            incarnation,
            snapshot,
            ..Default::default()
        }
    }

    /// The state of a server that waits to be added to a cluster: it knows no member, so it
    /// neither campaigns nor votes until a leader's log names it.
    #[must_use]
    pub fn blank(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            ..Default::default()
        }
    }
}
