//! Fuzz targets: what everything that reads a disk or a peer must do with any bytes at all.
//!
//! Nothing panics, and what can be decoded is encoded to something that decodes to the same. Random
//! bytes fail at the first checksum; so each target also tries them with the checksums made right.
//! `tests/fuzz/` hands these functions to cargo-fuzz, `tests/fuzz_smoke.rs` to `cargo test`. So
//! this file uses nothing else of this crate, and does not know where the bytes come from.

#[path = "fuzz/damage.rs"]
mod damage;
#[path = "fuzz/disk.rs"]
mod disk;
#[path = "fuzz/dns.rs"]
mod dns;
#[path = "fuzz/kv.rs"]
mod kv;
#[path = "fuzz/wire.rs"]
mod wire;

pub use damage::damage;
pub use dns::dns;
pub use kv::{kv_answer, kv_command};
pub use wire::{bulk, frame, handshake, parcel};

use bytes::Bytes;
use raft_core::GroupId;
use raft_log::format::{
    BATCH_HEADER_BYTES, Batch, Placed, RECORD_HEADER_BYTES, Record, SEGMENT_HEADER_BYTES,
    SLOT_BYTES, Salt, SegmentHeader, Slot, VERSION, decode_batch, decode_record,
};
use raft_log::snapshot::{decode_manifest, encode_manifest};

/// A function that panics if something is wrong with what it is given.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 14] = [
    ("batch", batch),
    ("bulk", bulk),
    ("checkpoint", checkpoint),
    ("damage", damage),
    ("dns", dns),
    ("frame", frame),
    ("handshake", handshake),
    ("kv_answer", kv_answer),
    ("kv_command", kv_command),
    ("manifest", manifest),
    ("parcel", parcel),
    ("record", record),
    ("segment_header", segment_header),
    ("slot", slot),
];

/// The kind of a record with the most in it.
const CHECKPOINT: u8 = 8;
const KIND_AT: usize = 13;

fn salt() -> Salt {
    Salt::new(0x5eed, 1)
}

/// Any bytes as a record.
pub fn record(data: &[u8]) {
    read_record(data);
    let mut sealed = data.to_vec();
    if sealed.len() >= RECORD_HEADER_BYTES {
        let length = sealed.len() - RECORD_HEADER_BYTES;
        put(&mut sealed, 8, &count(length));
        seal_record(&mut sealed, 0);
        read_record(&sealed);
    }
}

/// Any bytes as the payload of a checkpoint.
pub fn checkpoint(data: &[u8]) {
    let mut sealed = vec![0; RECORD_HEADER_BYTES];
    put(&mut sealed, 8, &count(data.len()));
    sealed[KIND_AT] = CHECKPOINT;
    sealed.extend_from_slice(data);
    seal_record(&mut sealed, 0);
    read_record(&sealed);
}

fn read_record(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(placed) = decode_record(&bytes, 0, (salt(), 0)) {
        same_again(&[placed], 1);
    }
}

/// Any bytes as a batch of records.
pub fn batch(data: &[u8]) {
    read_batch(data);
    let mut sealed = data.to_vec();
    if sealed.len() < BATCH_HEADER_BYTES {
        return;
    }
    let mut records = 0_usize;
    let mut checksums = 0;
    let mut at = BATCH_HEADER_BYTES;
    while sealed.len() >= at + RECORD_HEADER_BYTES {
        let rest = sealed.len() - at - RECORD_HEADER_BYTES;
        // The length decides where the next record is tried: what was drawn for it, cut.
        let length = usize::from(sealed[at + 8]).min(rest);
        put(&mut sealed[at..], 8, &count(length));
        let end = at + RECORD_HEADER_BYTES + length;
        seal_record(&mut sealed[at..end], at as u64);
        checksums = crc32c::crc32c_append(checksums, &sealed[at..at + 8]);
        at = end.next_multiple_of(8);
        records += 1;
    }
    sealed.resize(at, 0);
    let length = sealed.len() - BATCH_HEADER_BYTES;
    put(&mut sealed, 4, &count(length));
    put(&mut sealed, 8, &count(records));
    put(&mut sealed, 12, &u32::from(VERSION).to_le_bytes());
    put(&mut sealed, 24, &u32::to_le_bytes(checksums));
    let crc = crc32c::crc32c_append(salt().seed(0), &sealed[4..BATCH_HEADER_BYTES]);
    put(&mut sealed, 0, &crc.to_le_bytes());
    read_batch(&sealed);
}

fn read_batch(bytes: &[u8]) {
    let mut records = Vec::new();
    let segment = Bytes::copy_from_slice(bytes);
    if let Ok(header) = decode_batch(&segment, salt(), 0, &mut records) {
        assert_eq!(header.count as usize, records.len());
        assert!(header.size() <= bytes.len());
        same_again(&records, header.sequence);
    }
}

/// What was decoded survives another round.
fn same_again(records: &[Placed], sequence: u64) {
    let mut batch = Batch::default();
    for placed in records {
        batch.push(placed.group, &placed.record);
    }
    let bytes = Bytes::copy_from_slice(batch.seal(sequence, (salt(), 0)));
    let mut again = Vec::new();
    let header = decode_batch(&bytes, salt(), 0, &mut again).expect("what we encode we decode");
    assert_eq!((header.sequence, header.size()), (sequence, bytes.len()));
    let said = |placed: &Placed| -> (GroupId, Record) { (placed.group, placed.record.clone()) };
    let before: Vec<_> = records.iter().map(said).collect();
    let after: Vec<_> = again.iter().map(said).collect();
    assert_eq!(before, after);
}

/// Any bytes as the header of a segment.
pub fn segment_header(data: &[u8]) {
    read_segment_header(data);
    let mut sealed = data.to_vec();
    if sealed.len() >= SEGMENT_HEADER_BYTES {
        put(&mut sealed, 0, b"RAFTWAL\n");
        let rest = &sealed[16..SEGMENT_HEADER_BYTES];
        let crc = crc32c::crc32c_append(crc32c::crc32c(&sealed[..12]), rest);
        put(&mut sealed, 12, &crc.to_le_bytes());
        read_segment_header(&sealed);
    }
}

fn read_segment_header(bytes: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(bytes) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
        assert_eq!(header.encode(), bytes[..SEGMENT_HEADER_BYTES]);
    }
}

/// Any bytes as a slot of the watermark.
pub fn slot(data: &[u8]) {
    read_slot(data);
    let mut sealed = data.to_vec();
    if sealed.len() >= SLOT_BYTES {
        let crc = crc32c::crc32c(&sealed[4..SLOT_BYTES]);
        put(&mut sealed, 0, &crc.to_le_bytes());
        read_slot(&sealed);
    }
}

fn read_slot(bytes: &[u8]) {
    if let Some(slot) = Slot::decode(bytes) {
        assert_eq!(Slot::decode(&slot.encode()), Some(slot));
    }
}

/// Any bytes as the manifest of a snapshot.
pub fn manifest(data: &[u8]) {
    read_manifest(data);
    let mut sealed = data.to_vec();
    if sealed.len() >= 24 {
        let end = sealed.len() - 4;
        put(&mut sealed, 0, b"RAFTSNAP");
        put(&mut sealed, 12, &(end as u64 + 4).to_le_bytes());
        let crc = crc32c::crc32c(&sealed[..end]);
        put(&mut sealed, end, &crc.to_le_bytes());
        read_manifest(&sealed);
    }
}

fn read_manifest(bytes: &[u8]) {
    if let Ok(manifest) = decode_manifest(bytes) {
        assert_eq!(encode_manifest(&manifest), bytes);
        let sum = manifest
            .files
            .iter()
            .map(|file| u128::from(file.size))
            .sum();
        assert_eq!(u128::from(manifest.size()), sum);
    }
}

/// Gives the record that begins `bytes`, and ends where its length says, the right checksums.
fn seal_record(bytes: &mut [u8], offset: u64) {
    bytes[12] = VERSION;
    let crc = crc32c::crc32c(&bytes[RECORD_HEADER_BYTES..]);
    put(bytes, 4, &crc.to_le_bytes());
    let crc = crc32c::crc32c_append(salt().seed(offset), &bytes[4..RECORD_HEADER_BYTES]);
    put(bytes, 0, &crc.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn count(count: usize) -> [u8; 4] {
    u32::try_from(count)
        .expect("inputs are shorter than 4 GiB")
        .to_le_bytes()
}
