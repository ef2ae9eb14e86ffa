//! The digest of the state: what each row contributes, summed up; so a change is one subtraction
//! and one addition, and the order does not matter.
//!
//! A row that was damaged on the disk is taken away as something else than was added, so it shows
//! when it is touched. Each command chains the digest; so what differs once differs for ever, and
//! the first difference can be found by bisection.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::engine::Family;
use crate::rows::State;

/// What a row contributes.
pub(crate) fn of_row(family: Family, key: &[u8], row: &[u8]) -> u64 {
    xxh3_64_with_seed(row, xxh3_64_with_seed(key, family as u64))
}

impl State {
    /// A row was written.
    pub(super) fn row_came(&mut self, family: Family, key: &[u8], row: &[u8]) {
        self.digest = self.digest.wrapping_add(of_row(family, key, row));
    }

    /// A row was removed, or is about to be replaced.
    pub(super) fn row_went(&mut self, family: Family, key: &[u8], row: &[u8]) {
        self.digest = self.digest.wrapping_sub(of_row(family, key, row));
    }

    /// The command at the present index was answered so.
    pub fn chain_answer(&mut self, answer: &[u8]) {
        let seed = self.chain ^ self.digest.rotate_left(32) ^ self.revision.0;
        self.chain = xxh3_64_with_seed(answer, seed ^ self.applied.0.rotate_left(17));
    }
}
