//! The format of a recording: a header, then records, each in a frame that shows damage.
//!
//! ```text
//! header: "raftrec\n" | format u32 | length u8 | version of raft-core
//! frame:  length u32 | check u32 of the length | body, postcard | checksum u64 of the body
//! ```
//!
//! Numbers are little-endian. Both checks cover the number of the record, so a record that is
//! missing or doubled is noticed. The version is there because a checkpoint is the state of one
//! build of the core: another one may not understand it.
//!
//! This file does not know what the records mean.

use std::io;

use serde::{Deserialize, Serialize};

use super::hash::checksum;
use crate::consensus::Raft;
use crate::event::Event;
use crate::types::Time;

const MAGIC: &[u8; 8] = b"raftrec\n";
const FORMAT: u32 = 1;
/// The version of this crate; shorter than 256 bytes.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Before the body.
const HEAD: usize = 8;
/// After the body.
const CHECKSUM: usize = 8;

/// One record as it is written.
#[derive(Clone, Copy, Serialize)]
pub(crate) enum Record<'a> {
    Checkpoint { now: Time, raft: &'a Raft },
    Event { now: Time, event: &'a Event },
    Flush { now: Time, hash: u64 },
}

/// The same as it is read; variants and fields in the same order.
#[derive(Deserialize)]
pub(super) enum Found {
    Checkpoint { now: Time, raft: Box<Raft> },
    Event { now: Time, event: Event },
    Flush { now: Time, hash: u64 },
}

pub(crate) fn header() -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(FORMAT.to_le_bytes());
    header.push(VERSION.len() as u8);
    header.extend(VERSION.as_bytes());
    header
}

/// Puts records into frames, counting them.
pub(crate) struct Encoder {
    records: u64,
}

impl Encoder {
    pub(crate) const fn new() -> Self {
        Self { records: 0 }
    }

    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// Appends the frame of the next record; appends nothing if it fails.
    pub(crate) fn frame(&mut self, record: &Record<'_>, into: &mut Vec<u8>) -> io::Result<()> {
        let start = into.len();
        let framed = self.try_frame(record, into);
        match framed {
            Ok(()) => self.records += 1,
            Err(_) => into.truncate(start),
        }
        framed
    }

    fn try_frame(&self, record: &Record<'_>, into: &mut Vec<u8>) -> io::Result<()> {
        let start = into.len();
        let body = start + HEAD;
        into.resize(body, 0);
        postcard::to_io(record, &mut *into).map_err(io::Error::other)?;
        let length = u32::try_from(into.len() - body).map_err(io::Error::other)?;
        let sum = checksum(self.records, &into[body..]);
        let length = length.to_le_bytes();
        into[start..start + 4].copy_from_slice(&length);
        into[start + 4..body].copy_from_slice(&head_check(self.records, length));
        into.extend(sum.to_le_bytes());
        Ok(())
    }
}

fn head_check(number: u64, length: [u8; 4]) -> [u8; 4] {
    (checksum(number, &length) as u32).to_le_bytes()
}

/// What a header may be instead of ours.
pub(super) enum Foreign {
    NoRecording,
    Format(u32),
    Version(String),
}

/// What stands next in a recording.
pub(super) enum Next {
    Record(Found),
    /// Nothing any more.
    End,
    /// The beginning of a record that was not written to its end, of so many bytes.
    Torn(u64),
    /// Bytes that are no record, though some follow.
    Damaged,
    /// A sound record that this version does not understand.
    Unknown,
}

/// Reads the records of a recording one after the other.
pub(super) struct Decoder<'a> {
    rest: &'a [u8],
    records: u64,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Foreign> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Foreign::NoRecording)?;
        let (format, rest) = rest.split_first_chunk().ok_or(Foreign::NoRecording)?;
        let format = u32::from_le_bytes(*format);
        if format != FORMAT {
            return Err(Foreign::Format(format));
        }
        let (length, rest) = rest.split_first().ok_or(Foreign::NoRecording)?;
        let length = usize::from(*length);
        let (version, rest) = rest.split_at_checked(length).ok_or(Foreign::NoRecording)?;
        if version != VERSION.as_bytes() {
            let version = String::from_utf8_lossy(version).into_owned();
            return Err(Foreign::Version(version));
        }
        Ok(Self { rest, records: 0 })
    }

    /// The number of the record that comes next.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn next(&mut self) -> Next {
        if self.rest.is_empty() {
            return Next::End;
        }
        let torn = Next::Torn(self.rest.len() as u64);
        // A file system may have made room for what it then did not write.
        if self.rest.iter().all(|byte| *byte == 0) {
            return torn;
        }
        let Some((head, rest)) = self.rest.split_first_chunk::<HEAD>() else {
            return torn;
        };
        let [a, b, c, d, check @ ..] = *head;
        if head_check(self.records, [a, b, c, d]) != check {
            return Next::Damaged;
        }
        let length = u32::from_le_bytes([a, b, c, d]);
        let Some((body, rest)) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length))
        else {
            return torn;
        };
        let Some((sum, rest)) = rest.split_first_chunk::<CHECKSUM>() else {
            return torn;
        };
        if checksum(self.records, body).to_le_bytes() != *sum {
            return Next::Damaged;
        }
        self.rest = rest;
        self.records += 1;
        match postcard::take_from_bytes(body) {
            Ok((found, [])) => Next::Record(found),
            Ok(_) | Err(_) => Next::Unknown,
        }
    }
}
