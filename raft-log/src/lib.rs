//! Durability for `raft-core`: the segmented write-ahead log, hard state and the snapshot store.
//!
//! It deliberately knows nothing of the network, of elections, or of what a command means.

#![forbid(unsafe_code)]

#[expect(dead_code, reason = "the log that uses it is being built")]
mod codec;
pub mod disk;
