//! Cases: a snapshot that a peer sends, in pieces, wrongly, and in more than one attempt.

use std::sync::Arc;

use super::Case;
use super::snapshots::{compare, open};
use super::stand::{Stand, hard};
use crate::event::Write;
use crate::port::{Manifest, SnapshotReceiver};
use crate::types::Index;

pub(super) const CASES: &[Case] = &[
    ("a received snapshot is the newest", becomes_newest),
    ("a received snapshot may be older", older_than_newest),
    ("a transfer that was cut goes on", resumes),
    ("wrong bytes are refused and wanted again", wrong_bytes),
    ("what is incomplete is not finished", incomplete),
    ("a manifest that is no good is refused", bad_manifest),
];

const FILES: [(&str, &[u8]); 4] = [
    ("a.sst", &[1; 3000]),
    ("b.sst", &[2; 5000]),
    ("empty", b""),
    ("state", b"state"),
];

/// Pieces of this size are sent.
const PIECE_BYTES: usize = 1000;

/// Has a store make a snapshot at 4, and puts another store, empty, in its place.
fn offered(stand: &mut Stand) -> Manifest {
    stand.fill(2, 5);
    let meta = stand.model.meta_at(Index(4));
    stand.snapshot(&meta, &FILES);
    let manifest = open(stand).manifest().clone();
    stand.fresh();
    manifest
}

fn begin(stand: &mut Stand, manifest: &Manifest) -> Box<dyn SnapshotReceiver> {
    let begun = stand.store().receive_snapshot(manifest.clone());
    stand.ok("begin to receive", begun)
}

/// What belongs there, up to a piece.
fn piece((place, offset): (usize, u64)) -> &'static [u8] {
    let (_, content) = FILES[place];
    let from = usize::try_from(offset).expect("small files");
    &content[from..content.len().min(from + PIECE_BYTES)]
}

/// Sends so many pieces, or all that is wanted. How many were.
fn send(stand: &Stand, receiver: &mut dyn SnapshotReceiver, pieces_max: usize) -> usize {
    for sent in 0..pieces_max {
        let Some(wanted) = receiver.wants() else {
            return sent;
        };
        let taken = receiver.take(piece(wanted));
        stand.ok("take a piece", taken);
    }
    pieces_max
}

fn send_all(stand: &Stand, receiver: &mut dyn SnapshotReceiver) -> usize {
    // Three, five, one, and perhaps one for the empty file.
    let sent = send(stand, receiver, 11);
    stand.check(receiver.wants().is_none(), "it wants more than there is");
    sent
}

fn receive(stand: &mut Stand, manifest: &Manifest) {
    let mut receiver = begin(stand, manifest);
    send_all(stand, &mut *receiver);
    let done = receiver.finish();
    stand.ok("finish receiving", done);
    stand.model.add_snapshot(&manifest.meta);
}

fn becomes_newest(stand: &mut Stand) {
    let manifest = offered(stand);
    receive(stand, &manifest);
    for _ in 0..2 {
        let source = open(stand);
        stand.check(*source.manifest() == manifest, "the manifest is another");
        compare(stand, &*source, &FILES);
        drop(source);
        stand.reopen();
    }
    stand.write(&[Write {
        reset: Some(Arc::clone(&manifest.meta)),
        hard_state: Some(hard(3, 0)),
        ..Write::default()
    }]);
    stand.fill(3, 2);
    stand.reopen();
    receive(stand, &manifest);
    stand.reopen();
}

fn older_than_newest(stand: &mut Stand) {
    let manifest = offered(stand);
    stand.fill(2, 9);
    stand.snapshot_at(Index(8));
    receive(stand, &manifest);
    let last = open(stand).manifest().meta.last.index;
    stand.check(last == Index(8), "an older one took its place");
    stand.reopen();
}

fn resumes(stand: &mut Stand) {
    let manifest = offered(stand);
    let mut receiver = begin(stand, &manifest);
    stand.check(receiver.wants() == Some((0, 0)), "it begins elsewhere");
    let sent = send(stand, &mut *receiver, 4);
    stand.check(sent == 4, "it wants less than there is");
    let wanted = receiver.wants();
    stand.check(wanted == Some((1, 1000)), &format!("it wants {wanted:?}"));
    drop(receiver);
    let opened = stand.store().open_snapshot();
    let opened = stand.ok("open", opened);
    stand.check(opened.is_none(), "half of it is there");
    let mut receiver = begin(stand, &manifest);
    let kept = receiver.wants().is_some_and(|(place, _)| place == 1);
    stand.check(kept, "a whole file is wanted again");
    send_all(stand, &mut *receiver);
    let done = receiver.finish();
    stand.ok("finish", done);
    stand.model.add_snapshot(&manifest.meta);
    let source = open(stand);
    compare(stand, &*source, &FILES);
    drop(source);
    stand.reopen();
}

fn wrong_bytes(stand: &mut Stand) {
    let manifest = offered(stand);
    let mut receiver = begin(stand, &manifest);
    send(stand, &mut *receiver, 2);
    let taken = receiver.take(&[0xff; PIECE_BYTES]);
    stand.check(taken.is_err(), "a wrong file is taken");
    let wanted = receiver.wants();
    stand.check(wanted == Some((0, 0)), &format!("it wants {wanted:?}"));
    send_all(stand, &mut *receiver);
    let done = receiver.finish();
    stand.ok("finish", done);
    stand.model.add_snapshot(&manifest.meta);
    let source = open(stand);
    compare(stand, &*source, &FILES);
    drop(source);
    stand.reopen();
}

fn incomplete(stand: &mut Stand) {
    let manifest = offered(stand);
    let mut receiver = begin(stand, &manifest);
    send(stand, &mut *receiver, 3);
    let done = receiver.finish();
    stand.check(done.is_err(), "half a snapshot is finished");
    let opened = stand.store().open_snapshot();
    let opened = stand.ok("open", opened);
    stand.check(opened.is_none(), "half a snapshot is there");
    stand.reopen();
}

fn bad_manifest(stand: &mut Stand) {
    let manifest = offered(stand);
    let mut renamed = manifest.clone();
    renamed.files[0].name = "../up".to_owned();
    let mut doubled = manifest.clone();
    doubled.files[1] = doubled.files[0].clone();
    let mut unordered = manifest;
    unordered.files.swap(0, 1);
    for bad in [renamed, doubled, unordered] {
        let begun = stand.store().receive_snapshot(bad);
        stand.check(begun.is_err(), "a bad manifest is accepted");
    }
    stand.reopen();
}
