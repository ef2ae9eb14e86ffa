//! Snapshots of a node: when one is due, how it is written, how one is fetched from another node.
//!
//! Writing and fetching take long, so they are done on threads apart from the log and the machine.
//! This file does not know what a snapshot contains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::done::Done;
use super::error::StopReason;
use super::lane::message_of;
use super::mailbox::Mailbox;
use super::writer::SharedStore;
use crate::entry::SnapshotMeta;
use crate::port::{Capture, PortError, PortErrorKind, SnapshotSource, Transport};
use crate::types::{Index, NodeId};

/// So much of a file is asked for at once.
const CHUNK_BYTES: usize = 1 << 20;
const NANOS_A_SECOND: u64 = 1_000_000_000;
/// So often a fetch that was cut is taken up again before it is given up.
const ATTEMPTS_MAX: u32 = 8;
/// The pause before it is taken up again the first time; doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// So often a file may turn out to be damaged before the fetch is given up.
const DAMAGES_MAX: u32 = 3;

/// Who writes and fetches snapshots.
pub(super) struct Snapshots {
    pub(super) store: SharedStore,
    mailbox: Arc<Mailbox>,
    transport: Arc<dyn Transport>,
    bytes_per_second: u64,
    /// The fetch that the core waits for.
    fetching: Option<Fetching>,
    /// How many fetches were begun.
    fetches: u64,
    /// Held by the fetch that is at work: one that was called off may still have a chunk to go.
    turn: Arc<Mutex<()>>,
    /// What is done apart from the loop, and still has a hand on the store.
    tasks: JoinSet<()>,
}

struct Fetching {
    number: u64,
    ordered: Index,
    calling_off: Arc<CallingOff>,
}

/// Calls a fetch off.
#[derive(Default)]
struct CallingOff {
    is_off: AtomicBool,
    news: Notify,
}

impl Snapshots {
    pub(super) fn new(
        store: SharedStore,
        mailbox: &Arc<Mailbox>,
        transport: &Arc<dyn Transport>,
        bytes_per_second: u64,
    ) -> Self {
        Self {
            store,
            mailbox: Arc::clone(mailbox),
            transport: Arc::clone(transport),
            bytes_per_second: bytes_per_second.max(1),
            fetching: None,
            fetches: 0,
            turn: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Writes a captured state out.
    pub(super) fn take(&mut self, meta: SnapshotMeta, capture: Capture) {
        let (store, mailbox) = (self.store.clone(), Arc::clone(&self.mailbox));
        let meta = Arc::new(meta);
        self.reap();
        self.tasks.spawn(async move {
            let work = move || write(&store, &meta, capture).map(|()| (meta, store.usage()));
            mailbox.done(match apart(work).await {
                Ok(taken) => Done::Taken(taken),
                Err(reason) => Done::Broken(reason),
            });
        });
    }

    /// Fetches the snapshot that `from` offered. There is one fetch at a time.
    pub(super) fn fetch(&mut self, from: NodeId, snapshot: Arc<SnapshotMeta>) {
        self.cancel_all();
        self.fetches += 1;
        let (number, ordered) = (self.fetches, snapshot.last.index);
        let calling_off = Arc::<CallingOff>::default();
        self.fetching = Some(Fetching {
            number,
            ordered,
            calling_off: Arc::clone(&calling_off),
        });
        let fetch = Arc::new(Fetch {
            from,
            snapshot,
            store: self.store.clone(),
            transport: Arc::clone(&self.transport),
            bytes_per_second: self.bytes_per_second,
            calling_off,
        });
        let (mailbox, turn) = (Arc::clone(&self.mailbox), Arc::clone(&self.turn));
        self.reap();
        self.tasks.spawn(async move {
            let _turn = turn.lock().await;
            mailbox.done(match fetch.run().await {
                Ok(outcome) => Done::Received {
                    number,
                    ordered,
                    outcome,
                },
                Err(reason) => Done::Broken(reason),
            });
        });
    }

    /// The fetch of this number has ended. Whether the core waits for it.
    pub(super) fn ended(&mut self, number: u64) -> bool {
        self.fetching
            .take_if(|fetching| fetching.number == number)
            .is_some()
    }

    /// The fetch of the snapshot that ends there is not wanted any more.
    pub(super) fn cancel(&mut self, last: Index) {
        if self
            .fetching
            .as_ref()
            .is_some_and(|fetching| fetching.ordered == last)
        {
            self.cancel_all();
        }
    }

    fn cancel_all(&mut self) {
        if let Some(Fetching { calling_off, .. }) = self.fetching.take() {
            calling_off.is_off.store(true, Ordering::Relaxed);
            calling_off.news.notify_one();
        }
    }

    fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    /// Waits until nothing of this has a hand on the store any more: what is being written is
    /// written to its end, what is being fetched is not.
    pub(super) async fn close(mut self) {
        self.cancel_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

/// Does it on a thread that is there to block. A panic in it is a reason to stop.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StopReason> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| match error.try_into_panic() {
        Ok(panic) => StopReason::Panicked {
            lane: "snapshot",
            message: message_of(panic.as_ref()),
        },
        // The runtime ends, and everything with it.
        Err(_) => StopReason::Told,
    })
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
    bytes_per_second: u64,
    calling_off: Arc<CallingOff>,
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
    async fn run(self: Arc<Self>) -> Result<Result<Arc<SnapshotMeta>, PortError>, StopReason> {
        let (mut pause, mut attempt) = (PAUSE_MIN, 1);
        loop {
            let this = Arc::clone(&self);
            match apart(move || this.attempt()).await? {
                Ok(meta) => return Ok(Ok(meta)),
                Err(Cut::Final(error)) => return Ok(Err(error)),
                Err(Cut::Source(error)) if attempt == ATTEMPTS_MAX => return Ok(Err(error)),
                Err(Cut::Source(error)) => {
                    tracing::info!(from = %self.from, %error, attempt, "snapshot fetch was cut");
                }
            }
            attempt += 1;
            // The pause is over early only when the fetch was called off; the attempt says so.
            drop(timeout(pause, self.calling_off.news.notified()).await);
            pause *= 2;
        }
    }

    fn attempt(&self) -> Result<Arc<SnapshotMeta>, Cut> {
        self.check_wanted()?;
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
            let nanos = count as u64 * NANOS_A_SECOND / self.bytes_per_second;
            rest(Duration::from_nanos(nanos).saturating_sub(began.elapsed()));
        }
        receiver.finish().map_err(Cut::Final)?;
        Ok(meta)
    }

    fn check_wanted(&self) -> Result<(), Cut> {
        if self.calling_off.is_off.load(Ordering::Relaxed) {
            let why = "a fetch that was called off";
            return Err(Cut::Final(PortError::misused(why)));
        }
        Ok(())
    }

    /// Reads the next chunk. Nothing at all means that the file is shorter than its manifest says.
    fn read(
        &self,
        source: &dyn SnapshotSource,
        name: &str,
        offset: u64,
        chunk: &mut [u8],
    ) -> Result<usize, Cut> {
        self.check_wanted()?;
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
