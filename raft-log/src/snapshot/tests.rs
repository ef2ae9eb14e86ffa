//! The store as a whole, on a real disk and on one that fails when it is told to.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use raft_core::port::{PortErrorKind, SnapshotFile};
use raft_core::types::{NodeId, Term};
use raft_core::{Member, Membership};
use tempfile::TempDir;

use super::*;
use crate::disk::{DiskFile, Open, RealDisk};

/// A directory with a store of its own, `snapshots`, and room for other files.
struct Place {
    dir: TempDir,
    disk: Arc<RealDisk>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let disk = Arc::new(RealDisk::open(dir.path()).expect("free"));
        Self { dir, disk }
    }

    fn store(&self) -> SnapshotStore {
        self.store_on(self.disk.clone())
    }

    fn store_on(&self, disk: Arc<dyn Disk>) -> SnapshotStore {
        SnapshotStore::open(disk, "snapshots".into(), SnapshotConfig::default()).expect("opened")
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join("snapshots").join(relative)
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.disk.list(Path::new("snapshots")).expect("listed");
        names.sort_unstable();
        names
    }
}

fn meta(index: u64) -> Arc<SnapshotMeta> {
    let members = [(NodeId(1), Member::at("one:2380"))];
    Arc::new(SnapshotMeta {
        last: Position::new(Term(2), Index(index)),
        membership: Arc::new(Membership::of_voters(members)),
        membership_index: Index(1),
    })
}

fn name(index: u64) -> String {
    format!("{index:020}-{:020}", 2)
}

type Content<'a> = (&'a str, Vec<u8>);

fn make(store: &SnapshotStore, index: u64, files: &[Content<'_>]) -> Result<(), PortError> {
    let mut sink = store.create(meta(index))?;
    for (name, content) in files {
        sink.add(name, &mut content.as_slice())?;
    }
    sink.finish()
}

/// Bytes that differ everywhere.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let words = (0..).map(|n: u64| {
        (n + seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    });
    words.flat_map(u64::to_le_bytes).take(size).collect()
}

fn sample() -> Vec<Content<'static>> {
    vec![
        ("a.sst", noise(1, 1_500_000)),
        ("b.sst", noise(2, 70_000)),
        ("empty", vec![]),
        ("z", noise(3, 1)),
    ]
}

fn indexes(store: &SnapshotStore) -> Vec<u64> {
    let metas = store.metas();
    metas.iter().map(|meta| meta.last.index.0).collect()
}

fn open(store: &SnapshotStore) -> Box<dyn SnapshotSource> {
    let source = store.open_newest().expect("readable");
    source.expect("there is one")
}

fn copied(source: &dyn SnapshotSource, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    source.copy(name, &mut bytes).expect("copied");
    bytes
}

fn assert_holds(store: &SnapshotStore, index: u64, files: &[Content<'_>]) {
    let source = open(store);
    let manifest = source.manifest();
    assert_eq!(manifest.meta, meta(index));
    assert_eq!(manifest.files.len(), files.len());
    for (name, content) in files {
        assert!(copied(&*source, name) == *content, "content of {name}");
    }
    assert_eq!(store.verify(), []);
}

/// Sends what is wanted in pieces, and `pieces` of them at most.
fn send(from: &dyn SnapshotSource, to: &mut dyn SnapshotReceiver, pieces: usize) -> usize {
    let mut buffer = vec![0; 100_000];
    for sent in 0..pieces {
        let Some((place, offset)) = to.wants() else {
            return sent;
        };
        let file = &from.manifest().files[place];
        let count = from.read_at(&file.name, offset, &mut buffer).expect("read");
        to.take(&buffer[..count]).expect("taken");
    }
    pieces
}

fn kind<T>(result: Result<T, PortError>) -> PortErrorKind {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error.kind,
    }
}

/// A disk that writes down what changes something, and says no from one such call on.
struct FaultyDisk {
    inner: Arc<RealDisk>,
    faults: Arc<Faults>,
}

/// So many such calls open a store in an empty place.
const OPENING_CALLS: usize = 3;

struct Faults {
    calls: Mutex<Vec<String>>,
    first: usize,
    last: usize,
}

impl FaultyDisk {
    /// Fails the calls numbered `first..=last`, from 0 on.
    fn new(place: &Place, first: usize, last: usize) -> Arc<Self> {
        let calls = Mutex::default();
        let faults = Faults { calls, first, last };
        Arc::new(Self {
            inner: place.disk.clone(),
            faults: Arc::new(faults),
        })
    }

    fn calls(&self) -> Vec<String> {
        self.faults.calls.lock().expect("no panic").clone()
    }

    /// Whether a call failed.
    fn struck(&self) -> bool {
        self.calls().len() > self.faults.first
    }
}

impl Faults {
    fn call(&self, doing: &str, path: &Path) -> io::Result<()> {
        let mut calls = self.calls.lock().expect("no panic");
        let path = path.display().to_string();
        let short = path.replace(&name(5), "5").replace("snapshots/", "");
        let call = calls.len();
        calls.push(format!("{doing} {short}"));
        if (self.first..=self.last).contains(&call) {
            return Err(io::Error::other("told to fail"));
        }
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>> {
        if open == Open::New {
            self.faults.call("new", path)?;
        }
        let inner = self.inner.open(path, open)?;
        let faults = self.faults.clone();
        let path = path.to_owned();
        Ok(Arc::new(FaultyFile {
            path,
            inner,
            faults,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.call("dir", dir)?;
        self.inner.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.call("rename to", to)?;
        self.inner.rename(from, to)
    }

    /// Another device, so that copies are tested here.
    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::CrossesDevices.into())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.faults.call("remove", path)?;
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.call("sync", dir)?;
        self.inner.sync_dir(dir)
    }
}

struct FaultyFile {
    path: PathBuf,
    inner: Arc<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.call("write", &self.path)?;
        self.inner.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.call("sync", &self.path)?;
        self.inner.sync()
    }
}

#[test]
fn what_is_made_is_read_and_found_again() {
    let place = Place::new();
    let store = place.store();
    assert!(store.newest().is_none() && store.open_newest().expect("readable").is_none());
    make(&store, 5, &sample()).expect("made");
    assert_holds(&store, 5, &sample());
    assert_holds(&place.store(), 5, &sample());
    assert_eq!(place.names(), [name(5)]);
    let source = open(&store);
    let mut buffer = [0; 16];
    let read = |offset, buffer: &mut [u8]| source.read_at("b.sst", offset, buffer).expect("read");
    assert_eq!(read(69_990, &mut buffer), 10);
    assert_eq!(buffer[..10], noise(2, 70_000)[69_990..]);
    assert_eq!(read(70_000, &mut buffer), 0);
    assert_eq!(read(u64::MAX, &mut buffer), 0);
    assert_eq!(
        kind(source.read_at("c", 0, &mut buffer)),
        PortErrorKind::Misused
    );
}

#[test]
fn a_store_is_shared_between_threads() {
    fn check<T: Clone + Send + Sync>() {}
    check::<SnapshotStore>();
}

#[test]
fn all_is_durable_before_it_has_its_name() {
    let (place, from) = (Place::new(), Place::new());
    let disk = FaultyDisk::new(&place, usize::MAX, usize::MAX);
    let store = place.store_on(disk.clone());
    make(&store, 5, &[("a", vec![1]), ("b", vec![2])]).expect("made");
    let expected = "dir snapshots, sync , sync snapshots, remove making-5, dir making-5, \
        new making-5/a, write making-5/a, sync making-5/a, \
        new making-5/b, write making-5/b, sync making-5/b, \
        new making-5/MANIFEST, write making-5/MANIFEST, sync making-5/MANIFEST, \
        sync making-5, rename to 5, sync snapshots, remove making-5";
    assert_eq!(disk.calls().join(", "), expected);

    make(&from.store(), 5, &[("a", vec![1]), ("b", vec![2])]).expect("made");
    let source = open(&from.store());
    let place = Place::new();
    let disk = FaultyDisk::new(&place, usize::MAX, usize::MAX);
    let store = place.store_on(disk.clone());
    let mut receiver = store.receive(source.manifest().clone()).expect("begun");
    send(&*source, &mut *receiver, 2);
    receiver.finish().expect("whole");
    let expected = "remove receiving-5, dir receiving-5, new receiving-5/MANIFEST, \
        write receiving-5/MANIFEST, sync receiving-5/MANIFEST, \
        remove receiving-5/b, remove receiving-5/a, \
        new receiving-5/.partial-0, write receiving-5/.partial-0, sync receiving-5/.partial-0, \
        rename to receiving-5/a, \
        new receiving-5/.partial-1, write receiving-5/.partial-1, sync receiving-5/.partial-1, \
        rename to receiving-5/b, sync receiving-5, rename to 5, sync snapshots";
    assert_eq!(disk.calls()[OPENING_CALLS..].join(", "), expected);
}

#[test]
fn a_snapshot_without_files_is_one() {
    let place = Place::new();
    make(&place.store(), 5, &[]).expect("made");
    assert_holds(&place.store(), 5, &[]);
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let place = Place::new();
    let store = place.store();
    let mut sink = store.create(meta(5)).expect("begun");
    sink.add("a", &mut &b"content"[..]).expect("added");
    assert_eq!(kind(store.create(meta(5))), PortErrorKind::Misused);
    assert_eq!(place.names(), [format!("making-{}", name(5))]);
    let left = place.path(&format!("removing-{}", name(4)));
    std::fs::create_dir(&left).expect("made");
    drop(sink);
    drop(place.store());
    assert!(place.names().is_empty());
    make(&store, 5, &sample()).expect("made after all");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let place = Place::new();
    let store = place.store();
    for name in [
        "", "..", "../a", "a/b", "/a", ".hidden", "MANIFEST", "taken",
    ] {
        let mut sink = store.create(meta(5)).expect("begun");
        sink.add("taken", &mut &b""[..]).expect("added");
        let added = sink.add(name, &mut &b"content"[..]);
        assert_eq!(kind(added), PortErrorKind::Misused, "{name}");
        assert_eq!(kind(sink.finish()), PortErrorKind::Misused, "{name}");
        let file = SnapshotFile {
            name: name.to_owned(),
            size: 1,
            hash: 1,
        };
        let meta = meta(6);
        let files = vec![file.clone(), file];
        let received = store.receive(Manifest { meta, files });
        assert_eq!(kind(received), PortErrorKind::Misused, "{name}");
    }
    assert!(place.names().is_empty());
}

#[test]
fn every_fault_of_the_disk_leaves_no_snapshot_or_a_whole_one() {
    let files = [("a", noise(1, 600_000)), ("b", noise(2, 10))];
    for lasting in [0, usize::MAX / 2] {
        let mut first = OPENING_CALLS - 1;
        loop {
            let place = Place::new();
            first += 1;
            let disk = FaultyDisk::new(&place, first, first.saturating_add(lasting));
            let store = place.store_on(disk.clone());
            let made = make(&store, 5, &files);
            if !disk.struck() {
                made.expect("nothing failed");
                break;
            }
            if made.is_ok() {
                // What failed came after: the removal of what the sink did not leave.
                assert_eq!(indexes(&store), [5], "call {first}");
                assert_holds(&place.store(), 5, &files);
            } else {
                assert!(store.newest().is_none(), "call {first}");
                let found = place.store();
                if lasting == 0 {
                    assert!(found.newest().is_none(), "call {first}");
                }
                assert_eq!(found.found_bad(), [], "call {first}");
                assert_eq!(found.verify(), [], "call {first}");
            }
        }
        assert!(first > 10, "the faults were within the making");
    }
}

#[test]
fn a_sink_that_failed_once_never_finishes() {
    let place = Place::new();
    for first in OPENING_CALLS + 2..OPENING_CALLS + 8 {
        let disk = FaultyDisk::new(&place, first, first);
        let store = place.store_on(disk);
        let mut sink = store.create(meta(5)).expect("begun");
        let first = sink.add("a", &mut &b"content"[..]);
        let second = sink.add("b", &mut &b"content"[..]);
        assert!(first.is_err() || second.is_err());
        let error = sink.finish().expect_err("failed before");
        assert!(error.context.contains("failed before"), "{error}");
        assert!(place.names().is_empty());
    }
}

#[test]
fn a_file_is_linked_or_copied() {
    let place = Place::new();
    let from = place.dir.path().join("elsewhere");
    std::fs::write(&from, noise(4, 600_000)).expect("written");
    let inode = |path: &Path| std::fs::metadata(path).expect("there").ino();
    let faulty = FaultyDisk::new(&place, usize::MAX, usize::MAX);
    let disks: [(u64, Arc<dyn Disk>); 2] = [(5, place.disk.clone()), (6, faulty)];
    for (index, disk) in disks {
        let store = place.store_on(disk);
        let mut sink = store.create(meta(index)).expect("begun");
        sink.add_file("file", &from).expect("added");
        sink.finish().expect("made");
        assert_holds(&store, index, &[("file", noise(4, 600_000))]);
        let is_link = inode(&from) == inode(&place.path(&format!("{}/file", name(index))));
        assert_eq!(is_link, index == 5);
    }
    let mut sink = place.store().create(meta(7)).expect("begun");
    let missing = place.dir.path().join("missing");
    assert_eq!(kind(sink.add_file("f", &missing)), PortErrorKind::Broken);
}

#[test]
fn a_transfer_resumes_wherever_it_was_cut() {
    let from = Place::new();
    make(&from.store(), 5, &sample()).expect("made");
    let source = open(&from.store());
    let manifest = source.manifest().clone();
    let to = Place::new();
    let mut progress = (0, 0);
    for _ in 0..17 {
        let store = to.store();
        let mut receiver = store.receive(manifest.clone()).expect("begun");
        assert_eq!(receiver.wants(), Some(progress), "goes on where it was");
        assert_eq!(
            kind(store.receive(manifest.clone())),
            PortErrorKind::Misused
        );
        assert_eq!(send(&*source, &mut *receiver, 1), 1);
        let Some(wanted) = receiver.wants() else {
            receiver.finish().expect("whole");
            assert_holds(&store, 5, &sample());
            assert_eq!(to.names(), [name(5)]);
            return;
        };
        progress = wanted;
    }
    panic!("17 pieces are all there are");
}

#[test]
fn what_is_wanted_must_come_before_the_end() {
    let from = Place::new();
    make(&from.store(), 5, &sample()).expect("made");
    let source = open(&from.store());
    let to = Place::new();
    let store = to.store();
    let mut receiver = store.receive(source.manifest().clone()).expect("begun");
    assert_eq!(
        kind(receiver.take(&noise(1, 1_500_001))),
        PortErrorKind::Misused
    );
    assert_eq!(send(&*source, &mut *receiver, 3), 3);
    assert_eq!(kind(receiver.finish()), PortErrorKind::Misused);
    assert!(store.newest().is_none());
}

#[test]
fn what_arrives_altered_is_wanted_again() {
    let from = Place::new();
    make(&from.store(), 5, &sample()).expect("made");
    let source = open(&from.store());
    let to = Place::new();
    let store = to.store();
    let mut receiver = store.receive(source.manifest().clone()).expect("begun");
    send(&*source, &mut *receiver, 15);
    assert_eq!(receiver.wants(), Some((1, 0)));
    let mut altered = noise(2, 70_000);
    altered[69_999] ^= 1;
    assert_eq!(kind(receiver.take(&altered)), PortErrorKind::Damaged);
    assert_eq!(receiver.wants(), Some((1, 0)));
    send(&*source, &mut *receiver, usize::MAX);
    receiver.finish().expect("whole");
    assert_holds(&store, 5, &sample());
}

#[test]
fn what_changed_between_two_attempts_is_wanted_again() {
    let from = Place::new();
    make(&from.store(), 5, &sample()).expect("made");
    let source = open(&from.store());
    let to = Place::new();
    let receive = |store: &SnapshotStore| store.receive(source.manifest().clone()).expect("begun");
    let flip = |file: &str| {
        let path = to.path(&format!("receiving-{}/{file}", name(5)));
        let mut bytes = std::fs::read(&path).expect("there");
        bytes[17] ^= 1;
        std::fs::write(&path, bytes).expect("written");
    };
    let store = to.store();
    let mut receiver = receive(&store);
    send(&*source, &mut *receiver, 5);
    drop(receiver);
    flip(".partial-0");
    let mut receiver = receive(&store);
    assert_eq!(receiver.wants(), Some((0, 500_000)));
    send(&*source, &mut *receiver, 9);
    assert_eq!(
        kind(receiver.take(&noise(1, 1_500_000)[1_400_000..])),
        PortErrorKind::Damaged
    );
    assert_eq!(receiver.wants(), Some((0, 0)), "all of it");
    send(&*source, &mut *receiver, 15);
    drop(receiver);
    flip("a.sst");
    let mut receiver = receive(&store);
    assert_eq!(receiver.wants(), Some((0, 0)), "it is not believed");
    send(&*source, &mut *receiver, usize::MAX);
    flip("b.sst");
    assert_eq!(kind(receiver.finish()), PortErrorKind::Damaged);
    let mut receiver = receive(&store);
    assert_eq!(receiver.wants(), Some((1, 0)));
    send(&*source, &mut *receiver, usize::MAX);
    receiver.finish().expect("whole");
    assert_holds(&store, 5, &sample());
}

#[test]
fn another_manifest_starts_over() {
    let (first, second, to) = (Place::new(), Place::new(), Place::new());
    make(&first.store(), 5, &sample()).expect("made");
    let other = [("a.sst", noise(9, 300_000)), ("b.sst", noise(2, 70_000))];
    make(&second.store(), 5, &other).expect("made");
    let (first, second) = (open(&first.store()), open(&second.store()));
    let store = to.store();
    let mut receiver = store.receive(first.manifest().clone()).expect("begun");
    send(&*first, &mut *receiver, 2);
    drop(receiver);
    let mut receiver = store.receive(second.manifest().clone()).expect("begun");
    assert_eq!(receiver.wants(), Some((0, 0)));
    send(&*second, &mut *receiver, usize::MAX);
    receiver.finish().expect("whole");
    assert_holds(&store, 5, &other);
}

#[test]
fn what_is_there_is_not_wanted_unless_it_is_damaged() {
    let (from, to) = (Place::new(), Place::new());
    let old = to.store();
    make(
        &old,
        3,
        &[("a.sst", noise(1, 1_500_000)), ("y", noise(5, 9))],
    )
    .expect("made");
    make(&from.store(), 5, &sample()).expect("made");
    let source = open(&from.store());
    let mut receiver = old.receive(source.manifest().clone()).expect("begun");
    assert_eq!(receiver.wants(), Some((1, 0)), "the first is linked");
    let ours = to.path(&format!("{}/a.sst", name(3)));
    assert_eq!(std::fs::metadata(&ours).expect("there").nlink(), 2);
    send(&*source, &mut *receiver, 1);
    drop(receiver);
    // A newer one takes over what was received of the older.
    make(&from.store(), 6, &sample()).expect("made");
    let source = open(&from.store());
    let receiver = old.receive(source.manifest().clone()).expect("begun");
    assert_eq!(receiver.wants(), Some((3, 0)));
    assert_eq!(to.names(), [name(3), format!("receiving-{}", name(6))]);
    // Damage of ours is not spread, and what is received does not repair what it does not own.
    drop(receiver);
    let mut bytes = noise(1, 1_500_000);
    bytes[1_000_000] ^= 1;
    std::fs::write(&ours, &bytes).expect("written");
    let mut receiver = old.receive(source.manifest().clone()).expect("begun");
    assert_eq!(receiver.wants(), Some((0, 0)));
    send(&*source, &mut *receiver, usize::MAX);
    receiver.finish().expect("whole");
    assert!(std::fs::read(&ours).expect("there") == bytes);
    let findings = old.verify();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].to_string().contains("a.sst"), "{}", findings[0]);
}

#[test]
fn a_failed_write_of_a_receiver_is_not_resumed() {
    let from = Place::new();
    let files = [("a", noise(1, 250_000))];
    make(&from.store(), 5, &files).expect("made");
    let source = open(&from.store());
    let manifest = source.manifest();
    let mut first = OPENING_CALLS - 1;
    loop {
        first += 1;
        let to = Place::new();
        let disk = FaultyDisk::new(&to, first, first);
        let store = to.store_on(disk.clone());
        let received = store.receive(manifest.clone()).and_then(|mut receiver| {
            let mut buffer = vec![0; 100_000];
            while let Some((_, offset)) = receiver.wants() {
                let count = source.read_at("a", offset, &mut buffer).expect("read");
                receiver.take(&buffer[..count])?;
            }
            receiver.finish()
        });
        if !disk.struck() {
            received.expect("nothing failed");
            assert!(first > 10, "the faults were within the transfer");
            return;
        }
        if received.is_err() {
            assert!(store.newest().is_none(), "call {first}");
            let receiver = to.store().receive(manifest.clone()).expect("begun");
            assert_eq!(receiver.wants(), Some((0, 0)), "call {first}");
        }
    }
}

#[test]
fn the_newest_and_the_open_ones_are_kept() {
    let place = Place::new();
    let store = place.store();
    make(&store, 1, &sample()).expect("made");
    let (first, again) = (open(&store), open(&store));
    for index in 2..=4 {
        make(&store, index, &sample()).expect("made");
    }
    assert_eq!(indexes(&store), [1, 3, 4]);
    assert_eq!(store.pinned(), Some(Index(1)));
    let newest = open(&store);
    drop(first);
    assert_eq!(store.pinned(), Some(Index(1)));
    assert_eq!(copied(&*again, "z"), noise(3, 1));
    drop(again);
    assert_eq!(store.pinned(), Some(Index(4)));
    drop(newest);
    assert_eq!(store.pinned(), None);
    assert_eq!(indexes(&store), [3, 4]);
    assert_eq!(place.names(), [name(3), name(4)]);
}

#[test]
fn one_that_exists_stays_as_it_is() {
    let (place, from) = (Place::new(), Place::new());
    let store = place.store();
    let mut late = store.create(meta(5)).expect("begun");
    late.add("late", &mut &b"late"[..]).expect("added");
    make(&from.store(), 5, &[("other", noise(1, 10))]).expect("made");
    let source = open(&from.store());
    let mut racing = store.receive(source.manifest().clone()).expect("begun");
    send(&*source, &mut *racing, 1);
    let source = {
        let mut sink = store.create(meta(6)).expect("begun");
        sink.add("x", &mut &b"x"[..]).expect("added");
        drop(sink);
        source
    };
    racing.finish().expect("first");
    late.finish().expect("second, and no error");
    assert_holds(&store, 5, &[("other", noise(1, 10))]);
    let mut known = store.receive(source.manifest().clone()).expect("begun");
    assert_eq!(known.wants(), None);
    assert_eq!(kind(known.take(b"x")), PortErrorKind::Misused);
    known.finish().expect("there");
    assert_eq!(place.names(), [name(5)]);
}

#[test]
fn a_bad_one_is_set_aside_and_the_one_before_is_used() {
    type Harm = fn(&Path);
    let harms: [(Harm, &str); 4] = [
        (
            |dir| std::fs::remove_file(dir.join("MANIFEST")).expect("removed"),
            "missing",
        ),
        (
            |dir| std::fs::write(dir.join("MANIFEST"), b"RAFT").expect("written"),
            "no manifest",
        ),
        (
            |dir| std::fs::remove_file(dir.join("b.sst")).expect("removed"),
            "b.sst is missing",
        ),
        (
            |dir| std::fs::write(dir.join("b.sst"), b"short").expect("written"),
            "5 bytes",
        ),
    ];
    for (harm, why) in harms {
        let place = Place::new();
        let store = place.store();
        make(&store, 1, &sample()).expect("made");
        make(&store, 2, &sample()).expect("made");
        harm(&place.path(&name(2)));
        let store = place.store();
        assert_eq!(indexes(&store), [1]);
        let bad = store.found_bad();
        assert_eq!(bad.len(), 1);
        let said = bad[0].to_string();
        assert!(said.contains(&name(2)) && said.contains(why), "{said}");
        assert_eq!(place.names(), [name(1), format!("bad-{}", name(2))]);
        assert_eq!(place.store().found_bad(), [], "only once");
        // The same position may come again, and go bad again; then one bad one is enough.
        make(&store, 2, &sample()).expect("made");
        make(&store, 3, &sample()).expect("made");
        harm(&place.path(&name(3)));
        assert_eq!(indexes(&place.store()), [2]);
        assert_eq!(place.names(), [name(2), format!("bad-{}", name(3))]);
    }
}

#[test]
fn damage_that_shows_late_is_said_and_set_aside() {
    let place = Place::new();
    let store = place.store();
    make(&store, 1, &sample()).expect("made");
    make(&store, 2, &sample()).expect("made");
    let path = place.path(&format!("{}/a.sst", name(2)));
    let mut bytes = noise(1, 1_500_000);
    bytes[700_000] ^= 0x10;
    std::fs::write(path, bytes).expect("written");
    let store = place.store();
    assert_eq!(indexes(&store), [1, 2], "nothing was read yet");
    let source = open(&store);
    let copy = source.copy("a.sst", &mut io::sink());
    assert_eq!(kind(copy), PortErrorKind::Damaged);
    source.copy("b.sst", &mut io::sink()).expect("well");
    let findings = store.verify();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].to_string().contains("a.sst"));
    let last = source.manifest().meta.last;
    store.set_aside(last).expect("set aside");
    assert_eq!(kind(store.set_aside(last)), PortErrorKind::Misused);
    drop(source);
    assert_holds(&store, 1, &sample());
    assert_eq!(store.found_bad().len(), 1);
    assert_eq!(place.names(), [name(1), format!("bad-{}", name(2))]);
}

#[test]
fn what_a_later_program_wrote_stays_untouched() {
    let place = Place::new();
    make(&place.store(), 1, &sample()).expect("made");
    let path = place.path(&format!("{}/MANIFEST", name(1)));
    let mut bytes = std::fs::read(&path).expect("there");
    bytes[8] = 2;
    let covered = bytes.len() - 4;
    let checksum = crc32c::crc32c(&bytes[..covered]);
    bytes[covered..].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, bytes).expect("written");
    let config = SnapshotConfig::default();
    let opened = SnapshotStore::open(place.disk.clone(), "snapshots".into(), config);
    let error = opened.err().expect("unknown");
    assert_eq!(error.kind, PortErrorKind::Misused);
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(place.names(), [name(1)]);
}

#[test]
fn an_older_one_that_arrives_late_does_no_harm() {
    let (from, place) = (Place::new(), Place::new());
    make(&from.store(), 5, &sample()).expect("made");
    let source = open(&from.store());
    let store = place.store();
    make(&store, 7, &sample()).expect("made");
    make(&store, 9, &sample()).expect("made");
    let mut receiver = store.receive(source.manifest().clone()).expect("begun");
    send(&*source, &mut *receiver, usize::MAX);
    receiver.finish().expect("whole");
    assert_eq!(indexes(&store), [7, 9]);
    assert_holds(&store, 9, &sample());
    assert_eq!(place.names(), [name(7), name(9)]);
}
