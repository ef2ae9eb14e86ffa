//! When history is compacted without being told to, and up to where: etcd's two modes.
//!
//! *Periodic* notes the revision now and then, and once in a period compacts up to the one that was
//! the latest a retention ago; so whatever could be read at any moment since then still can.
//! *Revisions* keeps so many of the latest. All members note revisions, so that a new leader need
//! not wait for a retention first. Time is an input. It does not know how a compaction is proposed.

use std::collections::VecDeque;
use std::time::Duration;

use raft_core::Time;

use crate::types::Revision;

/// Which history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompactionMode {
    /// All that is younger than this; zero keeps all for ever.
    Periodic(Duration),
    /// So many revisions, the latest ones; zero keeps all for ever.
    Revisions(u64),
}

/// In periodic mode, history is compacted once in a retention, or this, if it is shorter.
const PERIOD_MAX: Duration = Duration::from_secs(60 * 60);
/// The same in the mode of revisions.
const REVISIONS_PERIOD: Duration = Duration::from_secs(5 * 60);
/// So many revisions are noted in a period; after so long a failed compaction is tried again.
const PARTS: u32 = 10;
/// So many revisions are noted at most. They lie further apart if the retention is very long.
const NOTES_MAX: u32 = 1000;

/// Decides it.
#[derive(Clone, Debug)]
pub struct AutoCompaction {
    mode: AutoCompactionMode,
    /// When the next compaction is due.
    due: Time,
    /// What the latest revision was when, both ascending. Periodic mode only.
    notes: VecDeque<(Time, Revision)>,
}

impl AutoCompaction {
    /// Begins now: what was before is not known.
    #[must_use]
    pub fn new(mode: AutoCompactionMode, now: Time) -> Self {
        let first = match mode {
            AutoCompactionMode::Periodic(retention) => retention,
            AutoCompactionMode::Revisions(_) => REVISIONS_PERIOD,
        };
        Self {
            mode,
            due: now.plus(first),
            notes: VecDeque::new(),
        }
    }

    /// This is the latest revision now. To be called often, on all members.
    pub fn note(&mut self, now: Time, revision: Revision) {
        let AutoCompactionMode::Periodic(retention) = self.mode else {
            return;
        };
        let apart = (period(self.mode) / PARTS).max(retention / NOTES_MAX);
        let is_wanted = |(last, _): &(Time, Revision)| now.since(*last) >= apart;
        if !retention.is_zero() && self.notes.back().is_none_or(is_wanted) {
            self.notes.push_back((now, revision));
        }
        // The first is the latest that is old enough; so there are as many as parts, and a few.
        while let Some((second, _)) = self.notes.get(1)
            && now.since(*second) >= retention
        {
            self.notes.pop_front();
        }
    }

    /// Up to where to compact now, if it is time for that, and there is something to compact.
    pub fn due(&mut self, now: Time, latest: Revision, compacted: Revision) -> Option<Revision> {
        if now < self.due {
            return None;
        }
        let target = match self.mode {
            AutoCompactionMode::Periodic(retention) => {
                let (noted, revision) = self.notes.front().copied()?;
                if now.since(noted) < retention {
                    return None;
                }
                revision
            }
            AutoCompactionMode::Revisions(0) => return None,
            AutoCompactionMode::Revisions(kept) => Revision(latest.0.saturating_sub(kept)),
        };
        self.due = now.plus(period(self.mode));
        // At the first revision nothing has a history.
        (target > compacted.max(Revision::FIRST)).then_some(target)
    }

    /// What was due could not be done: it is again, soon.
    pub fn failed(&mut self, now: Time) {
        self.due = now.plus(period(self.mode) / PARTS);
    }
}

/// The time from one compaction to the next.
fn period(mode: AutoCompactionMode) -> Duration {
    match mode {
        AutoCompactionMode::Periodic(retention) => retention.min(PERIOD_MAX),
        AutoCompactionMode::Revisions(_) => REVISIONS_PERIOD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Lets so many minutes pass, a hundred revisions in each; the store is compacted at once.
    /// Returns when, and up to where.
    fn check(mode: AutoCompactionMode, minutes: u32, expected: &[(u32, u64)]) {
        let begin = Time(7);
        let mut auto = AutoCompaction::new(mode, begin);
        let (mut compacted, mut all) = (Revision::NONE, Vec::new());
        for minute in 0..=minutes {
            let now = begin.plus(MINUTE * minute);
            let latest = Revision(u64::from(minute) * 100 + 1);
            auto.note(now, latest);
            if let Some(target) = auto.due(now, latest, compacted) {
                all.push((minute, target.0));
                compacted = target;
            }
        }
        assert_eq!(all, expected, "{mode:?}");
    }

    #[test]
    fn periodic_keeps_a_retention_and_compacts_once_in_one() {
        let mode = |minutes| AutoCompactionMode::Periodic(MINUTE * minutes);
        // The first is at the revision where it began, where nothing has a history.
        check(mode(10), 45, &[(20, 1001), (30, 2001), (40, 3001)]);
        check(mode(60), 185, &[(120, 6001), (180, 12_001)]);
        check(mode(0), 500, &[]);
    }

    #[test]
    fn periodic_compacts_once_an_hour_at_least() {
        let mode = AutoCompactionMode::Periodic(MINUTE * 24 * 60);
        let day = 24 * 60;
        let expected = [(day + 60, 6001), (day + 120, 12_001)];
        check(mode, day + 125, &expected);
    }

    #[test]
    fn revisions_are_counted_every_five_minutes() {
        let mode = AutoCompactionMode::Revisions;
        check(mode(700), 16, &[(10, 301), (15, 801)]);
        check(mode(1), 5, &[(5, 500)]);
        check(mode(1_000_000), 500, &[]);
        check(mode(0), 500, &[]);
    }

    #[test]
    fn what_could_be_read_within_the_retention_still_can() {
        for retention in [1, 9, 60, 61, 600] {
            let retention = MINUTE * retention;
            let mut auto = AutoCompaction::new(AutoCompactionMode::Periodic(retention), Time(0));
            let mut history = Vec::new();
            let mut compacted = Revision::NONE;
            // Steps of uneven length, as of a process that is stopped now and then.
            let (mut now, mut latest) = (Time(0), Revision::FIRST);
            for step in 0..5000_u64 {
                now = now.plus(Duration::from_secs(1 + step * 7919 % 97));
                latest = Revision(latest.0 + step * 104_729 % 3);
                history.push((now, latest));
                auto.note(now, latest);
                if let Some(target) = auto.due(now, latest, compacted) {
                    let is_old = |(then, _): &&(Time, Revision)| now.since(*then) >= retention;
                    let newest_old = history.iter().rev().find(is_old).map(|(_, was)| *was);
                    assert!(Some(target) <= newest_old, "at {now:?}");
                    assert!(target > compacted, "at {now:?}");
                    compacted = target;
                }
            }
            assert!(compacted > Revision::FIRST, "{retention:?}");
            assert!(
                auto.notes.len() <= 13 || retention > PERIOD_MAX,
                "few notes"
            );
            assert!(auto.notes.len() <= 1002, "a bounded number of notes");
        }
    }

    #[test]
    fn a_failed_compaction_is_due_again_soon() {
        let mut auto = AutoCompaction::new(AutoCompactionMode::Revisions(10), Time(0));
        let mut due = |seconds, failed: bool| {
            let now = Time(0).plus(Duration::from_secs(seconds));
            let due = auto.due(now, Revision(100), Revision::NONE);
            if failed {
                auto.failed(now);
            }
            due
        };
        assert_eq!(due(299, false), None);
        assert_eq!(due(300, true), Some(Revision(90)));
        assert_eq!(due(329, false), None);
        assert_eq!(due(330, false), Some(Revision(90)));
        assert_eq!(due(331, false), None);
        assert_eq!(due(630, false), Some(Revision(90)));
    }

    #[test]
    fn a_new_leader_need_not_wait_for_a_retention() {
        let mode = AutoCompactionMode::Periodic(MINUTE * 10);
        let mut auto = AutoCompaction::new(mode, Time(0));
        for minute in 0..35_u32 {
            auto.note(
                Time(0).plus(MINUTE * minute),
                Revision(u64::from(minute) + 5),
            );
        }
        let now = Time(0).plus(MINUTE * 34);
        let due = auto.due(now, Revision(39), Revision(5));
        assert_eq!(due, Some(Revision(24 + 5)));
    }
}
