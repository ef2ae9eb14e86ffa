//! The log on RocksDB against the suite of its port, and against damage on the disk.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use raft_core::conformance::{LogStoreFixture, log_store, log_store_walk};
use raft_core::event::Write;
use raft_core::port::{LogStore, PortErrorKind};
use raft_core::types::{GroupId, Incarnation, Index, NodeId, Term};
use raft_core::{Entry, HardState, Payload, Recovered};
use tempfile::TempDir;

use super::{RocksLog, RocksLogConfig, RocksLogError};

struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }
}

fn open(dir: &Path) -> Result<RocksLog, RocksLogError> {
    RocksLog::open(dir, GroupId(7), RocksLogConfig::default())
}

impl LogStoreFixture for Fixture {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        *self = Self::new();
        self.reopen()
    }

    fn reopen(&mut self) -> Box<dyn LogStore> {
        Box::new(open(self.0.path()).expect("it opens"))
    }
}

#[test]
fn it_does_what_the_port_says() {
    log_store(&mut Fixture::new());
}

#[test]
fn it_walks() {
    for seed in 0..8 {
        log_store_walk(&mut Fixture::new(), seed, 60);
    }
}

/// A founded log, closed, with a few small writes, all in RocksDB's own log.
fn written(dir: &Path, writes: u64) -> Recovered {
    let mut log = open(dir).expect("it opens");
    log.found(&Recovered::blank(Incarnation(5)))
        .expect("founded");
    for index in 1..=writes {
        log.write(&[write(index)]).expect("written");
    }
    log.recover().expect("recovered")
}

fn write(index: u64) -> Write {
    let entry = Entry {
        term: Term(index),
        index: Index(index),
        payload: Payload::Command(vec![0xc0; 20].into()),
    };
    Write {
        hard_state: Some(HardState {
            term: Term(index),
            vote: Some(NodeId(1 + index % 3)),
        }),
        entries: [entry].into_iter().collect(),
        ..Write::default()
    }
}

/// The newest file of the database with this extension.
fn newest(dir: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(dir.join("db")).expect("a directory");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.pop().expect("there is one")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for file in fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        let to = to.join(file.file_name());
        if file.path().is_dir() {
            copy(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).expect("copied");
        }
    }
}

/// What became of a log whose files were damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It does not open.
    Refused,
    /// It opens, and says that less is here than was acknowledged.
    Noticed,
    /// It opens and holds all.
    Whole,
    /// It opens, holds less, and says nothing.
    Silent,
}

fn outcome(dir: &Path, before: &Recovered) -> Outcome {
    let Ok(mut log) = open(dir) else {
        return Outcome::Refused;
    };
    let found = log.recover().expect("recovered");
    let read = log.read(Index(1), found.last, u64::MAX).expect("read");
    assert_eq!(read.len() as u64, found.last.0);
    if found == *before {
        return Outcome::Whole;
    }
    let is_less =
        found.last < found.watermark.index || found.hard_state.term < found.watermark.term;
    if is_less && found.watermark == before.watermark {
        return Outcome::Noticed;
    }
    Outcome::Silent
}

/// Damages a copy of a written log, and says what became of it.
fn damage(home: &Path, before: &Recovered, damage: impl FnOnce(&Path)) -> Outcome {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("log");
    copy(home, &dir);
    damage(&dir);
    outcome(&dir, before)
}

#[test]
fn a_write_that_a_power_cut_tore_is_dropped_and_the_log_opens() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 3);
    let claim = home.path().join("ACKNOWLEDGED");
    let claimed = fs::read(&claim).expect("read");
    let whole = fs::read(newest(home.path(), "log")).expect("read").len();
    // RocksDB would move to another log file if it were opened for the fourth write alone.
    let torn = tempfile::tempdir().expect("temporary directory");
    written(torn.path(), 4);
    let path = newest(torn.path(), "log");
    let bytes = fs::read(&path).expect("read");
    for length in whole..bytes.len() {
        let outcome = damage(torn.path(), &before, |dir| {
            fs::write(newest(dir, "log"), &bytes[..length]).expect("cut");
            fs::write(dir.join("ACKNOWLEDGED"), &claimed).expect("never raised");
        });
        assert_eq!(outcome, Outcome::Whole, "cut at {length}");
    }
}

#[test]
fn zeros_behind_the_end_are_no_damage() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 3);
    for count in [1, 7, 100, 40_000] {
        let outcome = damage(home.path(), &before, |dir| {
            let path = newest(dir, "log");
            let mut bytes = fs::read(&path).expect("read");
            bytes.resize(bytes.len() + count, 0);
            fs::write(path, bytes).expect("written");
        });
        assert_eq!(outcome, Outcome::Whole, "{count} zeros");
    }
}

#[test]
fn garbage_behind_the_end_loses_nothing() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 3);
    for (garbage, expected) in [
        // Shorter than a record's header; longer than the file by its own account; whole, but
        // with a wrong checksum, which no torn append leaves: that is refused.
        (vec![0xab; 5], Outcome::Whole),
        (vec![0xab; 100], Outcome::Whole),
        (vec![1; 600], Outcome::Refused),
    ] {
        let outcome = damage(home.path(), &before, |dir| {
            let path = newest(dir, "log");
            let mut bytes = fs::read(&path).expect("read");
            bytes.extend_from_slice(&garbage);
            fs::write(path, bytes).expect("written");
        });
        assert_eq!(outcome, expected, "{} bytes", garbage.len());
    }
}

#[test]
fn no_flipped_byte_loses_anything_silently() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 3);
    let whole = fs::read(newest(home.path(), "log")).expect("read");
    let mut outcomes = Vec::new();
    for place in 0..whole.len() {
        let outcome = damage(home.path(), &before, |dir| {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x55;
            fs::write(newest(dir, "log"), bytes).expect("written");
        });
        assert_ne!(outcome, Outcome::Silent, "byte {place}");
        outcomes.push(outcome);
    }
    // A wrong checksum is refused by RocksDB; a wrong length is taken for the end, and noticed.
    let count = |wanted| outcomes.iter().filter(|found| **found == wanted).count();
    let (refused, noticed) = (count(Outcome::Refused), count(Outcome::Noticed));
    assert!(
        refused > 100 && noticed > 0,
        "{refused} refused, {noticed} noticed, {} whole",
        count(Outcome::Whole)
    );
}

#[test]
fn no_cut_into_what_was_acknowledged_is_silent() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 3);
    let whole = fs::read(newest(home.path(), "log")).expect("read");
    for length in 0..whole.len() {
        let outcome = damage(home.path(), &before, |dir| {
            fs::write(newest(dir, "log"), &whole[..length]).expect("cut");
        });
        let is_seen = matches!(outcome, Outcome::Refused | Outcome::Noticed);
        assert!(is_seen, "cut at {length}: {outcome:?}");
    }
}

#[test]
fn a_lost_file_is_never_silent() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 3);
    let remove_log = |dir: &Path| fs::remove_file(newest(dir, "log")).expect("removed");
    assert_eq!(damage(home.path(), &before, remove_log), Outcome::Refused);
    let remove_all = |dir: &Path| fs::remove_dir_all(dir.join("db")).expect("removed");
    assert_eq!(damage(home.path(), &before, remove_all), Outcome::Refused);
    // Opening writes what the log holds into a table.
    drop(open(home.path()).expect("it opens"));
    let remove_table = |dir: &Path| fs::remove_file(newest(dir, "sst")).expect("removed");
    assert_eq!(damage(home.path(), &before, remove_table), Outcome::Refused);
}

#[test]
fn a_loss_stays_known_until_the_log_is_there_again() {
    let home = tempfile::tempdir().expect("temporary directory");
    let before = written(home.path(), 5);
    let path = newest(home.path(), "log");
    let whole = fs::read(&path).expect("read");
    fs::write(&path, &whole[..whole.len() - 3]).expect("cut");
    for _ in 0..2 {
        assert_eq!(outcome(home.path(), &before), Outcome::Noticed);
    }
    let mut log = open(home.path()).expect("it opens");
    log.write(&[write(5)]).expect("written");
    let found = log.recover().expect("recovered");
    drop(log);
    assert_eq!(found, before);
    assert_eq!(outcome(home.path(), &before), Outcome::Whole);
}

/// What was lost had shortened the log: without it the log seems long enough.
#[test]
fn a_lost_truncation_is_noticed() {
    let home = tempfile::tempdir().expect("temporary directory");
    written(home.path(), 6);
    let mut log = open(home.path()).expect("it opens");
    let mut shorter = write(5);
    shorter.truncate = Some(Index(5));
    shorter.hard_state = Some(HardState {
        term: Term(9),
        vote: None,
    });
    let mut entry = shorter.entries[0].clone();
    entry.term = Term(9);
    shorter.entries = [entry].into_iter().collect();
    let term_alone = Write {
        hard_state: shorter.hard_state.take(),
        ..Write::default()
    };
    log.write(&[term_alone]).expect("written");
    log.write(&[shorter]).expect("written");
    drop(log);
    let path = newest(home.path(), "log");
    let whole = fs::read(&path).expect("read");
    fs::write(&path, &whole[..whole.len() - 3]).expect("cut");
    for _ in 0..2 {
        let mut log = open(home.path()).expect("it opens");
        let found = log.recover().expect("recovered");
        assert_eq!((found.last, found.lost), (Index(6), true));
        assert_eq!(found.watermark.index, Index(5));
    }
}

#[test]
fn a_directory_has_one_user() {
    let home = tempfile::tempdir().expect("temporary directory");
    let first = open(home.path()).expect("it opens");
    assert!(matches!(open(home.path()), Err(RocksLogError::Dir(_))));
    drop(first);
    open(home.path()).expect("it opens");
}

#[test]
fn another_groups_directory_is_refused() {
    let home = tempfile::tempdir().expect("temporary directory");
    written(home.path(), 3);
    let other = RocksLog::open(home.path(), GroupId(8), RocksLogConfig::default());
    let error = other.err().expect("what was acknowledged is not here");
    let RocksLogError::Store(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind, PortErrorKind::Damaged);
}
