//! Ranges of keys, as etcdctl's flags say them. It does not know what is done to them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use anyhow::anyhow;
use bytes::Bytes;

use crate::exit::Exit;

/// The end of a range that has none.
pub(crate) const FROM_KEY: &[u8] = b"\0";

/// How many keys are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The key, or the keys up to the end that was given.
    Given,
    /// All that begin with the key.
    Prefix,
    /// The key and all after it.
    FromKey,
}

impl Extent {
    /// What two flags come to, of which one at most can be given.
    pub(crate) fn of(is_prefix: bool, is_from_key: bool) -> Result<Self, Exit> {
        match (is_prefix, is_from_key) {
            (false, false) => Ok(Self::Given),
            (true, false) => Ok(Self::Prefix),
            (false, true) => Ok(Self::FromKey),
            (true, true) => Err(bad(
                "`--prefix` and `--from-key` cannot be set at the same time, choose one",
            )),
        }
    }
}

/// The key and the end of the range to ask for.
pub(crate) fn range(
    key: Bytes,
    end: Option<Bytes>,
    extent: Extent,
) -> Result<(Bytes, Bytes), Exit> {
    let from_key = Bytes::from_static(FROM_KEY);
    match (extent, end) {
        (Extent::Given, end) => Ok((key, end.unwrap_or_default())),
        (Extent::Prefix | Extent::FromKey, Some(_)) => Err(bad(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
        )),
        // No key is empty: this is the first that there can be.
        (Extent::Prefix | Extent::FromKey, None) if key.is_empty() => {
            Ok((from_key.clone(), from_key))
        }
        (Extent::FromKey, None) => Ok((key, from_key)),
        (Extent::Prefix, None) => {
            let end = prefix_end(&key);
            Ok((key, end.into()))
        }
    }
}

/// The first key behind all that begin with `prefix`.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    FROM_KEY.to_vec()
}

/// An argument as it came: keys and values need not be text.
pub(crate) fn bytes(argument: OsString) -> Bytes {
    argument.into_vec().into()
}

/// What can't be asked for.
pub(crate) fn bad(text: &str) -> Exit {
    Exit::BadInput(anyhow!("{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        let check = |prefix: &[u8], expected: &[u8]| assert_eq!(prefix_end(prefix), expected);
        check(b"a", b"b");
        check(b"a\xff", b"b");
        check(b"\xff\xff", FROM_KEY);
        check(b"", FROM_KEY);
    }

    #[test]
    fn ranges_are_what_the_flags_say() {
        let check = |key: &'static str, end: Option<&'static str>, extent, expected| {
            let (key, end) = (Bytes::from(key), end.map(Bytes::from));
            let read = range(key, end, extent).ok();
            let expected: Option<(&str, &str)> = expected;
            let expected = expected
                .map(|(key, end)| (Bytes::from(key.to_owned()), Bytes::from(end.to_owned())));
            assert_eq!(read, expected);
        };
        check("a", None, Extent::Given, Some(("a", "")));
        check("a", Some("c"), Extent::Given, Some(("a", "c")));
        check("a", None, Extent::Prefix, Some(("a", "b")));
        check("", None, Extent::Prefix, Some(("\0", "\0")));
        check("a", None, Extent::FromKey, Some(("a", "\0")));
        check("", None, Extent::FromKey, Some(("\0", "\0")));
        check("a", Some("c"), Extent::Prefix, None);
        check("a", Some("c"), Extent::FromKey, None);
    }
}
