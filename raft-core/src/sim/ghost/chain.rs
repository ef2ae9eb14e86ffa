//! A log in one number: each entry's link sums up its term, its payload and all before it.
//!
//! Two logs whose links at an index are equal are equal up to there, so that Log Matching (§5.3)
//! is one comparison. This file does not know whose logs are compared. The hash is quick, not
//! strong: it finds mistakes, not attacks.

use std::hash::{Hash, Hasher};

use crate::entry::{Entry, Payload};
use crate::sim::rng::fold;
use crate::types::Term;

/// One entry as its log's sum up to it. That of index 0 is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// The entry's own term.
    pub(super) term: Term,
    /// The sum of the log up to and with this entry.
    pub(super) chain: u64,
}

impl Link {
    /// The link of the entry that follows this one.
    pub(super) fn then(self, entry: &Entry) -> Self {
        let chain = fold(fold(self.chain, entry.term.0), of_payload(&entry.payload));
        Self {
            term: entry.term,
            chain,
        }
    }
}

fn of_payload(payload: &Payload) -> u64 {
    match payload {
        Payload::Noop => 1,
        Payload::Command(bytes) => of_bytes(2, bytes),
        Payload::Membership(membership) => {
            let mut folding = Folding(3);
            membership.hash(&mut folding);
            folding.0
        }
    }
}

/// Folds bytes into a running sum, eight at a time; the length counts, so no two are confused by
/// their padding.
pub(super) fn of_bytes(start: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = fold(start, bytes.len() as u64);
    for word in words {
        sum = fold(sum, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The last fold spreads the low bits upwards once more; `rotate` alone would leave them thin.
    fold(fold(sum, u64::from_le_bytes(last)), sum)
}

/// Lets what already knows how to hash itself be folded, with the same result in every run.
struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = of_bytes(self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::Index;

    fn entry(term: u64, bytes: &[u8]) -> Entry {
        let payload = Payload::Command(Bytes::copy_from_slice(bytes));
        Entry {
            term: Term(term),
            index: Index(1),
            payload,
        }
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let one = Link::default().then(&entry(1, b"command"));
        assert_eq!(one, Link::default().then(&entry(1, b"command")));
        assert_ne!(one, Link::default().then(&entry(2, b"command")), "the term");
        assert_ne!(
            one,
            Link::default().then(&entry(1, b"command\0")),
            "the length"
        );
        assert_ne!(one, Link::default().then(&entry(1, b"commanD")), "a bit");
        assert_ne!(one, one.then(&entry(1, b"command")), "what was before");
        let noop = Entry {
            term: Term(1),
            index: Index(1),
            payload: Payload::Noop,
        };
        assert_ne!(one, Link::default().then(&noop), "the kind");
    }

    #[test]
    fn a_flipped_bit_anywhere_shows() {
        let bytes: Vec<u8> = (0..29).collect();
        let whole = of_bytes(2, &bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of_bytes(2, &flipped), whole, "bit {bit}");
        }
    }
}
