//! The seam to the disk: the few calls that everything durable in this crate is made of.
//!
//! Small enough that a test can put a disk of its own below, which loses, tears and flips what a
//! real one may. This file does not know what is in the files.
//!
//! Paths are relative to the disk's root; an absolute path means what it says.

mod real;

pub use real::{OpenDirError, RealDisk};

use std::io;
use std::path::Path;
use std::sync::Arc;

/// Whether a file has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It must be there.
    Existing,
    /// It is made, empty, in place of any that is there.
    New,
}

/// A directory tree. What is made, renamed, linked or removed in a directory is durable once that
/// directory was synced.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>>;

    /// The names in a directory, in no order; none if there is no such directory.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory unless it is there. Its parent must be there.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Moves a file or directory, in place of a file that is there.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::CrossesDevices`] and others where it can't be done
    /// and a copy would do.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file, or a directory with all that is in it.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system says. Whether they are durable is unknown then, and stays so.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file, read and written at positions. It stays usable after it was renamed or removed.
pub trait DiskFile: Send + Sync {
    /// Its length.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads as much as there is from `offset` on and fits into `buffer`; less only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all, beyond the end too; what lies between is zeros then.
    ///
    /// # Errors
    /// What the system says. What is in the file then is unknown.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// What the system says. Whether it is durable is unknown then, and stays so: a second sync
    /// may succeed without having written anything.
    fn sync(&self) -> io::Result<()>;
}
