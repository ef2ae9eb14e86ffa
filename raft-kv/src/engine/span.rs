//! A stretch of keys. It does not know whose.

use std::ops::Bound;

use bytes::Bytes;

/// All keys from one, and before another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first key in it.
    pub from: Bytes,
    /// The first key behind it; `None` if it has no end.
    pub to: Option<Bytes>,
}

impl Span {
    /// All keys there are.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            from: Bytes::new(),
            to: None,
        }
    }

    /// From one key, and before another.
    #[must_use]
    pub fn between(from: impl Into<Bytes>, to: impl Into<Bytes>) -> Self {
        Self {
            from: from.into(),
            to: Some(to.into()),
        }
    }

    /// One key and all that begin with it.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let from = prefix.into();
        let to = Self::behind_prefix(&from);
        Self { from, to }
    }

    /// The first key behind all that begin with a prefix; `None` if there is none.
    #[must_use]
    pub fn behind_prefix(prefix: &[u8]) -> Option<Bytes> {
        let kept = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
        let mut behind = prefix[..=kept].to_vec();
        behind[kept] += 1;
        Some(behind.into())
    }

    /// Whether this key lies in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from <= key && self.to.as_ref().is_none_or(|to| key < to)
    }

    /// Whether no key can lie in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// As ordered maps want it. Not to be given to one when the span is empty.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = self.to.as_ref();
        (
            Bound::Included(&*self.from),
            to.map_or(Bound::Unbounded, |to| Bound::Excluded(&**to)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_first_key_without_it() {
        for (prefix, behind) in [
            (&b"a"[..], Some(&b"b"[..])),
            (b"az", Some(b"a{")),
            (b"a\xff", Some(b"b")),
            (b"\xff\xff", None),
            (b"", None),
        ] {
            let span = Span::prefix(prefix);
            assert_eq!(span.to.as_deref(), behind, "{prefix:?}");
            assert!(span.contains(prefix));
            assert!(span.contains(&[prefix, b"\xff\xff"].concat()));
            assert!(behind.is_none_or(|behind| !span.contains(behind)));
        }
    }

    #[test]
    fn a_span_that_ends_where_it_begins_is_empty() {
        assert!(Span::between("b", "b").is_empty());
        assert!(Span::between("b", "a").is_empty());
        assert!(!Span::between("b", "b\0").is_empty());
        assert!(!Span::all().is_empty());
    }
}
