//! What the suite for all log stores can't know of this one: what it shares, and who owns a disk.

use bytes::Bytes;
use raft_core::port::PortErrorKind;
use raft_core::{Entries, Membership, Payload, Term};

use super::*;

fn entries(term: u64, indexes: std::ops::RangeInclusive<u64>) -> Entries {
    let entry = |index| Entry {
        term: Term(term),
        index: Index(index),
        payload: Payload::Command(Bytes::from(vec![7; 100])),
    };
    indexes.map(entry).collect()
}

fn appending(entries: &Entries) -> Write {
    Write {
        entries: entries.clone(),
        ..Write::default()
    }
}

fn founded(disk: &MemoryDisk) -> MemoryLog {
    let mut log = MemoryLog::on(disk);
    let founding = Recovered::bootstrap(Incarnation(3), Membership::default());
    log.found(&founding).expect("it is empty");
    log
}

fn snapshot(log: &mut MemoryLog, last: Position) {
    let meta = Arc::new(SnapshotMeta {
        last,
        ..SnapshotMeta::default()
    });
    let sink = log.create_snapshot(meta).expect("memory");
    sink.finish().expect("memory");
}

fn indexes(log: &MemoryLog, from: u64, to: u64) -> Vec<u64> {
    let read = log.read(Index(from), Index(to), u64::MAX);
    let read = read.expect("memory");
    read.iter().map(|entry| entry.index.0).collect()
}

#[test]
fn what_is_written_is_shared_and_never_copied() {
    let mut log = founded(&MemoryDisk::default());
    let written = entries(1, 1..=3);
    log.write(&[appending(&written)]).expect("memory");
    let read = log.read(Index(2), Index(2), 0).expect("memory");
    let payload = |entry: &Entry| match &entry.payload {
        Payload::Command(bytes) => bytes.as_ptr(),
        Payload::Noop | Payload::Membership(_) => panic!("only commands were written"),
    };
    assert_eq!(payload(&read[0]), payload(&written[1]));
}

#[test]
fn pieces_are_cut_where_the_log_is() {
    let mut log = founded(&MemoryDisk::default());
    let writes = [1..=4, 5..=5, 6..=9].map(|indexes| appending(&entries(1, indexes)));
    log.write(&writes).expect("memory");
    let truncating = Write {
        truncate: Some(Index(4)),
        ..appending(&entries(2, 4..=6))
    };
    log.write(&[truncating]).expect("memory");
    snapshot(&mut log, Position::new(Term(2), Index(5)));
    log.purge(Index(2)).expect("a snapshot covers it");
    let check = |from, to, expected: &[u64]| {
        assert_eq!(indexes(&log, from, to), expected, "of {from}..={to}");
    };
    check(1, 9, &[]);
    check(2, 9, &[]);
    check(3, 9, &[3, 4, 5, 6]);
    check(3, 3, &[3]);
    check(5, 6, &[5, 6]);
    check(7, 9, &[]);
    let usage = log.usage();
    let weight = entries(1, 3..=6).weight();
    assert_eq!((usage.entries, usage.bytes), (4, weight));
    let found = log.recover().expect("memory");
    assert_eq!(found.base, Position::new(Term(1), Index(2)));
    let runs = vec![(Index(3), Term(1)), (Index(4), Term(2))];
    assert_eq!(found.terms, runs);
}

#[test]
fn whoever_opens_a_disk_takes_it_from_the_one_before() {
    let disk = MemoryDisk::default();
    let mut before = founded(&disk);
    before
        .write(&[appending(&entries(1, 1..=2))])
        .expect("memory");
    let meta = Arc::new(SnapshotMeta::default());
    let sink = before.create_snapshot(meta).expect("memory");
    let mut after = MemoryLog::on(&disk);
    let late = before.write(&[appending(&entries(1, 3..=3))]);
    assert_eq!(late.expect_err("late").kind, PortErrorKind::Misused);
    assert!(sink.finish().is_err(), "a snapshot of a former life");
    assert!(before.read(Index(1), Index(2), 0).is_err());
    assert_eq!(after.recover().expect("memory").last, Index(2));
    after
        .write(&[appending(&entries(1, 3..=3))])
        .expect("memory");
    assert_eq!(indexes(&after, 1, 9), [1, 2, 3]);
}

#[test]
fn a_log_without_its_snapshot_begins_anew_and_knows_what_it_lost() {
    let disk = MemoryDisk::default();
    let mut log = founded(&disk);
    let last = Position::new(Term(4), Index(9));
    snapshot(&mut log, last);
    let reset = Write {
        reset: Some(Arc::new(SnapshotMeta {
            last,
            ..SnapshotMeta::default()
        })),
        hard_state: Some(HardState {
            term: Term(4),
            vote: None,
        }),
        ..appending(&entries(4, 10..=11))
    };
    log.write(&[reset]).expect("the snapshot is here");
    log.set_aside_snapshot(last).expect("it is here");
    let found = MemoryLog::on(&disk).recover().expect("memory");
    assert_eq!((found.base, found.last), (Position::default(), Index(0)));
    assert_eq!((found.watermark.index, found.lost), (Index(11), true));
    let mut log = MemoryLog::on(&disk);
    log.write(&[appending(&entries(4, 1..=11))])
        .expect("memory");
    assert!(!log.recover().expect("memory").lost, "all is here again");
}

#[test]
fn a_log_that_was_never_founded_takes_nothing() {
    let mut log = MemoryLog::new();
    assert!(log.write(&[appending(&entries(1, 1..=1))]).is_err());
    assert!(log.create_snapshot(Arc::default()).is_err());
}

#[test]
fn a_file_on_a_disk_is_copied_into_memory() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().join("state");
    std::fs::write(&path, b"content").expect("writes");
    let mut log = founded(&MemoryDisk::default());
    let mut sink = log.create_snapshot(Arc::default()).expect("memory");
    sink.add_file("state", &path).expect("it is there");
    assert!(sink.add_file("absent", &dir.path().join("absent")).is_err());
    sink.finish().expect("memory");
    drop(dir);
    let source = log.open_snapshot().expect("memory").expect("it is there");
    let mut copied = Vec::new();
    source.copy("state", &mut copied).expect("memory");
    assert_eq!(copied, b"content");
}
