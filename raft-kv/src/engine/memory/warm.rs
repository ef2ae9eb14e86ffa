//! Fetches what is about to be needed, all of it at once.
//!
//! In a large tree each node, row and key on the way to a change is somewhere in memory where no
//! cache has it, and each tells only then where the next one is. One change after another would
//! wait at every step. So before some changes are made, all of them take the first step, then all
//! the second: loads that don't depend on each other overlap. Nothing here has an effect but that.

use std::hint::black_box;

use bytes::Bytes;

use super::leaf::{Leaf, Row};
use super::tree::Node;

/// Fetches the way to these keys, which ascend, and the rows there.
pub(super) fn fetch<'a>(root: &Node, keys: impl Iterator<Item = &'a Bytes> + Clone) {
    let leaves = fetch_leaves(root, &keys);
    let guesses = leaves.iter().zip(keys).map(|(leaf, key)| leaf.guess(key));
    let rows: Vec<&Row> = guesses.flatten().collect();
    let lengths = rows.iter().map(|row| row.key.len() + row.value.len());
    black_box(lengths.sum::<usize>());
    let first_bytes = rows.iter().filter_map(|row| row.key.first());
    black_box(first_bytes.fold(0, |all, byte| all ^ byte));
}

fn fetch_leaves<'a, 'b>(
    root: &'a Node,
    keys: &(impl Iterator<Item = &'b Bytes> + Clone),
) -> Vec<&'a Leaf> {
    let mut nodes: Vec<&Node> = keys.clone().map(|_| root).collect();
    while let Some(Node::Inner(_)) = nodes.first() {
        for (node, key) in nodes.iter_mut().zip(keys.clone()) {
            if let Node::Inner(inner) = node {
                *node = inner.child(inner.child_of(key));
            }
        }
        black_box(
            nodes
                .iter()
                .map(|node| node.touch())
                .fold(0, |all, bits| all ^ bits),
        );
    }
    let leaves = nodes.iter().filter_map(|node| match node {
        Node::Leaf(leaf) => Some(&**leaf),
        Node::Inner(_) => None,
    });
    leaves.collect()
}

/// Fetches what dropping these bytes needs.
pub(super) fn fetch_owners<'a>(values: impl Iterator<Item = &'a Bytes>) {
    black_box(values.filter(|value| value.is_unique()).count());
}
