//! Any damage to the segments of a log, after everything was durable.
//!
//! However much is flipped, zeroed, cut off or missing: either all entries are there, or the log
//! says that they are not, and what others rely on; and a repair gives up nothing else. This file
//! does not know the format.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::LogStore;
use raft_core::types::{Incarnation, WriteId};
use raft_core::{
    Entry, GroupId, HardState, Index, Member, Membership, NodeId, Payload, Recovered, Term,
};
use raft_log::disk::Disk;
use raft_log::inspect::{AcceptLoss, DumpOptions, Verification, dump, repair, verify};
use raft_log::{Finding, Identity, Preparation, Wal, WalConfig};

use super::disk::MemoryDisk;

type Files = BTreeMap<PathBuf, Vec<u8>>;

const GROUP: GroupId = GroupId(1);
const ENTRIES: u64 = 30;
/// One thing that is done to a file: what, to which, where (two bytes), how.
const EDIT_BYTES: usize = 5;
/// More make no new kind of damage, only slow runs.
const EDITS_MAX: usize = 16;

/// Any bytes as damage that is done to the segments of a log.
pub fn damage(data: &[u8]) {
    static SOUND: OnceLock<(Files, Verification)> = OnceLock::new();
    let (files, expected) = SOUND.get_or_init(|| {
        let files = sound();
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::of(&files));
        let verification = verify(&disk).expect("a sound log");
        assert!(verification.is_sound());
        (files, verification)
    });
    let mut files = files.clone();
    for edit in data.chunks_exact(EDIT_BYTES).take(EDITS_MAX) {
        do_damage(&mut files, edit);
    }
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::of(&files));
    dump(&disk, &DumpOptions::default(), &mut std::io::sink()).expect("it can be shown");
    let found = verify(&disk).expect("it can be read");
    if found.is_sound() {
        assert_eq!(found.groups, expected.groups, "{found}");
        return;
    }
    let lost = |finding: &Finding| match finding {
        Finding::Lost { relied_on, .. } => {
            // More entries than there were can have been in what can't be read.
            let known = (relied_on.term, relied_on.vote);
            known == (Term(3), Some(NodeId(2))) && relied_on.index >= Index(ENTRIES)
        }
        Finding::TornTail { .. }
        | Finding::Damage { .. }
        | Finding::BatchesMissing { .. }
        | Finding::SegmentHeader { .. }
        | Finding::EntriesMissing { .. }
        | Finding::WatermarkMissing
        | Finding::SlotsMissing { .. }
        | Finding::IdentityRebuilt
        | Finding::SnapshotMissing { .. }
        | Finding::BadSnapshot { .. } => false,
    };
    // Without a snapshot a log that lacks its beginning is no use, which shows when it is used.
    let is_useless = |finding: &Finding| matches!(finding, Finding::SnapshotMissing { .. });
    let is_said = found
        .findings
        .iter()
        .any(|one| lost(one) || is_useless(one));
    assert!(is_said, "{found}");
    check_repair(&disk);
}

/// After a repair the log is sound, and neither term nor vote is forgotten.
fn check_repair(disk: &Arc<dyn Disk>) {
    let consent = AcceptLoss::i_lose_what_is_missing();
    let repaired = repair(disk, &consent).expect("it can be repaired");
    assert_eq!(repaired.given_up.len(), 1, "{repaired}");
    let found = verify(disk).expect("it can be read");
    assert!(found.is_sound(), "{repaired}{found}");
    let hard_state = HardState {
        term: Term(3),
        vote: Some(NodeId(2)),
    };
    assert_eq!(found.groups.len(), 1, "{repaired}{found}");
    assert_eq!(found.groups[0].hard_state, hard_state, "{repaired}{found}");
    assert_eq!(repaired.given_up[0].hard_state, hard_state, "{repaired}");
}

fn do_damage(files: &mut Files, edit: &[u8]) {
    let mut segments: Vec<PathBuf> = files.keys().cloned().collect();
    segments.retain(|path| path.extension().is_some_and(|suffix| suffix == "wal"));
    if segments.is_empty() {
        return;
    }
    let path = &segments[usize::from(edit[1]) % segments.len()];
    let Some(bytes) = files.get_mut(path).filter(|bytes| !bytes.is_empty()) else {
        return;
    };
    let at = usize::from(u16::from_le_bytes([edit[2], edit[3]])) % bytes.len();
    let how = edit[4];
    match edit[0] % 8 {
        0 => bytes.truncate(at),
        1 => {
            files.remove(path);
        }
        2 | 3 => {
            let end = bytes.len().min(at + usize::from(how) * 8);
            bytes[at..end].fill(0);
        }
        _ => bytes[at] ^= how,
    }
}

/// A log of several segments, all of it durable.
fn sound() -> Files {
    let disk = Arc::new(MemoryDisk::default());
    let identity = Identity {
        cluster: 1,
        node: NodeId(1),
    };
    let config = WalConfig {
        segment_bytes: 1024,
        preparation: Preparation::Growing,
        ..WalConfig::default()
    };
    let wal = Wal::open(Arc::clone(&disk) as Arc<dyn Disk>, identity, config).expect("opened");
    let mut log = wal.group(GROUP).expect("a group");
    let members = Membership::of_voters([(NodeId(1), Member::at("one:1"))]);
    log.found(&Recovered::bootstrap(Incarnation(7), members))
        .expect("founded");
    for index in 1..=ENTRIES {
        let entry = Entry {
            term: Term(1 + (index - 1) / 10),
            index: Index(index),
            payload: Payload::Command(Bytes::from(vec![index.to_le_bytes()[0]; 60])),
        };
        let hard_state = HardState {
            term: Term(1 + (index - 1) / 10),
            vote: Some(NodeId(2)),
        };
        let write = Write {
            id: WriteId(index),
            entries: [entry].into_iter().collect(),
            hard_state: (index % 10 == 1).then_some(hard_state),
            ..Write::default()
        };
        log.write(&[write]).expect("written");
    }
    drop((wal, log));
    disk.files()
}
