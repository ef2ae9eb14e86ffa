//! Durability for `raft-core`: the segmented write-ahead log, hard state and the snapshot store.
//!
//! Nothing is built here yet. This crate will implement the core's log port on real disks.
//! It deliberately knows nothing of the network, of elections, or of what a command means.
