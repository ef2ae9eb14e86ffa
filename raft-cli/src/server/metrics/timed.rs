//! A log and a machine that measure what takes their time: the writes to disk. They pass all else
//! on.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use prometheus_client::metrics::histogram::Histogram;
use raft_core::event::Write;
use raft_core::port::{
    Capture, Committed, Framing, LogStore, LogUsage, Manifest, PortError, SnapshotReceiver,
    SnapshotSink, SnapshotSource, StateMachine,
};
use raft_core::{Entry, Index, Position, Recovered, SnapshotMeta};

use super::Metrics;

/// A log whose writes are timed: each call is one write and one sync for all that waited.
pub(crate) struct TimedLog<L> {
    log: L,
    durations: Histogram,
}

impl<L> TimedLog<L> {
    pub(crate) fn new(log: L, metrics: &Metrics) -> Self {
        Self {
            log,
            durations: metrics.wal_fsync.clone(),
        }
    }
}

impl<L: LogStore> LogStore for TimedLog<L> {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        self.log.recover()
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        self.log.found(founding)
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        let began = Instant::now();
        let written = self.log.write(writes);
        self.durations.observe(began.elapsed().as_secs_f64());
        written
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        self.log.read(from, to, bytes_max)
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        self.log.purge(up_to)
    }

    fn usage(&self) -> LogUsage {
        self.log.usage()
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
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

/// A machine whose batches are timed.
pub(crate) struct TimedMachine<M> {
    machine: M,
    durations: Histogram,
}

impl<M> TimedMachine<M> {
    pub(crate) fn new(machine: M, metrics: &Metrics) -> Self {
        Self {
            machine,
            durations: metrics.backend_commit.clone(),
        }
    }
}

impl<M: StateMachine> StateMachine for TimedMachine<M> {
    fn framing(&self) -> Framing {
        self.machine.framing()
    }

    fn durable(&self) -> Index {
        self.machine.durable()
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let began = Instant::now();
        let applied = self.machine.apply(batch);
        self.durations.observe(began.elapsed().as_secs_f64());
        applied
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        self.machine.query(query)
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        self.machine.snapshot()
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        self.machine.restore(last, source)
    }
}
