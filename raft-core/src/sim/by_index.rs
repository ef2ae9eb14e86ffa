//! Linearizability by log index: the fast check, run on every simulated history.
//!
//! Raft claims one particular legal order: writes by their log index, reads at the applied index
//! they were served from. So there is nothing to search for; it is enough that this order respects
//! real time and that replaying it gives every answer. That is stricter than linearizability: a
//! history can have a legal order and still not have this one. One log serves all keys, so real
//! time is compared across keys.
//!
//! It deliberately does not know how the indexes came about. It believes them, and a system that
//! lied about them consistently would pass; `wgl` is the check that ignores them.

use std::fmt;

use crate::sim::history::{History, INITIAL_VALUE, OpKind, Operation, Outcome};

/// Which claim about log indexes does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexViolationKind {
    /// An operation succeeded, and nobody knows at which index.
    MissingIndex,
    /// An operation surely did not happen, and yet it is in the log.
    FailedButApplied,
    /// Two writes are at the same index.
    SharedIndex,
    /// An operation that began after another had returned is not after it in the log.
    RealTimeOrder,
    /// An answer differs from what the register held at its index.
    WrongAnswer,
}

/// A history that the log does not explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexViolation {
    /// Which claim is broken.
    pub kind: IndexViolationKind,
    /// By which operations, in words.
    pub explanation: String,
}

impl fmt::Display for IndexViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.explanation)
    }
}

impl std::error::Error for IndexViolation {}

/// Checks that the order by log index is a legal order of the history.
///
/// # Errors
///
/// The first claim that was found broken.
pub fn check(history: &History) -> Result<(), IndexViolation> {
    let applied = applied(history)?;
    check_shared_index(&applied)?;
    check_real_time_order(&applied)?;
    check_answers(applied)
}

/// One application of a client's command to the replicated state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Applied {
    /// The session.
    pub client: u64,
    /// The command's number within the session.
    pub sequence: u64,
    /// Where in the log it was applied.
    pub index: u64,
}

/// A command took effect twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedTwice {
    /// The session.
    pub client: u64,
    /// The command's number within the session.
    pub sequence: u64,
    /// Where it took effect first.
    pub index_first: u64,
    /// Where it took effect again.
    pub index_again: u64,
}

impl fmt::Display for AppliedTwice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            sequence,
            index_first,
            index_again,
        } = self;
        write!(
            f,
            "client {client} sequence {sequence} applied at {index_first} and {index_again}"
        )
    }
}

impl std::error::Error for AppliedTwice {}

/// Checks that each `(client, sequence)` took effect at most once.
///
/// The list holds what changed the state of *one* replica (or of the ghost), in any order, without
/// the duplicates that the session filter answered from memory. The same index twice is an error
/// too: that entry was applied twice.
///
/// # Errors
///
/// The lowest `(client, sequence)` that is listed more than once.
pub fn check_exactly_once(applied: &[Applied]) -> Result<(), AppliedTwice> {
    let mut sorted = applied.to_vec();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        let (first, again) = (pair[0], pair[1]);
        if (first.client, first.sequence) == (again.client, again.sequence) {
            return Err(AppliedTwice {
                client: first.client,
                sequence: first.sequence,
                index_first: first.index,
                index_again: again.index,
            });
        }
    }
    Ok(())
}

/// An operation that took effect, and where.
#[derive(Clone, Copy)]
struct Indexed<'a> {
    index: u64,
    operation: &'a Operation,
}

impl Indexed<'_> {
    /// Whether the operation is an entry of the log, not a look at the state after one. A
    /// compare-and-set that changed nothing is an entry like any other.
    fn is_entry(&self) -> bool {
        match self.operation.kind {
            OpKind::Write(_) | OpKind::CompareAndSet { .. } => true,
            OpKind::Read => false,
        }
    }
}

/// The operations that took effect. One of unknown outcome did if it got an index; a read that
/// nobody heard the answer of does not matter.
fn applied(history: &History) -> Result<Vec<Indexed<'_>>, IndexViolation> {
    let mut applied = Vec::with_capacity(history.operations().len());
    for operation in history.operations() {
        let indexed = operation.index.map(|index| Indexed { index, operation });
        match (operation.outcome, indexed) {
            (Outcome::Ok(_), None) => {
                return violation(IndexViolationKind::MissingIndex, operation.to_string());
            }
            (Outcome::Failed, Some(_)) => {
                return violation(IndexViolationKind::FailedButApplied, operation.to_string());
            }
            (Outcome::Ok(_), Some(indexed)) => applied.push(indexed),
            (Outcome::Unknown, Some(indexed)) if indexed.is_entry() => applied.push(indexed),
            (Outcome::Failed | Outcome::Unknown, _) => {}
        }
    }
    Ok(applied)
}

/// An entry carries one command, whatever its key.
fn check_shared_index(applied: &[Indexed<'_>]) -> Result<(), IndexViolation> {
    let mut entries: Vec<_> = applied
        .iter()
        .filter(|indexed| indexed.is_entry())
        .collect();
    entries.sort_unstable_by_key(|indexed| (indexed.index, indexed.operation.id));
    for pair in entries.windows(2) {
        if pair[0].index == pair[1].index {
            let explanation = format!("{} and {}", pair[0].operation, pair[1].operation);
            return violation(IndexViolationKind::SharedIndex, explanation);
        }
    }
    Ok(())
}

/// An operation that began after another had returned has at least its index; a write has a larger
/// one, because an entry that was applied before the write began cannot be that write.
fn check_real_time_order(applied: &[Indexed<'_>]) -> Result<(), IndexViolation> {
    let mut by_call = applied.to_vec();
    by_call.sort_unstable_by_key(|indexed| (indexed.operation.call, indexed.operation.id));
    let mut by_return: Vec<(u64, Indexed<'_>)> = applied
        .iter()
        .filter_map(|indexed| {
            indexed
                .operation
                .returned
                .map(|returned| (returned, *indexed))
        })
        .collect();
    by_return.sort_unstable_by_key(|(returned, indexed)| (*returned, indexed.operation.id));

    let mut returns = by_return.into_iter().peekable();
    let mut latest: Option<Indexed<'_>> = None;
    for later in by_call {
        while let Some((_, earlier)) = returns.next_if(|(end, _)| *end < later.operation.call) {
            if latest.is_none_or(|latest| latest.index < earlier.index) {
                latest = Some(earlier);
            }
        }
        let Some(earlier) = latest else { continue };
        let shares = later.is_entry() && later.index == earlier.index;
        if later.index < earlier.index || shares {
            let explanation = format!("{} comes after {}", later.operation, earlier.operation);
            return violation(IndexViolationKind::RealTimeOrder, explanation);
        }
    }
    Ok(())
}

/// Replays the log key by key and compares every answer.
fn check_answers(mut applied: Vec<Indexed<'_>>) -> Result<(), IndexViolation> {
    // A read comes after the entry of its own index.
    applied.sort_unstable_by_key(|indexed| {
        (
            indexed.operation.key,
            indexed.index,
            !indexed.is_entry(),
            indexed.operation.id,
        )
    });
    for of_key in applied.chunk_by(|one, two| one.operation.key == two.operation.key) {
        let mut value = INITIAL_VALUE;
        for indexed in of_key {
            let operation = indexed.operation;
            if !answer_is_right(operation, value) {
                let explanation = format!("{operation}, but the register held {value}");
                return violation(IndexViolationKind::WrongAnswer, explanation);
            }
            value = value_after(operation, value);
        }
    }
    Ok(())
}

fn answer_is_right(operation: &Operation, held: u64) -> bool {
    match operation.outcome {
        Outcome::Ok(_) => operation
            .value_required()
            .is_none_or(|required| required == held),
        // Nobody heard the answer.
        Outcome::Unknown | Outcome::Failed => true,
    }
}

/// Answers were compared first, so the kind alone tells what the register holds next.
fn value_after(operation: &Operation, held: u64) -> u64 {
    match operation.kind {
        OpKind::Write(value) => value,
        OpKind::CompareAndSet { expect, new } if expect == held => new,
        OpKind::CompareAndSet { .. } | OpKind::Read => held,
    }
}

fn violation<T>(kind: IndexViolationKind, explanation: String) -> Result<T, IndexViolation> {
    Err(IndexViolation { kind, explanation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::history::Returned;
    use crate::sim::history::tests::{
        CORRUPTIONS, Shape, SplitMix, corrupt, random_history, transcript,
    };
    use crate::sim::wgl;

    const W: Outcome = Outcome::Ok(Returned::Written);

    fn saw(value: u64) -> Outcome {
        Outcome::Ok(Returned::Value(value))
    }

    #[test]
    fn right_histories_pass() {
        let table = [
            ("nothing", ""),
            ("read of nothing", "read 0 0..1 @4"),
            ("read at its write", "write 1 ok 0..5 @3; read 1 6..7 @3"),
            (
                "overlapping read sees the past",
                "write 1 ok 0..9 @3; read 0 1..2 @2",
            ),
            (
                "unknown write observed late",
                "write 1 unknown 0..1 @9; write 2 ok 2..3 @8; read 2 4..5 @8; read 1 6..7 @9",
            ),
            (
                "unknown never observed",
                "write 1 unknown 0..1; read 0 2..3 @1",
            ),
            ("unknown read", "write 1 ok 0..1 @5; read unknown 2..3 @4"),
            ("failed", "write 1 failed 0..1; read 0 2..3 @1"),
            (
                "compare-and-set, both ways",
                "cas 0>1 ok 0..1 @1; cas 0>2 found 1 2..3 @2; cas 1>3 unknown 4..5 @3; \
                 cas 1>4 unknown 4..5 @4; read 3 6..7 @5",
            ),
            (
                "a tie is concurrent",
                "write 1 ok 0..5 @2; write 2 ok 5..6 @1",
            ),
        ];
        for (name, text) in table {
            assert_eq!(check(&transcript(text)), Ok(()), "{name}");
        }
    }

    #[test]
    fn wrong_histories_are_named() {
        use IndexViolationKind as Kind;
        let table = [
            (Kind::MissingIndex, "write 1 ok 0..1"),
            (Kind::MissingIndex, "read 0 0..1"),
            (Kind::FailedButApplied, "write 1 failed 0..1 @7"),
            (Kind::SharedIndex, "write 1 ok 0..9 @7; write 2 ok 0..9 @7"),
            (
                Kind::SharedIndex,
                "write 1 ok 0..9 @7; cas 5>2 unknown 0..9 @7",
            ),
            (
                Kind::RealTimeOrder,
                "write 1 ok 0..1 @7; write 2 ok 2..3 @6",
            ),
            (
                Kind::RealTimeOrder,
                "write 1 ok 0..1 @7; write 2 unknown 2..3 @6",
            ),
            // A read cannot have seen the index of a write that was not yet called.
            (Kind::RealTimeOrder, "read 0 0..1 @7; write 2 ok 2..3 @7"),
            // A stale read, served by a replica that is behind.
            (
                Kind::RealTimeOrder,
                "write 1 ok 0..1 @5; write 2 ok 2..3 @6; read 1 4..5 @5",
            ),
            (
                Kind::RealTimeOrder,
                "write 1 ok 0..9 @5; read 1 1..2 @5; read 0 3..4 @4",
            ),
            // A lost write.
            (
                Kind::WrongAnswer,
                "write 1 ok 0..1 @5; write 2 ok 2..3 @6; read 1 4..5 @6",
            ),
            // A duplicate apply brings a value back.
            (
                Kind::WrongAnswer,
                "write 1 ok 0..1 @5; write 2 ok 2..3 @6; read 1 4..5 @7",
            ),
            // Never written.
            (Kind::WrongAnswer, "read 3 0..1 @5"),
            // An unknown write that was seen without being in the log, and the reverse.
            (Kind::WrongAnswer, "write 1 unknown 0..1; read 1 2..3 @5"),
            (Kind::WrongAnswer, "write 1 unknown 0..1 @5; read 0 2..3 @5"),
            (Kind::WrongAnswer, "write 1 ok 0..1 @5; cas 0>2 ok 2..3 @6"),
            (
                Kind::WrongAnswer,
                "write 1 ok 0..1 @5; cas 3>2 found 0 2..3 @6",
            ),
            // An unknown swap that found something else changed nothing.
            (
                Kind::WrongAnswer,
                "write 1 ok 0..1 @5; cas 0>2 unknown 2..3 @6; read 2 4..5 @6",
            ),
        ];
        for (kind, text) in table {
            let found = check(&transcript(text)).map_err(|violation| violation.kind);
            assert_eq!(found, Err(kind), "{text}");
        }
    }

    #[test]
    fn one_log_orders_all_keys() {
        let mut history = History::new(2);
        let write = history.call(1, 1, OpKind::Write(1), 0).unwrap();
        history.complete(write, W, 1);
        history.record_index(write, 7);
        let read = history.call(2, 2, OpKind::Read, 2).unwrap();
        history.complete(read, saw(0), 3);
        history.record_index(read, 6);
        let violation = check(&history).unwrap_err();
        let expected = "RealTimeOrder: #1 client 2 key 2 read = 0 [2..3] at index 6 comes after \
                        #0 client 1 key 1 write 1 = ok [0..1] at index 7";
        assert_eq!(violation.to_string(), expected);
    }

    #[test]
    fn a_command_applies_at_most_once() {
        let at = |client, sequence, index| Applied {
            client,
            sequence,
            index,
        };
        assert_eq!(check_exactly_once(&[]), Ok(()));
        assert_eq!(
            check_exactly_once(&[at(1, 1, 5), at(2, 1, 6), at(1, 2, 7)]),
            Ok(())
        );
        let twice = check_exactly_once(&[at(1, 1, 9), at(2, 1, 6), at(1, 1, 5)]).unwrap_err();
        assert_eq!(twice.to_string(), "client 1 sequence 1 applied at 5 and 9");
        let replayed = check_exactly_once(&[at(1, 1, 5), at(1, 1, 5)]).unwrap_err();
        assert_eq!((replayed.index_first, replayed.index_again), (5, 5));
    }

    #[test]
    fn both_checkers_accept_what_a_true_register_answered() {
        for seed in 0..2000 {
            let mut rng = SplitMix(seed);
            let clients = 1 + rng.below(8);
            let history = random_history(
                &mut rng,
                Shape {
                    clients,
                    ..Shape::SMALL
                },
            );
            assert_eq!(check(&history), Ok(()), "seed {seed}");
            assert_eq!(wgl::check(&history), Ok(()), "seed {seed}");
        }
    }

    /// Every corruption is provably not linearizable, so both checkers must find every one.
    #[test]
    fn both_checkers_find_every_corruption() {
        for how in CORRUPTIONS {
            let mut corrupted_count = 0;
            for seed in 0..1000 {
                let mut rng = SplitMix(seed);
                let clients = 1 + rng.below(8);
                let shape = Shape {
                    clients,
                    keys: 1,
                    failed_percent: 10,
                    ..Shape::SMALL
                };
                let history = random_history(&mut rng, shape);
                let Some(broken) = corrupt(&mut rng, &history, how) else {
                    continue;
                };
                corrupted_count += 1;
                assert!(check(&broken).is_err(), "by index, {how}, seed {seed}");
                assert!(wgl::check(&broken).is_err(), "wgl, {how}, seed {seed}");
            }
            assert!(
                corrupted_count > 100,
                "{how}: only {corrupted_count} histories fit"
            );
        }
    }

    /// The order by index is one legal order, so what passes here passes the search. Not the other
    /// way round: a wrong index alone is invisible to clients.
    #[test]
    fn what_passes_by_index_is_linearizable() {
        let (mut passed, mut only_wgl, mut neither) = (0, 0, 0);
        for seed in 0..20_000 {
            let mut rng = SplitMix(seed);
            let operations = 1 + rng.below(6);
            let clients = 1 + rng.below(4);
            let shape = Shape {
                clients,
                keys: 1,
                operations,
                ..Shape::SMALL
            };
            let honest = random_history(&mut rng, shape);
            let mut history = History::new(honest.operations().len());
            for operation in honest.operations() {
                let Operation {
                    client,
                    key,
                    kind,
                    call,
                    ..
                } = *operation;
                let id = history.call(client, key, kind, call).unwrap();
                let outcome = match operation.outcome {
                    Outcome::Ok(Returned::Value(_)) if rng.percent(30) => saw(rng.below(7)),
                    outcome @ (Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown) => outcome,
                };
                history.complete(id, outcome, operation.returned.unwrap_or(call));
                if let Some(index) = operation.index {
                    history.record_index(id, index + u64::from(rng.percent(10)));
                }
            }
            match (check(&history).is_ok(), wgl::check(&history).is_ok()) {
                (true, true) => passed += 1,
                (true, false) => panic!("seed {seed}: legal by index, yet no order was found"),
                (false, true) => only_wgl += 1,
                (false, false) => neither += 1,
            }
        }
        for (name, count) in [
            ("passed", passed),
            ("only wgl", only_wgl),
            ("neither", neither),
        ] {
            assert!(count > 500, "{name}: {count} is too few to mean anything");
        }
    }
}
