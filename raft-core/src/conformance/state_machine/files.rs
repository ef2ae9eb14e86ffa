//! Snapshots in memory, for the suite: files that a capture wrote, read back.
//!
//! It does not know what is in them.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::FileReader;
use crate::entry::SnapshotMeta;
use crate::port::{Manifest, PortError, SnapshotFile, SnapshotSink, SnapshotSource};
use crate::types::Position;

/// A snapshot.
#[derive(Clone)]
pub(super) struct Files {
    manifest: Manifest,
    /// The content of each file of the manifest.
    contents: Vec<Vec<u8>>,
}

/// Takes the files of a capture, those on a disk as they are when they are added.
pub(super) struct Sink {
    files: Vec<(String, Vec<u8>)>,
    read: FileReader,
    /// No file is taken.
    is_full: bool,
}

impl Sink {
    /// One with room, which reads files on a disk so.
    pub(super) fn new(read: FileReader) -> Self {
        Self {
            files: Vec::new(),
            read,
            is_full: false,
        }
    }

    /// A disk without room.
    pub(super) fn full(read: FileReader) -> Self {
        Self {
            is_full: true,
            ..Self::new(read)
        }
    }

    /// The snapshot, whose last entry is at `last`.
    pub(super) fn into_files(self, last: Position) -> Files {
        let mut files = self.files;
        files.sort();
        let named = |(name, content): &(String, Vec<u8>)| SnapshotFile {
            name: name.clone(),
            size: content.len() as u64,
            // Each store has a checksum of its own, so a machine can't care for it.
            hash: 0,
        };
        let meta = SnapshotMeta {
            last,
            ..SnapshotMeta::default()
        };
        Files {
            manifest: Manifest {
                meta: Arc::new(meta),
                files: files.iter().map(named).collect(),
            },
            contents: files.into_iter().map(|(_, content)| content).collect(),
        }
    }

    fn check(&self, name: &str) -> Result<(), PortError> {
        let is_taken = self.files.iter().any(|(known, _)| known == name);
        if is_taken || !SnapshotFile::is_name(name) {
            return Err(PortError::misused(format!("{name:?} is taken, or no name")));
        }
        if self.is_full {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(PortError::io(format!("add {name}"), full));
        }
        Ok(())
    }
}

impl SnapshotSink for Sink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        self.check(name)?;
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|source| PortError::io(format!("add {name}"), source))?;
        self.files.push((name.to_owned(), bytes));
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        self.check(name)?;
        let read = (self.read)(path);
        let bytes = read.map_err(|source| PortError::io(format!("add {name}"), source))?;
        self.files.push((name.to_owned(), bytes));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

impl Files {
    fn content(&self, name: &str) -> Result<&[u8], PortError> {
        let found = self.manifest.find(name);
        let (place, _) = found.ok_or_else(|| PortError::misused(format!("no file {name}")))?;
        Ok(&self.contents[place])
    }
}

impl SnapshotSource for Files {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let content = self.content(name)?.get(offset..).unwrap_or_default();
        let count = buffer.len().min(content.len());
        buffer[..count].copy_from_slice(&content[..count]);
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError> {
        let done = to.write_all(self.content(name)?);
        done.map_err(|source| PortError::io(format!("copy {name}"), source))
    }
}
