//! A log and a machine that fail when a test wants it, and a machine that takes its time.
//!
//! This file does not know what a node makes of it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::{
    Capture, Committed, LogStore, LogUsage, Manifest, PortError, PortErrorKind, SnapshotReceiver,
    SnapshotSink, SnapshotSource, StateMachine,
};
use raft_core::{Entry, Index, Position, Recovered, SnapshotMeta};
use raft_log::MemoryLog;

use crate::nodes::Journal;

/// Where something is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    Recover,
    Found,
    Write,
    Read,
    Purge,
    CreateSnapshot,
    Apply,
    /// Too few answers.
    Answers,
    Query,
    Snapshot,
    Capture,
    Restore,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    Error(PortErrorKind),
    Panic,
}

/// Says what is to fail from now on; shared with the test.
#[derive(Clone, Default)]
pub(crate) struct Trigger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    armed: Option<(Spot, Mishap)>,
    /// So many times nothing happens there yet.
    spared: u64,
    hits: u64,
}

impl Trigger {
    pub(crate) fn arm(&self, spot: Spot, mishap: Mishap) {
        self.arm_after(0, spot, mishap);
    }

    pub(crate) fn arm_after(&self, spared: u64, spot: Spot, mishap: Mishap) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State {
            armed: Some((spot, mishap)),
            spared,
            hits: 0,
        };
    }

    /// How often it went off.
    pub(crate) fn hits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hits
    }

    fn pull(&self, at: Spot) -> Result<(), PortError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((spot, mishap)) = state.armed.filter(|(spot, _)| *spot == at) else {
            return Ok(());
        };
        if state.spared > 0 {
            state.spared -= 1;
            return Ok(());
        }
        state.hits += 1;
        drop(state);
        match mishap {
            Mishap::Error(kind) => Err(PortError {
                kind,
                context: format!("the test fails at {spot:?}"),
                source: None,
            }),
            Mishap::Panic => panic!("the test panics at {spot:?}"),
        }
    }
}

pub(crate) struct FaultyLog {
    pub(crate) log: MemoryLog,
    pub(crate) trigger: Trigger,
}

impl LogStore for FaultyLog {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        self.trigger.pull(Spot::Recover)?;
        self.log.recover()
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        self.trigger.pull(Spot::Found)?;
        self.log.found(founding)
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        self.trigger.pull(Spot::Write)?;
        self.log.write(writes)
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        self.trigger.pull(Spot::Read)?;
        self.log.read(from, to, bytes_max)
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        self.trigger.pull(Spot::Purge)?;
        self.log.purge(up_to)
    }

    fn usage(&self) -> LogUsage {
        self.log.usage()
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        self.trigger.pull(Spot::CreateSnapshot)?;
        self.log.create_snapshot(meta)
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        self.log.open_snapshot()
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        self.log.set_aside_snapshot(last)
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        self.log.receive_snapshot(manifest)
    }
}

#[derive(Default)]
pub(crate) struct FaultyMachine {
    pub(crate) journal: Journal,
    pub(crate) trigger: Trigger,
}

impl StateMachine for FaultyMachine {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        self.trigger.pull(Spot::Apply)?;
        let mut answers = self.journal.apply(batch)?;
        if self.trigger.pull(Spot::Answers).is_err() {
            answers.pop();
        }
        Ok(answers)
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        self.trigger.pull(Spot::Query)?;
        self.journal.query(query)
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        self.trigger.pull(Spot::Snapshot)?;
        let (capture, trigger) = (self.journal.snapshot()?, self.trigger.clone());
        Ok(Box::new(move |sink| {
            trigger.pull(Spot::Capture)?;
            capture(sink)
        }))
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        self.trigger.pull(Spot::Restore)?;
        self.journal.restore(last, source)
    }
}
