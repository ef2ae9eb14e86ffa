//! Shows all that lies in a directory, a record a line, damaged or not.
//!
//! Nothing is judged here: what does not count any more is shown like what does.

use std::io;
use std::path::Path;
use std::sync::Arc;

use raft_core::port::PortError;
use raft_core::{GroupId, Index};

use super::{owner, snapshots, text};
use crate::disk::{Disk, Open};
use crate::error::OpenError;
use crate::format::{Placed, Record, SLOT_BYTES, Slot};
use crate::snapshot::Reading;
use crate::wal::identity::IdentityFile;
use crate::wal::scan::{Opened, Whole};
use crate::wal::{files, watermark};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpOptions {
    /// The records of this group alone.
    pub group: Option<GroupId>,
    /// The first entry; records that are no entries are shown in any case.
    pub from: Index,
    /// The last entry.
    pub to: Index,
    /// How many records are shown.
    pub records_max: u64,
    /// How much of each command is shown.
    pub preview_bytes: usize,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self {
            group: None,
            from: Index(0),
            to: Index(u64::MAX),
            records_max: u64::MAX,
            preview_bytes: 32,
        }
    }
}

/// Why not everything was shown.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The log can't be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was read could not be written out.
    #[error("what was read could not be written out: {0}")]
    Out(#[from] io::Error),
}

/// Writes out what lies on the disk of a log, as text. Changes nothing.
///
/// # Errors
/// When there is no log, it can't be read, or `out` takes no more.
pub fn dump(
    disk: &Arc<dyn Disk>,
    options: &DumpOptions,
    out: &mut dyn io::Write,
) -> Result<(), DumpError> {
    let (id, is_rebuilt) = owner(&**disk)?;
    let said_by = if is_rebuilt { ", by its segments" } else { "" };
    let (cluster, node) = (id.identity.cluster, id.identity.node);
    let log_id = id.log_id;
    writeln!(
        out,
        "log {log_id:016x} of node {node} of cluster {cluster:x}{said_by}"
    )?;
    let mut printer = Printer {
        options,
        out,
        left: options.records_max,
        failed: None,
    };
    for number in segments(&**disk, files::LOG_DIR)? {
        if printer.left == 0 {
            break;
        }
        printer.segment(&**disk, id, number)?;
    }
    let is_cut = printer.left == 0;
    if is_cut {
        writeln!(out, "{} records shown, no more", options.records_max)?;
    }
    for number in segments(&**disk, files::DAMAGED_DIR)? {
        let (dir, name) = (files::DAMAGED_DIR, files::segment_name(number));
        writeln!(out, "set aside: {dir}/{name}")?;
    }
    slots(&**disk, options, out)?;
    all_snapshots(disk, options, out)
}

fn segments(disk: &dyn Disk, dir: &str) -> Result<Vec<u64>, OpenError> {
    let numbers = files::segments(disk, dir);
    let failed = |error| PortError::io(format!("read the directory `{dir}`"), error);
    Ok(numbers.map_err(failed)?)
}

struct Printer<'a> {
    options: &'a DumpOptions,
    out: &'a mut dyn io::Write,
    /// How many more records are shown.
    left: u64,
    /// What `out` said first.
    failed: Option<io::Error>,
}

impl Printer<'_> {
    fn segment(&mut self, disk: &dyn Disk, id: IdentityFile, number: u64) -> Result<(), DumpError> {
        let name = files::segment_name(number);
        let opened = match Opened::new(disk, number, id) {
            Ok(opened) => opened,
            Err(error) => return Ok(writeln!(self.out, "segment {name}: {error}")?),
        };
        let content_end = opened.content_end().map_err(OpenError::from)?;
        match opened.header() {
            Some(header) => writeln!(
                self.out,
                "segment {name}: follows batch {}, first batch {}, content up to {content_end}",
                header.follows, header.first
            )?,
            None => writeln!(self.out, "segment {name}: its header can't be read")?,
        }
        match self.batches(&opened) {
            // A later version, for example: the other segments may be readable.
            Err(DumpError::Open(error)) => writeln!(self.out, "  {error}")?,
            other => other?,
        }
        Ok(())
    }

    /// All whole batches, and what lies between them.
    fn batches(&mut self, opened: &Opened) -> Result<(), DumpError> {
        let mut last = 0;
        let mut take = |printer: &mut Self, batch: &Whole<'_>| {
            last = batch.sequence;
            printer.batch(batch);
        };
        let mut ended = opened.batches(&mut |batch| take(self, &batch))?;
        loop {
            if let Some(error) = self.failed.take() {
                return Err(error.into());
            }
            let at = ended.offset;
            let Some(later) = opened.find_later(at, 0).map_err(OpenError::from)? else {
                break;
            };
            writeln!(self.out, "  damaged: bytes {at}..{later}")?;
            ended = opened.batches_from(later, &mut |batch| take(self, &batch))?;
        }
        if ended.torn_bytes > 0 {
            let (at, bytes) = (ended.offset, ended.torn_bytes);
            writeln!(
                self.out,
                "  unfinished: a batch of {bytes} bytes at {at}, not all of it there"
            )?;
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Whole<'_>) {
        if self.failed.is_some() || self.left == 0 {
            return;
        }
        if let Err(error) = self.try_batch(batch) {
            self.failed = Some(error);
        }
    }

    fn try_batch(&mut self, batch: &Whole<'_>) -> io::Result<()> {
        let shown: Vec<&Placed> = batch
            .records
            .iter()
            .filter(|placed| is_wanted(placed, self.options))
            .collect();
        // A batch without records of interest is not shown either, but for those that have none.
        if shown.is_empty() && !batch.records.is_empty() {
            return Ok(());
        }
        let (sequence, offset, size) = (batch.sequence, batch.offset, batch.size);
        let count = batch.records.len();
        writeln!(
            self.out,
            "  batch {sequence} at {offset}: {size} bytes, records: {count}"
        )?;
        for placed in shown {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let line = text::record(placed, self.options.preview_bytes);
            writeln!(self.out, "    {:>8} {line}", placed.offset)?;
        }
        Ok(())
    }
}

fn is_wanted(placed: &Placed, options: &DumpOptions) -> bool {
    let is_in_range = match &placed.record {
        Record::Entry(entry) => (options.from..=options.to).contains(&entry.index),
        Record::HardState(_)
        | Record::Truncate(_)
        | Record::Reset(_)
        | Record::Purge(_)
        | Record::Checkpoint(_) => true,
    };
    is_in_range && is_of(placed.group, options)
}

fn is_of(group: GroupId, options: &DumpOptions) -> bool {
    options.group.is_none_or(|wanted| wanted == group)
}

/// Both slots of each group, as they lie in the file.
fn slots(disk: &dyn Disk, options: &DumpOptions, out: &mut dyn io::Write) -> Result<(), DumpError> {
    let name = watermark::NAME;
    let read = || {
        let file = disk.open(Path::new(name), Open::Existing)?;
        let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        io::Result::Ok(bytes)
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(writeln!(out, "watermark: the file is missing")?);
        }
        Err(error) => {
            let error = PortError::io(format!("read the file `{name}`"), error);
            return Err(OpenError::from(error).into());
        }
    };
    for (place, bytes) in bytes.chunks(SLOT_BYTES).enumerate() {
        match Slot::decode(bytes) {
            Some(slot) if is_of(slot.group, options) => {
                writeln!(out, "watermark slot {place}: {}", text::slot(&slot))?;
            }
            Some(_) => {}
            None if bytes.iter().all(|byte| *byte == 0) => {}
            None => writeln!(out, "watermark slot {place}: damaged")?,
        }
    }
    Ok(())
}

fn all_snapshots(
    disk: &Arc<dyn Disk>,
    options: &DumpOptions,
    out: &mut dyn io::Write,
) -> Result<(), DumpError> {
    for (group, found) in snapshots(disk, Reading::Manifests).map_err(OpenError::from)? {
        if !is_of(group, options) {
            continue;
        }
        for seen in found {
            writeln!(out, "snapshot of group {group}: {}", seen.name)?;
            if let Some(manifest) = &seen.manifest {
                let meta = &manifest.meta;
                let members = text::membership(&meta.membership);
                writeln!(
                    out,
                    "  up to {}, members {members} of index {}",
                    meta.last, meta.membership_index
                )?;
                for file in &manifest.files {
                    let (name, size, hash) = (&file.name, file.size, file.hash);
                    writeln!(out, "  {name}: {size} bytes, checksum {hash:016x}")?;
                }
            }
            for wrong in &seen.wrong {
                writeln!(out, "  damaged: {wrong}")?;
            }
        }
    }
    Ok(())
}
