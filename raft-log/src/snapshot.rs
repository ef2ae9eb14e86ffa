//! The snapshot store: a directory a snapshot, complete or not there at all.
//!
//! ```text
//! <dir>/<index>-<term>/             a complete snapshot: its files and their MANIFEST
//! <dir>/making-<index>-<term>/      one that our machine is writing
//! <dir>/receiving-<index>-<term>/   one that a peer is sending, its MANIFEST first
//! <dir>/bad-<index>-<term>/         one that is no use, kept for whoever wants to know why
//! <dir>/removing-<index>-<term>/    one that is being removed
//! ```
//!
//! Each file is written and synced, then the manifest, then the names in the directory; then the
//! directory gets its final name, which is synced too. Only then the snapshot exists. A file of a
//! complete snapshot may have further names in other snapshots, so none is ever written to again.
//!
//! It deliberately does not know the log, or what a machine writes into its files.

mod create;
mod files;
mod layout;
mod look;
mod manifest;
mod receive;
mod retain;
mod scan;
mod source;

pub(crate) use look::{Reading, Seen, look};
pub use manifest::{MANIFEST_BYTES_MAX, ManifestError, decode_manifest, encode_manifest};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_core::SnapshotMeta;
use raft_core::port::{Manifest, PortError, SnapshotReceiver, SnapshotSink, SnapshotSource};
use raft_core::types::{Index, Position};

use crate::disk::Disk;
use layout::DirName;

/// The limits of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// How many complete snapshots are kept, the newest ones; at least 1. Those that are open are
    /// kept beyond that.
    pub retained: usize,
    /// How many bad ones are kept, the newest ones.
    pub bad_retained: usize,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self {
            retained: 2,
            bad_retained: 1,
        }
    }
}

/// A snapshot that is no use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSnapshot {
    /// The directory it was found in, or rather the last part of it.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {}: {}", self.name, self.why)
    }
}

/// The snapshots of a node. A clone is the same store.
#[derive(Clone)]
pub struct SnapshotStore {
    shared: Arc<Shared>,
}

/// What all clones, sinks, sources and receivers of a store share.
struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: SnapshotConfig,
    state: Mutex<State>,
}

/// What is known of the directory without looking.
#[derive(Default)]
struct State {
    /// The snapshots that exist, durably.
    complete: BTreeMap<Position, Arc<Manifest>>,
    /// How many sources are open on each; no zeros.
    pins: BTreeMap<Position, usize>,
    /// The directories in which a sink or receiver works now. Each has one owner.
    claims: BTreeSet<DirName>,
    /// What was set aside.
    bad: Vec<BadSnapshot>,
}

impl SnapshotStore {
    /// Finds the snapshots in `dir`, which is made if it is missing; its parent must be there.
    ///
    /// Bad ones are set aside; see [`SnapshotStore::found_bad`]. This looks at manifests and sizes;
    /// only [`SnapshotStore::verify`] reads all. What was being made is removed. The newest that
    /// was being received stays, so that it can go on.
    ///
    /// # Errors
    /// When the disk can't be read or written, or a later program wrote a snapshot here.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        config: SnapshotConfig,
    ) -> Result<Self, PortError> {
        if config.retained == 0 {
            return Err(PortError::misused(
                "a snapshot store that retains none can't hold any",
            ));
        }
        let shared = Shared {
            disk,
            dir,
            config,
            state: Mutex::default(),
        };
        shared.scan()?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What the complete snapshots stand for, oldest first.
    #[must_use]
    pub fn metas(&self) -> Vec<Arc<SnapshotMeta>> {
        let state = self.shared.lock();
        let metas = state.complete.values();
        metas.map(|manifest| manifest.meta.clone()).collect()
    }

    /// What the newest complete snapshot stands for.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<SnapshotMeta>> {
        let state = self.shared.lock();
        let (_, manifest) = state.complete.last_key_value()?;
        Some(manifest.meta.clone())
    }

    /// Begins to make a snapshot.
    ///
    /// # Errors
    /// When one of the same position is being made, or the disk can't be written.
    pub fn create(&self, meta: Arc<SnapshotMeta>) -> Result<Box<dyn SnapshotSink>, PortError> {
        Ok(Box::new(create::Sink::begin(&self.shared, meta)?))
    }

    /// Opens the newest complete snapshot; it is kept for as long as it is open.
    ///
    /// # Errors
    /// None today; damage shows where it is read.
    pub fn open_newest(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        let newest = self.shared.lock().complete.last_key_value().map(at);
        let source = newest.and_then(|last| self.shared.open_source(last));
        Ok(source.map(|source| Box::new(source) as _))
    }

    /// Begins to receive a snapshot, or goes on where an earlier attempt at the very same manifest
    /// was left. What is there already, in a complete snapshot or in another one that was being
    /// received, is not wanted.
    ///
    /// # Errors
    /// When the manifest is no good, one of the same position is being received, or the disk can't
    /// be read or written.
    pub fn receive(&self, manifest: Manifest) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        receive::begin(&self.shared, manifest)
    }

    /// The lowest position among the snapshots open now; the log after it must stay.
    #[must_use]
    pub fn pinned(&self) -> Option<Index> {
        let state = self.shared.lock();
        state.pins.keys().map(|last| last.index).min()
    }

    /// What was set aside when the store was opened, and since.
    #[must_use]
    pub fn found_bad(&self) -> Vec<BadSnapshot> {
        self.shared.lock().bad.clone()
    }

    /// Sets a complete snapshot aside because it turned out to be damaged. From then on the one
    /// before it is the newest.
    ///
    /// # Errors
    /// When there is no such snapshot, or the disk can't be written.
    pub fn set_aside(&self, last: Position) -> Result<(), PortError> {
        let why = "it turned out to be damaged when it was read";
        self.shared.set_aside_complete(last, why)
    }

    /// Reads every file of every complete snapshot. Says what is wrong; nothing if all is well.
    #[must_use]
    pub fn verify(&self) -> Vec<BadSnapshot> {
        let lasts: Vec<Position> = self.shared.lock().complete.keys().copied().collect();
        let sources = lasts
            .into_iter()
            .filter_map(|last| self.shared.open_source(last));
        sources.flat_map(|source| source.verify()).collect()
    }
}

fn at((last, _): (&Position, &Arc<Manifest>)) -> Position {
    *last
}

impl Shared {
    /// A panic elsewhere leaves the state as it was between two changes, each of which is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: DirName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Makes the caller the only one to work in that directory.
    fn claim(self: &Arc<Self>, name: DirName) -> Result<Claim, PortError> {
        if !self.lock().claims.insert(name) {
            return Err(PortError::misused(format!(
                "the snapshot {name} is being worked on already"
            )));
        }
        Ok(Claim {
            shared: self.clone(),
            name,
        })
    }
}

/// The right to work in a directory that is not complete yet.
struct Claim {
    shared: Arc<Shared>,
    name: DirName,
}

impl Claim {
    fn path(&self) -> PathBuf {
        self.shared.path(self.name)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.lock().claims.remove(&self.name);
    }
}

#[cfg(test)]
mod tests;
