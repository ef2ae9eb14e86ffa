//! How many leases may be ended now: each takes its keys with it, and whoever waits for writes
//! waits for that, too. It does not know which leases.

use std::time::Duration;

use raft_core::Time;

/// Over a long time, so many leases are ended a second.
pub(super) const EXPIRIES_PER_SECOND: u32 = 1000;
/// After a quiet time, so many are ended at once.
pub(super) const EXPIRIES_AT_ONCE: u32 = 500;
/// What one takes of the time that was saved.
const COST: Duration = Duration::from_nanos(1_000_000_000 / EXPIRIES_PER_SECOND as u64);

/// Time that has passed is saved, and spent on leases.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    saved: Duration,
    seen: Time,
}

impl Throttle {
    pub(super) fn allowed(&mut self, clock: Time) -> usize {
        let saved = self.saved + clock.since(self.seen);
        self.saved = saved.min(COST * EXPIRIES_AT_ONCE);
        self.seen = clock;
        let allowed = self.saved.as_nanos() / COST.as_nanos();
        usize::try_from(allowed).unwrap_or(usize::MAX)
    }

    pub(super) fn used(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.saved = self.saved.saturating_sub(COST * count);
    }
}
