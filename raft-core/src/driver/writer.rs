//! The log's lane: one write and one sync for all that waits (group commit).
//!
//! The store is behind a lock, since snapshots are made, read and received on threads of their own;
//! the loop never takes it. This file decides nothing about what is written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::done::Done;
use super::error::StopReason;
use super::lane::Work;
use super::mailbox::Mailbox;
use crate::entries::Entries;
use crate::event::{Fetch, Write};
use crate::port::{LogStore, LogUsage, PortError};
use crate::types::Index;

/// A store, shared by the log's lane and those who handle snapshots.
#[derive(Clone)]
pub(super) struct SharedStore {
    store: Arc<Mutex<Box<dyn LogStore>>>,
    usage: Arc<Usage>,
}

/// How much the log holds, to be looked at without the lock.
#[derive(Default)]
struct Usage {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl SharedStore {
    pub(super) fn new(store: Box<dyn LogStore>) -> Self {
        let usage = store.usage();
        let shared = Self {
            store: Arc::new(Mutex::new(store)),
            usage: Arc::default(),
        };
        shared.note(usage);
        shared
    }

    /// The store. Blocks while another writes or syncs.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, Box<dyn LogStore>>, PortError> {
        // Whoever panicked with the lock held may have left the store half-way.
        self.store
            .lock()
            .map_err(|_| PortError::misused("the store, after a panic in it"))
    }

    /// How much the log held after the last write.
    pub(super) fn usage(&self) -> LogUsage {
        LogUsage {
            entries: self.usage.entries.load(Ordering::Relaxed),
            bytes: self.usage.bytes.load(Ordering::Relaxed),
        }
    }

    fn note(&self, usage: LogUsage) {
        self.usage.entries.store(usage.entries, Ordering::Relaxed);
        self.usage.bytes.store(usage.bytes, Ordering::Relaxed);
    }
}

/// What the log is told.
pub(super) enum LogTask {
    Write(Write),
    Fetch(Fetch),
    Purge(Index),
}

/// The log's worker.
pub(super) struct Writer {
    store: SharedStore,
    mailbox: Arc<Mailbox>,
    /// The writes of one batch; kept for its room.
    writes: Vec<Write>,
}

impl Writer {
    pub(super) const fn new(store: SharedStore, mailbox: Arc<Mailbox>) -> Self {
        Self {
            store,
            mailbox,
            writes: Vec::new(),
        }
    }

    /// Makes the writes gathered durable, all with one sync.
    fn write(&mut self, store: &mut dyn LogStore) -> Result<(), PortError> {
        if let Some(last) = self.writes.last() {
            let id = last.id;
            store.write(&self.writes)?;
            self.writes.clear();
            self.mailbox.done(Done::Persisted(id));
        }
        Ok(())
    }

    fn all(&mut self, tasks: &mut Vec<LogTask>) -> Result<(), PortError> {
        let shared = self.store.clone();
        let mut store = shared.lock()?;
        for task in tasks.drain(..) {
            match task {
                LogTask::Write(write) => self.writes.push(write),
                LogTask::Fetch(fetch) => {
                    // What is fetched may be among what is about to be written.
                    self.write(store.as_mut())?;
                    let read = store.read(fetch.from, fetch.to, fetch.bytes_max)?;
                    let (reader, entries) = (fetch.reader, Entries::from(read));
                    self.mailbox.done(Done::Fetched { reader, entries });
                }
                LogTask::Purge(up_to) => {
                    self.write(store.as_mut())?;
                    store.purge(up_to)?;
                }
            }
        }
        self.write(store.as_mut())?;
        shared.note(store.usage());
        Ok(())
    }
}

impl Work for Writer {
    type Task = LogTask;
    const NAME: &'static str = "log";

    fn carry_out(&mut self, tasks: &mut Vec<LogTask>) -> Result<(), StopReason> {
        self.all(tasks).map_err(|source| StopReason::Failed {
            port: "the log store",
            source: Arc::new(source),
        })
    }
}
