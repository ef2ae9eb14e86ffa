//! A snapshot that a peer sends, on its way into memory.
//!
//! This file does not know the peer. It believes nothing: a file counts once it has the size and
//! the checksum that the manifest says.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Manifest, PortError, SnapshotFile, SnapshotReceiver};

use super::Owner;
use super::image::{Image, checksum};

/// A snapshot of which the files up to some place are here, and part of the next one.
pub(super) struct Half {
    manifest: Manifest,
    whole: Vec<Bytes>,
    part: Vec<u8>,
}

/// Whether a snapshot can consist of what the manifest names.
pub(super) fn check(manifest: &Manifest) -> Result<(), PortError> {
    let names = || manifest.files.iter().map(|file| file.name.as_str());
    if names().all(SnapshotFile::is_name) && names().is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(PortError::misused("the files of the manifest are no good"))
}

impl Half {
    pub(super) const fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            whole: Vec::new(),
            part: Vec::new(),
        }
    }

    pub(super) fn is_of(&self, manifest: &Manifest) -> bool {
        self.manifest == *manifest
    }

    fn next(&self) -> Option<&SnapshotFile> {
        self.manifest.files.get(self.whole.len())
    }

    /// Takes the next file if all of it is here; an empty one always is.
    pub(super) fn complete(&mut self) -> Result<(), PortError> {
        while let Some(file) = self.next()
            && self.part.len() as u64 >= file.size
        {
            let (size, hash) = (file.size, file.hash);
            let damaged = format!("{}: it is not what the manifest says", file.name);
            let content = std::mem::take(&mut self.part);
            if content.len() as u64 != size || checksum(&content) != hash {
                return Err(PortError::damaged(damaged));
            }
            self.whole.push(Bytes::from(content));
        }
        Ok(())
    }
}

pub(super) struct Receiver {
    owner: Owner,
    /// Goes back to the disk when the receiver is dropped; taken only when it is finished.
    half: Option<Half>,
}

impl Receiver {
    pub(super) const fn new(owner: Owner, half: Half) -> Self {
        Self {
            owner,
            half: Some(half),
        }
    }
}

impl SnapshotReceiver for Receiver {
    fn wants(&self) -> Option<(usize, u64)> {
        let half = self.half.as_ref()?;
        half.next()?;
        Some((half.whole.len(), half.part.len() as u64))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        let half = self.half.as_mut().filter(|half| half.next().is_some());
        let half = half.ok_or_else(|| PortError::misused("nothing is wanted"))?;
        half.part.extend_from_slice(bytes);
        half.complete()
    }

    fn finish(mut self: Box<Self>) -> Result<(), PortError> {
        let whole = self.half.take_if(|half| half.next().is_none());
        let half = whole.ok_or_else(|| PortError::misused("something is missing"))?;
        let image = Image::new(half.manifest, half.whole);
        self.owner.lock()?.publish(Arc::new(image));
        Ok(())
    }
}

impl Drop for Receiver {
    /// What was taken stays, unless another process has taken the disk over: it has begun anew.
    fn drop(&mut self) {
        if let Some(half) = self.half.take()
            && let Ok(mut state) = self.owner.lock()
        {
            state.half = Some(half);
        }
    }
}
