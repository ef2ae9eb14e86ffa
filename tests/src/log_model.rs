//! What the log of one group must hold, kept in memory; and random writes that keep the contract.
//!
//! A log is compared with it through the port alone. This file knows no disk.

mod step;

use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::LogStore;
use raft_core::sim::rng::Rng;
use raft_core::types::{Incarnation, WriteId};
use raft_core::{
    Entry, HardState, Index, Member, Membership, NodeId, Payload, Position, Recovered,
    SnapshotMeta, Term,
};

pub use step::{SnapshotTrouble, Step, verify_snapshot};

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogModel {
    /// Unbound as long as the log was not founded.
    incarnation: Incarnation,
    hard_state: HardState,
    snapshot: SnapshotMeta,
    /// The position before the first of `entries`.
    base: Position,
    /// Up to here the log may have dropped them, or not.
    purged: Index,
    entries: Vec<Entry>,
    /// The last write.
    id: WriteId,
}

impl LogModel {
    /// What a new log is founded with.
    #[must_use]
    pub fn founding() -> Recovered {
        Recovered::bootstrap(Incarnation(77), members(1))
    }

    /// The last index.
    #[must_use]
    pub fn last(&self) -> Index {
        self.base.index.plus(self.entries.len() as u64)
    }

    /// The newest snapshot.
    #[must_use]
    pub const fn snapshot(&self) -> &SnapshotMeta {
        &self.snapshot
    }

    /// Whether the log was founded.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.incarnation != Incarnation::UNBOUND
    }

    /// Every entry from its first one on, also those that the log may have dropped.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Term and vote.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The log was founded.
    pub fn found(&mut self, founding: &Recovered) {
        self.incarnation = founding.incarnation;
        self.snapshot = founding.snapshot.clone();
        self.base = founding.base;
        self.purged = founding.base.index;
    }

    /// A write was carried out.
    pub fn apply(&mut self, write: &Write) {
        if let Some(meta) = &write.reset {
            self.entries.clear();
            self.base = meta.last;
            self.purged = meta.last.index;
        }
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        if let Some(from) = write.truncate {
            self.entries.retain(|entry: &Entry| entry.index < from);
        }
        self.entries.extend(write.entries.iter().cloned());
        self.id = write.id;
    }

    /// A snapshot was finished.
    pub fn take(&mut self, meta: &SnapshotMeta) {
        if meta.last > self.snapshot.last {
            self.snapshot = meta.clone();
        }
    }

    /// The log was allowed to drop entries.
    pub fn purge(&mut self, up_to: Index) {
        let covered = up_to.min(self.snapshot.last.index).min(self.last());
        self.purged = self.purged.max(covered);
    }

    /// The position of an entry that is there, or of the base.
    #[must_use]
    pub fn position(&self, index: Index) -> Option<Position> {
        if index == self.base.index {
            return Some(self.base);
        }
        let place = usize::try_from(index.since(self.base.index)).ok()?;
        self.entries.get(place.checked_sub(1)?).map(Entry::position)
    }

    /// Says in what the log differs from this.
    ///
    /// # Errors
    /// If it does.
    pub fn compare(&self, found: &Recovered, log: &dyn LogStore) -> Result<(), String> {
        if found.lost {
            return Err(format!("it thinks that it lost {:?}", found.watermark));
        }
        let base = found.base.index;
        if base < self.base.index || base > self.purged || self.position(base) != Some(found.base) {
            let here = (self.base, self.purged, found.base);
            return Err(format!("the base is none of those it can be: {here:?}"));
        }
        let kept = &self.entries[usize::try_from(base.since(self.base.index)).unwrap_or(0)..];
        let expected = Recovered {
            incarnation: self.incarnation,
            hard_state: self.hard_state,
            snapshot: self.snapshot.clone(),
            base: found.base,
            terms: terms(kept),
            last: self.last(),
            memberships: memberships(kept),
            applied: Index(0),
            watermark: found.watermark,
            lost: false,
        };
        if *found != expected {
            return Err(format!("expected {expected:?}, found {found:?}"));
        }
        if found.watermark.index > found.last || found.watermark.term > found.hard_state.term {
            return Err(format!("nothing is lost, yet {:?}", found.watermark));
        }
        self.compare_snapshot(log)?;
        let read = log.read(base.next(), self.last(), u64::MAX);
        match read {
            Ok(entries) if entries == kept => Ok(()),
            Ok(entries) => Err(format!(
                "of {} entries {} differ",
                kept.len(),
                entries.len()
            )),
            Err(error) => Err(format!("can't be read: {error}")),
        }
    }

    fn compare_snapshot(&self, log: &dyn LogStore) -> Result<(), String> {
        match log.open_snapshot() {
            Ok(Some(source)) if *source.manifest().meta != self.snapshot => {
                Err(format!("the snapshot is of {:?}", source.manifest().meta))
            }
            Ok(Some(source)) => {
                verify_snapshot(&*source).map_err(|trouble| format!("the snapshot: {trouble:?}"))
            }
            // What a log was founded with stands for nothing that could be restored.
            Ok(None) if self.snapshot.last.index == Index(0) => Ok(()),
            Ok(None) => Err(format!("the snapshot {:?} is missing", self.snapshot.last)),
            Err(error) => Err(format!("the snapshot can't be opened: {error}")),
        }
    }

    /// A write that may follow.
    pub fn draw(&self, rng: &mut Rng, bytes_max: u64) -> Write {
        let mut write = Write {
            id: self.id.next(),
            ..Write::default()
        };
        let mut hard_state = self.hard_state;
        if hard_state.term == Term(0) || rng.chance(120_000) {
            let vote = rng.chance(500_000).then(|| NodeId(rng.between(1, 5)));
            let term = hard_state.term.next();
            hard_state = HardState { term, vote };
        } else if hard_state.vote.is_none() && rng.chance(200_000) {
            hard_state.vote = Some(NodeId(rng.between(1, 5)));
        }
        write.hard_state = (hard_state != self.hard_state).then_some(hard_state);
        let mut last = self.last();
        let floor = self.snapshot.last.index.max(self.purged);
        // Raft removes only what an earlier leader left (§5.3).
        let is_left = self
            .position(last)
            .is_some_and(|at| at.term < hard_state.term);
        if is_left && last > floor && rng.chance(400_000) {
            let from = Index(rng.between(floor.next().0, last.0));
            write.truncate = Some(from);
            last = from.prev();
        }
        let is_plain = write.hard_state.is_none() && write.truncate.is_none();
        if is_plain || rng.chance(500_000) {
            let count = rng.magnitude(1, 8);
            let entry = |place| entry(rng, hard_state.term, last.plus(place), bytes_max);
            write.entries = (1..=count).map(entry).collect();
        }
        write
    }

    /// A write that replaces the log by the newest snapshot, with what may come with it.
    pub fn draw_reset(&self, rng: &mut Rng, bytes_max: u64) -> Write {
        let meta = Arc::new(self.snapshot.clone());
        let term = self.hard_state.term.max(meta.last.term);
        let mut write = Write {
            id: self.id.next(),
            ..Write::default()
        };
        if term > self.hard_state.term {
            write.hard_state = Some(HardState { term, vote: None });
        }
        if rng.chance(500_000) {
            let entry = |place| entry(rng, term, meta.last.index.plus(place), bytes_max);
            write.entries = (1..=2).map(entry).collect();
        }
        write.reset = Some(meta);
        write
    }

    /// What a snapshot of the log's own state at some index stands for; `None` if there is nothing
    /// new.
    pub fn draw_snapshot(&self, rng: &mut Rng) -> Option<SnapshotMeta> {
        let from = self.snapshot.last.index.max(self.base.index).next();
        let last = self.position(Index(rng.between(from.0, self.last().0)))?;
        (last.index >= from && last > self.snapshot.last).then(|| self.meta(last))
    }

    /// What a snapshot from a peer stands for, beyond the end of this log.
    pub fn draw_received(&self, rng: &mut Rng) -> SnapshotMeta {
        let index = self
            .last()
            .max(self.snapshot.last.index)
            .plus(rng.between(1, 20));
        let term = Term(self.hard_state.term.0.max(1) + rng.below(2));
        self.meta(Position::new(term, index))
    }

    fn meta(&self, last: Position) -> SnapshotMeta {
        SnapshotMeta {
            last,
            ..self.snapshot.clone()
        }
    }
}

fn members(count: u64) -> Membership {
    let voter = |id| (NodeId(id), Member::at(format!("host-{id}:1")));
    Membership::of_voters((1..=count).map(voter))
}

fn entry(rng: &mut Rng, term: Term, index: Index, bytes_max: u64) -> Entry {
    let payload = match rng.below(10) {
        0 => Payload::Noop,
        1 => Payload::Membership(Arc::new(members(rng.between(1, 5)))),
        _ => Payload::Command(command(rng, bytes_max)),
    };
    Entry {
        term,
        index,
        payload,
    }
}

/// No two are alike, not even in part.
fn command(rng: &mut Rng, bytes_max: u64) -> Bytes {
    let size = usize::try_from(rng.magnitude(1, bytes_max)).unwrap_or(1);
    let mut stream = rng.fork();
    let words = std::iter::repeat_with(|| stream.draw().to_le_bytes());
    words.flatten().take(size).collect()
}

fn terms(entries: &[Entry]) -> Vec<(Index, Term)> {
    let mut runs: Vec<(Index, Term)> = Vec::new();
    for entry in entries {
        if runs.last().is_none_or(|(_, term)| *term != entry.term) {
            runs.push((entry.index, entry.term));
        }
    }
    runs
}

fn memberships(entries: &[Entry]) -> Vec<(Index, Arc<Membership>)> {
    let membership = |entry: &Entry| match &entry.payload {
        Payload::Membership(membership) => Some((entry.index, Arc::clone(membership))),
        Payload::Noop | Payload::Command(_) => None,
    };
    entries.iter().filter_map(membership).collect()
}
