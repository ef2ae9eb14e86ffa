//! When the log is compacted (Raft §7), and how much of it stays behind the snapshot.
//!
//! By bytes, by entries and by time: a cluster with few writes compacts too, or its log would keep
//! for ever what has long been overwritten. A tail stays for followers that are a little behind, so
//! that they need no snapshot. Pure: time is an input. This file takes no snapshot itself, and does
//! not know what one is made of.

use std::time::Duration;

use crate::event::Event;
use crate::port::LogUsage;
use crate::types::{Index, NodeId, Time};

/// The limits. A snapshot is due as soon as one of them is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// So many bytes were applied since the last snapshot.
    pub bytes_max: u64,
    /// So many entries were applied since the last snapshot.
    pub entries_max: u64,
    /// The last snapshot is so old, and at least one entry was applied since.
    pub age_max: Duration,
    /// So many entries stay behind the snapshot,
    pub tail_entries: u64,
    /// as long as they take no more than this.
    pub tail_bytes_max: u64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            entries_max: 100_000,
            age_max: Duration::from_hours(1),
            tail_entries: 10_000,
            tail_bytes_max: 64 << 20,
        }
    }
}

/// Why a policy is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionPolicyError {
    /// A snapshot would be due at once and always.
    LimitOfZero,
    /// The log would be compacted before its tail is full, so that it never shrinks.
    TailBeyondLimit,
}

impl CompactionPolicy {
    /// Whether the limits go together.
    ///
    /// # Errors
    /// When they don't.
    pub fn validate(&self) -> Result<(), CompactionPolicyError> {
        if self.bytes_max == 0 || self.entries_max == 0 || self.age_max.is_zero() {
            return Err(CompactionPolicyError::LimitOfZero);
        }
        if self.tail_entries > self.entries_max || self.tail_bytes_max > self.bytes_max {
            return Err(CompactionPolicyError::TailBeyondLimit);
        }
        Ok(())
    }
}

/// Why a snapshot is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionCause {
    /// Enough bytes were applied.
    Bytes,
    /// Enough entries were applied.
    Entries,
    /// The last one is old.
    Age,
}

/// Watches how much was applied since the last snapshot.
#[derive(Clone, Debug)]
pub struct Compactor {
    policy: CompactionPolicy,
    /// Taken off every limit, in 1/256 of it: members that apply the same must not all take their
    /// snapshots at the same moment.
    stagger: u64,
    /// Where the last snapshot ends.
    snapshot: Index,
    taken: Time,
    applied: Index,
    bytes: u64,
}

impl Compactor {
    /// Begins at a snapshot, of which all that is known is that it is there now.
    #[must_use]
    pub fn new(policy: CompactionPolicy, id: NodeId, snapshot: Index, now: Time) -> Self {
        // Neighbouring ids lie far apart: multiplied by the golden ratio, of which 6 bits count.
        let stagger = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        Self {
            policy,
            stagger,
            snapshot,
            taken: now,
            applied: snapshot,
            bytes: 0,
        }
    }

    /// Entries up to `index`, of this weight together, were applied.
    pub fn applied(&mut self, index: Index, weight: u64) {
        if index > self.applied {
            self.applied = index;
            self.bytes += weight;
        }
    }

    /// A snapshot that ends at `index` is there now, taken or received.
    pub fn snapshot(&mut self, index: Index, now: Time) {
        self.snapshot = index;
        self.applied = self.applied.max(index);
        self.taken = now;
        self.bytes = 0;
    }

    /// Whether a snapshot is due, and why.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<CompactionCause> {
        let entries = self.applied.since(self.snapshot);
        if entries == 0 {
            None
        } else if self.bytes >= self.staggered(self.policy.bytes_max) {
            Some(CompactionCause::Bytes)
        } else if entries >= self.staggered(self.policy.entries_max) {
            Some(CompactionCause::Entries)
        } else if now >= self.deadline() {
            Some(CompactionCause::Age)
        } else {
            None
        }
    }

    /// When the last snapshot is so old that another is due if anything was applied since.
    #[must_use]
    pub fn deadline(&self) -> Time {
        let age = crate::types::nanos(self.policy.age_max);
        self.taken.plus(Duration::from_nanos(self.staggered(age)))
    }

    /// What to tell the core once a snapshot is there: how far the log may go. `usage` is that of
    /// the log, by which the bytes of the tail are reckoned.
    #[must_use]
    pub fn compact(&self, usage: LogUsage) -> Event {
        let mean = usage.bytes.checked_div(usage.entries).unwrap_or(0).max(1);
        let tail = self
            .policy
            .tail_entries
            .min(self.policy.tail_bytes_max / mean);
        Event::Compact(Index(self.snapshot.0.saturating_sub(tail)))
    }

    const fn staggered(&self, limit: u64) -> u64 {
        let less = limit - limit / 256 * self.stagger;
        if less == 0 { 1 } else { less }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: CompactionPolicy = CompactionPolicy {
        bytes_max: 1000,
        entries_max: 100,
        age_max: Duration::from_secs(60),
        tail_entries: 20,
        tail_bytes_max: 400,
    };

    fn seconds(count: u64) -> Time {
        Time(count * 1_000_000_000)
    }

    /// That of node 0, whose limits are exact.
    fn at(snapshot: u64) -> Compactor {
        Compactor::new(POLICY, NodeId(0), Index(snapshot), seconds(10))
    }

    #[test]
    fn each_limit_makes_a_snapshot_due() {
        let check = |applied: u64, weight: u64, now: u64, expected| {
            let mut compactor = at(50);
            compactor.applied(Index(applied), weight);
            assert_eq!(compactor.due(seconds(now)), expected);
            compactor.snapshot(Index(applied), seconds(now));
            assert_eq!(compactor.due(seconds(now)), None, "it was taken");
        };
        check(51, 999, 69, None);
        check(51, 1000, 69, Some(CompactionCause::Bytes));
        check(149, 10, 69, None);
        check(150, 10, 69, Some(CompactionCause::Entries));
        check(51, 10, 70, Some(CompactionCause::Age));
        check(50, 0, 9999, None);
    }

    #[test]
    fn what_is_applied_again_does_not_count() {
        let mut compactor = at(50);
        for _ in 0..9 {
            compactor.applied(Index(60), 200);
        }
        assert_eq!(compactor.due(seconds(11)), None);
    }

    #[test]
    fn the_tail_that_stays_is_bounded_by_entries_and_bytes() {
        let check = |snapshot, entries, bytes, expected| {
            let usage = LogUsage { entries, bytes };
            assert_eq!(at(snapshot).compact(usage), Event::Compact(Index(expected)));
        };
        check(50, 100, 1000, 30);
        check(50, 100, 10_000, 46);
        check(50, 100, 100_000, 50);
        check(50, 0, 0, 30);
        check(5, 5, 50, 0);
    }

    #[test]
    fn members_do_not_take_snapshots_all_at_once() {
        let mut deadlines: Vec<_> = (1..=7)
            .map(|id| Compactor::new(POLICY, NodeId(id), Index(0), seconds(0)).deadline())
            .collect();
        deadlines.sort();
        deadlines.dedup();
        assert_eq!(deadlines.len(), 7);
        assert!(
            deadlines[0] >= seconds(45),
            "never less than three quarters"
        );
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        assert_eq!(CompactionPolicy::default().validate(), Ok(()));
        let zero = CompactionPolicy {
            entries_max: 0,
            ..POLICY
        };
        assert_eq!(zero.validate(), Err(CompactionPolicyError::LimitOfZero));
        let tail = CompactionPolicy {
            tail_entries: 101,
            ..POLICY
        };
        assert_eq!(tail.validate(), Err(CompactionPolicyError::TailBeyondLimit));
    }
}
