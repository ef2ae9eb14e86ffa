//! Linearizability by search, after Wing & Gong (1993) and Lowe (2017): is there an order of a
//! key's operations that respects real time and that a register could have answered?
//!
//! It deliberately does not know log indexes, terms or nodes: it judges only what clients saw, so
//! that it stays independent of the system and of the `by_index` checker. Linearizability is local
//! (Herlihy & Wing), so each key is searched alone.
//!
//! The search keeps calls and returns in time order in a linked list. Any call before the first
//! return may be placed next; a placed operation is lifted out of the list, and put back when the
//! search backtracks. A cache of configurations (what is placed, what the register holds) keeps it
//! from walking the same dead end twice.
//!
//! Values are unique per key (`History` sees to it), which buys two exact reductions:
//!
//! - An operation of unknown outcome took effect if and only if someone saw its value, and then no
//!   later than its first observer returned. Unseen ones can be left out of any legal order.
//! - A value never comes back once overwritten, so nothing may overwrite a value that operations
//!   yet to be placed still have to see. This keeps the search close to linear.
//!
//! Cost grows exponentially only with the number of overlapping operations of one key; up to
//! about eight clients a key it is negligible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;

use crate::sim::history::{History, INITIAL_VALUE, OpKind, Operation, Outcome};

/// How many operations of the legal order an explanation shows at most.
const EXPLAINED_OPERATIONS_MAX: usize = 12;

/// No register could have answered like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLinearizable {
    /// The register.
    pub key: u64,
    /// The shortest stuck prefix, in words: the answer that no order explains, and how far an
    /// order of everything before it gets.
    pub explanation: String,
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "key {} is not linearizable: {}",
            self.key, self.explanation
        )
    }
}

impl std::error::Error for NotLinearizable {}

/// Checks every key of a history.
///
/// # Errors
///
/// The lowest key whose operations have no legal order.
pub fn check(history: &History) -> Result<(), NotLinearizable> {
    history.keys().try_for_each(|key| check_key(history, key))
}

/// Checks one key of a history.
///
/// # Errors
///
/// If the operations of this key have no legal order.
pub fn check_key(history: &History, key: u64) -> Result<(), NotLinearizable> {
    let register = Register::new(history.of_key(key).collect());
    let all = register.answered.len();
    if register.order(all).is_some() {
        return Ok(());
    }
    // Every prefix of a linearizable history is linearizable, so the shortest stuck one can be
    // found by bisection: `legal` answers have an order, `stuck` have none.
    let (mut legal, mut stuck) = (0, all);
    while stuck - legal > 1 {
        let middle = legal.midpoint(stuck);
        match register.order(middle) {
            Some(_) => legal = middle,
            None => stuck = middle,
        }
    }
    Err(NotLinearizable {
        key,
        explanation: register.explain(stuck),
    })
}

/// The operations of one key.
struct Register<'a> {
    /// In order of their calls.
    operations: Vec<&'a Operation>,
    /// The successful operations and when they returned, in order of their returns.
    answered: Vec<(u64, usize)>,
    /// Which operation wrote, or may have written, a value.
    writers: BTreeMap<u64, usize>,
}

impl<'a> Register<'a> {
    fn new(mut operations: Vec<&'a Operation>) -> Self {
        operations.sort_by_key(|operation| (operation.call, operation.id));
        let mut answered = Vec::new();
        let mut writers = BTreeMap::new();
        for (position, operation) in operations.iter().enumerate() {
            if let (Outcome::Ok(_), Some(returned)) = (operation.outcome, operation.returned) {
                answered.push((returned, position));
            }
            if let Some(value) = operation.value_written() {
                writers.insert(value, position);
            }
        }
        answered.sort_unstable();
        Self {
            operations,
            answered,
            writers,
        }
    }

    /// A legal order, as positions in `operations`, of the history up to its `count`-th answer.
    fn order(&self, count: usize) -> Option<Vec<usize>> {
        let deadlines = self.deadlines(count)?;
        let mut chosen = Vec::new();
        let mut slots = vec![None; self.operations.len()];
        for (position, deadline) in deadlines.into_iter().enumerate() {
            if let Some(deadline) = deadline {
                slots[position] = Some(chosen.len());
                chosen.push((position, deadline));
            }
        }
        // Values are renumbered densely: 0 is the initial one, `slot + 1` the one that the
        // operation in that slot writes. A required value's writer always has a slot, because
        // `deadlines` gave it one.
        let dense = |value: u64| match value {
            INITIAL_VALUE => Some(0),
            written => slots[*self.writers.get(&written)?].map(|slot| slot + 1),
        };
        let mut steps = Vec::with_capacity(chosen.len());
        for (slot, &(position, deadline)) in chosen.iter().enumerate() {
            let operation = self.operations[position];
            let requires = match operation.value_required() {
                Some(value) => Some(dense(value)?),
                None => None,
            };
            let writes = operation.value_written().map(|_| slot + 1);
            steps.push(Step {
                call: operation.call,
                deadline,
                requires,
                writes,
            });
        }
        let order = Search::new(steps).run()?;
        Some(order.into_iter().map(|slot| chosen[slot].0).collect())
    }

    /// By when each operation must have taken effect, given the first `count` answers; `None` for
    /// an operation that may be left out. `None` in all if an answer has a value that nobody
    /// can have written.
    fn deadlines(&self, count: usize) -> Option<Vec<Option<u64>>> {
        let answered = &self.answered[..count];
        let mut deadlines = vec![None; self.operations.len()];
        for &(returned, position) in answered {
            deadlines[position] = Some(returned);
        }
        // Answers come in order of return, so the first to reach a writer sets its tightest
        // deadline. A compare-and-set that must have happened is itself an observer.
        for &(returned, position) in answered {
            let mut required = self.operations[position].value_required();
            while let Some(value) = required.filter(|value| *value != INITIAL_VALUE) {
                let writer = *self.writers.get(&value)?;
                if deadlines[writer].is_some() {
                    break;
                }
                deadlines[writer] = Some(returned);
                required = self.operations[writer].value_required();
            }
        }
        Some(deadlines)
    }

    /// Says why the `stuck`-th answer is one too many.
    fn explain(&self, stuck: usize) -> String {
        let (returned, position) = self.answered[stuck - 1];
        let culprit = self.operations[position];
        let order = self.order(stuck - 1).unwrap_or_default();
        let mut text = format!(
            "the first {stuck} answers have no legal order, although the first {} have one\n  \
             cannot be placed: {culprit}\n",
            stuck - 1
        );
        if let Some(value) = culprit.value_required() {
            let _ = writeln!(text, "  because {}", self.fate_of(value, returned, &order));
        }
        let shown = order.len().min(EXPLAINED_OPERATIONS_MAX);
        let _ = writeln!(
            text,
            "  one legal order before it ({} earlier):",
            order.len() - shown
        );
        let mut value = INITIAL_VALUE;
        for (rank, &position) in order.iter().enumerate() {
            let operation = self.operations[position];
            value = operation.value_written().unwrap_or(value);
            if rank + shown >= order.len() {
                let _ = writeln!(text, "    {operation}, register {value}");
            }
        }
        let mut placed = vec![false; self.operations.len()];
        for position in &order {
            placed[*position] = true;
        }
        for (other, operation) in self.operations.iter().enumerate() {
            let open = operation.returned.is_none_or(|end| end >= culprit.call);
            let overlaps = open && operation.call <= returned && other != position;
            if overlaps && !placed[other] && operation.outcome != Outcome::Failed {
                let _ = writeln!(text, "  not in it, in flight: {operation}");
            }
        }
        text
    }

    /// What became of a value by the time `returned`, as far as `order` tells.
    fn fate_of(&self, value: u64, returned: u64, order: &[usize]) -> String {
        let overwriter = |mut rest: std::slice::Iter<'_, usize>| {
            rest.find(|other| self.operations[**other].value_written().is_some())
                .map_or_else(
                    || "still there".into(),
                    |other| format!("overwritten by {}", self.operations[*other]),
                )
        };
        if value == INITIAL_VALUE {
            return format!("the initial value was {}", overwriter(order.iter()));
        }
        let writes = |operation: &&&Operation| operation.kind.value_new() == Some(value);
        let Some(&&writer) = self.operations.iter().find(writes) else {
            return format!("nobody ever wrote {value}");
        };
        if writer.value_written().is_none() {
            return format!("{value} was never stored: {writer}");
        }
        if writer.call > returned {
            return format!("{value} was written only later: {writer}");
        }
        let is_writer = |other: &usize| self.operations[*other].id == writer.id;
        match order.iter().position(is_writer) {
            Some(rank) => format!(
                "{value} was written by {writer}, and in the order below {}",
                overwriter(order[rank + 1..].iter())
            ),
            None => match writer.kind {
                OpKind::CompareAndSet { expect, .. } => {
                    format!("{value} needs {writer}, which needs {expect} to be there")
                }
                OpKind::Write(_) | OpKind::Read => format!("{value} needs {writer}"),
            },
        }
    }
}

/// An operation that must have taken effect, as the search sees it.
struct Step {
    call: u64,
    deadline: u64,
    /// The value that the register must hold when it takes effect.
    requires: Option<usize>,
    /// The value that the register holds afterwards, if the step changes it.
    writes: Option<usize>,
}

/// One entry of the linked list.
#[derive(Clone, Copy)]
enum Entry {
    /// First and last: the list is a ring around it.
    Ends,
    Call(usize),
    Return,
}

/// Where the list starts and ends.
const ENDS: usize = 0;

/// What is placed and what the register holds, in canonical form.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    value: usize,
    /// How many leading words of the bitset are all ones.
    full: usize,
    /// The words after these, up to the last that is not zero.
    window: Vec<u64>,
}

/// The depth-first search for one legal order.
struct Search {
    steps: Vec<Step>,
    entries: Vec<Entry>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Where each step's call and return stand in `entries`.
    places: Vec<(usize, usize)>,
    /// The register's value.
    value: usize,
    /// How many steps that still have to be placed require each value.
    awaited: Vec<usize>,
    /// The placed steps as a bitset, and how many leading words of it are surely full.
    placed: Vec<u64>,
    full: usize,
    /// The placed steps in order, each with the value that the register held before it.
    stack: Vec<(usize, usize)>,
    /// Every configuration that was entered.
    seen: BTreeSet<Configuration>,
}

impl Search {
    fn new(steps: Vec<Step>) -> Self {
        let mut awaited = vec![0; steps.len() + 1];
        let mut events = Vec::with_capacity(steps.len() * 2);
        for (slot, step) in steps.iter().enumerate() {
            // At equal times calls sort before returns: what may overlap, overlaps.
            events.push((step.call, 0, slot));
            events.push((step.deadline, 1, slot));
            if let Some(value) = step.requires {
                awaited[value] += 1;
            }
        }
        events.sort_unstable();
        let mut entries = vec![Entry::Ends];
        let mut places = vec![(ENDS, ENDS); steps.len()];
        for (_, side, slot) in events {
            if side == 0 {
                places[slot].0 = entries.len();
                entries.push(Entry::Call(slot));
            } else {
                places[slot].1 = entries.len();
                entries.push(Entry::Return);
            }
        }
        let count = entries.len();
        Self {
            next: (0..count).map(|entry| (entry + 1) % count).collect(),
            previous: (0..count)
                .map(|entry| (entry + count - 1) % count)
                .collect(),
            placed: vec![0; steps.len().div_ceil(64)],
            full: 0,
            value: 0,
            stack: Vec::with_capacity(steps.len()),
            seen: BTreeSet::new(),
            steps,
            entries,
            places,
            awaited,
        }
    }

    /// The steps in a legal order, or `None` if there is none.
    fn run(mut self) -> Option<Vec<usize>> {
        let mut entry = self.next[ENDS];
        loop {
            match self.entries[entry] {
                // The return of a step that is not placed would have stopped the scan before.
                Entry::Ends => return Some(self.stack.into_iter().map(|(slot, _)| slot).collect()),
                Entry::Call(slot) => {
                    entry = if self.fits(slot) && self.place(slot) {
                        self.next[ENDS]
                    } else {
                        self.next[entry]
                    };
                }
                // What returned must be placed by now: the last choice was wrong.
                Entry::Return => {
                    let (slot, _) = *self.stack.last()?;
                    self.take_back();
                    entry = self.next[self.places[slot].0];
                }
            }
        }
    }

    /// Whether a step may take effect now.
    fn fits(&self, slot: usize) -> bool {
        let step = &self.steps[slot];
        if step.requires.is_some_and(|value| value != self.value) {
            return false;
        }
        let awaited_by_itself = usize::from(step.requires.is_some());
        step.writes.is_none() || self.awaited[self.value] == awaited_by_itself
    }

    /// Places a step and lifts it from the list; false, and nothing changed, if that leads to a
    /// configuration that was tried before.
    fn place(&mut self, slot: usize) -> bool {
        self.stack.push((slot, self.value));
        self.placed[slot / 64] |= 1 << (slot % 64);
        while self.placed.get(self.full) == Some(&u64::MAX) {
            self.full += 1;
        }
        if let Some(value) = self.steps[slot].requires {
            self.awaited[value] -= 1;
        }
        self.value = self.steps[slot].writes.unwrap_or(self.value);
        let (call, end) = self.places[slot];
        self.lift(call);
        self.lift(end);
        let entered = self.configuration();
        if self.seen.insert(entered) {
            return true;
        }
        self.take_back();
        false
    }

    /// Undoes the last placement.
    fn take_back(&mut self) {
        let Some((slot, value)) = self.stack.pop() else {
            return;
        };
        let (call, end) = self.places[slot];
        self.put_back(end);
        self.put_back(call);
        self.value = value;
        if let Some(required) = self.steps[slot].requires {
            self.awaited[required] += 1;
        }
        self.placed[slot / 64] &= !(1 << (slot % 64));
        self.full = self.full.min(slot / 64);
    }

    fn lift(&mut self, entry: usize) {
        let (before, after) = (self.previous[entry], self.next[entry]);
        self.next[before] = after;
        self.previous[after] = before;
    }

    /// Undoes the lift of an entry. Entries must come back in reverse order of their lifting,
    /// because a lifted entry remembers the neighbours it had.
    fn put_back(&mut self, entry: usize) {
        let (before, after) = (self.previous[entry], self.next[entry]);
        self.next[before] = entry;
        self.previous[after] = entry;
    }

    fn configuration(&self) -> Configuration {
        let mut window = Vec::new();
        let mut missing = self.stack.len() - self.full * 64;
        for word in &self.placed[self.full..] {
            if missing == 0 {
                break;
            }
            missing -= word.count_ones() as usize;
            window.push(*word);
        }
        Configuration {
            value: self.value,
            full: self.full,
            window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::history::Returned;
    use crate::sim::history::tests::{Shape, SplitMix, random_history, transcript};

    #[test]
    fn legal_histories_pass() {
        let table = [
            ("nothing", ""),
            ("read of nothing", "read 0 0..1"),
            ("one after the other", "write 1 ok 0..1; read 1 2..3"),
            ("overlap, old value", "write 1 ok 0..9; read 0 1..2"),
            ("overlap, new value", "write 1 ok 0..9; read 1 1..2"),
            ("a tie is concurrent", "write 1 ok 0..5; read 0 5..6"),
            (
                "writes in either order",
                "write 1 ok 0..9; write 2 ok 0..9; read 1 10..11",
            ),
            (
                "the order must be guessed right",
                "write 1 ok 0..9; write 2 ok 0..9; write 3 ok 0..9; \
                 read 3 2..3; read 1 4..5; read 2 6..20",
            ),
            (
                "unknown write observed late",
                "write 1 unknown 0..1; write 2 ok 2..3; read 2 4..5; read 1 6..7",
            ),
            (
                "unknown never observed",
                "write 1 unknown 0..1; read 0 2..3",
            ),
            ("unknown read", "read unknown 0..1; write 1 ok 2..3"),
            (
                "failed",
                "write 1 failed 0..1; cas 0>2 failed 0..1; read 0 2..3",
            ),
            ("compare-and-set", "cas 0>1 ok 0..1; cas 0>2 found 1 2..3"),
            (
                "unknown swaps in a chain",
                "cas 1>2 unknown 0..1; cas 0>1 unknown 2..3; read 2 4..5",
            ),
            (
                "a mismatch proves a write",
                "write 1 unknown 0..1; cas 0>2 found 1 2..3; read 1 4..5",
            ),
        ];
        for (name, text) in table {
            let history = transcript(text);
            assert_eq!(check(&history), Ok(()), "{name}");
            assert!(brute_force(&history), "{name}");
        }
    }

    #[test]
    fn illegal_histories_are_refused() {
        let table = [
            (
                "stale read",
                "write 1 ok 0..1; write 2 ok 2..3; read 1 4..5",
            ),
            ("lost write", "write 1 ok 0..1; read 0 2..3"),
            ("never written", "read 3 0..1"),
            ("read of a failed write", "write 1 failed 0..1; read 1 2..3"),
            ("read before its write", "read 1 0..1; write 1 ok 2..3"),
            (
                "read before its unknown write",
                "read 1 0..1; write 1 unknown 2..3",
            ),
            (
                "new, then old, under one write",
                "write 1 ok 0..9; read 1 1..2; read 0 3..4",
            ),
            (
                "duplicate apply brings a value back",
                "write 1 ok 0..1; write 2 ok 2..3; read 2 4..5; read 1 6..7",
            ),
            (
                "an unknown write takes effect twice",
                "write 1 unknown 0..1; read 1 2..3; write 2 ok 4..5; read 2 6..7; read 1 8..9",
            ),
            ("swap of what is gone", "write 1 ok 0..1; cas 0>2 ok 2..3"),
            ("two swaps of one value", "cas 0>1 ok 0..9; cas 0>2 ok 0..9"),
            ("swaps in a circle", "cas 1>2 ok 0..9; cas 2>1 ok 0..9"),
            (
                "mismatch found the past",
                "write 1 ok 0..1; cas 5>2 found 0 2..3",
            ),
            (
                "a mismatch stored",
                "write 1 ok 0..1; cas 5>2 found 1 2..3; read 2 4..5",
            ),
            (
                "an unknown swap without ground",
                "write 1 ok 0..1; cas 0>2 unknown 2..3; read 2 4..5",
            ),
        ];
        for (name, text) in table {
            let history = transcript(text);
            assert!(check(&history).is_err(), "{name}");
            assert!(!brute_force(&history), "{name}");
        }
    }

    #[test]
    fn the_explanation_stops_at_the_first_stuck_answer() {
        let history = transcript(
            "write 1 ok 0..10; write 2 ok 20..30; write 3 unknown 25..99; \
             read 1 40..50; read 2 60..70; read 0 80..90",
        );
        let expected = "\
key 1 is not linearizable: the first 3 answers have no legal order, although the first 2 have one
  cannot be placed: #3 client 3 key 1 read = 1 [40..50]
  because 1 was written by #0 client 0 key 1 write 1 = ok [0..10], \
and in the order below overwritten by #1 client 1 key 1 write 2 = ok [20..30]
  one legal order before it (0 earlier):
    #0 client 0 key 1 write 1 = ok [0..10], register 1
    #1 client 1 key 1 write 2 = ok [20..30], register 2
  not in it, in flight: #2 client 2 key 1 write 3 = unknown [25..]
";
        assert_eq!(check(&history).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_explanation_says_why_a_value_cannot_be_there() {
        let table = [
            ("nobody ever wrote 3", "read 3 0..1"),
            ("1 was never stored: #0", "write 1 failed 0..1; read 1 2..3"),
            (
                "1 was written only later: #1",
                "read 1 0..1; write 1 ok 2..3",
            ),
            (
                "the initial value was overwritten by #0",
                "write 1 ok 0..1; read 0 2..3",
            ),
            (
                "2 needs #1 client 1 key 1 cas 0->2 = unknown [2..], which needs 0 to be there",
                "write 1 ok 0..1; cas 0>2 unknown 2..3; read 2 4..5",
            ),
        ];
        for (expected, text) in table {
            let explanation = check(&transcript(text)).unwrap_err().explanation;
            assert!(
                explanation.contains(expected),
                "{expected:?} is not in {explanation}"
            );
        }
    }

    #[test]
    fn keys_are_judged_apart() {
        let mut history = History::new(4);
        for (key, seen) in [(1, 0), (2, 9)] {
            let id = history.call(0, key, OpKind::Read, 0).unwrap();
            history.complete(id, Outcome::Ok(Returned::Value(seen)), 1);
        }
        assert_eq!(check_key(&history, 1), Ok(()));
        assert_eq!(check(&history).unwrap_err().key, 2);
    }

    /// Tries every permutation of every subset that holds all successful operations. It shares no
    /// idea with the checker: no deadlines, no pruning by value, no cache.
    fn brute_force(history: &History) -> bool {
        fn extend(left: &[&Operation], register: u64) -> bool {
            let is_ok = |operation: &&Operation| match operation.outcome {
                Outcome::Ok(_) => true,
                Outcome::Failed | Outcome::Unknown => false,
            };
            if !left.iter().any(is_ok) {
                return true;
            }
            left.iter().enumerate().any(|(chosen, operation)| {
                let overdue = |other: &&Operation| {
                    other.outcome != Outcome::Unknown
                        && other.returned.is_some_and(|end| end < operation.call)
                };
                if left.iter().any(overdue) {
                    return false;
                }
                let mut rest = left.to_vec();
                rest.remove(chosen);
                step(operation, register).is_some_and(|after| extend(&rest, after))
            })
        }
        let not_failed = |operation: &&Operation| operation.outcome != Outcome::Failed;
        history.keys().all(|key| {
            let left: Vec<_> = history.of_key(key).filter(not_failed).collect();
            extend(&left, INITIAL_VALUE)
        })
    }

    /// A register, written down naively: what it holds after an operation with this answer.
    fn step(operation: &Operation, held: u64) -> Option<u64> {
        let (after, answer) = match operation.kind {
            OpKind::Read => (held, Returned::Value(held)),
            OpKind::Write(value) => (value, Returned::Written),
            OpKind::CompareAndSet { expect, new } if expect == held => (new, Returned::Swapped),
            OpKind::CompareAndSet { .. } => (held, Returned::Mismatch { found: held }),
        };
        match operation.outcome {
            Outcome::Ok(answered) => (answered == answer).then_some(after),
            Outcome::Unknown | Outcome::Failed => Some(after),
        }
    }

    /// Up to seven operations on one key with random intervals and random answers.
    fn small_history(rng: &mut SplitMix) -> History {
        let count = 1 + rng.below(7);
        let span = 4 + rng.below(30);
        let mut history = History::new(7);
        for value in 1..=count {
            let expect = rng.below(count + 2);
            let kind = match rng.below(3) {
                0 => OpKind::Read,
                1 if expect != value => OpKind::CompareAndSet { expect, new: value },
                _ => OpKind::Write(value),
            };
            let seen = rng.below(count + 2);
            let answer = match kind {
                OpKind::Read => Returned::Value(seen),
                OpKind::Write(_) => Returned::Written,
                OpKind::CompareAndSet { .. } if seen != expect && rng.percent(40) => {
                    Returned::Mismatch { found: seen }
                }
                OpKind::CompareAndSet { .. } => Returned::Swapped,
            };
            let outcome = match rng.below(10) {
                0 => Outcome::Failed,
                1..4 => Outcome::Unknown,
                _ => Outcome::Ok(answer),
            };
            let call = rng.below(span);
            let id = history.call(value, 1, kind, call).unwrap();
            history.complete(id, outcome, call + rng.below(span));
        }
        history
    }

    #[test]
    fn the_search_agrees_with_brute_force() {
        let (mut legal, mut illegal) = (0, 0);
        for seed in 0..60_000 {
            let history = small_history(&mut SplitMix(seed));
            let expected = brute_force(&history);
            let found = check(&history);
            assert_eq!(
                found.is_ok(),
                expected,
                "seed {seed}: {:#?}",
                history.operations()
            );
            *(if expected { &mut legal } else { &mut illegal }) += 1;
        }
        assert!(
            legal > 10_000 && illegal > 10_000,
            "one-sided: {legal} legal, {illegal} illegal"
        );
    }

    /// The prefix that an explanation names is stuck, and the one before it is not, also for a
    /// judge that knows nothing of deadlines.
    #[test]
    fn the_stuck_prefix_is_the_shortest() {
        let mut compared = 0;
        for seed in 0..20_000 {
            let history = small_history(&mut SplitMix(seed));
            if check(&history).is_ok() {
                continue;
            }
            let register = Register::new(history.of_key(1).collect());
            let stuck = (0..)
                .find(|count| register.order(*count).is_none())
                .unwrap();
            let named = register.explain(stuck);
            assert_eq!(
                check(&history).unwrap_err().explanation,
                named,
                "seed {seed}"
            );
            assert!(
                !brute_force(&prefix(&register, stuck)),
                "seed {seed}: not stuck"
            );
            assert!(
                brute_force(&prefix(&register, stuck - 1)),
                "seed {seed}: not shortest"
            );
            compared += 1;
        }
        assert!(compared > 3_000, "only {compared} histories were stuck");
    }

    /// The history up to an answer, told with hindsight: what failed or changed nothing is left
    /// out, and what is still in flight is unknown.
    fn prefix(register: &Register<'_>, answers: usize) -> History {
        let answered = &register.answered[..answers];
        let end = answered.last().map_or(0, |(returned, _)| *returned);
        let mut cut = History::new(register.operations.len());
        for (position, operation) in register.operations.iter().enumerate() {
            let is_answered = answered.iter().any(|(_, other)| *other == position);
            if operation.call > end || (!is_answered && operation.value_written().is_none()) {
                continue;
            }
            let id = cut.call(0, 1, operation.kind, operation.call).unwrap();
            if is_answered {
                cut.complete(id, operation.outcome, operation.returned.unwrap());
            }
        }
        cut
    }

    /// More reads of one value than a word has bits: configurations that differ only in how much is
    /// placed are not the same.
    #[test]
    fn a_long_run_of_reads_is_legal() {
        let mut history = History::new(300);
        let write = history.call(0, 1, OpKind::Write(1), 0).unwrap();
        history.complete(write, Outcome::Ok(Returned::Written), 1);
        for count in 1..300 {
            let read = history.call(0, 1, OpKind::Read, count * 2).unwrap();
            history.complete(read, Outcome::Ok(Returned::Value(1)), count * 2 + 1);
        }
        assert_eq!(check(&history), Ok(()));
    }

    /// Two swaps in a circle cannot be placed, after any of the 14! orders of the writes. There are
    /// only 2^14 sets of them, so this ends at once exactly if no dead end is walked twice.
    #[test]
    fn a_dead_end_is_walked_once() {
        let mut text = String::from("cas 101>102 ok 0..9; cas 102>101 ok 0..9");
        for value in 1..=14 {
            text += &format!("; write {value} ok 0..9");
        }
        assert!(check(&transcript(&text)).is_err());
    }

    /// Eight clients on one key, with many operations of unknown outcome that take effect late:
    /// the search must not blow up.
    #[test]
    fn long_histories_with_many_unknown_outcomes_are_judged() {
        for seed in 0..3 {
            let shape = Shape {
                clients: 8,
                keys: 1,
                operations: 5_000,
                unknown_percent: 30,
                late_max: 5_000,
                ..Shape::SMALL
            };
            let history = random_history(&mut SplitMix(seed), shape);
            assert_eq!(check(&history), Ok(()), "seed {seed}");
        }
    }
}
