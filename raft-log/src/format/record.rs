//! A record: one thing that happened to one group's log.
//!
//! ```text
//!  0            4             8        12        13     14     16      24     32      40
//!  | header crc | payload crc | length | version | kind | zero | group | term | index | payload
//! ```
//!
//! The header's checksum starts from the [`Salt`] and its place, and covers the payload's. The
//! payload is followed by zeros up to the next multiple of 8.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::types::Incarnation;
use raft_core::{Entry, GroupId, HardState, Index, NodeId, Payload, Position, SnapshotMeta, Term};

use super::{Salt, VERSION, padded, u32_at, u64_at};
use crate::codec::{Decoder, Encoder};

/// How long the header of a record is.
pub const RECORD_HEADER_BYTES: usize = 40;

/// One thing that happened to one group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Term and vote are these now.
    HardState(HardState),
    /// The entries from this index on are gone.
    Truncate(Index),
    /// An entry was appended.
    Entry(Entry),
    /// The whole log is gone; the next entry follows this position.
    Reset(Position),
    /// The entries up to this position are not needed any more.
    Purge(Position),
    /// All that must be known of a group to read on from here. Stands where a group is founded, and
    /// for every group at the beginning of each segment, so that earlier ones can go.
    Checkpoint(Box<Checkpoint>),
}

/// What is known of a group without its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which life of the storage.
    pub incarnation: Incarnation,
    /// What the group was founded with.
    pub founding: Arc<SnapshotMeta>,
    /// Term and vote.
    pub hard_state: HardState,
    /// The position before the first entry.
    pub base: Position,
    /// The terms of the entries as runs: each run's first index and its term, ascending.
    pub terms: Vec<(Index, Term)>,
    /// The last entry's index; `base.index` if there is none.
    pub last: Index,
}

/// A record, whose it is, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The group that it is about.
    pub group: GroupId,
    /// What it says.
    pub record: Record,
    /// Where its header begins in the segment.
    pub offset: u64,
    /// How long its payload is.
    pub length: u32,
}

impl Placed {
    /// How long the record is with its header and padding.
    #[must_use]
    pub const fn size(&self) -> usize {
        padded(RECORD_HEADER_BYTES + self.length as usize)
    }
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Nothing that was ever written there, or not as it was written.
    Damaged,
    /// As it was written, by a program that this one does not understand.
    Unknown {
        /// The version of the record.
        version: u8,
        /// Its kind.
        kind: u8,
    },
}

const HARD_STATE: u8 = 1;
const TRUNCATE: u8 = 2;
const NOOP: u8 = 3;
const COMMAND: u8 = 4;
const MEMBERSHIP: u8 = 5;
const RESET: u8 = 6;
const PURGE: u8 = 7;
const CHECKPOINT: u8 = 8;

impl Record {
    /// Appends the record, its payload's checksum left open until [`sum`], its header's until
    /// [`seal`].
    pub(super) fn encode(&self, group: GroupId, bytes: &mut Vec<u8>) {
        encode((self.head(), group), bytes, |bytes| {
            self.encode_payload(bytes);
        });
    }

    /// The kind, and what stands in the header's term and index.
    fn head(&self) -> (u8, Position) {
        match self {
            Self::HardState(hard_state) => (HARD_STATE, Position::new(hard_state.term, Index(0))),
            Self::Truncate(from) => (TRUNCATE, Position::new(Term(0), *from)),
            Self::Entry(entry) => entry_head(entry),
            Self::Reset(last) => (RESET, *last),
            Self::Purge(last) => (PURGE, *last),
            Self::Checkpoint(state) => {
                (CHECKPOINT, Position::new(state.hard_state.term, state.last))
            }
        }
    }

    fn encode_payload(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::HardState(hard_state) => encode_vote(hard_state.vote, bytes),
            Self::Entry(entry) => encode_entry_payload(entry, bytes),
            Self::Checkpoint(state) => {
                let mut encoder = Encoder(bytes);
                encoder.u64(state.incarnation.0);
                encoder.position(state.base);
                encoder.count(state.terms.len());
                for (first, term) in &state.terms {
                    encoder.u64(first.0);
                    encoder.u64(term.0);
                }
                encoder.snapshot_meta(&state.founding);
                encode_vote(state.hard_state.vote, bytes);
            }
            Self::Truncate(_) | Self::Reset(_) | Self::Purge(_) => {}
        }
    }
}

/// Appends the record of an entry, as [`Record::encode`] would.
pub(super) fn encode_entry(entry: &Entry, group: GroupId, bytes: &mut Vec<u8>) {
    encode((entry_head(entry), group), bytes, |bytes| {
        encode_entry_payload(entry, bytes);
    });
}

fn entry_head(entry: &Entry) -> (u8, Position) {
    let kind = match &entry.payload {
        Payload::Noop => NOOP,
        Payload::Command(_) => COMMAND,
        Payload::Membership(_) => MEMBERSHIP,
    };
    (kind, entry.position())
}

fn encode_entry_payload(entry: &Entry, bytes: &mut Vec<u8>) {
    match &entry.payload {
        Payload::Noop => {}
        Payload::Command(command) => bytes.extend_from_slice(command),
        Payload::Membership(membership) => Encoder(bytes).membership(membership),
    }
}

/// Appends a header and the payload that `fill` appends.
fn encode(
    ((kind, position), group): ((u8, Position), GroupId),
    bytes: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    let start = bytes.len();
    let mut header = [0; RECORD_HEADER_BYTES];
    header[12] = VERSION;
    header[13] = kind;
    header[16..24].copy_from_slice(&group.0.to_le_bytes());
    header[24..32].copy_from_slice(&position.term.0.to_le_bytes());
    header[32..].copy_from_slice(&position.index.0.to_le_bytes());
    bytes.extend_from_slice(&header);
    fill(bytes);
    let payload = &bytes[start + RECORD_HEADER_BYTES..];
    let length = u32::try_from(payload.len()).expect("batches are shorter than 4 GiB");
    bytes[start + 8..start + 12].copy_from_slice(&length.to_le_bytes());
    bytes.resize(padded(bytes.len()), 0);
}

/// Nothing, or the number of the candidate.
fn encode_vote(vote: Option<NodeId>, bytes: &mut Vec<u8>) {
    if let Some(vote) = vote {
        Encoder(bytes).u64(vote.0);
    }
}

/// Gives the record at the front of `bytes` the checksum of its payload; how long it is.
pub(super) fn sum(bytes: &mut [u8]) -> usize {
    let end = RECORD_HEADER_BYTES + u32_at(bytes, 8) as usize;
    let crc = crc32c::crc32c(&bytes[RECORD_HEADER_BYTES..end]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    padded(end)
}

/// Gives the record at the front of `bytes` the checksum of its place; how long it is.
pub(super) fn seal(bytes: &mut [u8], salt: Salt, offset: u64) -> usize {
    let crc = crc32c::crc32c_append(salt.seed(offset), &bytes[4..RECORD_HEADER_BYTES]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    padded(RECORD_HEADER_BYTES + u32_at(bytes, 8) as usize)
}

/// Adds the checksums of the record at the front of `bytes` to those of the records before it.
pub(super) fn add_checksums(before: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(before, &bytes[..8])
}

/// Reads the record that begins at `start` of `bytes`, which is at `offset` of its segment.
///
/// # Errors
/// When there is none, or none that this program understands.
pub fn decode_record(
    bytes: &Bytes,
    start: usize,
    (salt, offset): (Salt, u64),
) -> Result<Placed, RecordError> {
    let rest = bytes.get(start..).unwrap_or_default();
    let header = rest
        .get(..RECORD_HEADER_BYTES)
        .ok_or(RecordError::Damaged)?;
    if u32_at(header, 0) != crc32c::crc32c_append(salt.seed(offset), &header[4..]) {
        return Err(RecordError::Damaged);
    }
    let end = RECORD_HEADER_BYTES + u32_at(header, 8) as usize;
    let payload = rest
        .get(RECORD_HEADER_BYTES..end)
        .ok_or(RecordError::Damaged)?;
    if u32_at(header, 4) != crc32c::crc32c(payload) {
        return Err(RecordError::Damaged);
    }
    let (version, kind) = (header[12], header[13]);
    let unknown = RecordError::Unknown { version, kind };
    if version != VERSION {
        return Err(unknown);
    }
    let position = Position::new(Term(u64_at(header, 24)), Index(u64_at(header, 32)));
    let shared = || bytes.slice(start + RECORD_HEADER_BYTES..start + end);
    let record = match kind {
        HARD_STATE => decode_vote(payload).map(|vote| {
            let term = position.term;
            Record::HardState(HardState { term, vote })
        }),
        TRUNCATE => Some(Record::Truncate(position.index)),
        NOOP => Some(entry(position, Payload::Noop)),
        COMMAND => Some(entry(position, Payload::Command(shared()))),
        MEMBERSHIP => Decoder(payload)
            .membership()
            .map(|members| entry(position, Payload::Membership(Arc::new(members)))),
        RESET => Some(Record::Reset(position)),
        PURGE => Some(Record::Purge(position)),
        CHECKPOINT => {
            decode_checkpoint(position, payload).map(|state| Record::Checkpoint(Box::new(state)))
        }
        _ => return Err(unknown),
    };
    let group = GroupId(u64_at(header, 16));
    let record = record.ok_or(RecordError::Damaged)?;
    Ok(Placed {
        group,
        record,
        offset,
        length: u32_at(header, 8),
    })
}

fn entry(position: Position, payload: Payload) -> Record {
    Record::Entry(Entry {
        term: position.term,
        index: position.index,
        payload,
    })
}

/// Of the last bytes of a payload.
fn decode_vote(bytes: &[u8]) -> Option<Option<NodeId>> {
    let mut decoder = Decoder(bytes);
    let vote = if bytes.is_empty() {
        None
    } else {
        Some(NodeId(decoder.u64()?))
    };
    decoder.end()?;
    Some(vote)
}

fn decode_checkpoint(position: Position, payload: &[u8]) -> Option<Checkpoint> {
    let mut decoder = Decoder(payload);
    let incarnation = Incarnation(decoder.u64()?);
    let base = decoder.position()?;
    let mut terms = Vec::new();
    for _ in 0..decoder.count()? {
        terms.push((Index(decoder.u64()?), Term(decoder.u64()?)));
    }
    let founding = Arc::new(decoder.snapshot_meta()?);
    let vote = decode_vote(decoder.0)?;
    Some(Checkpoint {
        incarnation,
        founding,
        hard_state: HardState {
            term: position.term,
            vote,
        },
        base,
        terms,
        last: position.index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::{Member, Membership};

    fn samples() -> Vec<Record> {
        let members = Membership::of_voters([(NodeId(1), Member::at("one:1"))]);
        let position = Position::new(Term(3), Index(12));
        let vote = Some(NodeId(4));
        let term = Term(6);
        let founding = SnapshotMeta {
            membership: Arc::new(members.clone()),
            ..SnapshotMeta::default()
        };
        vec![
            Record::HardState(HardState { term, vote }),
            Record::HardState(HardState { term, vote: None }),
            Record::Truncate(Index(9)),
            entry(position, Payload::Noop),
            entry(position, Payload::Command(Bytes::new())),
            entry(position, Payload::Command(Bytes::from_static(b"abcdefghi"))),
            entry(position, Payload::Membership(Arc::new(members))),
            Record::Reset(position),
            Record::Purge(position),
            Record::Checkpoint(Box::new(Checkpoint {
                incarnation: Incarnation(5),
                founding: Arc::new(founding),
                hard_state: HardState { term, vote },
                base: position,
                terms: vec![(Index(13), Term(3)), (Index(15), Term(6))],
                last: Index(20),
            })),
        ]
    }

    #[test]
    fn each_kind_survives_and_no_flipped_bit_does() {
        let salt = Salt::new(1, 2);
        for record in samples() {
            let mut bytes = Vec::new();
            record.encode(GroupId(7), &mut bytes);
            sum(&mut bytes);
            let length = seal(&mut bytes, salt, 64);
            assert_eq!(length, bytes.len());
            let shared = Bytes::from(bytes.clone());
            let read = decode_record(&shared, 0, (salt, 64)).expect("whole");
            assert_eq!((read.group, &read.record), (GroupId(7), &record));
            assert_eq!((read.offset, read.size()), (64, length));
            let elsewhere = decode_record(&shared, 0, (salt, 72));
            assert_eq!(elsewhere, Err(RecordError::Damaged), "at another place");
            let other = decode_record(&shared, 0, (Salt::new(1, 3), 64));
            assert_eq!(other, Err(RecordError::Damaged), "in another segment");
            let meaningful = RECORD_HEADER_BYTES + u32_at(&bytes, 8) as usize;
            for bit in 0..meaningful * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let decoded = decode_record(&Bytes::from(flipped), 0, (salt, 64));
                assert_eq!(
                    decoded,
                    Err(RecordError::Damaged),
                    "bit {bit} of {record:?}"
                );
            }
        }
    }

    #[test]
    fn what_a_later_program_wrote_is_not_damage() {
        let salt = Salt::new(1, 2);
        for (at, value) in [(12, 2), (13, 99)] {
            let mut bytes = Vec::new();
            Record::Truncate(Index(1)).encode(GroupId(0), &mut bytes);
            sum(&mut bytes);
            bytes[at] = value;
            seal(&mut bytes, salt, 0);
            let (version, kind) = (bytes[12], bytes[13]);
            let decoded = decode_record(&Bytes::from(bytes), 0, (salt, 0));
            assert_eq!(decoded, Err(RecordError::Unknown { version, kind }));
        }
    }
}
