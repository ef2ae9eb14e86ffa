//! A snapshot in memory: in the making, complete, and open.
//!
//! This file does not know what is in the files, nor how long a snapshot is kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Manifest, PortError, SnapshotFile, SnapshotSink, SnapshotSource};
use raft_core::{Index, SnapshotMeta};
use xxhash_rust::xxh3::xxh3_64;

use super::Owner;

/// A complete snapshot.
pub(super) struct Image {
    pub(super) manifest: Manifest,
    /// The content of each file of the manifest.
    contents: Vec<Bytes>,
}

impl Image {
    /// The files of the manifest have these contents.
    pub(super) fn new(manifest: Manifest, contents: Vec<Bytes>) -> Self {
        assert_eq!(manifest.files.len(), contents.len(), "one for each");
        Self { manifest, contents }
    }

    fn content(&self, name: &str) -> Result<&Bytes, PortError> {
        let found = self.manifest.find(name);
        let (place, _) = found.ok_or_else(|| PortError::misused(format!("no file {name}")))?;
        Ok(&self.contents[place])
    }
}

/// What manifests say of a file; the same as for files on a disk, since snapshots travel between
/// all kinds of stores.
pub(super) fn checksum(content: &[u8]) -> u64 {
    xxh3_64(content)
}

/// Takes the files of a snapshot.
pub(super) struct Sink {
    owner: Owner,
    meta: Arc<SnapshotMeta>,
    files: BTreeMap<String, Bytes>,
}

impl Sink {
    pub(super) const fn new(owner: Owner, meta: Arc<SnapshotMeta>) -> Self {
        Self {
            owner,
            meta,
            files: BTreeMap::new(),
        }
    }
}

impl SnapshotSink for Sink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        if !SnapshotFile::is_name(name) || self.files.contains_key(name) {
            return Err(PortError::misused(format!(
                "no file, or no second one, can be called {name:?}"
            )));
        }
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| PortError::io(format!("read the content of {name}"), source))?;
        self.files.insert(name.to_owned(), Bytes::from(bytes));
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        let failed = |source| PortError::io(format!("open {}", path.display()), source);
        let mut file = File::open(path).map_err(failed)?;
        self.add(name, &mut file)
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        let Self { owner, meta, files } = *self;
        let named = |(name, content): (&String, &Bytes)| SnapshotFile {
            name: name.clone(),
            size: content.len() as u64,
            hash: checksum(content),
        };
        let manifest = Manifest {
            meta,
            files: files.iter().map(named).collect(),
        };
        let image = Image::new(manifest, files.into_values().collect());
        owner.lock()?.publish(Arc::new(image));
        Ok(())
    }
}

/// A snapshot that is open. It outlives its log, and what the log keeps.
pub(super) struct Source {
    image: Arc<Image>,
    /// As long as it lives, the log after the snapshot is kept.
    _pin: Arc<Index>,
}

impl Source {
    pub(super) const fn new(image: Arc<Image>, pin: Arc<Index>) -> Self {
        Self { image, _pin: pin }
    }
}

impl SnapshotSource for Source {
    fn manifest(&self) -> &Manifest {
        &self.image.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let content = self.image.content(name)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.get(offset..).unwrap_or_default();
        let count = buffer.len().min(rest.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError> {
        let content = self.image.content(name)?;
        to.write_all(content)
            .map_err(|source| PortError::io(format!("copy {name}"), source))
    }
}
