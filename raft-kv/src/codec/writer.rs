//! Where parts are written to: a buffer, or only their length. It does not know the parts.

use bytes::{BufMut, BytesMut};

/// Takes bytes.
pub(super) trait Writer {
    /// One of them.
    fn byte(&mut self, byte: u8);

    /// Some of them.
    fn slice(&mut self, bytes: &[u8]);

    /// A number, in as few bytes as it takes.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(low_bits(number) | 0x80);
            number >>= 7;
        }
        self.byte(low_bits(number));
    }

    /// A length in memory.
    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }
}

impl Writer for BytesMut {
    fn byte(&mut self, byte: u8) {
        self.put_u8(byte);
    }

    fn slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts the bytes that it takes.
pub(super) struct Length(pub(super) usize);

impl Writer for Length {
    fn byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn slice(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

const fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}
