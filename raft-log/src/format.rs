//! The log as bytes: segment headers, batches, records, and the slots of the watermark.
//!
//! All numbers are little-endian, every header carries a version and a CRC32C. The book's chapter
//! *Disk format* draws all of it. Decoders never trust a length and never panic: what lies on a
//! disk may be anything. Nothing here reads or writes a file.

mod batch;
mod record;
mod segment;
mod slot;

pub use batch::{BATCH_HEADER_BYTES, Batch, BatchHeader, Flaw, decode_batch};
pub use record::{Checkpoint, Placed, RECORD_HEADER_BYTES, Record, RecordError, decode_record};
pub use segment::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentHeaderError};
pub use slot::{SLOT_BYTES, Slot};

/// The version of everything here.
pub const VERSION: u8 = 1;

/// What checksums of one segment start from. A record is only valid at its place in its segment of
/// its log: neither what an earlier use of the file left, nor a copy elsewhere, is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(u64);

impl Salt {
    /// Of a segment of a log.
    #[must_use]
    pub fn new(log_id: u64, segment: u64) -> Self {
        Self(mix(log_id ^ mix(segment)))
    }

    /// What the checksum of a header at this offset starts from.
    #[must_use]
    pub fn seed(self, offset: u64) -> u32 {
        let mixed = mix(self.0 ^ offset).to_le_bytes();
        u32::from_le_bytes([mixed[0], mixed[1], mixed[2], mixed[3]])
    }
}

/// The finalizer of splitmix64: spreads every bit over all.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

/// Everything begins at a multiple of this.
const ALIGN: usize = 8;

const fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGN)
}
