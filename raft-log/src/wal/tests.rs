//! The log on a real disk: what is written is found again, and what was damaged is told apart.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::{LogStore, PortErrorKind};
use raft_core::types::{Incarnation, WriteId};
use raft_core::{
    Entry, GroupId, HardState, Index, Member, Membership, NodeId, Payload, Position, Recovered,
    SnapshotMeta, Term, Watermark,
};
use tempfile::TempDir;

use super::{Finding, Wal, WalLog};
use crate::config::{Identity, Preparation, WalConfig};
use crate::error::OpenError;

pub(super) const GROUP: GroupId = GroupId(3);
pub(super) const IDENTITY: Identity = Identity {
    cluster: 0xc0ffee,
    node: NodeId(1),
};

pub(super) fn config() -> WalConfig {
    WalConfig {
        segment_bytes: 4096,
        preparation: Preparation::Growing,
        ..WalConfig::default()
    }
}

pub(super) fn open(dir: &Path) -> (Wal, WalLog) {
    let wal = Wal::open_dir(dir, IDENTITY, config()).expect("opens");
    let log = wal.group(GROUP).expect("a group");
    (wal, log)
}

pub(super) fn founding() -> Recovered {
    let members = Membership::of_voters([(NodeId(1), Member::at("one:1"))]);
    Recovered::bootstrap(Incarnation(77), members)
}

/// A founded log with entries of term 1 of 200 bytes, one a batch.
pub(super) fn filled(dir: &Path, count: u64) -> (Wal, WalLog) {
    let (wal, mut log) = open(dir);
    log.found(&founding()).expect("founded");
    for index in 1..=count {
        log.write(&[append(1, index)]).expect("written");
    }
    (wal, log)
}

pub(super) fn entry(term: u64, index: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        payload: Payload::Command(Bytes::from(vec![index.to_le_bytes()[0]; 200])),
    }
}

pub(super) fn append(term: u64, index: u64) -> Write {
    Write {
        id: WriteId(index),
        entries: [entry(term, index)].into_iter().collect(),
        hard_state: (index == 1).then_some(HardState {
            term: Term(term),
            vote: Some(NodeId(1)),
        }),
        ..Write::default()
    }
}

fn truncate(from: u64) -> Write {
    Write {
        truncate: Some(Index(from)),
        ..Write::default()
    }
}

pub(super) fn take_snapshot(log: &mut WalLog, index: u64) {
    let meta = SnapshotMeta {
        last: Position::new(Term(1), Index(index)),
        ..founding().snapshot
    };
    let mut sink = log.create_snapshot(Arc::new(meta)).expect("begun");
    sink.add("state", &mut &b"the state"[..]).expect("written");
    sink.finish().expect("durable");
}

pub(super) fn read_all(log: &WalLog) -> Vec<Entry> {
    log.read(Index(1), Index(u64::MAX - 1), u64::MAX)
        .expect("read")
}

pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("log")).expect("the log");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "wal");
    let mut segments: Vec<_> = paths.filter(is_segment).collect();
    segments.sort();
    segments
}

pub(super) fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("within");
    file.write_all_at(&[byte[0] ^ 1], at).expect("written");
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let dir = TempDir::new().expect("directory");
    let (wal, log) = filled(dir.path(), 40);
    assert!(wal.segments() > 1, "several segments");
    let expected: Vec<_> = (1..=40).map(|index| entry(1, index)).collect();
    assert_eq!(read_all(&log), expected);
    drop((wal, log));
    let (wal, mut log) = open(dir.path());
    assert_eq!(wal.report().findings, []);
    assert_eq!(read_all(&log), expected);
    let recovered = log.recover().expect("recovered");
    let hard_state = HardState {
        term: Term(1),
        vote: Some(NodeId(1)),
    };
    assert_eq!(
        recovered,
        Recovered {
            hard_state,
            terms: vec![(Index(1), Term(1))],
            last: Index(40),
            watermark: Watermark {
                term: Term(1),
                vote: Some(NodeId(1)),
                index: Index(40),
            },
            ..founding()
        }
    );
    log.write(&[append(1, 41)]).expect("goes on");
    assert_eq!(read_all(&log).len(), 41);
}

#[test]
fn a_segment_goes_when_its_last_entry_is_purged() {
    let dir = TempDir::new().expect("directory");
    let (wal, mut log) = filled(dir.path(), 60);
    let before = wal.segments();
    let error = log.purge(Index(50)).expect_err("no snapshot covers it");
    assert_eq!(error.kind, PortErrorKind::Misused);
    take_snapshot(&mut log, 50);
    log.purge(Index(50)).expect("purged");
    assert!(
        wal.segments() <= before / 2,
        "{} of {before}",
        wal.segments()
    );
    assert_eq!(log.usage().entries, 10);
    log.write(&[append(1, 61)]).expect("goes on");
    drop((wal, log));
    let (wal, mut log) = open(dir.path());
    assert_eq!(wal.report().findings, []);
    let recovered = log.recover().expect("recovered");
    assert_eq!(recovered.base, Position::new(Term(1), Index(50)));
    assert_eq!(recovered.last, Index(61));
    assert_eq!(log.read(Index(50), Index(61), u64::MAX).expect("read"), []);
    let read = log.read(Index(51), Index(61), u64::MAX).expect("read");
    assert_eq!(
        read,
        (51..=61).map(|index| entry(1, index)).collect::<Vec<_>>()
    );
}

#[test]
fn a_bad_snapshot_makes_room_for_the_one_before() {
    let dir = TempDir::new().expect("directory");
    let (wal, mut log) = filled(dir.path(), 60);
    for index in [20, 40] {
        take_snapshot(&mut log, index);
        log.purge(Index(index)).expect("purged");
    }
    let snapshot = |log: &mut WalLog| {
        let recovered = log.recover().expect("recovered");
        let is_whole = recovered.base.index <= recovered.snapshot.last.index;
        assert!(is_whole, "{recovered:?}");
        (
            recovered.snapshot.last.index.0,
            recovered.last.0,
            recovered.lost,
        )
    };
    assert_eq!(snapshot(&mut log), (40, 60, false));
    let at = |index| Position::new(Term(1), Index(index));
    log.set_aside_snapshot(at(40)).expect("set aside");
    assert_eq!(
        snapshot(&mut log),
        (20, 60, false),
        "the log reaches back to it"
    );
    log.set_aside_snapshot(at(20)).expect("set aside");
    assert_eq!(
        snapshot(&mut log),
        (0, 0, true),
        "nothing is left to begin at"
    );
    assert!(wal.report().has_loss());
    drop((wal, log));
    let (_, mut log) = open(dir.path());
    assert_eq!(snapshot(&mut log), (0, 0, true));
}

#[test]
fn groups_share_the_log_and_nothing_else() {
    let dir = TempDir::new().expect("directory");
    let (wal, mut log) = filled(dir.path(), 10);
    let mut other = wal.group(GroupId(9)).expect("a group");
    assert_eq!(other.recover().expect("nothing"), Recovered::default());
    let error = other.write(&[append(1, 1)]).expect_err("not founded");
    assert_eq!(error.kind, PortErrorKind::Misused);
    other.found(&founding()).expect("founded");
    for index in 1..=30 {
        other.write(&[append(2, index)]).expect("written");
    }
    log.write(&[truncate(5)]).expect("written");
    assert_eq!(wal.oldest(), Some(GROUP));
    drop((wal, log, other));
    let (wal, log) = open(dir.path());
    let other = wal.group(GroupId(9)).expect("a group");
    assert_eq!((read_all(&log).len(), read_all(&other).len()), (4, 30));
    assert_eq!(wal.groups(), [GROUP, GroupId(9)]);
}

#[test]
fn an_unfinished_batch_at_the_end_is_cut_quietly() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 2));
    let path = &segments(dir.path())[0];
    let size = fs::metadata(path).expect("there").len();
    // A third batch of which only the beginning reached the disk: its watermark did not, either.
    let (wal, mut log) = open(dir.path());
    let watermark = fs::read(dir.path().join("watermark")).expect("there");
    log.write(&[append(1, 3)]).expect("written");
    drop((wal, log));
    fs::write(dir.path().join("watermark"), watermark).expect("written");
    let file = OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(size + 100).expect("cut");
    let (wal, mut log) = open(dir.path());
    let report = wal.report();
    assert!(
        matches!(report.findings[..], [Finding::TornTail { .. }]),
        "{report:?}"
    );
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.last, recovered.lost), (Index(2), false));
    log.write(&[append(1, 3)]).expect("goes on");
    drop((wal, log));
    let (wal, log) = open(dir.path());
    assert_eq!((wal.report().findings, read_all(&log).len()), (vec![], 3));
}

#[test]
fn a_lost_end_that_was_acknowledged_is_noticed() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 3));
    let path = &segments(dir.path())[0];
    let size = fs::metadata(path).expect("there").len();
    let file = OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(size - 10).expect("cut");
    let check = |last, is_lost| {
        let (wal, mut log) = open(dir.path());
        let recovered = log.recover().expect("recovered");
        assert_eq!((recovered.last, recovered.lost), (Index(last), is_lost));
        assert_eq!(recovered.watermark.index, Index(3));
        (wal, log)
    };
    drop(check(2, true));
    // It is not forgotten by another restart, nor while the log is only longer than before.
    let (_, mut log) = check(2, true);
    log.write(&[append(1, 3)]).expect("written");
    drop(log);
    drop(check(3, false));
}

#[test]
fn damage_in_the_middle_is_never_cut_quietly() {
    for at in [70, 150, 400, 900] {
        let dir = TempDir::new().expect("directory");
        drop(filled(dir.path(), 40));
        flip(&segments(dir.path())[1], at);
        for _ in 0..2 {
            let (wal, mut log) = open(dir.path());
            let recovered = log.recover().expect("recovered");
            assert!(
                wal.report().has_loss() && recovered.lost,
                "{:?}",
                wal.report()
            );
            assert!(recovered.last < Index(40));
            assert_eq!(recovered.watermark.index, Index(40));
            assert_eq!(recovered.watermark.vote, Some(NodeId(1)));
            let read = read_all(&log);
            assert_eq!(read.len() as u64, recovered.last.0);
        }
        let (wal, mut log) = open(dir.path());
        let last = log.recover().expect("recovered").last.0;
        for index in last + 1..=41 {
            log.write(&[append(1, index)]).expect("brought again");
        }
        drop((wal, log));
        let (wal, mut log) = open(dir.path());
        let recovered = log.recover().expect("recovered");
        assert_eq!((recovered.last, recovered.lost), (Index(41), false));
        assert_eq!(
            wal.report().findings,
            [],
            "the damage does not count any more"
        );
        assert_eq!(
            read_all(&log),
            (1..=41).map(|index| entry(1, index)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_damaged_founding_leaves_the_group_its_incarnation() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 3));
    // The second batch of the log is the one that founds the group.
    flip(&segments(dir.path())[0], 64 + 32 + 70);
    let (wal, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    assert!(wal.report().has_loss() && recovered.lost);
    assert_eq!(recovered.incarnation, Incarnation(77));
    assert_eq!(recovered.watermark.index, Index(3));
    assert_eq!(recovered.last, Index(0));
}

#[test]
fn the_power_may_go_out_again_without_the_watermark() {
    // As above, but the watermark is as old as the founding: later batches alone tell.
    let dir = TempDir::new().expect("directory");
    let (wal, mut log) = open(dir.path());
    log.found(&founding()).expect("founded");
    let watermark = fs::read(dir.path().join("watermark")).expect("there");
    for index in 1..=12 {
        log.write(&[append(1, index)]).expect("written");
    }
    drop((wal, log));
    fs::write(dir.path().join("watermark"), watermark).expect("written");
    flip(&segments(dir.path())[0], 1500);
    let (_, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    assert!(recovered.lost && recovered.last < Index(12));
    assert_eq!(recovered.watermark.index, Index(12));
}

#[test]
fn a_missing_segment_is_noticed_wherever_it_was() {
    for place in 0..4 {
        let dir = TempDir::new().expect("directory");
        drop(filled(dir.path(), 50));
        let segments = segments(dir.path());
        assert_eq!(segments.len(), 4);
        fs::remove_file(&segments[place]).expect("removed");
        let (wal, mut log) = open(dir.path());
        let recovered = log.recover().expect("recovered");
        assert!(
            wal.report().has_loss() && recovered.lost,
            "segment {place}: {recovered:?}"
        );
        let report = wal.report();
        let is_said = |finding: &Finding| matches!(finding, Finding::BatchesMissing { .. });
        let is_between = place == 1 || place == 2;
        assert_eq!(
            report.findings.iter().any(is_said),
            is_between,
            "{report:?}"
        );
        assert_eq!(recovered.watermark.index, Index(50), "segment {place}");
        assert_eq!(recovered.incarnation, Incarnation(77), "segment {place}");
        for index in recovered.last.0 + 1..=51 {
            log.write(&[append(1, index)]).expect("brought again");
        }
        drop((wal, log));
        let (wal, mut log) = open(dir.path());
        assert_eq!(wal.report().findings, []);
        assert!(!log.recover().expect("recovered").lost);
    }
}

#[test]
fn damaged_slots_are_noticed_and_one_of_them_does_no_harm() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 3));
    let path = dir.path().join("watermark");
    flip(&path, 10);
    let (wal, log) = open(dir.path());
    assert_eq!(wal.report().findings, []);
    drop((wal, log));
    fs::write(&path, [7; 128]).expect("written");
    let (wal, mut log) = open(dir.path());
    let findings = wal.report().findings;
    assert_eq!(findings, [Finding::SlotsMissing { group: GROUP }]);
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.last, recovered.lost), (Index(3), false));
    drop((wal, log));
    let (wal, _log) = open(dir.path());
    assert_eq!(wal.report().findings, []);
}

#[test]
fn a_directory_has_one_owner() {
    let dir = TempDir::new().expect("directory");
    let (wal, _log) = filled(dir.path(), 1);
    let again = Wal::open_dir(dir.path(), IDENTITY, config());
    assert!(matches!(again, Err(OpenError::Dir(_))), "in use");
    drop((wal, _log));
    let node = NodeId(2);
    let other = Identity { node, ..IDENTITY };
    let foreign = Wal::open_dir(dir.path(), other, config());
    assert!(matches!(foreign, Err(OpenError::Foreign { .. })));
    fs::remove_file(dir.path().join("identity")).expect("removed");
    let foreign = Wal::open_dir(dir.path(), other, config());
    assert!(matches!(foreign, Err(OpenError::Foreign { .. })));
    let (wal, _log) = open(dir.path());
    assert_eq!(wal.report().findings, [Finding::IdentityRebuilt]);
}

#[test]
fn what_breaks_the_contract_is_refused_and_changes_nothing() {
    let dir = TempDir::new().expect("directory");
    let (_wal, mut log) = filled(dir.path(), 3);
    for write in [append(1, 3), append(1, 5), truncate(0), truncate(5)] {
        let error = log.write(&[write]).expect_err("refused");
        assert_eq!(error.kind, PortErrorKind::Misused, "{error}");
    }
    log.write(&[append(1, 4)]).expect("nothing was spoilt");
    assert!(log.found(&founding()).is_err());
    assert_eq!(read_all(&log).len(), 4);
}

#[test]
fn threads_that_write_at_once_share_batches() {
    let dir = TempDir::new().expect("directory");
    let config = WalConfig::default();
    let wal = Wal::open_dir(dir.path(), IDENTITY, config).expect("opens");
    let logs: Vec<_> = (1..=8)
        .map(|id| wal.group(GroupId(id)).expect("a group"))
        .collect();
    std::thread::scope(|scope| {
        for mut log in logs {
            scope.spawn(move || {
                log.found(&founding()).expect("founded");
                for index in 1..=50 {
                    log.write(&[append(1, index)]).expect("written");
                }
            });
        }
    });
    drop(wal);
    let wal = Wal::open_dir(dir.path(), IDENTITY, config).expect("opens");
    for id in 1..=8 {
        let log = wal.group(GroupId(id)).expect("a group");
        assert_eq!(read_all(&log).len(), 50);
    }
    let batches = wal.report().batches;
    assert!(batches < 8 * 51, "{batches} batches for {} writes", 8 * 51);
}
