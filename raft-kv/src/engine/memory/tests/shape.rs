//! A tree keeps its shape, and its copies stay what they were, whatever is done to it.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::sim::rng::Rng;

use super::super::tree::{Builder, Node, Tree};
use super::super::walk::Walk;
use crate::engine::tests::model;
use crate::engine::{Change, Cursor, Direction, Span};

type Rows = BTreeMap<Bytes, Bytes>;

fn rows_of(tree: &Tree) -> Vec<(Bytes, Bytes)> {
    let mut walk = Walk::new(tree, &Span::all(), Direction::Ascending);
    let mut rows = Vec::new();
    while let Some(row) = walk.to_owned() {
        rows.push(row);
        walk.advance().expect("memory");
    }
    rows
}

fn assert_tree(tree: &Tree, rows: &Rows) {
    tree.check();
    assert!(rows_of(tree).into_iter().eq(rows.clone()));
}

fn change(tree: &mut Tree, rows: &mut Rows, mut changes: Vec<Change>) {
    for (key, value) in &changes {
        match value {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
    tree.change(&mut changes);
}

/// Where new keys come.
#[derive(Clone, Copy, Debug)]
enum Growth {
    /// Anywhere in four billion.
    Anywhere,
    /// Behind all others.
    AtTheEnd,
    /// Those that come again and again.
    Again,
}

fn changes(rng: &mut Rng, growth: Growth, end: &mut u32, removed: u64) -> Vec<Change> {
    let mut changes = BTreeMap::new();
    for _ in 0..rng.magnitude(1, 200) {
        let key = match growth {
            Growth::Anywhere => Bytes::copy_from_slice(&rng.draw().to_be_bytes()[..4]),
            Growth::AtTheEnd => {
                *end += 1;
                Bytes::copy_from_slice(&end.to_be_bytes())
            }
            Growth::Again => model::key(rng),
        };
        let value = (!rng.chance(removed)).then(|| Bytes::copy_from_slice(&key[..key.len() / 2]));
        changes.insert(key, value);
    }
    changes.into_iter().collect()
}

/// Changes that remove rows which are there, in runs.
fn removals(rng: &mut Rng, rows: &Rows) -> Vec<Change> {
    let (from, run) = (rng.below(rows.len() as u64 + 1), rng.magnitude(1, 300));
    let keys = rows.keys().skip(usize::try_from(from).expect("small"));
    let step = usize::try_from(rng.between(1, 3)).expect("small");
    let removed = keys
        .step_by(step)
        .take(usize::try_from(run).expect("small"));
    removed.map(|key| (key.clone(), None)).collect()
}

fn some_span(rng: &mut Rng, rows: &Rows) -> Span {
    let mut pick = || {
        let at = usize::try_from(rng.below(rows.len() as u64 + 1)).expect("small");
        rows.keys().nth(at).cloned()
    };
    let (one, other) = (pick(), pick());
    match (one, other) {
        (Some(one), Some(other)) => Span {
            from: one.clone().min(other.clone()),
            to: Some(one.max(other)),
        },
        (one, None) | (None, one) => Span {
            from: one.unwrap_or_default(),
            to: None,
        },
    }
}

#[test]
fn a_tree_keeps_its_shape_and_its_copies_theirs() {
    for seed in 0..24 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let (mut tree, mut rows) = (Tree::default(), Rows::new());
        let mut copies: Vec<(Tree, Rows)> = Vec::new();
        let growths = [Growth::Anywhere, Growth::AtTheEnd, Growth::Again];
        let growth = growths[usize::try_from(seed % 3).expect("small")];
        let mut end = 0;
        // How much is removed goes up and down, so that trees get deep and flat again.
        for step in 0..600_u64 {
            let is_shrinking = step / 100 % 2 == 1;
            match rng.below(16) {
                0 => copies.push((tree.clone(), rows.clone())),
                1 => copies.truncate(rng.place(copies.len() + 1)),
                2 if is_shrinking => {
                    let (span, mut gone) = (some_span(&mut rng, &rows), Vec::new());
                    tree.empty(&span.from, span.to.as_deref(), &mut gone);
                    let before = rows.len();
                    rows.retain(|key, _| !span.contains(key));
                    let taken: u64 = gone.iter().map(|node| node.weight().rows).sum();
                    assert_eq!(taken, (before - rows.len()) as u64);
                }
                3..=9 if is_shrinking => {
                    let changes = removals(&mut rng, &rows);
                    change(&mut tree, &mut rows, changes);
                }
                _ => {
                    let changes = changes(&mut rng, growth, &mut end, 200_000);
                    change(&mut tree, &mut rows, changes);
                }
            }
            tree.check();
            if step % 20 == 0 {
                assert_tree(&tree, &rows);
            }
        }
        for (tree, rows) in copies.iter().chain([&(tree, rows)]) {
            assert_tree(tree, rows);
        }
    }
}

#[test]
fn a_tree_that_is_removed_row_by_row_becomes_an_empty_leaf() {
    let (mut tree, mut rows) = (Tree::default(), Rows::new());
    let (mut rng, mut end) = (Rng::new(3), 0);
    while rows.len() < 20_000 {
        let changes = changes(&mut rng, Growth::Anywhere, &mut end, 0);
        change(&mut tree, &mut rows, changes);
    }
    let mut keys: Vec<Bytes> = rows.keys().cloned().collect();
    rng.shuffle(&mut keys);
    for (removed, key) in keys.into_iter().enumerate() {
        change(&mut tree, &mut rows, vec![(key, None)]);
        if removed % 97 == 0 {
            tree.check();
        }
    }
    assert_tree(&tree, &rows);
    assert!(matches!(tree.root(), Node::Leaf(_)));
}

#[test]
fn rows_in_order_leave_full_leaves_however_they_come() {
    let count = 100_000_u32;
    let row = |number: u32| Bytes::copy_from_slice(&number.to_be_bytes());
    let (mut tree, mut builder) = (Tree::default(), Builder::default());
    let all: Vec<u32> = (0..count).collect();
    for some in all.chunks(50) {
        let changes = some.iter().map(|number| (row(*number), Some(Bytes::new())));
        tree.change(&mut changes.collect::<Vec<_>>());
        some.iter()
            .for_each(|number| builder.push(row(*number), Bytes::new()));
    }
    let rows: Rows = all
        .iter()
        .map(|number| (row(*number), Bytes::new()))
        .collect();
    for tree in [tree, builder.finish()] {
        assert_tree(&tree, &rows);
        let (mut leaves, mut nodes) = (0, vec![tree.root().clone()]);
        while let Some(node) = nodes.pop() {
            match node {
                Node::Leaf(_) => leaves += 1,
                Node::Inner(inner) => {
                    nodes.extend((0..inner.len()).map(|at| inner.child(at).clone()));
                }
            }
        }
        assert_eq!(leaves, rows.len().div_ceil(super::super::leaf::ROWS_MAX));
    }
}

#[test]
fn a_builder_without_rows_makes_a_tree_without_rows() {
    assert_tree(&Builder::default().finish(), &Rows::new());
}
