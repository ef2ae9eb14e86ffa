//! The engine on RocksDB against crashes, captures in the midst of writes, and damage on the disk.
//!
//! A crash is a copy of the directory, taken while the engine goes on: it has only what had reached
//! the files by then.

mod crash;
mod damage;
mod snapshot;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::{
    Manifest, PortError, PortErrorKind, SnapshotFile, SnapshotSink, SnapshotSource,
};
use tempfile::TempDir;

use super::{RocksEngine, RocksEngineConfig, RocksEngineError};
use crate::engine::tests::suite;
use crate::engine::{Batch, Change, Direction, Engine, Family, Span, read};

/// Small, so that a test flushes often and stalls now and then.
const SMALL: RocksEngineConfig = RocksEngineConfig {
    cache_bytes: 1 << 20,
    flush_bytes: 16 << 10,
    flush_batches: 64,
    unflushed_bytes_max: 64 << 10,
};

fn temporary() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn open(dir: &Path) -> RocksEngine {
    RocksEngine::open(dir, SMALL).expect("it opens")
}

/// All rows.
type Rows = BTreeMap<(Family, Bytes), Bytes>;

fn rows(engine: &dyn Engine) -> Result<Rows, PortError> {
    read(engine, |view| {
        let mut rows = Rows::new();
        for family in Family::ALL {
            let mut cursor = view.scan(family, &Span::all(), Direction::Ascending)?;
            while let Some((key, value)) = cursor.to_owned() {
                rows.insert((family, key), value);
                cursor.advance()?;
            }
        }
        Ok(rows)
    })
}

fn put(applied: u64, family: Family, key: &str, value: &str) -> Batch {
    let change: Change = (key.to_owned().into(), Some(value.to_owned().into()));
    Batch {
        changes: vec![(family, vec![change])],
        ..Batch::new(Index(applied))
    }
}

/// Random numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Writes at random, and knows what the rows were after each batch.
struct Model {
    dice: Dice,
    applied: Index,
    moments: Vec<Rows>,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            applied: Index(0),
            moments: vec![Rows::new()],
        }
    }

    fn at(&self, applied: Index) -> &Rows {
        &self.moments[usize::try_from(applied.0).expect("few batches")]
    }

    fn now(&self) -> &Rows {
        self.at(self.applied)
    }

    fn next(&mut self) -> Batch {
        self.applied = self.applied.next();
        let mut batch = Batch::new(self.applied);
        let mut rows = self.moments.last().expect("the first one").clone();
        if self.dice.below(10) == 0 {
            let span = self.span();
            rows.retain(|(family, key), _| *family != Family::Keys || !span.contains(key));
            batch.emptied.push((Family::Keys, span));
        }
        for family in [Family::Keys, Family::Revisions, Family::Meta] {
            let changes = self.changes(family, &mut rows);
            batch.changes.push((family, changes));
        }
        self.moments.push(rows);
        batch
    }

    fn span(&mut self) -> Span {
        let (a, b) = (self.dice.below(50), self.dice.below(50));
        let from = format!("{a:02}");
        match self.dice.below(4) {
            0 => Span {
                from: from.into(),
                to: None,
            },
            _ => Span::between(from, format!("{b:02}")),
        }
    }

    fn changes(&mut self, family: Family, rows: &mut Rows) -> Vec<Change> {
        let mut changes = BTreeMap::new();
        for _ in 0..self.dice.below(6) {
            let key = Bytes::from(format!("{:02}", self.dice.below(50)));
            let bytes = self.dice.below(400) as usize;
            let value = (self.dice.below(3) > 0)
                .then(|| Bytes::from(format!("{}{}", self.applied, "v".repeat(bytes))));
            match &value {
                Some(value) => rows.insert((family, key.clone()), value.clone()),
                None => rows.remove(&(family, key.clone())),
            };
            changes.insert(key, value);
        }
        changes.into_iter().collect()
    }
}

/// A snapshot as files in a directory.
struct Files {
    dir: TempDir,
    manifest: Manifest,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: temporary(),
            manifest: Manifest::default(),
        }
    }

    fn of(engine: &RocksEngine) -> Self {
        let mut files = Self::new();
        engine.capture().expect("captured")(&mut files).expect("copied");
        files
    }

    /// An engine with the rows of the snapshot.
    fn restored(&self) -> (TempDir, RocksEngine) {
        let dir = temporary();
        let engine = open(dir.path());
        engine.restore(self).expect("restored");
        (dir, engine)
    }
}

impl SnapshotSink for Files {
    fn add(&mut self, name: &str, content: &mut dyn std::io::Read) -> Result<(), PortError> {
        assert!(SnapshotFile::is_name(name), "{name:?}");
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).expect("memory");
        let size = bytes.len() as u64;
        fs::write(self.dir.path().join(name), bytes).expect("written");
        let name = name.to_owned();
        self.manifest.files.push(SnapshotFile {
            name,
            size,
            hash: 0,
        });
        self.manifest.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        self.add(name, &mut fs::File::open(path).expect("it is there"))
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

impl SnapshotSource for Files {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_at(&self, _: &str, _: u64, _: &mut [u8]) -> Result<usize, PortError> {
        Err(PortError::misused("not asked for"))
    }

    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError> {
        let bytes = fs::read(self.dir.path().join(name)).expect("it is there");
        to.write_all(&bytes).expect("written");
        Ok(())
    }
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("listed");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("listed").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("text"))
        .collect();
    names.sort_unstable();
    names
}

/// What a crash at this moment leaves.
pub(crate) fn crashed(engine: &RocksEngine) -> TempDir {
    let image = temporary();
    let live = engine.live();
    // What a file says is there must be there, also if it is replaced while this copies.
    live.tables.db().disable_file_deletions().expect("kept");
    copy(&engine.home_path(), image.path());
    live.tables.db().enable_file_deletions().expect("as before");
    image
}

/// Copies a directory. Files that name others are copied before those are listed, so that all they
/// name is there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    let is_first = |name: &str| name.starts_with("CURRENT") || name.starts_with("MANIFEST");
    for first in [true, false] {
        for name in names(from)
            .into_iter()
            .filter(|name| is_first(name) == first)
        {
            let (from, to) = (from.join(&name), to.join(&name));
            if from.is_dir() {
                copy(&from, &to);
            } else if let Err(error) = fs::copy(&from, &to) {
                // Nothing names it any more, or opening the copy says so.
                assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{name}");
            }
        }
    }
}

impl RocksEngine {
    fn home_path(&self) -> PathBuf {
        let live = self.live();
        let path = live.tables.db().path().parent();
        path.expect("it lies in a directory").to_owned()
    }
}

#[test]
fn it_does_what_every_engine_has_to_do() {
    let mut dirs = Vec::new();
    suite(&mut || {
        dirs.push(temporary());
        let dir = dirs.last().expect("the one just made");
        Box::new(open(dir.path()))
    });
}

#[test]
fn rows_outlive_a_close() {
    let dir = temporary();
    let mut model = Model::new(1);
    for _ in 0..5 {
        let engine = open(dir.path());
        assert_eq!(rows(&engine).expect("read"), *model.now());
        assert_eq!(
            engine.durable(),
            model.applied,
            "RocksDB flushes at the end"
        );
        for _ in 0..40 {
            engine.write(model.next()).expect("written");
        }
        assert_eq!(rows(&engine).expect("read"), *model.now());
    }
}

#[test]
fn a_directory_is_used_by_one_at_a_time() {
    let dir = temporary();
    let engine = open(dir.path());
    let Err(error) = RocksEngine::open(dir.path(), SMALL) else {
        panic!("it opened");
    };
    let said = error.to_string();
    let process = format!("process {}", std::process::id());
    assert!(matches!(error, RocksEngineError::Locked { .. }), "{said}");
    assert!(
        said.contains(&process) && said.contains("stop that one"),
        "{said}"
    );
    drop(engine);
    open(dir.path());
}

#[test]
fn what_is_left_of_unfinished_work_goes_at_the_start() {
    let dir = temporary();
    drop(open(dir.path()));
    for left in ["db.7", "db.2.tmp", "capture.3", "capture.3.tmp", "other"] {
        let left = dir.path().join(left);
        fs::create_dir(&left).expect("made");
        fs::write(left.join("000001.sst"), "x").expect("written");
    }
    let engine = open(dir.path());
    assert_eq!(names(dir.path()), ["CURRENT_DB", "LOCK", "db.1", "other"]);
    engine
        .write(put(1, Family::Keys, "a", "1"))
        .expect("written");
}

#[test]
fn a_view_stays_at_its_moment() {
    let dir = temporary();
    let engine = open(dir.path());
    engine
        .write(put(1, Family::Keys, "a", "1"))
        .expect("written");
    read(&engine, |view| {
        engine.write(put(2, Family::Keys, "a", "2"))?;
        engine.write(put(3, Family::Keys, "b", "3"))?;
        assert_eq!(view.get(Family::Keys, b"a")?.as_deref(), Some(&b"1"[..]));
        assert_eq!(view.get(Family::Keys, b"b")?, None);
        let keys = ["a".into(), "b".into()];
        let many = view.get_many(Family::Keys, &keys)?;
        assert_eq!(many, [Some("1".into()), None]);
        let cursor = view.scan(Family::Keys, &Span::all(), Direction::Descending)?;
        assert_eq!(cursor.row(), Some((&b"a"[..], &b"1"[..])));
        Ok(())
    })
    .expect("read");
}

#[test]
fn a_limit_below_the_threshold_is_refused() {
    let config = RocksEngineConfig {
        unflushed_bytes_max: SMALL.flush_bytes - 1,
        ..SMALL
    };
    let refused = RocksEngine::open(temporary().path(), config);
    let Err(RocksEngineError::Store(error)) = refused else {
        panic!("it opened");
    };
    assert_eq!(error.kind, PortErrorKind::Misused);
}
