//! JSON objects one after the other, in whatever pieces they come. It does not know what they say.

use bytes::{Buf, Bytes, BytesMut};
use serde::de::IgnoredAny;

use super::method::Malformed;

/// What has come and was not taken yet.
#[derive(Debug)]
pub(super) struct Objects {
    waiting: BytesMut,
    bytes_max: usize,
}

impl Objects {
    /// None yet; each of them may be so long.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            waiting: BytesMut::new(),
            bytes_max,
        }
    }

    /// More has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next object, if it is there as a whole.
    pub(super) fn take(&mut self) -> Result<Option<Bytes>, Malformed> {
        let space = self.waiting.len() - self.waiting.trim_ascii_start().len();
        self.waiting.advance(space);
        let mut values =
            serde_json::Deserializer::from_slice(&self.waiting).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(IgnoredAny)) => {
                let end = values.byte_offset();
                Ok(Some(self.waiting.split_to(end).freeze()))
            }
            Some(Err(error)) if !error.is_eof() => Err(error.into()),
            Some(Err(_)) if self.waiting.len() > self.bytes_max => {
                Err(Malformed("a request is too large".to_owned()))
            }
            Some(Err(_)) | None => Ok(None),
        }
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
        let mut objects = Objects::new(64);
        objects.push(b"{]");
        assert!(objects.take().is_err());
        let mut objects = Objects::new(64);
        objects.push(b"{\"a\":");
        assert!(objects.take().expect("may come").is_none());
        assert!(objects.is_torn());
    }
}
