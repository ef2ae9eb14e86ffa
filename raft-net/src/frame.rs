//! Frames: what cuts the byte stream of a connection into messages, and notices damage.
//!
//! A header of 12 bytes, little-endian, then the body:
//!
//! `length u32 | kind u8 | version u8 | flags u16 | crc32c u32`
//!
//! The length is that of the body; the checksum is over all else. This file does not know what a
//! kind means or what is in a body.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// What stands in front of each body.
pub const HEADER_BYTES: usize = 12;
/// Where the checksum stands in the header: the last of it.
const CHECKSUM_AT: usize = 8;
/// How much room a length that was only claimed gets at once; what does arrive gets more.
const RESERVE_BYTES_MAX: usize = 1 << 20;

/// A frame whose checksum was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What kind of message the body is.
    pub kind: u8,
    /// In which version it is encoded.
    pub version: u8,
    /// None are in use yet.
    pub flags: u16,
    /// A part of the buffer that was read into, not a copy of it.
    pub body: Bytes,
}

/// Why no frame can be read from a connection any more: where the next one begins is not known.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer announced a body that is longer than any we take.
    #[error("a frame of {length} bytes, where at most {length_max} are taken")]
    TooLarge {
        /// What was announced.
        length: usize,
        /// What is taken.
        length_max: usize,
    },
    /// The bytes are not what was sent.
    #[error("the checksum of a frame is wrong")]
    Checksum,
    /// The connection failed, or ended within a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads frames with bodies up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    body_bytes_max: usize,
}

impl FrameCodec {
    /// One that takes bodies of up to `body_bytes_max`.
    #[must_use]
    pub const fn new(body_bytes_max: usize) -> Self {
        Self { body_bytes_max }
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some((header, body)) = buffer.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, kind, version, f0, f1, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        // Before anything is allocated: the length is the first thing that anybody can send us.
        if length > self.body_bytes_max {
            return Err(FrameError::TooLarge {
                length,
                length_max: self.body_bytes_max,
            });
        }
        let Some(body) = body.get(..length) else {
            let missing = length - body.len();
            buffer.reserve(missing.min(RESERVE_BYTES_MAX));
            return Ok(None);
        };
        if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(&header[..CHECKSUM_AT], body) {
            return Err(FrameError::Checksum);
        }
        let mut frame = buffer.split_to(HEADER_BYTES + length).freeze();
        Ok(Some(Frame {
            kind,
            version,
            flags: u16::from_le_bytes([f0, f1]),
            body: frame.split_off(HEADER_BYTES),
        }))
    }
}

/// Appends a frame to `out`, with the body that `body` appends.
///
/// # Panics
/// If the body has 4 GiB or more.
pub fn put_frame(
    kind: u8,
    version: u8,
    flags: u16,
    out: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    out.put_bytes(0, HEADER_BYTES);
    body(out);
    let (header, body) = out[start..].split_at_mut(HEADER_BYTES);
    let length = u32::try_from(body.len()).expect("messages are far below 4 GiB");
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4] = kind;
    header[5] = version;
    header[6..CHECKSUM_AT].copy_from_slice(&flags.to_le_bytes());
    let checksum = checksum(&header[..CHECKSUM_AT], body);
    header[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        put_frame(7, 1, 0x8001, &mut out, |out| out.put_slice(body));
        out
    }

    #[test]
    fn frames_are_read_as_they_arrive_byte_by_byte() {
        let mut codec = FrameCodec::new(16);
        let mut sent = framed(b"one");
        sent.unsplit(framed(b""));
        sent.unsplit(framed(b"0123456789abcdef"));
        let mut buffer = BytesMut::new();
        let mut bodies = Vec::new();
        for byte in sent {
            buffer.put_u8(byte);
            let Some(frame) = codec.decode(&mut buffer).expect("sound") else {
                continue;
            };
            assert_eq!((frame.kind, frame.version, frame.flags), (7, 1, 0x8001));
            bodies.push(frame.body);
        }
        assert_eq!(bodies, [&b"one"[..], b"", b"0123456789abcdef"]);
        assert!(codec.decode_eof(&mut buffer).expect("at its end").is_none());
    }

    #[test]
    fn a_body_is_a_part_of_the_buffer_that_was_read_into() {
        let mut buffer = framed(b"payload");
        let at = buffer[HEADER_BYTES..].as_ptr();
        let decoded = FrameCodec::new(100).decode(&mut buffer).expect("sound");
        assert_eq!(decoded.expect("whole").body.as_ptr(), at);
    }

    #[test]
    fn an_oversized_length_is_refused_without_memory() {
        let check = |length: u32, limit: usize, expected: bool| {
            let mut buffer = BytesMut::from(&[0; HEADER_BYTES][..]);
            buffer[..4].copy_from_slice(&length.to_le_bytes());
            let before = buffer.capacity();
            let result = FrameCodec::new(limit).decode(&mut buffer);
            let is_refused = matches!(result, Err(FrameError::TooLarge { .. }));
            assert_eq!(is_refused, expected, "{length} of {limit}");
            let grown = buffer.capacity() - before;
            let allowed = if expected { 0 } else { RESERVE_BYTES_MAX * 2 };
            assert!(grown <= allowed, "{grown} more for {length} of {limit}");
        };
        check(17, 16, true);
        check(16, 16, false);
        check(u32::MAX, 64 << 20, true);
        check(64 << 20, 64 << 20, false);
    }

    #[test]
    fn each_flipped_bit_and_each_missing_byte_is_noticed() {
        let sound = framed(b"a body");
        for bit in 0..sound.len() * 8 {
            let mut buffer = sound.clone();
            buffer[bit / 8] ^= 1 << (bit % 8);
            let result = FrameCodec::new(100).decode_eof(&mut buffer);
            assert!(result.is_err(), "bit {bit}");
        }
        for length in 1..sound.len() {
            let mut buffer = BytesMut::from(&sound[..length]);
            let result = FrameCodec::new(100).decode_eof(&mut buffer);
            assert!(matches!(result, Err(FrameError::Io(_))), "{length} bytes");
        }
    }
}
