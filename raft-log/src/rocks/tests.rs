//! The log on RocksDB against the suite of its port, and against damage on the disk.

use std::path::Path;

use raft_core::conformance::{LogStoreFixture, log_store, log_store_walk};
use raft_core::port::LogStore;
use raft_core::types::GroupId;
use tempfile::TempDir;

use super::{RocksLog, RocksLogConfig, RocksLogError};

struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }
}

fn open(dir: &Path) -> Result<RocksLog, RocksLogError> {
    RocksLog::open(dir, GroupId(7), RocksLogConfig::default())
}

impl LogStoreFixture for Fixture {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        *self = Self::new();
        self.reopen()
    }

    fn reopen(&mut self) -> Box<dyn LogStore> {
        Box::new(open(self.0.path()).expect("it opens"))
    }
}

#[test]
fn it_does_what_the_port_says() {
    log_store(&mut Fixture::new());
}

#[test]
fn it_walks() {
    for seed in 0..8 {
        log_store_walk(&mut Fixture::new(), seed, 60);
    }
}
