//! Rows as one stream of bytes: what a snapshot of the memory engine and a backup consist of.
//!
//! All numbers are little-endian; a varint has seven bits a byte, the lowest first.
//!
//! | what | |
//! | --- | --- |
//! | magic | the 8 bytes `RAFTROWS` |
//! | format | 4 bytes: 1 |
//! | applied | 8 bytes: the last entry of the log whose effects are in the rows |
//! | families | in their order, each at most once; see below |
//! | end mark | the byte 255 |
//! | checksum | 8 bytes: XXH3 of all before |
//!
//! | of a family | |
//! | --- | --- |
//! | number | a byte: its place in [`Family::ALL`] |
//! | rows | varint: length of the key plus one; varint: length of the value; key; value |
//! | end | the byte 0 |
//! | count | 8 bytes: how many rows there were |
//!
//! The rows of a family ascend by key. Their count comes last, so that a stream can be written from
//! a view which does not know it. Streams come from peers and from disks, so what is read here is
//! believed only as far as the bytes reach: no length makes room before that many bytes have come.
//! This file knows no engine.

use std::io::{self, Read, Write};

use bytes::{Buf, BufMut, Bytes};
use raft_core::Index;
use raft_core::port::{PortError, SnapshotSink, SnapshotSource};
use xxhash_rust::xxh3::Xxh3;

use super::{Cursor, Direction, Family, Span, View};

const MAGIC: &[u8; 8] = b"RAFTROWS";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 8;
const END_MARK: u8 = u8::MAX;
/// So many bytes are encoded at once, about.
const CHUNK_BYTES: usize = 64 * 1024;
/// No key and no value is longer.
const LENGTH_MAX: u64 = 1 << 30;
/// A length takes no more bytes as a varint.
const VARINT_BYTES_MAX: usize = 5;

/// Writes all rows of a view to a file of a snapshot.
///
/// # Errors
/// When the view can't be read, or the sink can't be written.
pub(crate) fn add(
    sink: &mut dyn SnapshotSink,
    name: &str,
    applied: Index,
    view: &dyn View,
) -> Result<(), PortError> {
    let mut encoder = Encoder::new(view, applied);
    let added = sink.add(name, &mut encoder);
    encoder.failure.map_or(added, Err)
}

/// Lets `take` have all rows of a file of a snapshot, which it may have in vain: only what is
/// returned says whether the file was whole. The entry of the log that they reflect.
///
/// # Errors
/// When there is no such file, or it is not a whole stream of rows; or what `take` says.
pub(crate) fn copy(
    source: &dyn SnapshotSource,
    name: &str,
    take: &mut dyn FnMut(Family, Bytes, Bytes) -> Result<(), PortError>,
) -> Result<Index, PortError> {
    let mut decoder = Decoder::new(take);
    let copied = source.copy(name, &mut decoder);
    if let Some(failure) = decoder.failure.take() {
        return Err(failure);
    }
    copied?;
    decoder.finish()
}

/// Writes all rows of a view.
///
/// # Errors
/// When the view can't be read, or `to` can't be written.
pub(crate) fn write(to: &mut dyn Write, applied: Index, view: &dyn View) -> Result<(), PortError> {
    let mut encoder = Encoder::new(view, applied);
    let written = io::copy(&mut encoder, to);
    let written = written.map_err(|error| PortError::io("write a stream of rows", error));
    encoder.failure.map_or(written.map(|_| ()), Err)
}

/// Lets `take` have all rows of a stream, as [`copy`] does.
///
/// # Errors
/// When it can't be read, or is not a whole stream of rows; or what `take` says.
pub(crate) fn read(
    from: &mut dyn Read,
    take: &mut dyn FnMut(Family, Bytes, Bytes) -> Result<(), PortError>,
) -> Result<Index, PortError> {
    let mut decoder = Decoder::new(take);
    let read = io::copy(from, &mut decoder);
    if let Some(failure) = decoder.failure.take() {
        return Err(failure);
    }
    read.map_err(|error| PortError::io("read a stream of rows", error))?;
    decoder.finish()
}

/// The stream of a view's rows. It is read from the view while it is read.
pub(crate) struct Encoder<'a> {
    view: &'a dyn View,
    /// The families after the present one.
    families: &'a [Family],
    /// The rows of the present family.
    rows: Option<Box<dyn Cursor + 'a>>,
    /// How many rows of the present family there were.
    count: u64,
    hash: Xxh3,
    is_ended: bool,
    /// Encoded, and not read from `read` on.
    chunk: Vec<u8>,
    read: usize,
    /// Why it can't go on. `Read` has no words for it.
    failure: Option<PortError>,
}

impl<'a> Encoder<'a> {
    /// The stream of all rows of a view, which reflects the log up to `applied`.
    pub(crate) fn new(view: &'a dyn View, applied: Index) -> Self {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        chunk.put_slice(MAGIC);
        chunk.put_u32_le(FORMAT);
        chunk.put_u64_le(applied.0);
        let mut hash = Xxh3::new();
        hash.update(&chunk);
        Self {
            view,
            families: &Family::ALL,
            rows: None,
            count: 0,
            hash,
            is_ended: false,
            chunk,
            read: 0,
            failure: None,
        }
    }

    /// Encodes what comes next into an empty chunk, which stays empty at the end.
    fn fill(&mut self) -> Result<(), PortError> {
        while self.chunk.len() < CHUNK_BYTES && !self.is_ended {
            self.put_next()?;
        }
        Ok(())
    }

    fn put_next(&mut self) -> Result<(), PortError> {
        let begin = self.chunk.len();
        if let Some(rows) = &mut self.rows {
            if let Some((key, value)) = rows.row() {
                put_row(&mut self.chunk, key, value)?;
                rows.advance()?;
                self.count += 1;
            } else {
                self.chunk.put_u8(0);
                self.chunk.put_u64_le(std::mem::take(&mut self.count));
                self.rows = None;
            }
        } else if let Some((family, others)) = self.families.split_first() {
            let scan = self.view.scan(*family, &Span::all(), Direction::Ascending);
            self.rows = Some(scan?);
            self.families = others;
            self.chunk.put_u8(*family as u8);
        } else {
            self.chunk.put_u8(END_MARK);
            self.is_ended = true;
        }
        self.hash.update(&self.chunk[begin..]);
        if self.is_ended {
            self.chunk.put_u64_le(self.hash.digest());
        }
        Ok(())
    }
}

impl Read for Encoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            (self.read, self.chunk) = (0, std::mem::take(&mut self.chunk));
            self.chunk.clear();
            if let Err(error) = self.fill() {
                let said = io::Error::other(error.to_string());
                self.failure = Some(error);
                return Err(said);
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.read);
        buffer[..count].copy_from_slice(&self.chunk[self.read..][..count]);
        self.read += count;
        Ok(count)
    }
}

fn put_row(chunk: &mut Vec<u8>, key: &[u8], value: &[u8]) -> Result<(), PortError> {
    if key.len().max(value.len()) as u64 >= LENGTH_MAX {
        return Err(PortError::misused("a row that is too long for a stream"));
    }
    put_varint(chunk, key.len() as u64 + 1);
    put_varint(chunk, value.len() as u64);
    chunk.put_slice(key);
    chunk.put_slice(value);
    Ok(())
}

fn put_varint(chunk: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        chunk.put_u8(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    chunk.put_u8(number as u8);
}

/// Takes a stream of rows, cut wherever it likes to be cut, and lets a callback have them.
pub(crate) struct Decoder<'a> {
    take: &'a mut dyn FnMut(Family, Bytes, Bytes) -> Result<(), PortError>,
    expects: Expects,
    applied: Index,
    /// The families that may still come.
    families: &'static [Family],
    /// How many rows of the present family came, and the key of the last.
    count: u64,
    last: Vec<u8>,
    hash: Xxh3,
    /// What came, and was too little to make something of.
    rest: Vec<u8>,
    /// Why it can't go on. `Write` has no words for it.
    failure: Option<PortError>,
}

#[derive(Clone, Copy)]
enum Expects {
    Header,
    FamilyOrEndMark,
    RowOrEnd(Family),
    Checksum,
    Nothing,
}

impl<'a> Decoder<'a> {
    /// A stream whose rows go to `take`.
    pub(crate) fn new(
        take: &'a mut dyn FnMut(Family, Bytes, Bytes) -> Result<(), PortError>,
    ) -> Self {
        Self {
            take,
            expects: Expects::Header,
            applied: Index(0),
            families: &Family::ALL,
            count: 0,
            last: Vec::new(),
            hash: Xxh3::new(),
            rest: Vec::new(),
            failure: None,
        }
    }

    /// All has come. The entry of the log that the rows reflect.
    ///
    /// # Errors
    /// When it was not all.
    pub(crate) fn finish(self) -> Result<Index, PortError> {
        match self.expects {
            Expects::Nothing => Ok(self.applied),
            Expects::Header
            | Expects::FamilyOrEndMark
            | Expects::RowOrEnd(_)
            | Expects::Checksum => Err(damaged("it ends in the midst")),
        }
    }

    /// Decodes as much as there is. How many bytes that were.
    fn decode(&mut self, input: &[u8]) -> Result<usize, PortError> {
        let mut rest = input;
        loop {
            let before = rest;
            let Some(next) = self.decode_next(&mut rest)? else {
                return Ok(input.len() - before.len());
            };
            if !matches!(next, Expects::Nothing) {
                self.hash.update(&before[..before.len() - rest.len()]);
            }
            self.expects = next;
        }
    }

    /// Decodes one thing off the front of `input`, and says what is expected behind it; `None` if
    /// not enough of it has come.
    fn decode_next(&mut self, input: &mut &[u8]) -> Result<Option<Expects>, PortError> {
        match self.expects {
            Expects::Header => self.take_header(input),
            Expects::FamilyOrEndMark => self.take_family(input),
            Expects::RowOrEnd(family) => self.take_row(family, input),
            Expects::Checksum => match input.try_get_u64_le() {
                Ok(hash) if hash == self.hash.digest() => Ok(Some(Expects::Nothing)),
                Ok(_) => Err(damaged("its checksum is another")),
                Err(_) => Ok(None),
            },
            Expects::Nothing if input.is_empty() => Ok(None),
            Expects::Nothing => Err(damaged("it goes on behind its end")),
        }
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<Option<Expects>, PortError> {
        let Some(mut header) = input.split_off(..HEADER_BYTES) else {
            return Ok(None);
        };
        if header.split_off(..MAGIC.len()) != Some(MAGIC) {
            return Err(damaged("it does not begin like one"));
        }
        let format = header.get_u32_le();
        if format != FORMAT {
            let known = format!("its format is {format}, and only {FORMAT} is known");
            return Err(damaged(known));
        }
        self.applied = Index(header.get_u64_le());
        Ok(Some(Expects::FamilyOrEndMark))
    }

    fn take_family(&mut self, input: &mut &[u8]) -> Result<Option<Expects>, PortError> {
        let Ok(number) = input.try_get_u8() else {
            return Ok(None);
        };
        if number == END_MARK {
            return Ok(Some(Expects::Checksum));
        }
        let place = self
            .families
            .iter()
            .position(|family| *family as u8 == number);
        let Some(place) = place else {
            return Err(damaged(format!(
                "a family {number}, unknown or not in its place"
            )));
        };
        let family = self.families[place];
        self.families = &self.families[place + 1..];
        self.count = 0;
        Ok(Some(Expects::RowOrEnd(family)))
    }

    fn take_row(
        &mut self,
        family: Family,
        input: &mut &[u8],
    ) -> Result<Option<Expects>, PortError> {
        let mut rest = *input;
        let Some(key_length) = take_varint(&mut rest)? else {
            return Ok(None);
        };
        let Some(key_length) = key_length.checked_sub(1) else {
            return self.take_count(rest, input);
        };
        let Some(value_length) = take_varint(&mut rest)? else {
            return Ok(None);
        };
        let (Some(key), Some(value)) = (
            take_bytes(&mut rest, key_length)?,
            take_bytes(&mut rest, value_length)?,
        ) else {
            return Ok(None);
        };
        if self.count > 0 && *self.last >= *key {
            return Err(damaged("its keys don't ascend"));
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.count += 1;
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        (self.take)(family, key, value)?;
        *input = rest;
        Ok(Some(Expects::RowOrEnd(family)))
    }

    fn take_count<'b>(
        &self,
        mut rest: &'b [u8],
        input: &mut &'b [u8],
    ) -> Result<Option<Expects>, PortError> {
        let Ok(count) = rest.try_get_u64_le() else {
            return Ok(None);
        };
        if count != self.count {
            let counts = format!("{} rows came where {count} were", self.count);
            return Err(damaged(counts));
        }
        *input = rest;
        Ok(Some(Expects::FamilyOrEndMark))
    }
}

impl Write for Decoder<'_> {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        let mut rest = std::mem::take(&mut self.rest);
        let decoded = if rest.is_empty() {
            let decoded = self.decode(input);
            rest.extend_from_slice(&input[*decoded.as_ref().unwrap_or(&0)..]);
            decoded
        } else {
            rest.extend_from_slice(input);
            let decoded = self.decode(&rest);
            rest.drain(..*decoded.as_ref().unwrap_or(&0));
            decoded
        };
        self.rest = rest;
        match decoded {
            Ok(_) => Ok(input.len()),
            Err(error) => {
                let said = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
                self.failure = Some(error);
                Err(said)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn take_varint(input: &mut &[u8]) -> Result<Option<u64>, PortError> {
    let mut number = 0;
    for (at, byte) in input.iter().enumerate().take(VARINT_BYTES_MAX) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *input = &input[at + 1..];
            if number > LENGTH_MAX {
                return Err(damaged("a row that is too long"));
            }
            return Ok(Some(number));
        }
    }
    if input.len() < VARINT_BYTES_MAX {
        return Ok(None);
    }
    Err(damaged("a length without an end"))
}

fn take_bytes<'a>(input: &mut &'a [u8], length: u64) -> Result<Option<&'a [u8]>, PortError> {
    let length = usize::try_from(length);
    let length = length.map_err(|_| damaged("a row that is too long"))?;
    Ok(input.split_off(..length))
}

fn damaged(what: impl AsRef<str>) -> PortError {
    PortError::damaged(format!("not a whole stream of rows: {}", what.as_ref()))
}

#[cfg(test)]
mod tests;
