//! A disk as plain data: what of a server survives a power cut, and what it recovers from it.
//!
//! It keeps no files and never fails; whoever owns it decides which writes reach it. This file does
//! not know why anything is written.

use std::sync::Arc;

use raft_core::event::{Fetch, Write};
use raft_core::{
    Entry, HardState, Incarnation, Index, Membership, Payload, Position, Recovered, SnapshotMeta,
    Term, Watermark,
};

/// The durable state of one server.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Which life of the storage this is.
    pub incarnation: Incarnation,
    /// Term and vote.
    pub hard_state: HardState,
    /// The newest durable snapshot.
    pub snapshot: SnapshotMeta,
    /// The position before the first entry.
    pub base: Position,
    /// The log after `base`, contiguous.
    pub entries: Vec<Entry>,
    /// What the server may have let others rely on; kept apart, so it survives what loses the log.
    pub watermark: Watermark,
}

impl Disk {
    /// That of a server that founds a cluster with these members.
    #[must_use]
    pub fn founder(incarnation: Incarnation, membership: Membership) -> Self {
        let snapshot = SnapshotMeta {
            membership: Arc::new(membership),
            ..SnapshotMeta::default()
        };
        Self {
            snapshot,
            ..Self::blank(incarnation)
        }
    }

    /// That of a server that waits to be added to a cluster.
    #[must_use]
    pub fn blank(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            hard_state: HardState::default(),
            snapshot: SnapshotMeta::default(),
            base: Position::default(),
            entries: Vec::new(),
            watermark: Watermark::default(),
        }
    }

    /// The last index of the log.
    #[must_use]
    pub fn last(&self) -> Index {
        self.entries
            .last()
            .map_or(self.base.index, |entry| entry.index)
    }

    /// A write becomes durable, and the watermark with it: from now on the server may tell.
    ///
    /// # Panics
    /// When the write leaves a gap in the log.
    pub fn write(&mut self, write: &Write) {
        let mut told = self.watermark.index;
        if let Some(snapshot) = &write.reset {
            if self.last() > snapshot.last.index {
                told = told.min(snapshot.last.index);
            }
            self.install(snapshot);
            self.base = snapshot.last;
            self.entries.clear();
        }
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        if let Some(from) = write.truncate {
            told = told.min(from.prev());
            self.entries.retain(|entry| entry.index < from);
        }
        for entry in &write.entries {
            assert_eq!(entry.index, self.last().next(), "a log has no gaps");
            self.entries.push(entry.clone());
        }
        // What is written may be told to others from now on; only what is cut off takes that back.
        let HardState { term, vote } = self.hard_state;
        self.watermark = Watermark {
            term,
            vote,
            index: told.max(self.last()),
        };
    }

    /// A snapshot is durable; the log stays as it is.
    pub fn install(&mut self, snapshot: &SnapshotMeta) {
        if snapshot.last.index > self.snapshot.last.index {
            self.snapshot = snapshot.clone();
        }
    }

    /// Entries up to `index` are given back.
    pub fn purge(&mut self, index: Index) {
        let Some(last) = self.entry(index).map(Entry::position) else {
            return;
        };
        self.base = last;
        self.entries.retain(|entry| entry.index > index);
    }

    /// The end of the log is lost from this entry on, as by a disk that lied about its fsync.
    pub fn lose_from(&mut self, index: Index) {
        self.entries.retain(|entry| entry.index < index);
    }

    /// The entry at `index`.
    #[must_use]
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.index == index)
    }

    /// The entries that are asked for, as far as they are here: at least one, then as many as fit.
    #[must_use]
    pub fn fetch(&self, fetch: &Fetch) -> Vec<Entry> {
        let mut room = fetch.bytes_max;
        let mut fetched = Vec::new();
        for entry in &self.entries {
            if entry.index < fetch.from || entry.index > fetch.to {
                continue;
            }
            if !fetched.is_empty() && entry.weight() > room {
                break;
            }
            room = room.saturating_sub(entry.weight());
            fetched.push(entry.clone());
        }
        fetched
    }

    /// What a server finds when it starts. Its state machine starts from the snapshot.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        for entry in &self.entries {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
        }
        let membership = |entry: &Entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.index, Arc::clone(membership))),
            Payload::Noop | Payload::Command(_) => None,
        };
        Recovered {
            incarnation: self.incarnation,
            hard_state: self.hard_state,
            snapshot: self.snapshot.clone(),
            base: self.base,
            terms,
            last: self.last(),
            memberships: self.entries.iter().filter_map(membership).collect(),
            applied: self.snapshot.last.index,
            watermark: self.watermark,
            lost: false,
        }
    }
}
