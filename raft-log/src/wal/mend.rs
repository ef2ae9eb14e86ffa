//! Makes a log that was read fit to be written: a fresh one is created, a damaged one is cut.
//!
//! What others rely on is made durable before anything else; what does not count any more is set
//! aside, not removed. If the power goes in the middle of it, the next opening comes to the same
//! conclusion. This file does not judge what is damaged.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use raft_core::port::PortError;

use super::begin::{Plan, begin};
use super::identity::IdentityFile;
use super::index::Index;
use super::scan::{End, Scan};
use super::spares::Spares;
use super::tail::{Queue, Tail};
use super::watermark::WatermarkFile;
use super::{Shared, files};
use crate::config::{Identity, WalConfig};
use crate::disk::{Disk, DiskFile};
use crate::format::SEGMENT_HEADER_BYTES;

/// Makes the directory that of a new log.
pub(super) fn create(disk: &dyn Disk, identity: Identity) -> Result<IdentityFile, PortError> {
    WatermarkFile::create(disk).map_err(|error| PortError::io("make the watermark", error))?;
    let id = IdentityFile::draw(identity);
    // The identity comes last: without it, and without a segment, there is no log yet.
    id.write(disk)?;
    Ok(id)
}

/// Makes what was found a log to be written.
pub(super) fn mend(
    (disk, config, id): (Arc<dyn Disk>, WalConfig, IdentityFile),
    scan: Scan,
    watermark: Option<WatermarkFile>,
) -> Result<Shared, PortError> {
    let failed = |error| PortError::io("take the log over", error);
    let mut index = Index {
        groups: scan.groups,
        segments: scan.segments,
    };
    let number = u32::try_from(scan.end.number).unwrap_or(u32::MAX);
    let file = index.segments.get(&number).filter(|_| scan.end.is_open);
    if let Some(file) = file {
        write_again(&**file, &scan.end).map_err(failed)?;
    }
    let mut watermark = match watermark {
        Some(watermark) => watermark,
        None => WatermarkFile::create(&*disk).map_err(failed)?,
    };
    rely_on(
        &index,
        &mut watermark,
        (scan.end.sequence, scan.sequence_next),
    )
    .map_err(failed)?;
    disk.sync_dir(Path::new("")).map_err(failed)?;
    let spares = Spares::new(Arc::clone(&disk), &config).map_err(failed)?;
    let tail = match file.cloned() {
        Some(file) => Tail {
            number: scan.end.number,
            file,
            salt: scan.end.salt,
            start: SEGMENT_HEADER_BYTES as u64,
            offset: scan.end.offset,
            sequence: scan.end.sequence,
            done: 0,
            watermark,
        },
        None => {
            let plan = Plan {
                number: scan.number_next,
                follows: scan.end.sequence,
                first: scan.sequence_next,
            };
            let begun = begin(&*disk, id, &spares, index.checkpoint(), &plan)?;
            index.add_segment(&plan, &begun)?;
            Tail::at(&plan, begun, watermark)
        }
    };
    set_aside(&*disk, &scan.void).map_err(failed)?;
    Ok(Shared {
        disk,
        config,
        id,
        spares,
        drops: Mutex::new(()),
        tail: Mutex::new(tail),
        queue: Mutex::new(Queue::default()),
        index: Mutex::new(index),
        failed: OnceLock::new(),
        report: Mutex::new(scan.report),
    })
}

/// Makes durable what every group lets others rely on. It is written even if it is there already,
/// maybe in the system's memory alone.
fn rely_on(
    index: &Index,
    watermark: &mut WatermarkFile,
    (sequence, sequence_next): (u64, u64),
) -> std::io::Result<()> {
    for (group, state) in &index.groups {
        // What was lost was said by a batch beyond the sound part. Until a new segment counts, the
        // watermark stays beyond it: else the next opening would take it for an older word.
        let is_lost = state.lost.is_some();
        let sequence = if is_lost { sequence_next - 1 } else { sequence };
        let said = (state.watermark(), is_lost);
        watermark.put(*group, state.incarnation, sequence, said)?;
    }
    watermark.sync()
}

/// Writes the last batch once more and syncs it. It may be in the system's memory alone: the
/// process died before its sync, or the sync failed, after which a mere second one would succeed
/// without writing anything.
fn write_again(file: &dyn DiskFile, end: &End) -> std::io::Result<()> {
    let size = usize::try_from(end.offset - end.last_at).unwrap_or(0);
    let mut bytes = vec![0; size];
    file.read_at(&mut bytes, end.last_at)?;
    file.write_at(&bytes, end.last_at)?;
    file.sync()
}

/// Moves segments that do not count any more out of the way.
fn set_aside(disk: &dyn Disk, void: &[u64]) -> std::io::Result<()> {
    if void.is_empty() {
        return Ok(());
    }
    let dir = Path::new(files::DAMAGED_DIR);
    disk.create_dir(dir)?;
    disk.sync_dir(Path::new(""))?;
    for number in void {
        disk.rename(
            &files::segment(*number),
            &dir.join(files::segment_name(*number)),
        )?;
    }
    disk.sync_dir(dir)?;
    disk.sync_dir(Path::new(files::LOG_DIR))
}
