//! Snapshots of a node: when one is due, how it is written, how one is fetched from another node.
//!
//! Writing and fetching take long, so they are done on threads apart from the log and the machine.
//! This file does not know what a snapshot contains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::done::Done;
use super::mailbox::Mailbox;
use super::writer::SharedStore;
use crate::entry::SnapshotMeta;
use crate::port::{Capture, PortError, PortErrorKind, SnapshotSource, Transport};
use crate::types::{Index, NodeId};

/// So much of a file is asked for at once.
const CHUNK_BYTES: usize = 1 << 20;
/// How long a chunk takes at one byte a second.
const CHUNK_NANOS: u64 = (1 << 20) * 1_000_000_000;
/// So often a fetch that was cut is taken up again before it is given up.
const ATTEMPTS_MAX: u32 = 8;
/// The pause before it is taken up again the first time; doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// So often a file may turn out to be damaged before the fetch is given up.
const DAMAGES_MAX: u32 = 3;

/// Who writes and fetches snapshots.
pub(super) struct Snapshots {
    pub(super) store: SharedStore,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) bytes_per_second: u64,
    /// The fetch under way: where it is to end, and the flag that calls it off.
    pub(super) fetching: Option<(Index, Arc<AtomicBool>)>,
}

impl Snapshots {
    /// Writes a captured state out.
    pub(super) fn take(&self, meta: SnapshotMeta, capture: Capture) {
        let (store, mailbox) = (self.store.clone(), Arc::clone(&self.mailbox));
        let meta = Arc::new(meta);
        spawn_blocking(move || {
            let taken = write(&store, &meta, capture).map(|()| (meta, store.usage()));
            mailbox.done(Done::Taken(taken));
        });
    }

    /// Fetches the snapshot that `from` offered. There is one fetch at a time.
    pub(super) fn fetch(&mut self, from: NodeId, snapshot: Arc<SnapshotMeta>) {
        self.cancel_all();
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.fetching = Some((snapshot.last.index, Arc::clone(&is_cancelled)));
        let fetch = Fetch {
            from,
            snapshot,
            store: self.store.clone(),
            transport: Arc::clone(&self.transport),
            pace: Duration::from_nanos(CHUNK_NANOS / self.bytes_per_second.max(1)),
            is_cancelled,
        };
        let mailbox = Arc::clone(&self.mailbox);
        spawn_blocking(move || {
            let ordered = fetch.snapshot.last.index;
            let outcome = fetch.run();
            mailbox.done(Done::Received { ordered, outcome });
        });
    }

    /// The fetch of the snapshot that ends there is not wanted any more.
    pub(super) fn cancel(&mut self, last: Index) {
        if self
            .fetching
            .as_ref()
            .is_some_and(|(index, _)| *index == last)
        {
            self.cancel_all();
        }
    }

    pub(super) fn cancel_all(&mut self) {
        if let Some((_, is_cancelled)) = self.fetching.take() {
            is_cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

fn write(store: &SharedStore, meta: &Arc<SnapshotMeta>, capture: Capture) -> Result<(), PortError> {
    let mut sink = store.lock()?.create_snapshot(Arc::clone(meta))?;
    capture(sink.as_mut())?;
    sink.finish()
}

/// A snapshot on its way here.
struct Fetch {
    from: NodeId,
    snapshot: Arc<SnapshotMeta>,
    store: SharedStore,
    transport: Arc<dyn Transport>,
    /// How long a chunk takes at least.
    pace: Duration,
    is_cancelled: Arc<AtomicBool>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "on a thread that is there to block"
)]
fn rest(span: Duration) {
    thread::sleep(span);
}

/// Why an attempt ended.
enum Cut {
    /// The connection, or the other node: another attempt may go on from here.
    Source(PortError),
    /// This node's store, or what is no use however often it is tried.
    Final(PortError),
}

impl Fetch {
    /// Fetches it, going on after each cut from where it was.
    fn run(&self) -> Result<Arc<SnapshotMeta>, PortError> {
        let (mut pause, mut attempt) = (PAUSE_MIN, 1);
        loop {
            match self.attempt() {
                Ok(meta) => return Ok(meta),
                Err(Cut::Final(error)) => return Err(error),
                Err(Cut::Source(error)) if attempt == ATTEMPTS_MAX => return Err(error),
                Err(Cut::Source(error)) => {
                    tracing::info!(from = %self.from, %error, attempt, "snapshot fetch was cut");
                }
            }
            attempt += 1;
            rest(pause);
            pause *= 2;
        }
    }

    fn attempt(&self) -> Result<Arc<SnapshotMeta>, Cut> {
        let source = self
            .transport
            .open_snapshot(self.from, self.snapshot.last)
            .map_err(Cut::Source)?;
        let manifest = source.manifest().clone();
        if manifest.meta.last < self.snapshot.last {
            let last = manifest.meta.last;
            return Err(Cut::Final(PortError::misused(format!(
                "a snapshot that ends at {last}, where one to {} was offered",
                self.snapshot.last
            ))));
        }
        let meta = Arc::clone(&manifest.meta);
        let receiver = self
            .store
            .lock()
            .and_then(|mut store| store.receive_snapshot(manifest.clone()));
        let mut receiver = receiver.map_err(Cut::Final)?;
        let mut damages = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Some((place, offset)) = receiver.wants() {
            let began = Instant::now();
            let file = &manifest.files[place];
            let left = usize::try_from(file.size - offset).unwrap_or(usize::MAX);
            let room = left.min(CHUNK_BYTES);
            let count = self.read(source.as_ref(), &file.name, offset, &mut chunk[..room])?;
            match receiver.take(&chunk[..count]) {
                Err(error) if error.kind == PortErrorKind::Damaged && damages < DAMAGES_MAX => {
                    damages += 1;
                    tracing::warn!(from = %self.from, %error, "fetched a damaged file");
                }
                taken => taken.map_err(Cut::Final)?,
            }
            rest(self.pace.saturating_sub(began.elapsed()));
        }
        receiver.finish().map_err(Cut::Final)?;
        Ok(meta)
    }

    /// Reads the next chunk. Nothing at all means that the file is shorter than its manifest says.
    fn read(
        &self,
        source: &dyn SnapshotSource,
        name: &str,
        offset: u64,
        chunk: &mut [u8],
    ) -> Result<usize, Cut> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(Cut::Final(PortError::misused(
                "a fetch that was called off",
            )));
        }
        let count = source.read_at(name, offset, chunk).map_err(Cut::Source)?;
        if count == 0 && !chunk.is_empty() {
            return Err(Cut::Source(PortError::damaged(format!(
                "{name} of node {} ends at {offset}",
                self.from
            ))));
        }
        Ok(count)
    }
}
