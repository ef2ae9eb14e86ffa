//! A complete snapshot that is open for reading.
//!
//! This file does not know who reads.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::port::{Manifest, PortError, SnapshotFile, SnapshotSource};
use raft_core::types::Position;

use super::files::{Measure, failed, measure, open_if_there, read_through};
use super::layout::{DirName, Stage};
use super::retain::Pin;
use super::{BadSnapshot, Shared};
use crate::disk::DiskFile;

pub(super) struct Source {
    pin: Pin,
    /// The file read last, by its place. A transfer reads one file after the other, so one is
    /// enough, however many there are.
    recent: Mutex<Option<(usize, Arc<dyn DiskFile>)>>,
}

impl Shared {
    /// Opens a complete snapshot; none if it is not there.
    pub(super) fn open_source(self: &Arc<Self>, last: Position) -> Option<Source> {
        Some(Source {
            pin: self.pin(last)?,
            recent: Mutex::new(None),
        })
    }
}

impl Source {
    /// What is wrong with its files.
    pub(super) fn verify(&self) -> Vec<BadSnapshot> {
        let mut findings = Vec::new();
        for (place, file) in self.manifest().files.iter().enumerate() {
            if let Err(error) = self.verify_file(place, file) {
                findings.push(BadSnapshot {
                    name: self.name().to_string(),
                    why: error.to_string(),
                });
            }
        }
        findings
    }

    fn verify_file(&self, place: usize, file: &SnapshotFile) -> Result<(), PortError> {
        let found = measure(&*self.opened(place, file)?, &self.path(file))?;
        self.compare(file, found)
    }

    fn compare(&self, file: &SnapshotFile, found: Measure) -> Result<(), PortError> {
        if found == Measure::of(file) {
            return Ok(());
        }
        let path = self.path(file);
        Err(PortError::damaged(format!(
            "{} has {} bytes with checksum {:016x} instead of {} with {:016x}",
            path.display(),
            found.size,
            found.hash,
            file.size,
            file.hash
        )))
    }

    fn find(&self, name: &str) -> Result<(usize, &SnapshotFile), PortError> {
        self.manifest().find(name).ok_or_else(|| {
            PortError::misused(format!("snapshot {} has no file {name:?}", self.name()))
        })
    }

    fn opened(&self, place: usize, file: &SnapshotFile) -> Result<Arc<dyn DiskFile>, PortError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((opened, handle)) = &*recent
            && *opened == place
        {
            return Ok(handle.clone());
        }
        let path = self.path(file);
        let Some(handle) = open_if_there(&*self.pin.shared.disk, &path)? else {
            return Err(PortError::damaged(format!("{} is missing", path.display())));
        };
        *recent = Some((place, handle.clone()));
        Ok(handle)
    }

    fn name(&self) -> DirName {
        DirName::new(Stage::Complete, self.pin.manifest.meta.last)
    }

    fn path(&self, file: &SnapshotFile) -> PathBuf {
        self.pin.shared.path(self.name()).join(&file.name)
    }
}

impl SnapshotSource for Source {
    fn manifest(&self) -> &Manifest {
        &self.pin.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let (place, file) = self.find(name)?;
        let rest = file.size.saturating_sub(offset);
        let room = usize::try_from(rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        let path = self.path(file);
        let count = self
            .opened(place, file)?
            .read_at(&mut buffer[..room], offset)
            .map_err(failed("read", &path))?;
        // Said here, because a receiver that is sent nothing can't tell damage from the end.
        if count < room {
            let path = path.display();
            return Err(PortError::damaged(format!("{path} ends before its end")));
        }
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError> {
        let (place, file) = self.find(name)?;
        let path = self.path(file);
        let meter = read_through(&*self.opened(place, file)?, &path, &mut |bytes| {
            to.write_all(bytes)
                .map_err(failed("copy the content of", &path))
        })?;
        self.compare(file, meter.measure())
    }
}
