//! The log as the core sees it: the term of every retained entry, and the newest entries
//! themselves.
//!
//! Terms come in runs, so they cost next to nothing. Entries older than the tail in memory are read
//! back by the shell when somebody needs them. This file does not know what is committed or
//! durable; its callers say what may go.

use std::collections::VecDeque;

use super::tail::Tail;
use crate::entries::Entries;
use crate::entry::Entry;
use crate::types::{Index, Position, Term};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Log {
    /// Just before the first retained entry.
    base: Position,
    /// The first index and the term of each run of equal terms; covers `(base, last]`. Terms
    /// ascend strictly (§5.3: terms in a log never decrease).
    runs: VecDeque<(Index, Term)>,
    last: Index,
    /// The newest entries, contiguous up to `last`; none if all were read back or dropped.
    tail: Tail,
}

impl Log {
    pub(super) fn recovered(base: Position, terms: Vec<(Index, Term)>, last: Index) -> Self {
        Self {
            base,
            runs: terms.into(),
            last,
            ..Self::default()
        }
    }

    pub(super) const fn base(&self) -> Position {
        self.base
    }

    pub(super) const fn last_index(&self) -> Index {
        self.last
    }

    pub(super) fn last(&self) -> Position {
        let term = self.runs.back().map_or(self.base.term, |run| run.1);
        Position::new(term, self.last)
    }

    /// The term of the entry at `index`, or of the base; `None` outside of what is retained.
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index || index > self.last {
            return None;
        }
        // Most questions are about the newest run.
        if let Some((first, term)) = self.runs.back()
            && *first <= index
        {
            return Some(*term);
        }
        let after = self.runs.partition_point(|(first, _)| *first <= index);
        self.runs.get(after.checked_sub(1)?).map(|run| run.1)
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.term(position.index) == Some(position.term)
    }

    /// The last entry at or below `limit.index` whose term is at most `limit.term`: where two logs
    /// may agree at the latest, whole terms skipped at once. May lie below the base.
    pub(super) fn last_not_after(&self, limit: Position) -> Position {
        let mut index = limit.index.min(self.last);
        for (first, term) in self.runs.iter().rev() {
            if *first > index {
                continue;
            }
            if *term <= limit.term {
                return Position::new(*term, index);
            }
            index = first.prev();
        }
        if index < self.base.index || self.base.term > limit.term {
            return Position::new(Term(0), index.min(self.base.index.prev()));
        }
        self.base
    }

    /// Appends an entry of this server's own making.
    pub(super) fn append(&mut self, entry: Entry) {
        self.admit(&entry);
        self.tail.push(entry);
    }

    /// Appends entries that came together, and stay together.
    pub(super) fn extend(&mut self, entries: Entries) {
        entries.iter().for_each(|entry| self.admit(entry));
        self.tail.extend(entries);
    }

    fn admit(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.last.next(), "a log has no gaps");
        let last_term = self.last().term;
        assert!(entry.term >= last_term, "terms in a log never decrease");
        if self.runs.back().is_none_or(|run| run.1 != entry.term) {
            self.runs.push_back((entry.index, entry.term));
        }
        self.last = entry.index;
    }

    /// Removes the entries from `from` on.
    pub(super) fn truncate(&mut self, from: Index) {
        assert!(
            from > self.base.index,
            "what a snapshot stands for is never truncated"
        );
        self.tail.truncate(from);
        while self.runs.back().is_some_and(|run| run.0 >= from) {
            self.runs.pop_back();
        }
        self.last = self.last.min(from.prev());
    }

    /// Forgets everything: the log is now empty after `base`.
    pub(super) fn reset(&mut self, base: Position) {
        *self = Self {
            base,
            last: base.index,
            ..Self::default()
        };
    }

    /// Drops the entries at and below `up_to`, which must be retained.
    pub(super) fn compact(&mut self, up_to: Index) {
        let Some(term) = self.term(up_to) else { return };
        while self.runs.get(1).is_some_and(|run| run.0 <= up_to.next()) {
            self.runs.pop_front();
        }
        if up_to == self.last {
            self.runs.clear();
        } else if let Some(run) = self.runs.front_mut() {
            run.0 = run.0.max(up_to.next());
        }
        self.base = Position::new(term, up_to);
        self.tail.compact(up_to);
    }

    /// Drops the oldest entries from memory, none above `keep_after`, while more than `bytes_max`
    /// are held.
    pub(super) fn evict(&mut self, keep_after: Index, bytes_max: u64) {
        self.tail.evict(keep_after, bytes_max);
    }

    /// The entries from `from` to `to`: at least one, then as many as fit into `bytes_max`. `None`
    /// if the first is not in memory.
    pub(super) fn slice(&mut self, from: Index, to: Index, bytes_max: u64) -> Option<Entries> {
        self.tail.range(from, to, bytes_max)
    }

    /// The weight of the entries after `index`, as far as they are in memory.
    pub(super) fn weight_after(&self, index: Index) -> u64 {
        self.tail.weight_after(index)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::entry::Payload;

    fn entry(index: u64, term: u64) -> Entry {
        let payload = Payload::Command(Bytes::from_static(b"x"));
        Entry {
            term: Term(term),
            index: Index(index),
            payload,
        }
    }

    /// A log after `base` at term 1, its entries having these terms.
    fn log(base: u64, terms: &[u64]) -> Log {
        let mut log = Log::default();
        log.reset(Position::new(Term(u64::from(base > 0)), Index(base)));
        for (offset, term) in terms.iter().enumerate() {
            log.append(entry(base + 1 + offset as u64, *term));
        }
        log
    }

    fn terms(log: &Log) -> Vec<Option<u64>> {
        (0..=log.last_index().0 + 1)
            .map(|i| log.term(Index(i)).map(|t| t.0))
            .collect()
    }

    #[test]
    fn terms_survive_appending_truncating_and_compacting() {
        let mut log = log(0, &[1, 1, 2, 2, 5]);
        let all = [Some(0), Some(1), Some(1), Some(2), Some(2), Some(5), None];
        assert_eq!(terms(&log), all);
        log.truncate(Index(4));
        assert_eq!(terms(&log), [Some(0), Some(1), Some(1), Some(2), None]);
        log.append(entry(4, 7));
        log.compact(Index(2));
        assert_eq!(terms(&log), [None, None, Some(1), Some(2), Some(7), None]);
        log.compact(Index(4));
        assert_eq!(terms(&log), [None, None, None, None, Some(7), None]);
        assert_eq!(log.last(), Position::new(Term(7), Index(4)));
        log.append(entry(5, 7));
        assert_eq!(log.term(Index(5)), Some(Term(7)));
    }

    #[test]
    fn the_hint_skips_whole_terms() {
        let log = log(2, &[1, 4, 4, 4, 6]);
        let check = |index, term, expected: (u64, u64)| {
            let found = log.last_not_after(Position::new(Term(term), Index(index)));
            assert_eq!((found.term.0, found.index.0), expected, "of {index}t{term}");
        };
        check(7, 6, (6, 7));
        check(9, 9, (6, 7));
        check(7, 5, (4, 6));
        check(5, 4, (4, 5));
        check(6, 3, (1, 3));
        check(2, 1, (1, 2));
        check(6, 0, (0, 1));
        check(1, 9, (0, 1));
    }

    #[test]
    fn a_slice_holds_at_least_one_entry_and_no_more_than_fits() {
        let mut log = log(0, &[1, 1, 1, 1]);
        let weight = entry(1, 1).weight();
        let mut count = |from, to, bytes| {
            log.slice(Index(from), Index(to), bytes)
                .map(|entries| entries.len())
        };
        assert_eq!(count(1, 4, 0), Some(1));
        assert_eq!(count(1, 4, 2 * weight), Some(2));
        assert_eq!(count(2, 3, u64::MAX), Some(2));
        assert_eq!(count(3, 9, u64::MAX), Some(2));
        assert_eq!(count(5, 9, u64::MAX), None);
    }

    #[test]
    fn what_left_memory_keeps_its_term_but_not_its_content() {
        let mut log = Log::default();
        let entries = [1, 1, 2, 2].into_iter().zip(1..);
        entries.for_each(|(term, index)| log.extend(vec![entry(index, term)].into()));
        let weight = entry(1, 1).weight();
        log.evict(Index(4), 2 * weight);
        assert_eq!(log.slice(Index(2), Index(4), u64::MAX), None);
        assert_eq!(
            log.slice(Index(3), Index(4), u64::MAX).map(|e| e.len()),
            Some(2)
        );
        assert_eq!(log.term(Index(1)), Some(Term(1)));
        assert_eq!(
            log.weight_after(Index(0)),
            2 * weight,
            "only what is in memory"
        );
        log.evict(Index(3), 0);
        assert_eq!(
            log.slice(Index(4), Index(4), 0).map(|e| e.len()),
            Some(1),
            "kept"
        );
        log.truncate(Index(4));
        assert_eq!(log.weight_after(Index(0)), 0);
    }
}
