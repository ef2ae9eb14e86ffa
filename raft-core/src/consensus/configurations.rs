//! The configurations in the log, so that a truncated one gives way to the one before it (Raft §6).
//!
//! A server always uses the latest in its log, committed or not. This file does not know which are
//! committed.

use std::sync::Arc;

use crate::membership::Membership;
use crate::types::Index;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Configurations {
    /// What is in force below all entries: from the snapshot, or what a compacted entry brought.
    base: (Index, Arc<Membership>),
    /// What later entries brought, ascending.
    later: Vec<(Index, Arc<Membership>)>,
}

impl Configurations {
    pub(super) fn new(index: Index, membership: Arc<Membership>) -> Self {
        Self {
            base: (index, membership),
            later: Vec::new(),
        }
    }

    pub(super) fn latest(&self) -> &(Index, Arc<Membership>) {
        self.later.last().unwrap_or(&self.base)
    }

    /// The configuration that the latest one replaced, if it is still known.
    pub(super) fn before_latest(&self) -> &(Index, Arc<Membership>) {
        let before = self
            .later
            .len()
            .checked_sub(2)
            .and_then(|at| self.later.get(at));
        before.unwrap_or(&self.base)
    }

    /// The configuration in force at `index`.
    pub(super) fn at(&self, index: Index) -> &(Index, Arc<Membership>) {
        self.later
            .iter()
            .rev()
            .find(|(at, _)| *at <= index)
            .unwrap_or(&self.base)
    }

    /// Those that may still count: the one in force at `commit`, and all later ones; newest first.
    pub(super) fn uncertain(&self, commit: Index) -> impl Iterator<Item = &Arc<Membership>> {
        let certain = self.at(commit).0;
        let all = self.later.iter().rev().chain(std::iter::once(&self.base));
        all.filter(move |(index, _)| *index >= certain)
            .map(|(_, membership)| membership)
    }

    /// Those brought by entries in `(after, to]`.
    pub(super) fn between(
        &self,
        after: Index,
        to: Index,
    ) -> impl Iterator<Item = &(Index, Arc<Membership>)> {
        self.later
            .iter()
            .filter(move |(index, _)| after < *index && *index <= to)
    }

    pub(super) fn append(&mut self, index: Index, membership: Arc<Membership>) {
        assert!(index > self.latest().0, "configurations ascend");
        self.later.push((index, membership));
    }

    /// Removes those from `from` on.
    pub(super) fn truncate(&mut self, from: Index) {
        self.later.retain(|(index, _)| *index < from);
    }

    /// Forgets those that were replaced at or below `up_to`.
    pub(super) fn compact(&mut self, up_to: Index) {
        self.base = self.at(up_to).clone();
        self.later.retain(|(index, _)| *index > up_to);
    }
}
