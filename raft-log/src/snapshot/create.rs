//! A snapshot in the making.
//!
//! This file does not know what the machine writes.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_core::SnapshotMeta;
use raft_core::port::{Manifest, PortError, PortErrorKind, SnapshotFile, SnapshotSink};

use super::files::{Measure, Meter, buffer, failed, link_or_copy, remove_if_there, write_manifest};
use super::layout::{DirName, Stage};
use super::manifest::is_free_name;
use super::{Claim, Shared};
use crate::disk::Open;

pub(super) struct Sink {
    claim: Claim,
    meta: Arc<SnapshotMeta>,
    /// What was added, durable but for the names.
    files: BTreeMap<String, Measure>,
    /// The first thing that went wrong. From then on all fails: a later sync that succeeds proves
    /// nothing for what an earlier one lost.
    broken: Option<(PortErrorKind, String)>,
    buffer: Vec<u8>,
}

impl Sink {
    pub(super) fn begin(shared: &Arc<Shared>, meta: Arc<SnapshotMeta>) -> Result<Self, PortError> {
        let claim = shared.claim(DirName::new(Stage::Making, meta.last))?;
        let dir = claim.path();
        remove_if_there(&*shared.disk, &dir)?;
        shared.disk.create_dir(&dir).map_err(failed("make", &dir))?;
        Ok(Self {
            claim,
            meta,
            files: BTreeMap::new(),
            broken: None,
            buffer: buffer(),
        })
    }

    fn add_with(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Self, &Path) -> Result<Measure, PortError>,
    ) -> Result<(), PortError> {
        self.check_unbroken()?;
        let added = self
            .place(name)
            .and_then(|path| write(self, &path))
            .map(|measure| {
                self.files.insert(name.to_owned(), measure);
            });
        if let Err(error) = &added {
            self.broken = Some((error.kind, error.to_string()));
        }
        added
    }

    fn check_unbroken(&self) -> Result<(), PortError> {
        let Some((kind, why)) = &self.broken else {
            return Ok(());
        };
        Err(PortError {
            kind: *kind,
            context: format!("snapshot {} failed before: {why}", self.claim.name),
            source: None,
        })
    }

    /// Where the file of that name goes.
    fn place(&self, name: &str) -> Result<PathBuf, PortError> {
        if !is_free_name(name) {
            return Err(PortError::misused(format!(
                "no file of a snapshot can be called {name:?}"
            )));
        }
        if self.files.contains_key(name) {
            return Err(PortError::misused(format!(
                "the snapshot has a file {name} already"
            )));
        }
        Ok(self.claim.path().join(name))
    }

    fn write(&mut self, path: &Path, content: &mut dyn Read) -> Result<Measure, PortError> {
        let disk = &self.claim.shared.disk;
        let file = disk.open(path, Open::New).map_err(failed("make", path))?;
        let mut meter = Meter::new();
        loop {
            let count =
                fill(content, &mut self.buffer).map_err(failed("read the content of", path))?;
            if count == 0 {
                break;
            }
            let bytes = &self.buffer[..count];
            file.write_at(bytes, meter.size())
                .map_err(failed("write", path))?;
            meter.add(bytes);
        }
        file.sync().map_err(failed("sync", path))?;
        Ok(meter.measure())
    }
}

/// Reads until the buffer is full or the content ends: readers hand out less than there is.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl SnapshotSink for Sink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        self.add_with(name, |sink, path| sink.write(path, content))
    }

    fn add_file(&mut self, name: &str, from: &Path) -> Result<(), PortError> {
        self.add_with(name, |sink, path| {
            link_or_copy(&*sink.claim.shared.disk, from, path)
        })
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        self.check_unbroken()?;
        let files = self.files.iter();
        let files: Vec<SnapshotFile> = files.map(|(name, file)| file.named(name)).collect();
        let manifest = Manifest {
            meta: self.meta.clone(),
            files,
        };
        let shared = &self.claim.shared;
        let dir = self.claim.path();
        write_manifest(&*shared.disk, &dir, &manifest)?;
        shared.disk.sync_dir(&dir).map_err(failed("sync", &dir))?;
        shared.publish(self.claim.name, manifest)
    }
}

impl Drop for Sink {
    /// Finds nothing to remove after a finish.
    fn drop(&mut self) {
        self.claim.shared.discard(self.claim.name);
    }
}
