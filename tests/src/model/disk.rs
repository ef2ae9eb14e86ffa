//! A node's storage as a power cut leaves it: every write is atomic, and durable in order.
//!
//! It deliberately knows nothing of files. When a write becomes durable is decided elsewhere.

use std::sync::Arc;

use raft_core::event::Write;
use raft_core::{
    Entry, HardState, Incarnation, Index, Membership, Payload, Position, Recovered, SnapshotMeta,
    Term, Watermark,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub(super) incarnation: Incarnation,
    /// What the log store holds: one atomic write changes it from one image to the next.
    pub(super) image: Image,
    /// The newest complete snapshot; it lies beside the log.
    pub(super) snapshot: Arc<SnapshotMeta>,
    /// What a durable state machine has applied; 0 for one that starts from the snapshot.
    pub(super) applied: Index,
    watermark: Watermark,
    /// What the watermark was when a tail was lost, until the log is that far again.
    lost: Option<Position>,
    /// Where the log of a former life ended.
    former: Index,
    /// The image before the last write, kept where a model lets a tail get lost.
    before: Option<Box<Image>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) hard_state: HardState,
    base: Position,
    entries: Vec<Entry>,
}

impl Image {
    pub(super) fn last(&self) -> Position {
        self.entries.last().map_or(self.base, Entry::position)
    }

    /// The term of the entry at `index`, if it is retained.
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    fn entry(&self, index: Index) -> Option<&Entry> {
        let offset = index.since(self.base.index).checked_sub(1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    fn write(&mut self, write: &Write) -> Result<(), String> {
        if let Some(snapshot) = &write.reset {
            self.base = snapshot.last;
            self.entries.clear();
        }
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(from) = write.truncate {
            if from <= self.base.index || from > self.last().index.next() {
                return Err(format!(
                    "truncates from {from}, the log ends at {}",
                    self.last()
                ));
            }
            self.entries.retain(|entry| entry.index < from);
        }
        for entry in &write.entries {
            if entry.index != self.last().index.next() {
                return Err(format!(
                    "appends {}, the log ends at {}",
                    entry.index,
                    self.last()
                ));
            }
            self.entries.push(entry.clone());
        }
        Ok(())
    }
}

impl Disk {
    /// The disk of a founder, or a blank one if `membership` is.
    pub(super) fn new(incarnation: Incarnation, membership: Arc<Membership>) -> Self {
        let snapshot = SnapshotMeta {
            membership,
            ..SnapshotMeta::default()
        };
        Self {
            incarnation,
            image: Image::default(),
            snapshot: Arc::new(snapshot),
            applied: Index(0),
            watermark: Watermark::default(),
            lost: None,
            former: Index(0),
            before: None,
        }
    }

    /// The disk that takes the place of this one, which is gone.
    pub(super) fn replaced(&self) -> Self {
        // Far enough from any other node's.
        let incarnation = Incarnation(self.incarnation.0 + 100);
        let former = self.image.last().index.max(self.former);
        Self {
            former,
            ..Self::new(incarnation, Arc::default())
        }
    }

    /// The write is durable. `keeps_before` says whether it may get lost all the same.
    pub(super) fn write(&mut self, write: &Write, keeps_before: bool) -> Result<(), String> {
        let before = keeps_before.then(|| Box::new(self.image.clone()));
        self.image.write(write)?;
        self.before = before;
        self.lost = self.lost.filter(|lost| self.image.last() < *lost);
        if self.lost.is_none() {
            let HardState { term, vote } = self.image.hard_state;
            self.watermark = Watermark {
                term,
                vote,
                index: self.image.last().index,
            };
        }
        Ok(())
    }

    /// Whether a write could get lost although it was durable.
    pub(super) fn can_lose(&self) -> bool {
        self.before.is_some()
    }

    /// The last write is lost, whatever was in it. The watermark, kept apart, tells.
    pub(super) fn lose_write(&mut self) {
        if let Some(before) = self.before.take() {
            let lost = Position::new(self.watermark.term, self.watermark.index);
            self.lost = Some(self.lost.map_or(lost, |earlier| earlier.max(lost)));
            self.image = *before;
        }
    }

    /// Whether whoever counts on this node for the entry may do so: it holds it; or it knows that
    /// it held more than it does, and votes for nobody until it does so again; or what held it is
    /// gone together with the right to vote.
    pub(super) fn vouches_for(&self, entry: Position) -> bool {
        self.image.term(entry.index) == Some(entry.term)
            || self.snapshot.last.index >= entry.index
            || self
                .lost
                .is_some_and(|_| self.watermark.index >= entry.index)
            || self.former >= entry.index
    }

    pub(super) fn purge(&mut self, up_to: Index) -> Result<(), String> {
        if up_to > self.snapshot.last.index {
            return Err(format!("purges up to {up_to}, above its snapshot"));
        }
        if let Some(term) = self.image.term(up_to) {
            self.image.base = Position::new(term, up_to);
            self.image.entries.retain(|entry| entry.index > up_to);
            // What is purged was applied long ago; a tail that reaches back there is never lost.
            self.before = None;
        }
        Ok(())
    }

    pub(super) fn read(&self, from: Index, to: Index) -> Vec<Entry> {
        let wanted = self.image.entries.iter();
        wanted
            .filter(|entry| from <= entry.index && entry.index <= to)
            .cloned()
            .collect()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.image.entries
    }

    pub(super) const fn base(&self) -> Position {
        self.image.base
    }

    /// What a server finds here when it starts.
    pub(super) fn recover(&self) -> Recovered {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        let mut memberships = Vec::new();
        for entry in &self.image.entries {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
            if let Payload::Membership(membership) = &entry.payload {
                memberships.push((entry.index, Arc::clone(membership)));
            }
        }
        Recovered {
            incarnation: self.incarnation,
            hard_state: self.image.hard_state,
            snapshot: SnapshotMeta::clone(&self.snapshot),
            base: self.image.base,
            terms,
            last: self.image.last().index,
            memberships,
            applied: self.applied,
            watermark: self.watermark,
            lost: self.lost.is_some(),
        }
    }
}
