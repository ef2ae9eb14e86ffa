//! What is said of sound, torn and damaged logs, and what a repair gives up.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::LogStore;
use raft_core::types::{Incarnation, WriteId};
use raft_core::{
    Entry, GroupId, HardState, Index, Member, Membership, NodeId, Payload, Position, Recovered,
    SnapshotMeta, Term,
};
use tempfile::TempDir;

use super::{AcceptLoss, DumpOptions, Repair, Verification};
use crate::config::{Identity, Preparation, WalConfig};
use crate::error::OpenError;
use crate::wal::{Finding, Wal, WalLog};

const GROUP: GroupId = GroupId(3);
const IDENTITY: Identity = Identity {
    cluster: 0xc0ffee,
    node: NodeId(1),
};

fn open(dir: &Path) -> (Wal, WalLog) {
    let config = WalConfig {
        segment_bytes: 4096,
        preparation: Preparation::Growing,
        ..WalConfig::default()
    };
    let wal = Wal::open_dir(dir, IDENTITY, config).expect("opens");
    let log = wal.group(GROUP).expect("a group");
    (wal, log)
}

fn append(index: u64) -> Write {
    let entry = Entry {
        term: Term(1),
        index: Index(index),
        payload: Payload::Command(Bytes::from(format!("{index:0200}\n"))),
    };
    Write {
        id: WriteId(index),
        entries: [entry].into_iter().collect(),
        hard_state: (index == 1).then_some(HardState {
            term: Term(1),
            vote: Some(NodeId(2)),
        }),
        ..Write::default()
    }
}

/// A log with that many entries, one a batch, about 13 a segment.
fn filled(count: u64) -> TempDir {
    let dir = TempDir::new().expect("directory");
    let (_wal, mut log) = open(dir.path());
    let members = Membership::of_voters([(NodeId(1), Member::at("one:1"))]);
    let founding = Recovered::bootstrap(Incarnation(77), members);
    log.found(&founding).expect("founded");
    for index in 1..=count {
        log.write(&[append(index)]).expect("written");
    }
    dir
}

fn take_snapshot(dir: &Path, index: u64) -> SnapshotMeta {
    let (_wal, mut log) = open(dir);
    let meta = SnapshotMeta {
        last: Position::new(Term(1), Index(index)),
        ..log.recover().expect("recovered").snapshot
    };
    let mut sink = log.create_snapshot(Arc::new(meta.clone())).expect("begun");
    sink.add("state", &mut &b"the state"[..]).expect("written");
    sink.finish().expect("durable");
    meta
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(crate::wal::files::segment(number))
}

fn flip(path: &Path, at: u64) {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).open(path).expect("there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("within");
    file.write_all_at(&[byte[0] ^ 1], at).expect("written");
}

/// All names and contents in a directory but for the lock.
fn image(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(image(&path));
        } else if !path.ends_with("LOCK") {
            let content = fs::read(&path).expect("read");
            found.push((path, content));
        }
    }
    found.sort();
    found
}

fn dump(dir: &Path, options: &DumpOptions) -> String {
    let before = image(dir);
    let disk = super::open(dir).expect("free");
    let mut out = Vec::new();
    super::dump(&disk, options, &mut out).expect("dumped");
    assert_eq!(image(dir), before, "nothing was changed");
    String::from_utf8(out).expect("text")
}

fn verify(dir: &Path) -> Verification {
    let before = image(dir);
    let verification = super::verify(&super::open(dir).expect("free")).expect("verified");
    assert_eq!(image(dir), before, "nothing was changed");
    verification
}

fn repair(dir: &Path) -> Repair {
    let consent = AcceptLoss::i_lose_what_is_missing();
    super::repair(&super::open(dir).expect("free"), &consent).expect("repaired")
}

/// Each line stands in the text, in this order.
fn assert_says(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("no further {line:?} in\n{text}");
        };
        rest = after;
    }
}

#[test]
fn a_sound_log_is_shown_record_by_record() {
    let dir = filled(20);
    take_snapshot(dir.path(), 15);
    assert_says(
        &dump(dir.path(), &DumpOptions::default()),
        &[
            "of node 1 of cluster c0ffee\n",
            "segment 00000000000000000001.wal: follows batch 0, first batch 1, content up to ",
            "\n  batch 1 at 64: 32 bytes, records: 0\n",
            "  batch 2 at 96: 176 bytes, records: 1\n",
            "group 3 checkpoint: incarnation 4d, term 0 no vote, entries after 0t0 up to 0, \
             founded with [1 at \"one:1\"]\n",
            "records: 2\n         304 group 3 term 1 vote 2\n",
            " 352 group 3 term 1 index 1 command 201 bytes ",
            "\"00000000000000000000000000000000\"..\n",
            "segment 00000000000000000002.wal: follows batch ",
            "group 3 checkpoint: incarnation 4d, term 1 vote 2, entries after 0t0 up to ",
            "group 3 term 1 index 20 command",
            "\nwatermark slot 0: group 3: term 1 vote 2 index ",
            "\nwatermark slot 1: group 3: term 1 vote 2 index ",
            "\nsnapshot of group 3: 00000000000000000015-00000000000000000001\n",
            "  up to 15t1, members [1 at \"one:1\"] of index 0\n",
            "  state: 9 bytes, checksum ",
        ],
    );
    let some = DumpOptions {
        group: Some(GROUP),
        from: Index(5),
        to: Index(6),
        preview_bytes: 300,
        ..DumpOptions::default()
    };
    let text = dump(dir.path(), &some);
    assert_says(
        &text,
        &["index 5 command 201", "5\\n\"\n", "index 6 command"],
    );
    assert!(
        !text.contains("index 4 ") && !text.contains("index 7 "),
        "{text}"
    );
    let few = DumpOptions {
        records_max: 3,
        ..DumpOptions::default()
    };
    assert_says(
        &dump(dir.path(), &few),
        &["index 1 ", "\n3 records shown, no more\n"],
    );
    let other = DumpOptions {
        group: Some(GroupId(4)),
        ..DumpOptions::default()
    };
    assert!(!dump(dir.path(), &other).contains("group 3"));
}

#[test]
fn a_sound_log_verifies_and_a_repair_gives_nothing_up() {
    let dir = filled(20);
    take_snapshot(dir.path(), 15);
    let verification = verify(dir.path());
    assert_eq!((verification.is_sound(), verification.snapshots), (true, 1));
    assert_says(
        &verification.to_string(),
        &[
            "log of node 1 of cluster c0ffee\nread: 2 segments, 23 batches\n\
             read: 1 snapshots, 9 bytes\n\
             group 3: entries after 0t0 up to 20, term 1 vote 2\nsound\n",
        ],
    );
    let repair = repair(dir.path());
    assert_eq!(repair.given_up, []);
    assert_says(
        &repair.to_string(),
        &["cluster c0ffee\nnothing was given up\n"],
    );
    assert_eq!(verify(dir.path()), verification);
}

#[test]
fn a_torn_end_is_no_loss() {
    let dir = filled(2);
    let path = segment(dir.path(), 1);
    let size = fs::metadata(&path).expect("there").len();
    let watermark = fs::read(dir.path().join("watermark")).expect("there");
    let (wal, mut log) = open(dir.path());
    log.write(&[append(3)]).expect("written");
    drop((wal, log));
    fs::write(dir.path().join("watermark"), watermark).expect("written");
    let file = OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(size + 100).expect("cut");
    let verification = verify(dir.path());
    assert!(verification.is_sound());
    assert_says(
        &verification.to_string(),
        &[
            "note: 00000000000000000001.wal: an unfinished batch of",
            "next: nothing",
            "\nsound\n",
        ],
    );
    let text = dump(dir.path(), &DumpOptions::default());
    assert_says(
        &text,
        &[
            "index 2 ",
            &format!(" bytes at {size}, not all of it there\n"),
        ],
    );
    assert_eq!(repair(dir.path()).given_up, []);
}

#[test]
fn damage_is_shown_with_what_lies_beyond_it() {
    let dir = filled(20);
    flip(&segment(dir.path(), 1), 1500);
    let verification = verify(dir.path());
    assert!(!verification.is_sound());
    let text = verification.to_string();
    assert_says(
        &text,
        &[
            "group 3: entries after 0t0 up to 4, term 1 vote 2\n",
            "DAMAGE: 00000000000000000001.wal: bytes 1440..1720 are damaged; batch 7 and all after \
             it are lost\n  next: start the node",
            "DAMAGE: group 3: the log ends at 4t1, others rely on term 1 and index 20",
            "\nNOT SOUND\n",
        ],
    );
    let text = dump(dir.path(), &DumpOptions::default());
    assert_says(
        &text,
        &[
            "index 4 ",
            "  damaged: bytes 1440..1720\n",
            "index 6 ",
            "index 20 ",
        ],
    );
}

#[test]
fn a_repair_gives_up_entries_but_neither_term_nor_vote() {
    let dir = filled(20);
    flip(&segment(dir.path(), 1), 1500);
    let done = repair(dir.path());
    assert_eq!(done.given_up.len(), 1);
    let given_up = done.given_up[0];
    assert_eq!(given_up.entries(), Some((Index(5), Index(20))));
    assert_says(
        &done.to_string(),
        &[
            "found: 00000000000000000001.wal: bytes 1440..1720 are damaged",
            "GIVEN UP: group 3: entries 5 to 20; others may rely on term 1 vote 2 index 20; the \
             log ends at 4t1; kept: term 1 vote 2\nthe node votes again",
        ],
    );
    let (wal, mut log) = open(dir.path());
    assert_eq!(wal.report().findings, []);
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.lost, recovered.last), (false, Index(4)));
    assert_eq!(recovered.hard_state, given_up.hard_state);
    assert_eq!(recovered.watermark.index, Index(4));
    log.write(&[append(5)]).expect("goes on");
    drop((wal, log));
    assert!(verify(dir.path()).is_sound());
    let text = dump(dir.path(), &DumpOptions::default());
    assert_says(&text, &["set aside: damaged/00000000000000000002.wal\n"]);
    assert_eq!(repair(dir.path()).given_up, [], "once is enough");
}

#[test]
fn a_repair_never_lowers_the_term_nor_forgets_a_vote() {
    // Term 7 and its vote lie in the damaged part; the watermark knows them too.
    let vote = |vote| {
        let dir = filled(20);
        let (wal, mut log) = open(dir.path());
        let hard_state = HardState {
            term: Term(7),
            vote,
        };
        let write = Write {
            hard_state: Some(hard_state),
            ..Write::default()
        };
        log.write(&[write]).expect("written");
        drop((wal, log));
        flip(&segment(dir.path(), 2), 300);
        let given_up = repair(dir.path()).given_up;
        assert_eq!(given_up.len(), 1);
        assert_eq!(given_up[0].hard_state.term, Term(7));
        let (_wal, mut log) = open(dir.path());
        let recovered = log.recover().expect("recovered");
        assert!(!recovered.lost);
        assert_eq!(recovered.hard_state, given_up[0].hard_state);
        recovered.hard_state.vote
    };
    assert_eq!(vote(Some(NodeId(3))), Some(NodeId(3)));
    assert_eq!(vote(None), Some(NodeId(1)), "it votes for nobody else");
}

#[test]
fn a_missing_segment_is_said_and_can_be_put_back() {
    let dir = filled(40);
    let path = segment(dir.path(), 2);
    let content = fs::read(&path).expect("there");
    fs::remove_file(&path).expect("removed");
    let verification = verify(dir.path());
    assert_says(
        &verification.to_string(),
        &[
            "DAMAGE: a segment is missing: batches ",
            "next: put the missing segments back",
        ],
    );
    fs::write(&path, content).expect("put back");
    assert!(verify(dir.path()).is_sound());
    fs::remove_file(segment(dir.path(), 1)).expect("removed");
    let verification = verify(dir.path());
    assert!(
        matches!(
            verification.findings[..],
            [
                Finding::EntriesMissing { from: Index(1), .. },
                Finding::SnapshotMissing { .. }
            ]
        ),
        "{verification:?}"
    );
    let done = repair(dir.path());
    assert_eq!(done.given_up.len(), 1);
    assert_eq!(done.given_up[0].entries(), Some((Index(1), Index(40))));
    assert!(verify(dir.path()).is_sound());
}

#[test]
fn files_of_snapshots_are_read() {
    let dir = filled(20);
    take_snapshot(dir.path(), 15);
    let name = "snapshots/3/00000000000000000015-00000000000000000001/state";
    flip(&dir.path().join(name), 2);
    let verification = verify(dir.path());
    assert!(!verification.is_sound());
    assert_says(
        &verification.to_string(),
        &[
            "DAMAGE: group 3: snapshot 00000000000000000015",
            "with checksum",
            "next: set its dir",
        ],
    );
}

#[test]
fn nothing_is_done_beside_a_process_or_without_a_log() {
    let dir = filled(1);
    let (_wal, _log) = open(dir.path());
    assert!(matches!(super::open(dir.path()), Err(OpenError::Dir(_))));
    let empty = TempDir::new().expect("directory");
    let disk = super::open(empty.path()).expect("free");
    assert!(matches!(super::verify(&disk), Err(OpenError::NoLog)));
    let consent = AcceptLoss::i_lose_what_is_missing();
    let repaired = super::repair(&disk, &consent);
    assert!(matches!(repaired, Err(OpenError::NoLog)));
    assert!(super::open(&empty.path().join("nowhere")).is_err());
    assert!(!empty.path().join("nowhere").exists());
}
