//! The small words of the protocol: terms, indexes, ids and points in time, as newtypes.
//!
//! Arithmetic lives here and nowhere else, so a term can never be added to an index. This file
//! knows nothing of what the numbers are used for.

use std::fmt;
use std::time::Duration;

macro_rules! number {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The stable name of a server. Addresses change, the id does not.
    NodeId
);
number!(
    /// A term (Raft §5.1): the logical clock that orders leaders. Term 0 has no leader.
    Term
);
number!(
    /// A position in the log. The first entry has index 1; index 0 is "before the log".
    Index
);
number!(
    /// One consensus group of the many that may share a process, a log and its connections.
    GroupId
);
number!(
    /// One life of a server's storage. A server whose disk was wiped comes back under the same
    /// [`NodeId`] with another incarnation, and the votes and acknowledgements of its former life
    /// can't be continued by it.
    Incarnation
);
number!(
    /// Names one write to the log store. Ids ascend; a write is persisted after all before it.
    WriteId
);
number!(
    /// Chosen by the shell for each request, and handed back with the answer.
    Ticket
);
number!(
    /// Counts the confirmation rounds of one leader: "is a quorum still mine?" (Raft §8).
    Round
);

impl Incarnation {
    /// Not known yet: the member was named before its server was heard of.
    pub const UNBOUND: Self = Self(0);
}

impl Term {
    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Index {
    /// The index after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The index before this one; the one before 0 is 0.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The index `count` places further on.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// How many entries lie in `(earlier, self]`; none if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Round {
    /// The round after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl WriteId {
    /// The write after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A point in time: nanoseconds since an origin that the shell picks and never moves back.
///
/// Only differences count, and only within one node: no message carries a `Time`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Time(pub u64);

impl Time {
    /// The moment `span` after this one.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// A span in whole nanoseconds; spans beyond 584 years are cut.
#[must_use]
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Where an entry stands and by whom it was made: what the paper compares logs by (§5.4.1).
///
/// The order is the paper's "at least as up-to-date": the later last term wins, then the longer
/// log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Position {
    /// The term in which a leader made the entry. First, because it decides the order.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
}

impl Position {
    /// The entry of `term` at `index`.
    #[must_use]
    pub const fn new(term: Term, index: Index) -> Self {
        Self { term, index }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}t{}", self.index, self.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_order_by_term_before_index() {
        let short_but_newer = Position::new(Term(3), Index(1));
        let long_but_older = Position::new(Term(2), Index(9));
        assert!(short_but_newer > long_but_older);
        assert!(Position::new(Term(2), Index(9)) > Position::new(Term(2), Index(8)));
    }

    #[test]
    fn arithmetic_stops_at_zero() {
        assert_eq!(Index(0).prev(), Index(0));
        assert_eq!(Index(3).since(Index(5)), 0);
        assert_eq!(Time(3).since(Time(5)), Duration::ZERO);
    }
}
