//! Registers: the state machine that simulated clusters run unless they are given another.
//!
//! It maps keys to values, and knows put, get and compare-and-set. Sessions make each command take
//! effect once: every client numbers its commands, a command that comes again gets the answer of
//! the first time, and with each command the client says up to which number it waits for no answer
//! any more (dissertation §6.3). A digest of all that is kept up to date with every command.
//!
//! It deliberately does not know Raft, nor what clients want; commands that make no sense are
//! answered so and change nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::codec::{Action, Command, Response};
use self::codec::{Cursor, put_number};
use crate::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use crate::sim::history::{INITIAL_VALUE, Returned};
use crate::sim::rng::fold;
use crate::types::Index;

mod codec;

/// The one file of a snapshot.
const FILE: &str = "registers";
/// The first byte of that file.
const FORMAT: u8 = 1;
/// More clients than this are told that the machine is full.
pub const SESSIONS_MAX: usize = 4096;
/// More answers than this are not kept for a client that acknowledges none.
pub const ANSWERS_MAX: usize = 128;

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    values: BTreeMap<u64, u64>,
    sessions: BTreeMap<u64, Session>,
    /// The sum of what each register, session and answer contributes: so each change is one
    /// subtraction and one addition, and the order does not matter.
    digest: u64,
    /// The last entry of the snapshot that it was restored from.
    restored: Index,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    /// Commands numbered below this take effect no more.
    floor: u64,
    /// The answers that may still be asked for, ascending by number.
    answers: Vec<(u64, Response)>,
}

impl Registers {
    /// An empty machine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that two machines share only if they hold the same.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// The value of a register.
    #[must_use]
    pub fn value(&self, key: u64) -> u64 {
        self.values.get(&key).copied().unwrap_or(INITIAL_VALUE)
    }

    /// Carries out one command that stands at `index`.
    pub fn execute(&mut self, index: Index, command: &[u8]) -> Response {
        let Some(command) = Command::decode(command) else {
            return Response::Malformed;
        };
        if !self.sessions.contains_key(&command.client) {
            if self.sessions.len() >= SESSIONS_MAX {
                return Response::Full;
            }
            self.sessions.insert(command.client, Session::default());
            self.digest = self.digest.wrapping_add(of_floor(command.client, 0));
        }
        self.raise_floor(command.client, command.floor);
        let Some(session) = self.sessions.get(&command.client) else {
            return Response::Full;
        };
        if command.sequence < session.floor {
            return Response::Stale;
        }
        let place = match session
            .answers
            .binary_search_by_key(&command.sequence, |a| a.0)
        {
            Ok(known) => return session.answers[known].1,
            Err(place) => place,
        };
        if session.answers.len() >= ANSWERS_MAX {
            return Response::Full;
        }
        let returned = self.act(command.key, command.action);
        let response = Response::Done { index, returned };
        let answer = of_answer(command.client, command.sequence, response);
        self.digest = self.digest.wrapping_add(answer);
        if let Some(session) = self.sessions.get_mut(&command.client) {
            session.answers.insert(place, (command.sequence, response));
        }
        response
    }

    fn act(&mut self, key: u64, action: Action) -> Returned {
        let found = self.value(key);
        match action {
            Action::Get => Returned::Value(found),
            Action::Put(value) => {
                self.set(key, value);
                Returned::Written
            }
            Action::CompareAndSet { expect, new } if expect == found => {
                self.set(key, new);
                Returned::Swapped
            }
            Action::CompareAndSet { .. } => Returned::Mismatch { found },
        }
    }

    fn set(&mut self, key: u64, value: u64) {
        let before = self.values.insert(key, value);
        let gone = before.map_or(0, |before| of_value(key, before));
        self.digest = self
            .digest
            .wrapping_sub(gone)
            .wrapping_add(of_value(key, value));
    }

    fn raise_floor(&mut self, client: u64, floor: u64) {
        let Some(session) = self.sessions.get_mut(&client) else {
            return;
        };
        if floor <= session.floor {
            return;
        }
        let gone = session
            .answers
            .partition_point(|(sequence, _)| *sequence < floor);
        for (sequence, response) in session.answers.drain(..gone) {
            self.digest = self
                .digest
                .wrapping_sub(of_answer(client, sequence, response));
        }
        let (before, after) = (of_floor(client, session.floor), of_floor(client, floor));
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        session.floor = floor;
    }

    fn encode(&self) -> Vec<u8> {
        let mut file = vec![FORMAT];
        put_number(&mut file, self.values.len() as u64);
        for (key, value) in &self.values {
            put_number(&mut file, *key);
            put_number(&mut file, *value);
        }
        put_number(&mut file, self.sessions.len() as u64);
        for (client, session) in &self.sessions {
            put_number(&mut file, *client);
            put_number(&mut file, session.floor);
            put_number(&mut file, session.answers.len() as u64);
            for (sequence, response) in &session.answers {
                put_number(&mut file, *sequence);
                response.put(&mut file);
            }
        }
        file.extend_from_slice(&self.digest.to_le_bytes());
        file
    }

    /// The machine that a file holds, if the file is whole. The digest is summed up again, not
    /// believed.
    fn decode(file: &[u8]) -> Option<Self> {
        let (body, digest) = file.split_last_chunk::<8>()?;
        let mut cursor = Cursor::new(body);
        let mut machine = Self::new();
        if cursor.byte()? != FORMAT {
            return None;
        }
        for _ in 0..cursor.number()? {
            let (key, value) = (cursor.number()?, cursor.number()?);
            machine.set(key, value);
        }
        for _ in 0..cursor.number()? {
            let (client, floor) = (cursor.number()?, cursor.number()?);
            let mut answers = Vec::new();
            for _ in 0..cursor.number()? {
                let (sequence, response) = (cursor.number()?, Response::take(&mut cursor)?);
                let answer = of_answer(client, sequence, response);
                machine.digest = machine.digest.wrapping_add(answer);
                answers.push((sequence, response));
            }
            machine.digest = machine.digest.wrapping_add(of_floor(client, floor));
            machine.sessions.insert(client, Session { floor, answers });
        }
        (cursor.is_empty() && machine.digest == u64::from_le_bytes(*digest)).then_some(machine)
    }
}

/// What is asked of a machine to learn the value of a register.
#[must_use]
pub fn query(key: u64) -> Bytes {
    let mut query = Vec::new();
    put_number(&mut query, key);
    query.into()
}

/// The value that a machine answered to a [`query`].
#[must_use]
pub fn value(answer: &[u8]) -> Option<u64> {
    answer.try_into().ok().map(u64::from_le_bytes)
}

/// The digest of a machine that is known only by its port: its answer to the empty question.
#[must_use]
pub fn digest(machine: &dyn StateMachine) -> u64 {
    machine
        .query(&[])
        .ok()
        .and_then(|answer| value(&answer))
        .unwrap_or_default()
}

fn of_value(key: u64, value: u64) -> u64 {
    fold(fold(fold(1, key), value), key)
}

fn of_floor(client: u64, floor: u64) -> u64 {
    fold(fold(fold(2, client), floor), client)
}

fn of_answer(client: u64, sequence: u64, response: Response) -> u64 {
    let (kind, index, value) = response.parts();
    let place = fold(fold(3, client), sequence);
    fold(fold(fold(place, u64::from(kind)), index), value)
}

impl StateMachine for Registers {
    fn durable(&self) -> Index {
        self.restored
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let execute =
            |committed: &Committed| self.execute(committed.index, &committed.command).encode();
        Ok(batch.iter().map(execute).collect())
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        let answer = if query.is_empty() {
            self.digest
        } else {
            let mut cursor = Cursor::new(query);
            let key = cursor.number().filter(|_| cursor.is_empty());
            self.value(key.ok_or_else(|| broken("a query that names no register"))?)
        };
        Ok(Bytes::copy_from_slice(&answer.to_le_bytes()))
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let file = self.encode();
        Ok(Box::new(move |sink| sink.add(FILE, &mut file.as_slice())))
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut file = Vec::new();
        source.copy(FILE, &mut file)?;
        let restored = Self::decode(&file).ok_or_else(|| broken("a snapshot of registers"))?;
        *self = Self {
            restored: last,
            ..restored
        };
        Ok(())
    }
}

fn broken(what: &str) -> PortError {
    PortError::damaged(format!("{what} can't be read"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim::disk::ImageSink;
    use crate::sim::rng::Rng;

    fn command(client: u64, sequence: u64, floor: u64, action: Action) -> Bytes {
        Command {
            client,
            sequence,
            floor,
            key: 5,
            action,
        }
        .encode()
    }

    fn done(index: u64, returned: Returned) -> Response {
        Response::Done {
            index: Index(index),
            returned,
        }
    }

    /// A command with a number around `near`.
    fn random(rng: &mut Rng, near: u64) -> Bytes {
        let action = match rng.below(3) {
            0 => Action::Get,
            1 => Action::Put(rng.below(9)),
            _ => Action::CompareAndSet {
                expect: rng.below(9),
                new: rng.below(9),
            },
        };
        let sequence = near + rng.below(20);
        let floor = sequence.saturating_sub(rng.below(6));
        Command {
            client: rng.below(4),
            sequence,
            floor,
            key: rng.below(5),
            action,
        }
        .encode()
    }

    fn summed(machine: &Registers) -> u64 {
        let decoded = Registers::decode(&machine.encode());
        decoded
            .expect("the digest summed up anew is the one kept up to date")
            .digest()
    }

    #[test]
    fn registers_hold_what_was_put_and_swapped() {
        let mut machine = Registers::new();
        let mut check = |index, sequence, action, expected| {
            let response = machine.execute(Index(index), &command(1, sequence, 0, action));
            assert_eq!(response, done(index, expected));
        };
        check(1, 1, Action::Get, Returned::Value(0));
        check(2, 2, Action::Put(7), Returned::Written);
        check(
            3,
            3,
            Action::CompareAndSet { expect: 1, new: 8 },
            Returned::Mismatch { found: 7 },
        );
        check(
            4,
            4,
            Action::CompareAndSet { expect: 7, new: 9 },
            Returned::Swapped,
        );
        assert_eq!((machine.value(5), machine.value(6)), (9, 0));
        assert_eq!(value(&machine.query(&query(5)).expect("legal")), Some(9));
    }

    #[test]
    fn a_command_that_comes_again_gets_the_first_answer() {
        let mut machine = Registers::new();
        let first = machine.execute(Index(1), &command(1, 1, 0, Action::Put(7)));
        machine.execute(Index(2), &command(2, 1, 0, Action::Put(8)));
        let before = machine.digest();
        assert_eq!(
            machine.execute(Index(3), &command(1, 1, 0, Action::Put(7))),
            first
        );
        assert_eq!((machine.value(5), machine.digest()), (8, before));
    }

    #[test]
    fn commands_may_come_out_of_order_but_not_below_the_floor() {
        let mut machine = Registers::new();
        let put = |machine: &mut Registers, index, sequence, floor| {
            machine.execute(
                Index(index),
                &command(1, sequence, floor, Action::Put(index)),
            )
        };
        assert_eq!(put(&mut machine, 1, 3, 1), done(1, Returned::Written));
        assert_eq!(put(&mut machine, 2, 2, 1), done(2, Returned::Written));
        assert_eq!(put(&mut machine, 3, 4, 3), done(3, Returned::Written));
        assert_eq!(put(&mut machine, 4, 1, 1), Response::Stale);
        assert_eq!(put(&mut machine, 5, 2, 2), Response::Stale);
        assert_eq!(
            put(&mut machine, 6, 3, 3),
            done(1, Returned::Written),
            "still remembered"
        );
        assert_eq!(machine.value(5), 3);
    }

    #[test]
    fn what_makes_no_sense_or_is_too_much_changes_nothing() {
        let mut machine = Registers::new();
        assert_eq!(machine.execute(Index(1), b""), Response::Malformed);
        assert_eq!(machine.digest(), 0);
        for sequence in 0..ANSWERS_MAX as u64 {
            machine.execute(Index(sequence), &command(1, sequence, 0, Action::Get));
        }
        let more = machine.execute(Index(9), &command(1, 9999, 0, Action::Put(1)));
        assert_eq!((more, machine.value(5)), (Response::Full, 0));
        for client in 0..SESSIONS_MAX as u64 {
            machine.execute(Index(client), &command(client, 1, 0, Action::Get));
        }
        let more = machine.execute(Index(9), &command(u64::MAX, 1, 0, Action::Put(1)));
        assert_eq!((more, machine.value(5)), (Response::Full, 0));
    }

    /// Invariant 17: a snapshot and what follows it make the same state as the whole log.
    #[test]
    fn restore_and_suffix_equal_replay() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut whole = Registers::new();
            let mut restored = Registers::new();
            let cut = rng.below(60);
            for index in 1..=60 {
                if index == cut {
                    let mut sink = ImageSink::default();
                    whole.snapshot().expect("memory")(&mut sink).expect("memory");
                    let image = sink.into_image(Arc::default());
                    restored.restore(Index(index - 1), &image).expect("whole");
                    assert_eq!(restored.durable(), Index(index - 1));
                }
                let command = random(&mut rng, index / 3);
                let expected = whole.execute(Index(index), &command);
                assert_eq!(whole.digest(), summed(&whole), "seed {seed}");
                if index >= cut {
                    assert_eq!(
                        restored.execute(Index(index), &command),
                        expected,
                        "seed {seed}"
                    );
                    assert_eq!(restored.digest(), whole.digest(), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn different_states_have_different_digests() {
        let mut rng = Rng::new(1);
        let mut seen: BTreeMap<u64, Registers> = BTreeMap::new();
        let mut machine = Registers::new();
        for index in 1..3000 {
            machine.execute(Index(index), &random(&mut rng, index / 3));
            let here = seen
                .entry(machine.digest())
                .or_insert_with(|| machine.clone());
            assert_eq!(*here, machine);
        }
        assert!(seen.len() > 100);
        assert_eq!(digest(&machine), machine.digest());
    }

    #[test]
    fn a_damaged_snapshot_is_refused() {
        let mut rng = Rng::new(2);
        let mut machine = Registers::new();
        for index in 1..40 {
            machine.execute(Index(index), &random(&mut rng, index / 3));
        }
        let file = machine.encode();
        assert_eq!(Registers::decode(&file), Some(machine));
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Registers::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(Registers::decode(&file[..file.len() - 1]), None);
        assert_eq!(Registers::decode(&[]), None);
    }
}
