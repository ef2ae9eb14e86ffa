//! Changes that are made all or none. It does not know how.

use bytes::Bytes;
use raft_core::Index;

use super::{Family, Span};

/// A change of a row.
pub type Change = (Bytes, Option<Bytes>);

/// Changes to the rows, and the entry of the log that they bring the rows up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The last entry of the log whose effects are in it. Never less than that of an earlier batch,
    /// except after a restore.
    pub applied: Index,
    /// The spans that are emptied, before all else.
    pub emptied: Vec<(Family, Span)>,
    /// By family: keys, which ascend, none twice, with the new values; `None` removes the row.
    pub changes: Vec<(Family, Vec<Change>)>,
}

impl Batch {
    /// A batch without changes.
    #[must_use]
    pub fn new(applied: Index) -> Self {
        Self {
            applied,
            ..Self::default()
        }
    }

    /// The changes of a family.
    #[must_use]
    pub fn of(&self, family: Family) -> &[Change] {
        let found = self.changes.iter().find(|(of, _)| *of == family);
        found.map_or(&[], |(_, changes)| changes)
    }
}
