//! Reads bytes that anyone may have written. It does not know what they are.

use bytes::Bytes;

use super::TXN_DEPTH_MAX;

/// A frame, and how far it was read. What says `None` leaves it anywhere.
pub(super) struct Reader {
    frame: Bytes,
    /// At most the frame's length.
    at: usize,
    /// How many transactions the present place lies in.
    depth: usize,
    /// Whether it lies in something that is guarded.
    is_guarded: bool,
}

impl Reader {
    pub(super) const fn new(frame: Bytes) -> Self {
        Self {
            frame,
            at: 0,
            depth: 0,
            is_guarded: false,
        }
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.frame.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A number; `None` if it does not fit, or would in fewer bytes.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let is_cut = bits << shift >> shift != bits;
            let is_overlong = byte == 0 && shift > 0;
            if is_cut || is_overlong {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// How many bytes or parts follow. A part takes at least one byte; so what can't be there is
    /// refused before anything is made ready for it.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.remaining()).then_some(count)
    }

    /// A length and so many bytes: a slice of the frame, which lives as long as it does.
    pub(super) fn bytes(&mut self) -> Option<Bytes> {
        let count = self.count()?;
        let bytes = self.frame.slice(self.at..self.at + count);
        self.at += count;
        Some(bytes)
    }

    /// What lies within a transaction; `None` if that is too deep.
    pub(super) fn within_txn<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == TXN_DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let part = read(self)?;
        self.depth -= 1;
        Some(part)
    }

    /// What is guarded; `None` if that lies in something that is guarded itself.
    pub(super) fn within_guard<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if std::mem::replace(&mut self.is_guarded, true) {
            return None;
        }
        let part = read(self)?;
        self.is_guarded = false;
        Some(part)
    }

    /// Whether all was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.remaining() == 0
    }

    fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::codec::writer::Writer;

    #[test]
    fn numbers_take_as_few_bytes_as_they_can() {
        for (number, length) in [
            (0, 1),
            (0x7f, 1),
            (0x80, 2),
            (0x3fff, 2),
            (0x4000, 3),
            ((1 << 63) - 1, 9),
            (1 << 63, 10),
            (u64::MAX, 10),
        ] {
            let mut bytes = BytesMut::new();
            bytes.number(number);
            assert_eq!(bytes.len(), length, "{number}");
            let mut reader = Reader::new(bytes.freeze());
            assert_eq!(reader.number(), Some(number));
            assert!(reader.is_at_end());
        }
    }

    #[test]
    fn numbers_that_are_longer_or_larger_are_refused() {
        let full = [0xff; 9];
        for bytes in [
            &[][..],
            &[0x80],
            &[0x80, 0x00],
            &[0xff, 0x80, 0x00],
            &[&full[..], &[0x02]].concat(),
            &[&full[..], &[0x81]].concat(),
            &[&full[..], &[0x81, 0x00]].concat(),
            &full,
        ] {
            let frame = Bytes::copy_from_slice(bytes);
            assert_eq!(Reader::new(frame).number(), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn bytes_are_sliced_not_copied_and_only_what_is_there() {
        let frame = Bytes::from_static(b"\x02abc");
        let bytes = Reader::new(frame.clone()).bytes().expect("two are there");
        assert_eq!(bytes.as_ptr(), frame[1..].as_ptr());
        assert_eq!(&bytes[..], b"ab");
        let short = Bytes::from_static(b"\x04abc");
        assert_eq!(Reader::new(short).bytes(), None);
    }
}
