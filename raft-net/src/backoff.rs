//! How long to wait before the next attempt to reach a peer: twice as long each time, with jitter.
//!
//! This file waits for nothing, and knows no peer.

use std::time::Duration;

use crate::dice::Dice;

/// The waits before the attempts to reach one peer.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    /// The next wait, before jitter.
    next: Duration,
    dice: Dice,
}

impl Backoff {
    /// Waits of `min..=max`, with jitter drawn from `seed`.
    pub(crate) const fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max,
            next: min,
            dice: Dice::new(seed),
        }
    }

    /// The next wait: between a half and the whole of what it would be without jitter, so that
    /// nodes which lost a peer at the same moment don't all come back at the same moment.
    pub(crate) fn draw(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.max);
        self.dice.within(&(whole / 2..=whole))
    }

    /// The peer was reached.
    pub(crate) const fn reset(&mut self) {
        self.next = self.min;
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
