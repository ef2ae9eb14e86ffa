//! What nobody may ever contradict: who led which term, what each entry was, what was committed.
//!
//! It outlives every crash. It only remembers; which node may add what is judged elsewhere.

use std::sync::Arc;

use super::chain::Link;
use super::mirror::at;
use crate::membership::Membership;
use crate::types::{Index, NodeId, Position, Term};

#[derive(Clone, Debug)]
pub(super) struct Ledger {
    /// Ascending by term.
    leaders: Vec<(Term, NodeId)>,
    /// By index: every entry that was ever appended anywhere, one a term.
    entries: Vec<Entries>,
    /// By index, from 0 on, which is committed from the start.
    commits: Vec<Commit>,
    /// Every committed configuration, ascending; that of the founders first, once it is known.
    configurations: Vec<(Index, Arc<Membership>)>,
    /// By index: the digest of state, sessions and configuration once it is applied.
    digests: Vec<Option<u64>>,
    /// By index: when it was first applied anywhere. Never decreases.
    applied_at: Vec<u64>,
}

/// What became of the entries at one index.
#[derive(Clone, Debug, Default)]
struct Entries {
    first: Link,
    /// Those of other terms; rarely any, and then no allocation is wasted on the rest.
    others: Vec<Link>,
}

/// One committed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// What it is.
    pub(super) link: Link,
    /// The term of the leader that committed it.
    pub(super) by_term: Term,
}

impl Default for Ledger {
    fn default() -> Self {
        let founding = Commit {
            link: Link::default(),
            by_term: Term(0),
        };
        Self {
            leaders: Vec::new(),
            entries: vec![Entries::default()],
            commits: vec![founding],
            configurations: Vec::new(),
            digests: Vec::new(),
            applied_at: vec![0],
        }
    }
}

impl Ledger {
    pub(super) fn leader(&self, term: Term) -> Option<NodeId> {
        // Nearly every question is about the newest terms.
        let found = self.leaders.iter().rev().find(|(led, _)| *led <= term)?;
        (found.0 == term).then_some(found.1)
    }

    pub(super) fn led(&mut self, term: Term, leader: NodeId) {
        let place = self.leaders.partition_point(|(led, _)| *led < term);
        self.leaders.insert(place, (term, leader));
    }

    /// The newest term that had a leader, and who it was.
    pub(super) fn newest_leader(&self) -> Option<(Term, NodeId)> {
        self.leaders.last().copied()
    }

    /// The entry of a term at an index, if there ever was one.
    pub(super) fn entry(&self, position: Position) -> Option<Link> {
        let here = self.entries.get(at(position.index.0))?;
        // Terms start at 1: an unused place of the default never answers for one.
        if here.first.term == position.term && (position.term.0 > 0 || position.index.0 == 0) {
            return Some(here.first);
        }
        here.others
            .iter()
            .find(|link| link.term == position.term)
            .copied()
    }

    pub(super) fn created(&mut self, index: Index, link: Link) {
        let place = at(index.0);
        if self.entries.len() <= place {
            self.entries.resize(place + 1, Entries::default());
        }
        if let Some(here) = self.entries.get_mut(place) {
            if here.first.term == Term(0) {
                here.first = link;
            } else {
                here.others.push(link);
            }
        }
    }

    /// The highest index committed anywhere.
    pub(super) fn commit_last(&self) -> Index {
        Index(self.commits.len() as u64 - 1)
    }

    pub(super) fn commit(&self, index: Index) -> Option<Commit> {
        self.commits.get(at(index.0)).copied()
    }

    /// Whether a position is that of a committed entry.
    pub(super) fn is_committed(&self, position: Position) -> bool {
        self.commit(position.index)
            .is_some_and(|commit| commit.link.term == position.term)
    }

    /// The next index is committed.
    pub(super) fn committed(&mut self, link: Link, by_term: Term) {
        self.commits.push(Commit { link, by_term });
    }

    /// A configuration is committed.
    pub(super) fn configured(&mut self, index: Index, membership: Arc<Membership>) {
        self.configurations.push((index, membership));
    }

    /// The committed configuration in force at an index.
    pub(super) fn configuration_at(&self, index: Index) -> Option<(Index, &Arc<Membership>)> {
        let found = self
            .configurations
            .iter()
            .rev()
            .find(|(from, _)| *from <= index)?;
        Some((found.0, &found.1))
    }

    /// The last entry that was committed in a term below this one. All before it were, too.
    pub(super) fn committed_below(&self, term: Term) -> (Index, Link) {
        let (place, commit) = self
            .commits
            .iter()
            .enumerate()
            .rev()
            .find(|(_, commit)| commit.by_term < term || commit.by_term == Term(0))
            .expect("index 0 is committed in term 0");
        (Index(place as u64), commit.link)
    }

    /// The digest at an index, which from now on is this one if there was none.
    pub(super) fn digest(&mut self, index: Index, digest: u64) -> u64 {
        let place = at(index.0);
        if self.digests.len() <= place {
            self.digests.resize(place + 1, None);
        }
        match self.digests.get_mut(place) {
            Some(known) => *known.get_or_insert(digest),
            None => digest,
        }
    }

    pub(super) fn first_applied(&mut self, index: Index, now: u64) {
        let place = at(index.0);
        if self.applied_at.len() <= place {
            let latest = self.applied_at.last().copied().unwrap_or_default();
            self.applied_at.resize(place + 1, now.max(latest));
        }
    }

    /// The highest index that was applied somewhere before `time`: no write above it can have been
    /// acknowledged by then.
    pub(super) fn applied_before(&self, time: u64) -> Index {
        let count = self.applied_at.partition_point(|when| *when < time);
        Index(count.saturating_sub(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(term: u64, chain: u64) -> Link {
        Link {
            term: Term(term),
            chain,
        }
    }

    #[test]
    fn leaders_are_found_by_term_in_whatever_order_they_came() {
        let mut ledger = Ledger::default();
        ledger.led(Term(5), NodeId(1));
        ledger.led(Term(3), NodeId(2));
        assert_eq!(ledger.leader(Term(3)), Some(NodeId(2)));
        assert_eq!(ledger.leader(Term(4)), None);
        assert_eq!(ledger.leader(Term(2)), None);
        assert_eq!(ledger.newest_leader(), Some((Term(5), NodeId(1))));
    }

    #[test]
    fn one_index_can_have_had_several_entries() {
        let mut ledger = Ledger::default();
        ledger.created(Index(2), link(1, 10));
        ledger.created(Index(2), link(3, 30));
        let entry = |index, term| ledger.entry(Position::new(Term(term), Index(index)));
        assert_eq!(entry(2, 1), Some(link(1, 10)));
        assert_eq!(entry(2, 3), Some(link(3, 30)));
        assert_eq!((entry(2, 2), entry(1, 0), entry(9, 1)), (None, None, None));
        assert_eq!(entry(0, 0), Some(Link::default()));
    }

    #[test]
    fn commits_below_a_term_end_at_the_last_of_them() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.committed_below(Term(1)).0, Index(0));
        ledger.committed(link(1, 1), Term(1));
        ledger.committed(link(1, 2), Term(2));
        ledger.committed(link(2, 3), Term(2));
        assert_eq!(ledger.committed_below(Term(2)), (Index(1), link(1, 1)));
        assert_eq!(ledger.committed_below(Term(3)), (Index(3), link(2, 3)));
        assert!(ledger.is_committed(Position::new(Term(2), Index(3))));
        assert!(!ledger.is_committed(Position::new(Term(1), Index(3))));
    }

    #[test]
    fn what_was_applied_before_a_time_is_known() {
        let mut ledger = Ledger::default();
        ledger.first_applied(Index(2), 10);
        ledger.first_applied(Index(1), 50);
        ledger.first_applied(Index(3), 20);
        assert_eq!(ledger.applied_before(10), Index(0));
        assert_eq!(ledger.applied_before(11), Index(2));
        assert_eq!(ledger.applied_before(100), Index(3));
        assert_eq!(
            (ledger.digest(Index(3), 7), ledger.digest(Index(3), 8)),
            (7, 7)
        );
    }
}
