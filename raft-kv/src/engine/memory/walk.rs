//! Goes over the rows of a tree, in either direction, where they are. It copies nothing ahead.

use std::ops::Range;

use bytes::Bytes;
use raft_core::port::PortError;

use super::inner::Inner;
use super::leaf::{Leaf, Row};
use super::tree::{Node, Tree};
use crate::engine::{Cursor, Direction, Span};

/// A walk over the rows of a span.
pub(super) struct Walk<'a> {
    span: Span,
    direction: Direction,
    /// The nodes above the leaf, the root first, and which child of each the walk is in.
    path: Vec<(&'a Inner, usize)>,
    leaf: Option<&'a Leaf>,
    /// What is still to come of the leaf, the row that the walk stands at included.
    rows: Range<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tree: &'a Tree, span: &Span, direction: Direction) -> Self {
        let mut walk = Self {
            span: span.clone(),
            direction,
            path: Vec::new(),
            leaf: None,
            rows: 0..0,
        };
        if !span.is_empty() {
            walk.go_down(tree.root(), |inner| match (direction, &span.to) {
                (Direction::Ascending, _) => inner.child_of(&span.from),
                (Direction::Descending, Some(to)) => inner.child_before(to),
                (Direction::Descending, None) => inner.len() - 1,
            });
            // The first row can be behind the end of the leaf where its key belongs.
            if walk.rows.is_empty() {
                walk.go_on();
            }
        }
        walk
    }

    fn at(&self) -> Option<&'a Row> {
        let at = match self.direction {
            Direction::Ascending => self.rows.start,
            Direction::Descending => self.rows.end.checked_sub(1)?,
        };
        let leaf = self.leaf.filter(|_| !self.rows.is_empty())?;
        Some(leaf.row(at))
    }

    /// Goes to the next leaf. No leaf is empty, so the walk is over if it has no row of the span.
    fn go_on(&mut self) {
        self.leaf = None;
        while let Some((inner, at)) = self.path.pop() {
            let next = match self.direction {
                Direction::Ascending => Some(at + 1).filter(|next| *next < inner.len()),
                Direction::Descending => at.checked_sub(1),
            };
            if let Some(next) = next {
                self.path.push((inner, next));
                let direction = self.direction;
                return self.go_down(inner.child(next), |inner| match direction {
                    Direction::Ascending => 0,
                    Direction::Descending => inner.len() - 1,
                });
            }
        }
    }

    fn go_down(&mut self, mut node: &'a Node, choose: impl Fn(&Inner) -> usize) {
        let leaf = loop {
            match node {
                Node::Leaf(leaf) => break leaf,
                Node::Inner(inner) => {
                    let at = choose(inner);
                    self.path.push((inner, at));
                    node = inner.child(at);
                }
            }
        };
        let end = self.span.to.as_ref().map(|to| leaf.before(to));
        self.rows = leaf.before(&self.span.from)..end.unwrap_or(leaf.len());
        self.leaf = Some(leaf);
    }
}

impl Cursor for Walk<'_> {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        self.at().map(|row| (&*row.key, &*row.value))
    }

    fn to_owned(&self) -> Option<(Bytes, Bytes)> {
        self.at().map(|row| (row.key.clone(), row.value.clone()))
    }

    fn advance(&mut self) -> Result<(), PortError> {
        if !self.rows.is_empty() {
            match self.direction {
                Direction::Ascending => self.rows.start += 1,
                Direction::Descending => self.rows.end -= 1,
            }
            if self.rows.is_empty() {
                self.go_on();
            }
        }
        Ok(())
    }
}
