//! An inbox that remembers what it was given, serves a snapshot, and can be made to block.
//!
//! It judges nothing.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::port::{Inbox, Manifest, Parcel, PortError, SnapshotSource};

/// A closed inbox opens by itself after this, so that a sender that waits for it does not wait for
/// ever, but is found out.
const CLOSED_MAX: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Record {
    seen: Mutex<Seen>,
    opened: Condvar,
    image: Mutex<Option<Arc<Image>>>,
}

#[derive(Default)]
struct Seen {
    parcels: Vec<Parcel>,
    is_closed: bool,
    /// It was closed for so long that it opened by itself.
    gave_up: bool,
}

/// A snapshot in memory.
pub(super) struct Image {
    pub(super) manifest: Manifest,
    /// Of each file of the manifest.
    pub(super) contents: Vec<Vec<u8>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    pub(super) fn count(&self) -> usize {
        locked(&self.seen).parcels.len()
    }

    pub(super) fn parcels(&self) -> Vec<Parcel> {
        locked(&self.seen).parcels.clone()
    }

    pub(super) fn holds(&self, parcel: &Parcel) -> bool {
        locked(&self.seen).parcels.contains(parcel)
    }

    /// From now on whoever delivers waits.
    pub(super) fn close(&self) {
        locked(&self.seen).is_closed = true;
    }

    /// Whether it was closed until now.
    pub(super) fn open(&self) -> bool {
        let mut seen = locked(&self.seen);
        seen.is_closed = false;
        self.opened.notify_all();
        !seen.gave_up
    }

    /// From now on this is its newest snapshot.
    pub(super) fn offer(&self, image: Arc<Image>) {
        *locked(&self.image) = Some(image);
    }
}

impl Inbox for Record {
    fn deliver(&self, parcel: Parcel) {
        let seen = locked(&self.seen);
        let is_closed = |seen: &mut Seen| seen.is_closed;
        let waited = self.opened.wait_timeout_while(seen, CLOSED_MAX, is_closed);
        let (mut seen, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            seen.is_closed = false;
            seen.gave_up = true;
        }
        seen.parcels.push(parcel);
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        match &*locked(&self.image) {
            Some(image) => Ok(Box::new(Source(Arc::clone(image)))),
            None => Err(PortError::misused("there is no snapshot")),
        }
    }
}

struct Source(Arc<Image>);

impl Source {
    fn content(&self, name: &str) -> Result<&[u8], PortError> {
        let found = self.0.manifest.find(name);
        let (place, _) = found.ok_or_else(|| PortError::misused(format!("no file {name}")))?;
        Ok(&self.0.contents[place])
    }
}

impl SnapshotSource for Source {
    fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let content = self.content(name)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.get(offset..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn io::Write) -> Result<(), PortError> {
        to.write_all(self.content(name)?)
            .map_err(|source| PortError::io(format!("copy {name}"), source))
    }
}
