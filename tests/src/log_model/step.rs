//! What can be done to the log of a group, one thing at a time, and all that a crash in the middle
//! of it may leave.
//!
//! This file knows the port's contract, and no disk but that of a peer that sends a snapshot.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use raft_core::event::Write;
use raft_core::port::{LogStore, PortError, SnapshotSource};
use raft_core::sim::rng::Rng;
use raft_core::types::Index;
use raft_core::{Recovered, SnapshotMeta};
use raft_log::snapshot::{SnapshotConfig, SnapshotStore};

use super::LogModel;
use crate::crash_disk::CrashDisk;

/// How much of a snapshot is sent at a time.
const PART_BYTES: usize = 700;

/// One call of the port, or the few that belong together.
#[derive(Clone, Debug)]
pub enum Step {
    /// The log is founded.
    Found(Recovered),
    /// These writes, in one call.
    Write(Vec<Write>),
    /// The machine makes a snapshot.
    Snapshot(SnapshotMeta),
    /// A peer sends a snapshot.
    Receive(SnapshotMeta),
    /// The log may drop entries.
    Purge(Index),
}

impl Step {
    /// Does it.
    ///
    /// # Errors
    /// When the log says so.
    pub fn carry_out(&self, log: &mut dyn LogStore) -> Result<(), PortError> {
        match self {
            Self::Found(founding) => log.found(founding),
            Self::Write(writes) => log.write(writes),
            Self::Snapshot(meta) => {
                let mut sink = log.create_snapshot(Arc::new(meta.clone()))?;
                for (name, content) in files(meta) {
                    sink.add(name, &mut &content[..])?;
                }
                sink.finish()
            }
            Self::Receive(meta) => receive(log, &*at_peer(meta)?),
            Self::Purge(up_to) => log.purge(*up_to),
        }
    }

    /// What the log may hold after a crash in the middle of this, if it held `before`. The last is
    /// what it holds when this is done.
    #[must_use]
    pub fn stages(&self, before: &LogModel) -> Vec<LogModel> {
        let mut now = before.clone();
        let mut stages = vec![before.clone()];
        match self {
            Self::Found(founding) => now.found(founding),
            Self::Write(writes) => {
                for write in writes {
                    now.apply(write);
                    stages.push(now.clone());
                }
            }
            Self::Snapshot(meta) | Self::Receive(meta) => now.take(meta),
            Self::Purge(up_to) => now.purge(*up_to),
        }
        stages.push(now);
        stages
    }
}

/// What is in the snapshot of this position. Two files, one of them the same for a while, so that
/// it need not be sent again.
fn files(meta: &SnapshotMeta) -> [(&'static str, Vec<u8>); 2] {
    let content = |seed: u64, size: usize| {
        let mut stream = Rng::new(seed);
        let words = std::iter::repeat_with(|| stream.draw().to_le_bytes());
        words.flatten().take(size).collect()
    };
    let index = meta.last.index.0;
    let size = usize::try_from(index % 7 * 300).unwrap_or(0);
    [
        ("old", content(index / 20, 1000)),
        ("state", content(index, size)),
    ]
}

/// What is wrong with a snapshot.
#[derive(Debug)]
pub enum SnapshotTrouble {
    /// It says so itself.
    Unreadable(PortError),
    /// This file is handed out with a content that it never had.
    Different(String),
}

/// Whether a snapshot holds what was put into it.
///
/// # Errors
/// If it does not.
pub fn verify_snapshot(source: &dyn SnapshotSource) -> Result<(), SnapshotTrouble> {
    for (name, content) in files(&source.manifest().meta) {
        let mut found = Vec::new();
        let copied = source.copy(name, &mut found);
        copied.map_err(SnapshotTrouble::Unreadable)?;
        if found != content {
            return Err(SnapshotTrouble::Different(name.to_owned()));
        }
    }
    Ok(())
}

/// The snapshot as a peer has it.
fn at_peer(meta: &SnapshotMeta) -> Result<Box<dyn SnapshotSource>, PortError> {
    let disk = Arc::new(CrashDisk::default());
    let store = SnapshotStore::open(disk, PathBuf::from("peer"), SnapshotConfig::default())?;
    let mut sink = store.create(Arc::new(meta.clone()))?;
    for (name, content) in files(meta) {
        sink.add(name, &mut &content[..])?;
    }
    sink.finish()?;
    let source = store.open_newest()?;
    source.ok_or_else(|| PortError::misused("the peer has no snapshot"))
}

fn receive(log: &mut dyn LogStore, from: &dyn SnapshotSource) -> Result<(), PortError> {
    let manifest = from.manifest();
    let mut receiver = log.receive_snapshot(manifest.clone())?;
    let mut part = [0; PART_BYTES];
    while let Some((file, offset)) = receiver.wants() {
        let count = from.read_at(&manifest.files[file].name, offset, &mut part)?;
        if count == 0 {
            let error = io::ErrorKind::UnexpectedEof.into();
            return Err(PortError::io("read more of a file than there is", error));
        }
        receiver.take(&part[..count])?;
    }
    receiver.finish()
}

impl LogModel {
    /// Something that may be done next.
    #[must_use]
    pub fn draw_step(&self, rng: &mut Rng, bytes_max: u64) -> Step {
        if !self.is_founded() {
            return Step::Found(Self::founding());
        }
        // A snapshot beyond the end of the log replaces it, sooner or later.
        if self.snapshot.last.index > self.last() && rng.chance(800_000) {
            return Step::Write(vec![self.draw_reset(rng, bytes_max)]);
        }
        match rng.below(100) {
            0..6 => match self.draw_snapshot(rng) {
                Some(meta) => Step::Snapshot(meta),
                None => self.draw_writes(rng, bytes_max),
            },
            6..8 => Step::Receive(self.draw_received(rng)),
            8..14 => Step::Purge(Index(rng.between(0, self.snapshot.last.index.0))),
            _ => self.draw_writes(rng, bytes_max),
        }
    }

    fn draw_writes(&self, rng: &mut Rng, bytes_max: u64) -> Step {
        let (mut now, mut writes) = (self.clone(), Vec::new());
        for _ in 0..rng.magnitude(1, 4) {
            let write = now.draw(rng, bytes_max);
            now.apply(&write);
            writes.push(write);
        }
        Step::Write(writes)
    }
}
