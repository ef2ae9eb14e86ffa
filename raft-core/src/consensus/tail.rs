//! The newest entries of the log, as they came: one piece a message or a batch of proposals.
//!
//! Whoever needs entries shares a piece, so that the write, the messages and the state machine's
//! work hold the same entries in memory. Only what lies in several pieces is copied. This file does
//! not know terms, nor what may go.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use crate::entries::Entries;
use crate::entry::Entry;
use crate::types::Index;

#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Tail {
    /// Contiguous, and none is empty.
    pieces: VecDeque<Piece>,
    /// Appended one by one since the last piece, contiguous with it; the next piece.
    open: Vec<Entry>,
    /// The summed weight of all entries ever appended, up to just before the tail.
    weight_before: u64,
    /// The same up to the tail's last entry.
    weight: u64,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Piece {
    /// Of the first entry; kept here, where a search finds it without following a pointer.
    first: Index,
    /// At least one. A part keeps the whole from which it was cut in memory, which is bounded by
    /// what one message or one batch brings.
    entries: Entries,
    /// The summed weight up to and including the last entry; a difference of two gives a range's.
    weight_to: u64,
}

impl Tail {
    pub(super) fn push(&mut self, entry: Entry) {
        self.weight += entry.weight();
        self.open.push(entry);
    }

    /// Appends entries that came together.
    pub(super) fn extend(&mut self, entries: Entries) {
        self.close();
        self.weight += entries.weight();
        self.push_piece(entries);
    }

    /// Makes a piece of what was appended one by one, so that all who ask for it share it.
    fn close(&mut self) {
        if !self.open.is_empty() {
            // `open` keeps its room for the next batch.
            let entries = self.open.drain(..).collect();
            self.push_piece(entries);
        }
    }

    fn push_piece(&mut self, entries: Entries) {
        if let Some(first) = entries.first() {
            self.pieces.push_back(Piece {
                first: first.index,
                entries,
                weight_to: self.weight,
            });
        }
    }

    /// Removes the entries from `from` on.
    pub(super) fn truncate(&mut self, from: Index) {
        self.close();
        while self.pieces.back().is_some_and(|piece| piece.first >= from) {
            self.pieces.pop_back();
        }
        if let Some(piece) = self.pieces.back_mut()
            && piece.last() >= from
        {
            piece.weight_to = piece.weight_before(from);
            piece.entries = piece.part(piece.first, from.prev());
        }
        self.weight = match self.pieces.back() {
            Some(piece) => piece.weight_to,
            None => self.weight_before,
        };
    }

    /// Removes the entries at and below `up_to`.
    pub(super) fn compact(&mut self, up_to: Index) {
        self.close();
        while self
            .pieces
            .front()
            .is_some_and(|piece| piece.last() <= up_to)
        {
            self.pop_front();
        }
        if let Some(piece) = self.pieces.front_mut()
            && piece.first <= up_to
        {
            self.weight_before = piece.weight_before(up_to.next());
            piece.entries = piece.part(up_to.next(), piece.last());
            piece.first = up_to.next();
        }
    }

    /// Drops the oldest pieces, none with entries above `keep_after`, while more than `bytes_max`
    /// are held.
    pub(super) fn evict(&mut self, keep_after: Index, bytes_max: u64) {
        self.close();
        while self.weight - self.weight_before > bytes_max
            && self
                .pieces
                .front()
                .is_some_and(|piece| piece.last() <= keep_after)
        {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(piece) = self.pieces.pop_front() {
            self.weight_before = piece.weight_to;
        }
    }

    /// The entries from `from` to `to`: at least one, then as many as fit into `bytes_max`. `None`
    /// if the first is not here.
    pub(super) fn range(&mut self, from: Index, to: Index, bytes_max: u64) -> Option<Entries> {
        self.close();
        let at = self.find(from)?;
        let piece = self.pieces.get(at).filter(|piece| from <= piece.last())?;
        let limit = piece.weight_before(from).saturating_add(bytes_max);
        let end = self.end(at, from, to, limit);
        if end <= piece.last() {
            return Some(piece.part(from, end));
        }
        let pieces = self.pieces.range(at..);
        let entries = pieces
            .flat_map(|piece| piece.entries.iter())
            .skip_while(|entry| entry.index < from)
            .take_while(|entry| entry.index <= end);
        Some(entries.cloned().collect())
    }

    /// How far a range reaches that begins at `from`, in the piece at `at`, and ends at `to` or
    /// before the summed weight exceeds `limit`.
    fn end(&self, at: usize, from: Index, to: Index, limit: u64) -> Index {
        let mut end = from;
        for piece in self.pieces.range(at..) {
            if piece.last() > to || piece.weight_to > limit {
                return end.max(piece.last_within(to, limit));
            }
            end = piece.last();
        }
        end
    }

    /// The weight of the entries after `index`, as far as they are here.
    pub(super) fn weight_after(&self, index: Index) -> u64 {
        if self.open.first().is_some_and(|first| first.index <= index) {
            let after = self.open.iter().filter(|entry| entry.index > index);
            return after.map(Entry::weight).sum();
        }
        let before = match self.find(index).and_then(|at| self.pieces.get(at)) {
            Some(piece) => piece.weight_before(index.next()),
            None => self.weight_before,
        };
        self.weight - before
    }

    /// The last piece that begins at or before `index`.
    fn find(&self, index: Index) -> Option<usize> {
        // Most questions are about the newest, or the one before, which was committed since.
        let count = self.pieces.len();
        for at in [count.checked_sub(1)?, count.saturating_sub(2)] {
            if self
                .pieces
                .get(at)
                .is_some_and(|piece| piece.first <= index)
            {
                return Some(at);
            }
        }
        let after = self.pieces.partition_point(|piece| piece.first <= index);
        after.checked_sub(1)
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let pieces = self.pieces.iter().flat_map(|piece| piece.entries.iter());
        pieces.chain(&self.open)
    }
}

impl Piece {
    fn last(&self) -> Index {
        self.first.plus(self.entries.len() as u64 - 1)
    }

    /// The entries from `from`, which is here, to `to`, which is too or just before.
    fn part(&self, from: Index, to: Index) -> Entries {
        self.entries.part(self.place(from)..self.place(to.next()))
    }

    /// The summed weight up to just before `index`, which is here or just after.
    fn weight_before(&self, index: Index) -> u64 {
        // The ends are what is mostly asked for.
        if index == self.first {
            return self.weight_to - self.entries.weight();
        }
        let after = self.entries.iter().skip(self.place(index));
        self.weight_to - after.map(Entry::weight).sum::<u64>()
    }

    /// The last entry at or below `to` up to which the summed weight is within `limit`; the one
    /// before the first if there is none.
    fn last_within(&self, to: Index, limit: u64) -> Index {
        let mut weight_to = self.weight_before(self.first);
        let fits = |entry: &&Entry| {
            weight_to += entry.weight();
            entry.index <= to && weight_to <= limit
        };
        let count = self.entries.iter().take_while(fits).count();
        self.first.prev().plus(count as u64)
    }

    fn place(&self, index: Index) -> usize {
        usize::try_from(index.since(self.first)).unwrap_or(usize::MAX)
    }
}

// Where one piece ends and the next begins makes no difference, nor what was here once: only
// differences of the summed weights are ever used.

impl PartialEq for Tail {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Tail {}

impl Hash for Tail {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|entry| entry.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use bytes::Bytes;

    use super::*;
    use crate::consensus::rng::Rng;
    use crate::entry::Payload;
    use crate::types::Term;

    fn entry(index: u64, length: usize) -> Entry {
        Entry {
            term: Term(1),
            index: Index(index),
            payload: Payload::Command(Bytes::from(vec![7; length])),
        }
    }

    /// A tail of pieces of these lengths, from index 1 on.
    fn tail(lengths: &[u64]) -> Tail {
        let mut tail = Tail::default();
        let mut first = 1;
        for length in lengths {
            tail.extend(
                (first..first + length)
                    .map(|index| entry(index, 1))
                    .collect(),
            );
            first += length;
        }
        tail
    }

    fn whole(tail: &mut Tail, from: u64, to: u64) -> Entries {
        let entries = tail.range(Index(from), Index(to), u64::MAX);
        entries.expect("it is here")
    }

    #[test]
    fn all_who_ask_share_a_piece_and_only_several_are_copied() {
        let mut tail = tail(&[3]);
        (4..7).for_each(|index| tail.push(entry(index, 1)));
        let is_shared = |a: &[Entry], b: &[Entry]| std::ptr::eq(a, b);
        let proposed = whole(&mut tail, 4, 6);
        assert!(is_shared(&proposed, &whole(&mut tail, 4, 6)));
        assert!(is_shared(&proposed[1..2], &whole(&mut tail, 5, 5)));
        let copied = whole(&mut tail, 3, 6);
        assert_eq!(copied[1..], proposed[..]);
        assert!(!is_shared(&copied[1..], &proposed));
    }

    #[test]
    fn pieces_go_as_a_whole_and_none_with_an_entry_to_be_kept() {
        let mut tail = tail(&[2, 2, 2]);
        let weight = entry(1, 1).weight();
        tail.evict(Index(6), 6 * weight);
        assert_eq!(tail.iter().count(), 6);
        tail.evict(Index(6), 5 * weight);
        assert_eq!(tail.iter().count(), 4);
        tail.evict(Index(3), 0);
        assert_eq!(tail.iter().count(), 4, "one of the piece is to be kept");
        tail.evict(Index(4), 0);
        assert_eq!(tail.weight_after(Index(0)), 2 * weight);
    }

    /// What a tail means: the entries held, one by one.
    struct Model {
        /// Of this run; named wherever something is wrong.
        seed: u64,
        last: u64,
        held: Vec<Entry>,
    }

    impl Model {
        const fn new(seed: u64) -> Self {
            let held = Vec::new();
            Self {
                seed,
                last: 0,
                held,
            }
        }

        fn range(&self, from: u64, to: u64, bytes_max: u64) -> Option<Vec<Entry>> {
            let start = self.held.iter().position(|entry| entry.index.0 == from)?;
            let mut weight = 0;
            let fits = self.held[start..].iter().take_while(|entry| {
                weight += entry.weight();
                entry.index.0 == from || (entry.index.0 <= to && weight <= bytes_max)
            });
            Some(fits.cloned().collect())
        }

        fn weight_after(&self, index: u64) -> u64 {
            let after = self.held.iter().filter(|entry| entry.index.0 > index);
            after.map(Entry::weight).sum()
        }

        fn new_entries(&mut self, rng: &mut Rng, count: u64) -> Vec<Entry> {
            let first = self.last + 1;
            self.last += count;
            let length = |rng: &mut Rng| usize::try_from(below(rng, 40)).expect("small");
            let new: Vec<Entry> = (first..=self.last)
                .map(|index| entry(index, length(rng)))
                .collect();
            self.held.extend(new.iter().cloned());
            new
        }
    }

    const fn below(rng: &mut Rng, end: u64) -> u64 {
        rng.any() % end
    }

    fn change(rng: &mut Rng, tail: &mut Tail, model: &mut Model) {
        let seed = model.seed;
        // Somewhere in what is held, or just outside.
        let first = model.held.first().map_or(model.last, |entry| entry.index.0);
        let place = first + below(rng, model.last + 2 - first);
        match below(rng, 10) {
            0..4 => {
                let new = model.new_entries(rng, 1);
                new.into_iter().for_each(|entry| tail.push(entry));
            }
            4..7 => {
                let count = below(rng, 5);
                tail.extend(model.new_entries(rng, count).into());
            }
            7 => {
                tail.truncate(Index(place.max(1)));
                model.held.retain(|entry| entry.index.0 < place.max(1));
                model.last = model.last.min(place.max(1) - 1);
            }
            8 => {
                let up_to = place.min(model.last);
                tail.compact(Index(up_to));
                model.held.retain(|entry| entry.index.0 > up_to);
            }
            _ => {
                let bytes_max = below(rng, model.weight_after(0) + 1);
                tail.evict(Index(place), bytes_max);
                // How much goes depends on the pieces, so the model only checks that it may.
                let held = tail.iter().count();
                let gone: Vec<Entry> = model.held.drain(..model.held.len() - held).collect();
                assert!(
                    gone.iter().all(|entry| entry.index.0 <= place),
                    "seed {seed}"
                );
                let kept = model.weight_after(0);
                let rightly = gone.is_empty() || kept + weigh(&gone) > bytes_max;
                assert!(
                    rightly,
                    "seed {seed}: something went though all of it fitted"
                );
            }
        }
    }

    fn weigh(entries: &[Entry]) -> u64 {
        entries.iter().map(Entry::weight).sum()
    }

    fn hash(tail: &Tail) -> u64 {
        let mut hasher = DefaultHasher::new();
        tail.hash(&mut hasher);
        hasher.finish()
    }

    fn compare(rng: &mut Rng, tail: &mut Tail, model: &Model) {
        let seed = model.seed;
        assert!(tail.iter().eq(&model.held), "seed {seed}");
        let index = below(rng, model.last + 2);
        let (weight, expected) = (tail.weight_after(Index(index)), model.weight_after(index));
        assert_eq!(weight, expected, "seed {seed}: after {index}");
        let one_piece = Tail {
            open: model.held.clone(),
            ..Tail::default()
        };
        assert_eq!(*tail, one_piece, "seed {seed}");
        assert_eq!(hash(tail), hash(&one_piece), "seed {seed}");
        let from = below(rng, model.last + 2);
        let to = from + below(rng, 8);
        let bytes_max = [0, below(rng, 500), u64::MAX][usize::try_from(below(rng, 3)).expect("3")];
        let found = tail.range(Index(from), Index(to), bytes_max);
        let expected = model.range(from, to, bytes_max);
        assert_eq!(
            found.as_deref(),
            expected.as_deref(),
            "seed {seed}: {from}..={to}"
        );
        let found = found.unwrap_or_default();
        assert_eq!(found.weight(), weigh(&found), "seed {seed}");
    }

    #[test]
    fn whatever_happens_it_holds_what_a_plain_list_would() {
        for seed in 0..500 {
            let mut rng = Rng::new(seed);
            let (mut tail, mut model) = (Tail::default(), Model::new(seed));
            for _ in 0..100 {
                change(&mut rng, &mut tail, &mut model);
                // Not always, since asking closes what is open.
                if below(&mut rng, 2) == 0 {
                    compare(&mut rng, &mut tail, &model);
                }
            }
        }
    }
}
