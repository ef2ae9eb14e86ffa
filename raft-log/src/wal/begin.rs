//! Begins a segment.
//!
//! It gets its name when its beginning is durable: so a segment without a readable beginning was
//! damaged later. This file does not know when a segment is begun.

use std::io;
use std::path::Path;
use std::sync::Arc;

use raft_core::port::PortError;

use super::files;
use super::identity::IdentityFile;
use super::spares::Spares;
use crate::disk::{Disk, DiskFile};
use crate::format::{Batch, SEGMENT_HEADER_BYTES, Salt, SegmentHeader};

/// Which segment, and what comes before it.
pub(super) struct Plan {
    pub(super) number: u64,
    /// The last batch before it that counts.
    pub(super) follows: u64,
    /// The sequence number of its first batch.
    pub(super) first: u64,
}

/// A segment that has begun.
pub(super) struct Begun {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) salt: Salt,
    /// Where its second batch goes.
    pub(super) offset: u64,
}

/// Begins a segment with `checkpoint`: what must be known of all groups to read on from there.
pub(super) fn begin(
    disk: &dyn Disk,
    id: IdentityFile,
    spares: &Spares,
    mut checkpoint: Batch,
    plan: &Plan,
) -> Result<Begun, PortError> {
    let salt = Salt::new(id.log_id, plan.number);
    let header = SegmentHeader {
        number: plan.number,
        follows: plan.follows,
        first: plan.first,
        identity: id.identity,
        log_id: id.log_id,
    };
    let mut bytes = header.encode();
    bytes.extend_from_slice(checkpoint.seal(plan.first, (salt, SEGMENT_HEADER_BYTES as u64)));
    let number = plan.number;
    let write = || {
        let (spare, file) = spares.take()?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        disk.rename(&spare, &files::segment(number))?;
        disk.sync_dir(Path::new(files::LOG_DIR))?;
        io::Result::Ok(file)
    };
    let file = write().map_err(|error| {
        let name = files::segment_name(number);
        PortError::io(format!("begin the log segment {name}"), error)
    })?;
    Ok(Begun {
        file,
        salt,
        offset: bytes.len() as u64,
    })
}
