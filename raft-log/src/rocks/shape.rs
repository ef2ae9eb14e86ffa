//! What is kept in memory of a log in RocksDB: where it begins and ends, its terms, configurations
//! and size.
//!
//! It deliberately knows no database: it is told what was written there.

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::port::{LogBounds, LogUsage};
use raft_core::types::{Index, Position, Term};
use raft_core::{Entry, Membership, Payload};

/// A log without its commands.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) bounds: LogBounds,
    /// Each run's first index and its term, ascending.
    pub(super) terms: VecDeque<(Index, Term)>,
    /// The configurations among the entries, ascending.
    pub(super) memberships: VecDeque<(Index, Arc<Membership>)>,
    /// The weight of each entry.
    weights: VecDeque<u64>,
    /// Their sum.
    bytes: u64,
}

impl Shape {
    /// An empty log after this position.
    pub(super) fn after(base: Position) -> Self {
        Self {
            bounds: LogBounds {
                base,
                last: base.index,
            },
            ..Self::default()
        }
    }

    pub(super) fn usage(&self) -> LogUsage {
        LogUsage {
            entries: self.weights.len() as u64,
            bytes: self.bytes,
        }
    }

    pub(super) fn last_position(&self) -> Position {
        Position::new(self.term_of(self.bounds.last), self.bounds.last)
    }

    /// The term of an index from the base to the end of the log.
    pub(super) fn term_of(&self, index: Index) -> Term {
        let run = self.terms.iter().rev().find(|(first, _)| *first <= index);
        run.map_or(self.bounds.base.term, |(_, term)| *term)
    }

    /// The next entry is there.
    pub(super) fn push(&mut self, entry: &Entry) {
        let weight = entry.weight();
        self.weights.push_back(weight);
        self.bytes += weight;
        self.bounds.last = entry.index;
        if self
            .terms
            .back()
            .is_none_or(|(_, term)| *term != entry.term)
        {
            self.terms.push_back((entry.index, entry.term));
        }
        match &entry.payload {
            Payload::Membership(membership) => {
                self.memberships
                    .push_back((entry.index, Arc::clone(membership)));
            }
            Payload::Noop | Payload::Command(_) => {}
        }
    }

    /// The entries from this index on are gone.
    pub(super) fn truncate(&mut self, from: Index) {
        while self.bounds.last >= from
            && let Some(weight) = self.weights.pop_back()
        {
            self.bytes -= weight;
            self.bounds.last = self.bounds.last.prev();
        }
        while self.terms.back().is_some_and(|(first, _)| *first >= from) {
            self.terms.pop_back();
        }
        while self.memberships.back().is_some_and(|(at, _)| *at >= from) {
            self.memberships.pop_back();
        }
    }

    /// The entries up to this one, at most the last, are gone.
    pub(super) fn purge(&mut self, up_to: Index) {
        let base = Position::new(self.term_of(up_to), up_to);
        for _ in 0..up_to.since(self.bounds.base.index) {
            self.bytes -= self.weights.pop_front().unwrap_or_default();
        }
        let next_term = self.term_of(up_to.next());
        while self.terms.front().is_some_and(|(first, _)| *first <= up_to) {
            self.terms.pop_front();
        }
        let is_cut = self
            .terms
            .front()
            .is_none_or(|(first, _)| *first > up_to.next());
        if up_to < self.bounds.last && is_cut {
            self.terms.push_front((up_to.next(), next_term));
        }
        while self.memberships.front().is_some_and(|(at, _)| *at <= up_to) {
            self.memberships.pop_front();
        }
        self.bounds.base = base;
    }
}
