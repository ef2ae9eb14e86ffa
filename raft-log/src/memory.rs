//! The log store in memory: for tests, examples and benchmarks, and for state that may be lost.
//!
//! What is written counts as durable at once, and lasts as long as its [`MemoryDisk`]. This file
//! knows no files and never waits; it does not know how snapshots are kept.

mod chunks;
mod image;
mod receive;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use raft_core::event::Write;
use raft_core::port::{
    LogBounds, LogStore, LogUsage, Manifest, PortError, SnapshotReceiver, SnapshotSink,
    SnapshotSource,
};
use raft_core::types::Incarnation;
use raft_core::{Entry, HardState, Index, Position, Recovered, SnapshotMeta, Watermark};

use chunks::Chunks;
use image::{Image, Sink, Source};
use receive::{Half, Receiver};

/// So many complete snapshots are kept: the newest, and the one that takes its place should it
/// turn out to be no good.
const SNAPSHOTS_RETAINED: usize = 2;

/// What a node remembers while its process is down. A clone is the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

/// The log of one group in memory: see [`LogStore`].
///
/// Entries are shared with whoever wrote them, never copied.
pub struct MemoryLog(Owner);

/// Who may use a disk, until somebody else opens it.
#[derive(Clone)]
struct Owner {
    disk: MemoryDisk,
    life: u64,
}

#[derive(Default)]
struct State {
    /// Counts the openings. Only the last one may use the disk: what is left of a process that
    /// died can't disturb the one after it.
    life: u64,
    /// Unbound until it is founded.
    incarnation: Incarnation,
    founding: Arc<SnapshotMeta>,
    hard_state: HardState,
    /// The position before the first entry.
    base: Position,
    log: Chunks,
    /// The complete ones.
    snapshots: BTreeMap<Position, Arc<Image>>,
    /// Where the open snapshots end; those whose source was dropped are dead.
    pins: Vec<Weak<Index>>,
    /// What was received of a snapshot so far.
    half: Option<Half>,
    /// What others rely on and is not here, until the log has reached it again.
    lost: Option<Watermark>,
}

impl MemoryDisk {
    /// Every change is whole before the lock is let go, so a panic elsewhere leaves no half.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    fn lock(&self) -> Result<MutexGuard<'_, State>, PortError> {
        let state = self.disk.lock();
        if state.life == self.life {
            return Ok(state);
        }
        Err(PortError::misused("the disk was opened once more since"))
    }
}

impl MemoryLog {
    /// A log on a disk of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::on(&MemoryDisk::default())
    }

    /// The log on this disk, with all that was written to it. A log that was opened on it before
    /// fails from now on, as that of a process that is gone.
    #[must_use]
    pub fn on(disk: &MemoryDisk) -> Self {
        let mut state = disk.lock();
        state.life += 1;
        Self(Owner {
            disk: disk.clone(),
            life: state.life,
        })
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn last(&self) -> Index {
        self.base.index.plus(self.log.len())
    }

    fn last_position(&self) -> Position {
        self.log.last().map_or(self.base, Entry::position)
    }

    fn snapshot(&self) -> &Arc<SnapshotMeta> {
        let newest = self.snapshots.values().next_back();
        newest.map_or(&self.founding, |image| &image.manifest.meta)
    }

    fn watermark(&self) -> Watermark {
        self.lost.unwrap_or(Watermark {
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            index: self.last(),
        })
    }

    fn check_founded(&self) -> Result<(), PortError> {
        if self.incarnation == Incarnation::UNBOUND {
            return Err(PortError::misused("the log was never founded"));
        }
        Ok(())
    }

    /// Whether all of the writes fit, one after another.
    fn check(&self, writes: &[Write]) -> Result<(), PortError> {
        let bounds = LogBounds {
            base: self.base,
            last: self.last(),
        };
        let covered = self.snapshot().last.index;
        writes.iter().try_fold(bounds, |bounds, write| {
            if let Some(reset) = &write.reset
                && reset.last.index > covered
            {
                return Err(PortError::misused(format!(
                    "a reset to a snapshot that ends at {}, which is not here",
                    reset.last
                )));
            }
            bounds.after(write)
        })?;
        Ok(())
    }

    fn write(&mut self, write: &Write) {
        if let Some(meta) = &write.reset {
            self.base = meta.last;
            self.log.clear();
        }
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(from) = write.truncate {
            self.log.truncate(from);
        }
        self.log.append(&write.entries);
        let last = self.last_position();
        let is_lost = |lost: &Watermark| last < Position::new(lost.term, lost.index);
        self.lost = self.lost.filter(is_lost);
    }

    /// Up to where the log may be dropped: what an older snapshot would need, or a peer that is
    /// being sent one, stays.
    fn purgeable(&mut self, up_to: Index) -> Result<Index, PortError> {
        let covered = self.snapshot().last.index;
        if up_to > covered {
            return Err(PortError::misused(format!(
                "a purge up to {up_to}, while the newest snapshot ends at {covered}"
            )));
        }
        let oldest = self.snapshots.keys().next().map(|last| last.index);
        self.pins.retain(|pin| pin.strong_count() > 0);
        let pinned = self.pins.iter().filter_map(Weak::upgrade);
        let kept = pinned.map(|last| *last).chain(oldest).min();
        Ok(kept.map_or(up_to, |kept| up_to.min(kept)))
    }

    /// One that is there for the same position stays: both stand for the same state.
    fn publish(&mut self, image: Arc<Image>) {
        let last = image.manifest.meta.last;
        self.snapshots.entry(last).or_insert(image);
        while self.snapshots.len() > SNAPSHOTS_RETAINED {
            self.snapshots.pop_first();
        }
    }
}

impl LogStore for MemoryLog {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        let mut state = self.0.lock()?;
        let snapshot = SnapshotMeta::clone(state.snapshot());
        if snapshot.last.index < state.base.index {
            // The snapshot that the log went on from was set aside: the log is no use without it.
            state.lost = Some(state.watermark());
            state.base = snapshot.last;
            state.log.clear();
        }
        Ok(Recovered {
            incarnation: state.incarnation,
            hard_state: state.hard_state,
            snapshot,
            base: state.base,
            terms: state.log.terms(),
            last: state.last(),
            memberships: state.log.memberships(),
            applied: Index(0),
            watermark: state.watermark(),
            lost: state.lost.is_some(),
        })
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        let mut state = self.0.lock()?;
        if state.incarnation != Incarnation::UNBOUND {
            return Err(PortError::misused("the log was founded before"));
        }
        if founding.last != founding.base.index || founding.base != founding.snapshot.last {
            return Err(PortError::misused("a group is founded without entries"));
        }
        state.incarnation = founding.incarnation;
        state.founding = Arc::new(founding.snapshot.clone());
        state.hard_state = founding.hard_state;
        state.base = founding.base;
        Ok(())
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        let mut state = self.0.lock()?;
        state.check_founded()?;
        state.check(writes)?;
        for write in writes {
            state.write(write);
        }
        Ok(())
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        Ok(self.0.lock()?.log.read(from, to, bytes_max))
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        let mut state = self.0.lock()?;
        let up_to = state.purgeable(up_to)?;
        if let Some(last) = state.log.purge(up_to) {
            state.base = last;
        }
        Ok(())
    }

    fn usage(&self) -> LogUsage {
        let state = self.0.disk.lock();
        LogUsage {
            entries: state.log.len(),
            bytes: state.log.weight(),
        }
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        self.0.lock()?.check_founded()?;
        Ok(Box::new(Sink::new(self.0.clone(), meta)))
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        let mut state = self.0.lock()?;
        let Some(image) = state.snapshots.values().next_back().cloned() else {
            return Ok(None);
        };
        let pin = Arc::new(image.manifest.meta.last.index);
        state.pins.retain(|pin| pin.strong_count() > 0);
        state.pins.push(Arc::downgrade(&pin));
        Ok(Some(Box::new(Source::new(image, pin))))
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        match self.0.lock()?.snapshots.remove(&last) {
            Some(_) => Ok(()),
            None => Err(PortError::misused(format!("no snapshot ends at {last}"))),
        }
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        receive::check(&manifest)?;
        let half = self.0.lock()?.half.take();
        let half = half.filter(|half| half.is_of(&manifest));
        let mut half = half.unwrap_or_else(|| Half::new(manifest));
        half.complete()?;
        Ok(Box::new(Receiver::new(self.0.clone(), half)))
    }
}
