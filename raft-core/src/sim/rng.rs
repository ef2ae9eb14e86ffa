//! The world's only randomness: Vigna's `splitmix64`.
//!
//! Every draw is integer arithmetic, so a seed means the same run on every machine. This file does
//! not know what is drawn.

/// One in this many.
pub const MILLION: u64 = 1_000_000;

/// A stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(u64);

impl Rng {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(end);
        u64::try_from(product >> 64).expect("the high half of a product of two u64")
    }

    /// A number from `low` to `high`, both included; `low` if they are the wrong way round.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True this many times in a million.
    pub fn chance(&mut self, ppm: u64) -> bool {
        // Most rates are zero in most runs; then nothing is drawn.
        ppm > 0 && self.below(MILLION) < ppm
    }

    /// A place in a list of this length; 0 if it is empty.
    pub fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// One of these, if there is any.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.place(of.len()))
    }

    /// A number from `low` to `high` whose magnitude is uniform rather than its value, so that
    /// small and large are drawn alike.
    pub fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let doublings = u64::from((high / low.max(1)).max(1).ilog2());
        let least = low << self.below(doublings + 1);
        self.between(least, least.saturating_mul(2)).min(high)
    }

    /// A stream of its own.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self(self.draw())
    }

    /// Puts these into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.place(end + 1));
        }
    }
}

/// Folds a word into a running hash. Fast, and good enough to tell two runs apart.
#[must_use]
pub const fn fold(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut rng = Rng::new(7);
        for _ in 0..1000 {
            assert!(rng.below(3) < 3);
            assert!((5..=9).contains(&rng.between(5, 9)));
            assert!((10..=5000).contains(&rng.magnitude(10, 5000)));
            assert!(!rng.chance(0) && rng.chance(MILLION));
        }
        assert_eq!(
            (rng.below(0), rng.between(4, 4), rng.between(u64::MAX, 0)),
            (0, 4, u64::MAX)
        );
        assert_eq!(rng.pick::<u8>(&[]), None);
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut items: Vec<u64> = (0..50).collect();
        Rng::new(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_of_words_counts() {
        assert_ne!(fold(fold(0, 1), 2), fold(fold(0, 2), 1));
    }
}
