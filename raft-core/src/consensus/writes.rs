//! What is on its way to the disk, and what is durable already.
//!
//! Durability is an input: this file believes [`Persisted`](crate::Event::Persisted) and nothing
//! else. A write covers the log as it was when issued; when entries are truncated later, every
//! write under way covers less, so that a late `Persisted` never speaks for entries that took the
//! place of the ones it wrote.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::Log;
use crate::entries::Entries;
use crate::entry::{HardState, SnapshotMeta};
use crate::event::Write;
use crate::types::{Index, Time, WriteId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Writes {
    last_id: WriteId,
    in_flight: VecDeque<InFlight>,
    /// The log is durable up to here.
    durable: Index,
    /// Term or vote changed since the last write was issued.
    hard_state_changed: bool,
    /// The log was replaced by this snapshot since the last write was issued.
    reset: Option<Arc<SnapshotMeta>>,
    /// Entries that an issued write holds were truncated from here on since.
    truncate: Option<Index>,
    /// Entries from here on are in no issued write.
    unwritten: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct InFlight {
    id: WriteId,
    issued: Time,
    /// The last entry that is durable once this write is; lowered by truncation.
    covers: Index,
    hard_state: bool,
}

impl Writes {
    pub(super) const fn new(durable: Index) -> Self {
        Self {
            last_id: WriteId(0),
            in_flight: VecDeque::new(),
            durable,
            hard_state_changed: false,
            reset: None,
            truncate: None,
            unwritten: durable.next(),
        }
    }

    pub(super) const fn durable(&self) -> Index {
        self.durable
    }

    /// Whether term and vote, as they are now, would survive a power cut.
    pub(super) fn is_hard_state_durable(&self) -> bool {
        !self.hard_state_changed && !self.in_flight.iter().any(|write| write.hard_state)
    }

    /// When the oldest write that is not durable yet was issued.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.in_flight.front().map(|write| write.issued)
    }

    pub(super) const fn hard_state_changed(&mut self) {
        self.hard_state_changed = true;
    }

    /// The entries from `from` on are gone from the log.
    pub(super) fn truncated(&mut self, from: Index) {
        self.durable = self.durable.min(from.prev());
        for write in &mut self.in_flight {
            write.covers = write.covers.min(from.prev());
        }
        if from < self.unwritten {
            self.truncate = Some(self.truncate.map_or(from, |earlier| earlier.min(from)));
            self.unwritten = from;
        }
    }

    /// The log was replaced by a snapshot: nothing on its way speaks for it.
    pub(super) fn reset(&mut self, snapshot: Arc<SnapshotMeta>) {
        self.durable = Index(0);
        for write in &mut self.in_flight {
            write.covers = Index(0);
        }
        self.truncate = None;
        self.unwritten = snapshot.last.index.next();
        self.reset = Some(snapshot);
    }

    /// One write for all that changed since the last one.
    pub(super) fn issue(
        &mut self,
        now: Time,
        hard_state: HardState,
        log: &mut Log,
    ) -> Option<Write> {
        let last = log.last_index();
        if !self.hard_state_changed
            && self.reset.is_none()
            && self.truncate.is_none()
            && self.unwritten > last
        {
            return None;
        }
        self.last_id = self.last_id.next();
        let entries = if self.unwritten > last {
            Entries::default()
        } else {
            log.slice(self.unwritten, last, u64::MAX)
                .expect("entries leave memory only after they are durable")
        };
        self.unwritten = last.next();
        self.in_flight.push_back(InFlight {
            id: self.last_id,
            issued: now,
            covers: last,
            hard_state: self.hard_state_changed,
        });
        let hard_state = self.hard_state_changed.then_some(hard_state);
        self.hard_state_changed = false;
        Some(Write {
            id: self.last_id,
            reset: self.reset.take(),
            hard_state,
            truncate: self.truncate.take(),
            entries,
        })
    }

    #[cfg(feature = "sim")]
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        self.in_flight
            .iter_mut()
            .for_each(|write| change(&mut write.issued));
    }

    #[cfg(feature = "sim")]
    pub(super) fn renumber(&mut self) {
        self.last_id = WriteId(0);
        for write in &mut self.in_flight {
            self.last_id = self.last_id.next();
            write.id = self.last_id;
        }
    }

    /// This write and all before it are durable.
    pub(super) fn persisted(&mut self, id: WriteId) {
        while self.in_flight.front().is_some_and(|write| write.id <= id) {
            if let Some(write) = self.in_flight.pop_front() {
                self.durable = self.durable.max(write.covers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Payload};
    use crate::types::{Position, Term};

    fn append(log: &mut Log, term: u64) {
        let index = log.last_index().next();
        log.append(Entry {
            term: Term(term),
            index,
            payload: Payload::Noop,
        });
    }

    fn issue(writes: &mut Writes, log: &mut Log) -> Option<Write> {
        writes.issue(Time(0), HardState::default(), log)
    }

    #[test]
    fn one_write_takes_all_that_changed_and_nothing_twice() {
        let (mut log, mut writes) = (Log::default(), Writes::new(Index(0)));
        assert_eq!(issue(&mut writes, &mut log), None);
        append(&mut log, 1);
        append(&mut log, 1);
        writes.hard_state_changed();
        let write = issue(&mut writes, &mut log).expect("changed");
        assert_eq!((write.entries.len(), write.hard_state.is_some()), (2, true));
        assert_eq!(issue(&mut writes, &mut log), None);
        assert!(!writes.is_hard_state_durable());
        writes.persisted(write.id);
        assert!(writes.is_hard_state_durable());
        assert_eq!(writes.durable(), Index(2));
    }

    #[test]
    fn a_late_persisted_speaks_only_for_what_was_not_truncated() {
        let (mut log, mut writes) = (Log::default(), Writes::new(Index(0)));
        (0..4).for_each(|_| append(&mut log, 1));
        let old = issue(&mut writes, &mut log).expect("changed");
        log.truncate(Index(3));
        writes.truncated(Index(3));
        append(&mut log, 2);
        append(&mut log, 2);
        let new = issue(&mut writes, &mut log).expect("changed");
        assert_eq!((new.truncate, new.entries.len()), (Some(Index(3)), 2));
        writes.persisted(old.id);
        assert_eq!(writes.durable(), Index(2));
        writes.persisted(new.id);
        assert_eq!(writes.durable(), Index(4));
    }

    #[test]
    fn entries_truncated_before_they_were_written_leave_no_trace() {
        let (mut log, mut writes) = (Log::default(), Writes::new(Index(0)));
        (0..2).for_each(|_| append(&mut log, 1));
        log.truncate(Index(2));
        writes.truncated(Index(2));
        let write = issue(&mut writes, &mut log).expect("changed");
        assert_eq!((write.truncate, write.entries.len()), (None, 1));
    }

    #[test]
    fn a_reset_takes_back_what_older_writes_covered() {
        let (mut log, mut writes) = (Log::default(), Writes::new(Index(0)));
        (0..9).for_each(|_| append(&mut log, 1));
        let old = issue(&mut writes, &mut log).expect("changed");
        let last = Position::new(Term(2), Index(5));
        log.reset(last);
        writes.reset(Arc::new(SnapshotMeta {
            last,
            ..Default::default()
        }));
        append(&mut log, 2);
        writes.persisted(old.id);
        assert_eq!(writes.durable(), Index(0));
        let new = issue(&mut writes, &mut log).expect("changed");
        assert_eq!((new.reset.is_some(), new.entries.len()), (true, 1));
        writes.persisted(new.id);
        assert_eq!(writes.durable(), Index(6));
    }
}
