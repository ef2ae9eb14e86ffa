//! The machine's lane: applies what is committed, from memory, and answers who waits for it.
//!
//! Reads wait here for the index that they must reflect. This file does not know how anything came
//! to be committed.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::desk::{Accepted, ReadyRead};
use super::done::Done;
use super::error::{ReadError, StopReason, WriteError};
use super::lane::Work;
use super::mailbox::Mailbox;
use super::request::{ReadAnswer, ReadRequest};
use super::writer::SharedStore;
use crate::entries::Entries;
use crate::entry::{Payload, SnapshotMeta};
use crate::port::{Committed, PortError, StateMachine, Transport};
use crate::types::{Index, NodeId, Time};

/// What the machine is told.
pub(super) enum MachineTask {
    /// Apply these; those who wait for some of them stand in the order of the log.
    Apply {
        entries: Entries,
        waiting: Vec<Accepted>,
    },
    /// Replace all state by this snapshot.
    Restore(Arc<SnapshotMeta>),
    /// Answer this as soon as all up to `index` is applied.
    Read(ReadyRead),
    /// Give up the reads that waited too long.
    Expire(Time),
    /// Hold the present state fast.
    Capture,
}

/// So many bytes of commands are applied at once at most.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// The machine's worker.
pub(super) struct Applier {
    id: NodeId,
    machine: Box<dyn StateMachine>,
    store: SharedStore,
    mailbox: Arc<Mailbox>,
    transport: Arc<dyn Transport>,
    applied: Index,
    /// Reads whose index is not applied yet, and how many they are, for the loop to see.
    reads: BTreeMap<Index, Vec<ReadyRead>>,
    reads_held: Arc<AtomicUsize>,
    /// The commands of one batch; kept for its room.
    batch: Vec<Committed>,
}

impl Applier {
    pub(super) fn new(
        id: NodeId,
        machine: Box<dyn StateMachine>,
        applied: Index,
        store: SharedStore,
        (mailbox, transport): (Arc<Mailbox>, Arc<dyn Transport>),
    ) -> Self {
        Self {
            id,
            machine,
            store,
            mailbox,
            transport,
            applied,
            reads: BTreeMap::new(),
            reads_held: Arc::default(),
            batch: Vec::new(),
        }
    }

    /// How many reads wait for something to be applied.
    pub(super) fn reads_held(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.reads_held)
    }

    fn all(&mut self, tasks: &mut Vec<MachineTask>) -> Result<(), PortError> {
        let mut gathered = Gathered::default();
        for task in tasks.drain(..) {
            match task {
                MachineTask::Apply { entries, waiting } => {
                    gathered.weight += entries.weight();
                    gathered.entries.push(entries);
                    gathered.waiting.extend(waiting);
                    if gathered.weight < BATCH_BYTES_MAX {
                        continue;
                    }
                    self.apply(mem::take(&mut gathered))?;
                }
                MachineTask::Read(read) => {
                    self.apply(mem::take(&mut gathered))?;
                    self.read(read)?;
                }
                MachineTask::Restore(meta) => {
                    self.apply(mem::take(&mut gathered))?;
                    self.restore(&meta)?;
                }
                MachineTask::Expire(now) => self.expire(now),
                MachineTask::Capture => {
                    self.apply(mem::take(&mut gathered))?;
                    let (index, capture) = (self.applied, self.machine.snapshot()?);
                    self.mailbox.done(Done::Captured { index, capture });
                }
            }
        }
        self.apply(gathered)
    }

    fn apply(&mut self, gathered: Gathered) -> Result<(), PortError> {
        let Some(last) = gathered.entries.last().and_then(|entries| entries.last()) else {
            return Ok(());
        };
        self.batch.clear();
        for entry in gathered.entries.iter().flatten() {
            // A snapshot newer than the one asked for may have brought some of them already.
            if let Payload::Command(command) = &entry.payload
                && entry.index > self.applied
            {
                self.batch.push(Committed {
                    index: entry.index,
                    term: entry.term,
                    command: command.clone(),
                });
            }
        }
        let mut answers = Vec::new();
        if !self.batch.is_empty() {
            answers = self.machine.apply(&self.batch)?;
        }
        if answers.len() != self.batch.len() {
            let (given, asked) = (answers.len(), self.batch.len());
            return Err(PortError::misused(format!(
                "{given} answers to {asked} commands"
            )));
        }
        self.answer(gathered.waiting, answers);
        self.applied = self.applied.max(last.index);
        self.mailbox.done(Done::Applied {
            index: last.index,
            weight: gathered.weight,
        });
        self.answer_reads()
    }

    /// Whoever waits for an entry at an index gets its answer if it is the very entry. If it is
    /// not, another one is committed there, so that his never will be: that is a refusal.
    fn answer(&self, waiting: Vec<Accepted>, mut answers: Vec<Bytes>) {
        let mut place = 0;
        for Accepted {
            position, client, ..
        } in waiting
        {
            while place < self.batch.len() && self.batch[place].index < position.index {
                place += 1;
            }
            let is_his = self.batch.get(place).is_some_and(|committed| {
                committed.index == position.index && committed.term == position.term
            });
            let answer = if is_his {
                Ok(mem::take(&mut answers[place]))
            } else if position.index <= self.applied {
                Err(WriteError::Unknown)
            } else {
                Err(WriteError::NotLeader { hint: None })
            };
            client.tell(self.id, answer, self.transport.as_ref());
        }
    }

    /// Restores the newest snapshot. It may be a newer one than asked for, which the core has not
    /// heard of yet; then what follows is skipped until it has.
    fn restore(&mut self, meta: &SnapshotMeta) -> Result<(), PortError> {
        if self.applied < meta.last.index {
            let source = self.store.lock()?.open_snapshot()?;
            let source = source.filter(|source| source.manifest().meta.last >= meta.last);
            let Some(source) = source else {
                let last = meta.last;
                return Err(PortError::damaged(format!(
                    "the snapshot that ends at {last} is gone"
                )));
            };
            let index = source.manifest().meta.last.index;
            self.machine.restore(index, source.as_ref())?;
            self.applied = index;
        }
        self.mailbox.done(Done::Applied {
            index: meta.last.index,
            weight: 0,
        });
        self.answer_reads()
    }

    // --- Reads ---

    fn read(&mut self, ready: ReadyRead) -> Result<(), PortError> {
        if ready.index <= self.applied {
            return self.query(ready.read);
        }
        self.reads_held.fetch_add(1, Ordering::Relaxed);
        self.reads.entry(ready.index).or_default().push(ready);
        Ok(())
    }

    fn answer_reads(&mut self) -> Result<(), PortError> {
        while let Some(first) = self.reads.first_entry()
            && *first.key() <= self.applied
        {
            for ready in first.remove() {
                self.reads_held.fetch_sub(1, Ordering::Relaxed);
                self.query(ready.read)?;
            }
        }
        Ok(())
    }

    fn query(&self, read: ReadRequest) -> Result<(), PortError> {
        let answer = match &read.query {
            Some(query) => self.machine.query(query)?,
            None => Bytes::new(),
        };
        let applied = self.applied;
        // Who asked may be gone; nobody else wants the answer.
        drop(read.reply.send(Ok(ReadAnswer { applied, answer })));
        Ok(())
    }

    fn expire(&mut self, now: Time) {
        for reads in self.reads.values_mut() {
            for late in reads.extract_if(.., |read| read.deadline <= now) {
                self.reads_held.fetch_sub(1, Ordering::Relaxed);
                drop(
                    late.read
                        .reply
                        .send(Err(ReadError::NoLeader { hint: None })),
                );
            }
        }
        self.reads.retain(|_, reads| !reads.is_empty());
    }
}

/// What is applied at once.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entries>,
    waiting: Vec<Accepted>,
    weight: u64,
}

impl Work for Applier {
    type Task = MachineTask;
    const NAME: &'static str = "apply";

    fn carry_out(&mut self, tasks: &mut Vec<MachineTask>) -> Result<(), StopReason> {
        self.all(tasks).map_err(|source| StopReason::Failed {
            port: "the state machine",
            source: Arc::new(source),
        })
    }
}
