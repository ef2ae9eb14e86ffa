//! What the opening of a log found, for people to read and for programs to act on.
//!
//! This file judges nothing.

use std::fmt;
use std::time::Duration;

use raft_core::{GroupId, Index, Position, Watermark};

use super::files;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A batch at the end is not whole. The power went while it was written; nobody was told of it,
    /// and it is not there.
    TornTail {
        /// Of the segment.
        number: u64,
        /// Where it began.
        offset: u64,
        /// How long it would have been.
        bytes: u64,
    },
    /// Something durable can't be read, and what follows it does not count.
    Damage {
        /// Of the segment.
        number: u64,
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
        /// The first batch that is lost.
        sequence: u64,
    },
    /// A segment is missing, and what follows it does not count.
    BatchesMissing {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// The header of a segment can't be read; nothing is lost by it.
    SegmentHeader {
        /// Of the segment.
        number: u64,
    },
    /// Entries at the beginning are missing, with the segments that held them.
    EntriesMissing {
        /// Whose.
        group: GroupId,
        /// The first.
        from: Index,
        /// The last.
        to: Index,
    },
    /// The file of watermarks is missing: an end that was lost would not be noticed.
    WatermarkMissing,
    /// Both slots of a group in the file of watermarks are damaged: for that group, an end that was
    /// lost would not be noticed.
    SlotsMissing {
        /// Whose.
        group: GroupId,
    },
    /// The file that names the owner is missing or damaged; the segments name it.
    IdentityRebuilt,
    /// No snapshot reaches up to the beginning of the log.
    SnapshotMissing {
        /// Whose.
        group: GroupId,
        /// The position before the first entry.
        base: Position,
        /// Where the newest snapshot ends.
        snapshot: Position,
    },
    /// A snapshot is damaged, and was set aside.
    BadSnapshot {
        /// Whose.
        group: GroupId,
        /// Which, and why.
        what: String,
    },
    /// The group has let others rely on more than is here. It does not vote before a leader has
    /// brought it there again.
    Lost {
        /// Whose.
        group: GroupId,
        /// The last entry that is here.
        last: Position,
        /// What others rely on.
        relied_on: Watermark,
    },
}

/// All that was found, and how much was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the log.
    pub findings: Vec<Finding>,
    /// The segments read.
    pub segments: u64,
    /// The whole batches read.
    pub batches: u64,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        if finding.is_loss() {
            tracing::error!(%finding, "the log is damaged");
        } else {
            tracing::warn!(%finding, "found while opening the log");
        }
        self.findings.push(finding);
    }

    /// Whether anything that was acknowledged is missing, or may be.
    #[must_use]
    pub fn has_loss(&self) -> bool {
        self.findings.iter().any(Finding::is_loss)
    }
}

impl Finding {
    /// Whether it says that something acknowledged is missing, or may be.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        match self {
            Self::TornTail { .. } | Self::SegmentHeader { .. } | Self::IdentityRebuilt => false,
            Self::Damage { .. }
            | Self::BatchesMissing { .. }
            | Self::EntriesMissing { .. }
            | Self::WatermarkMissing
            | Self::SlotsMissing { .. }
            | Self::SnapshotMissing { .. }
            | Self::BadSnapshot { .. }
            | Self::Lost { .. } => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TornTail {
                number,
                offset,
                bytes,
            } => write!(
                f,
                "{}: an unfinished batch of {bytes} bytes at {offset}, never acknowledged: void",
                files::segment_name(*number)
            ),
            Self::Damage {
                number,
                from,
                to,
                sequence,
            } => write!(
                f,
                "{}: bytes {from}..{to} are damaged; batch {sequence} and all after it are lost",
                files::segment_name(*number)
            ),
            Self::BatchesMissing { from, to } => write!(
                f,
                "a segment is missing: batches {from} to {to} and all after them are lost"
            ),
            Self::SegmentHeader { number } => write!(
                f,
                "{}: its header can't be read; its batches can",
                files::segment_name(*number)
            ),
            Self::EntriesMissing { group, from, to } => write!(
                f,
                "group {group}: entries {from} to {to} are missing with the segments they were in"
            ),
            Self::WatermarkMissing => write!(
                f,
                "the file `watermark` is missing: a lost end would not be noticed"
            ),
            Self::SlotsMissing { group } => write!(
                f,
                "group {group}: its slots of the watermark are damaged: a lost end would not be \
                 noticed"
            ),
            Self::IdentityRebuilt => {
                write!(
                    f,
                    "the file `identity` is no use; the segments say whose log it is"
                )
            }
            Self::SnapshotMissing {
                group,
                base,
                snapshot,
            } => write!(
                f,
                "group {group}: the log begins after {base}, the newest snapshot ends at {snapshot}"
            ),
            Self::BadSnapshot { group, what } => write!(f, "group {group}: {what}"),
            Self::Lost {
                group,
                last,
                relied_on,
            } => write!(
                f,
                "group {group}: the log ends at {last}, others rely on term {} and index {}: this \
                 node does not vote until a leader has brought it there",
                relied_on.term, relied_on.index
            ),
        }
    }
}
