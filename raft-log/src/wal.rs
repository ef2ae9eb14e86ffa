//! The write-ahead log: many groups' entries, terms and votes in one sequence of segments.
//!
//! Everything is appended; what is written together is durable together, with one write and one
//! sync. [`Wal`] is the log of a process, [`WalLog`] one group's share of it, which is what a node
//! wants: the core's `LogStore`. This file does not know how bytes are laid out.

#[cfg(test)]
mod attacks;
mod begin;
mod change;
pub(crate) mod files;
mod group;
pub(crate) mod identity;
mod index;
mod log;
mod mend;
mod report;
pub(crate) mod scan;
mod spares;
mod tail;
#[cfg(test)]
mod tests;
pub(crate) mod watermark;

pub use log::WalLog;
pub use report::{Finding, Report};

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use raft_core::GroupId;
use raft_core::port::{PortError, PortErrorKind};

use self::identity::{Found, IdentityFile};
use self::index::Index;
use self::spares::Spares;
use self::tail::{Queue, Tail};
use self::watermark::WatermarkFile;
use crate::config::{Identity, WalConfig};
use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;

/// The log of a process. Clones are the same log.
#[derive(Clone)]
pub struct Wal(Arc<Shared>);

/// What all groups share. Locks are taken in the order of the fields.
struct Shared {
    disk: Arc<dyn Disk>,
    config: WalConfig,
    id: IdentityFile,
    spares: Spares,
    /// Held by whoever drops segments.
    drops: Mutex<()>,
    /// Where everything is written.
    tail: Mutex<Tail>,
    /// What waits to be written.
    queue: Mutex<Queue>,
    /// Where everything is found.
    index: Mutex<Index>,
    /// The first failure; nothing succeeds after it.
    failed: OnceLock<(PortErrorKind, String)>,
    report: Mutex<Report>,
}

impl Drop for Shared {
    /// After an orderly end the watermark is exact, also if the power goes later.
    fn drop(&mut self) {
        if self.failed.get().is_none()
            && let Ok(tail) = self.tail.lock()
            && let Err(error) = tail.watermark.sync()
        {
            tracing::warn!(%error, "the watermark could not be synced at the end");
        }
    }
}

/// Locks what only this module locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Who holds one of these locks and panics has broken what it guards; going on would risk data.
    mutex
        .lock()
        .expect("a panic within the log must stop whoever uses it")
}

impl Wal {
    /// Opens the log in a directory, made if it is not there.
    ///
    /// # Errors
    /// When another process uses it, it belongs to somebody else or to a later version, or the
    /// system fails. Damage alone is no error: [`Wal::report`] says what was found.
    pub fn open_dir(dir: &Path, identity: Identity, config: WalConfig) -> Result<Self, OpenError> {
        Self::open(Arc::new(RealDisk::open(dir)?), identity, config)
    }

    /// Opens the log on a disk.
    ///
    /// # Errors
    /// As [`Wal::open_dir`].
    pub fn open(
        disk: Arc<dyn Disk>,
        identity: Identity,
        config: WalConfig,
    ) -> Result<Self, OpenError> {
        config.validate()?;
        let began = Instant::now();
        make_dirs(&*disk)?;
        let (id, was_rebuilt) = owner(&*disk, identity)?;
        let watermark = open_watermark(&*disk)?;
        let mut scan = scan::scan(&*disk, id, watermark.as_ref())?;
        if was_rebuilt {
            scan.report.add(Finding::IdentityRebuilt);
        }
        let shared = mend::mend((disk, config, id), scan, watermark)?;
        lock(&shared.report).took = began.elapsed();
        Ok(Self(Arc::new(shared)))
    }

    /// What was found when it was opened.
    #[must_use]
    pub fn report(&self) -> Report {
        lock(&self.0.report).clone()
    }

    /// The groups that were founded.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupId> {
        lock(&self.0.index).groups.keys().copied().collect()
    }

    /// The group whose first entry lies furthest back: the log is not shortened before that group
    /// is.
    #[must_use]
    pub fn oldest(&self) -> Option<GroupId> {
        lock(&self.0.index).oldest()
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        lock(&self.0.index).segments.len()
    }

    /// One group's share of the log. There must be only one at a time for a group.
    ///
    /// # Errors
    /// When its snapshots can't be read.
    pub fn group(&self, group: GroupId) -> Result<WalLog, PortError> {
        WalLog::new(Arc::clone(&self.0), group)
    }
}

/// Makes the directories, each durable, and the names in the log too. What is seen there may not be
/// durable yet if a process ended between a rename and its sync; what is written from now on must
/// not go by an earlier name after a power cut.
fn make_dirs(disk: &dyn Disk) -> Result<(), PortError> {
    let make = || {
        disk.create_dir(Path::new(files::LOG_DIR))?;
        disk.create_dir(Path::new(files::SNAPSHOTS_DIR))?;
        disk.sync_dir(Path::new(""))?;
        disk.sync_dir(Path::new(files::LOG_DIR))
    };
    make().map_err(|error| PortError::io("make the directories of the log", error))
}

/// Whose the directory is, and whether that had to be taken from the segments. It is `identity`'s
/// if it is nobody's yet.
fn owner(disk: &dyn Disk, identity: Identity) -> Result<(IdentityFile, bool), OpenError> {
    let (id, was_rebuilt) = match find_owner(disk)? {
        Some(found) => found,
        None => (mend::create(disk, identity)?, false),
    };
    if id.identity != identity {
        return Err(OpenError::Foreign {
            found: id.identity,
            expected: identity,
        });
    }
    if was_rebuilt {
        id.write(disk)?;
    }
    Ok((id, was_rebuilt))
}

/// Whose the directory is, and whether the segments alone say so; `None` if it is nobody's yet.
/// Changes nothing.
pub(crate) fn find_owner(disk: &dyn Disk) -> Result<Option<(IdentityFile, bool)>, OpenError> {
    let failed = |error| PortError::io("read the file `identity`", error);
    match IdentityFile::read(disk).map_err(failed)? {
        Found::Known(id) => Ok(Some((id, false))),
        Found::Version(version) => Err(OpenError::UnknownVersion {
            file: identity::NAME.to_owned(),
            version,
        }),
        Found::Nothing | Found::Damaged => Ok(scan::owner(disk)?.map(|id| (id, true))),
    }
}

pub(crate) fn open_watermark(disk: &dyn Disk) -> Result<Option<WatermarkFile>, PortError> {
    let open = || {
        if WatermarkFile::exists(disk)? {
            WatermarkFile::open(disk).map(Some)
        } else {
            Ok(None)
        }
    };
    open().map_err(|error| PortError::io("read the watermark", error))
}
