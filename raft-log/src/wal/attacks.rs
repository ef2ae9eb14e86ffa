//! Power cuts and damage at the worst moments: what was acknowledged is there or known to be lost.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::LogStore;
use raft_core::{Entry, GroupId, HardState, Index, NodeId, Payload, Term};
use tempfile::TempDir;

use super::tests::{
    GROUP, IDENTITY, append, config, entry, filled, flip, founding, open, read_all, segments,
    take_snapshot,
};
use super::{Wal, lock, watermark};
use crate::disk::{Disk, DiskFile, Open, RealDisk};

/// A disk that remembers which names a power cut could take back, and what it would leave of the
/// watermark; its syncs of directories fail when told so.
struct Unsure {
    real: RealDisk,
    watermark: Arc<Mutex<Vec<u8>>>,
    unsynced: Mutex<Vec<(PathBuf, PathBuf)>>,
    fails: AtomicBool,
}

impl Unsure {
    fn open(dir: &Path, unsynced: Vec<(PathBuf, PathBuf)>) -> Arc<Self> {
        Arc::new(Self {
            real: RealDisk::open(dir).expect("free"),
            watermark: Arc::default(),
            unsynced: Mutex::new(unsynced),
            fails: AtomicBool::new(false),
        })
    }

    fn unsynced(&self) -> Vec<(PathBuf, PathBuf)> {
        lock(&self.unsynced).clone()
    }

    /// Takes back the first renaming that is not durable.
    fn cut(&self) {
        if let Some((from, to)) = lock(&self.unsynced).first() {
            self.real.rename(to, from).expect("taken back");
        }
    }
}

impl Disk for Unsure {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.real.open(path, open)?;
        if path != Path::new(watermark::NAME) {
            return Ok(file);
        }
        let synced = Arc::clone(&self.watermark);
        Ok(Arc::new(Noted { file, synced }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.real.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)?;
        if from.starts_with("log") {
            lock(&self.unsynced).push((from.to_owned(), to.to_owned()));
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.real.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if dir == Path::new("log") {
            if self.fails.load(Ordering::Relaxed) {
                return Err(io::Error::other("told to fail"));
            }
            lock(&self.unsynced).clear();
        }
        self.real.sync_dir(dir)
    }
}

/// A file that notes what it held when it was synced.
struct Noted {
    file: Arc<dyn DiskFile>,
    synced: Arc<Mutex<Vec<u8>>>,
}

impl DiskFile for Noted {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = vec![0; usize::try_from(self.size()?).expect("small")];
        self.read_at(&mut content, 0)?;
        *lock(&self.synced) = content;
        self.file.sync()
    }
}

#[test]
fn names_seen_by_an_opening_are_durable_after_it() {
    let dir = TempDir::new().expect("directory");
    let disk = Unsure::open(dir.path(), Vec::new());
    let wal = Wal::open(disk.clone(), IDENTITY, config()).expect("opens");
    let mut log = wal.group(GROUP).expect("a group");
    log.found(&founding()).expect("founded");
    disk.fails.store(true, Ordering::Relaxed);
    let mut last = 0;
    while last < 100 && log.write(&[append(1, last + 1)]).is_ok() {
        last += 1;
    }
    // The process dies after it has named the second segment, before the name is durable.
    let unsynced = disk.unsynced();
    assert_eq!(unsynced.len(), 1);
    drop((wal, log, disk));
    let disk = Unsure::open(dir.path(), unsynced);
    let wal = Wal::open(disk.clone(), IDENTITY, config()).expect("opens");
    let mut log = wal.group(GROUP).expect("a group");
    log.write(&[append(1, last + 1)]).expect("acknowledged");
    drop((wal, log));
    disk.cut();
    drop(disk);
    let (_, log) = open(dir.path());
    assert_eq!(read_all(&log).len() as u64, last + 1);
}

#[test]
fn a_vote_survives_a_power_cut_and_damage_to_its_batch() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 3));
    let disk = Unsure::open(dir.path(), Vec::new());
    let wal = Wal::open(disk.clone(), IDENTITY, config()).expect("opens");
    let mut log = wal.group(GROUP).expect("a group");
    let hard_state = Some(HardState {
        term: Term(2),
        vote: Some(NodeId(3)),
    });
    let write = Write {
        hard_state,
        ..Write::default()
    };
    log.write(&[write]).expect("acknowledged");
    let synced = lock(&disk.watermark).clone();
    drop((wal, log, disk));
    fs::write(dir.path().join(watermark::NAME), synced).expect("written");
    let path = segments(dir.path()).pop().expect("a segment");
    let size = fs::metadata(&path).expect("there").len();
    flip(&path, size - 10);
    let (_, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    let said = recovered.watermark;
    assert!(recovered.lost, "the batch is damaged");
    assert_eq!((said.term, said.vote), (Term(2), Some(NodeId(3))));
}

#[test]
fn a_power_cut_between_two_drops_leaves_no_hole() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 60));
    let disk = Unsure::open(dir.path(), Vec::new());
    let wal = Wal::open(disk.clone(), IDENTITY, config()).expect("opens");
    let mut log = wal.group(GROUP).expect("a group");
    take_snapshot(&mut log, 50);
    disk.fails.store(true, Ordering::Relaxed);
    log.purge(Index(50)).expect_err("the power goes");
    drop((wal, log));
    disk.cut();
    drop(disk);
    let (wal, mut log) = open(dir.path());
    assert_eq!(wal.report().findings, []);
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.last, recovered.lost), (Index(60), false));
}

#[test]
fn a_power_cut_while_segments_are_set_aside_forgets_nothing() {
    for damage in [&[400][..], &[20, 100]] {
        let dir = TempDir::new().expect("directory");
        drop(filled(dir.path(), 40));
        for at in damage {
            flip(&segments(dir.path())[1], *at);
        }
        let (_, mut log) = open(dir.path());
        let before = log.recover().expect("recovered");
        assert_eq!((before.lost, before.watermark.index), (true, Index(40)));
        drop(log);
        for aside in fs::read_dir(dir.path().join("damaged")).expect("set aside") {
            let aside = aside.expect("an entry");
            let back = dir.path().join("log").join(aside.file_name());
            fs::rename(aside.path(), back).expect("moved back");
        }
        let (_, mut log) = open(dir.path());
        assert_eq!(log.recover().expect("recovered"), before, "{damage:?}");
    }
}

/// Opens the log, and brings its segments back to what they were: as if the power had gone once the
/// watermark was durable.
fn open_in_vain(dir: &Path) {
    let before: Vec<_> = segments(dir)
        .into_iter()
        .map(|path| (fs::read(&path).expect("read"), path))
        .collect();
    drop(open(dir));
    for path in segments(dir) {
        fs::remove_file(path).expect("removed");
    }
    for (content, path) in before {
        fs::write(path, content).expect("written");
    }
    let _ = fs::remove_dir_all(dir.join("damaged"));
}

#[test]
fn a_group_that_vanished_stays_known_however_often_the_power_goes() {
    let dir = TempDir::new().expect("directory");
    let (wal, log) = filled(dir.path(), 3);
    let path = segments(dir.path()).remove(0);
    let size = fs::metadata(&path).expect("there").len();
    let other = GroupId(9);
    let mut late = wal.group(other).expect("a group");
    late.found(&founding()).expect("founded");
    late.write(&[append(1, 1)]).expect("written");
    drop((wal, log, late));
    let file = OpenOptions::new().write(true).open(&path).expect("there");
    file.set_len(size).expect("cut");
    open_in_vain(dir.path());
    for _ in 0..2 {
        let (wal, _log) = open(dir.path());
        let mut late = wal.group(other).expect("a group");
        let recovered = late.recover().expect("recovered");
        assert_eq!((recovered.lost, recovered.last), (true, Index(0)));
        assert_eq!(recovered.watermark.index, Index(1));
        let hard_state = Some(HardState {
            term: Term(1),
            vote: Some(NodeId(1)),
        });
        let write = Write {
            hard_state,
            ..Write::default()
        };
        late.write(&[write]).expect("written");
    }
}

#[test]
fn evidence_of_an_earlier_end_does_not_lower_what_was_relied_on() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 8));
    let path = segments(dir.path()).remove(0);
    let size = fs::metadata(&path).expect("there").len();
    // The sixth entry is damaged, and the last one, which only the watermark tells of, missing.
    flip(&path, size - 3 * 264 + 100);
    let file = OpenOptions::new().write(true).open(&path).expect("there");
    file.set_len(size - 264).expect("cut");
    open_in_vain(dir.path());
    let (_, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.lost, recovered.last), (true, Index(5)));
    assert_eq!(recovered.watermark.index, Index(8));
}

#[test]
fn a_second_loss_does_not_hide_the_first() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 40));
    flip(&segments(dir.path())[1], 400);
    let (wal, mut log) = open(dir.path());
    let last = log.recover().expect("recovered").last.0;
    for index in last + 1..=last + 5 {
        log.write(&[append(1, index)]).expect("brought again");
    }
    drop((wal, log));
    let path = segments(dir.path()).pop().expect("a segment");
    let size = fs::metadata(&path).expect("there").len();
    flip(&path, size - 4 * 264 + 100);
    let (_, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.lost, recovered.last), (true, Index(last + 1)));
    assert_eq!(recovered.watermark.index, Index(40));
}

/// Entries 3 and 4; the record of the second begins `length` after the place of the first.
fn pair(term: u64, length: usize) -> Write {
    let first = Entry {
        payload: Payload::Command(Bytes::from(vec![7; length])),
        ..entry(term, 3)
    };
    Write {
        entries: [first, entry(term, 4)].into_iter().collect(),
        ..Write::default()
    }
}

#[test]
fn two_torn_batches_do_not_make_a_whole_one() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 2));
    let path = segments(dir.path()).remove(0);
    let size = usize::try_from(fs::metadata(&path).expect("there").len()).expect("small");
    let length = 1024 - (size + 64) % 512;
    let split = size + 64 + length;
    assert_eq!(split % 512, 0);
    // Twice the power goes while entries 3 and 4 are written: the first time only the sectors of
    // the second record reach the disk, the second time only those before it.
    for (term, reached) in [(1, split..usize::MAX), (2, 0..split)] {
        let (wal, mut log) = open(dir.path());
        let recovered = log.recover().expect("recovered");
        assert_eq!((recovered.last, recovered.lost), (Index(2), false));
        let watermark = fs::read(dir.path().join("watermark")).expect("there");
        let mut content = fs::read(&path).expect("there");
        log.write(&[pair(term, length)]).expect("written");
        drop((wal, log));
        let written = fs::read(&path).expect("there");
        content.resize(written.len().max(content.len()), 0);
        let end = reached.end.min(written.len());
        content[reached.start..end].copy_from_slice(&written[reached.start..end]);
        fs::write(&path, content).expect("written");
        fs::write(dir.path().join("watermark"), watermark).expect("written");
    }
    let (_, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    assert_eq!(
        (recovered.terms, recovered.last),
        (vec![(Index(1), Term(1))], Index(2))
    );
}

#[test]
fn everything_from_an_index_on_can_be_read() {
    let dir = TempDir::new().expect("directory");
    let (_wal, log) = filled(dir.path(), 3);
    let all = log.read(Index(1), Index(u64::MAX), u64::MAX);
    assert_eq!(all.expect("read").len(), 3);
    let none = log.read(Index(3), Index(2), u64::MAX);
    assert_eq!(none.expect("read"), []);
}

#[test]
fn a_stray_file_is_no_segment() {
    let dir = TempDir::new().expect("directory");
    drop(filled(dir.path(), 40));
    fs::create_dir(dir.path().join("damaged")).expect("made");
    for stray in [
        "log/1.wal",
        "log/+2.wal",
        "damaged/18446744073709551615.wal",
    ] {
        fs::write(dir.path().join(stray), b"?").expect("written");
    }
    for _ in 0..2 {
        let (wal, log) = open(dir.path());
        assert_eq!((wal.report().findings, read_all(&log).len()), (vec![], 40));
    }
}

#[test]
fn a_second_hole_may_have_held_more_than_is_seen() {
    let dir = TempDir::new().expect("directory");
    let (wal, mut log) = open(dir.path());
    let mut other = wal.group(GroupId(9)).expect("a group");
    log.found(&founding()).expect("founded");
    log.write(&[append(1, 1)]).expect("written");
    other.found(&founding()).expect("founded");
    other.write(&[append(1, 1)]).expect("written");
    let watermark = fs::read(dir.path().join("watermark")).expect("there");
    let path = segments(dir.path()).remove(0);
    let size = fs::metadata(&path).expect("there").len();
    for index in 2..=4 {
        log.write(&[append(1, index)]).expect("written");
    }
    other.write(&[append(1, 2)]).expect("written");
    drop((wal, log, other));
    // The power went, and entries 2 and 4 can't be read; that there is a fourth only the hole says.
    fs::write(dir.path().join("watermark"), watermark).expect("written");
    flip(&path, size + 100);
    flip(&path, size + 2 * 264 + 100);
    let (_, mut log) = open(dir.path());
    let recovered = log.recover().expect("recovered");
    assert_eq!((recovered.lost, recovered.last), (true, Index(1)));
    assert!(recovered.watermark.index >= Index(4), "{recovered:?}");
}
