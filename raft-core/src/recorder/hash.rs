//! A hash that is the same in every process: of records against damage, of outputs to compare them.
//!
//! It defends against accidents, not against attackers. It is no part of any protocol, so it may
//! change with the format of recordings.

use std::hash::{Hash, Hasher};

use crate::event::Output;

/// Multiplies each word into the state and folds the product's halves.
pub(super) struct Fold(u64);

impl Fold {
    /// Odd, with as many ones as zeros in no pattern: the digits of the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    /// Keeps a product of zero from swallowing what was hashed before.
    const STEP: u64 = 0xd1b5_4a32_d192_ed03;

    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ Self::STEP)
    }

    fn word(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word);
    }
}

/// A product waits for the one before it, so long content goes through so many at once.
const LANES: usize = 4;

fn mix(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(Fold::FACTOR);
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded.wrapping_add(Fold::STEP).rotate_left(29)
}

// Numbers are spelled out where the defaults would go by the machine's byte order or width.
impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        let (blocks, words) = words.as_chunks::<LANES>();
        if !blocks.is_empty() {
            let mut lanes = [self.0; LANES];
            for block in blocks {
                for (lane, word) in lanes.iter_mut().zip(block) {
                    *lane = mix(*lane ^ u64::from_le_bytes(*word));
                }
            }
            lanes.into_iter().for_each(|lane| self.word(lane));
        }
        words
            .iter()
            .for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.word(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.word(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }
}

/// What an output is recognized by.
pub(crate) fn digest(output: &Output) -> u64 {
    let mut hasher = Fold::new(0);
    output.hash(&mut hasher);
    hasher.finish()
}

/// What a record is recognized by: its bytes, and its place in the recording.
pub(super) fn checksum(number: u64, bytes: &[u8]) -> u64 {
    let mut hasher = Fold::new(number);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Index;

    #[test]
    fn every_bit_and_every_byte_of_length_makes_a_difference() {
        let plain: Vec<u8> = (0..108).collect();
        let sum = checksum(7, &plain);
        for bit in 0..plain.len() * 8 {
            let mut flipped = plain.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(7, &flipped), sum, "bit {bit}");
        }
        let zeros = [0; 17];
        let sums: std::collections::BTreeSet<u64> = (0..=zeros.len())
            .map(|to| checksum(7, &zeros[..to]))
            .collect();
        assert_eq!(sums.len(), zeros.len() + 1);
        assert_ne!(checksum(8, &plain), sum, "another place");
    }

    #[test]
    fn outputs_hash_by_content_alone_and_alike_everywhere() {
        let output = |purge| Output {
            purge: Some(Index(purge)),
            ..Output::default()
        };
        assert_eq!(digest(&output(3)), digest(&output(3)));
        assert_ne!(digest(&output(3)), digest(&output(4)));
        // Written down once: it is the same in every process, or recordings are worth nothing.
        assert_eq!(digest(&Output::default()), 0xb410_2514_cd65_917e);
    }
}
