//! One node's disk: what is durable, what was only issued, and what a crash makes of the two.
//!
//! A write is atomic and writes are ordered, as the log store's contract says: so a crash keeps
//! some prefix of what was issued. This file does not know when a sync ends, who waits for it, or
//! what Raft is; it refuses only what no log store could carry out.

mod image;
mod store;

pub use image::{Image, ImageSink};
pub use store::DiskStore;

use std::collections::VecDeque;
use std::sync::Arc;

use super::ghost::Violation;
use super::rng::Rng;
use crate::entry::{Entry, HardState, Payload, Recovered, SnapshotMeta, Watermark};
use crate::event::Write;
use crate::types::{Incarnation, Index, Position, Term, WriteId};

/// So many complete snapshots are kept: the newest, and the one that a peer may be fetching.
const SNAPSHOTS_KEPT: usize = 2;
/// So many earlier terms and votes are remembered, for a lost tail to bring back.
const PAST_STATES_KEPT: usize = 4;

/// A simulated disk. It outlives the process that uses it.
#[derive(Debug)]
pub struct Disk {
    incarnation: Incarnation,
    hard_state: HardState,
    /// What `hard_state` was before, with the last index of the log at that time.
    past_states: VecDeque<(Index, HardState)>,
    /// What the server was founded with; the snapshot of index 0.
    founding: Arc<SnapshotMeta>,
    /// Complete snapshots, the newest last.
    snapshots: Vec<Arc<Image>>,
    base: Position,
    /// The durable log after `base`.
    log: VecDeque<Entry>,
    watermark: Watermark,
    /// What was acknowledged and lost; it holds until the log has reached it again, so that a crash
    /// in between does not make the loss forgotten.
    lost: Option<Position>,
    /// Issued, not durable, in order.
    queue: VecDeque<Write>,
    /// How many at the front of the queue the sync under way covers.
    syncing: usize,
}

impl Disk {
    /// The disk of a founder.
    #[must_use]
    pub fn founded(recovered: &Recovered) -> Self {
        let mut disk = Self::blank(recovered.incarnation);
        disk.founding = Arc::new(recovered.snapshot.clone());
        disk
    }

    /// An empty disk.
    #[must_use]
    pub fn blank(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            hard_state: HardState::default(),
            past_states: VecDeque::new(),
            founding: Arc::default(),
            snapshots: Vec::new(),
            base: Position::default(),
            log: VecDeque::new(),
            watermark: Watermark::default(),
            lost: None,
            queue: VecDeque::new(),
            syncing: 0,
        }
    }

    /// Which life of the storage this is.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The last durable entry's index.
    #[must_use]
    pub fn last(&self) -> Index {
        self.base.index.plus(self.log.len() as u64)
    }

    /// The position just before the first entry kept.
    #[must_use]
    pub const fn base(&self) -> Position {
        self.base
    }

    /// The durable entries.
    pub fn log(&mut self) -> &[Entry] {
        self.log.make_contiguous()
    }

    /// Whether the end of the log was lost, and is not yet here again.
    #[must_use]
    pub const fn lacks_tail(&self) -> bool {
        self.lost.is_some()
    }

    /// What stands for the newest complete snapshot, or for the founding state.
    #[must_use]
    pub fn snapshot_meta(&self) -> &Arc<SnapshotMeta> {
        self.snapshots
            .last()
            .map_or(&self.founding, |image| &image.meta)
    }

    /// The complete snapshot that ends there.
    #[must_use]
    pub fn snapshot(&self, last: Position) -> Option<&Arc<Image>> {
        self.snapshots.iter().find(|image| image.meta.last == last)
    }

    /// The newest complete snapshot.
    #[must_use]
    pub fn snapshot_newest(&self) -> Option<&Arc<Image>> {
        self.snapshots.last()
    }

    /// A snapshot is no use any more. False if there is none that ends there.
    pub fn remove_snapshot(&mut self, last: Position) -> bool {
        let before = self.snapshots.len();
        self.snapshots.retain(|image| image.meta.last != last);
        self.snapshots.len() < before
    }

    /// A snapshot is complete and durable.
    pub fn add_snapshot(&mut self, image: Arc<Image>) {
        self.snapshots.push(image);
        self.snapshots.sort_by_key(|image| image.meta.last.index);
        self.snapshots.dedup_by_key(|image| image.meta.last);
        // A write that is not durable yet may still ask for an old one.
        let asked_for = |image: &Image| {
            let resets = self.queue.iter().filter_map(|write| write.reset.as_ref());
            resets
                .into_iter()
                .any(|reset| reset.last == image.meta.last)
        };
        let old = self.snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        let gone = self
            .snapshots
            .iter()
            .take(old)
            .position(|image| !asked_for(image));
        if let Some(gone) = gone {
            self.snapshots.remove(gone);
        }
    }

    /// A write is issued.
    pub fn issue(&mut self, write: Write) {
        self.queue.push_back(write);
    }

    /// Whether something waits to be synced, and no sync is under way.
    #[must_use]
    pub fn wants_sync(&self) -> bool {
        self.syncing == 0 && !self.queue.is_empty()
    }

    /// Whether anything issued is not durable.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.queue.is_empty()
    }

    /// A sync begins; it covers at most `writes_max` of what waits.
    pub fn begin_sync(&mut self, writes_max: u64) {
        self.syncing = self
            .queue
            .len()
            .min(usize::try_from(writes_max).unwrap_or(usize::MAX));
    }

    /// The sync under way has ended: its writes are durable, `each` is told of one after another.
    ///
    /// # Errors
    /// When a write can't be carried out, or `each` objects.
    pub fn end_sync(
        &mut self,
        mut each: impl FnMut(&Write) -> Result<(), Violation>,
    ) -> Result<Option<WriteId>, Violation> {
        let mut last = None;
        for _ in 0..std::mem::take(&mut self.syncing) {
            if let Some(write) = self.queue.pop_front() {
                last = Some(write.id);
                each(&write)?;
                self.make_durable(&write)?;
            }
        }
        Ok(last)
    }

    /// The process or the machine dies: of what was issued a random prefix survives, and `each` is
    /// told of it. How many writes were lost.
    ///
    /// # Errors
    /// When a write can't be carried out, or `each` objects.
    pub fn crash(
        &mut self,
        rng: &mut Rng,
        each: impl FnMut(&Write) -> Result<(), Violation>,
    ) -> Result<usize, Violation> {
        self.syncing = rng.place(self.queue.len() + 1);
        self.end_sync(each)?;
        let lost = self.queue.len();
        self.queue.clear();
        Ok(lost)
    }

    fn make_durable(&mut self, write: &Write) -> Result<(), Violation> {
        if let Some(meta) = &write.reset {
            if self.snapshot(meta.last).is_none() {
                return Err(broken(format!("reset to {}, which is not here", meta.last)));
            }
            self.base = meta.last;
            self.log.clear();
        }
        if let Some(hard_state) = write.hard_state {
            self.past_states.push_back((self.last(), self.hard_state));
            if self.past_states.len() > PAST_STATES_KEPT {
                self.past_states.pop_front();
            }
            self.hard_state = hard_state;
        }
        if let Some(from) = write.truncate {
            if from <= self.base.index || from > self.last().next() {
                return Err(broken(format!(
                    "truncate {from}, log ends at {}",
                    self.last()
                )));
            }
            self.log.truncate(place(from.since(self.base.index) - 1));
        }
        for entry in &write.entries {
            if entry.index != self.last().next() {
                return Err(broken(format!(
                    "append {}, log ends at {}",
                    entry.index,
                    self.last()
                )));
            }
            self.log.push_back(entry.clone());
        }
        self.lost = self.lost.filter(|lost| self.last_position() < *lost);
        if self.lost.is_none() {
            self.watermark = Watermark {
                term: self.hard_state.term,
                vote: self.hard_state.vote,
                index: self.last(),
            };
        }
        Ok(())
    }

    fn last_position(&self) -> Position {
        self.log.back().map_or(self.base, Entry::position)
    }

    /// Entries at or below this index may go.
    ///
    /// # Errors
    /// When no snapshot stands for them.
    pub fn purge(&mut self, up_to: Index) -> Result<(), Violation> {
        self.check_purge(up_to)?;
        while self.base.index < up_to {
            match self.log.pop_front() {
                Some(entry) => self.base = entry.position(),
                None => break,
            }
        }
        Ok(())
    }

    fn check_purge(&self, up_to: Index) -> Result<(), Violation> {
        let covered = self.snapshot_meta().last.index;
        if up_to > covered {
            let detail = format!("purge up to {up_to}, but the snapshot ends at {covered}");
            return Err(Violation {
                invariant: "purge-beyond-snapshot",
                detail,
            });
        }
        Ok(())
    }

    /// The entry as a process reads it: what was issued counts as if it were durable.
    fn entry(&self, index: Index) -> Option<&Entry> {
        for write in self.queue.iter().rev() {
            if let Some(first) = write.entries.first()
                && index >= first.index
            {
                return write.entries.get(place(index.since(first.index)));
            }
            let hidden = write.reset.is_some() || write.truncate.is_some_and(|from| index >= from);
            if hidden {
                return None;
            }
        }
        let offset = index.since(self.base.index).checked_sub(1)?;
        self.log.get(place(offset))
    }

    /// The entries of `from..=to`, after the first one no more than fit into `bytes_max`; none if
    /// the first is not there any more.
    #[must_use]
    pub fn read(&self, from: Index, to: Index, bytes_max: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut index = from;
        while index <= to
            && let Some(entry) = self.entry(index)
        {
            bytes += entry.weight();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
            index = index.next();
        }
        entries
    }

    /// The end of the log is lost, down to `keep_min` at most, and with it perhaps the latest term
    /// and vote. The watermark is kept. False if there was nothing to lose.
    pub fn lose_tail(&mut self, rng: &mut Rng, keep_min: Index) -> bool {
        let floor = keep_min.max(self.base.index);
        let lossable = self.last().since(floor);
        if lossable == 0 {
            return false;
        }
        let most = lossable.min(1 + rng.below(64));
        let keep = self.last().0 - rng.between(1, most);
        self.log.truncate(place(Index(keep).since(self.base.index)));
        let lost = Position::new(self.watermark.term, self.watermark.index);
        self.lost = Some(self.lost.map_or(lost, |earlier| earlier.max(lost)));
        // Records of term and vote lie in the log: those after the last one kept are lost too. The
        // record of a term lies before the entries of that term.
        let term_kept = self.last_position().term;
        while let Some((written_at, before)) = self.past_states.pop_back() {
            if written_at <= Index(keep) || before.term < term_kept {
                self.past_states.push_back((written_at, before));
                break;
            }
            self.hard_state = before;
        }
        true
    }

    /// What a process finds here when it starts, `applied` being what its machine remembers.
    #[must_use]
    pub fn recover(&self, applied: Index) -> Recovered {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        let mut memberships = Vec::new();
        for entry in &self.log {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
            if let Payload::Membership(membership) = &entry.payload {
                memberships.push((entry.index, membership.clone()));
            }
        }
        Recovered {
            incarnation: self.incarnation,
            hard_state: self.hard_state,
            snapshot: SnapshotMeta::clone(self.snapshot_meta()),
            base: self.base,
            terms,
            last: self.last(),
            memberships,
            applied,
            watermark: self.watermark,
            lost: self.lost.is_some(),
        }
    }
}

fn broken(detail: String) -> Violation {
    Violation {
        invariant: "log-store-contract",
        detail,
    }
}

/// A distance within a log that is in memory.
fn place(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(term: u64, index: u64) -> Entry {
        Entry {
            term: Term(term),
            index: Index(index),
            payload: Payload::Noop,
        }
    }

    fn write(id: u64, truncate: Option<u64>, entries: &[(u64, u64)]) -> Write {
        Write {
            id: WriteId(id),
            truncate: truncate.map(Index),
            entries: entries
                .iter()
                .map(|(term, index)| entry(*term, *index))
                .collect(),
            hard_state: Some(HardState {
                term: Term(id),
                vote: None,
            }),
            ..Write::default()
        }
    }

    fn sync(disk: &mut Disk) -> Option<WriteId> {
        disk.begin_sync(u64::MAX);
        disk.end_sync(|_| Ok(())).expect("legal writes")
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_whole_writes() {
        let mut lengths = [false; 4];
        for seed in 0..50 {
            let mut disk = Disk::blank(Incarnation(1));
            disk.issue(write(1, None, &[(1, 1)]));
            disk.issue(write(2, None, &[(1, 2), (1, 3)]));
            let lost = disk
                .crash(&mut Rng::new(seed), |_| Ok(()))
                .expect("legal writes");
            let last = disk.last().0;
            assert_eq!(last, [3, 1, 0][lost]);
            assert_eq!(disk.recover(Index(0)).watermark.index, Index(last));
            lengths[usize::try_from(last).expect("small")] = true;
        }
        assert_eq!(lengths, [true, true, false, true]);
    }

    #[test]
    fn what_was_issued_is_read_but_not_recovered() {
        let mut disk = Disk::blank(Incarnation(1));
        disk.issue(write(1, None, &[(1, 1), (1, 2), (1, 3)]));
        assert_eq!(sync(&mut disk), Some(WriteId(1)));
        disk.issue(write(2, Some(2), &[(2, 2)]));
        let read = disk.read(Index(1), Index(9), u64::MAX);
        assert_eq!(read, [entry(1, 1), entry(2, 2)]);
        assert_eq!(disk.recover(Index(0)).terms, [(Index(1), Term(1))]);
        assert_eq!(disk.recover(Index(0)).last, Index(3));
        sync(&mut disk);
        assert_eq!(
            disk.recover(Index(0)).terms,
            [(Index(1), Term(1)), (Index(2), Term(2))]
        );
    }

    #[test]
    fn a_lost_tail_leaves_the_watermark() {
        let mut disk = Disk::blank(Incarnation(1));
        disk.issue(write(1, None, &[(1, 1), (1, 2), (1, 3)]));
        sync(&mut disk);
        assert!(disk.lose_tail(&mut Rng::new(3), Index(0)));
        let recovered = disk.recover(Index(0));
        assert!(recovered.last < Index(3));
        assert_eq!(
            recovered.watermark,
            Watermark {
                term: Term(1),
                vote: None,
                index: Index(3)
            }
        );
        assert!(!Disk::blank(Incarnation(1)).lose_tail(&mut Rng::new(3), Index(0)));
    }

    #[test]
    fn a_gap_or_an_early_purge_is_a_violation() {
        let mut disk = Disk::blank(Incarnation(1));
        disk.issue(write(1, None, &[(1, 2)]));
        disk.begin_sync(9);
        let refused = disk.end_sync(|_| Ok(())).expect_err("a gap");
        assert_eq!(refused.invariant, "log-store-contract");
        assert_eq!(
            disk.purge(Index(1)).expect_err("early").invariant,
            "purge-beyond-snapshot"
        );
    }
}
