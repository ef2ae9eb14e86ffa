//! The machine that these clusters replicate: registers, and a journal of all that was done.
//!
//! It suppresses no duplicates, so that a command which took effect twice, or although it was
//! refused, is found. A witness beside all machines of a group compares what they apply. This file
//! does not know nodes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_core::Index;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_core::sim::history::{INITIAL_VALUE, Returned};
use raft_core::sim::machine::{Action, Command, Response};
use raft_core::sim::rng::fold;

/// So many bytes of the journal go into one file of a snapshot, and a command more.
const FILE_BYTES: usize = 2 << 20;
/// The first byte of a command that is only kept. Those of registers have others.
const BALLAST: u8 = b'B';
/// The command that makes the machine panic whose switch is on.
pub(crate) const POISON: &[u8] = b"P";

/// A number for commands: who sent it, and its place among those of the sender.
pub(crate) type Name = (u64, u64);

/// The machine.
pub(crate) struct Journal {
    commands: Vec<(Index, Bytes)>,
    values: BTreeMap<u64, u64>,
    /// Of the whole journal, in its order.
    digest: u64,
    witness: Arc<Witness>,
    panics: Arc<AtomicBool>,
}

impl Journal {
    pub(crate) fn new(witness: &Arc<Witness>, panics: &Arc<AtomicBool>) -> Self {
        Self {
            commands: Vec::new(),
            values: BTreeMap::new(),
            digest: 0,
            witness: Arc::clone(witness),
            panics: Arc::clone(panics),
        }
    }

    fn execute(&mut self, index: Index, command: &Bytes) -> Bytes {
        self.digest = command
            .iter()
            .fold(fold(self.digest, index.0), |digest, byte| {
                fold(digest, u64::from(*byte))
            });
        self.commands.push((index, command.clone()));
        let Some(command) = Command::decode(command) else {
            return Bytes::new();
        };
        let found = self.value(command.key);
        let returned = match command.action {
            Action::Get => Returned::Value(found),
            Action::Put(value) => {
                self.values.insert(command.key, value);
                Returned::Written
            }
            Action::CompareAndSet { expect, new } if expect == found => {
                self.values.insert(command.key, new);
                Returned::Swapped
            }
            Action::CompareAndSet { .. } => Returned::Mismatch { found },
        };
        Response::Done { index, returned }.encode()
    }

    fn value(&self, key: u64) -> u64 {
        self.values.get(&key).copied().unwrap_or(INITIAL_VALUE)
    }
}

/// A command that is kept, and else of no effect.
pub(crate) fn ballast(bytes: usize, filling: u8) -> Bytes {
    let mut command = vec![filling; bytes];
    command[0] = BALLAST;
    command.into()
}

/// What a journal may be asked.
pub(crate) enum Look {
    /// See [`digest`].
    Digest,
    /// See [`journal`].
    Journal,
    /// See [`register`].
    Register(u64),
}

impl From<Look> for Bytes {
    fn from(look: Look) -> Self {
        match look {
            Look::Digest => Self::from_static(b"d"),
            Look::Journal => Self::from_static(b"j"),
            Look::Register(key) => Self::copy_from_slice(&key.to_le_bytes()),
        }
    }
}

/// How many commands the machine has applied, and the digest of them.
pub(crate) fn digest(mut answer: Bytes) -> (u64, u64) {
    (answer.get_u64_le(), answer.get_u64_le())
}

/// The last command that was applied, and the value then.
pub(crate) fn register(mut answer: Bytes) -> (Index, u64) {
    (Index(answer.get_u64_le()), answer.get_u64_le())
}

/// The commands on registers, in the order of the log.
pub(crate) fn journal(answer: Bytes) -> Vec<Name> {
    let rows = rows(answer).into_iter();
    let commands = rows.filter_map(|(_, command)| Command::decode(&command));
    commands
        .map(|found| (found.client, found.sequence))
        .collect()
}

fn rows(mut file: Bytes) -> Vec<(Index, Bytes)> {
    let mut rows = Vec::new();
    while file.has_remaining() {
        let index = Index(file.get_u64_le());
        let length = file.get_u32_le() as usize;
        rows.push((index, file.split_to(length)));
    }
    rows
}

fn files(commands: &[(Index, Bytes)]) -> Vec<Bytes> {
    let mut files = Vec::new();
    let mut file = BytesMut::new();
    for (index, command) in commands {
        file.put_u64_le(index.0);
        file.put_u32_le(u32::try_from(command.len()).expect("commands are short"));
        file.put_slice(command);
        if file.len() >= FILE_BYTES {
            files.push(file.split().freeze());
        }
    }
    files.push(file.freeze());
    files
}

impl StateMachine for Journal {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let mut answers = Vec::new();
        for committed in batch {
            let is_deadly = committed.command == POISON && self.panics.load(Ordering::Relaxed);
            assert!(!is_deadly, "a poisoned command");
            self.witness.saw(committed.index, &committed.command);
            answers.push(self.execute(committed.index, &committed.command));
        }
        Ok(answers)
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        let mut answer = BytesMut::new();
        match query {
            b"d" => {
                answer.put_u64_le(self.commands.len() as u64);
                answer.put_u64_le(self.digest);
            }
            b"j" => files(&self.commands)
                .iter()
                .for_each(|file| answer.put_slice(file)),
            mut key => {
                let last = self.commands.last().map_or(0, |(index, _)| index.0);
                answer.put_u64_le(last);
                answer.put_u64_le(self.value(key.get_u64_le()));
            }
        }
        Ok(answer.freeze())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let commands = self.commands.clone();
        Ok(Box::new(move |sink| {
            for (place, file) in files(&commands).into_iter().enumerate() {
                sink.add(&format!("journal-{place:06}"), &mut file.as_ref())?;
            }
            Ok(())
        }))
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut empty = Self::new(&self.witness, &self.panics);
        for file in &source.manifest().files {
            let mut content = Vec::new();
            source.copy(&file.name, &mut content)?;
            for (index, command) in rows(content.into()) {
                self.witness.saw(index, &command);
                empty.execute(index, &command);
            }
        }
        if empty
            .commands
            .last()
            .is_some_and(|(index, _)| *index > last)
        {
            return Err(PortError::damaged("a snapshot with more than it says"));
        }
        *self = empty;
        Ok(())
    }
}

/// Sees what all machines of a group apply, and remembers it beyond their lives.
#[derive(Default)]
pub(crate) struct Witness {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    applied: BTreeMap<Index, Bytes>,
    /// Machines that applied something else than another did before.
    contradictions: Vec<String>,
}

impl Witness {
    fn saw(&self, index: Index, command: &Bytes) {
        let mut seen = self.lock();
        let first = seen.applied.entry(index).or_insert_with(|| command.clone());
        if first != command {
            let what = format!("{index}: first {first:?}, then {command:?}");
            seen.contradictions.push(what);
        }
    }

    /// Where each command on registers was applied, by any machine.
    ///
    /// # Panics
    /// If two machines did not apply the same.
    pub(crate) fn applied(&self) -> Vec<(Index, Name)> {
        let seen = self.lock();
        assert!(seen.contradictions.is_empty(), "{:?}", seen.contradictions);
        let named = |(index, command): (&Index, &Bytes)| {
            let command = Command::decode(command)?;
            Some((*index, (command.client, command.sequence)))
        };
        seen.applied.iter().filter_map(named).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
