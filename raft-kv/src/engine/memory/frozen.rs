//! All rows at one moment: the trees, and what is still to be brought into them.
//!
//! A moment can be in the midst of a batch: then some of its changes are in the trees, and those
//! that are not, and perhaps some that are, lie over them. To make a change twice is to make it
//! once, so the view is the same at each such moment. It does not know who brings them in.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::PortError;

use super::tree::Tree;
use super::walk::Walk;
use crate::engine::{Batch, Change, Cursor, Direction, Family, Span, View};

/// So many keys are looked up at once: their leaves have room in a cache.
const KEYS_AT_ONCE: usize = 64;

/// All rows at one moment.
#[derive(Clone, Default)]
pub(super) struct Frozen {
    pub(super) applied: Index,
    pub(super) trees: [Tree; Family::ALL.len()],
    /// Changes that lie over the trees.
    pub(super) laid_over: Option<Arc<Batch>>,
}

impl Frozen {
    fn laid_over(&self, family: Family) -> &[Change] {
        let batch = self.laid_over.as_ref();
        batch.map_or(&[], |batch| batch.of(family))
    }
}

impl View for Frozen {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, PortError> {
        let changes = self.laid_over(family);
        if let Ok(at) = changes.binary_search_by(|(other, _)| (**other).cmp(key)) {
            return Ok(changes[at].1.clone());
        }
        Ok(self.trees[family as usize].get(key).cloned())
    }

    fn get_many(&self, family: Family, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, PortError> {
        let changes = self.laid_over(family);
        if !changes.is_empty() {
            return keys.iter().map(|key| self.get(family, key)).collect();
        }
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            let found = self.trees[family as usize].get_many(some);
            values.extend(found.map(Option::<&Bytes>::cloned));
        }
        Ok(values)
    }

    fn scan(
        &self,
        family: Family,
        span: &Span,
        direction: Direction,
    ) -> Result<Box<dyn Cursor + '_>, PortError> {
        let below = Walk::new(&self.trees[family as usize], span, direction);
        let changes = self.laid_over(family);
        let from = changes.partition_point(|(key, _)| *key < span.from);
        let to = span.to.as_ref().map_or(changes.len(), |to| {
            changes.partition_point(|(key, _)| key < to)
        });
        Ok(match changes.get(from..to) {
            None | Some([]) => Box::new(below),
            Some(changes) => Box::new(LaidOver::new(below, changes, direction)),
        })
    }
}

/// A walk over rows with changes that lie over them.
struct LaidOver<'a> {
    below: Walk<'a>,
    /// Those that are still to come.
    changes: &'a [Change],
    direction: Direction,
    /// Whether the next row comes from the changes. It has a value then.
    is_above: bool,
}

impl<'a> LaidOver<'a> {
    fn new(below: Walk<'a>, changes: &'a [Change], direction: Direction) -> Self {
        let mut walk = Self {
            below,
            changes,
            direction,
            is_above: false,
        };
        // A walk in memory can't fail.
        let _ = walk.settle();
        walk
    }

    fn next(&self) -> Option<&'a Change> {
        match self.direction {
            Direction::Ascending => self.changes.first(),
            Direction::Descending => self.changes.last(),
        }
    }

    fn drop_next(&mut self) {
        let rest = match self.direction {
            Direction::Ascending => self.changes.split_first().map(|(_, rest)| rest),
            Direction::Descending => self.changes.split_last().map(|(_, rest)| rest),
        };
        self.changes = rest.unwrap_or_default();
    }

    /// Finds out which of the two comes next, passing over rows that are replaced or removed.
    fn settle(&mut self) -> Result<(), PortError> {
        while let Some((key, value)) = self.next() {
            let order = self.below.row().map(|(below, _)| match self.direction {
                Direction::Ascending => below.cmp(key),
                Direction::Descending => (**key).cmp(below),
            });
            if order == Some(Ordering::Less) {
                break;
            }
            if order == Some(Ordering::Equal) {
                self.below.advance()?;
            }
            if value.is_some() {
                self.is_above = true;
                return Ok(());
            }
            self.drop_next();
        }
        self.is_above = false;
        Ok(())
    }

    fn above(&self) -> Option<(&'a Bytes, &'a Bytes)> {
        let (key, value) = self.next()?;
        value.as_ref().map(|value| (key, value))
    }
}

impl Cursor for LaidOver<'_> {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        if self.is_above {
            return self.above().map(|(key, value)| (&**key, &**value));
        }
        self.below.row()
    }

    fn to_owned(&self) -> Option<(Bytes, Bytes)> {
        if self.is_above {
            return self
                .above()
                .map(|(key, value)| (key.clone(), value.clone()));
        }
        self.below.to_owned()
    }

    fn advance(&mut self) -> Result<(), PortError> {
        if self.is_above {
            self.drop_next();
        } else {
            self.below.advance()?;
        }
        self.settle()
    }
}
