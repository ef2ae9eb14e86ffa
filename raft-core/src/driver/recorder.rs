//! The flight recorder of a running node: the newest part of what its core was told, in two files.
//!
//! The node's loop only clones, hashes and counts; a thread of its own encodes and writes. Nothing
//! here ever makes the node wait or fail: what the thread can't keep up with is left out, and the
//! file after such a gap begins with a fresh checkpoint; when a file can't be written, the recorder
//! says so and is off. This file does not know the format; see [`crate::recorder`].

mod tape;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::consensus::Raft;
use crate::event::{Event, Output};
use crate::recorder::digest;
use crate::types::Time;
use tape::Tape;

/// So many batches wait at most for the thread; mostly the next limit is met before.
const BATCHES_MAX: usize = 1024;
/// So many bytes of entries and commands wait at most for the thread; they stay in memory for it.
const WAITING_BYTES_MAX: u64 = 32 << 20;
/// A batch of so many records is handed over.
const BATCH_RECORDS: usize = 256;
/// A batch is handed over at the first flush after so long; a node that is killed loses no more.
const BATCH_AGE: Duration = Duration::from_millis(50);
/// What a record is taken to weigh beyond its entries or command.
const RECORD_OVERHEAD: u64 = 64;

/// One record on its way to the thread.
enum Item {
    /// Begins a new file.
    Checkpoint(Time, Box<Raft>),
    Event(Time, Event),
    Flush(Time, u64),
}

struct Batch {
    items: Vec<Item>,
    weight: u64,
}

/// What the loop and the thread know of each other.
#[derive(Default)]
struct Shared {
    /// The length of the present file.
    written: AtomicU64,
    /// The weight of what was handed over and not yet written.
    waiting: AtomicU64,
    /// A checkpoint is on its way, and with it a new file.
    turning: AtomicBool,
    /// The present file is full; nothing more is written before a checkpoint comes.
    is_full: AtomicBool,
    /// A file could not be written: the recorder is off.
    is_off: AtomicBool,
}

/// Records a node's core, bounded in bytes, without slowing the node.
///
/// The calls, all from the loop that runs the core: [`begin`](Self::begin) once after
/// [`Raft::new`], [`event`](Self::event) before each step, [`flushed`](Self::flushed) after each
/// flush. Dropping it writes out what waits, also when a panic unwinds the loop.
pub struct FlightRecorder {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    sender: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    /// The most that one file may hold.
    file_bytes_max: u64,
    batch: Batch,
    /// When a batch was last handed over.
    handed_over: Time,
    /// The state that the recording is to begin with, while no event was recorded.
    fresh: Option<(Time, Box<Raft>)>,
    /// Something was left out; what comes is left out too, up to the next checkpoint.
    gap: bool,
    gaps: u64,
}

impl FlightRecorder {
    /// The least that makes sense for the files together.
    pub const BYTES_MIN: u64 = 64 << 10;
    /// Enough for some minutes of a busy node, or days of a quiet one.
    pub const BYTES_DEFAULT: u64 = 512 << 20;

    /// Records into `dir`, which is made if it is not there. There are never more than two files
    /// `flight-<number>.rec`, each of at most half of `bytes_max` and each to be replayed by
    /// itself; older ones are removed. They hold the commands of clients as they came.
    ///
    /// A checkpoint holds the newest entries, up to `Config::tail_bytes_max` and more while some
    /// wait for commitment; if it takes more than a quarter of `bytes_max`, the recorder goes off.
    ///
    /// # Errors
    /// When `bytes_max` is below [`Self::BYTES_MIN`], the directory can't be used, or no thread be
    /// started.
    pub fn open(dir: impl AsRef<Path>, bytes_max: u64) -> io::Result<Self> {
        if bytes_max < Self::BYTES_MIN {
            let what = format!("a flight recorder needs at least {} bytes", Self::BYTES_MIN);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let (mut recorder, tape, receiver) = Self::prepare(dir.as_ref(), bytes_max)?;
        let thread = thread::Builder::new().name("flight-recorder".to_owned());
        recorder.thread = Some(thread.spawn(move || tape.run(&receiver))?);
        Ok(recorder)
    }

    /// All of it but the thread.
    fn prepare(dir: &Path, bytes_max: u64) -> io::Result<(Self, Tape, Receiver<Batch>)> {
        let shared = Arc::new(Shared::default());
        let file_bytes_max = bytes_max / 2;
        let tape = Tape::open(dir, file_bytes_max, Arc::clone(&shared))?;
        let (sender, receiver) = sync_channel(BATCHES_MAX);
        let recorder = Self {
            shared,
            sender: Some(sender),
            thread: None,
            file_bytes_max,
            batch: Batch::new(),
            handed_over: Time::default(),
            fresh: None,
            // Nothing is recorded before the first checkpoint.
            gap: true,
            gaps: 0,
        };
        Ok((recorder, tape, receiver))
    }

    /// The core as it begins, before its first event.
    ///
    /// If the first flush comes after this, as the contract in [`crate::event`] wants it, the
    /// recording begins with the state after that flush: what [`Raft::new`] put into its output
    /// can't be had again from the state.
    pub fn begin(&mut self, now: Time, raft: &Raft) {
        self.fresh = Some((now, Box::new(raft.clone())));
    }

    /// What the core is about to be told.
    pub fn event(&mut self, now: Time, event: &Event) {
        if self.rests() {
            return;
        }
        if let Some((began, raft)) = self.fresh.take() {
            self.turn(began, raft);
        }
        if self.gap {
            return;
        }
        self.batch.weight += weight(event);
        if self.batch.weight > WAITING_BYTES_MAX {
            self.leave_out();
            return;
        }
        self.batch.items.push(Item::Event(now, event.clone()));
    }

    /// What the core wants done at the end of a batch, and the core after it. Call it before the
    /// output is carried out or changed.
    pub fn flushed(&mut self, now: Time, output: &Output, raft: &Raft) {
        if self.rests() {
            return;
        }
        let begins = self.fresh.take().is_some();
        if !begins && !self.gap {
            self.batch.items.push(Item::Flush(now, digest(output)));
            self.batch.weight += RECORD_OVERHEAD;
        }
        if begins || self.is_turn_due() {
            self.turn(now, Box::new(raft.clone()));
        }
        let is_old = now.since(self.handed_over) >= BATCH_AGE;
        if is_old || self.batch.items.len() >= BATCH_RECORDS {
            self.handed_over = now;
            self.hand_over();
        }
    }

    /// How often something was left out because the thread could not keep up.
    #[must_use]
    pub const fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Whether it gave up because a file could not be written.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.shared.is_off.load(Ordering::Relaxed)
    }

    /// Whether it is off; then nothing may pile up here.
    fn rests(&mut self) -> bool {
        let is_off = self.is_off();
        if is_off {
            self.batch = Batch::new();
            self.fresh = None;
        }
        is_off
    }

    /// Whether a new file is to be begun: the old one is nearly full, or there was a gap and the
    /// thread has caught up.
    fn is_turn_due(&self) -> bool {
        let shared = &self.shared;
        let waiting = shared.waiting.load(Ordering::Relaxed);
        if self.gap {
            // Not before all is written: else overload would make many short files of two long.
            return waiting == 0;
        }
        if shared.turning.load(Ordering::Relaxed) {
            return false;
        }
        let size = shared.written.load(Ordering::Relaxed) + waiting + self.batch.weight;
        let is_nearly_full = size >= self.file_bytes_max - self.file_bytes_max / 8;
        is_nearly_full || shared.is_full.load(Ordering::Relaxed)
    }

    fn turn(&mut self, now: Time, raft: Box<Raft>) {
        self.gap = false;
        self.shared.turning.store(true, Ordering::Relaxed);
        self.batch.items.push(Item::Checkpoint(now, raft));
    }

    fn hand_over(&mut self) {
        if self.batch.items.is_empty() {
            return;
        }
        let weight = self.batch.weight;
        let waiting = self.shared.waiting.load(Ordering::Relaxed);
        let (Some(sender), true) = (&self.sender, waiting + weight <= WAITING_BYTES_MAX) else {
            return self.leave_out();
        };
        let batch = std::mem::replace(&mut self.batch, Batch::new());
        // Before it is sent: the thread subtracts it again.
        self.shared.waiting.fetch_add(weight, Ordering::Relaxed);
        match sender.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.waiting.fetch_sub(weight, Ordering::Relaxed);
                self.leave_out();
            }
            // The thread ends early only after it has said why.
            Err(TrySendError::Disconnected(_)) => {
                self.shared.is_off.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Leaves out what waits here, and what comes up to the next checkpoint.
    fn leave_out(&mut self) {
        self.batch = Batch::new();
        self.gap = true;
        self.gaps += 1;
        self.shared.turning.store(false, Ordering::Relaxed);
        if self.gaps == 1 {
            tracing::warn!("the flight recorder can't keep up; its recordings have gaps");
        }
    }
}

impl Drop for FlightRecorder {
    fn drop(&mut self) {
        if let Some((began, raft)) = self.fresh.take() {
            self.turn(began, raft);
        }
        if let Some(sender) = self.sender.take() {
            let batch = std::mem::replace(&mut self.batch, Batch::new());
            self.shared
                .waiting
                .fetch_add(batch.weight, Ordering::Relaxed);
            // It fails only when the thread is gone, which has said why.
            let _ = sender.send(batch);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the flight recorder panicked");
        }
    }
}

impl fmt::Debug for FlightRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightRecorder")
            .field("gaps", &self.gaps)
            .field("is_off", &self.is_off())
            .finish_non_exhaustive()
    }
}

impl Batch {
    const fn new() -> Self {
        Self {
            items: Vec::new(),
            weight: 0,
        }
    }
}

/// What an event takes in a file at most, but for configurations: they are small and rare.
fn weight(event: &Event) -> u64 {
    let content = match event {
        Event::Propose { command, .. } => command.len() as u64,
        Event::Fetched { entries, .. } => entries.weight(),
        Event::Received(envelope) => envelope.message.weight(),
        Event::Tick
        | Event::Persisted(_)
        | Event::Applied(_)
        | Event::Read { .. }
        | Event::ChangeMembership { .. }
        | Event::AbortMembershipChange
        | Event::TransferLeadership { .. }
        | Event::SnapshotTaken(_)
        | Event::SnapshotReceived(_)
        | Event::SnapshotFailed(_)
        | Event::Compact(_)
        | Event::Campaign => 0,
    };
    RECORD_OVERHEAD + content
}
