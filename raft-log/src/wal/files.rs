//! What the files and directories of a log are called.
//!
//! This file does not know what is in them.

use std::io;
use std::path::{Path, PathBuf};

use raft_core::GroupId;

use crate::disk::Disk;

/// The directory of the segments and spare files.
pub(crate) const LOG_DIR: &str = "log";
/// The directory of what was set aside.
pub(crate) const DAMAGED_DIR: &str = "damaged";
/// The directory of the snapshots, with a directory a group.
pub(crate) const SNAPSHOTS_DIR: &str = "snapshots";

const SEGMENT_SUFFIX: &str = ".wal";
const SPARE_PREFIX: &str = "spare-";

pub(crate) fn segment(number: u64) -> PathBuf {
    Path::new(LOG_DIR).join(segment_name(number))
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:020}{SEGMENT_SUFFIX}")
}

pub(crate) fn spare(number: u64) -> PathBuf {
    Path::new(LOG_DIR).join(format!("{SPARE_PREFIX}{number}"))
}

pub(crate) fn snapshots(group: GroupId) -> PathBuf {
    Path::new(SNAPSHOTS_DIR).join(group.to_string())
}

/// The numbers of the segments there, ascending.
pub(crate) fn segments(disk: &dyn Disk, dir: &str) -> io::Result<Vec<u64>> {
    let names = disk.list(Path::new(dir))?;
    let number = |name: &String| name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The spare files there, with the numbers in their names, ascending.
pub(crate) fn spares(disk: &dyn Disk) -> io::Result<Vec<(u64, PathBuf)>> {
    let names = disk.list(Path::new(LOG_DIR))?;
    let number = |name: &String| name.strip_prefix(SPARE_PREFIX)?.parse().ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers
        .into_iter()
        .map(|number| (number, spare(number)))
        .collect())
}
