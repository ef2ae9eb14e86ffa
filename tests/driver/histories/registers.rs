//! Registers as a state machine, and a ghost that sees what is applied on every replica.
//!
//! Each command stores a value that no other command stores, so the value names the command. This
//! file knows no clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_core::Index;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_core::sim::history::{OpKind, Returned};

/// What happened on any replica, by the log index and by the value that names the command.
#[derive(Clone, Default)]
pub(crate) struct Ghost(Arc<Mutex<Seen>>);

#[derive(Default)]
pub(crate) struct Seen {
    by_index: BTreeMap<u64, u64>,
    pub(crate) by_value: BTreeMap<u64, u64>,
    /// What must never happen, in words.
    pub(crate) wrongs: Vec<String>,
    pub(crate) restored: u64,
}

impl Ghost {
    pub(crate) fn look<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    /// Another replica, or this one after a restart, applies the same at the same index.
    fn applied(&mut self, index: u64, value: u64) {
        let at_index = *self.by_index.entry(index).or_insert(value);
        if at_index != value {
            self.wrongs
                .push(format!("index {index} is {at_index} here, {value} there"));
        }
        let at = *self.by_value.entry(value).or_insert(index);
        if at != index {
            self.wrongs
                .push(format!("{value} took effect at {at} and again at {index}"));
        }
    }
}

/// The registers.
pub(crate) struct Registers {
    values: BTreeMap<u64, u64>,
    /// The last command.
    last: u64,
    ghost: Ghost,
}

impl Registers {
    pub(crate) const FILE: &str = "registers";

    pub(crate) const fn new(ghost: Ghost) -> Self {
        Self {
            values: BTreeMap::new(),
            last: 0,
            ghost,
        }
    }

    fn execute(&mut self, committed: &Committed) -> Result<Bytes, PortError> {
        let (key, kind) = decode(&committed.command)?;
        let found = self.values.get(&key).copied().unwrap_or(0);
        let returned = match kind {
            OpKind::Read => Returned::Value(found),
            OpKind::Write(_) => Returned::Written,
            OpKind::CompareAndSet { expect, .. } if expect == found => Returned::Swapped,
            OpKind::CompareAndSet { .. } => Returned::Mismatch { found },
        };
        self.last = committed.index.0;
        if let Some(value) = kind.value_new() {
            self.ghost.look(|seen| seen.applied(self.last, value));
            if matches!(returned, Returned::Written | Returned::Swapped) {
                self.values.insert(key, value);
            }
        }
        Ok(answer(returned, self.last))
    }
}

impl StateMachine for Registers {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        batch.iter().map(|one| self.execute(one)).collect()
    }

    fn query(&self, mut query: &[u8]) -> Result<Bytes, PortError> {
        let key = query.try_get_u64_le();
        let key = key.map_err(|_| PortError::misused("a query without a key"))?;
        let found = self.values.get(&key).copied().unwrap_or(0);
        Ok(answer(Returned::Value(found), self.last))
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let mut file = BytesMut::new();
        file.put_u64_le(self.last);
        for (key, value) in &self.values {
            file.put_u64_le(*key);
            file.put_u64_le(*value);
        }
        Ok(Box::new(move |sink| sink.add(Self::FILE, &mut &file[..])))
    }

    fn restore(&mut self, _: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut file = Vec::new();
        source.copy(Self::FILE, &mut file)?;
        let (last, mut rest) = file.split_at(8);
        self.last = (&*last).get_u64_le();
        self.values.clear();
        while rest.len() >= 16 {
            self.values.insert(rest.get_u64_le(), rest.get_u64_le());
        }
        self.ghost.look(|seen| seen.restored += 1);
        Ok(())
    }
}

/// A command that the machine executes.
pub(crate) fn command(key: u64, kind: OpKind) -> Bytes {
    let mut bytes = BytesMut::with_capacity(25);
    bytes.put_u64_le(key);
    match kind {
        OpKind::Read => bytes.put_u8(0),
        OpKind::Write(value) => {
            bytes.put_u8(1);
            bytes.put_u64_le(value);
        }
        OpKind::CompareAndSet { expect, new } => {
            bytes.put_u8(2);
            bytes.put_u64_le(expect);
            bytes.put_u64_le(new);
        }
    }
    bytes.freeze()
}

pub(crate) fn query(key: u64) -> Bytes {
    Bytes::copy_from_slice(&key.to_le_bytes())
}

fn decode(mut command: &[u8]) -> Result<(u64, OpKind), PortError> {
    let broken = |_| PortError::damaged("a command that can't be read");
    let key = command.try_get_u64_le().map_err(broken)?;
    let kind = match command.try_get_u8().map_err(broken)? {
        0 => OpKind::Read,
        1 => OpKind::Write(command.try_get_u64_le().map_err(broken)?),
        _ => OpKind::CompareAndSet {
            expect: command.try_get_u64_le().map_err(broken)?,
            new: command.try_get_u64_le().map_err(broken)?,
        },
    };
    Ok((key, kind))
}

fn answer(returned: Returned, index: u64) -> Bytes {
    let (tag, value) = match returned {
        Returned::Written => (0, 0),
        Returned::Value(value) => (1, value),
        Returned::Swapped => (2, 0),
        Returned::Mismatch { found } => (3, found),
    };
    let mut bytes = BytesMut::with_capacity(17);
    bytes.put_u8(tag);
    bytes.put_u64_le(value);
    bytes.put_u64_le(index);
    bytes.freeze()
}

/// What the machine answered, and the index that it was answered from.
pub(crate) fn answered(mut bytes: Bytes) -> (Returned, u64) {
    let (tag, value) = (bytes.get_u8(), bytes.get_u64_le());
    let returned = match tag {
        0 => Returned::Written,
        1 => Returned::Value(value),
        2 => Returned::Swapped,
        _ => Returned::Mismatch { found: value },
    };
    (returned, bytes.get_u64_le())
}
