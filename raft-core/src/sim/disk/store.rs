//! The log store's port on a simulated disk: every write is issued and synced at once.
//!
//! For tests of what uses or judges a log store. The simulated world does without it: there, a sync
//! takes its time. This file does not know what a crash does.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use super::image::checksum;
use super::{Disk, Image, ImageSink};
use crate::entry::{Entry, Recovered, SnapshotMeta};
use crate::event::Write;
use crate::port::{
    LogBounds, LogStore, LogUsage, Manifest, PortError, SnapshotFile, SnapshotReceiver,
    SnapshotSink, SnapshotSource,
};
use crate::sim::ghost::Violation;
use crate::types::{Incarnation, Index, Position};

/// A log store in memory. A clone is another process on the same disk.
#[derive(Clone, Debug)]
pub struct DiskStore(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    disk: Disk,
    /// What was received of a snapshot so far.
    half: Option<Half>,
    /// Where the open snapshots end; those whose source was dropped are dead.
    pins: Vec<Weak<Index>>,
}

/// A snapshot of which the files up to some place are here, and part of the next one.
#[derive(Debug)]
struct Half {
    manifest: Manifest,
    whole: Vec<(String, Bytes)>,
    part: Vec<u8>,
}

impl Default for DiskStore {
    fn default() -> Self {
        Self::new(Disk::blank(Incarnation::UNBOUND))
    }
}

impl DiskStore {
    /// The store on this disk.
    #[must_use]
    pub fn new(disk: Disk) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            disk,
            half: None,
            pins: Vec::new(),
        })))
    }

    /// Every change is whole before the lock is let go, so a panic elsewhere leaves no half.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(violation: Violation) -> PortError {
    PortError::misused(violation.detail)
}

impl LogStore for DiskStore {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        Ok(self.lock().disk.recover(Index(0)))
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        let mut shared = self.lock();
        if shared.disk.incarnation() != Incarnation::UNBOUND {
            return Err(PortError::misused("the disk is founded already"));
        }
        shared.disk = Disk::founded(founding);
        Ok(())
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        let mut shared = self.lock();
        let disk = &mut shared.disk;
        let mut bounds = LogBounds {
            base: disk.base(),
            last: disk.last(),
        };
        // The disk itself would stop in the middle of a bad write.
        for write in writes {
            if let Some(meta) = &write.reset
                && disk.snapshot(meta.last).is_none()
            {
                let last = meta.last;
                return Err(PortError::misused(format!(
                    "a reset to {last}, no snapshot"
                )));
            }
            bounds = bounds.after(write)?;
        }
        for write in writes {
            disk.issue(write.clone());
        }
        disk.begin_sync(u64::MAX);
        disk.end_sync(|_| Ok(())).map_err(refused)?;
        Ok(())
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        Ok(self.lock().disk.read(from, to, bytes_max))
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        let mut shared = self.lock();
        shared.disk.check_purge(up_to).map_err(refused)?;
        shared.pins.retain(|pin| pin.strong_count() > 0);
        let pins = shared.pins.iter().filter_map(Weak::upgrade);
        let pinned = pins.map(|last| *last).min();
        let up_to = pinned.map_or(up_to, |last| up_to.min(last));
        shared.disk.purge(up_to).map_err(refused)
    }

    fn usage(&self) -> LogUsage {
        let mut shared = self.lock();
        let log = shared.disk.log();
        LogUsage {
            entries: log.len() as u64,
            bytes: log.iter().map(Entry::weight).sum(),
        }
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        Ok(Box::new(Sink {
            store: self.clone(),
            meta,
            files: ImageSink::default(),
        }))
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        let mut shared = self.lock();
        let Some(image) = shared.disk.snapshot_newest().cloned() else {
            return Ok(None);
        };
        let pin = Arc::new(image.meta.last.index);
        shared.pins.push(Arc::downgrade(&pin));
        Ok(Some(Box::new(Source { image, _pin: pin })))
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        if self.lock().disk.remove_snapshot(last) {
            return Ok(());
        }
        Err(PortError::misused(format!("no snapshot ends at {last}")))
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        let names = manifest.files.iter().map(|file| &file.name);
        if !names.is_sorted_by(|a, b| a < b)
            || !manifest
                .files
                .iter()
                .all(|file| SnapshotFile::is_name(&file.name))
        {
            return Err(PortError::misused("the files of the manifest are no good"));
        }
        let mut shared = self.lock();
        let half = shared.half.take();
        let half = half
            .filter(|half| half.manifest == manifest)
            .unwrap_or(Half {
                manifest,
                whole: Vec::new(),
                part: Vec::new(),
            });
        let mut receiver = Receiver {
            store: self.clone(),
            half: Some(half),
        };
        receiver.half_mut().skip_empty();
        Ok(Box::new(receiver))
    }
}

struct Sink {
    store: DiskStore,
    meta: Arc<SnapshotMeta>,
    files: ImageSink,
}

impl SnapshotSink for Sink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        self.files.add(name, content)
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        self.files.add_file(name, path)
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        let image = Arc::new(self.files.into_image(self.meta));
        self.store.lock().disk.add_snapshot(image);
        Ok(())
    }
}

/// An image that knows that it is open.
struct Source {
    image: Arc<Image>,
    _pin: Arc<Index>,
}

impl SnapshotSource for Source {
    fn manifest(&self) -> &Manifest {
        self.image.manifest()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.image.read_at(name, offset, buffer)
    }

    fn copy(&self, name: &str, to: &mut dyn std::io::Write) -> Result<(), PortError> {
        self.image.copy(name, to)
    }
}

struct Receiver {
    store: DiskStore,
    /// Goes back to the store when the receiver is dropped; taken only then.
    half: Option<Half>,
}

impl Receiver {
    fn half_mut(&mut self) -> &mut Half {
        self.half.as_mut().expect("only dropping takes it")
    }
}

impl Half {
    fn next(&self) -> Option<&SnapshotFile> {
        self.manifest.files.get(self.whole.len())
    }

    /// There is nothing to send of an empty file.
    fn skip_empty(&mut self) {
        while let Some(file) = self.next()
            && file.size == 0
        {
            self.whole.push((file.name.clone(), Bytes::new()));
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        let file = self.next().cloned();
        let file = file.ok_or_else(|| PortError::misused("nothing is wanted"))?;
        self.part.extend_from_slice(bytes);
        if (self.part.len() as u64) < file.size {
            return Ok(());
        }
        let content = std::mem::take(&mut self.part);
        if content.len() as u64 != file.size || checksum(&content) != file.hash {
            return Err(PortError::damaged(format!(
                "{}: it has another checksum",
                file.name
            )));
        }
        self.whole.push((file.name, Bytes::from(content)));
        self.skip_empty();
        Ok(())
    }
}

impl SnapshotReceiver for Receiver {
    fn wants(&self) -> Option<(usize, u64)> {
        let half = self.half.as_ref()?;
        half.next()?;
        Some((half.whole.len(), half.part.len() as u64))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.half_mut().take(bytes)
    }

    fn finish(mut self: Box<Self>) -> Result<(), PortError> {
        if self.wants().is_some() {
            return Err(PortError::misused("something is missing"));
        }
        let half = self.half.take().expect("only dropping takes it");
        let image = Image::new(half.manifest.meta, half.whole);
        self.store.lock().disk.add_snapshot(Arc::new(image));
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(half) = self.half.take() {
            self.store.lock().half = Some(half);
        }
    }
}
