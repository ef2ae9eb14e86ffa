//! The write-ahead log and the log in memory pass the suite that every log store has to pass.

use raft_core::conformance::{LogStoreFixture, log_store, log_store_walk};
use raft_core::port::LogStore;
use raft_core::{GroupId, NodeId};
use raft_log::{Identity, MemoryDisk, MemoryLog, Preparation, Wal, WalConfig};
use tempfile::TempDir;

/// Logs in directories of their own.
struct Fixture {
    config: WalConfig,
    dir: TempDir,
}

impl Fixture {
    fn new(config: WalConfig) -> Self {
        Self {
            config,
            dir: TempDir::new().expect("a directory"),
        }
    }

    fn open(&self) -> Box<dyn LogStore> {
        let identity = Identity {
            cluster: 7,
            node: NodeId(1),
        };
        let wal = Wal::open_dir(self.dir.path(), identity, self.config).expect("opens");
        assert_eq!(
            wal.report().findings,
            [],
            "an orderly end leaves nothing to find"
        );
        Box::new(wal.group(GroupId(5)).expect("a group"))
    }
}

impl LogStoreFixture for Fixture {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        self.dir = TempDir::new().expect("a directory");
        self.open()
    }

    fn reopen(&mut self) -> Box<dyn LogStore> {
        self.open()
    }
}

/// Logs in memory. Nothing of what was written to one is ever lost.
#[derive(Default)]
struct InMemory(MemoryDisk);

impl LogStoreFixture for InMemory {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        self.0 = MemoryDisk::default();
        self.reopen()
    }

    fn reopen(&mut self) -> Box<dyn LogStore> {
        Box::new(MemoryLog::on(&self.0))
    }
}

fn small() -> WalConfig {
    WalConfig {
        segment_bytes: 2048,
        preparation: Preparation::Growing,
        ..WalConfig::default()
    }
}

#[test]
fn the_log_is_a_log_store() {
    log_store(&mut Fixture::new(WalConfig::default()));
}

#[test]
fn the_log_is_a_log_store_also_in_small_segments() {
    log_store(&mut Fixture::new(small()));
}

#[test]
fn random_calls_do_what_they_should() {
    for seed in 0..5 {
        log_store_walk(&mut Fixture::new(small()), seed, 100);
    }
}

#[test]
fn the_log_in_memory_is_a_log_store() {
    log_store(&mut InMemory::default());
}

#[test]
fn random_calls_do_in_memory_what_they_should() {
    for seed in 0..300 {
        log_store_walk(&mut InMemory::default(), seed, 120);
    }
}
