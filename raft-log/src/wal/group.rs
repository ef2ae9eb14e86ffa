//! What is known in memory of one group's log: where each entry lies, and all that is not an entry.
//!
//! One function applies a change, whether it was just written or is read back at the start: so what
//! runs and what is recovered can't differ. This file reads and writes nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::types::Incarnation;
use raft_core::{HardState, Index, Membership, Position, SnapshotMeta, Term, Watermark};

use super::change::Change;
use crate::format::{Checkpoint, RECORD_HEADER_BYTES};

/// Where the record of an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its segment.
    pub(super) segment: u32,
    /// Of its header in the segment.
    pub(super) offset: u32,
    /// Of its payload.
    pub(super) length: u32,
}

impl Place {
    /// The bytes of the record without its padding.
    pub(super) const fn size(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + self.length as u64
    }
}

/// One group's log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) incarnation: Incarnation,
    /// What it was founded with.
    pub(crate) founding: Arc<SnapshotMeta>,
    pub(crate) hard_state: HardState,
    /// The position before the first entry.
    pub(crate) base: Position,
    /// The first entry that is here. After `base.next()` only during recovery, when what lies in
    /// between went with an earlier segment and the record that says so is still to come.
    first: Index,
    /// Of the entries from `first` on.
    places: VecDeque<Place>,
    /// The terms of the entries after `base` as runs: each run's first index and its term.
    terms: VecDeque<(Index, Term)>,
    /// The configurations among the entries.
    memberships: VecDeque<(Index, Arc<Membership>)>,
    /// What the records of the entries take.
    bytes: u64,
    /// What others rely on and is not here; until the log has reached it again.
    pub(crate) lost: Option<Watermark>,
}

/// A record that can't follow what was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Impossible(pub(super) String);

impl Group {
    /// A group whose whole log is gone.
    pub(super) fn vanished(checkpoint: &Checkpoint) -> Self {
        Self {
            incarnation: checkpoint.incarnation,
            founding: Arc::clone(&checkpoint.founding),
            first: Index(1),
            ..Self::default()
        }
    }

    /// A group as a checkpoint knows it, its entries still to come, or gone.
    pub(super) fn at(checkpoint: &Checkpoint) -> Self {
        Self {
            incarnation: checkpoint.incarnation,
            founding: Arc::clone(&checkpoint.founding),
            hard_state: checkpoint.hard_state,
            base: checkpoint.base,
            first: checkpoint.last.next(),
            terms: checkpoint.terms.iter().copied().collect(),
            ..Self::default()
        }
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            incarnation: self.incarnation,
            founding: Arc::clone(&self.founding),
            hard_state: self.hard_state,
            base: self.base,
            terms: self.terms.iter().copied().collect(),
            last: self.last(),
        }
    }

    pub(crate) fn last(&self) -> Index {
        self.first.plus(self.places.len() as u64).prev()
    }

    pub(crate) fn last_position(&self) -> Position {
        let last = self.last();
        Position::new(self.term(last), last)
    }

    /// The term of an entry, or of the base.
    fn term(&self, index: Index) -> Term {
        let later = self.terms.partition_point(|(first, _)| *first <= index);
        match later.checked_sub(1) {
            Some(run) => self.terms[run].1,
            None => self.base.term,
        }
    }

    /// The position of an entry that is here, or of the base.
    pub(super) fn position(&self, index: Index) -> Option<Position> {
        let is_here = (self.base.index..=self.last()).contains(&index);
        is_here.then(|| Position::new(self.term(index), index))
    }

    pub(super) fn terms(&self) -> Vec<(Index, Term)> {
        self.terms.iter().copied().collect()
    }

    pub(super) fn memberships(&self) -> Vec<(Index, Arc<Membership>)> {
        self.memberships.iter().cloned().collect()
    }

    /// How many entries are here, and what their records take.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (self.places.len() as u64, self.bytes)
    }

    /// What others may rely on.
    pub(super) fn watermark(&self) -> Watermark {
        self.lost.unwrap_or(Watermark {
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            index: self.last(),
        })
    }

    /// Where the entries of `from..=to` lie; none if the first is not here.
    pub(super) fn places(&self, from: Index, to: Index) -> impl Iterator<Item = Place> {
        let is_here = from >= self.first && from <= self.last();
        let start = place(from.since(self.first)).min(self.places.len());
        let count = if is_here {
            to.min(self.last()).next().since(from)
        } else {
            0
        };
        self.places.range(start..).take(place(count)).copied()
    }

    /// The segment of the first entry.
    pub(super) fn first_segment(&self) -> Option<u32> {
        self.places.front().map(|place| place.segment)
    }

    /// The entries of `base.next()..` that are not here, if any.
    pub(super) fn gap(&self) -> Option<(Index, Index)> {
        let expected = self.base.index.next();
        (self.first > expected).then(|| (expected, self.first.prev()))
    }

    /// The change happened; the record of an entry lies at `place`.
    pub(super) fn apply(&mut self, change: &Change, place: Place) -> Result<(), Impossible> {
        self.check(change)?;
        match change {
            Change::HardState(hard_state) => self.hard_state = *hard_state,
            Change::Truncate(from) => self.truncate(*from),
            Change::Entry(position, membership) => {
                self.append(*position, membership.as_ref(), place);
            }
            Change::Reset(last) => self.reset(*last),
            Change::Purge(last) => self.purge(*last),
            // What it says is known, unless it is the first that is heard of the group.
            Change::Checkpoint(_) => {}
        }
        self.lost = self.lost.filter(|lost| !self.covers(*lost));
        Ok(())
    }

    /// Whether all that is relied on is here: the vote, and entries up to there from a leader of
    /// that term or a later one. A log that is merely as long may hold what was truncated.
    pub(super) fn covers(&self, relied_on: Watermark) -> bool {
        self.hard_state.covers(relied_on.hard_state())
            && self.last_position() >= Position::new(relied_on.term, relied_on.index)
    }

    /// Whether the change can follow. One that can't was never written by a program that was right.
    fn check(&self, change: &Change) -> Result<(), Impossible> {
        let (base, last) = (self.base.index, self.last());
        match change {
            Change::Truncate(from) if *from <= base || *from > last.next() => Err(Impossible(
                format!("truncate from {from}, while the log holds ({base}, {last}]"),
            )),
            Change::Entry(position, _) if position.index != last.next() => Err(Impossible(
                format!("append {}, while the log ends at {last}", position.index),
            )),
            Change::HardState(_)
            | Change::Truncate(_)
            | Change::Entry(..)
            | Change::Reset(_)
            | Change::Purge(_)
            | Change::Checkpoint(_) => Ok(()),
        }
    }

    fn append(&mut self, at: Position, membership: Option<&Arc<Membership>>, place: Place) {
        if self.terms.back().is_none_or(|(_, term)| *term != at.term) {
            self.terms.push_back((at.index, at.term));
        }
        if let Some(membership) = membership {
            self.memberships
                .push_back((at.index, Arc::clone(membership)));
        }
        self.bytes += place.size();
        self.places.push_back(place);
    }

    fn truncate(&mut self, from: Index) {
        while self.last() >= from {
            match self.places.pop_back() {
                Some(place) => self.bytes -= place.size(),
                // Only during recovery: what was truncated had gone before.
                None => self.first = from,
            }
        }
        while self.terms.back().is_some_and(|(first, _)| *first >= from) {
            self.terms.pop_back();
        }
        while self
            .memberships
            .back()
            .is_some_and(|(index, _)| *index >= from)
        {
            self.memberships.pop_back();
        }
    }

    fn reset(&mut self, last: Position) {
        self.base = last;
        self.first = last.index.next();
        self.places.clear();
        self.terms.clear();
        self.memberships.clear();
        self.bytes = 0;
    }

    /// Drops the entries up to `last`; all of them, if the log ends before it.
    fn purge(&mut self, last: Position) {
        if last.index <= self.base.index {
            return;
        }
        if last.index > self.last() {
            return self.reset(last);
        }
        self.base = last;
        while self.first <= last.index {
            if let Some(place) = self.places.pop_front() {
                self.bytes -= place.size();
            }
            self.first = self.first.next();
        }
        while let Some((_, term)) = self.terms.pop_front() {
            let next = self.terms.front();
            if next.is_none_or(|(first, _)| *first > last.index.next()) {
                // The run that the first entry kept belongs to begins with it now.
                if self.last() > last.index {
                    self.terms.push_front((last.index.next(), term));
                }
                break;
            }
        }
        while self
            .memberships
            .front()
            .is_some_and(|(index, _)| *index <= last.index)
        {
            self.memberships.pop_front();
        }
    }

    /// The entries before the first one that is here are given up; it follows `base` now.
    pub(super) fn raise_base(&mut self) {
        let before = self.first.prev();
        let position = Position::new(self.term(before), before);
        self.purge(position);
    }
}

/// A distance within what is in memory.
fn place(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use raft_core::NodeId;

    use super::*;

    fn entry(term: u64, index: u64) -> Change {
        Change::Entry(at(term, index), None)
    }

    fn at(term: u64, index: u64) -> Position {
        Position::new(Term(term), Index(index))
    }

    fn place_of(segment: u32, offset: u32) -> Place {
        Place {
            segment,
            offset,
            length: 8,
        }
    }

    /// Terms 1 1 2 2 2 3, one entry a segment.
    fn six() -> Group {
        let mut group = Group::at(&Checkpoint::default());
        for (index, term) in (1..).zip([1, 1, 2, 2, 2, 3]) {
            let place = place_of(index, 100 * index);
            group
                .apply(&entry(term, u64::from(index)), place)
                .expect("in order");
        }
        group
    }

    fn runs(group: &Group) -> Vec<(u64, u64)> {
        let runs = group.terms();
        runs.iter().map(|(first, term)| (first.0, term.0)).collect()
    }

    #[test]
    fn runs_of_terms_follow_truncation_and_purge() {
        let check = |record: &Change, expected: &[(u64, u64)], last: u64, bytes: u64| {
            let mut group = six();
            group.apply(record, place_of(0, 0)).expect("legal");
            assert_eq!(runs(&group), expected, "{record:?}");
            assert_eq!((group.last(), group.usage().1), (Index(last), bytes * 48));
        };
        check(&Change::Truncate(Index(4)), &[(1, 1), (3, 2)], 3, 3);
        check(&Change::Truncate(Index(3)), &[(1, 1)], 2, 2);
        check(&Change::Truncate(Index(1)), &[], 0, 0);
        check(&Change::Purge(at(1, 1)), &[(2, 1), (3, 2), (6, 3)], 6, 5);
        check(&Change::Purge(at(1, 2)), &[(3, 2), (6, 3)], 6, 4);
        check(&Change::Purge(at(2, 4)), &[(5, 2), (6, 3)], 6, 2);
        check(&Change::Purge(at(3, 6)), &[], 6, 0);
        check(&Change::Purge(at(4, 9)), &[], 9, 0);
        check(&Change::Reset(at(4, 9)), &[], 9, 0);
    }

    #[test]
    fn terms_are_known_at_the_base_and_after_it() {
        let mut group = six();
        let purge = Change::Purge(at(2, 4));
        group.apply(&purge, place_of(0, 0)).expect("legal");
        assert_eq!(group.position(Index(3)), None);
        assert_eq!(group.position(Index(4)), Some(at(2, 4)));
        assert_eq!(group.position(Index(5)), Some(at(2, 5)));
        assert_eq!(group.position(Index(6)), Some(at(3, 6)));
        assert_eq!(group.position(Index(7)), None);
        group
            .apply(&Change::Truncate(Index(5)), place_of(0, 0))
            .expect("legal");
        group.apply(&entry(2, 5), place_of(9, 0)).expect("legal");
        assert_eq!(runs(&group), [(5, 2)]);
    }

    #[test]
    fn what_can_not_follow_is_refused() {
        let refused = |record: &Change| six().apply(record, place_of(0, 0)).is_err();
        assert!(refused(&entry(3, 8)), "a gap");
        assert!(refused(&entry(3, 6)), "an overlap");
        assert!(refused(&Change::Truncate(Index(0))));
        assert!(refused(&Change::Truncate(Index(8))));
        assert!(!refused(&Change::Truncate(Index(7))));
    }

    #[test]
    fn a_loss_is_over_when_vote_and_entries_are_here() {
        let vote = Some(NodeId(2));
        let relied_on = |term, index| Watermark {
            term: Term(term),
            vote,
            index: Index(index),
        };
        let check = |term, vote: Option<u64>, relied_on, expected| {
            let mut group = six();
            group.hard_state = HardState {
                term: Term(term),
                vote: vote.map(NodeId),
            };
            assert_eq!(group.covers(relied_on), expected);
        };
        check(3, Some(2), relied_on(3, 6), true);
        check(3, Some(1), relied_on(3, 6), false);
        check(3, None, relied_on(3, 6), false);
        check(3, Some(2), relied_on(3, 7), false);
        check(4, None, relied_on(3, 6), true);
        // As long as it was, but of older terms: what was truncated may be back.
        check(4, Some(2), relied_on(4, 5), false);
    }

    #[test]
    fn places_are_those_asked_for() {
        let mut group = six();
        group
            .apply(&Change::Purge(at(1, 2)), place_of(0, 0))
            .expect("legal");
        let segments = |from, to| {
            let places = group.places(Index(from), Index(to));
            places.map(|place| place.segment).collect::<Vec<_>>()
        };
        assert_eq!(segments(3, 4), [3, 4]);
        assert_eq!(segments(5, 99), [5, 6]);
        assert_eq!(segments(2, 4), [0; 0]);
        assert_eq!(segments(7, 9), [0; 0]);
        assert_eq!(group.first_segment(), Some(3));
    }

    #[test]
    fn entries_that_went_with_a_segment_are_missed_unless_purged() {
        let mut group = Group::at(&six().checkpoint());
        assert_eq!(group.gap(), Some((Index(1), Index(6))));
        group
            .apply(&Change::Truncate(Index(5)), place_of(0, 0))
            .expect("legal");
        group.apply(&entry(3, 5), place_of(7, 0)).expect("in order");
        assert_eq!(
            (group.gap(), runs(&group)),
            (Some((Index(1), Index(4))), vec![(1, 1), (3, 2), (5, 3)])
        );
        let mut purged = group.clone();
        purged
            .apply(&Change::Purge(at(2, 4)), place_of(0, 0))
            .expect("legal");
        assert_eq!((purged.gap(), purged.base), (None, at(2, 4)));
        group.raise_base();
        assert_eq!(
            (group.gap(), group.base, group.last()),
            (None, at(2, 4), Index(5))
        );
    }
}
