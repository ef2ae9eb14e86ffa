//! A log on a real disk that can be told to fail.
//!
//! This file does not know what is written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raft_core::event::Write;
use raft_core::port::{
    LogStore, LogUsage, Manifest, PortError, SnapshotReceiver, SnapshotSink, SnapshotSource,
};
use raft_core::{Entry, Index, Position, Recovered, SnapshotMeta};
use raft_log::WalLog;

/// A log whose writes fail once the switch is on.
pub(crate) struct Breakable {
    log: WalLog,
    is_broken: Arc<AtomicBool>,
}

impl Breakable {
    pub(crate) fn new(log: WalLog, is_broken: &Arc<AtomicBool>) -> Self {
        Self {
            log,
            is_broken: Arc::clone(is_broken),
        }
    }
}

impl LogStore for Breakable {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        self.log.recover()
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        self.log.found(founding)
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        if self.is_broken.load(Ordering::Relaxed) {
            let error = io::Error::other("the disk is on fire");
            return Err(PortError::io("write the log", error));
        }
        self.log.write(writes)
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
