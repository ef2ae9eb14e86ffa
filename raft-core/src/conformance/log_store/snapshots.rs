//! Cases: snapshots that the machine makes, and reading them.

use std::sync::Arc;

use super::Case;
use super::stand::Stand;
use crate::port::SnapshotSource;
use crate::types::Index;

pub(super) const CASES: &[Case] = &[
    ("there is no snapshot at first", none_at_first),
    ("a finished snapshot is read back", read_back),
    ("an unfinished snapshot leaves none", dropped_sink),
    ("a file has a name of its own", names),
    ("the newest snapshot wins", newest_wins),
    ("an open snapshot is kept, and the log after it", pinned),
    ("an open snapshot outlives its store", outlives),
    ("a snapshot that is set aside is gone", set_aside),
];

const FILES: [(&str, &[u8]); 3] = [
    ("a.sst", b"first"),
    ("empty", b""),
    ("state", &[9; 100_000]),
];

pub(super) fn open(stand: &mut Stand) -> Box<dyn SnapshotSource> {
    let opened = stand.store().open_snapshot();
    match stand.ok("open the snapshot", opened) {
        Some(source) => source,
        None => stand.fail(&"there is no snapshot to open"),
    }
}

/// The source holds what `files` says, by every way to read it.
pub(super) fn compare(stand: &Stand, source: &dyn SnapshotSource, files: &[(&str, &[u8])]) {
    let manifest = source.manifest();
    let named: Vec<(&str, u64)> = manifest
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.size))
        .collect();
    let expected: Vec<(&str, u64)> = files
        .iter()
        .map(|(name, content)| (*name, content.len() as u64))
        .collect();
    stand.check(
        named == expected,
        &format!("files {named:?}, not {expected:?}"),
    );
    for (name, content) in files {
        let mut copied = Vec::new();
        let done = source.copy(name, &mut copied);
        stand.ok("copy a file", done);
        stand.check(copied == *content, &format!("{name} is copied wrongly"));
        compare_parts(stand, source, (name, content));
    }
    let absent = source.copy("absent", &mut Vec::new());
    stand.check(absent.is_err(), "a file that is not there is copied");
    let absent = source.read_at("absent", 0, &mut [0; 8]);
    stand.check(absent.is_err(), "a file that is not there is read");
}

fn compare_parts(stand: &Stand, source: &dyn SnapshotSource, (name, content): (&str, &[u8])) {
    let size = content.len();
    for offset in [0, 1, size / 2, size.saturating_sub(1), size, size + 5] {
        let mut buffer = [0; 777];
        let count = source.read_at(name, offset as u64, &mut buffer);
        let count = stand.ok("read a part", count);
        let expected = content.get(offset..).unwrap_or_default();
        let expected = &expected[..expected.len().min(buffer.len())];
        stand.check(
            &buffer[..count] == expected,
            &format!("{name} at {offset} is read wrongly"),
        );
    }
}

/// The snapshot before it takes its place: the log reaches back to it, since nothing was purged.
fn set_aside(stand: &mut Stand) {
    stand.fill(1, 9);
    stand.snapshot_at(Index(3));
    let before = stand.model.snapshot.clone();
    stand.snapshot_at(Index(6));
    let last = stand.model.snapshot.last;
    let done = stand.store().set_aside_snapshot(last);
    stand.ok("set a snapshot aside", done);
    stand.model.snapshot = before;
    let source = open(stand);
    let newest = source.manifest().meta.last.index;
    stand.check(newest == Index(3), &format!("the newest ends at {newest}"));
    drop(source);
    stand.reopen();
    let again = stand.store().set_aside_snapshot(last);
    stand.refuses("to set aside what is not there", again);
}

fn none_at_first(stand: &mut Stand) {
    let opened = stand.store().open_snapshot();
    let opened = stand.ok("open", opened);
    stand.check(opened.is_none(), "there is one");
    stand.fill(1, 3);
    stand.reopen();
}

fn read_back(stand: &mut Stand) {
    stand.fill(1, 5);
    let meta = stand.model.meta_at(Index(4));
    // The order of adding is not that of the names.
    let added = [FILES[2], FILES[0], FILES[1]];
    stand.snapshot(&meta, &added);
    for _ in 0..2 {
        let source = open(stand);
        stand.check(*source.manifest().meta == meta, "it stands for another");
        compare(stand, &*source, &FILES);
        drop(source);
        stand.reopen();
    }
}

fn dropped_sink(stand: &mut Stand) {
    stand.fill(1, 5);
    let meta = Arc::new(stand.model.meta_at(Index(4)));
    let begun = stand.store().create_snapshot(Arc::clone(&meta));
    let mut sink = stand.ok("begin", begun);
    let added = sink.add("state", &mut &b"half"[..]);
    stand.ok("add", added);
    drop(sink);
    let opened = stand.store().open_snapshot();
    let opened = stand.ok("open", opened);
    stand.check(opened.is_none(), "what was not finished is there");
    stand.reopen();
    stand.snapshot(&meta, &FILES);
    stand.reopen();
}

fn names(stand: &mut Stand) {
    stand.fill(1, 5);
    let meta = stand.model.meta_at(Index(4));
    let begun = stand.store().create_snapshot(Arc::new(meta.clone()));
    let mut sink = stand.ok("begin", begun);
    let added = sink.add("state", &mut &b"one"[..]);
    stand.ok("add", added);
    for name in ["state", "", ".hidden", "../up", "a/b"] {
        let added = sink.add(name, &mut &b"two"[..]);
        stand.check(added.is_err(), &format!("a file named {name:?} is taken"));
    }
    drop(sink);
    stand.snapshot(&meta, &FILES);
    stand.reopen();
}

fn newest_wins(stand: &mut Stand) {
    stand.fill(1, 9);
    for index in [2, 5, 8] {
        stand.snapshot_at(Index(index));
        let source = open(stand);
        let last = source.manifest().meta.last.index;
        stand.check(last == Index(index), &format!("{last} is not the newest"));
        drop(source);
        stand.reopen();
    }
}

fn pinned(stand: &mut Stand) {
    stand.fill(1, 20);
    let meta = stand.model.meta_at(Index(3));
    stand.snapshot(&meta, &FILES);
    let source = open(stand);
    for index in [6, 9, 12, 15] {
        stand.snapshot_at(Index(index));
    }
    let purged = stand.store().purge(Index(15));
    stand.ok("purge", purged);
    // The model was not told of it: so this wants everything.
    stand.read(Index(4), Index(20), u64::MAX);
    compare(stand, &*source, &FILES);
    drop(source);
    stand.purge(Index(15));
    stand.read_all();
    stand.reopen();
}

fn outlives(stand: &mut Stand) {
    stand.fill(1, 5);
    let meta = stand.model.meta_at(Index(3));
    stand.snapshot(&meta, &FILES);
    let source = open(stand);
    stand.close();
    compare(stand, &*source, &FILES);
    drop(source);
    stand.reopen();
}
