//! The header of a segment file.
//!
//! ```text
//!  0        8        12       16       24        32        40        48       56       64
//!  | magic  | version | crc32c | number | follows | first   | cluster | node   | log id |
//! ```
//!
//! The first 64 bytes keep this form in every version. This file does not know what follows them.

use raft_core::NodeId;

use super::{VERSION, u32_at, u64_at};
use crate::codec::Encoder;
use crate::config::Identity;

/// How long the header is; the first batch follows at once.
pub const SEGMENT_HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"RAFTWAL\n";

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Ascending from segment to segment, never used twice in a log.
    pub number: u64,
    /// The last batch before this segment. What earlier segments hold after it does not count: it
    /// was found damaged, or follows something damaged.
    pub follows: u64,
    /// The first batch of this segment; at least `follows + 1`.
    pub first: u64,
    /// Whose log it is.
    pub identity: Identity,
    /// Drawn when the log was created.
    pub log_id: u64,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentHeaderError {
    /// They are something else, or damaged.
    Damaged,
    /// A header of a version that this program does not know.
    Version(u32),
}

impl SegmentHeader {
    /// As it lies on the disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        let mut encoder = Encoder(&mut bytes);
        encoder.u32(u32::from(VERSION));
        encoder.u32(0);
        encoder.u64(self.number);
        encoder.u64(self.follows);
        encoder.u64(self.first);
        encoder.u64(self.identity.cluster);
        encoder.u64(self.identity.node.0);
        encoder.u64(self.log_id);
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// When there is none, or it is of an unknown version.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentHeaderError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(SegmentHeaderError::Damaged);
        };
        if bytes[..8] != MAGIC[..] || u32_at(bytes, 12) != checksum(bytes) {
            return Err(SegmentHeaderError::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version != u32::from(VERSION) {
            return Err(SegmentHeaderError::Version(version));
        }
        Ok(Self {
            number: u64_at(bytes, 16),
            follows: u64_at(bytes, 24),
            first: u64_at(bytes, 32),
            identity: Identity {
                cluster: u64_at(bytes, 40),
                node: NodeId(u64_at(bytes, 48)),
            },
            log_id: u64_at(bytes, 56),
        })
    }
}

/// Of everything but the checksum itself.
fn checksum(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            number: 7,
            follows: 90,
            first: 93,
            identity: Identity {
                cluster: 0xc1,
                node: NodeId(3),
            },
            log_id: 0xdead_beef,
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                SegmentHeader::decode(&flipped),
                Err(SegmentHeaderError::Damaged)
            );
        }
        assert_eq!(
            SegmentHeader::decode(&bytes[..63]),
            Err(SegmentHeaderError::Damaged)
        );
    }

    #[test]
    fn a_later_version_is_not_damage() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            SegmentHeader::decode(&bytes),
            Err(SegmentHeaderError::Version(2))
        );
    }
}
