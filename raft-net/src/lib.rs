//! The network of `raft-core`: length-framed TCP between members, and an unreliable in-memory twin.
//!
//! Nothing is built here yet. This crate will implement the core's transport port.
//! It deliberately knows nothing of disks, of elections, or of what a command means.
