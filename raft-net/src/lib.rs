//! The network of `raft-core`: length-framed TCP between members, and an unreliable in-memory twin.
//!
//! It deliberately knows nothing of disks, of elections, or of what a command means.

#![forbid(unsafe_code)]

pub mod frame;
mod unreliable;
pub mod wire;

pub use unreliable::{Faults, NetCounters, UnreliableNet, UnreliableTransport};
