//! When a snapshot of the machine is taken: when the compaction policy says so, or an operator.
//!
//! One at a time. This file does not know how one is written.

use std::time::Duration;

use tokio::sync::oneshot;

use super::error::SnapshotError;
use crate::compaction::Compactor;
use crate::event::Event;
use crate::port::LogUsage;
use crate::types::{Index, Time};

/// A snapshot that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

/// Whoever waits for a snapshot that is taken on demand.
pub(super) type Waiting = oneshot::Sender<Result<Index, SnapshotError>>;

/// Watches over the taking of snapshots.
pub(super) struct Taking {
    compactor: Compactor,
    /// From the moment when the machine is told until the snapshot is durable, or failed.
    is_under_way: bool,
    /// Operators who wait for the next one to be begun.
    wanted: Vec<Waiting>,
    /// Operators who wait for the one under way.
    waiting: Vec<Waiting>,
    not_before: Time,
}

impl Taking {
    pub(super) const fn new(compactor: Compactor) -> Self {
        Self {
            compactor,
            is_under_way: false,
            wanted: Vec::new(),
            waiting: Vec::new(),
            not_before: Time(0),
        }
    }

    /// Entries up to `index`, of this weight together, were applied.
    pub(super) fn applied(&mut self, index: Index, weight: u64) {
        self.compactor.applied(index, weight);
    }

    /// An operator wants one.
    pub(super) fn order(&mut self, waiting: Waiting) {
        if self.has_news() {
            self.wanted.push(waiting);
        } else {
            // Whoever gave the order may be gone.
            drop(waiting.send(Err(SnapshotError::NothingNew)));
        }
    }

    /// Whether the machine is to be told now; says so once.
    pub(super) fn is_due(&mut self, now: Time) -> bool {
        let by_policy = now >= self.not_before && self.compactor.due(now).is_some();
        if self.is_under_way || self.wanted.is_empty() && !by_policy {
            return false;
        }
        self.is_under_way = true;
        self.waiting.append(&mut self.wanted);
        true
    }

    /// When the age of the last snapshot makes another due.
    pub(super) fn deadline(&self) -> Option<Time> {
        let may_be_due = !self.is_under_way && self.has_news();
        may_be_due.then(|| self.compactor.deadline().max(self.not_before))
    }

    /// It is durable; how far the log may be compacted now.
    pub(super) fn taken(&mut self, index: Index, usage: LogUsage, now: Time) -> Event {
        self.is_under_way = false;
        for waiting in self.waiting.drain(..) {
            drop(waiting.send(Ok(index)));
        }
        self.compactor.snapshot(index, now);
        self.compactor.compact(usage)
    }

    /// It could not be taken.
    pub(super) fn failed(&mut self, error: &SnapshotError, now: Time) {
        self.is_under_way = false;
        self.not_before = now.plus(RETRY);
        for waiting in self.waiting.drain(..) {
            drop(waiting.send(Err(error.clone())));
        }
    }

    /// One came from another node.
    pub(super) fn received(&mut self, index: Index, now: Time) {
        self.compactor.snapshot(index, now);
    }

    fn has_news(&self) -> bool {
        self.compactor.due(Time(u64::MAX)).is_some()
    }
}
