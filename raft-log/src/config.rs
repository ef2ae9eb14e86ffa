//! What a log belongs to, and every limit it keeps.
//!
//! Plain data. This file does not know what the limits are used for.

use raft_core::NodeId;

/// To whom a log belongs. A log is opened only by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, by whatever number its members call it.
    pub cluster: u64,
    /// The member.
    pub node: NodeId,
}

/// The limits of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalConfig {
    /// How long a segment file is. A batch that is longer gets a segment of its own length.
    pub segment_bytes: u64,
    /// How many segments that are not needed any more are kept to be written over: a file whose
    /// blocks exist is synced faster than one that grows.
    pub spares_max: u32,
    /// How much of what waits goes into one batch, at least one write.
    pub batch_bytes_max: u64,
    /// Who makes the next segment.
    pub preparation: Preparation,
    /// How many complete snapshots of a group are kept; at least one. The log is kept back to the
    /// oldest of them, so that it can take the place of the newest.
    pub snapshots_retained: usize,
}

/// When the file of the next segment is filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// Ahead of time, by a thread of its own.
    Background,
    /// Never: it grows as it is written. For tests, and where disk space is scarce.
    Growing,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            spares_max: 2,
            batch_bytes_max: 8 << 20,
            preparation: Preparation::Background,
            snapshots_retained: 2,
        }
    }
}
