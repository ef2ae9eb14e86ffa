//! Rows with changes upon them that are not written yet, so that each command of a batch sees what
//! those before it did. It does not know what a row means.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::PortError;

use crate::engine::{Batch, Cursor, Direction, Family, Merged, Span, View};

type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// A view, and changes upon it.
pub struct Overlay<'a> {
    base: &'a dyn View,
    changes: [Changes; Family::ALL.len()],
    /// Rows of the family of keys that were asked for in advance.
    fetched: HashMap<Bytes, Option<Bytes>>,
}

impl<'a> Overlay<'a> {
    /// Without changes.
    #[must_use]
    pub fn new(base: &'a dyn View) -> Self {
        Self {
            base,
            changes: Default::default(),
            fetched: HashMap::new(),
        }
    }

    /// Reads the present records of these keys, which will be asked for, all at once.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn fetch(&mut self, mut keys: Vec<Bytes>) -> Result<(), PortError> {
        keys.sort_unstable();
        keys.dedup();
        let rows = self.base.get_many(Family::Keys, &keys)?;
        self.fetched = keys.into_iter().zip(rows).collect();
        Ok(())
    }

    /// Writes a row.
    pub fn put(&mut self, family: Family, key: Bytes, value: Bytes) {
        self.changes[family as usize].insert(key, Some(value));
    }

    /// Removes a row.
    pub fn remove(&mut self, family: Family, key: Bytes) {
        self.changes[family as usize].insert(key, None);
    }

    /// The changes, to be written.
    #[must_use]
    pub fn into_batch(self, applied: Index) -> Batch {
        let mut batch = Batch::new(applied);
        for (family, changes) in Family::ALL.into_iter().zip(self.changes) {
            if !changes.is_empty() {
                batch.changes.push((family, changes.into_iter().collect()));
            }
        }
        batch
    }
}

impl View for Overlay<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, PortError> {
        if let Some(changed) = self.changes[family as usize].get(key) {
            return Ok(changed.clone());
        }
        if family == Family::Keys
            && let Some(fetched) = self.fetched.get(key)
        {
            return Ok(fetched.clone());
        }
        self.base.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        span: &Span,
        direction: Direction,
    ) -> Result<Box<dyn Cursor + '_>, PortError> {
        let base = self.base.scan(family, span, direction)?;
        let changes = &self.changes[family as usize];
        if changes.is_empty() || span.is_empty() {
            return Ok(base);
        }
        let changes = changes.range::<[u8], _>(span.bounds());
        let changes = changes.map(|(key, value)| (key, value.as_ref()));
        let merged = match direction {
            Direction::Ascending => Merged::new(base, Box::new(changes), direction),
            Direction::Descending => Merged::new(base, Box::new(changes.rev()), direction),
        };
        Ok(Box::new(merged?))
    }
}

#[cfg(test)]
mod tests;
