//! Chance, as far as this crate needs it: a stream of numbers that a seed decides.
//!
//! It does not know what is drawn for.

use std::ops::RangeInclusive;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): every seed is a good one.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True so many times in a thousand.
    pub(crate) fn hits(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.next() % 1000 < u64::from(per_mille)
    }

    /// A span within the range; its start if there is none within it.
    pub(crate) fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let width = range.end().saturating_sub(*range.start());
        let nanos = u64::try_from(width.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            return *range.start();
        }
        *range.start() + Duration::from_nanos(self.next() % nanos.saturating_add(1))
    }
}
