//! Sessions: a command that is sent again takes effect once (Raft §8, dissertation §6.3).
//!
//! A client opens a session by [`Session::OPENING`], is told its number, and numbers its commands.
//! Who leads stamps each command with its clock as it enters the log, so that all members see the
//! same time. [`Sessions`] remembers, around any machine, what each client was answered. This file
//! does not know what a command means, nor whether it is committed.

mod answered;
mod sessions;
mod snapshot;
mod stamped;
mod table;
#[cfg(all(test, feature = "sim"))]
mod tests;

pub use answered::Answered;
pub use sessions::Sessions;
pub use stamped::Stamped;
pub use table::{SessionLimits, SessionTable};

/// Names one command of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// The client: the index of the entry that opened its session, so that no two are the same,
    /// and what has expired never comes back.
    pub client: u64,
    /// Which of its commands. A client has one command under way at a time, and numbers them
    /// upwards from 1, perhaps with gaps; the same number again is the same command again.
    pub sequence: u64,
}

impl Session {
    /// Opens a session, with an empty command. Whoever sends it again, because no answer came,
    /// opens a second session; the first does no harm, and expires.
    pub const OPENING: Self = Self {
        client: 0,
        sequence: 0,
    };
}
