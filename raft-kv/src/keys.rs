//! Which keys a request is about, in the forms that etcd has. It does not know what is asked of
//! them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::engine::Span;

/// One key, or all in a span.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Keys {
    /// This one.
    One(Bytes),
    /// All in a span.
    In(Span),
}

impl Keys {
    /// In etcd's words: no end is one key; an end of one zero byte, all keys from the first on;
    /// else all before the end.
    #[must_use]
    pub fn of(key: Bytes, range_end: Bytes) -> Self {
        match &*range_end {
            [] => Self::One(key),
            [0] => Self::from(key),
            _ => Self::In(Span::between(key, range_end)),
        }
    }

    /// One key.
    #[must_use]
    pub fn one(key: impl Into<Bytes>) -> Self {
        Self::One(key.into())
    }

    /// All from this key on.
    #[must_use]
    pub fn from(key: impl Into<Bytes>) -> Self {
        Self::In(Span {
            from: key.into(),
            to: None,
        })
    }

    /// All from one key and before another.
    #[must_use]
    pub fn between(from: impl Into<Bytes>, to: impl Into<Bytes>) -> Self {
        Self::In(Span::between(from, to))
    }

    /// All that begin so.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        Self::In(Span::prefix(prefix))
    }

    /// All.
    #[must_use]
    pub const fn all() -> Self {
        Self::In(Span::all())
    }

    /// Where they lie.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::One(key) => {
                let mut behind = BytesMut::with_capacity(key.len() + 1);
                behind.put_slice(key);
                behind.put_u8(0);
                Span::between(key.clone(), behind)
            }
            Self::In(span) => span.clone(),
        }
    }

    /// Whether this key is among them.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::One(one) => one == key,
            Self::In(span) => span.contains(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_range_end() {
        for (key, end, inside, outside) in [
            ("b", "", &["b"][..], &["a", "b\0", "c"][..]),
            ("b", "\0", &["b", "b\0", "zz"], &["a", ""]),
            ("\0", "\0", &["\0", "a", "zz"], &[]),
            ("b", "d", &["b", "c", "cz"], &["a", "d"]),
            ("d", "b", &[], &["b", "c", "d"]),
            ("b", "b", &[], &["b"]),
        ] {
            let keys = Keys::of(Bytes::from(key), Bytes::from(end));
            for (candidates, expected) in [(inside, true), (outside, false)] {
                for candidate in candidates {
                    let what = format!("{candidate:?} in {key:?}..{end:?}");
                    assert_eq!(keys.contains(candidate.as_bytes()), expected, "{what}");
                    assert_eq!(
                        keys.span().contains(candidate.as_bytes()),
                        expected,
                        "{what}"
                    );
                }
            }
        }
    }
}
