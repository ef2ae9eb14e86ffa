//! A slot of the watermark file: what a group has let others rely on.
//!
//! ```text
//!  0        4         5       6      8       16      24            32
//!  | crc32c | version | flags | zero | stamp | group | incarnation |
//!  | sequence | term | vote | index |
//!  32         40     48     56      64
//! ```
//!
//! Flag 1: it voted. Flag 2: what the slot says was lost and is not yet here again. A group has two
//! slots, written in turn, so that a torn one never takes the other with it; the later stamp
//! counts.

use raft_core::types::Incarnation;
use raft_core::{GroupId, Index, NodeId, Term, Watermark};

use super::{VERSION, u32_at, u64_at};
use crate::codec::Encoder;

/// How long a slot is; it divides a sector, so that no slot lies in two.
pub const SLOT_BYTES: usize = 64;

const VOTED: u8 = 1;
const LOST: u8 = 2;

/// What a group has let others rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Ascends with each writing of the group's slots.
    pub stamp: u64,
    /// Which group.
    pub group: GroupId,
    /// Which life of its storage.
    pub incarnation: Incarnation,
    /// The last batch that was durable when this was written.
    pub sequence: u64,
    /// What others rely on.
    pub watermark: Watermark,
    /// Whether less than that was found, and is not yet here again.
    pub lost: bool,
}

impl Slot {
    /// As it lies on the disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        let voted = if self.watermark.vote.is_some() {
            VOTED
        } else {
            0
        };
        let lost = if self.lost { LOST } else { 0 };
        let mut encoder = Encoder(&mut bytes);
        encoder.u32(0);
        encoder.u8(VERSION);
        encoder.u8(voted | lost);
        encoder.u8(0);
        encoder.u8(0);
        encoder.u64(self.stamp);
        encoder.u64(self.group.0);
        encoder.u64(self.incarnation.0);
        encoder.u64(self.sequence);
        encoder.u64(self.watermark.term.0);
        encoder.u64(self.watermark.vote.map_or(0, |vote| vote.0));
        encoder.u64(self.watermark.index.0);
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a slot; `None` if it was never written, or is damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..SLOT_BYTES)?;
        if u32_at(bytes, 0) != crc32c::crc32c(&bytes[4..]) || bytes[4] != VERSION {
            return None;
        }
        let flags = bytes[5];
        Some(Self {
            stamp: u64_at(bytes, 8),
            group: GroupId(u64_at(bytes, 16)),
            incarnation: Incarnation(u64_at(bytes, 24)),
            sequence: u64_at(bytes, 32),
            watermark: Watermark {
                term: Term(u64_at(bytes, 40)),
                vote: (flags & VOTED != 0).then_some(NodeId(u64_at(bytes, 48))),
                index: Index(u64_at(bytes, 56)),
            },
            lost: flags & LOST != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let slot = Slot {
            stamp: 5,
            group: GroupId(9),
            incarnation: Incarnation(77),
            sequence: 1000,
            watermark: Watermark {
                term: Term(8),
                vote: Some(NodeId(0)),
                index: Index(512),
            },
            lost: true,
        };
        let bytes = slot.encode();
        assert_eq!(Slot::decode(&bytes), Some(slot));
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Slot::decode(&flipped), None);
        }
        assert_eq!(Slot::decode(&[0; SLOT_BYTES]), None);
    }
}
