//! The inputs that fuzzing a log starts from: one of each kind of thing that we encode.
//!
//! This file does not know what becomes of them.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Manifest, SnapshotFile};
use raft_core::types::Incarnation;
use raft_core::{
    Entry, GroupId, HardState, Index, Member, MemberChange, Membership, NodeId, Payload, Position,
    SnapshotMeta, Term, Watermark,
};
use raft_log::Identity;
use raft_log::format::{
    BATCH_HEADER_BYTES, Batch, Checkpoint, RECORD_HEADER_BYTES, Record, Salt, SegmentHeader, Slot,
};
use raft_log::snapshot::encode_manifest;

/// The seeds of each target.
pub(crate) fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let sealed: Vec<Vec<u8>> = records().iter().map(record).collect();
    let checkpoint = sealed.last().expect("it comes last");
    vec![
        ("batch", vec![batch(&records())]),
        (
            "checkpoint",
            vec![checkpoint[RECORD_HEADER_BYTES..].to_vec()],
        ),
        ("damage", damage()),
        ("manifest", vec![manifest()]),
        ("record", sealed),
        ("segment_header", vec![segment_header()]),
        ("slot", vec![slot()]),
    ]
}

fn batch(records: &[Record]) -> Vec<u8> {
    let mut batch = Batch::default();
    for record in records {
        batch.push(GroupId(7), record);
    }
    batch.seal(9, (Salt::new(0x5eed, 1), 0)).to_vec()
}

fn record(record: &Record) -> Vec<u8> {
    let bytes = batch(std::slice::from_ref(record));
    bytes[BATCH_HEADER_BYTES..].to_vec()
}

fn membership() -> Membership {
    let member = |id: u64| (NodeId(id), Member::at(format!("host-{id}:1")));
    let old = Membership::of_voters([member(1), member(2), member(3)]);
    let changes = [
        MemberChange::Voter(NodeId(4), Member::at("four")),
        MemberChange::Learner(NodeId(5), Member::at("")),
        MemberChange::Remove(NodeId(1)),
    ];
    old.towards(&old.changed(&changes).expect("legal"))
}

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        last: Position::new(Term(3), Index(70)),
        membership: Arc::new(membership()),
        membership_index: Index(4),
    }
}

fn records() -> Vec<Record> {
    let position = Position::new(Term(3), Index(12));
    let entry = |payload| {
        Record::Entry(Entry {
            term: Term(3),
            index: Index(12),
            payload,
        })
    };
    let hard_state = HardState {
        term: Term(6),
        vote: Some(NodeId(4)),
    };
    vec![
        Record::HardState(hard_state),
        Record::Truncate(Index(9)),
        entry(Payload::Noop),
        entry(Payload::Command(Bytes::from_static(b"a command"))),
        entry(Payload::Membership(Arc::new(membership()))),
        Record::Reset(position),
        Record::Purge(position),
        Record::Checkpoint(Box::new(Checkpoint {
            incarnation: Incarnation(5),
            founding: Arc::new(meta()),
            hard_state,
            base: position,
            terms: vec![(Index(13), Term(3)), (Index(15), Term(6))],
            last: Index(20),
        })),
    ]
}

fn segment_header() -> Vec<u8> {
    let header = SegmentHeader {
        number: 7,
        follows: 90,
        first: 93,
        identity: Identity {
            cluster: 0xc1,
            node: NodeId(3),
        },
        log_id: 0xdead_beef,
    };
    header.encode()
}

fn slot() -> Vec<u8> {
    let slot = Slot {
        stamp: 5,
        group: GroupId(9),
        incarnation: Incarnation(77),
        sequence: 1000,
        watermark: Watermark {
            term: Term(8),
            vote: Some(NodeId(3)),
            index: Index(512),
        },
        lost: true,
    };
    slot.encode()
}

fn manifest() -> Vec<u8> {
    let file = |name: &str, size| SnapshotFile {
        name: name.to_owned(),
        size,
        hash: 7,
    };
    encode_manifest(&Manifest {
        meta: Arc::new(meta()),
        files: vec![file("MANIFEST-1", 10), file("a.sst", 1 << 40)],
    })
}

/// Edits of five bytes: what, to which segment, where, how.
fn damage() -> Vec<Vec<u8>> {
    let edits: [&[u8]; 6] = [
        &[],
        &[4, 1, 100, 0, 1],
        &[1, 2, 0, 0, 0],
        &[0, 9, 80, 1, 0],
        &[2, 0, 0, 0, 30, 5, 3, 12, 0, 255],
        &[1, 0, 0, 0, 0, 2, 3, 0, 2, 9, 6, 4, 1, 1, 1],
    ];
    edits.map(<[u8]>::to_vec).to_vec()
}
