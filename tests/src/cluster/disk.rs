//! The disk of one server in a hand-made scenario: what is synced, and what a power cut would lose.
//!
//! It knows the log's rules and nothing of consensus. A snapshot is a copy of the machine.

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::event::Write;
use raft_core::{
    Entry, HardState, Incarnation, Index, Membership, Payload, Position, Recovered, SnapshotMeta,
    Term, Watermark, WriteId,
};

/// A state machine that remembers its commands, and where each stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) applied: Index,
    pub(super) commands: Vec<String>,
}

impl Machine {
    pub(super) fn apply(&mut self, entry: &Entry) {
        assert_eq!(
            entry.index,
            self.applied.next(),
            "entries are applied in order, each once"
        );
        self.applied = entry.index;
        if let Payload::Command(bytes) = &entry.payload {
            self.commands
                .push(String::from_utf8_lossy(bytes).into_owned());
        }
    }
}

/// A snapshot and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) meta: Arc<SnapshotMeta>,
    pub(super) machine: Machine,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) incarnation: Incarnation,
    /// Written but not synced.
    pub(super) pending: VecDeque<Write>,
    /// Synced.
    pub(super) hard_state: HardState,
    base: Position,
    entries: Vec<Entry>,
    /// Never lost; ascending.
    pub(super) snapshots: Vec<Saved>,
    pub(super) watermark: Watermark,
}

impl Disk {
    /// A founder's disk, or with an empty membership the one of a server that waits to be added.
    pub(super) fn new(incarnation: Incarnation, membership: Membership) -> Self {
        let meta = Arc::new(SnapshotMeta {
            membership: Arc::new(membership),
            ..SnapshotMeta::default()
        });
        Self {
            incarnation,
            pending: VecDeque::new(),
            hard_state: HardState::default(),
            base: Position::default(),
            entries: Vec::new(),
            snapshots: vec![Saved {
                meta,
                machine: Machine::default(),
            }],
            watermark: Watermark::default(),
        }
    }

    /// Syncs the oldest write.
    pub(super) fn sync_one(&mut self) -> Option<WriteId> {
        let write = self.pending.pop_front()?;
        let id = write.id;
        self.carry_out(write);
        Some(id)
    }

    fn carry_out(&mut self, write: Write) {
        if let Some(snapshot) = write.reset {
            self.base = snapshot.last;
            self.entries.clear();
        }
        if let Some(hard_state) = write.hard_state {
            let before = self.hard_state;
            assert!(hard_state.term >= before.term, "terms only grow");
            self.hard_state = hard_state;
            self.watermark.term = hard_state.term;
            self.watermark.vote = hard_state.vote;
        }
        if let Some(from) = write.truncate {
            self.entries.retain(|entry| entry.index < from);
            self.watermark.index = self.watermark.index.min(from.prev());
        }
        for entry in &write.entries {
            assert_eq!(entry.index, self.last().next(), "a log has no gaps");
            self.entries.push(entry.clone());
        }
        self.watermark.index = self.watermark.index.max(self.last());
    }

    pub(super) fn last(&self) -> Index {
        self.base.index.plus(self.entries.len() as u64)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries from `from` to `to`, as far as they fit; at least one.
    pub(super) fn read(&self, from: Index, to: Index, bytes_max: u64) -> Vec<Entry> {
        let mut weight = 0;
        let range = self
            .entries
            .iter()
            .filter(|entry| from <= entry.index && entry.index <= to);
        range
            .take_while(|entry| {
                let first = weight == 0;
                weight += entry.weight();
                first || weight <= bytes_max
            })
            .cloned()
            .collect()
    }

    pub(super) fn purge(&mut self, up_to: Index) {
        if let Some(last) = self.entries.iter().find(|entry| entry.index == up_to) {
            self.base = last.position();
            self.entries.retain(|entry| entry.index > up_to);
        }
    }

    /// Puts another history onto the disk, as if it had always been there.
    pub(super) fn rewrite(&mut self, term: u64, entries: Vec<Entry>) {
        self.hard_state = HardState {
            term: Term(term),
            vote: None,
        };
        self.watermark = Watermark::default();
        self.entries = entries;
    }

    /// Loses synced entries, as disks do that lie.
    pub(super) fn lose_after(&mut self, last: Index) {
        self.entries.retain(|entry| entry.index <= last);
    }

    pub(super) fn newest(&self) -> &Saved {
        self.snapshots.last().expect("the first snapshot stays")
    }

    pub(super) fn save(&mut self, saved: Saved) {
        self.snapshots.push(saved);
        self.snapshots.sort_by_key(|saved| saved.meta.last);
    }

    /// What a restart finds.
    pub(super) fn recovered(&self) -> Recovered {
        let snapshot = SnapshotMeta::clone(&self.newest().meta);
        let mut terms: Vec<(Index, Term)> = Vec::new();
        let mut memberships = Vec::new();
        for entry in &self.entries {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
            if let Payload::Membership(membership) = &entry.payload {
                memberships.push((entry.index, Arc::clone(membership)));
            }
        }
        Recovered {
            incarnation: self.incarnation,
            hard_state: self.hard_state,
            applied: snapshot.last.index,
            snapshot,
            base: self.base,
            terms,
            last: self.last(),
            memberships,
            watermark: self.watermark,
            lost: false,
        }
    }
}
