//! Entries that are shared: what lies in the log is what is written, sent and applied.
//!
//! Plain data. This file does not know how entries are stored, sent, or decided upon.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::entry::Entry;

/// Contiguous entries, shared: a clone copies none of them, and a part shares the whole.
///
/// As long as a part lives, the whole stays in memory. It is never more than one message brings or
/// one batch proposes.
#[derive(Clone, Default)]
pub struct Entries {
    whole: Arc<[Entry]>,
    /// Lies within `whole`.
    range: Range<usize>,
    /// The summed weight of the entries in `range`.
    weight: u64,
}

impl Entries {
    /// What they weigh together against every limit in bytes.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// Those at these places, counted from the first of these entries.
    ///
    /// # Panics
    /// If a place lies outside.
    #[must_use]
    pub fn part(&self, places: Range<usize>) -> Self {
        if places == (0..self.len()) {
            return self.clone();
        }
        let start = self.range.start;
        Self {
            whole: Arc::clone(&self.whole),
            weight: weigh(&self[places.clone()]),
            range: start + places.start..start + places.end,
        }
    }
}

fn weigh(entries: &[Entry]) -> u64 {
    entries.iter().map(Entry::weight).sum()
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.whole[self.range.clone()]
    }
}

impl From<Arc<[Entry]>> for Entries {
    fn from(whole: Arc<[Entry]>) -> Self {
        Self {
            range: 0..whole.len(),
            weight: weigh(&whole),
            whole,
        }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        Self::from(Arc::<[Entry]>::from(entries))
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self::from(entries.into_iter().collect::<Arc<[Entry]>>())
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

// How much else the whole holds makes no difference: entries are compared by content.

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Entries {}

impl Hash for Entries {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Entries {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use bytes::Bytes;

    use super::*;
    use crate::entry::Payload;
    use crate::types::{Index, Term};

    /// Entries of these indices, each with a command as long as its index.
    fn entries(indices: Range<u64>) -> Entries {
        let entry = |index| Entry {
            term: Term(1),
            index: Index(index),
            payload: Payload::Command(Bytes::from(vec![7; usize::try_from(index).expect("small")])),
        };
        indices.map(entry).collect()
    }

    fn hash(entries: &Entries) -> u64 {
        let mut hasher = DefaultHasher::new();
        entries.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_part_is_equal_to_the_same_entries_alone_and_copies_none() {
        let whole = entries(1..9);
        let check = |places: Range<usize>, indices: Range<u64>| {
            let (part, alone) = (whole.part(places), entries(indices));
            assert_eq!(part, alone);
            assert_eq!(part.weight(), alone.weight(), "of {part:?}");
            assert_eq!(hash(&part), hash(&alone));
            assert!(Arc::ptr_eq(&part.whole, &whole.whole));
        };
        check(0..8, 1..9);
        check(2..5, 3..6);
        check(7..8, 8..9);
        check(3..3, 1..1);
        let (part, alone) = (whole.part(1..7).part(2..4), entries(4..6));
        assert_eq!((part.weight(), &part), (alone.weight(), &alone));
    }

    #[test]
    fn none_weigh_nothing() {
        assert_eq!(Entries::default(), Entries::from(Vec::new()));
        assert_eq!(Entries::default().weight(), 0);
    }
}
