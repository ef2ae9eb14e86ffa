//! One group's share of the log: the core's `LogStore`.
//!
//! This file knows the port's contract and turns calls into records. It does not know how records
//! reach the disk.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::{
    LogBounds, LogStore, LogUsage, Manifest, PortError, SnapshotReceiver, SnapshotSink,
    SnapshotSource,
};
use raft_core::{
    Entry, GroupId, HardState, Index, NodeId, Position, Recovered, SnapshotMeta, Term, Watermark,
};

use super::group::{Group, Place};
use super::report::Finding;
use super::tail::Work;
use super::{Shared, files, lock};
use crate::disk::DiskFile;
use crate::format::{Checkpoint, Record, Salt, decode_record};
use crate::snapshot::{SnapshotConfig, SnapshotStore};

/// Entries that lie closer together than this are read in one go.
const READ_GAP_MAX: u64 = 4096;
/// So much is read in one go, at least one entry.
const READ_BYTES_MAX: u64 = 1 << 20;

/// One group's share of the log.
pub struct WalLog {
    shared: Arc<Shared>,
    group: GroupId,
    snapshots: SnapshotStore,
}

/// What was given up by [`WalLog::accept_loss`].
pub(crate) struct Accepted {
    /// Where the log ends.
    pub(crate) kept: Position,
    /// What others rely on.
    pub(crate) relied_on: Watermark,
    /// Term and vote from now on.
    pub(crate) hard_state: HardState,
}

impl WalLog {
    pub(super) fn new(shared: Arc<Shared>, group: GroupId) -> Result<Self, PortError> {
        let config = SnapshotConfig {
            retained: shared.config.snapshots_retained,
            ..SnapshotConfig::default()
        };
        let dir = files::snapshots(group);
        let snapshots = SnapshotStore::open(Arc::clone(&shared.disk), dir, config)?;
        for bad in snapshots.found_bad() {
            let what = bad.to_string();
            lock(&shared.report).add(Finding::BadSnapshot { group, what });
        }
        Ok(Self {
            shared,
            group,
            snapshots,
        })
    }

    /// Where the group's snapshots are kept.
    #[must_use]
    pub const fn snapshots(&self) -> &SnapshotStore {
        &self.snapshots
    }

    fn commit_one(&self, record: &Record) -> Result<(), PortError> {
        let mut work = self.shared.work();
        work.push(self.group, record);
        self.shared.commit(work)
    }

    /// Calls `look` with what is known of the group, if it was founded.
    fn with_group<T>(&self, look: impl FnOnce(&mut Group) -> T) -> Option<T> {
        lock(&self.shared.index)
            .groups
            .get_mut(&self.group)
            .map(look)
    }

    /// Up to where the log may be dropped. Everything that could still be needed to take an older
    /// snapshot into use, or to follow one that is being transferred, stays.
    fn purgeable(&self, up_to: Index) -> Result<Index, PortError> {
        let founding = self.with_group(|state| state.founding.last.index);
        let founding = founding.unwrap_or_default();
        let metas = self.snapshots.metas();
        let covered = metas.last().map_or(founding, |meta| meta.last.index);
        if up_to > covered {
            return Err(PortError::misused(format!(
                "a purge up to {up_to}, while the newest snapshot ends at {covered}"
            )));
        }
        let oldest = metas.first().map_or(founding, |meta| meta.last.index);
        let pinned = self.snapshots.pinned().unwrap_or(oldest);
        Ok(up_to.min(oldest).min(pinned))
    }

    /// A log that begins after a position is no use without a snapshot that reaches there.
    fn check_resets<'a>(
        &self,
        mut resets: impl Iterator<Item = &'a Arc<SnapshotMeta>>,
    ) -> Result<(), PortError> {
        let newest = self.snapshots.newest().map(|meta| meta.last.index);
        match resets.find(|reset| newest.is_none_or(|newest| newest < reset.last.index)) {
            None => Ok(()),
            Some(reset) => Err(PortError::misused(format!(
                "a reset to a snapshot that ends at {}, which is not here",
                reset.last
            ))),
        }
    }

    /// What others rely on and is not here is given up: from now on the log counts as whole. Term
    /// and vote are not given up; they become those of whoever has seen more, the log or the
    /// watermark. If it is not known that there was a vote in that term, there was one, for the
    /// node itself: so whatever was forgotten, it votes for nobody else in that term.
    pub(crate) fn accept_loss(&mut self) -> Result<Option<Accepted>, PortError> {
        self.shared.latched()?;
        let own = self.shared.id.identity.node;
        let accepted = self.with_group(|state| {
            let relied_on = state.lost?;
            let hard_state = binding(state.hard_state, relied_on, own);
            let kept = state.last_position();
            Some(Accepted {
                kept,
                relied_on,
                hard_state,
            })
        });
        let Some(accepted) = accepted.flatten() else {
            return Ok(None);
        };
        self.commit_one(&Record::HardState(accepted.hard_state))?;
        // Should the power go before this: it is still lost, and given up again.
        self.with_group(|state| state.lost = None);
        self.shared.write_watermark(self.group)?;
        Ok(Some(accepted))
    }

    /// The log does not reach back to any snapshot: it is no use, and begins anew at the newest.
    fn start_over(&self, snapshot: &SnapshotMeta, base: Position) -> Result<(), PortError> {
        lock(&self.shared.report).add(Finding::SnapshotMissing {
            group: self.group,
            base,
            snapshot: snapshot.last,
        });
        self.with_group(|state| state.lost = Some(state.watermark()));
        // The same batch that drops the entries would raise the watermark; so what others rely on
        // is written before it.
        self.shared.write_watermark(self.group)?;
        self.commit_one(&Record::Reset(snapshot.last))
    }
}

impl LogStore for WalLog {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        self.shared.latched()?;
        let known = self.with_group(|state| (Arc::clone(&state.founding), state.base));
        let Some((founding, base)) = known else {
            return Ok(Recovered::default());
        };
        let newest = self.snapshots.newest();
        let newest = newest.filter(|meta| meta.last.index >= founding.last.index);
        let snapshot = newest.unwrap_or(founding);
        if snapshot.last.index < base.index {
            self.start_over(&snapshot, base)?;
        }
        let recovered = self.with_group(|state| Recovered {
            incarnation: state.incarnation,
            hard_state: state.hard_state,
            snapshot: SnapshotMeta::clone(&snapshot),
            base: state.base,
            terms: state.terms(),
            last: state.last(),
            memberships: state.memberships(),
            applied: Index(0),
            watermark: state.watermark(),
            lost: state.lost.is_some(),
        });
        Ok(recovered.unwrap_or_default())
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        self.shared.latched()?;
        if self.with_group(|_| ()).is_some() {
            return Err(PortError::misused(format!(
                "group {} was founded before: its log can't be founded again",
                self.group
            )));
        }
        if founding.last != founding.base.index || founding.base != founding.snapshot.last {
            return Err(PortError::misused("a group is founded without entries"));
        }
        let checkpoint = Checkpoint {
            incarnation: founding.incarnation,
            founding: Arc::new(founding.snapshot.clone()),
            hard_state: founding.hard_state,
            base: founding.base,
            terms: Vec::new(),
            last: founding.last,
        };
        self.commit_one(&Record::Checkpoint(Box::new(checkpoint)))
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        self.shared.latched()?;
        let resets = writes.iter().filter_map(|write| write.reset.as_ref());
        let has_reset = resets.clone().count() > 0;
        self.check_resets(resets)?;
        // Nobody else writes for this group: what holds now holds until these are written.
        let bounds = self.with_group(|state| LogBounds {
            base: state.base,
            last: state.last(),
        });
        let unknown = || PortError::misused(format!("group {} was never founded", self.group));
        writes
            .iter()
            .try_fold(bounds.ok_or_else(unknown)?, LogBounds::after)?;
        let mut work = self.shared.work();
        for write in writes {
            self.fill(&mut work, write);
        }
        if !work.is_empty() {
            self.shared.commit(work)?;
        }
        if has_reset {
            self.shared.drop_segments()?;
        }
        Ok(())
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        self.shared.latched()?;
        let mut entries = Vec::new();
        let mut budget = bytes_max;
        let mut next = from;
        while next <= to {
            let run = self.run(next, to, budget);
            let Some((places, file)) = run else {
                break;
            };
            for entry in self.read_run(&places, &*file)? {
                if entry.weight() > budget && !entries.is_empty() {
                    return Ok(entries);
                }
                budget = budget.saturating_sub(entry.weight());
                next = entry.index.next();
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        self.shared.latched()?;
        let up_to = self.purgeable(up_to)?;
        let position = self.with_group(|state| {
            let up_to = up_to.min(state.last());
            let is_new = up_to > state.base.index;
            state.position(up_to).filter(|_| is_new)
        });
        if let Some(position) = position.flatten() {
            self.commit_one(&Record::Purge(position))?;
        }
        self.shared.drop_segments()
    }

    fn usage(&self) -> LogUsage {
        let usage = self.with_group(|state| state.usage());
        let (entries, bytes) = usage.unwrap_or_default();
        LogUsage { entries, bytes }
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        self.shared.latched()?;
        self.snapshots.create(meta)
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        self.snapshots.open_newest()
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        self.shared.latched()?;
        self.snapshots.set_aside(last)?;
        let group = self.group;
        let what = format!("the snapshot that ends at {last} is damaged, and was set aside");
        lock(&self.shared.report).add(Finding::BadSnapshot { group, what });
        Ok(())
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        self.shared.latched()?;
        self.snapshots.receive(manifest)
    }
}

impl WalLog {
    /// Adds what a write says, in the order in which it happens.
    fn fill(&self, work: &mut Work, write: &Write) {
        let reset = write.reset.as_ref().map(|meta| Record::Reset(meta.last));
        let hard_state = write.hard_state.map(Record::HardState);
        let truncate = write.truncate.map(Record::Truncate);
        for record in [reset, hard_state, truncate].into_iter().flatten() {
            work.push(self.group, &record);
        }
        for entry in &write.entries {
            work.push_entry(self.group, entry);
        }
    }

    /// Entries from `from` on that lie one after another in one segment, no more of them than may
    /// be wanted.
    fn run(
        &self,
        from: Index,
        to: Index,
        bytes_max: u64,
    ) -> Option<(Vec<Place>, Arc<dyn DiskFile>)> {
        let index = lock(&self.shared.index);
        let mut places = index.groups.get(&self.group)?.places(from, to);
        let first = places.next()?;
        let file = Arc::clone(index.segments.get(&first.segment)?);
        let begin = u64::from(first.offset);
        let most = bytes_max.min(READ_BYTES_MAX);
        let mut run = vec![first];
        let mut end = begin + first.size();
        for place in places {
            let offset = u64::from(place.offset);
            let is_near = place.segment == first.segment
                && offset >= end
                && offset - end <= READ_GAP_MAX
                && offset + place.size() - begin <= most;
            if !is_near {
                break;
            }
            end = offset + place.size();
            run.push(place);
        }
        Some((run, file))
    }

    /// Reads and verifies entries that lie one after another. They share the memory of one read.
    fn read_run(&self, run: &[Place], file: &dyn DiskFile) -> Result<Vec<Entry>, PortError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return Ok(Vec::new());
        };
        let begin = u64::from(first.offset);
        let size = u64::from(last.offset) + last.size() - begin;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let name = files::segment_name(u64::from(first.segment));
        file.read_at(&mut bytes, begin)
            .map_err(|error| PortError::io(format!("read the log segment {name}"), error))?;
        let bytes = Bytes::from(bytes);
        let salt = Salt::new(self.shared.id.log_id, u64::from(first.segment));
        let entry = |place: &Place| {
            let offset = u64::from(place.offset);
            let start = usize::try_from(offset - begin).unwrap_or(usize::MAX);
            match decode_record(&bytes, start, (salt, offset)) {
                Ok(placed) => match placed.record {
                    Record::Entry(entry) => Some(entry),
                    Record::HardState(_)
                    | Record::Truncate(_)
                    | Record::Reset(_)
                    | Record::Purge(_)
                    | Record::Checkpoint(_) => None,
                },
                Err(_) => None,
            }
        };
        let damaged = |place: &Place| {
            let at = place.offset;
            PortError::damaged(format!(
                "the entry at {at} of {name} is not what was written"
            ))
        };
        run.iter()
            .map(|place| entry(place).ok_or_else(|| damaged(place)))
            .collect()
    }
}

/// The term and vote that hold for a node that forgets how it came to them.
fn binding(known: HardState, relied_on: Watermark, own: NodeId) -> HardState {
    // Where both voted, what others rely on counts.
    let HardState { term, vote } = relied_on.hard_state().later(known);
    // In term 0 nobody votes.
    let abstains = (term > Term(0)).then_some(own);
    HardState {
        term,
        vote: vote.or(abstains),
    }
}
