//! Durability for `raft-core`: the segmented write-ahead log, hard state and the snapshot store.
//!
//! It deliberately knows nothing of the network, of elections, or of what a command means.

#![forbid(unsafe_code)]

mod codec;
pub mod config;
pub mod disk;
mod error;
pub mod format;
pub mod snapshot;
mod wal;

pub use config::{Identity, Preparation, WalConfig};
pub use error::OpenError;
pub use wal::{Finding, Report, Wal, WalLog};
