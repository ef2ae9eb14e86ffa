//! The log store as the contract has it, in memory, and the judgement on what a store answers.
//!
//! It keeps every entry since the last reset, since a store may keep what was purged. It does not
//! know how a store does it.

use std::sync::Arc;

use crate::entry::{Entry, HardState, Payload, Recovered, SnapshotMeta, Watermark};
use crate::event::Write;
use crate::membership::Membership;
use crate::types::{Incarnation, Index, Position, Term};

/// What a sound store holds.
pub(super) struct Model {
    pub(super) incarnation: Incarnation,
    pub(super) hard_state: HardState,
    /// The newest complete one, or the founding state.
    pub(super) snapshot: SnapshotMeta,
    /// Where the log begins that was never purged: at the last reset.
    pub(super) floor: Position,
    /// Up to here the store may have dropped entries; at or above the floor.
    pub(super) purged: Index,
    /// Everything after `floor`.
    log: Vec<Entry>,
}

impl Model {
    pub(super) fn founded(founding: &Recovered) -> Self {
        Self {
            incarnation: founding.incarnation,
            hard_state: founding.hard_state,
            snapshot: founding.snapshot.clone(),
            floor: founding.base,
            purged: founding.base.index,
            log: Vec::new(),
        }
    }

    pub(super) fn last(&self) -> Index {
        self.floor.index.plus(self.log.len() as u64)
    }

    pub(super) fn last_term(&self) -> Term {
        self.log.last().map_or(self.floor.term, |entry| entry.term)
    }

    /// What is at an index above the floor.
    pub(super) fn entry(&self, index: Index) -> Option<&Entry> {
        let place = index.since(self.floor.index).checked_sub(1)?;
        self.log.get(usize::try_from(place).ok()?)
    }

    fn after(&self, base: Index) -> &[Entry] {
        let place = usize::try_from(base.since(self.floor.index)).unwrap_or(usize::MAX);
        self.log.get(place..).unwrap_or_default()
    }

    fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.floor.index {
            return Some(self.floor.term);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// What a snapshot that ends at an entry of the log stands for.
    pub(super) fn meta_at(&self, index: Index) -> SnapshotMeta {
        let mut meta = self.snapshot.clone();
        for entry in self.log.iter().take_while(|entry| entry.index <= index) {
            meta.last = entry.position();
            if let Payload::Membership(membership) = &entry.payload {
                meta.membership = Arc::clone(membership);
                meta.membership_index = entry.index;
            }
        }
        meta
    }

    pub(super) fn write(&mut self, write: &Write) {
        if let Some(meta) = &write.reset {
            self.floor = meta.last;
            self.purged = meta.last.index;
            self.log.clear();
        }
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(from) = write.truncate {
            self.log.retain(|entry| entry.index < from);
        }
        self.log.extend(write.entries.iter().cloned());
    }

    pub(super) fn add_snapshot(&mut self, meta: &SnapshotMeta) {
        if meta.last.index > self.snapshot.last.index {
            self.snapshot = meta.clone();
        }
    }

    pub(super) fn purge(&mut self, up_to: Index) {
        self.purged = self.purged.max(up_to.min(self.last()));
    }

    /// What is wrong with what a store recovered.
    pub(super) fn judge_recovered(&self, found: &Recovered) -> Result<(), String> {
        let base = found.base.index;
        if base < self.floor.index || base > self.purged {
            let (floor, purged) = (self.floor.index, self.purged);
            return Err(format!("base {base} is not in {floor}..={purged}"));
        }
        let expected = Recovered {
            incarnation: self.incarnation,
            hard_state: self.hard_state,
            snapshot: self.snapshot.clone(),
            base: Position::new(self.term_at(base).unwrap_or_default(), base),
            terms: runs(self.after(base)),
            last: self.last(),
            memberships: memberships(self.after(base)),
            applied: Index(0),
            watermark: Watermark {
                term: self.hard_state.term,
                vote: self.hard_state.vote,
                index: self.last(),
            },
            lost: false,
        };
        if *found == expected {
            return Ok(());
        }
        Err(format!("recovered\n{found:?}, not\n{expected:?}"))
    }

    /// What is wrong with what a store read.
    pub(super) fn judge_read(
        &self,
        (from, to): (Index, Index),
        bytes_max: u64,
        found: &[Entry],
    ) -> Result<(), String> {
        let mut expected = Vec::new();
        let mut bytes = 0;
        let mut index = from;
        while index <= to
            && let Some(entry) = self.entry(index)
        {
            bytes += entry.weight();
            if bytes > bytes_max && !expected.is_empty() {
                break;
            }
            expected.push(entry.clone());
            index = index.next();
        }
        let may_be_gone = from <= self.purged && found.is_empty();
        if found == expected || may_be_gone {
            return Ok(());
        }
        let (found, expected) = (summary(found), summary(&expected));
        Err(format!(
            "read {from}..={to} within {bytes_max} bytes gave {found}, not {expected}"
        ))
    }

    /// What is wrong with how many entries a store says it retains.
    pub(super) fn judge_count(&self, entries: u64) -> Result<(), String> {
        let least = self.last().since(self.purged);
        let most = self.last().since(self.floor.index);
        if (least..=most).contains(&entries) {
            return Ok(());
        }
        Err(format!("{entries} entries retained, not {least}..={most}"))
    }
}

fn runs(entries: &[Entry]) -> Vec<(Index, Term)> {
    let mut runs: Vec<(Index, Term)> = Vec::new();
    for entry in entries {
        if runs.last().is_none_or(|(_, term)| *term != entry.term) {
            runs.push((entry.index, entry.term));
        }
    }
    runs
}

fn memberships(entries: &[Entry]) -> Vec<(Index, Arc<Membership>)> {
    let named = |entry: &Entry| match &entry.payload {
        Payload::Membership(membership) => Some((entry.index, Arc::clone(membership))),
        Payload::Noop | Payload::Command(_) => None,
    };
    entries.iter().filter_map(named).collect()
}

/// Large commands are not worth printing.
fn summary(entries: &[Entry]) -> String {
    let one = |entry: &Entry| {
        let kind = match &entry.payload {
            Payload::Noop => "noop".to_owned(),
            Payload::Command(bytes) => format!("command of {} bytes", bytes.len()),
            Payload::Membership(_) => "membership".to_owned(),
        };
        format!("{} {kind}", entry.position())
    };
    format!("{:?}", entries.iter().map(one).collect::<Vec<_>>())
}
