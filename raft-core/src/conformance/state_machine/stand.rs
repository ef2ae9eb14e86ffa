//! The test stand: a log, what the reference machine made of it, and machines told the same.
//!
//! It does not know the cases. Its panics name the case it stands for.

use std::fmt::Display;

use bytes::Bytes;

use super::StateMachineFixture;
use super::files::{Files, Sink};
use crate::conformance::dice::Dice;
use crate::port::{Capture, Committed, PortError, StateMachine};
use crate::types::{Index, Position, Term};

/// So many commands has a log.
const LENGTH: u64 = 160;

/// The answers to all queries.
type State = Vec<Bytes>;

/// A log, and what must become of it.
pub(super) struct Stand<'a> {
    name: String,
    pub(super) fixture: &'a mut dyn StateMachineFixture,
    pub(super) dice: Dice,
    pub(super) log: Vec<Committed>,
    /// What the reference answered to each command.
    answers: Vec<Bytes>,
    /// What it held after so many commands, from 0 on.
    states: Vec<State>,
}

/// A machine under test.
pub(super) struct Subject {
    pub(super) machine: Box<dyn StateMachine>,
    /// How many commands of the log it has applied.
    pub(super) applied: usize,
    /// What it said last of its own durable state.
    pub(super) durable: Index,
}

/// A snapshot, and how many commands of the log it stands for.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) applied: usize,
    pub(super) files: Files,
}

impl<'a> Stand<'a> {
    /// A log drawn from this seed.
    pub(super) fn new(name: String, fixture: &'a mut dyn StateMachineFixture, seed: u64) -> Self {
        let mut stand = Self {
            name,
            fixture,
            dice: Dice(seed),
            log: Vec::new(),
            answers: Vec::new(),
            states: Vec::new(),
        };
        stand.draw_log(&[]);
        let is_telling = stand.states.first() != stand.states.last();
        stand.check(is_telling, "the queries do not tell the end from the start");
        stand
    }

    /// Replaces the log by another, with these commands strewn in.
    pub(super) fn draw_log(&mut self, strewn: &[Bytes]) {
        let (mut index, mut term) = (Index(0), Term(1));
        self.log.clear();
        for _ in 0..LENGTH {
            // Entries that are no commands have an index, too.
            let is_gap = self.dice.within(0..=9) == 0;
            index = index.plus(1 + u64::from(is_gap));
            if is_gap {
                term = term.next();
            }
            let random = self.dice.draw();
            let command = match usize::try_from(random % 40) {
                Ok(place) if place < strewn.len() => strewn[place].clone(),
                _ => self.fixture.command(index, random),
            };
            self.log.push(Committed {
                index,
                term,
                command,
            });
        }
        self.run_reference();
    }

    fn run_reference(&mut self) {
        let mut reference = self.fresh();
        self.answers.clear();
        self.states = vec![self.state(&reference)];
        for committed in &self.log {
            let answered = reference.machine.apply(std::slice::from_ref(committed));
            let answered = self.ok("apply", answered);
            self.check(answered.len() == 1, "one command has not one answer");
            self.answers.extend(answered);
            self.states.push(self.state(&reference));
        }
    }

    /// From now on it stands for this case.
    pub(super) fn rename(&mut self, name: String) {
        self.name = name;
    }

    pub(super) fn fresh(&mut self) -> Subject {
        let machine = self.fixture.fresh();
        let durable = machine.durable();
        self.check(durable == Index(0), "a fresh machine has durable state");
        Subject {
            machine,
            applied: 0,
            durable,
        }
    }

    /// A machine that has applied so much of the log.
    pub(super) fn fresh_at(&mut self, applied: usize) -> Subject {
        let mut subject = self.fresh();
        self.advance(&mut subject, applied);
        subject
    }

    /// Applies up to there, in batches of random length, and compares the answers.
    pub(super) fn advance(&mut self, subject: &mut Subject, to: usize) {
        while subject.applied < to {
            let most = (to - subject.applied) as u64;
            let count = match self.dice.within(0..=3) {
                0 => 1,
                1 => most,
                _ => self.dice.within(1..=most),
            };
            self.apply(subject, usize::try_from(count).unwrap_or(1));
        }
    }

    /// Applies so many commands in one batch, and compares the answers.
    pub(super) fn apply(&self, subject: &mut Subject, count: usize) {
        let (from, to) = (subject.applied, subject.applied + count);
        let answers = subject.machine.apply(&self.log[from..to]);
        let answers = self.ok("apply", answers);
        if answers.len() != count {
            let given = answers.len();
            self.fail(&format!("{given} answers to a batch of {count}"));
        }
        for (answer, at) in answers.iter().zip(from..) {
            let (index, expected) = (self.log[at].index, &self.answers[at]);
            if answer != expected {
                self.fail(&format!(
                    "the command at {index} is answered {answer:?}, not {expected:?}"
                ));
            }
        }
        subject.applied = to;
        self.check_durable(subject);
    }

    /// What it says of its own durable state is possible, and never less than before.
    pub(super) fn check_durable(&self, subject: &mut Subject) {
        let (before, applied) = (subject.durable, self.index_of(subject.applied));
        subject.durable = subject.machine.durable();
        let durable = subject.durable;
        if durable > applied {
            self.fail(&format!("durable is {durable}, but applied is {applied}"));
        }
        if durable < before {
            self.fail(&format!("durable is {durable}, but was {before}"));
        }
    }

    /// The index of the last of so many commands.
    pub(super) fn index_of(&self, applied: usize) -> Index {
        let last = applied.checked_sub(1).and_then(|last| self.log.get(last));
        last.map_or(Index(0), |committed| committed.index)
    }

    fn state(&self, subject: &Subject) -> State {
        let queries = self.fixture.queries();
        let answers = queries
            .iter()
            .map(|query| subject.machine.query(query))
            .map(|answer| self.ok("query", answer));
        answers.collect()
    }

    /// It holds what the reference held after as many commands.
    pub(super) fn compare(&self, subject: &Subject) {
        let (state, applied) = (self.state(subject), subject.applied);
        let expected = &self.states[applied];
        let mut pairs = self.fixture.queries().into_iter().zip(&state).zip(expected);
        if let Some(((query, answer), expected)) = pairs.find(|((_, a), e)| a != e) {
            self.fail(&format!(
                "after {applied} commands {query:?} is answered {answer:?}, not {expected:?}"
            ));
        }
    }

    /// Applies the rest of the log, and compares all.
    pub(super) fn finish(&mut self, mut subject: Subject) {
        let end = self.log.len();
        self.advance(&mut subject, end);
        self.compare(&subject);
    }

    /// Holds its state fast, which must not change it.
    pub(super) fn capture(&self, subject: &mut Subject) -> Capture {
        let capture = subject.machine.snapshot();
        let capture = self.ok("snapshot", capture);
        self.check_durable(subject);
        capture
    }

    /// What a capture that was taken after so many commands writes.
    pub(super) fn write(&self, capture: Capture, applied: usize) -> Taken {
        let mut sink = Sink::new(self.fixture.file_reader());
        let done = capture(&mut sink);
        self.ok("write a capture", done);
        let last = applied.checked_sub(1).map(|last| &self.log[last]);
        let last = last.map_or(Position::default(), |c| Position::new(c.term, c.index));
        Taken {
            applied,
            files: sink.into_files(last),
        }
    }

    pub(super) fn take(&self, subject: &mut Subject) -> Taken {
        let capture = self.capture(subject);
        self.write(capture, subject.applied)
    }

    /// Replaces its state by that of a snapshot, and compares.
    pub(super) fn restore(&self, subject: &mut Subject, taken: &Taken) {
        let last = self.index_of(taken.applied);
        let done = subject.machine.restore(last, &taken.files);
        self.ok("restore", done);
        subject.applied = taken.applied;
        // A restore may lower it: what was there before is gone.
        subject.durable = Index(0);
        self.check_durable(subject);
        self.compare(subject);
    }

    pub(super) fn ok<T>(&self, what: &str, result: Result<T, PortError>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.fail(&format!("{what}: {:?}: {error}", error.kind)),
        }
    }

    pub(super) fn check(&self, condition: bool, otherwise: &str) {
        if !condition {
            self.fail(&otherwise);
        }
    }

    pub(super) fn fail(&self, why: &dyn Display) -> ! {
        panic!("state machine, {}: {why}", self.name)
    }
}
