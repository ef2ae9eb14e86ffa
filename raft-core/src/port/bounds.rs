//! Where a log begins and ends, and which writes fit onto it.
//!
//! Every store must refuse what the contract forbids, and before it has written any of it. This
//! file knows positions only: no entries, no disk.

use super::PortError;
use crate::event::Write;
use crate::types::{Index, Position};

/// The log is what lies in `(base, last]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// The position just before the first entry.
    pub base: Position,
    /// The last entry's index; that of the base if there is none.
    pub last: Index,
}

impl LogBounds {
    /// The bounds after this write.
    ///
    /// # Errors
    /// When a log within these bounds can't carry it out: nothing of it may be written then.
    pub fn after(self, write: &Write) -> Result<Self, PortError> {
        let mut bounds = self;
        if let Some(meta) = &write.reset {
            bounds = Self {
                base: meta.last,
                last: meta.last.index,
            };
        }
        let Self { base, last } = bounds;
        if let Some(from) = write.truncate {
            if from <= base.index || from > last.next() {
                return Err(PortError::misused(format!(
                    "a truncation from {from} on, of a log from {base} to {last}"
                )));
            }
            bounds.last = from.prev();
        }
        for entry in &write.entries {
            if entry.index != bounds.last.next() {
                let (index, last) = (entry.index, bounds.last);
                return Err(PortError::misused(format!(
                    "entry {index} after a log that ends at {last}"
                )));
            }
            bounds.last = entry.index;
        }
        Ok(bounds)
    }
}
