//! A log as the ghost remembers it: a link for every index, and nothing else.
//!
//! Each node has two: what its core holds in memory, and what its disk would show after a power
//! cut. Compaction does not shrink a mirror, since what a snapshot stands for is still held. This
//! file does not know which of its operations are allowed.

use super::chain::Link;
use crate::types::{Index, Position};

/// A place in a `Vec` that is indexed by log index or node number.
pub(super) fn at(number: u64) -> usize {
    usize::try_from(number).expect("a simulated log fits into memory")
}

#[derive(Clone, Debug)]
pub(super) struct Mirror {
    /// Below this nothing is known of the single entries: a snapshot took their place.
    base: Index,
    /// By index; those below `base` mean nothing. Never empty: the last one is the log's last.
    links: Vec<Link>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            base: Index(0),
            links: vec![Link::default()],
        }
    }
}

impl Mirror {
    /// A log that begins after `base`, whose link is given.
    pub(super) fn after(base: Index, link: Link) -> Self {
        let mut mirror = Self::default();
        mirror.reset(base, link);
        mirror
    }

    pub(super) const fn base(&self) -> Index {
        self.base
    }

    pub(super) fn last(&self) -> Index {
        Index(self.links.len() as u64 - 1)
    }

    pub(super) fn last_link(&self) -> Link {
        self.links.last().copied().unwrap_or_default()
    }

    pub(super) fn last_position(&self) -> Position {
        Position::new(self.last_link().term, self.last())
    }

    /// The link of an entry that is here, or of the base.
    pub(super) fn link(&self, index: Index) -> Option<Link> {
        if index < self.base {
            return None;
        }
        self.links.get(at(index.0)).copied()
    }

    /// Whether the log up to `index` is the one that `link` sums up.
    pub(super) fn holds(&self, index: Index, link: Link) -> bool {
        self.link(index) == Some(link)
    }

    pub(super) fn push(&mut self, link: Link) {
        self.links.push(link);
    }

    /// Removes the entries from `from` on; the base stays.
    pub(super) fn truncate(&mut self, from: Index) {
        self.links.truncate(at(from.max(self.base.next()).0));
    }

    pub(super) fn reset(&mut self, base: Index, link: Link) {
        self.base = base;
        self.links.truncate(at(base.0));
        self.links.resize(at(base.0), Link::default());
        self.links.push(link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Term;

    fn link(chain: u64) -> Link {
        Link {
            term: Term(1),
            chain,
        }
    }

    #[test]
    fn a_mirror_appends_truncates_and_starts_over() {
        let mut mirror = Mirror::default();
        (1..=4).for_each(|chain| mirror.push(link(chain)));
        assert_eq!(mirror.last(), Index(4));
        mirror.truncate(Index(3));
        assert!(mirror.holds(Index(2), link(2)) && mirror.link(Index(3)).is_none());
        mirror.reset(Index(9), link(7));
        assert_eq!((mirror.base(), mirror.last()), (Index(9), Index(9)));
        assert!(mirror.link(Index(2)).is_none() && mirror.holds(Index(9), link(7)));
        mirror.truncate(Index(1));
        assert_eq!(mirror.last(), Index(9), "a snapshot is never truncated");
        mirror.reset(Index(2), link(5));
        assert_eq!(mirror.last_position(), Position::new(Term(1), Index(2)));
    }
}
