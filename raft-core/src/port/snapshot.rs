//! Snapshots at the ports: named, immutable files under a manifest, made, read and received.
//!
//! A snapshot travels by file and offset, so a transfer that was cut resumes where it was, and a
//! file that the receiver has already is not sent. This file knows no disk and no network.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::PortError;
use crate::entry::SnapshotMeta;

/// A file of a snapshot, as its manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SnapshotFile {
    /// Unique within the snapshot; see [`SnapshotFile::is_name`].
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The checksum of its content. Which one is up to the store; all members use the same.
    pub hash: u64,
}

impl SnapshotFile {
    /// The longest name a file may have, in bytes.
    pub const NAME_BYTES_MAX: usize = 255;

    /// Whether a file may be called so: letters, digits, `.`, `-` and `_`, no `.` in front. So a
    /// name that a peer sends can never lead out of a directory.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        (1..=Self::NAME_BYTES_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(is_plain)
    }
}

/// What a snapshot consists of. Whoever has all files of a manifest has the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Manifest {
    /// What it stands for.
    pub meta: Arc<SnapshotMeta>,
    /// Its files in the order of their names, no name twice.
    pub files: Vec<SnapshotFile>,
}

impl Manifest {
    /// The file of that name, and its place.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(usize, &SnapshotFile)> {
        let place = self
            .files
            .binary_search_by(|file| file.name.as_str().cmp(name))
            .ok()?;
        Some((place, &self.files[place]))
    }

    /// How long all files are together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Takes the files of a snapshot that is being made. Dropped before it is finished, it leaves no
/// snapshot behind.
pub trait SnapshotSink: Send {
    /// Adds a file with this content.
    ///
    /// # Errors
    /// When it can't be written, or the name is taken or no file name.
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError>;

    /// Adds a file that lies on a disk and never changes again: linked where the store can do it,
    /// copied otherwise.
    ///
    /// # Errors
    /// As [`SnapshotSink::add`], or when the file can't be read.
    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError>;

    /// Makes all files durable under their manifest, and with it the snapshot exist.
    ///
    /// # Errors
    /// When durability is not certain; the snapshot does not exist then.
    fn finish(self: Box<Self>) -> Result<(), PortError>;
}

/// A complete snapshot. As long as it is open, it is kept, and so is the log after it.
pub trait SnapshotSource: Send {
    /// What it consists of.
    fn manifest(&self) -> &Manifest;

    /// Reads a part of a file, as much as there is from `offset` on and fits into `buffer`; 0 at
    /// its end. Whoever receives it verifies the whole.
    ///
    /// # Errors
    /// When there is no such file, or it can't be read.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError>;

    /// Copies a file's content out, and verifies it; after an error what was copied is no use.
    ///
    /// # Errors
    /// When there is no such file, or it is damaged.
    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError>;
}

/// Takes a snapshot from a peer. What it has taken stays when it is dropped, so that the next one
/// for the same manifest goes on from there.
pub trait SnapshotReceiver: Send {
    /// What is wanted next: the place of a file in the manifest and an offset in it. `None` when
    /// nothing is missing.
    fn wants(&self) -> Option<(usize, u64)>;

    /// Takes the bytes at [`SnapshotReceiver::wants`].
    ///
    /// # Errors
    /// When they can't be written; or when they complete a file that then differs from its
    /// checksum, which is wanted again from its beginning.
    fn take(&mut self, bytes: &[u8]) -> Result<(), PortError>;

    /// Makes the snapshot durable and exist.
    ///
    /// # Errors
    /// When something is missing, or durability is not certain.
    fn finish(self: Box<Self>) -> Result<(), PortError>;
}
