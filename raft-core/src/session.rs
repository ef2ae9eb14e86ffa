//! Sessions: a command that is sent again takes effect once (Raft §8, dissertation §6.3).
//!
//! A client numbers its commands. Who leads stamps each command with its clock as it enters the
//! log, so that all members see the same time. This file does not know what a command means, nor
//! whether it is committed.

mod stamped;

pub use stamped::Stamped;

/// Names one command of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// The client. Drawn at random by it, so that no two are the same.
    pub client: u64,
    /// Which of its commands. A client has one command under way at a time, and numbers them
    /// upwards from 1; the same number again is the same command again.
    pub sequence: u64,
}
