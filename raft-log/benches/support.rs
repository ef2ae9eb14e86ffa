//! What both benchmarks of the log share: options, a log to write to, and how times are summed up.
//!
//! It knows nothing of what is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::LogStore;
use raft_core::types::{Incarnation, WriteId};
use raft_core::{
    Entry, GroupId, Index, Member, Membership, NodeId, Payload, Position, Recovered, SnapshotMeta,
    Term,
};
use raft_log::{Identity, Wal, WalConfig, WalLog};

pub(crate) const COMMAND_BYTES: usize = 256;
const GROUP: GroupId = GroupId(1);
const NODE: NodeId = NodeId(1);
const TERM: Term = Term(1);
const USAGE: &str = "\
options: --quick      fewer samples
         --json       one JSON object a line instead of a table
         --dir DIR    work in DIR; else in the build directory. Not on a tmpfs: it has no disk.";

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) json: bool,
    pub(crate) dir: PathBuf,
}

impl Options {
    /// Ends the program with a word on its options if there are others.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            quick: true,
            json: false,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        let mut is_quick = false;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match (argument.as_str(), arguments.size_hint().0) {
                // Without it this runs as a test: that it works is enough then.
                ("--bench", _) => options.quick = false,
                ("--quick", _) => is_quick = true,
                ("--json", _) => options.json = true,
                ("--dir", 1..) => options.dir = arguments.next().map(PathBuf::from).expect("there"),
                _ => {
                    eprintln!("{argument}?\n{USAGE}");
                    std::process::exit(2);
                }
            }
        }
        options.quick |= is_quick;
        options
    }
}

/// Opens the log in a directory, and founds its one group if that is new.
pub(crate) fn open(dir: &Path, config: WalConfig) -> (Wal, WalLog) {
    let identity = Identity {
        cluster: 1,
        node: NODE,
    };
    let wal = Wal::open_dir(dir, identity, config).expect("a log of ours, or none");
    let mut log = wal.group(GROUP).expect("a group");
    if wal.groups().is_empty() {
        let members = Membership::of_voters([(NODE, Member::at("one:1"))]);
        let founding = Recovered::bootstrap(Incarnation(1), members);
        log.found(&founding).expect("a new directory");
    }
    (wal, log)
}

/// Makes a snapshot without content, without which nothing may be purged.
pub(crate) fn snapshot(log: &mut WalLog, last: Index) {
    let meta = SnapshotMeta {
        last: Position::new(TERM, last),
        ..SnapshotMeta::default()
    };
    let sink = log.create_snapshot(Arc::new(meta)).expect("begun");
    sink.finish().expect("complete");
}

/// A write of `count` entries, each command with memory of its own, as if it came from a socket.
pub(crate) fn write(first: Index, count: usize) -> Write {
    let entry = |index: u64| Entry {
        term: TERM,
        index: Index(index),
        payload: Payload::Command(Bytes::from(vec![index.to_le_bytes()[0]; COMMAND_BYTES])),
    };
    Write {
        id: WriteId(first.0),
        entries: (first.0..).take(count).map(entry).collect(),
        ..Write::default()
    }
}

/// The value below which that part of them lies.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted[((last as f64) * part).round() as usize]
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
