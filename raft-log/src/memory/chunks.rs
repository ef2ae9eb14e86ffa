//! The entries of a log in memory, in the pieces in which they were written.
//!
//! To append shares what came, whatever its size. This file knows no base, no term and no snapshot;
//! who calls it has made sure that what is appended fits.

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::{Entries, Entry, Index, Membership, Payload, Position, Term};

/// Contiguous entries.
#[derive(Default)]
pub(super) struct Chunks {
    /// Contiguous, none empty.
    chunks: VecDeque<Entries>,
    weight: u64,
}

/// The first index of a chunk, and the one after its last.
fn first(chunk: &Entries) -> Index {
    chunk.first().map_or(Index(0), |entry| entry.index)
}

fn end(chunk: &Entries) -> Index {
    first(chunk).plus(chunk.len() as u64)
}

/// The place of an index within a chunk, or its end.
fn place(chunk: &Entries, index: Index) -> usize {
    let place = index.since(first(chunk));
    usize::try_from(place).map_or(chunk.len(), |place| place.min(chunk.len()))
}

impl Chunks {
    pub(super) fn len(&self) -> u64 {
        match (self.chunks.front(), self.chunks.back()) {
            (Some(front), Some(back)) => end(back).since(first(front)),
            _ => 0,
        }
    }

    /// What the entries weigh together.
    pub(super) const fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn last(&self) -> Option<&Entry> {
        self.chunks.back()?.last()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn append(&mut self, entries: &Entries) {
        if !entries.is_empty() {
            self.weight += entries.weight();
            self.chunks.push_back(entries.clone());
        }
    }

    /// Every entry from this index on goes.
    pub(super) fn truncate(&mut self, from: Index) {
        while let Some(chunk) = self.chunks.pop_back_if(|chunk| end(chunk) > from) {
            self.weight -= chunk.weight();
            let kept = chunk.part(0..place(&chunk, from));
            self.append(&kept);
        }
    }

    /// Every entry up to this index goes. The last of them, if there was any.
    pub(super) fn purge(&mut self, up_to: Index) -> Option<Position> {
        let mut last = None;
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| first(chunk) <= up_to) {
            self.weight -= chunk.weight();
            let gone = place(&chunk, up_to.next());
            last = chunk[..gone].last().map(Entry::position);
            let kept = chunk.part(gone..chunk.len());
            if !kept.is_empty() {
                self.weight += kept.weight();
                self.chunks.push_front(kept);
            }
        }
        last
    }

    /// The entries of `from..=to`, at least one, then as many as fit into `bytes_max`. None if the
    /// first is not here.
    pub(super) fn read(&self, from: Index, to: Index, bytes_max: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut budget = bytes_max;
        for entry in self.since(from).take_while(|entry| entry.index <= to) {
            if entry.weight() > budget && !entries.is_empty() {
                break;
            }
            budget = budget.saturating_sub(entry.weight());
            entries.push(entry.clone());
        }
        entries
    }

    /// The entries from this index on; none if it is not here.
    fn since(&self, from: Index) -> impl Iterator<Item = &Entry> {
        let is_here = self
            .chunks
            .front()
            .is_some_and(|chunk| first(chunk) <= from);
        let start = match is_here {
            true => self.chunks.partition_point(|chunk| end(chunk) <= from),
            false => self.chunks.len(),
        };
        let chunks = self.chunks.range(start..);
        chunks.flat_map(move |chunk| &chunk[place(chunk, from)..])
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten()
    }

    /// The terms of the entries as runs: each run's first index and its term.
    pub(super) fn terms(&self) -> Vec<(Index, Term)> {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        for entry in self.iter() {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
        }
        terms
    }

    /// The configurations among the entries.
    pub(super) fn memberships(&self) -> Vec<(Index, Arc<Membership>)> {
        let named = |entry: &Entry| match &entry.payload {
            Payload::Membership(membership) => Some((entry.index, Arc::clone(membership))),
            Payload::Noop | Payload::Command(_) => None,
        };
        self.iter().filter_map(named).collect()
    }
}
