//! The bytes in the book's chapter *Disk format* are those that the log writes.
//!
//! `UPDATE_CHAPTER=1 cargo test -p raft-tests --test log_chapter` writes them anew; then review the
//! diff like any other. This file does not know what the chapter says about them.

use std::fmt::Write as _;
use std::fs;
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
use raft_log::format::{Batch, SEGMENT_HEADER_BYTES, Salt, SegmentHeader};
use raft_log::inspect::{self, DumpOptions};
use raft_log::{Identity, Preparation, Wal, WalConfig};
use tempfile::TempDir;

const LOG_ID: u64 = 0x0123_4567_89ab_cdef;
const GROUP: GroupId = GroupId(0);
const IDENTITY: Identity = Identity {
    cluster: 0xc0ffee,
    node: NodeId(1),
};
const SEGMENT: &str = "log/00000000000000000001.wal";
const SNAPSHOT: &str = "snapshots/0/00000000000000000001-00000000000000000001";

type Fields = &'static [(usize, &'static str)];

const IDENTITY_FIELDS: Fields = &[
    (8, "magic"),
    (4, "version"),
    (4, "crc32c of all else"),
    (8, "cluster"),
    (8, "node"),
    (8, "log id"),
];
const SEGMENT_FIELDS: Fields = &[
    (8, "magic"),
    (4, "version"),
    (4, "crc32c of all else"),
    (8, "number"),
    (8, "follows batch"),
    (8, "first batch"),
    (8, "cluster"),
    (8, "node"),
    (8, "log id"),
];
const BATCH_FIELDS: Fields = &[
    (4, "crc32c of the rest of this header, salted"),
    (4, "length of the records"),
    (4, "how many records"),
    (4, "version"),
    (8, "sequence"),
    (4, "crc32c of the checksums of the records"),
    (4, "zero"),
];
const RECORD_FIELDS: Fields = &[
    (4, "crc32c of the rest of this header, salted"),
    (4, "crc32c of the payload"),
    (4, "length of the payload"),
    (1, "version"),
    (1, "kind"),
    (2, "zero"),
    (8, "group"),
    (8, "term"),
    (8, "index"),
];
const VOTE_FIELDS: Fields = &[(8, "vote")];
const COMMAND_FIELDS: Fields = &[(5, "the command"), (3, "zeros up to a multiple of 8")];
const CHECKPOINT_FIELDS: Fields = &[
    (8, "incarnation"),
    (8, "base: term"),
    (8, "base: index"),
    (4, "runs of terms: how many"),
    (8, "founding: term"),
    (8, "founding: index"),
    (8, "founding: index of its membership"),
    (4, "members: how many"),
    (8, "member: id"),
    (8, "member: incarnation"),
    (1, "member: priority"),
    (4, "member: length of the address"),
    (5, "member: address"),
    (4, "voters: how many"),
    (8, "voter"),
    (4, "outgoing: how many"),
    (4, "leaving: how many"),
    (2, "zeros up to a multiple of 8"),
];
const SLOT_FIELDS: Fields = &[
    (4, "crc32c of all else"),
    (1, "version"),
    (1, "flags"),
    (2, "zero"),
    (8, "stamp"),
    (8, "group"),
    (8, "incarnation"),
    (8, "sequence"),
    (8, "term"),
    (8, "vote"),
    (8, "index"),
];
const MANIFEST_FIELDS: Fields = &[
    (8, "magic"),
    (4, "version"),
    (8, "length of the whole"),
    (4, "files: how many"),
    (8, "last: term"),
    (8, "last: index"),
    (8, "index of the membership"),
    (4, "members: how many"),
    (8, "member: id"),
    (8, "member: incarnation"),
    (1, "member: priority"),
    (4, "member: length of the address"),
    (5, "member: address"),
    (4, "voters: how many"),
    (8, "voter"),
    (4, "outgoing: how many"),
    (4, "leaving: how many"),
    (4, "file: length of the name"),
    (5, "file: name"),
    (8, "file: size"),
    (8, "file: xxh3-64 of its content"),
    (4, "crc32c of all before"),
];

#[test]
fn the_chapter_shows_what_the_log_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/disk-format.md");
    let chapter = fs::read_to_string(&path).expect("the chapter is there");
    let mut expected = chapter.clone();
    let examples = examples();
    for (name, text) in &examples {
        expected = with_example(&expected, name, text);
    }
    let marks = chapter.matches("<!-- example: ").count();
    assert_eq!(marks, examples.len(), "each mark has its example");
    if std::env::var_os("UPDATE_CHAPTER").is_some() {
        fs::write(&path, &expected).expect("the chapter is writable");
    } else {
        assert!(
            chapter == expected,
            "the log writes something else: UPDATE_CHAPTER=1 writes the chapter anew"
        );
    }
}

/// The page with the block after a mark replaced.
fn with_example(page: &str, name: &str, text: &str) -> String {
    let mark = format!("<!-- example: {name} -->\n```text\n");
    let (before, rest) = page.split_once(&mark).unwrap_or_else(|| {
        panic!("no mark for the example {name}");
    });
    let (_, after) = rest.split_once("```\n").expect("the block ends");
    format!("{before}{mark}{text}```\n{after}")
}

fn examples() -> Vec<(&'static str, String)> {
    let dir = example();
    let read = |name: &str| fs::read(dir.path().join(name)).expect("a file of the log");
    let segment = read(SEGMENT);
    let at = |from: usize, parts: &[Fields]| fields(&segment, from, parts);
    let disk = inspect::open(dir.path()).expect("free");
    let mut dump = Vec::new();
    inspect::dump(&disk, &DumpOptions::default(), &mut dump).expect("dumped");
    let verification = inspect::verify(&disk).expect("verified");
    vec![
        ("files", files(dir.path())),
        ("identity", fields(&read("identity"), 0, &[IDENTITY_FIELDS])),
        ("segment", at(0, &[SEGMENT_FIELDS])),
        ("empty batch", at(64, &[BATCH_FIELDS])),
        (
            "checkpoint",
            at(88, &[BATCH_FIELDS, RECORD_FIELDS, CHECKPOINT_FIELDS]),
        ),
        (
            "batch",
            at(
                256,
                &[
                    BATCH_FIELDS,
                    RECORD_FIELDS,
                    VOTE_FIELDS,
                    RECORD_FIELDS,
                    COMMAND_FIELDS,
                ],
            ),
        ),
        ("slots", fields(&read("watermark"), 0, &[SLOT_FIELDS; 2])),
        (
            "manifest",
            fields(
                &read(&format!("{SNAPSHOT}/MANIFEST")),
                0,
                &[MANIFEST_FIELDS],
            ),
        ),
        ("dump", String::from_utf8(dump).expect("text")),
        ("verify", verification.to_string()),
    ]
}

/// A log whose every byte is the same in each run: what is drawn by chance elsewhere, its number,
/// lies there before it is opened.
fn example() -> TempDir {
    let dir = TempDir::new().expect("directory");
    let header = SegmentHeader {
        number: 1,
        follows: 0,
        first: 1,
        identity: IDENTITY,
        log_id: LOG_ID,
    };
    let mut segment = header.encode();
    let at = (Salt::new(LOG_ID, 1), SEGMENT_HEADER_BYTES as u64);
    segment.extend_from_slice(Batch::default().seal(1, at));
    fs::create_dir(dir.path().join("log")).expect("made");
    fs::write(dir.path().join(SEGMENT), segment).expect("written");

    let config = WalConfig {
        preparation: Preparation::Growing,
        ..WalConfig::default()
    };
    let wal = Wal::open_dir(dir.path(), IDENTITY, config).expect("opened");
    let mut log = wal.group(GROUP).expect("a group");
    let members = Membership::of_voters([(NodeId(1), Member::at("one:1"))]);
    let founding = Recovered::bootstrap(Incarnation(0x77), members);
    log.found(&founding).expect("founded");
    let write = Write {
        id: WriteId(1),
        hard_state: Some(HardState {
            term: Term(1),
            vote: Some(NodeId(1)),
        }),
        entries: [Entry {
            term: Term(1),
            index: Index(1),
            payload: Payload::Command(Bytes::from_static(b"hello")),
        }]
        .into_iter()
        .collect(),
        ..Write::default()
    };
    log.write(&[write]).expect("written");
    let meta = SnapshotMeta {
        last: Position::new(Term(1), Index(1)),
        ..founding.snapshot
    };
    let mut sink = log.create_snapshot(Arc::new(meta)).expect("begun");
    sink.add("state", &mut &b"the state\n"[..])
        .expect("written");
    sink.finish().expect("durable");
    dir
}

/// A line a field: where it begins, its bytes, its name.
fn fields(bytes: &[u8], from: usize, parts: &[Fields]) -> String {
    let mut text = String::new();
    let mut at = from;
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        for (length, name) in *part {
            let field = &bytes[at..at + length];
            let hex: String = field.iter().map(|byte| format!("{byte:02x} ")).collect();
            writeln!(text, "{at:>5}  {hex:<24} {name}").expect("text takes all");
            at += length;
        }
    }
    text
}

/// All that is in the directory, a line a file.
fn files(dir: &Path) -> String {
    let mut paths = Vec::new();
    walk(dir, &mut paths);
    paths.sort();
    let mut text = String::new();
    for path in paths {
        let name = path.strip_prefix(dir).expect("below").display();
        writeln!(text, "{name}").expect("text takes all");
    }
    text
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}
