//! The node's only randomness: a `splitmix64` stream from the configured seed.
//!
//! It need not be unpredictable, only different from node to node, so that split votes end (§5.2).

use std::time::Duration;

use crate::types::nanos;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A span from `min` to `max`. Where there is no choice nothing is drawn, so that a model
    /// checker with a fixed timeout sees no state change.
    pub(super) fn between(&mut self, min: Duration, max: Duration) -> Duration {
        let choice = nanos(max).saturating_sub(nanos(min));
        if choice == 0 {
            return min;
        }
        min + Duration::from_nanos(self.next() % (choice + 1))
    }

    /// Any number that can be counted up from for ever. It leaves room not in 64 bits alone, but
    /// below the numbers that a transport refuses since nobody counts that far.
    pub(super) const fn any(&mut self) -> u64 {
        self.next() >> 3
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds_and_differ() {
        let (min, max) = (Duration::from_nanos(10), Duration::from_nanos(13));
        let mut rng = Rng::new(1);
        let mut seen = [false; 4];
        for _ in 0..100 {
            let drawn = rng.between(min, max).as_nanos();
            seen[usize::try_from(drawn).expect("small") - 10] = true;
        }
        assert_eq!(seen, [true; 4]);
    }
}
