//! What the store of a member lies on. It does not know what is kept.

use std::sync::Arc;

use anyhow::Result;
use raft_kv::engine::{Engine, MemoryEngine};

use super::config::EngineName;
use super::home::Home;

/// The engine of this member.
pub(crate) fn open(home: &Home, name: EngineName) -> Result<Arc<dyn Engine>> {
    match name {
        EngineName::Memory => Ok(Arc::new(MemoryEngine::new())),
        EngineName::Rocksdb => rocksdb(home),
    }
}

#[cfg(feature = "rocksdb")]
fn rocksdb(home: &Home) -> Result<Arc<dyn Engine>> {
    use raft_kv::engine::{RocksEngine, RocksEngineConfig};
    let engine = RocksEngine::open(&home.store(), RocksEngineConfig::default())?;
    Ok(Arc::new(engine))
}

#[cfg(not(feature = "rocksdb"))]
fn rocksdb(_: &Home) -> Result<Arc<dyn Engine>> {
    anyhow::bail!(
        "this program was built without RocksDB: give --engine memory, or build it with the \
         feature `rocksdb`"
    )
}
