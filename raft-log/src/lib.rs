//! Durability for `raft-core`: the segmented write-ahead log, hard state and the snapshot store.
//!
//! [`Wal`] is the log of a process, [`WalLog`] one group's share of it. [`MemoryLog`] is the same
//! port for what may be lost; feature `rocksdb` adds `rocks::RocksLog`, the same port on RocksDB.
//!
//! It deliberately knows nothing of the network, of elections, or of what a command means.

#![forbid(unsafe_code)]

mod codec;
pub mod config;
pub mod disk;
mod error;
pub mod format;
pub mod inspect;
mod memory;
#[cfg(feature = "rocksdb")]
pub mod rocks;
pub mod snapshot;
mod wal;

pub use config::{Identity, Preparation, WalConfig};
pub use error::OpenError;
pub use memory::{MemoryDisk, MemoryLog};
pub use wal::{Finding, Report, Wal, WalLog};
