//! What a log belongs to, and every limit it keeps.
//!
//! Plain data. This file does not know what the limits are used for.

use raft_core::NodeId;
use raft_core::port::PortError;

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

impl WalConfig {
    /// Offsets in a segment have 32 bits, and a batch may begin shortly before its end.
    const SEGMENT_BYTES_LIMIT: u64 = 1 << 31;
    /// No batch is longer: it has to fit behind any offset.
    pub(crate) const BATCH_BYTES_LIMIT: u64 = 1 << 30;

    /// Whether a log can be kept within these limits.
    ///
    /// # Errors
    /// When not, with the limit that is to blame.
    pub fn validate(&self) -> Result<(), PortError> {
        if self.segment_bytes == 0 || self.segment_bytes > Self::SEGMENT_BYTES_LIMIT {
            let (is, most) = (self.segment_bytes, Self::SEGMENT_BYTES_LIMIT);
            return Err(PortError::misused(format!(
                "`segment_bytes` is {is}, and must be from 1 to {most}"
            )));
        }
        if self.batch_bytes_max > Self::BATCH_BYTES_LIMIT {
            let (is, most) = (self.batch_bytes_max, Self::BATCH_BYTES_LIMIT);
            return Err(PortError::misused(format!(
                "`batch_bytes_max` is {is}, and must be at most {most}"
            )));
        }
        if self.snapshots_retained == 0 {
            return Err(PortError::misused(
                "`snapshots_retained` must be at least 1",
            ));
        }
        Ok(())
    }
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
