//! JSON objects one after the other, in whatever pieces they come. It does not know what they say.

use bytes::{Buf, Bytes, BytesMut};
use serde::de::IgnoredAny;

use super::method::Malformed;

/// What has come and was not taken yet.
#[derive(Debug)]
pub(super) struct Objects {
    waiting: BytesMut,
    bytes_max: usize,
    /// How much of it was looked at, and what that has opened: each byte is looked at once, however
    /// small the pieces are that it comes in.
    looked_at: usize,
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Objects {
    /// None yet; each of them may be so long.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            waiting: BytesMut::new(),
            bytes_max,
            looked_at: 0,
            depth: 0,
            is_in_text: false,
            is_escaped: false,
        }
    }

    /// More has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next object, if it is there as a whole.
    pub(super) fn take(&mut self) -> Result<Option<Bytes>, Malformed> {
        if self.depth == 0 {
            let space = self.waiting.len() - self.waiting.trim_ascii_start().len();
            self.waiting.advance(space);
        }
        let Some(end) = self.end()? else {
            if self.waiting.len() > self.bytes_max {
                return Err(Malformed("a request is too large".to_owned()));
            }
            return Ok(None);
        };
        self.looked_at = 0;
        let object = self.waiting.split_to(end).freeze();
        serde_json::from_slice::<IgnoredAny>(&object)?;
        Ok(Some(object))
    }

    /// Where the first object ends, as far as brackets tell.
    fn end(&mut self) -> Result<Option<usize>, Malformed> {
        while let Some(byte) = self.waiting.get(self.looked_at) {
            self.looked_at += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_text => self.is_escaped = true,
                b'"' => self.is_in_text = !self.is_in_text,
                _ if self.is_in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 {
                return match byte {
                    b'}' | b']' => Ok(Some(self.looked_at)),
                    _ => Err(Malformed("a request is no object".to_owned())),
                };
            }
        }
        Ok(None)
    }

    /// Nothing more comes: whether something was left half-way.
    pub(super) fn is_torn(&self) -> bool {
        !self.waiting.trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_however_they_are_cut() {
        let all = b" {\"a\":\"}{\\\"\"}\n{\"b\":[{}]} {}";
        for cut in 0..=all.len() {
            let mut objects = Objects::new(64);
            let mut found = Vec::new();
            for part in [&all[..cut], &all[cut..]] {
                objects.push(part);
                while let Some(object) = objects.take().expect("sound") {
                    found.push(object);
                }
            }
            let expected: [&[u8]; 3] = [b"{\"a\":\"}{\\\"\"}", b"{\"b\":[{}]}", b"{}"];
            assert_eq!(found, expected, "cut at {cut}");
            assert!(!objects.is_torn());
        }
    }

    #[test]
    fn what_never_becomes_an_object_is_refused() {
        let mut objects = Objects::new(4);
        objects.push(b"{\"a\":");
        assert!(objects.take().is_err(), "too long by now");
        for nonsense in [&b"{]"[..], b"]", b"1 {}", b"\"{\"", b"{\"a\" 1}"] {
            let mut objects = Objects::new(64);
            objects.push(nonsense);
            assert!(objects.take().is_err(), "{}", nonsense.escape_ascii());
        }
        let mut objects = Objects::new(64);
        objects.push(b"{\"a\":");
        assert!(objects.take().expect("may come").is_none());
        assert!(objects.is_torn());
    }
}
