//! What clients observed: every operation on a register, when it was called, and how it ended.
//!
//! The two checkers (`wgl` and `by_index`) judge a `History`; this file only keeps it and refuses
//! to record what no client can have seen. It deliberately does not know Raft, nodes, retries or
//! faults, and has no opinion on whether what it holds is right. A retry of the same command is
//! the same operation here, called when it was first sent.
//!
//! Times are nanoseconds of any one monotone clock. Two events at the same nanosecond count as
//! concurrent, which can only hide an error, never invent one; a simulator that wants ties ordered
//! passes its event count instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What every register holds before the first write. No operation may write it.
pub const INITIAL_VALUE: u64 = 0;

/// Names one operation of one `History`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(usize);

/// What a client asked of the register behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// Store the value, whatever was there.
    Write(u64),
    /// Return the value.
    Read,
    /// Store `new` if the register holds `expect`, else leave it and return what it holds.
    CompareAndSet {
        /// The value that must be there for the swap to happen.
        expect: u64,
        /// The value stored by the swap.
        new: u64,
    },
}

/// What a successful operation told its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// A write took effect.
    Written,
    /// A read saw this value.
    Value(u64),
    /// A compare-and-set found what it expected and stored its new value.
    Swapped,
    /// A compare-and-set found another value and changed nothing.
    Mismatch {
        /// What it found. Required, so that a mismatch says as much as a read.
        found: u64,
    },
}

/// How an operation ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect between call and return, with this answer.
    Ok(Returned),
    /// It surely did not happen and never will.
    Failed,
    /// It may take effect at any time from its call on, even after the end, or never.
    /// Timed out, abandoned, and still in flight at the end are all this.
    Unknown,
}

/// One operation as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in the history.
    pub id: OperationId,
    /// Who called it. Clients may have several operations in flight.
    pub client: u64,
    /// The register.
    pub key: u64,
    /// What was asked.
    pub kind: OpKind,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was first sent, in nanoseconds.
    pub call: u64,
    /// When its answer came, in nanoseconds: never before `call`, `None` exactly if `Unknown`.
    pub returned: Option<u64>,
    /// The log index at which a write or compare-and-set was applied, or the applied index that a
    /// read was served from. Only the `by_index` checker looks at it.
    pub index: Option<u64>,
}

impl Operation {
    /// The value this operation stored, or may yet have stored if its outcome is unknown.
    #[must_use]
    pub fn value_written(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Failed | Outcome::Ok(Returned::Value(_) | Returned::Mismatch { .. }) => None,
            Outcome::Unknown | Outcome::Ok(Returned::Written | Returned::Swapped) => {
                self.kind.value_new()
            }
        }
    }

    /// The value the register must have held when this operation took effect, if it did.
    #[must_use]
    pub fn value_required(&self) -> Option<u64> {
        match (self.outcome, self.kind) {
            (Outcome::Ok(Returned::Value(value)), _) => Some(value),
            (Outcome::Ok(Returned::Mismatch { found }), _) => Some(found),
            (_, OpKind::CompareAndSet { expect, .. }) => Some(expect),
            (_, OpKind::Write(_) | OpKind::Read) => None,
        }
    }
}

impl OpKind {
    /// The value the operation stores when it succeeds.
    #[must_use]
    pub fn value_new(self) -> Option<u64> {
        match self {
            Self::Write(value) | Self::CompareAndSet { new: value, .. } => Some(value),
            Self::Read => None,
        }
    }

    fn may_return(self, returned: Returned) -> bool {
        match self {
            Self::Write(_) => returned == Returned::Written,
            Self::Read => matches!(returned, Returned::Value(_)),
            Self::CompareAndSet { expect, .. } => match returned {
                Returned::Swapped => true,
                // A mismatch that found what it expected is no mismatch.
                Returned::Mismatch { found } => found != expect,
                Returned::Written | Returned::Value(_) => false,
            },
        }
    }
}

/// The operations of one run, in the order in which their calls were recorded.
#[derive(Clone, Debug)]
pub struct History {
    operations: Vec<Operation>,
    /// The operations of each key, oldest record first.
    by_key: BTreeMap<u64, Vec<OperationId>>,
    /// Every `(key, value)` that some operation writes: the checkers tell from the value alone
    /// which operation a read saw, so no value is written twice.
    written: BTreeSet<(u64, u64)>,
    operations_max: usize,
}

impl History {
    /// An empty history that holds at most `operations_max` operations.
    #[must_use]
    pub fn new(operations_max: usize) -> Self {
        Self {
            operations: Vec::new(),
            by_key: BTreeMap::new(),
            written: BTreeSet::new(),
            operations_max,
        }
    }

    /// Records that a client sends an operation at `call`; until completed it is `Unknown`.
    ///
    /// `None` if the history is full: the operation must then not be sent, because an effect that
    /// is missing here would look like an error of the system.
    ///
    /// # Panics
    ///
    /// If the value to write is the initial one, or was written to this key before, or if a
    /// compare-and-set would swap a value for itself: no checker could judge such a history.
    #[must_use = "an operation that was not recorded must not be sent"]
    pub fn call(&mut self, client: u64, key: u64, kind: OpKind, call: u64) -> Option<OperationId> {
        if self.operations.len() >= self.operations_max {
            return None;
        }
        if let OpKind::CompareAndSet { expect, new } = kind {
            assert!(
                expect != new,
                "key {key}: compare-and-set of {new} to itself"
            );
        }
        if let Some(value) = kind.value_new() {
            assert!(
                value != INITIAL_VALUE,
                "key {key}: the initial value is never written"
            );
            assert!(
                self.written.insert((key, value)),
                "key {key}: {value} is written twice"
            );
        }
        let id = OperationId(self.operations.len());
        self.operations.push(Operation {
            id,
            client,
            key,
            kind,
            outcome: Outcome::Unknown,
            call,
            returned: None,
            index: None,
        });
        self.by_key.entry(key).or_default().push(id);
        Some(id)
    }

    /// Records how an operation ended. `Unknown` says nothing new and may be followed by a late
    /// answer; the other outcomes are final.
    ///
    /// # Panics
    ///
    /// If the operation was completed before, ended before its call, or got an answer that its
    /// kind cannot have: the recorder is broken, not the system under test.
    pub fn complete(&mut self, id: OperationId, outcome: Outcome, returned: u64) {
        let operation = &mut self.operations[id.0];
        assert!(
            operation.outcome == Outcome::Unknown,
            "{operation} is completed twice"
        );
        assert!(
            returned >= operation.call,
            "{operation} returns at {returned}, before its call"
        );
        match outcome {
            Outcome::Unknown => return,
            Outcome::Failed => {}
            Outcome::Ok(answer) => {
                assert!(
                    operation.kind.may_return(answer),
                    "{operation} cannot return {answer:?}"
                );
            }
        }
        operation.outcome = outcome;
        operation.returned = Some(returned);
    }

    /// Records the log index of an operation: from its answer, or from the simulator's ghost state
    /// for a write whose client never heard of it.
    ///
    /// # Panics
    ///
    /// If the operation already has another index: it would have been applied twice.
    pub fn record_index(&mut self, id: OperationId, index: u64) {
        let operation = &mut self.operations[id.0];
        let before = operation.index.replace(index);
        assert!(
            before.is_none_or(|before| before == index),
            "{operation}: was at {before:?}"
        );
    }

    /// One operation.
    #[must_use]
    pub fn get(&self, id: OperationId) -> &Operation {
        &self.operations[id.0]
    }

    /// All operations, oldest record first.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The keys that were touched, ascending.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_key.keys().copied()
    }

    /// The operations of one key, oldest record first.
    pub fn of_key(&self, key: u64) -> impl Iterator<Item = &Operation> + '_ {
        self.by_key
            .get(&key)
            .into_iter()
            .flatten()
            .map(|id| self.get(*id))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} client {} key {} ", self.id, self.client, self.key)?;
        match self.kind {
            OpKind::Write(value) => write!(f, "write {value}")?,
            OpKind::Read => write!(f, "read")?,
            OpKind::CompareAndSet { expect, new } => write!(f, "cas {expect}->{new}")?,
        }
        match self.outcome {
            Outcome::Ok(Returned::Written | Returned::Swapped) => write!(f, " = ok")?,
            Outcome::Ok(Returned::Value(value)) => write!(f, " = {value}")?,
            Outcome::Ok(Returned::Mismatch { found }) => write!(f, " = mismatch, found {found}")?,
            Outcome::Failed => write!(f, " = failed")?,
            Outcome::Unknown => write!(f, " = unknown")?,
        }
        match self.returned {
            Some(returned) => write!(f, " [{}..{returned}]", self.call)?,
            None => write!(f, " [{}..]", self.call)?,
        }
        match self.index {
            Some(index) => write!(f, " at index {index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Vigna's splitmix64: enough for tests, and the same on every machine.
    pub(crate) struct SplitMix(pub(crate) u64);

    impl SplitMix {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        /// A number from `0..end`.
        pub(crate) fn below(&mut self, end: u64) -> u64 {
            self.next() % end
        }

        pub(crate) fn percent(&mut self, chance: u64) -> bool {
            self.below(100) < chance
        }
    }

    /// What a random history looks like.
    #[derive(Clone, Copy)]
    pub(crate) struct Shape {
        pub(crate) clients: u64,
        pub(crate) keys: u64,
        pub(crate) operations: u64,
        pub(crate) failed_percent: u64,
        pub(crate) unknown_percent: u64,
        /// How long after its call an operation of unknown outcome may take effect.
        pub(crate) late_max: u64,
    }

    impl Shape {
        pub(crate) const SMALL: Self = Self {
            clients: 4,
            keys: 2,
            operations: 60,
            failed_percent: 5,
            unknown_percent: 15,
            late_max: 300,
        };
    }

    struct Draft {
        client: u64,
        key: u64,
        call: u64,
        end: u64,
        /// When it takes effect, if ever.
        point: Option<u64>,
        outcome: Outcome,
        kind: OpKind,
        index: Option<u64>,
    }

    fn draft(rng: &mut SplitMix, shape: Shape, ready: &mut [u64], value: u64) -> Draft {
        let client = rng.below(shape.clients);
        let slot = usize::try_from(client).unwrap();
        let call = ready[slot] + rng.below(20);
        let end = call + rng.below(100);
        ready[slot] = end + rng.below(3);
        let kind = match rng.below(10) {
            0..4 => OpKind::Read,
            4..7 => OpKind::Write(value),
            _ => OpKind::CompareAndSet {
                expect: value - 1,
                new: value,
            },
        };
        let (outcome, point) = match rng.below(100) {
            dice if dice < shape.failed_percent => (Outcome::Failed, None),
            dice if dice < shape.failed_percent + shape.unknown_percent => {
                let late = call + rng.below(shape.late_max);
                (Outcome::Unknown, rng.percent(70).then_some(late))
            }
            // The answer is a placeholder until the register is asked.
            _ => (
                Outcome::Ok(Returned::Written),
                Some(call + rng.below(end - call + 1)),
            ),
        };
        Draft {
            client,
            key: rng.below(shape.keys),
            call,
            end,
            point,
            outcome,
            kind,
            index: None,
        }
    }

    /// A history that a true register answered: linearizable by construction, with the indexes
    /// that a log would have given. A third of the effects of unknown outcome never come.
    pub(crate) fn random_history(rng: &mut SplitMix, shape: Shape) -> History {
        let mut ready = vec![0; usize::try_from(shape.clients).unwrap()];
        let mut drafts: Vec<_> = (1..=shape.operations)
            .map(|value| draft(rng, shape, &mut ready, value))
            .collect();
        drafts.sort_by_key(|draft| draft.point);
        let mut registers: BTreeMap<u64, u64> = BTreeMap::new();
        let mut index = 0;
        for draft in drafts.iter_mut().filter(|draft| draft.point.is_some()) {
            let register = registers.entry(draft.key).or_insert(INITIAL_VALUE);
            let returned = match draft.kind {
                OpKind::Read => Returned::Value(*register),
                OpKind::Write(value) => {
                    *register = value;
                    Returned::Written
                }
                OpKind::CompareAndSet { expect, new } => {
                    let right_guess = rng.percent(60);
                    let expect = if right_guess { *register } else { expect };
                    draft.kind = OpKind::CompareAndSet { expect, new };
                    if expect == *register {
                        *register = new;
                        Returned::Swapped
                    } else {
                        Returned::Mismatch { found: *register }
                    }
                }
            };
            index += u64::from(draft.kind != OpKind::Read);
            draft.index = Some(index);
            if draft.outcome != Outcome::Unknown {
                draft.outcome = Outcome::Ok(returned);
            }
        }
        drafts.sort_by_key(|draft| draft.call);
        let mut history = History::new(drafts.len());
        for draft in drafts {
            let id = history
                .call(draft.client, draft.key, draft.kind, draft.call)
                .unwrap();
            history.complete(id, draft.outcome, draft.end);
            if let Some(index) = draft.index {
                history.record_index(id, index);
            }
        }
        history
    }

    /// The ways in which `corrupt` breaks a history.
    pub(crate) const CORRUPTIONS: [&str; 6] = [
        "read of a never-written value",
        "read of the future",
        "read of a failed write",
        "stale read",
        "compare-and-set finds an old value",
        "two swaps of one value",
    ];

    /// A copy with one answer changed so that no order can explain it, if one fits.
    /// Each corruption carries its proof, so a checker has no excuse for missing any.
    pub(crate) fn corrupt(rng: &mut SplitMix, history: &History, how: &str) -> Option<History> {
        let mut corrupted = history.clone();
        let victims: Vec<_> = history
            .operations
            .iter()
            .filter(|victim| is_ok(victim))
            .collect();
        let victim = *victims.get(usize::try_from(rng.below(victims.len() as u64 + 1)).unwrap())?;
        let others: Vec<_> = history.of_key(victim.key).collect();
        let changed = &mut corrupted.operations[victim.id.0];
        let value = match how {
            "read of a never-written value" => Some(1_000_000),
            // Its writer was called only after the victim had returned.
            "read of the future" => others
                .iter()
                .filter(|other| Some(other.call) > victim.returned)
                .find_map(|other| other.kind.value_new()),
            "read of a failed write" => others
                .iter()
                .filter(|other| other.outcome == Outcome::Failed)
                .find_map(|other| other.kind.value_new()),
            "stale read" | "compare-and-set finds an old value" => stale(rng, victim, &others),
            "two swaps of one value" => {
                let swaps = |other: &&&Operation| {
                    other.outcome == Outcome::Ok(Returned::Swapped) && other.id != victim.id
                };
                others
                    .iter()
                    .find(swaps)
                    .and_then(|other| other.value_required())
            }
            _ => panic!("no such corruption: {how}"),
        }?;
        let is_read = victim.kind == OpKind::Read;
        match (how, victim.kind) {
            ("compare-and-set finds an old value", OpKind::CompareAndSet { expect, .. }) => {
                let swapped = expect == value;
                let mismatch = Returned::Mismatch { found: value };
                changed.outcome = Outcome::Ok(if swapped { Returned::Swapped } else { mismatch });
            }
            // The value that the other swap removed cannot have been there for this one as well.
            ("two swaps of one value", OpKind::CompareAndSet { new, .. }) if new != value => {
                changed.kind = OpKind::CompareAndSet { expect: value, new };
                changed.outcome = Outcome::Ok(Returned::Swapped);
            }
            ("compare-and-set finds an old value" | "two swaps of one value", _) => return None,
            (_, _) if is_read => changed.outcome = Outcome::Ok(Returned::Value(value)),
            (_, _) => return None,
        }
        Some(corrupted)
    }

    fn is_ok(operation: &Operation) -> bool {
        match operation.outcome {
            Outcome::Ok(_) => true,
            Outcome::Failed | Outcome::Unknown => false,
        }
    }

    /// A value that was surely overwritten before the victim was called: its writer returned
    /// before another writer was called, which returned before the victim was called.
    fn stale(rng: &mut SplitMix, victim: &Operation, others: &[&Operation]) -> Option<u64> {
        let stored = |other: &&&Operation| is_ok(other) && other.value_written().is_some();
        let overwriter = others
            .iter()
            .filter(stored)
            .filter(|other| other.returned < Some(victim.call))
            .max_by_key(|other| other.call)?;
        let mut old: Vec<_> = others
            .iter()
            .filter(stored)
            .filter(|other| other.returned < Some(overwriter.call))
            .filter_map(|other| other.value_written())
            .collect();
        old.push(INITIAL_VALUE);
        old.get(usize::try_from(rng.below(old.len() as u64)).unwrap())
            .copied()
    }

    /// Reads the history of key 1 from a transcript, `;` between operations, each by a client of
    /// its own: `write 1 ok 0..5`, `read 1 0..5`, `cas 1>2 ok 0..5`, `cas 1>2 found 3 0..5`. The
    /// answer may be `unknown` or `failed` instead; `@7` at the end is the index.
    pub(crate) fn transcript(text: &str) -> History {
        let lines: Vec<_> = text
            .split(';')
            .filter(|line| !line.trim().is_empty())
            .collect();
        let mut history = History::new(lines.len());
        for (client, line) in lines.into_iter().enumerate() {
            let (line, index) = match line.split_once('@') {
                Some((line, index)) => (line, Some(number(index))),
                None => (line, None),
            };
            let words: Vec<_> = line.split_whitespace().collect();
            let (kind, answer, times) = match words.as_slice() {
                ["write", value, answer, times] => (OpKind::Write(number(value)), *answer, times),
                ["read", answer, times] => (OpKind::Read, *answer, times),
                ["cas", swap, answer, times] | ["cas", swap, "found", answer, times] => {
                    let (expect, new) = swap.split_once('>').unwrap();
                    let kind = OpKind::CompareAndSet {
                        expect: number(expect),
                        new: number(new),
                    };
                    (kind, *answer, times)
                }
                _ => panic!("not an operation: {line}"),
            };
            let outcome = match (answer, kind) {
                ("unknown", _) => Outcome::Unknown,
                ("failed", _) => Outcome::Failed,
                ("ok", OpKind::CompareAndSet { .. }) => Outcome::Ok(Returned::Swapped),
                ("ok", _) => Outcome::Ok(Returned::Written),
                (seen, OpKind::Read) => Outcome::Ok(Returned::Value(number(seen))),
                (seen, _) => Outcome::Ok(Returned::Mismatch {
                    found: number(seen),
                }),
            };
            let (call, returned) = times.split_once("..").unwrap();
            let id = history.call(client as u64, 1, kind, number(call)).unwrap();
            history.complete(id, outcome, number(returned));
            if let Some(index) = index {
                history.record_index(id, index);
            }
        }
        history
    }

    fn number(text: &str) -> u64 {
        text.trim().parse().unwrap()
    }

    fn panics(run: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(run).is_err()
    }

    #[test]
    fn a_full_history_refuses_and_keeps_what_it_has() {
        let mut history = History::new(1);
        let first = history.call(1, 1, OpKind::Write(5), 0).unwrap();
        assert_eq!(history.call(1, 1, OpKind::Write(6), 1), None);
        assert_eq!(history.operations().len(), 1);
        assert_eq!(history.get(first).kind, OpKind::Write(5));
    }

    #[test]
    fn operations_are_listed_by_key() {
        let mut history = History::new(8);
        for (key, value) in [(2, 1), (1, 1), (2, 2)] {
            history.call(0, key, OpKind::Write(value), value).unwrap();
        }
        assert_eq!(history.keys().collect::<Vec<_>>(), [1, 2]);
        let of_two: Vec<_> = history.of_key(2).map(|operation| operation.kind).collect();
        assert_eq!(of_two, [OpKind::Write(1), OpKind::Write(2)]);
        assert_eq!(history.of_key(3).count(), 0);
    }

    #[test]
    fn an_unknown_outcome_may_become_known_and_then_stays() {
        let mut history = History::new(1);
        let id = history.call(1, 1, OpKind::Read, 10).unwrap();
        history.complete(id, Outcome::Unknown, 20);
        assert_eq!(
            (history.get(id).outcome, history.get(id).returned),
            (Outcome::Unknown, None)
        );
        history.complete(id, Outcome::Ok(Returned::Value(0)), 30);
        assert_eq!(history.get(id).returned, Some(30));
        assert!(panics(move || history.complete(id, Outcome::Failed, 40)));
    }

    #[test]
    fn what_no_client_can_have_seen_is_refused() {
        let cas = OpKind::CompareAndSet { expect: 7, new: 8 };
        let table = [
            (OpKind::Write(7), Returned::Swapped),
            (OpKind::Write(7), Returned::Value(7)),
            (OpKind::Read, Returned::Written),
            (cas, Returned::Written),
            (cas, Returned::Mismatch { found: 7 }),
        ];
        for (kind, answer) in table {
            let mut history = History::new(1);
            let id = history.call(1, 1, kind, 0).unwrap();
            assert!(
                panics(move || history.complete(id, Outcome::Ok(answer), 1)),
                "{kind:?} {answer:?}"
            );
        }
        assert!(
            panics(|| drop(transcript("read failed 5..4"))),
            "returned before its call"
        );
    }

    #[test]
    fn values_are_unique_and_an_operation_has_one_index() {
        for text in [
            "write 0 ok 0..1",
            "write 3 ok 0..1; cas 0>3 ok 2..3",
            "cas 3>3 ok 0..1",
        ] {
            assert!(panics(move || drop(transcript(text))), "{text}");
        }
        let mut history = transcript("write 3 unknown 0..1 @9");
        history.record_index(OperationId(0), 9);
        assert!(panics(move || history.record_index(OperationId(0), 10)));
    }

    #[test]
    fn operations_print_in_one_line() {
        let history = transcript("write 3 unknown 0..1 @7; cas 3>4 found 9 2..5 @8; read 9 6..6");
        let printed: Vec<_> = history
            .operations()
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = [
            "#0 client 0 key 1 write 3 = unknown [0..] at index 7",
            "#1 client 1 key 1 cas 3->4 = mismatch, found 9 [2..5] at index 8",
            "#2 client 2 key 1 read = 9 [6..6]",
        ];
        assert_eq!(printed, expected);
    }
}
