//! The keys and values of a load, made before it begins: an operation only takes shares of them. It
//! does not know what is done with them.

use std::fmt::Write;

use bytes::Bytes;

use crate::exit::Exit;

/// More keys than fit into this are written when they are wanted, an allocation each.
const PREPARED_BYTES_MAX: u64 = 64 << 20;

/// How many different values there are; they share one buffer.
const VALUES: usize = 64;

/// Keys `prefix` + a number with leading zeros, all of one size.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    /// Bytes a key, prefix and number.
    size: usize,
    space: u64,
    /// All keys in order, one behind the other.
    prepared: Option<Bytes>,
}

impl Keys {
    /// `space` keys of `size` bytes.
    pub(crate) fn new(prefix: &str, size: usize, space: u64) -> Result<Self, Exit> {
        if space == 0 {
            return Err(bad("--key-space-size: there must be a key"));
        }
        let digits = (space - 1).to_string().len();
        if size < prefix.len() + digits {
            let least = prefix.len() + digits;
            return Err(bad(format!(
                "--key-size: {space} keys that begin with `{prefix}` take {least} bytes each"
            )));
        }
        let mut keys = Self {
            prefix: prefix.to_owned(),
            size,
            space,
            prepared: None,
        };
        if space.saturating_mul(size as u64) <= PREPARED_BYTES_MAX {
            let mut all = String::with_capacity(size * space as usize);
            for number in 0..space {
                keys.write(&mut all, number);
            }
            keys.prepared = Some(Bytes::from(all));
        }
        Ok(keys)
    }

    /// How many there are.
    pub(crate) const fn space(&self) -> u64 {
        self.space
    }

    /// Bytes a key.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// One of them; numbers wrap around.
    pub(crate) fn key(&self, number: u64) -> Bytes {
        let number = number % self.space;
        if let Some(prepared) = &self.prepared {
            let begin = number as usize * self.size;
            return prepared.slice(begin..begin + self.size);
        }
        let mut key = String::with_capacity(self.size);
        self.write(&mut key, number);
        Bytes::from(key)
    }

    /// The first key that is beyond all of them, as a range wants it.
    pub(crate) fn end(&self) -> Bytes {
        end_of(&self.prefix)
    }

    /// What all of them begin with.
    pub(crate) fn prefix(&self) -> Bytes {
        Bytes::from(self.prefix.clone())
    }

    fn write(&self, to: &mut String, number: u64) {
        let width = self.size - self.prefix.len();
        // Writing to a string does not fail.
        let _ = write!(to, "{}{number:0width$}", self.prefix);
    }
}

/// The end of the range of all keys with this prefix. Prefixes are text, so no byte is 0xff; of an
/// empty one, a zero byte says "to the last key there is".
pub(crate) fn end_of(prefix: &str) -> Bytes {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0),
    }
    Bytes::from(end)
}

/// Values of one size that hardly compress.
#[derive(Debug)]
pub(crate) struct Values {
    pool: Bytes,
    size: usize,
}

impl Values {
    /// Values of `size` bytes.
    pub(crate) fn new(size: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let length = size + VALUES;
        let mut pool = Vec::with_capacity(length + 8);
        while pool.len() < length {
            pool.extend_from_slice(&random.next().to_le_bytes());
        }
        Self {
            pool: Bytes::from(pool),
            size,
        }
    }

    /// Bytes a value.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// One of them.
    pub(crate) fn value(&self, number: u64) -> Bytes {
        let begin = number as usize % VALUES;
        self.pool.slice(begin..begin + self.size)
    }
}

/// Numbers that look random, the same for the same seed (Vigna's SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Those of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next one below `bound`, which is not 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }
}

fn bad(text: impl Into<String>) -> Exit {
    Exit::BadInput(anyhow::Error::msg(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_one_size_and_in_order() {
        let check = |keys: &Keys, number: u64, expected: &str| {
            assert_eq!(keys.key(number), expected.as_bytes());
        };
        let few = Keys::new("bench/", 9, 1000).unwrap();
        check(&few, 0, "bench/000");
        check(&few, 999, "bench/999");
        check(&few, 1000, "bench/000");
        assert_eq!(
            (few.prefix(), few.end()),
            ("bench/".into(), "bench0".into())
        );

        // So many that they are not kept.
        let many = Keys::new("", 64, 1 << 40).unwrap();
        assert!(few.prepared.is_some() && many.prepared.is_none());
        check(&many, 1, &format!("{:064}", 1));
        assert_eq!(many.end(), "\0".as_bytes());
    }

    #[test]
    fn values_have_their_size_and_the_same_seed_makes_the_same() {
        for size in [0, 1, 9, 4096] {
            let (one, other) = (Values::new(size, 7), Values::new(size, 7));
            for number in [0, 1, 63, 64, u64::MAX] {
                assert_eq!(one.value(number).len(), size);
                assert_eq!(one.value(number), other.value(number));
            }
        }
        assert_ne!(Values::new(32, 7).value(0), Values::new(32, 8).value(0));
    }

    #[test]
    fn chance_reaches_every_number_below_its_bound_and_no_other() {
        let mut random = Random::new(1);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[random.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        // The first number of Vigna's reference implementation for seed 0.
        assert_eq!(Random::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
