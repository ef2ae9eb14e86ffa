//! Commands and answers of the registers as bytes.
//!
//! Numbers take seven bits a byte, the low ones first, the high bit meaning "more follows": most
//! are small. This file does not know what a command does.

use bytes::Bytes;

use crate::sim::history::Returned;
use crate::types::Index;

/// What a client wants done, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who wants it.
    pub client: u64,
    /// Its number among the commands of this client.
    pub sequence: u64,
    /// The client waits for no answer to a command of a lower number.
    pub floor: u64,
    /// The register.
    pub key: u64,
    /// What is to be done with it.
    pub action: Action,
}

/// What may be done with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Return its value.
    Get,
    /// Store a value.
    Put(u64),
    /// Store `new` if it holds `expect`.
    CompareAndSet {
        /// What it must hold.
        expect: u64,
        /// What it is to hold.
        new: u64,
    },
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// It took effect.
    Done {
        /// Where: the index of its first coming, however often it came.
        index: Index,
        /// With which result.
        returned: Returned,
    },
    /// It did nothing: the client had said that it does not wait for it any more.
    Stale,
    /// It did nothing: too much is remembered already.
    Full,
    /// It did nothing: it is no command.
    Malformed,
}

impl Command {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(24);
        bytes.push(match self.action {
            Action::Get => 0,
            Action::Put(_) => 1,
            Action::CompareAndSet { .. } => 2,
        });
        for number in [self.client, self.sequence, self.floor, self.key] {
            put_number(&mut bytes, number);
        }
        match self.action {
            Action::Get => {}
            Action::Put(value) => put_number(&mut bytes, value),
            Action::CompareAndSet { expect, new } => {
                put_number(&mut bytes, expect);
                put_number(&mut bytes, new);
            }
        }
        bytes.into()
    }

    /// From bytes, all of them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let kind = cursor.byte()?;
        let (client, sequence) = (cursor.number()?, cursor.number()?);
        let (floor, key) = (cursor.number()?, cursor.number()?);
        let action = match kind {
            0 => Action::Get,
            1 => Action::Put(cursor.number()?),
            2 => Action::CompareAndSet {
                expect: cursor.number()?,
                new: cursor.number()?,
            },
            _ => return None,
        };
        cursor.is_empty().then_some(Self {
            client,
            sequence,
            floor,
            key,
            action,
        })
    }
}

impl Response {
    const WRITTEN: u8 = 0;
    const SWAPPED: u8 = 1;
    const VALUE: u8 = 2;
    const MISMATCH: u8 = 3;
    /// The kinds up to this one have an index.
    const DONE_MAX: u8 = Self::MISMATCH;
    const STALE: u8 = 4;
    const FULL: u8 = 5;
    const MALFORMED: u8 = 6;

    /// As bytes.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(12);
        self.put(&mut bytes);
        bytes.into()
    }

    /// From bytes, all of them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let response = Self::take(&mut cursor)?;
        cursor.is_empty().then_some(response)
    }

    pub(super) fn put(self, bytes: &mut Vec<u8>) {
        let (kind, index, value) = self.parts();
        bytes.push(kind);
        if kind <= Self::DONE_MAX {
            put_number(bytes, index);
        }
        if kind == Self::VALUE || kind == Self::MISMATCH {
            put_number(bytes, value);
        }
    }

    pub(super) fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        let kind = cursor.byte()?;
        match kind {
            Self::STALE => return Some(Self::Stale),
            Self::FULL => return Some(Self::Full),
            Self::MALFORMED => return Some(Self::Malformed),
            _ => {}
        }
        let index = Index(cursor.number()?);
        let returned = match kind {
            Self::WRITTEN => Returned::Written,
            Self::SWAPPED => Returned::Swapped,
            Self::VALUE => Returned::Value(cursor.number()?),
            Self::MISMATCH => Returned::Mismatch {
                found: cursor.number()?,
            },
            _ => return None,
        };
        Some(Self::Done { index, returned })
    }

    /// Its kind, index and value as numbers; what it does not have is 0.
    pub(super) const fn parts(self) -> (u8, u64, u64) {
        match self {
            Self::Done { index, returned } => match returned {
                Returned::Written => (Self::WRITTEN, index.0, 0),
                Returned::Swapped => (Self::SWAPPED, index.0, 0),
                Returned::Value(value) => (Self::VALUE, index.0, value),
                Returned::Mismatch { found } => (Self::MISMATCH, index.0, found),
            },
            Self::Stale => (Self::STALE, 0, 0),
            Self::Full => (Self::FULL, 0, 0),
            Self::Malformed => (Self::MALFORMED, 0, 0),
        }
    }
}

pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes numbers off the front of bytes.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only.
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!((cursor.number(), cursor.is_empty()), (Some(number), true));
        }
        assert_eq!(Cursor::new(&[0x80]).number(), None);
        assert_eq!(Cursor::new(&[0xff; 11]).number(), None);
    }

    #[test]
    fn commands_come_back_and_nothing_else_does() {
        for action in [
            Action::Get,
            Action::Put(9),
            Action::CompareAndSet {
                expect: 0,
                new: 300,
            },
        ] {
            let command = Command {
                client: 7,
                sequence: 1000,
                floor: 990,
                key: 3,
                action,
            };
            let bytes = command.encode();
            assert_eq!(Command::decode(&bytes), Some(command));
            assert_eq!(Command::decode(&bytes[..bytes.len() - 1]), None);
            assert_eq!(Command::decode(&[&bytes[..], &[0]].concat()), None);
        }
        assert_eq!(Command::decode(&[9, 0, 0, 0, 0]), None);
    }

    #[test]
    fn responses_come_back() {
        let done = |returned| Response::Done {
            index: Index(400),
            returned,
        };
        for response in [
            done(Returned::Written),
            done(Returned::Value(5)),
            done(Returned::Swapped),
            done(Returned::Mismatch { found: u64::MAX }),
            Response::Stale,
            Response::Full,
            Response::Malformed,
        ] {
            assert_eq!(Response::decode(&response.encode()), Some(response));
        }
        assert_eq!(Response::decode(&[7, 0, 0]), None);
        assert_eq!(Response::decode(&[4, 0]), None);
    }
}
