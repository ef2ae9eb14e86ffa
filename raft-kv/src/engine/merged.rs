//! Rows with changes over them, gone over together. It does not know where either comes from, nor
//! when the changes are made.

use std::cmp::Ordering;

use bytes::Bytes;
use raft_core::port::PortError;

use super::{Cursor, Direction};

/// A change to go over: a key with its new value, or with nothing if the row is removed.
pub(crate) type Over<'a> = (&'a Bytes, Option<&'a Bytes>);

/// Goes over the rows of a cursor and over changes, which come in the same direction, no key twice.
pub(crate) struct Merged<'a> {
    below: Box<dyn Cursor + 'a>,
    changes: Box<dyn Iterator<Item = Over<'a>> + 'a>,
    /// The next change. The row below has another key.
    next: Option<Over<'a>>,
    /// Whether it stands at the next change, rather than at the row below.
    is_above: bool,
    direction: Direction,
}

impl<'a> Merged<'a> {
    /// Stands at the first row of both.
    ///
    /// # Errors
    /// When the rows can't be read.
    pub(crate) fn new(
        below: Box<dyn Cursor + 'a>,
        mut changes: Box<dyn Iterator<Item = Over<'a>> + 'a>,
        direction: Direction,
    ) -> Result<Self, PortError> {
        let mut merged = Self {
            below,
            next: changes.next(),
            changes,
            is_above: false,
            direction,
        };
        merged.settle()?;
        Ok(merged)
    }

    /// The row of the change that it stands at.
    fn above(&self) -> Option<(&'a Bytes, &'a Bytes)> {
        let (key, value) = self.next.filter(|_| self.is_above)?;
        Some((key, value?))
    }

    /// Passes over rows that were replaced, and over removals.
    fn settle(&mut self) -> Result<(), PortError> {
        self.is_above = false;
        while let Some((key, value)) = self.next {
            let order = match (self.below.row(), self.direction) {
                (None, _) => Ordering::Less,
                (Some((row, _)), Direction::Ascending) => (**key).cmp(row),
                (Some((row, _)), Direction::Descending) => row.cmp(&**key),
            };
            match order {
                Ordering::Greater => return Ok(()),
                Ordering::Equal => self.below.advance()?,
                Ordering::Less => {}
            }
            if value.is_some() {
                self.is_above = true;
                return Ok(());
            }
            self.next = self.changes.next();
        }
        Ok(())
    }
}

impl Cursor for Merged<'_> {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        match self.above() {
            Some((key, value)) => Some((key, value)),
            None => self.below.row(),
        }
    }

    fn to_owned(&self) -> Option<(Bytes, Bytes)> {
        match self.above() {
            Some((key, value)) => Some((key.clone(), value.clone())),
            None => self.below.to_owned(),
        }
    }

    fn advance(&mut self) -> Result<(), PortError> {
        if self.is_above {
            self.next = self.changes.next();
        } else {
            self.below.advance()?;
        }
        self.settle()
    }
}
