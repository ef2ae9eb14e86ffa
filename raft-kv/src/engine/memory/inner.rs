//! The nodes above the leaves: children, and the keys that separate them.
//!
//! A change goes down to its leaf; on the way back up a child that grew too much is split, and one
//! that has too few is joined with a neighbour. It does not know what is in the leaves.

use bytes::Bytes;

use super::heads::{Head, Prefix, find};
use super::leaf::LINE_BYTES;
use super::tree::{Node, Part, Place, Weight};
use crate::engine::Change;

/// So many children a node has at most.
pub(super) const CHILDREN_MAX: usize = 64;
/// Two nodes with no more children together become one.
const JOINED_MAX: usize = CHILDREN_MAX * 3 / 4;

/// Children, all on the same level.
#[derive(Clone)]
pub(super) struct Inner {
    weight: Weight,
    prefix: Prefix,
    /// Those of `keys`.
    heads: Vec<Head>,
    /// One less than children: a key is greater than all before it, and not greater than any that
    /// is in the child behind it.
    keys: Vec<Bytes>,
    children: Vec<Node>,
}

impl Inner {
    /// A node of these children.
    pub(super) fn of(first: Node, parts: Vec<Part>) -> Self {
        let mut inner = Self {
            weight: Weight::default(),
            prefix: Prefix::EMPTY,
            heads: Vec::new(),
            keys: Vec::with_capacity(CHILDREN_MAX),
            children: Vec::with_capacity(CHILDREN_MAX + 1),
        };
        inner.children.push(first);
        for (key, child) in parts {
            inner.keys.push(key);
            inner.children.push(child);
        }
        inner.set_heads();
        inner.weigh();
        inner
    }

    pub(super) const fn len(&self) -> usize {
        self.children.len()
    }

    pub(super) const fn weight(&self) -> Weight {
        self.weight
    }

    pub(super) fn child(&self, at: usize) -> &Node {
        &self.children[at]
    }

    /// Reads something of each line of the cache in which a search looks.
    pub(super) fn touch(&self) -> u64 {
        let heads = self.heads.iter().step_by(LINE_BYTES / size_of::<Head>());
        heads.fold(self.len() as u64, |all, head| all ^ u64::from(*head))
    }

    /// The child in which a key is, if it is in any.
    pub(super) fn child_of(&self, key: &[u8]) -> usize {
        match find(&self.prefix, &self.heads, key, |at| &self.keys[at]) {
            Ok(same) => same + 1,
            Err(place) => place,
        }
    }

    /// The last child that can have a lesser key.
    pub(super) fn child_before(&self, key: &[u8]) -> usize {
        find(&self.prefix, &self.heads, key, |at| &self.keys[at]).unwrap_or_else(|place| place)
    }

    fn place(&self, at: usize, own: Place) -> Place {
        if at + 1 == self.len() {
            own
        } else {
            Place::Inside
        }
    }

    /// Makes changes, which ascend. What has no room is added to `grown`.
    pub(super) fn change(
        &mut self,
        mut changes: &mut [Change],
        place: Place,
        grown: &mut Vec<Part>,
    ) {
        let mut parts = Vec::new();
        while let Some((key, _)) = changes.first() {
            let at = self.child_of(key);
            let (run, rest) = changes.split_at_mut(self.run(at, changes));
            let child_place = self.place(at, place);
            let child = &mut self.children[at];
            self.weight -= child.weight();
            child.change(run, child_place, &mut parts);
            self.weight += child.weight();
            let last = at + parts.len();
            for (behind, (key, child)) in (at..).zip(parts.drain(..)) {
                self.weight += child.weight();
                self.insert(behind, key, child);
            }
            for touched in (at..=last).rev() {
                self.mend(touched, place);
            }
            changes = rest;
        }
        self.cut_up(place, grown);
    }

    /// How many changes belong into this child; the first does.
    fn run(&self, at: usize, changes: &[Change]) -> usize {
        if at + 1 == self.len() {
            return changes.len();
        }
        let others = changes.iter().skip(1);
        1 + others
            .take_while(|(key, _)| self.child_of(key) == at)
            .count()
    }

    /// Puts a key there, and a child behind it.
    fn insert(&mut self, at: usize, key: Bytes, child: Node) {
        self.children.insert(at + 1, child);
        let head = self.prefix.head(&key);
        self.keys.insert(at, key);
        match head {
            Ok(head) if self.keys.len() > 1 => self.heads.insert(at, head),
            Ok(_) | Err(_) => self.set_heads(),
        }
    }

    /// Removes all keys of a span; whole nodes of them are added to `gone`.
    pub(super) fn empty(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        place: Place,
        gone: &mut Vec<Node>,
    ) {
        let low = self.child_of(from);
        let high = to.map_or(self.len() - 1, |to| self.child_before(to));
        if low < high {
            // The one before the right child separates it from the left one.
            self.keys.drain(low..high - 1);
            self.heads.drain(low..high - 1);
            for child in self.children.drain(low + 1..high) {
                self.weight -= child.weight();
                gone.push(child);
            }
            self.empty_child(low + 1, b"", to, place, gone);
            self.empty_child(low, from, None, place, gone);
            self.mend(low + 1, place);
        } else {
            self.empty_child(low, from, to, place, gone);
        }
        self.mend(low, place);
    }

    fn empty_child(
        &mut self,
        at: usize,
        from: &[u8],
        to: Option<&[u8]>,
        place: Place,
        gone: &mut Vec<Node>,
    ) {
        let place = self.place(at, place);
        let child = &mut self.children[at];
        self.weight -= child.weight();
        child.empty(from, to, place, gone);
        self.weight += child.weight();
    }

    /// Gives a child that has too little what it needs, or to a neighbour what it has.
    fn mend(&mut self, at: usize, place: Place) {
        let Some(child) = self.children.get(at) else {
            return;
        };
        // An only child is mended by the parent, after this node has got others.
        if !child.lacks(self.place(at, place)) || self.len() == 1 {
            return;
        }
        if child.weight().rows == 0 {
            self.children.remove(at);
            self.keys.remove(at.saturating_sub(1));
            self.heads.remove(at.saturating_sub(1));
            return;
        }
        let left = at.saturating_sub(1);
        let key = self.keys.remove(left);
        self.heads.remove(left);
        let right = self.children.remove(left + 1);
        let place = self.place(left, place);
        if let Some((key, right)) = self.children[left].join(key, right, place) {
            self.insert(left, key, right);
        }
    }

    /// Takes in the children of the next node, `key` being what separates the two; or as many are
    /// in each if that is too many.
    pub(super) fn join(
        &mut self,
        key: Bytes,
        mut right: Self,
        place: Place,
    ) -> Option<(Bytes, Self)> {
        let seam = self.len();
        self.keys.push(key);
        self.keys.append(&mut right.keys);
        self.children.append(&mut right.children);
        self.weight += right.weight;
        self.set_heads();
        // Where one had a single child, it is next to the seam.
        self.mend(seam, place);
        self.mend(seam - 1, place);
        (self.len() > JOINED_MAX).then(|| self.cut(self.len() / 2))
    }

    /// Leaves no more children than it may have. At the very end all nodes but the last are full.
    pub(super) fn cut_up(&mut self, place: Place, grown: &mut Vec<Part>) {
        if self.len() <= CHILDREN_MAX {
            return;
        }
        let step = match place {
            Place::Last => CHILDREN_MAX,
            Place::Inside => self.len().div_ceil(self.len().div_ceil(CHILDREN_MAX)),
        };
        let mut parts = Vec::new();
        // From behind, so that no child is moved twice.
        for at in (step..self.len()).step_by(step).rev() {
            parts.push(self.cut(at));
        }
        let parts = parts.into_iter().rev();
        grown.extend(parts.map(|(key, part)| (key, Node::from(part))));
    }

    /// Cuts off the children from this one on; what separates them.
    fn cut(&mut self, at: usize) -> (Bytes, Self) {
        let mut right = Self {
            weight: Weight::default(),
            prefix: Prefix::EMPTY,
            heads: Vec::new(),
            keys: self.keys.split_off(at),
            children: self.children.split_off(at),
        };
        right.set_heads();
        right.weigh();
        self.weight -= right.weight;
        let key = self.keys.pop().unwrap_or_default();
        self.set_heads();
        (key, right)
    }

    fn set_heads(&mut self) {
        self.heads.clear();
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else {
            return;
        };
        let prefix = Prefix::of(first, last);
        // All keys have it, so each has a head.
        let heads = self.keys.iter().map(|key| prefix.head(key).unwrap_or(0));
        self.heads.extend(heads);
        self.prefix = prefix;
    }

    fn weigh(&mut self) {
        self.weight = Weight::default();
        for child in &self.children {
            self.weight += child.weight();
        }
    }

    /// How many levels are below.
    #[cfg(test)]
    pub(super) fn check(&self, low: &[u8], high: Option<&[u8]>, place: Place) -> usize {
        assert!((1..=CHILDREN_MAX).contains(&self.len()), "{}", self.len());
        assert_eq!(self.keys.len() + 1, self.len());
        let heads: Vec<_> = self.keys.iter().map(|key| self.prefix.head(key)).collect();
        assert_eq!(
            heads,
            self.heads.iter().copied().map(Ok).collect::<Vec<_>>()
        );
        let mut weight = Weight::default();
        let mut depths = Vec::new();
        for (at, child) in self.children.iter().enumerate() {
            let low = at.checked_sub(1).map_or(low, |before| &self.keys[before]);
            let high = self.keys.get(at).map(|key| &**key).or(high);
            let place = self.place(at, place);
            assert!(!child.lacks(place), "child {at} of {}", self.len());
            depths.push(child.check(low, high, place));
            weight += child.weight();
        }
        assert_eq!(weight, self.weight);
        assert!(
            depths.windows(2).all(|pair| pair[0] == pair[1]),
            "{depths:?}"
        );
        depths[0] + 1
    }
}
