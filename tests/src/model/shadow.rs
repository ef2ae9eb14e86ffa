//! A node's log as its writes tell it: an account of its own, to be compared with what the core
//! believes, with other nodes' logs, and with what was committed.
//!
//! It deliberately asks the core nothing.

use std::sync::Arc;

use raft_core::event::Write;
use raft_core::{Entry, Index, Membership, Payload, Position, Raft, SnapshotMeta, Term};

use super::arena::digest;
use super::disk::Disk;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shadow {
    base: Position,
    /// After `base`, contiguous.
    lines: Vec<Line>,
    /// What was in force at `base`, then what later entries brought.
    configurations: Vec<(Index, Arc<Membership>)>,
}

/// One entry: by whom it was made, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) term: Term,
    pub(super) says: u64,
}

impl Line {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            term: entry.term,
            says: digest(&entry.payload),
        }
    }
}

impl Shadow {
    /// The log of a server that starts from this disk.
    pub(super) fn recovered(disk: &Disk) -> Self {
        let known = (
            disk.snapshot.membership_index,
            Arc::clone(&disk.snapshot.membership),
        );
        let mut shadow = Self {
            base: disk.base(),
            lines: Vec::new(),
            configurations: vec![known],
        };
        disk.entries().iter().for_each(|entry| shadow.push(entry));
        shadow
    }

    pub(super) fn write(&mut self, write: &Write) {
        if let Some(snapshot) = &write.reset {
            self.base = snapshot.last;
            self.lines.clear();
            self.configurations =
                vec![(snapshot.membership_index, Arc::clone(&snapshot.membership))];
        }
        if let Some(from) = write.truncate {
            let kept = usize::try_from(from.prev().since(self.base.index)).unwrap_or(usize::MAX);
            self.lines.truncate(kept);
            self.configurations.retain(|(index, _)| *index < from);
        }
        write.entries.iter().for_each(|entry| self.push(entry));
    }

    fn push(&mut self, entry: &Entry) {
        self.lines.push(Line::of(entry));
        if let Payload::Membership(membership) = &entry.payload
            && self
                .configurations
                .last()
                .is_none_or(|(index, _)| *index < entry.index)
        {
            self.configurations
                .push((entry.index, Arc::clone(membership)));
        }
    }

    pub(super) fn purge(&mut self, up_to: Index) {
        if let Some(term) = self.term(up_to) {
            let gone = usize::try_from(up_to.since(self.base.index)).unwrap_or(usize::MAX);
            self.lines.drain(..gone);
            self.base = Position::new(term, up_to);
            let replaced = self
                .configurations
                .iter()
                .filter(|(at, _)| *at <= up_to)
                .count();
            self.configurations.drain(..replaced.saturating_sub(1));
        }
    }

    pub(super) const fn base(&self) -> Position {
        self.base
    }

    pub(super) fn last(&self) -> Position {
        let index = self.base.index.plus(self.lines.len() as u64);
        Position::new(
            self.lines.last().map_or(self.base.term, |line| line.term),
            index,
        )
    }

    pub(super) fn line(&self, index: Index) -> Option<Line> {
        let offset = index.since(self.base.index).checked_sub(1)?;
        self.lines.get(usize::try_from(offset).ok()?).copied()
    }

    /// The term of the entry at `index`, or of the base.
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.line(index).map(|line| line.term)
    }

    /// Its entries in order, each with its index.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = (Index, Line)> + '_ {
        let first = self.base.index.next();
        self.lines
            .iter()
            .enumerate()
            .map(move |(at, line)| (first.plus(at as u64), *line))
    }

    pub(super) fn configurations(&self) -> &[(Index, Arc<Membership>)] {
        &self.configurations
    }

    /// Whether a snapshot stands for the beginning of this log.
    pub(super) fn agrees_with(&self, snapshot: &SnapshotMeta) -> bool {
        let last = snapshot.last.index;
        let below = self
            .configurations
            .iter()
            .rev()
            .find(|(index, _)| *index <= last);
        self.term(last) == Some(snapshot.last.term)
            && below.is_some_and(|(index, membership)| {
                *index == snapshot.membership_index && *membership == snapshot.membership
            })
    }

    /// Whether `self` is `earlier` with entries appended, as far as both retain them.
    pub(super) fn extends(&self, earlier: &Self) -> bool {
        earlier.last().index <= self.last().index
            && earlier
                .lines()
                .all(|(index, line)| index <= self.base.index || self.line(index) == Some(line))
    }

    /// Whether the two logs, if they agree on an entry, agree on all before it (Raft Figure 3).
    pub(super) fn matches(&self, other: &Self) -> bool {
        let mut agreed = false;
        for (index, line) in self.lines().rev() {
            let Some(theirs) = other.line(index) else {
                continue;
            };
            agreed |= line.term == theirs.term;
            if agreed && line != theirs {
                return false;
            }
        }
        true
    }

    /// Whether the core has the same log.
    pub(super) fn is_log_of(&self, raft: &Raft) -> bool {
        let (first, last) = (self.base.index.0, self.last().index.0);
        raft.base() == self.base
            && raft.last() == self.last()
            && (first..=last).all(|at| raft.term_at(Index(at)) == self.term(Index(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow(base: u64, terms: &[u64]) -> Shadow {
        Shadow {
            base: Position::new(Term(u64::from(base > 0)), Index(base)),
            lines: terms
                .iter()
                .map(|term| Line {
                    term: Term(*term),
                    says: *term,
                })
                .collect(),
            configurations: Vec::new(),
        }
    }

    #[test]
    fn logs_that_agree_late_and_differ_early_are_told() {
        assert!(shadow(0, &[1, 1, 2]).matches(&shadow(0, &[1, 1, 3])));
        assert!(shadow(0, &[1, 1, 2]).matches(&shadow(2, &[2, 2])));
        assert!(!shadow(0, &[1, 1, 3]).matches(&shadow(0, &[1, 2, 3])));
        assert!(!shadow(0, &[1, 1, 3]).matches(&shadow(1, &[2, 3])));
    }

    #[test]
    fn a_longer_log_extends_a_shorter_one_with_the_same_entries() {
        assert!(shadow(0, &[1, 1, 2]).extends(&shadow(0, &[1, 1])));
        assert!(shadow(1, &[1, 2]).extends(&shadow(0, &[1, 1])));
        assert!(!shadow(0, &[1, 2]).extends(&shadow(0, &[1, 1])));
        assert!(!shadow(0, &[1]).extends(&shadow(0, &[1, 1])));
    }
}
