//! The end of the log, where everything is written: one write and one sync for all that waits.
//!
//! Whoever finds the end free writes for all who wait; the others find their work done. After the
//! first error nothing is written any more, and nothing is tried again: a sync that failed once may
//! succeed the second time without having written anything. This file does not know what the
//! records say.

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::port::{PortError, PortErrorKind};
use raft_core::{Entry, GroupId};

use super::begin::{Begun, Plan, begin};
use super::change::Change;
use super::group::Place;
use super::watermark::WatermarkFile;
use super::{Shared, files, lock};
use crate::config::WalConfig;
use crate::disk::DiskFile;
use crate::format::{Batch, Record, Salt};

/// How many buffers are kept for the next who writes.
const BUFFERS_MAX: usize = 4;

/// Records on their way to the disk, durable together or not at all.
#[derive(Default)]
pub(super) struct Work {
    batch: Batch,
    /// What each record changes, with where it begins in the batch.
    changes: Vec<(GroupId, Change, usize)>,
}

impl Work {
    pub(super) fn push(&mut self, group: GroupId, record: &Record) {
        let start = self.batch.push(group, record);
        self.changes.push((group, Change::from(record), start));
    }

    pub(super) fn push_entry(&mut self, group: GroupId, entry: &Entry) {
        let start = self.batch.push_entry(group, entry);
        self.changes.push((group, Change::from(entry), start));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    fn absorb(&mut self, other: &mut Self) {
        let shift = self.batch.absorb(&other.batch);
        let changes = other.changes.drain(..);
        self.changes
            .extend(changes.map(|(group, change, start)| (group, change, start + shift)));
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.changes.clear();
    }
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Queue {
    /// How much was ever put here.
    issued: u64,
    waiting: VecDeque<Work>,
    /// Emptied, with their memory.
    free: Vec<Work>,
}

/// Where the log ends.
pub(super) struct Tail {
    /// The segment that is written.
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) salt: Salt,
    /// Where its first batch after the beginning goes; a new segment would help nobody as long as
    /// there is none.
    pub(super) start: u64,
    /// Where the next batch goes.
    pub(super) offset: u64,
    /// The last batch.
    pub(super) sequence: u64,
    /// How much of what was put into the queue is done.
    pub(super) done: u64,
    pub(super) watermark: WatermarkFile,
}

impl Shared {
    /// An empty work, with memory if there is some.
    pub(super) fn work(&self) -> Work {
        lock(&self.queue).free.pop().unwrap_or_default()
    }

    /// Makes the records durable and known.
    pub(super) fn commit(&self, mut work: Work) -> Result<(), PortError> {
        // Here, while others write: all that is left to do at the end of the log is to seal.
        work.batch.sum();
        let (size, most) = (work.batch.size() as u64, WalConfig::BATCH_BYTES_LIMIT);
        if size > most {
            return Err(PortError::misused(format!(
                "{size} bytes in one write, while {most} is the most"
            )));
        }
        let ticket = {
            let mut queue = lock(&self.queue);
            queue.issued += 1;
            queue.waiting.push_back(work);
            queue.issued
        };
        let mut tail = lock(&self.tail);
        while tail.done < ticket {
            self.latched()?;
            let result = self.write_next(&mut tail);
            self.latch(result)?;
        }
        Ok(())
    }

    /// Writes what waits, as much as goes into one batch.
    fn write_next(&self, tail: &mut Tail) -> Result<(), PortError> {
        let (mut work, count) = self.take();
        let size = work.batch.size() as u64;
        if tail.offset + size > self.config.segment_bytes && tail.offset > tail.start {
            self.roll(tail)?;
        }
        let offset = tail.offset;
        let bytes = work.batch.seal(tail.sequence + 1, (tail.salt, offset));
        let write = tail.file.write_at(bytes, offset);
        let synced = write.and_then(|()| tail.file.sync());
        synced.map_err(|error| {
            let name = files::segment_name(tail.number);
            PortError::io(format!("write to the log segment {name}"), error)
        })?;
        tail.offset += size;
        tail.sequence += 1;
        self.known(tail, &work, offset)?;
        tail.done += count;
        work.clear();
        let mut queue = lock(&self.queue);
        if queue.free.len() < BUFFERS_MAX {
            queue.free.push(work);
        }
        Ok(())
    }

    /// What waits, merged, and how much it was.
    fn take(&self) -> (Work, u64) {
        let mut queue = lock(&self.queue);
        let mut work = queue.waiting.pop_front().unwrap_or_default();
        let mut count = 1;
        while let Some(next) = queue.waiting.front()
            && (work.batch.size() + next.batch.size()) as u64 <= self.config.batch_bytes_max
        {
            if let Some(mut next) = queue.waiting.pop_front() {
                work.absorb(&mut next);
                next.clear();
                queue.free.push(next);
            }
            count += 1;
        }
        queue.free.truncate(BUFFERS_MAX);
        (work, count)
    }

    /// What was written at `offset` is durable: it becomes known, and the watermark follows.
    fn known(&self, tail: &mut Tail, work: &Work, offset: u64) -> Result<(), PortError> {
        let mut index = lock(&self.index);
        let mut touched: Vec<GroupId> = Vec::new();
        for (group, change, start) in &work.changes {
            let length = work.batch.payload_length(*start);
            let place = place(tail.number, offset + *start as u64, length)?;
            let applied = index.apply(*group, change, place);
            applied.map_err(|impossible| PortError::misused(impossible.0))?;
            if touched.last() != Some(group) {
                touched.push(*group);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let mut is_vital = false;
        for group in touched {
            is_vital |= index.write_watermark(group, &mut tail.watermark, tail.sequence)?;
        }
        drop(index);
        if is_vital {
            let synced = tail.watermark.sync();
            synced.map_err(|error| PortError::io("sync the watermark", error))?;
        }
        Ok(())
    }

    /// Makes durable what the group lets others rely on.
    pub(super) fn write_watermark(&self, group: GroupId) -> Result<(), PortError> {
        let mut tail = lock(&self.tail);
        let tail = &mut *tail;
        let index = lock(&self.index);
        let written = index.write_watermark(group, &mut tail.watermark, tail.sequence);
        let synced = written.and_then(|_| {
            let synced = tail.watermark.sync();
            synced.map_err(|error| PortError::io("sync the watermark", error))
        });
        // A second attempt would find it written, and its sync could succeed without writing it.
        self.latch(synced)
    }

    /// Begins the next segment.
    fn roll(&self, tail: &mut Tail) -> Result<(), PortError> {
        let plan = Plan {
            number: tail.number + 1,
            follows: tail.sequence,
            first: tail.sequence + 1,
        };
        // What is in the system's memory alone never grows older than a segment.
        let synced = tail.watermark.sync();
        synced.map_err(|error| PortError::io("sync the watermark", error))?;
        // Who holds the end holds what the index knows: readers need not wait for the disk.
        let checkpoint = lock(&self.index).checkpoint();
        let begun = begin(&*self.disk, self.id, &self.spares, checkpoint, &plan)?;
        lock(&self.index).add_segment(&plan, &begun)?;
        tail.enter(&plan, begun);
        Ok(())
    }

    /// Drops the segments that hold no entry any more. What made them superfluous is durable.
    /// Nobody who writes has to wait for it: to remove a file can take long.
    pub(super) fn drop_segments(&self) -> Result<(), PortError> {
        let _one_at_a_time = lock(&self.drops);
        self.latched()?;
        let written = lock(&self.tail).number;
        let dropped: Vec<u32> = {
            let mut index = lock(&self.index);
            let needed = index.first_segment().map_or(written, u64::from);
            let needed = u32::try_from(needed.min(written)).unwrap_or(u32::MAX);
            let kept = index.segments.split_off(&needed);
            let dropped = std::mem::replace(&mut index.segments, kept);
            dropped.into_keys().collect()
        };
        // Each is durable before the next, the oldest first: a power cut may bring back one that
        // the others still follow, but leave no hole, which would look like damage.
        let given = dropped
            .iter()
            .try_for_each(|number| self.spares.give(&files::segment(u64::from(*number))));
        self.latch(given.map_err(|error| PortError::io("drop old log segments", error)))
    }

    /// After a failure everything fails.
    pub(super) fn latched(&self) -> Result<(), PortError> {
        match self.failed.get() {
            None => Ok(()),
            Some((kind, said)) => Err(PortError {
                kind: *kind,
                context: format!("the log has stopped after a failure: {said}"),
                source: None,
            }),
        }
    }

    /// Remembers a failure. A breach of the contract leaves the log as it was, so it is none.
    fn latch(&self, result: Result<(), PortError>) -> Result<(), PortError> {
        if let Err(error) = &result {
            let failure: (PortErrorKind, String) = (error.kind, error.to_string());
            tracing::error!(error = %failure.1, "the log stops");
            let _ = self.failed.set(failure);
        }
        result
    }
}

impl Tail {
    /// The end of a log whose last segment has just begun.
    pub(super) fn at(plan: &Plan, begun: Begun, watermark: WatermarkFile) -> Self {
        Self {
            number: plan.number,
            file: begun.file,
            salt: begun.salt,
            start: begun.offset,
            offset: begun.offset,
            sequence: plan.first,
            done: 0,
            watermark,
        }
    }

    /// The end of the log is in the segment that has begun.
    fn enter(&mut self, plan: &Plan, begun: Begun) {
        self.number = plan.number;
        self.sequence = plan.first;
        self.file = begun.file;
        self.salt = begun.salt;
        self.start = begun.offset;
        self.offset = begun.offset;
    }
}

/// The place of a record.
fn place(segment: u64, offset: u64, length: u32) -> Result<Place, PortError> {
    let too_far = |_| PortError::misused(format!("segment {segment} is used up at {offset}"));
    Ok(Place {
        segment: u32::try_from(segment).map_err(too_far)?,
        offset: u32::try_from(offset).map_err(too_far)?,
        length,
    })
}
