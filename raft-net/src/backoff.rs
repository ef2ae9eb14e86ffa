//! How long to wait before the next attempt to reach a peer: twice as long each time, with jitter.
//!
//! This file waits for nothing, and knows no peer.

use std::time::Duration;

/// The waits before the attempts to reach one peer.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    /// The next wait, before jitter.
    next: Duration,
    random: u64,
}

impl Backoff {
    /// Waits of `min..=max`, with jitter drawn from `seed`.
    pub(crate) const fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max,
            next: min,
            random: seed,
        }
    }

    /// The next wait: between a half and the whole of what it would be without jitter, so that
    /// nodes which lost a peer at the same moment don't all come back at the same moment.
    pub(crate) fn draw(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.max);
        let jitter = whole.mul_f64(self.fraction() / 2.0);
        whole - jitter
    }

    /// The peer was reached.
    pub(crate) const fn reset(&mut self) {
        self.next = self.min;
    }

    /// A number in `0.0..1.0`, by SplitMix64 (Steele, Lea, Flood 2014).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let high = u32::try_from(bits >> 32).expect("32 bits are left");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_never_leave_it() {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(100));
        for seed in 0..100 {
            let mut backoff = Backoff::new(min, max, seed);
            for whole in [10, 20, 40, 80, 100, 100] {
                let whole = Duration::from_millis(whole);
                let wait = backoff.draw();
                assert!(wait <= whole && wait >= whole / 2, "seed {seed}: {wait:?}");
            }
            backoff.reset();
            assert!(backoff.draw() <= min, "seed {seed}");
        }
    }

    #[test]
    fn different_seeds_wait_differently() {
        let draw = |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(1), seed).draw();
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(3), draw(3));
    }
}
