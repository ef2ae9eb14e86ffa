//! How a key is found among sorted keys without a look at most of them.
//!
//! A key is a pointer to bytes that are seldom in a cache. So a node keeps, side by side, four
//! bytes of each key, taken behind what all its keys begin with; only keys that agree in them are
//! compared as a whole. It does not know what a node is.

use std::cmp::Ordering;

/// No more of what the keys have in common is left out of the heads.
const PREFIX_BYTES_MAX: usize = 47;

/// The bytes of a key behind the prefix, as a number that sorts as they do.
pub(super) type Head = u32;

/// What all keys of a node begin with; not always all of it.
#[derive(Clone)]
pub(super) struct Prefix {
    length: u8,
    bytes: [u8; PREFIX_BYTES_MAX],
}

impl Prefix {
    /// That of no keys.
    pub(super) const EMPTY: Self = Self {
        length: 0,
        bytes: [0; PREFIX_BYTES_MAX],
    };

    /// That of sorted keys: what the first and the last have in common, all between have too.
    pub(super) fn of(first: &[u8], last: &[u8]) -> Self {
        let length = common(first, last).min(PREFIX_BYTES_MAX);
        let mut bytes = [0; PREFIX_BYTES_MAX];
        bytes[..length].copy_from_slice(&first[..length]);
        Self {
            length: u8::try_from(length).unwrap_or(u8::MAX),
            bytes,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The head of a key, or on which side of all keys with this prefix it lies.
    pub(super) fn head(&self, key: &[u8]) -> Result<Head, Ordering> {
        match key.strip_prefix(self.bytes()) {
            Some(rest) => Ok(head(rest)),
            None => Err(key.cmp(self.bytes())),
        }
    }
}

/// How many bytes two keys have in common from the beginning.
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

/// A missing byte counts as 0, so a key and the same with a 0 behind it have the same head.
fn head(rest: &[u8]) -> Head {
    if let Some(bytes) = rest.first_chunk() {
        return Head::from_be_bytes(*bytes);
    }
    let mut bytes = [0; size_of::<Head>()];
    bytes[..rest.len()].copy_from_slice(rest);
    Head::from_be_bytes(bytes)
}

/// Where a key is among sorted ones with these heads, or where it belongs.
pub(super) fn find<'a>(
    prefix: &Prefix,
    heads: &[Head],
    key: &[u8],
    key_at: impl Fn(usize) -> &'a [u8],
) -> Result<usize, usize> {
    let head = match prefix.head(key) {
        Ok(head) => head,
        Err(Ordering::Less) => return Err(0),
        Err(Ordering::Equal | Ordering::Greater) => return Err(heads.len()),
    };
    let mut low = heads.partition_point(|other| *other < head);
    if heads.get(low) != Some(&head) {
        return Err(low);
    }
    let mut high = low + heads[low..].partition_point(|other| *other == head);
    while low < high {
        let middle = low.midpoint(high);
        match key_at(middle).cmp(key) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whatever_they_have_in_common() {
        let long = [b'p'; 100];
        for begin in [&b""[..], b"a", b"a prefix of more than eight", &long] {
            let ends: [&[u8]; 9] = [
                b"",
                b"\0",
                b"\0\0",
                b"a",
                b"a\0",
                b"abcdefgh",
                b"abcdefgh\0",
                b"abcdefghi",
                b"\xff",
            ];
            let keys: Vec<Vec<u8>> = ends.map(|end| [begin, end].concat()).to_vec();
            for few in (0..=keys.len()).map(|count| &keys[..count]) {
                let prefix = match few {
                    [first, .., last] => Prefix::of(first, last),
                    [one] => Prefix::of(one, one),
                    [] => Prefix::EMPTY,
                };
                let heads: Vec<Head> = few.iter().filter_map(|key| prefix.head(key).ok()).collect();
                assert_eq!(heads.len(), few.len());
                let others = [&b"A"[..], b"b", b"", b"a prefix", b"pp", b"q"].map(<[u8]>::to_vec);
                for key in keys.iter().chain(&others) {
                    let found = find(&prefix, &heads, key, |at| &few[at]);
                    assert_eq!(found, few.binary_search(key), "{key:?} in {few:?}");
                }
            }
        }
    }
}
