//! How a snapshot comes to exist, how long it is kept, and how it goes.
//!
//! This file does not know who wrote the files.

use std::path::PathBuf;
use std::sync::Arc;

use raft_core::port::{Manifest, PortError};
use raft_core::types::Position;

use super::files::{failed, remove_if_there};
use super::layout::{DirName, Stage};
use super::{BadSnapshot, Shared, State};

impl Shared {
    /// Makes the snapshot in a directory exist. All in it is durable already. One that exists for
    /// the same position stays, and this one goes: both stand for the same state, and the one there
    /// may be open.
    ///
    /// On an error there is none, as far as the disk still obeys; what the directory held is
    /// removed.
    pub(super) fn publish(&self, from: DirName, manifest: Manifest) -> Result<(), PortError> {
        let published = self.publish_in(&mut self.lock(), from, manifest);
        match published {
            Ok(Published::New) => {
                self.retire();
                Ok(())
            }
            Ok(Published::Known) => {
                self.discard(from);
                Ok(())
            }
            Err(error) => {
                self.discard(from);
                Err(error)
            }
        }
    }

    fn publish_in(
        &self,
        state: &mut State,
        from: DirName,
        manifest: Manifest,
    ) -> Result<Published, PortError> {
        let last = from.last;
        if state.complete.contains_key(&last) {
            return Ok(Published::Known);
        }
        let (unfinished, path) = (
            self.path(from),
            self.path(DirName::new(Stage::Complete, last)),
        );
        self.disk
            .rename(&unfinished, &path)
            .map_err(failed("rename", &unfinished))?;
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            // Whether the name is durable is unknown. Taking it back makes a crash as likely as
            // can be to find none; if one is found all the same, it is whole.
            if let Err(error) = self.disk.rename(&path, &unfinished) {
                tracing::warn!(%error, snapshot = %from, "an uncertain snapshot stays");
            }
            return Err(failed("sync", &self.dir)(error));
        }
        state.complete.insert(last, Arc::new(manifest));
        Ok(Published::New)
    }

    /// Removes an unfinished directory. What can't be removed now is removed when the store is
    /// opened next, so nothing depends on it.
    pub(super) fn discard(&self, name: DirName) {
        if let Err(error) = remove_if_there(&*self.disk, &self.path(name)) {
            tracing::warn!(%error, snapshot = %name, "an unfinished snapshot stays");
        }
    }

    /// Removes the complete snapshots that nothing keeps. What can't be removed now is tried again
    /// with the next one: too many snapshots are no reason to stop a node.
    pub(super) fn retire(&self) {
        let mut removing = Vec::new();
        {
            let mut state = self.lock();
            for last in surplus(&state, self.config.retained) {
                match self.rename_to_removing(last) {
                    Ok(path) => {
                        state.complete.remove(&last);
                        removing.push(path);
                    }
                    Err(error) => tracing::warn!(%error, "an old snapshot stays"),
                }
            }
        }
        if removing.is_empty() {
            return;
        }
        // The new names must be durable before the first file goes: else a crash could leave a
        // snapshot that looks complete and damaged.
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            tracing::warn!(%error, "old snapshots stay");
            return;
        }
        for path in removing {
            if let Err(error) = remove_if_there(&*self.disk, &path) {
                tracing::warn!(%error, "an old snapshot stays");
            }
        }
    }

    fn rename_to_removing(&self, last: Position) -> Result<PathBuf, PortError> {
        let from = self.path(DirName::new(Stage::Complete, last));
        let to = self.path(DirName::new(Stage::Removing, last));
        remove_if_there(&*self.disk, &to)?;
        self.disk
            .rename(&from, &to)
            .map_err(failed("rename", &from))?;
        Ok(to)
    }

    pub(super) fn set_aside_complete(&self, last: Position, why: &str) -> Result<(), PortError> {
        let name = DirName::new(Stage::Complete, last);
        {
            let mut state = self.lock();
            if !state.complete.contains_key(&last) {
                return Err(PortError::misused(format!("there is no snapshot {name}")));
            }
            self.rename_to_bad(last)?;
            state.complete.remove(&last);
            state.bad.push(BadSnapshot {
                name: name.to_string(),
                why: why.to_owned(),
            });
        }
        tracing::warn!(%name, %why, "a bad snapshot is set aside");
        self.disk
            .sync_dir(&self.dir)
            .map_err(failed("sync", &self.dir))?;
        self.limit_bad()
    }

    /// Takes the place of a bad one that was there.
    pub(super) fn rename_to_bad(&self, last: Position) -> Result<(), PortError> {
        let from = self.path(DirName::new(Stage::Complete, last));
        let to = self.path(DirName::new(Stage::Bad, last));
        remove_if_there(&*self.disk, &to)?;
        self.disk
            .rename(&from, &to)
            .map_err(failed("rename", &from))
    }

    pub(super) fn limit_bad(&self) -> Result<(), PortError> {
        let mut bad: Vec<DirName> = self.names()?;
        bad.retain(|name| name.stage == Stage::Bad);
        bad.sort_unstable();
        let surplus = bad.len().saturating_sub(self.config.bad_retained);
        for name in &bad[..surplus] {
            remove_if_there(&*self.disk, &self.path(*name))?;
        }
        Ok(())
    }

    /// Keeps a complete snapshot from being removed; none if it is not there.
    pub(super) fn pin(self: &Arc<Self>, last: Position) -> Option<Pin> {
        let mut state = self.lock();
        let manifest = state.complete.get(&last)?.clone();
        *state.pins.entry(last).or_default() += 1;
        drop(state);
        Some(Pin {
            shared: self.clone(),
            manifest,
        })
    }

    fn unpin(&self, last: Position) {
        let mut state = self.lock();
        let Some(count) = state.pins.get_mut(&last) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.pins.remove(&last);
        }
    }
}

/// What came of a snapshot that was handed in.
enum Published {
    /// It exists now.
    New,
    /// One of the same position existed.
    Known,
}

/// The older ones beyond `retained` that no source has open.
fn surplus(state: &State, retained: usize) -> Vec<Position> {
    let mut lasts: Vec<Position> = state.complete.keys().copied().collect();
    lasts.truncate(lasts.len().saturating_sub(retained));
    lasts.retain(|last| !state.pins.contains_key(last));
    lasts
}

/// A complete snapshot that is kept for as long as this lives.
pub(super) struct Pin {
    pub(super) shared: Arc<Shared>,
    pub(super) manifest: Arc<Manifest>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.shared.unpin(self.manifest.meta.last);
        self.shared.retire();
    }
}
