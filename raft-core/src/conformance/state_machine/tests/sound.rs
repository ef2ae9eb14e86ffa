//! Fixtures of machines that are sound: in memory, the simulator's, and sessions around either.

use bytes::Bytes;

use super::tally::Tally;
use crate::conformance::StateMachineFixture;
use crate::port::StateMachine;
use crate::session::{Session, Sessions, Stamped};
use crate::sim::machine::{Action, Command, Registers, query};
use crate::types::Index;

/// A tally without a disk.
pub(super) struct InMemory;

impl StateMachineFixture for InMemory {
    fn fresh(&mut self) -> Box<dyn StateMachine> {
        Box::new(Tally::in_memory())
    }

    fn command(&self, _: Index, random: u64) -> Bytes {
        Bytes::copy_from_slice(&random.to_le_bytes())
    }

    fn malformed(&self) -> Vec<Bytes> {
        vec![Bytes::new(), Bytes::from_static(b"garbage")]
    }

    fn queries(&self) -> Vec<Bytes> {
        vec![Bytes::new()]
    }
}

/// The machine of simulated clusters.
pub(super) struct OfRegisters;

impl StateMachineFixture for OfRegisters {
    fn fresh(&mut self) -> Box<dyn StateMachine> {
        Box::new(Registers::new())
    }

    fn command(&self, index: Index, random: u64) -> Bytes {
        let value = random >> 8 & 3;
        let action = match random % 4 {
            0 => Action::Get,
            1 | 2 => Action::Put(value),
            _ => Action::CompareAndSet {
                expect: value,
                new: value + 1,
            },
        };
        let command = Command {
            client: random >> 16 & 3,
            sequence: index.0 / 4 + (random >> 24 & 7),
            floor: index.0 / 4,
            key: random >> 32 & 7,
            action,
        };
        command.encode()
    }

    fn malformed(&self) -> Vec<Bytes> {
        vec![Bytes::new(), Bytes::from_static(b"\xffgarbage")]
    }

    /// The digest, and all registers.
    fn queries(&self) -> Vec<Bytes> {
        let registers = (0..8).map(query);
        [Bytes::new()].into_iter().chain(registers).collect()
    }
}

/// Sessions around a machine of another fixture, whose commands come from clients now: once, twice,
/// too late, or never opened.
pub(super) struct OfSessions<F> {
    make: fn() -> Sessions,
    inner: F,
}

impl<F> OfSessions<F> {
    pub(super) const fn new(make: fn() -> Sessions, inner: F) -> Self {
        Self { make, inner }
    }
}

impl<F: StateMachineFixture> StateMachineFixture for OfSessions<F> {
    fn fresh(&mut self) -> Box<dyn StateMachine> {
        Box::new((self.make)())
    }

    /// Every fifth entry opens a session; the others belong to one that was opened before, or not.
    fn command(&self, index: Index, random: u64) -> Bytes {
        let opened = index.0.saturating_sub(random >> 8 & 31) / 5 * 5;
        let session = Session {
            client: opened,
            sequence: index.0 / 16 + (random >> 16 & 1),
        };
        let (session, command) = match (index.0 % 5, random % 8) {
            (0, _) => (Some(Session::OPENING), Bytes::new()),
            (_, 0) => (None, self.inner.command(index, random)),
            _ => (Some(session), self.inner.command(index, random)),
        };
        let stamped = Stamped {
            time_ms: 1000 + index.0 * 10 - (random >> 20 & 63),
            session,
            command,
        };
        stamped.encode()
    }

    /// Frames that are none, and garbage in a frame.
    fn malformed(&self) -> Vec<Bytes> {
        let framed = self.inner.malformed().into_iter().map(|command| {
            let stamped = Stamped {
                time_ms: 5,
                session: None,
                command,
            };
            stamped.encode()
        });
        let frameless = [Bytes::new(), Bytes::from_static(b"\x07garbage")];
        frameless.into_iter().chain(framed).collect()
    }

    fn queries(&self) -> Vec<Bytes> {
        self.inner.queries()
    }
}
