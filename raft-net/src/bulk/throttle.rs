//! How fast snapshots may be sent: so many bytes a second, to all readers together.
//!
//! This file does not wait: it says for how long to.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::shared::lock;

/// Keeps the rate of all transfers together.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: u64,
    /// When all that was granted has been sent at the rate. In the past after a lull.
    paid_until: Mutex<Instant>,
}

impl Throttle {
    /// How much of a lull can be made up for: what may be sent in a burst.
    const BURST: Duration = Duration::from_millis(100);

    /// Grants that many bytes a second.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            paid_until: Mutex::new(Instant::now()),
        }
    }

    /// Grants that many bytes, and says from when on they may be sent.
    pub(crate) fn grant(&self, bytes: usize, now: Instant) -> Instant {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut paid_until = lock(&self.paid_until);
        let from = (*paid_until).max(now.checked_sub(Self::BURST).unwrap_or(now));
        *paid_until = from + cost;
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_by_all_together() {
        let throttle = Throttle::new(1000);
        let start = Instant::now() + Duration::from_secs(1);
        let mut last = start;
        for _ in 0..10 {
            last = throttle.grant(500, start);
        }
        // The tenth waits for nine before it, less the burst.
        let expected = start + Duration::from_millis(4500) - Throttle::BURST;
        assert!(last.duration_since(expected) < Duration::from_millis(1));
        assert!(expected.duration_since(last) < Duration::from_millis(1));
    }

    #[test]
    fn after_a_lull_no_more_than_a_burst_is_made_up_for() {
        let throttle = Throttle::new(1000);
        let later = Instant::now() + Duration::from_secs(100);
        assert!(throttle.grant(1000, later) <= later);
        assert!(throttle.grant(1, later) >= later + Duration::from_millis(800));
    }
}
