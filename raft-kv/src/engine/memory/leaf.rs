//! The leaves of a tree: some rows in the order of their keys.
//!
//! Rows are 64 bytes each, so they lie where they came to lie, and only one byte each is kept in
//! order: a row that comes in between moves next to nothing. A leaf knows nothing of others.

use bytes::Bytes;

use super::heads::{Head, Prefix, common, find};
use super::tree::{Place, Weight};
use crate::engine::Change;

/// So much comes into a cache at once.
pub(super) const LINE_BYTES: usize = 64;
/// So many rows are in a leaf at most.
pub(super) const ROWS_MAX: usize = 64;

/// A key and its value.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

/// Some rows.
///
/// Its fields lie as they are named, what a search needs first together with the count of owners.
#[repr(C)]
pub(super) struct Leaf {
    rows: Vec<Row>,
    bytes: u64,
    prefix: Prefix,
    /// By place in the order of keys. As many are in use as there are rows, here and in `order`.
    heads: [Head; ROWS_MAX],
    /// By place in the order of keys: where in `rows` it is.
    order: [u8; ROWS_MAX],
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            bytes: 0,
            prefix: Prefix::EMPTY,
            heads: [0; ROWS_MAX],
            order: [0; ROWS_MAX],
            rows: Vec::with_capacity(ROWS_MAX),
        }
    }
}

impl Clone for Leaf {
    fn clone(&self) -> Self {
        // With room for all rows there can be, which a derived one would not leave.
        let mut rows = Vec::with_capacity(ROWS_MAX);
        rows.extend_from_slice(&self.rows);
        Self {
            bytes: self.bytes,
            prefix: self.prefix.clone(),
            heads: self.heads,
            order: self.order,
            rows,
        }
    }
}

impl Leaf {
    /// A leaf of these rows, which ascend and are no more than [`ROWS_MAX`].
    pub(super) fn of(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut leaf = Self::default();
        leaf.rows.extend(rows);
        leaf.bytes = leaf.rows.iter().map(Weight::bytes_of).sum();
        for (place, slot) in (0..).zip(&mut leaf.order) {
            *slot = place;
        }
        leaf.set_heads();
        leaf
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn weight(&self) -> Weight {
        Weight {
            rows: self.rows.len() as u64,
            bytes: self.bytes,
        }
    }

    pub(super) fn row(&self, at: usize) -> &Row {
        &self.rows[usize::from(self.order[at])]
    }

    pub(super) fn first(&self) -> Option<&Row> {
        (self.len() > 0).then(|| self.row(0))
    }

    pub(super) fn last(&self) -> Option<&Row> {
        self.len().checked_sub(1).map(|last| self.row(last))
    }

    /// Where a key is, or where it belongs.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let heads = &self.heads[..self.len()];
        find(&self.prefix, heads, key, |at| &self.row(at).key)
    }

    /// Reads something of each line of the cache in which a search looks.
    pub(super) fn touch(&self) -> u64 {
        let heads = self.heads.iter().step_by(LINE_BYTES / size_of::<Head>());
        let bits = heads.fold(Head::from(self.order[0]), |all, head| all ^ head);
        self.len() as u64 ^ u64::from(bits)
    }

    /// The row that has this key, perhaps, or one near where it would be put.
    pub(super) fn guess(&self, key: &[u8]) -> Option<&Row> {
        let head = self.prefix.head(key).ok()?;
        let heads = &self.heads[..self.len()];
        let at = heads.partition_point(|other| *other < head);
        if heads.get(at) == Some(&head) {
            return Some(self.row(at));
        }
        self.rows.last()
    }

    /// How many rows have a lesser key.
    pub(super) fn before(&self, key: &[u8]) -> usize {
        self.find(key).unwrap_or_else(|place| place)
    }

    /// Makes changes, which ascend, until one finds no room; how many it has made. What is replaced
    /// or removed takes the place of what came, so that it is dropped where the batch is.
    pub(super) fn change(&mut self, changes: &mut [Change]) -> usize {
        for (made, (key, value)) in changes.iter_mut().enumerate() {
            match (self.find(key), value.take()) {
                (Ok(at), Some(new)) => *value = Some(self.replace(at, new)),
                (Ok(at), None) => *value = Some(self.remove(at).value),
                (Err(_), Some(new)) if self.len() == ROWS_MAX => {
                    *value = Some(new);
                    return made;
                }
                (Err(at), Some(value)) => self.insert(
                    at,
                    Row {
                        key: std::mem::take(key),
                        value,
                    },
                ),
                (Err(_), None) => {}
            }
        }
        changes.len()
    }

    fn replace(&mut self, at: usize, value: Bytes) -> Bytes {
        let slot = usize::from(self.order[at]);
        self.bytes += value.len() as u64;
        let old = std::mem::replace(&mut self.rows[slot].value, value);
        self.bytes -= old.len() as u64;
        old
    }

    fn insert(&mut self, at: usize, row: Row) {
        let count = self.len();
        self.bytes += Weight::bytes_of(&row);
        self.order.copy_within(at..count, at + 1);
        self.order[at] = u8::try_from(count).unwrap_or(u8::MAX);
        let head = self.prefix.head(&row.key);
        self.rows.push(row);
        match head {
            Ok(head) if count > 0 => {
                self.heads.copy_within(at..count, at + 1);
                self.heads[at] = head;
            }
            Ok(_) | Err(_) => self.set_heads(),
        }
    }

    fn remove(&mut self, at: usize) -> Row {
        let last = self.len() - 1;
        let slot = usize::from(self.order[at]);
        self.heads.copy_within(at + 1..=last, at);
        self.order.copy_within(at + 1..=last, at);
        let row = self.rows.swap_remove(slot);
        for order in &mut self.order[..last] {
            if usize::from(*order) == last {
                *order = u8::try_from(slot).unwrap_or(u8::MAX);
            }
        }
        self.bytes -= Weight::bytes_of(&row);
        row
    }

    /// Makes room for a key that is not there, and belongs into a full leaf: what is greater or
    /// equal to the separator goes to a new leaf. At the very end the full one stays full.
    pub(super) fn split(&mut self, key: &[u8], place: Place) -> (Bytes, Self) {
        if place == Place::Last
            && self.before(key) == self.len()
            && let Some(last) = self.last()
        {
            return (separator(&last.key, key), Self::default());
        }
        let right = self.cut(self.len() / 2);
        (self.separator_to(&right), right)
    }

    /// Cuts off the rows from this place on.
    fn cut(&mut self, at: usize) -> Self {
        let mut rows = self.take_rows();
        let right = Self::of(rows.split_off(at));
        *self = Self::of(rows);
        right
    }

    /// Takes out the rows of these places.
    pub(super) fn take(&mut self, places: std::ops::Range<usize>) -> Self {
        let mut rows = self.take_rows();
        let taken = Self::of(rows.drain(places));
        *self = Self::of(rows);
        taken
    }

    /// Brings the rows of two neighbours into this one, or as many into each if that is too many.
    /// The separator then.
    pub(super) fn join(&mut self, right: &mut Self) -> Option<Bytes> {
        let mut rows = self.take_rows();
        rows.append(&mut right.take_rows());
        if rows.len() <= Self::JOINED_MAX {
            *self = Self::of(rows);
            return None;
        }
        *right = Self::of(rows.split_off(rows.len() / 2));
        *self = Self::of(rows);
        Some(self.separator_to(right))
    }

    /// Two leaves with no more rows together become one: it has room for some that are to come.
    const JOINED_MAX: usize = ROWS_MAX * 3 / 4;

    fn take_rows(&mut self) -> Vec<Row> {
        let count = self.len();
        let rows = &mut self.rows;
        let take = |slot: &u8| std::mem::take(&mut rows[usize::from(*slot)]);
        self.order[..count].iter().map(take).collect()
    }

    fn separator_to(&self, right: &Self) -> Bytes {
        match (self.last(), right.first()) {
            (Some(last), Some(first)) => separator(&last.key, &first.key),
            (None, Some(_)) | (_, None) => Bytes::new(),
        }
    }

    fn set_heads(&mut self) {
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            return;
        };
        let prefix = Prefix::of(&first.key, &last.key);
        for at in 0..self.len() {
            // All keys have it, so each has a head.
            self.heads[at] = prefix.head(&self.row(at).key).unwrap_or(0);
        }
        self.prefix = prefix;
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let keys: Vec<&Bytes> = (0..self.len()).map(|at| &self.row(at).key).collect();
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:?}");
        let heads: Vec<_> = keys.iter().map(|key| self.prefix.head(key)).collect();
        let own: Vec<_> = self.heads[..self.len()].iter().copied().map(Ok).collect();
        assert_eq!(heads, own);
        let mut slots: Vec<u8> = self.order[..self.len()].to_vec();
        slots.sort_unstable();
        assert!(
            slots
                .iter()
                .map(|slot| usize::from(*slot))
                .eq(0..self.len())
        );
        let bytes: u64 = self.rows.iter().map(Weight::bytes_of).sum();
        assert_eq!(bytes, self.bytes);
    }
}

/// The shortest key that is greater than the left one, and not greater than the right one.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Bytes {
    let length = right.len().min(common(left, right) + 1);
    Bytes::copy_from_slice(&right[..length])
}
