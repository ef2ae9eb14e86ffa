//! When rows become durable.
//!
//! RocksDB never flushes by itself here. A flush begins between two batches, in the writer's turn,
//! and takes all that was written up to then. Writes go on while its own thread waits for the end;
//! then it is known up to which entry the rows are durable. A capture is a flush too, and a
//! checkpoint of its end: as long as no other flush begins, the tables on the disk are the rows at
//! the moment of the capture. So between a capture and its checkpoint, writes go on, and flushes
//! wait. If meanwhile more is written than may be, writes wait as well.
//!
//! This file does not know how a flush is done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use raft_core::Index;
use raft_core::port::PortError;

use super::RocksEngineConfig;
use super::captured::{Captured, Making};
use super::cause::Latch;
use super::tables::{self, Tables};

/// RocksDB tells nobody when a flush has ended, so it is asked this often.
const POLL: Duration = Duration::from_millis(2);

/// Flushes one database.
pub(super) struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    tables: Arc<Tables>,
    config: RocksEngineConfig,
    latch: Arc<Latch>,
    durable: AtomicU64,
    /// Whether the writer waits for a flush to begin or end.
    is_stalled: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Up to which entry all is written.
    applied: Index,
    /// What was written since the last flush began.
    bytes: u64,
    batches: u64,
    /// The flush that goes on.
    flush: Option<Flush>,
    is_closing: bool,
}

impl State {
    /// Whether no flush may begin, because of a capture.
    fn is_held(&self) -> bool {
        let flush = self.flush.as_ref();
        flush.is_some_and(|flush| flush.capture.is_some())
    }
}

#[derive(Clone)]
struct Flush {
    /// Up to which entry it makes all durable.
    applied: Index,
    capture: Option<Arc<Making>>,
}

impl Flusher {
    pub(super) fn start(
        tables: Arc<Tables>,
        config: RocksEngineConfig,
        latch: Arc<Latch>,
    ) -> Result<Self, PortError> {
        // All that a database has when it is opened was flushed.
        let applied = tables.applied()?;
        let shared = Arc::new(Shared {
            tables,
            config,
            latch,
            durable: AtomicU64::new(applied.0),
            is_stalled: AtomicBool::new(false),
            state: Mutex::new(State {
                applied,
                bytes: 0,
                batches: 0,
                flush: None,
                is_closing: false,
            }),
            changed: Condvar::new(),
        });
        let waiting = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kv-flush".to_owned())
            .spawn(move || Watched(waiting).0.run())
            .map_err(|error| PortError::io("start a thread", error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn durable(&self) -> Index {
        Index(self.shared.durable.load(Ordering::Acquire))
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.shared.is_stalled.load(Ordering::Relaxed)
    }

    /// Waits until so much may be written.
    pub(super) fn admit(&self, bytes: u64) -> Result<(), PortError> {
        let shared = &*self.shared;
        let mut state = shared.state();
        while state.flush.is_some() && state.bytes + bytes > shared.config.unflushed_bytes_max {
            state = shared.stall(state)?;
        }
        Ok(())
    }

    /// So much was written, up to this entry.
    pub(super) fn wrote(&self, applied: Index, bytes: u64) -> Result<(), PortError> {
        let shared = &*self.shared;
        let mut state = shared.state();
        state.applied = applied;
        state.bytes += bytes;
        state.batches += 1;
        let is_due = state.bytes >= shared.config.flush_bytes
            || state.batches >= shared.config.flush_batches;
        if is_due && state.flush.is_none() {
            shared.begin(&mut state, None)?;
        }
        Ok(())
    }

    /// Begins a flush of all that was written, if it can't do without, and says up to which entry
    /// that is. `None` if none can begin now.
    pub(super) fn begin(&self) -> Result<Option<Index>, PortError> {
        let shared = &*self.shared;
        let mut state = shared.state();
        let is_begun =
            state.batches == 0 || (!state.is_held() && shared.begin(&mut state, None)?);
        Ok(is_begun.then_some(state.applied))
    }

    /// Waits until all up to this entry is durable.
    pub(super) fn wait(&self, applied: Index) -> Result<(), PortError> {
        while self.durable() < applied {
            self.pause();
            self.shared.latch.check()?;
        }
        Ok(())
    }

    /// Waits a moment, or until a flush has ended.
    pub(super) fn pause(&self) {
        drop(self.shared.wait(self.shared.state()));
    }

    /// Begins a flush whose end is kept in a directory. Waits only for a capture before it.
    pub(super) fn capture(&self, path: std::path::PathBuf) -> Result<Captured, PortError> {
        let shared = &*self.shared;
        let making = Making::new(path);
        let mut state = shared.state();
        loop {
            if !state.is_held() && shared.begin(&mut state, Some(&making))? {
                return Ok(Captured(making));
            }
            state = shared.stall(state)?;
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.state().is_closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that waits for flushes has panicked");
        }
    }
}

/// A thread that panics must not leave others waiting for it.
struct Watched(Arc<Shared>);

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let panicked = PortError::misused("the thread that waits for flushes has panicked");
            let _ = self.0.latch.watch::<()>(Err(panicked));
            self.0.give_up(&self.0.state());
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a flush in the writer's turn. One that goes on becomes a part of it: both have ended
    /// when nothing is left to be flushed. `false` if it can't begin now.
    fn begin(&self, state: &mut State, capture: Option<&Arc<Making>>) -> Result<bool, PortError> {
        // If RocksDB is far behind with compaction, it waits here.
        self.is_stalled.store(true, Ordering::Relaxed);
        let begun = self.tables.begin_flush();
        self.is_stalled.store(false, Ordering::Relaxed);
        if !begun? {
            return Ok(false);
        }
        state.bytes = 0;
        state.batches = 0;
        state.flush = Some(Flush {
            applied: state.applied,
            capture: capture.map(Arc::clone),
        });
        self.changed.notify_all();
        Ok(true)
    }

    fn stall<'a>(&self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, PortError> {
        self.is_stalled.store(true, Ordering::Relaxed);
        let state = self.wait(state);
        self.is_stalled.store(false, Ordering::Relaxed);
        self.latch.check()?;
        Ok(state)
    }

    /// For a change, or long enough to look again at what nobody tells.
    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let woken = self.changed.wait_timeout(state, POLL);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// What the thread does.
    fn run(&self) {
        let mut state = self.state();
        // A flush that has begun comes to its end before the database is closed: whoever was
        // promised a capture gets it, and RocksDB waits for a second after a flush that it could
        // not end.
        while !state.is_closing || state.flush.is_some() {
            let Some(flush) = &state.flush else {
                let woken = self.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // In the state's turn, so that no flush begins between the look and its conclusion.
            match self.latch.watch(self.tables.is_flushed()) {
                Ok(false) => {
                    state = self.wait(state);
                    continue;
                }
                Ok(true) => {}
                Err(_) => break,
            }
            let flush = flush.clone();
            self.durable.store(flush.applied.0, Ordering::Release);
            if let Some(making) = &flush.capture {
                drop(state);
                self.make(making, flush.applied);
                state = self.state();
            }
            state.flush = None;
            self.changed.notify_all();
        }
        self.give_up(&state);
    }

    /// Makes the checkpoint of a flush that has ended.
    fn make(&self, making: &Making, applied: Index) {
        if !making.is_wanted() {
            return;
        }
        let made = self.tables.checkpoint(&making.path).and_then(|()| {
            // What a snapshot says it is must be what it is, on all members. So this is looked at,
            // and not concluded.
            match tables::applied_at(&making.path)? {
                found if found == applied => Ok(()),
                found => Err(PortError::damaged(format!(
                    "a checkpoint of the rows up to {applied} has those up to {found}"
                ))),
            }
        });
        making.done(made);
    }

    fn give_up(&self, state: &State) {
        let flush = state.flush.as_ref();
        if let Some(making) = flush.and_then(|flush| flush.capture.as_ref()) {
            let gave_up = || PortError::misused("the flush for this capture has failed");
            making.done(self.latch.check().and_then(|()| Err(gave_up())));
        }
        self.changed.notify_all();
    }
}
