//! What the files and directories of a log are called.
//!
//! This file does not know what is in them.

use std::ffi::OsStr;
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
    Ok(numbers(&names, segment))
}

/// The spare files there, with the numbers in their names, ascending.
pub(crate) fn spares(disk: &dyn Disk) -> io::Result<Vec<(u64, PathBuf)>> {
    let names = disk.list(Path::new(LOG_DIR))?;
    let numbers = numbers(&names, spare);
    Ok(numbers
        .into_iter()
        .map(|number| (number, spare(number)))
        .collect())
}

/// The numbers in the names that are just as `path` makes them, ascending. What is called otherwise
/// is none of ours, nor is a number that no segment can have.
fn numbers(names: &[String], path: impl Fn(u64) -> PathBuf) -> Vec<u64> {
    let number = |name: &String| {
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        let number: u64 = digits
            .parse()
            .ok()
            .filter(|number| *number < u64::from(u32::MAX))?;
        let is_ours = path(number).file_name() == Some(OsStr::new(name));
        is_ours.then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}
