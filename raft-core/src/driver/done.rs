//! What the lanes report to the loop: what has been done, or why it can't be.

use std::sync::Arc;

use super::error::StopReason;
use crate::entries::Entries;
use crate::entry::SnapshotMeta;
use crate::event::Reader;
use crate::port::{Capture, LogUsage, PortError};
use crate::types::{Index, WriteId};

/// Something is done.
pub(super) enum Done {
    /// This write and all before it are durable.
    Persisted(WriteId),
    /// Entries were read back from the log.
    Fetched { reader: Reader, entries: Entries },
    /// The machine has applied all up to this index, entries of this weight together.
    Applied { index: Index, weight: u64 },
    /// The machine's state after this index is held fast.
    Captured { index: Index, capture: Capture },
    /// A snapshot was written, or could not be.
    Taken(Result<(Arc<SnapshotMeta>, LogUsage), PortError>),
    /// The fetch of this number, of the snapshot that ends at `ordered`, brought this one, or
    /// failed.
    Received {
        number: u64,
        ordered: Index,
        outcome: Result<Arc<SnapshotMeta>, PortError>,
    },
    /// A lane can't go on; the node stops.
    Broken(StopReason),
}
