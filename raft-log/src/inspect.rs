//! Looks into a log that no node uses: shows it, checks it, and, as the last resort, gives up what
//! is missing in it.
//!
//! Nothing here runs beside a node: [`open`] takes the lock of the directory. This file does not
//! know the command line, or what a command means.

mod dump;
mod repair;
#[cfg(test)]
mod tests;
mod text;
mod verify;

pub use dump::{DumpError, DumpOptions, dump};
pub use repair::{AcceptLoss, GivenUp, Repair, repair};
pub use verify::{GroupState, Verification, verify};

use std::path::Path;
use std::sync::Arc;

use raft_core::GroupId;
use raft_core::port::PortError;

use crate::disk::{Disk, RealDisk};
use crate::error::OpenError;
use crate::snapshot::{Reading, Seen, look};
use crate::wal::files;
use crate::wal::identity::IdentityFile;

/// Locks the directory of a log for as long as the disk lives.
///
/// # Errors
/// When a process uses it, or there is no such directory.
pub fn open(dir: &Path) -> Result<Arc<dyn Disk>, OpenError> {
    Ok(Arc::new(RealDisk::open_existing(dir)?))
}

/// Whose log it is, and whether the segments alone say so.
fn owner(disk: &dyn Disk) -> Result<(IdentityFile, bool), OpenError> {
    crate::wal::find_owner(disk)?.ok_or(OpenError::NoLog)
}

/// The snapshots of all groups.
fn snapshots(
    disk: &Arc<dyn Disk>,
    reading: Reading,
) -> Result<Vec<(GroupId, Vec<Seen>)>, PortError> {
    let dir = Path::new(files::SNAPSHOTS_DIR);
    let names = disk.list(dir);
    let names = names.map_err(|error| PortError::io("read the snapshots", error))?;
    let mut groups: Vec<GroupId> = names
        .iter()
        .filter_map(|name| name.parse().ok().map(GroupId))
        .collect();
    groups.sort_unstable();
    let look = |group| Ok((group, look(disk, files::snapshots(group), reading)?));
    groups.into_iter().map(look).collect()
}
