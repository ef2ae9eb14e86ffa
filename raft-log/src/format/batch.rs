//! A batch: records that are durable together or not at all, under a header of their own.
//!
//! ```text
//!  0        4        8       12        16         24        28     32
//!  | crc32c | length | count | version | sequence | records | zero | record | record | ..
//! ```
//!
//! `length` is that of the records with their padding. `records` is the CRC32C of the checksums of
//! all records: so a record that an earlier batch left in the same place, torn before it was whole,
//! can't take the place of one of this batch. Batches follow one another without a gap, and their
//! sequence numbers ascend by one, from segment to segment too.

use bytes::Bytes;
use raft_core::{Entry, GroupId};

use super::record::{self, Placed, Record, RecordError, decode_record};
use super::{Salt, VERSION, u32_at, u64_at};

/// How long the header of a batch is.
pub const BATCH_HEADER_BYTES: usize = 32;

/// A batch that is being made.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The room for the header, then the records.
    bytes: Vec<u8>,
    count: u32,
    /// The payloads of the records before this place have their checksums.
    summed: usize,
}

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Its number.
    pub sequence: u64,
    /// How many records it has.
    pub count: u32,
    /// How long they are together.
    pub length: u32,
    /// Over the checksums of all records.
    pub records: u32,
}

/// Why there is no whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No header.
    Absent,
    /// A header, but not all of the records that it counts.
    Incomplete(BatchHeader),
    /// A batch that this program does not understand.
    Unknown {
        /// The version of the batch or of a record in it.
        version: u32,
    },
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: vec![0; BATCH_HEADER_BYTES],
            count: 0,
            summed: BATCH_HEADER_BYTES,
        }
    }
}

impl Batch {
    /// Appends a record; where it begins in the batch.
    pub fn push(&mut self, group: GroupId, record: &Record) -> usize {
        let start = self.bytes.len();
        record.encode(group, &mut self.bytes);
        self.count += 1;
        start
    }

    /// Appends the record of an entry; where it begins in the batch.
    pub fn push_entry(&mut self, group: GroupId, entry: &Entry) -> usize {
        let start = self.bytes.len();
        record::encode_entry(entry, group, &mut self.bytes);
        self.count += 1;
        start
    }

    /// How long the payload of the record that begins there is.
    #[must_use]
    pub fn payload_length(&self, start: usize) -> u32 {
        u32_at(&self.bytes, start + 8)
    }

    /// Empties it; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.truncate(BATCH_HEADER_BYTES);
        self.count = 0;
        self.summed = BATCH_HEADER_BYTES;
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How long it is with its header.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Computes the checksums of the payloads that have none yet; [`Batch::seal`] does it
    /// otherwise. All in one go, because a processor computes those of several records at once if
    /// there is nothing in between.
    pub fn sum(&mut self) {
        while self.summed < self.bytes.len() {
            self.summed += record::sum(&mut self.bytes[self.summed..]);
        }
    }

    /// Appends the records of another; how much further back they are there.
    pub fn absorb(&mut self, other: &Self) -> usize {
        let shift = self.bytes.len() - BATCH_HEADER_BYTES;
        if self.summed == self.bytes.len() {
            self.summed = shift + other.summed;
        }
        self.bytes
            .extend_from_slice(&other.bytes[BATCH_HEADER_BYTES..]);
        self.count += other.count;
        shift
    }

    /// The bytes as they lie at `offset` of the segment of that salt.
    ///
    /// # Panics
    /// If it is longer than 4 GiB; the writer refuses such a one before.
    pub fn seal(&mut self, sequence: u64, (salt, offset): (Salt, u64)) -> &[u8] {
        self.sum();
        let length = u32::try_from(self.bytes.len() - BATCH_HEADER_BYTES)
            .expect("longer batches are refused before");
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        self.bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[12..16].copy_from_slice(&u32::from(VERSION).to_le_bytes());
        self.bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
        let mut records = 0;
        let mut at = BATCH_HEADER_BYTES;
        while at < self.bytes.len() {
            let size = record::seal(&mut self.bytes[at..], salt, offset + at as u64);
            records = record::add_checksums(records, &self.bytes[at..]);
            at += size;
        }
        self.bytes[24..28].copy_from_slice(&records.to_le_bytes());
        let crc = checksum(&self.bytes, salt, offset);
        self.bytes[..4].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

impl BatchHeader {
    /// How long the batch is with this header.
    #[must_use]
    pub const fn size(&self) -> usize {
        BATCH_HEADER_BYTES + self.length as usize
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// When there is none, or it is of an unknown version.
    pub fn decode(bytes: &[u8], (salt, offset): (Salt, u64)) -> Result<Self, Flaw> {
        let Some(bytes) = bytes.get(..BATCH_HEADER_BYTES) else {
            return Err(Flaw::Absent);
        };
        // An empty place is by far the most frequent; its checksum need not be computed.
        if bytes[12..16] == [0; 4] || u32_at(bytes, 0) != checksum(bytes, salt, offset) {
            return Err(Flaw::Absent);
        }
        let version = u32_at(bytes, 12);
        if version != u32::from(VERSION) {
            return Err(Flaw::Unknown { version });
        }
        Ok(Self {
            sequence: u64_at(bytes, 16),
            count: u32_at(bytes, 8),
            length: u32_at(bytes, 4),
            records: u32_at(bytes, 24),
        })
    }
}

fn checksum(bytes: &[u8], salt: Salt, offset: u64) -> u32 {
    crc32c::crc32c_append(salt.seed(offset), &bytes[4..BATCH_HEADER_BYTES])
}

/// Reads the batch at `offset` of a segment, of which `segment` is the content: its header, and its
/// records in order, appended to `records`. If there is a flaw, some may have been.
///
/// # Errors
/// When there is no whole batch.
pub fn decode_batch(
    segment: &Bytes,
    salt: Salt,
    offset: usize,
    records: &mut Vec<Placed>,
) -> Result<BatchHeader, Flaw> {
    let rest = segment.get(offset..).unwrap_or_default();
    let header = BatchHeader::decode(rest, (salt, offset as u64))?;
    let incomplete = Flaw::Incomplete(header);
    if rest.len() < header.size() {
        return Err(incomplete);
    }
    let mut at = offset + BATCH_HEADER_BYTES;
    let end = offset + header.size();
    let mut checksums = 0;
    for _ in 0..header.count {
        let placed =
            decode_record(segment, at, (salt, at as u64)).map_err(|error| match error {
                RecordError::Damaged => incomplete,
                RecordError::Unknown { version, .. } => Flaw::Unknown {
                    version: u32::from(version),
                },
            })?;
        checksums = record::add_checksums(checksums, &segment[at..]);
        at += placed.size();
        records.push(placed);
        if at > end {
            return Err(incomplete);
        }
    }
    if at == end && checksums == header.records {
        Ok(header)
    } else {
        Err(incomplete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::Index;

    fn batch(froms: &[u64]) -> Batch {
        let mut batch = Batch::default();
        for from in froms {
            batch.push(GroupId(1), &Record::Truncate(Index(*from)));
        }
        batch
    }

    #[test]
    fn a_batch_is_read_whole_or_not_at_all() {
        let salt = Salt::new(9, 1);
        let mut merged = batch(&[3, 4]);
        merged.sum();
        assert_eq!(merged.absorb(&batch(&[5])), 80);
        let mut file = vec![0xee; 64];
        file.extend_from_slice(merged.seal(17, (salt, 64)));
        let whole = Bytes::from(file.clone());
        let mut records = Vec::new();
        let header = decode_batch(&whole, salt, 64, &mut records).expect("whole");
        assert_eq!((header.sequence, header.count), (17, 3));
        let placed = |placed: &'_ Placed| (placed.record.clone(), placed.offset);
        let froms: Vec<_> = records.iter().map(placed).collect();
        let truncate = |from| Record::Truncate(Index(from));
        assert_eq!(
            froms,
            [(truncate(3), 96), (truncate(4), 136), (truncate(5), 176)]
        );
        for length in 64..file.len() {
            let cut = Bytes::from(file[..length].to_vec());
            let read = decode_batch(&cut, salt, 64, &mut Vec::new());
            assert!(
                matches!(read, Err(Flaw::Absent | Flaw::Incomplete(_))),
                "of {length} bytes"
            );
        }
        for at in 64..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 0x10;
            assert!(decode_batch(&Bytes::from(flipped), salt, 64, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn a_batch_of_a_later_version_is_not_damage() {
        let salt = Salt::new(9, 1);
        let mut made = batch(&[3]);
        let mut bytes = made.seal(1, (salt, 0)).to_vec();
        bytes[12] = 2;
        let crc = checksum(&bytes, salt, 0);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        let read = decode_batch(&Bytes::from(bytes), salt, 0, &mut Vec::new());
        assert_eq!(read, Err(Flaw::Unknown { version: 2 }));
    }
}
