//! All rows at one moment: the trees, and what is still to be brought into them.
//!
//! A moment can be in the midst of a batch: then some of its changes are in the trees, and those
//! that are not, and perhaps some that are, lie over them. To make a change twice is to make it
//! once, so the view is the same at each such moment. It does not know who brings them in.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::PortError;

use super::tree::Tree;
use super::walk::Walk;
use crate::engine::{Batch, Change, Cursor, Direction, Family, Merged, Span, View};

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
        let changes = match changes.get(from..to) {
            None | Some([]) => return Ok(Box::new(below)),
            Some(changes) => changes.iter().map(|(key, value)| (key, value.as_ref())),
        };
        let merged = match direction {
            Direction::Ascending => Merged::new(Box::new(below), Box::new(changes), direction),
            Direction::Descending => {
                Merged::new(Box::new(below), Box::new(changes.rev()), direction)
            }
        };
        Ok(Box::new(merged?))
    }
}
