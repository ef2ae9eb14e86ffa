//! What is done with the directory when the store is opened.
//!
//! This file reads manifests and sizes, never content.

use std::path::Path;
use std::sync::Arc;

use raft_core::port::{Manifest, PortError, PortErrorKind};
use raft_core::types::Position;

use super::files::{failed, open_if_there, read_manifest, remove_if_there};
use super::layout::{DirName, Stage};
use super::{BadSnapshot, Shared};

impl Shared {
    pub(super) fn scan(&self) -> Result<(), PortError> {
        self.disk
            .create_dir(&self.dir)
            .map_err(failed("make", &self.dir))?;
        if let Some(parent) = self.dir.parent() {
            self.disk.sync_dir(parent).map_err(failed("sync", parent))?;
        }
        // What is seen may not be durable yet, if a process ended between a rename and its sync.
        // What is built on or removed below must not go by its earlier name after a crash.
        self.disk
            .sync_dir(&self.dir)
            .map_err(failed("sync", &self.dir))?;
        let mut names = self.names()?;
        names.sort_unstable();
        for name in names {
            match name.stage {
                Stage::Complete => self.admit(name)?,
                Stage::Making | Stage::Removing => remove_if_there(&*self.disk, &self.path(name))?,
                Stage::Receiving | Stage::Bad => {}
            }
        }
        self.limit_bad()?;
        self.limit_receiving()
    }

    /// The directories that are ours, in no order.
    pub(super) fn names(&self) -> Result<Vec<DirName>, PortError> {
        let names = self
            .disk
            .list(&self.dir)
            .map_err(failed("list", &self.dir))?;
        Ok(names
            .iter()
            .filter_map(|name| DirName::parse(name))
            .collect())
    }

    /// Only damage sets a snapshot aside. A disk that can't be read may be well again tomorrow, and
    /// what a later program wrote is not ours to judge.
    fn admit(&self, name: DirName) -> Result<(), PortError> {
        let error = match self.look_at(name) {
            Ok(manifest) => {
                let manifest = Arc::new(manifest);
                self.lock().complete.insert(name.last, manifest);
                return Ok(());
            }
            Err(error) => error,
        };
        match error.kind {
            PortErrorKind::Damaged => {
                let why = error.to_string();
                tracing::warn!(%name, %why, "a bad snapshot is set aside");
                self.rename_to_bad(name.last)?;
                self.lock().bad.push(BadSnapshot {
                    name: name.to_string(),
                    why,
                });
                Ok(())
            }
            PortErrorKind::Full | PortErrorKind::Broken | PortErrorKind::Misused => Err(error),
        }
    }

    pub(super) fn look_at(&self, name: DirName) -> Result<Manifest, PortError> {
        let dir = self.path(name);
        let manifest = read_manifest(&*self.disk, &dir)?;
        if manifest.meta.last != name.last {
            let Position { term, index } = manifest.meta.last;
            return Err(PortError::damaged(format!(
                "its manifest is that of index {index}, term {term}"
            )));
        }
        for file in &manifest.files {
            let found = self.size_of(&dir.join(&file.name))?;
            if found != Some(file.size) {
                let found = found.map_or("is missing".to_owned(), |found| {
                    format!("has {found} bytes instead of {}", file.size)
                });
                return Err(PortError::damaged(format!(
                    "its file {} {found}",
                    file.name
                )));
            }
        }
        Ok(manifest)
    }

    fn size_of(&self, path: &Path) -> Result<Option<u64>, PortError> {
        let Some(file) = open_if_there(&*self.disk, path)? else {
            return Ok(None);
        };
        Ok(Some(file.size().map_err(failed("measure", path))?))
    }

    /// Of what was being received only the newest is worth going on with, and only if it brings
    /// something new.
    fn limit_receiving(&self) -> Result<(), PortError> {
        let mut receiving: Vec<DirName> = self.names()?;
        receiving.retain(|name| name.stage == Stage::Receiving);
        let newest = receiving.iter().copied().max();
        for name in receiving {
            let is_there = self.lock().complete.contains_key(&name.last);
            if is_there || Some(name) != newest {
                remove_if_there(&*self.disk, &self.path(name))?;
            }
        }
        Ok(())
    }
}
