//! An ordered map whose copies share what they have in common: a B+ tree.
//!
//! A copy costs nothing. Whoever then changes one of the two copies the nodes on the way to the
//! change, and no others; nodes that no copy shares are changed where they are. A node is never
//! empty, and has a quarter of what it may have at least; except for the last of each level, so
//! that rows which come in order leave full nodes behind them. It does not know about locks.

use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use bytes::Bytes;

use super::inner::{CHILDREN_MAX, Inner};
use super::leaf::{Leaf, ROWS_MAX, Row, separator};
use super::warm::fetch;
use crate::engine::Change;

/// What a row takes besides its key and its value: it is two handles to bytes, and has its place in
/// a leaf.
pub(super) const ROW_BYTES: u64 = 80;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Weight {
    pub(super) const fn bytes_of(row: &Row) -> u64 {
        ROW_BYTES + row.key.len() as u64 + row.value.len() as u64
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Weight {
    fn sub_assign(&mut self, other: Self) {
        self.rows -= other.rows;
        self.bytes -= other.bytes;
    }
}

/// Whether a node is the last of its level: such a one may have as little as it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Inside,
    Last,
}

/// A node, and what separates it from the one before it.
pub(super) type Part = (Bytes, Node);

/// Rows, or nodes.
#[derive(Clone)]
pub(super) enum Node {
    Leaf(Arc<Leaf>),
    Inner(Arc<Inner>),
}

impl From<Leaf> for Node {
    fn from(leaf: Leaf) -> Self {
        Self::Leaf(Arc::new(leaf))
    }
}

impl From<Inner> for Node {
    fn from(inner: Inner) -> Self {
        Self::Inner(Arc::new(inner))
    }
}

/// An ordered map.
#[derive(Clone)]
pub(super) struct Tree {
    root: Node,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            root: Leaf::default().into(),
        }
    }
}

impl Tree {
    pub(super) fn weight(&self) -> Weight {
        self.root.weight()
    }

    pub(super) const fn root(&self) -> &Node {
        &self.root
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        let leaf = self.root.leaf_of(key);
        leaf.find(key).ok().map(|at| &leaf.row(at).value)
    }

    /// The values under keys, which ascend and are not very many.
    pub(super) fn get_many<'a>(
        &'a self,
        keys: &'a [Bytes],
    ) -> impl Iterator<Item = Option<&'a Bytes>> {
        fetch(&self.root, keys.iter());
        keys.iter().map(|key| self.get(key))
    }

    /// Makes changes, whose keys ascend. They are hollow afterwards: what they replace is in them,
    /// so that the caller can say when it is dropped. The stack grows with their number.
    pub(super) fn change(&mut self, changes: &mut [Change]) {
        fetch(&self.root, changes.iter().map(|(key, _)| key));
        let mut grown = Vec::new();
        self.root.change(changes, Place::Last, &mut grown);
        self.raise(grown);
        self.sink();
    }

    /// Removes all rows of a span, in a time that does not depend on how many there are. What is
    /// removed is added to `gone`, so that the caller can say when it is dropped.
    pub(super) fn empty(&mut self, from: &[u8], to: Option<&[u8]>, gone: &mut Vec<Node>) {
        if to.is_none_or(|to| from < to) {
            self.root.empty(from, to, Place::Last, gone);
            self.sink();
        }
    }

    /// Puts levels above the root until all there is has room under one.
    fn raise(&mut self, mut grown: Vec<Part>) {
        while !grown.is_empty() {
            let first = std::mem::replace(&mut self.root, Leaf::default().into());
            let mut root = Inner::of(first, std::mem::take(&mut grown));
            root.cut_up(Place::Last, &mut grown);
            self.root = root.into();
        }
    }

    /// Takes levels away that have a single node.
    fn sink(&mut self) {
        if self.weight().rows == 0 && self.root.len() > 0 {
            self.root = Leaf::default().into();
        }
        while let Node::Inner(inner) = &self.root
            && inner.len() == 1
        {
            self.root = inner.child(0).clone();
        }
    }

    /// Asserts what this file says of a tree.
    #[cfg(test)]
    pub(super) fn check(&self) {
        self.root.check(b"", None, Place::Last);
        if let Node::Inner(inner) = &self.root {
            assert!(inner.len() > 1);
        }
    }
}

impl Node {
    pub(super) fn weight(&self) -> Weight {
        match self {
            Self::Leaf(leaf) => leaf.weight(),
            Self::Inner(inner) => inner.weight(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Inner(inner) => inner.len(),
        }
    }

    /// Whether it has less than a node should have.
    pub(super) fn lacks(&self, place: Place) -> bool {
        let least = match (place, self) {
            (Place::Last, _) => return self.weight().rows == 0,
            (Place::Inside, Self::Leaf(_)) => ROWS_MAX / 4,
            (Place::Inside, Self::Inner(_)) => CHILDREN_MAX / 4,
        };
        self.len() < least
    }

    /// Reads something of all of it in which a search looks.
    pub(super) fn touch(&self) -> u64 {
        match self {
            Self::Leaf(leaf) => leaf.touch(),
            Self::Inner(inner) => inner.touch(),
        }
    }

    /// The leaf in which a key is, if it is in any.
    pub(super) fn leaf_of(&self, key: &[u8]) -> &Leaf {
        let mut node = self;
        loop {
            match node {
                Self::Leaf(leaf) => return leaf,
                Self::Inner(inner) => node = inner.child(inner.child_of(key)),
            }
        }
    }

    /// Makes changes, which ascend. What has no room in it is added to `grown`.
    pub(super) fn change(&mut self, changes: &mut [Change], place: Place, grown: &mut Vec<Part>) {
        match self {
            Self::Leaf(leaf) => change_leaf(leaf, changes, place, grown),
            Self::Inner(inner) => Arc::make_mut(inner).change(changes, place, grown),
        }
    }

    /// Removes all rows of a span; they are added to `gone`.
    pub(super) fn empty(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        place: Place,
        gone: &mut Vec<Self>,
    ) {
        match self {
            Self::Leaf(leaf) => {
                let places = leaf.before(from)..to.map_or(leaf.len(), |to| leaf.before(to));
                if !places.is_empty() {
                    gone.push(Arc::make_mut(leaf).take(places).into());
                }
            }
            Self::Inner(inner) => Arc::make_mut(inner).empty(from, to, place, gone),
        }
    }

    /// Takes in its right neighbour, `key` being what separates the two; or shares with it.
    pub(super) fn join(&mut self, key: Bytes, right: Self, place: Place) -> Option<Part> {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(mut right)) => {
                let key = Arc::make_mut(left).join(Arc::make_mut(&mut right))?;
                Some((key, Self::Leaf(right)))
            }
            (Self::Inner(left), Self::Inner(right)) => {
                let right = Arc::unwrap_or_clone(right);
                let (key, right) = Arc::make_mut(left).join(key, right, place)?;
                Some((key, right.into()))
            }
            // All nodes of a level are of a kind.
            (Self::Leaf(_), right @ Self::Inner(_)) | (Self::Inner(_), right @ Self::Leaf(_)) => {
                debug_assert!(false, "neighbours of two kinds");
                Some((key, right))
            }
        }
    }

    /// How many levels there are.
    #[cfg(test)]
    pub(super) fn check(&self, low: &[u8], high: Option<&[u8]>, place: Place) -> usize {
        match self {
            Self::Leaf(leaf) => {
                leaf.check();
                assert!(leaf.first().is_none_or(|row| *low <= *row.key));
                let last = leaf.last().zip(high);
                assert!(last.is_none_or(|(row, high)| row.key < high));
                1
            }
            Self::Inner(inner) => inner.check(low, high, place),
        }
    }
}

fn change_leaf(leaf: &mut Arc<Leaf>, changes: &mut [Change], place: Place, grown: &mut Vec<Part>) {
    let left = Arc::make_mut(leaf);
    let made = left.change(changes);
    let changes = &mut changes[made..];
    let Some((key, _)) = changes.first() else {
        return;
    };
    let (key, right) = left.split(key, place);
    let to_left = changes.partition_point(|(other, _)| *other < key);
    let (to_left, to_right) = changes.split_at_mut(to_left);
    change_leaf(leaf, to_left, Place::Inside, grown);
    let (mut right, mut further) = (Arc::new(right), Vec::new());
    change_leaf(&mut right, to_right, place, &mut further);
    grown.push((key, Node::Leaf(right)));
    grown.append(&mut further);
}

/// Makes a tree of rows that come in order, with full nodes.
#[derive(Default)]
pub(super) struct Builder {
    rows: Vec<Row>,
    first: Option<Node>,
    parts: Vec<Part>,
    /// The last key of the last leaf.
    last: Bytes,
}

impl Builder {
    /// Adds a row, behind all others.
    pub(super) fn push(&mut self, key: Bytes, value: Bytes) {
        if self.rows.len() == ROWS_MAX {
            self.end_leaf();
        }
        self.rows.push(Row { key, value });
    }

    pub(super) fn finish(mut self) -> Tree {
        self.end_leaf();
        let mut tree = Tree::default();
        if let Some(first) = self.first {
            tree.root = first;
            tree.raise(self.parts);
        }
        tree
    }

    fn end_leaf(&mut self) {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return;
        };
        let key = separator(&self.last, &first.key);
        self.last = last.key.clone();
        let leaf = Leaf::of(self.rows.drain(..)).into();
        match self.first {
            None => self.first = Some(leaf),
            Some(_) => self.parts.push((key, leaf)),
        }
    }
}
