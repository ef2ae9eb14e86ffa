//! A node's clock: it runs at a rate of its own, jumps forward, stands still, never goes back.
//!
//! Within the world there is one true time; a node sees only what its clock makes of it. This file
//! does not know which rates are fair.

use super::super::rng::MILLION;
use crate::types::Time;

/// A clock. It outlives the process that reads it.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Clock {
    /// A true time and what the clock showed then.
    anchor: (u64, u64),
    /// A million is the true rate; 0 stands still.
    rate_ppm: u64,
}

impl Clock {
    /// A clock at the true rate that shows this at the beginning of the world.
    #[must_use]
    pub(in crate::sim) const fn showing(local: u64) -> Self {
        Self {
            anchor: (0, local),
            rate_ppm: MILLION,
        }
    }

    /// What it shows.
    #[must_use]
    pub(in crate::sim) fn read(&self, now: u64) -> Time {
        let (at, local) = self.anchor;
        let passed = now.saturating_sub(at);
        if self.rate_ppm == MILLION {
            return Time(local + passed);
        }
        let shown = u128::from(passed) * u128::from(self.rate_ppm) / u128::from(MILLION);
        Time(local.saturating_add(u64::try_from(shown).unwrap_or(u64::MAX)))
    }

    /// From now on it runs at this rate.
    pub(in crate::sim) fn set_rate(&mut self, now: u64, rate_ppm: u64) {
        self.anchor = (now, self.read(now).0);
        self.rate_ppm = rate_ppm;
    }

    /// It jumps forward.
    pub(in crate::sim) fn jump(&mut self, now: u64, by: u64) {
        self.anchor = (now, self.read(now).0.saturating_add(by));
    }

    /// The true time at which it will show `local`; `None` while it stands still before that.
    #[must_use]
    pub(in crate::sim) fn when(&self, local: Time) -> Option<u64> {
        let (at, anchored) = self.anchor;
        let ahead = local.0.saturating_sub(anchored);
        if ahead == 0 || self.rate_ppm == MILLION {
            return Some(at.saturating_add(ahead));
        }
        if self.rate_ppm == 0 {
            return None;
        }
        let needed = (u128::from(ahead) * u128::from(MILLION)).div_ceil(u128::from(self.rate_ppm));
        Some(at.saturating_add(u64::try_from(needed).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_a_deadline_no_earlier_than_it_said() {
        for rate in [1, 333_333, 500_000, MILLION, 1_234_567, 2_000_000] {
            let mut clock = Clock::showing(17);
            clock.set_rate(100, rate);
            for local in [18, 117, 118, 500, 12_345] {
                let when = clock.when(Time(local)).expect("it runs");
                assert!(
                    clock.read(when.max(100)) >= Time(local),
                    "rate {rate}, local {local}"
                );
            }
        }
    }

    #[test]
    fn a_clock_never_goes_back() {
        let mut clock = Clock::showing(0);
        clock.jump(10, 1000);
        assert_eq!(clock.read(10), Time(1010));
        clock.set_rate(20, 0);
        assert_eq!((clock.read(20), clock.read(9999)), (Time(1020), Time(1020)));
        assert_eq!(clock.when(Time(1021)), None);
        clock.set_rate(9999, MILLION);
        assert_eq!(clock.read(10_000), Time(1021));
    }
}
