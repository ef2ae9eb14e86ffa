//! A clock that counts only the time that its process was awake. It does not know what for.
//!
//! The clock of the system runs on while a process is stopped, swapped out, or moved with its
//! machine.

use std::time::Duration;

use raft_core::Time;

use super::Lessor;

/// Goes on by what passed since it was last looked at, but by no more than [`Lessor::GAP_MAX`].
#[derive(Debug, Default)]
pub(super) struct WakingClock {
    /// By the clock of the system.
    seen: Time,
    /// By this clock.
    clock: Time,
}

impl WakingClock {
    /// What it shows, without noting that somebody has looked.
    pub(super) fn at(&self, now: Time) -> Time {
        let passed: Duration = now.since(self.seen);
        self.clock.plus(passed.min(Lessor::GAP_MAX))
    }

    /// What it shows.
    pub(super) fn advance(&mut self, now: Time) -> Time {
        self.clock = self.at(now);
        self.seen = self.seen.max(now);
        self.clock
    }
}
