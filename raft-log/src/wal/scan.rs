//! Reads a log from its beginning to its end, and tells what is sound from what is damaged.
//!
//! A batch is written when all before it are durable. So a flaw that nothing follows is a batch
//! that was being written when the power went: a torn tail, which nobody was told of. A flaw that
//! something follows, be it a later batch, a later segment or a watermark beyond it, is damage: the
//! log ends before it, and what lies after it is *evidence* of what others rely on. Nothing is
//! written here.

mod evidence;
mod segment;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use raft_core::port::PortError;
use raft_core::{GroupId, HardState};

use self::evidence::Evidence;
pub(crate) use self::segment::{Ended, Opened, Whole};
use super::change::Change;
use super::files;
use super::group::{Group, Place};
use super::identity::{self, IdentityFile};
use super::report::{Finding, Report};
use super::watermark::WatermarkFile;
use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::format::{Checkpoint, RECORD_HEADER_BYTES, Record, Salt};

/// What was found.
pub(crate) struct Scan {
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) segments: BTreeMap<u32, Arc<dyn DiskFile>>,
    pub(crate) end: End,
    /// Segments whose content does not count any more.
    pub(crate) void: Vec<u64>,
    /// Higher than any number that a segment ever had.
    pub(crate) number_next: u64,
    /// Higher than any number that a batch ever had.
    pub(crate) sequence_next: u64,
    pub(crate) report: Report,
}

/// Where the sound part ends.
pub(crate) struct End {
    /// The segment of the last batch; 0 if there is none.
    pub(crate) number: u64,
    pub(crate) salt: Salt,
    /// Where the last batch begins.
    pub(crate) last_at: u64,
    /// Where the next one goes.
    pub(crate) offset: u64,
    /// The last batch.
    pub(crate) sequence: u64,
    /// Whether what lies after `offset` may be written over: nobody relies on it.
    pub(crate) is_open: bool,
}

/// Reads the whole log.
///
/// # Errors
/// When the system fails, or something is of a version that this program does not know.
pub(crate) fn scan(
    disk: &dyn Disk,
    id: IdentityFile,
    watermark: Option<&WatermarkFile>,
) -> Result<Scan, OpenError> {
    let failed = |error| PortError::io("read the log", error);
    let mut opened = Vec::new();
    for number in files::segments(disk, files::LOG_DIR).map_err(failed)? {
        opened.push(Opened::new(disk, number, id)?);
    }
    let number_next = number_next(disk, &opened).map_err(failed)?;
    let mut scanner = Scanner::new(number_next);
    scanner.read_all(opened)?;
    if let Some((group, sequence)) = scanner.impossible {
        return Err(PortError::damaged(format!(
            "batch {sequence} says of group {group} what can't follow what is before it"
        ))
        .into());
    }
    scanner.judge_gaps();
    scanner.judge_watermark(watermark);
    scanner.report_losses();
    Ok(scanner.scan)
}

fn number_next(disk: &dyn Disk, opened: &[Opened]) -> io::Result<u64> {
    let aside = files::segments(disk, files::DAMAGED_DIR)?;
    let here = opened.last().map_or(0, |segment| segment.number);
    Ok(aside.last().map_or(here, |number| here.max(*number)) + 1)
}

/// Whose log it is by the headers of its segments; `None` if there is no log.
pub(crate) fn owner(disk: &dyn Disk) -> Result<Option<IdentityFile>, OpenError> {
    let failed = |error| PortError::io("read the log", error);
    let numbers = files::segments(disk, files::LOG_DIR).map_err(failed)?;
    for number in &numbers {
        if let Some(id) = segment::owner(disk, *number)? {
            return Ok(Some(id));
        }
    }
    if numbers.is_empty() {
        return Ok(None);
    }
    let file = identity::NAME.to_owned();
    Err(OpenError::NoIdentity { file })
}

/// What comes after a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is the last one.
    Nothing,
    /// The segment of the next number.
    Adjacent,
    /// One whose number is not the next one.
    AfterGap,
    /// A segment of which neither header nor first batch can be read.
    Unreadable,
}

struct Scanner {
    scan: Scan,
    /// What lies beyond the damage; `None` while there is none.
    evidence: Option<Evidence>,
    /// The first record that can't follow the one before, by its group and batch. Its checksum is
    /// right, so it was written like that, by a program that was wrong; nothing here is trusted.
    impossible: Option<(GroupId, u64)>,
}

impl Scanner {
    fn new(number_next: u64) -> Self {
        let end = End {
            number: 0,
            salt: Salt::new(0, 0),
            last_at: 0,
            offset: 0,
            sequence: 0,
            is_open: false,
        };
        let scan = Scan {
            groups: BTreeMap::new(),
            segments: BTreeMap::new(),
            end,
            void: Vec::new(),
            number_next,
            sequence_next: 1,
            report: Report::default(),
        };
        Self {
            scan,
            evidence: None,
            impossible: None,
        }
    }

    fn read_all(&mut self, mut opened: Vec<Opened>) -> Result<(), OpenError> {
        // Of each segment counts only what no later one declares void.
        let mut limit = u64::MAX;
        for segment in opened.iter_mut().rev() {
            segment.limit = limit;
            limit = limit.min(segment.follows.unwrap_or(u64::MAX));
        }
        let mut opened = opened.into_iter().peekable();
        while let Some(segment) = opened.next() {
            let next = match opened.peek() {
                None => Next::Nothing,
                Some(next) => match next.follows {
                    None => Next::Unreadable,
                    Some(_) if next.number == segment.number + 1 => Next::Adjacent,
                    Some(_) => Next::AfterGap,
                },
            };
            self.read(&segment, next)?;
        }
        Ok(())
    }

    fn read(&mut self, segment: &Opened, next: Next) -> Result<(), OpenError> {
        let number = segment.number;
        // One whose header can't be read is void too if a later segment follows what is before it.
        if segment.is_void() || segment.limit <= self.scan.end.sequence {
            self.scan.void.push(number);
            return Ok(());
        }
        if !segment.has_header() {
            self.scan.report.add(Finding::SegmentHeader { number });
        }
        let is_oldest = self.scan.end.number == 0;
        if let Some(follows) = segment.follows
            && follows > self.scan.end.sequence
            && !is_oldest
            && self.evidence.is_none()
        {
            let from = self.scan.end.sequence + 1;
            let missing = Finding::BatchesMissing { from, to: follows };
            self.scan.report.add(missing);
            self.begin_evidence(0);
        }
        self.scan.report.segments += 1;
        let was_sound = self.evidence.is_none();
        let ended = segment.batches(&mut |batch| self.take(segment, &batch))?;
        if was_sound {
            self.judge_end(segment, &ended, next)?;
        } else {
            let later = segment.find_later(ended.offset, self.scan.sequence_next - 1)?;
            self.take_beyond(segment, later)?;
        }
        if self.scan.end.number == number {
            let number = u32::try_from(number).map_err(|_| too_many(number))?;
            let file = Arc::clone(&segment.file);
            self.scan.segments.insert(number, file);
        } else {
            self.scan.void.push(number);
        }
        Ok(())
    }

    /// A whole batch, sound or evidence.
    fn take(&mut self, segment: &Opened, batch: &Whole<'_>) {
        self.scan.sequence_next = self.scan.sequence_next.max(batch.sequence + 1);
        if let Some(evidence) = &mut self.evidence {
            return evidence.take(batch);
        }
        self.scan.report.batches += 1;
        for placed in batch.records {
            let (group, record) = (placed.group, &placed.record);
            if let Record::Checkpoint(checkpoint) = record {
                let known = self.scan.groups.entry(group);
                known.or_insert_with(|| Group::at(checkpoint));
                continue;
            }
            let place = Place {
                segment: u32::try_from(segment.number).unwrap_or(u32::MAX),
                offset: u32::try_from(placed.offset).unwrap_or(u32::MAX),
                length: placed.length,
            };
            let state = self.scan.groups.get_mut(&group);
            let applied = state.map(|state| state.apply(&Change::from(record), place));
            if !matches!(applied, Some(Ok(()))) {
                self.impossible.get_or_insert((group, batch.sequence));
            }
        }
        let end = &mut self.scan.end;
        end.number = segment.number;
        end.salt = segment.salt;
        end.last_at = batch.offset;
        end.offset = batch.offset + batch.size;
        end.sequence = batch.sequence;
    }

    /// A segment has no further whole batch: is that the end, or damage?
    fn judge_end(&mut self, segment: &Opened, ended: &Ended, next: Next) -> Result<(), OpenError> {
        let number = segment.number;
        let sequence = self.scan.end.sequence;
        // A segment gets its name when its first batch is durable.
        let has_begun = self.scan.end.number == number;
        // A later segment, though not always the next one, follows just this batch: what may lie in
        // between was void when that segment was begun.
        if has_begun && segment.limit == sequence {
            return Ok(());
        }
        let later = segment.find_later(ended.offset, sequence)?;
        let is_whole = has_begun && later.is_none() && ended.torn_bytes == 0;
        if is_whole && next == Next::AfterGap {
            // What is missing was in segments between the two; the next one says which batches.
            return Ok(());
        }
        if has_begun && later.is_none() && next == Next::Unreadable {
            // The damage is there.
            return Ok(());
        }
        if has_begun && later.is_none() && next == Next::Nothing {
            self.scan.end.is_open = true;
            if ended.torn_bytes > 0 {
                self.scan.report.add(Finding::TornTail {
                    number,
                    offset: ended.offset,
                    bytes: ended.torn_bytes,
                });
            }
            return Ok(());
        }
        let to = match later {
            Some(later) => later,
            None => segment.content_end()?.max(ended.offset),
        };
        self.scan.report.add(Finding::Damage {
            number,
            from: ended.offset,
            to,
            sequence: sequence + 1,
        });
        self.begin_evidence((to - ended.offset) / RECORD_HEADER_BYTES as u64);
        self.take_beyond(segment, later)
    }

    /// Takes all that is whole from `later` on, however much lies damaged in between.
    fn take_beyond(&mut self, segment: &Opened, mut later: Option<u64>) -> Result<(), OpenError> {
        while let Some(offset) = later {
            let ended = segment.batches_from(offset, &mut |batch| self.take(segment, &batch))?;
            later = segment.find_later(ended.offset, self.scan.sequence_next - 1)?;
            if let (Some(later), Some(evidence)) = (later, &mut self.evidence) {
                evidence.skip((later - ended.offset) / RECORD_HEADER_BYTES as u64);
            }
        }
        Ok(())
    }

    /// The log ends here; `most` entries can have been in what can't be read.
    fn begin_evidence(&mut self, most: u64) {
        self.evidence = Some(Evidence::new(&self.scan.groups, most));
    }

    /// Entries that are neither here nor said to be purged went with an earlier segment.
    fn judge_gaps(&mut self) {
        for (group, state) in &mut self.scan.groups {
            if let Some((from, to)) = state.gap() {
                let group = *group;
                self.scan
                    .report
                    .add(Finding::EntriesMissing { group, from, to });
                state.raise_base();
            }
        }
    }

    /// Compares what is here with what others rely on.
    fn judge_watermark(&mut self, watermark: Option<&WatermarkFile>) {
        if let Some(evidence) = self.evidence.take() {
            self.scan.end.is_open = false;
            for (group, (checkpoint, relied_on)) in evidence.conclude(watermark) {
                let state = self.scan.groups.entry(group);
                let state = state.or_insert_with(|| Group::vanished(&checkpoint));
                state.lost = Some(relied_on);
            }
        }
        let Some(watermark) = watermark else {
            if self.scan.end.number > 0 {
                self.scan.report.add(Finding::WatermarkMissing);
            }
            return;
        };
        self.miss_slots(watermark);
        for slot in watermark.slots() {
            self.scan.sequence_next = self.scan.sequence_next.max(slot.sequence + 1);
            let is_behind = slot.sequence > self.scan.end.sequence;
            let vanished = Checkpoint {
                incarnation: slot.incarnation,
                ..Checkpoint::default()
            };
            let is_unknown = !self.scan.groups.contains_key(&slot.group);
            let state = self.scan.groups.entry(slot.group);
            let state = state.or_insert_with(|| Group::vanished(&vanished));
            let is_still_lost = slot.lost && !state.covers(slot.watermark);
            if state.lost.is_none() && (is_behind || is_unknown || is_still_lost) {
                state.lost = Some(slot.watermark);
                // A group that the log does not know is made known by the beginning of a segment.
                self.scan.end.is_open &= !is_behind && !is_unknown;
            }
        }
    }

    /// A group gets its first slot when it was founded, before anything else is written of it.
    fn miss_slots(&mut self, watermark: &WatermarkFile) {
        for (group, state) in &self.scan.groups {
            let is_just_founded =
                state.last() == state.base.index && state.hard_state == HardState::default();
            if watermark.get(*group).is_none() && !is_just_founded {
                let group = *group;
                self.scan.report.add(Finding::SlotsMissing { group });
            }
        }
    }

    fn report_losses(&mut self) {
        for (group, state) in &self.scan.groups {
            if let Some(relied_on) = state.lost {
                self.scan.report.add(Finding::Lost {
                    group: *group,
                    last: state.last_position(),
                    relied_on,
                });
            }
        }
    }
}

fn too_many(number: u64) -> PortError {
    PortError::misused(format!(
        "segment number {number} is beyond what a log can have"
    ))
}
