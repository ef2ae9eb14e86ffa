//! What an engine should have, by the ordered maps of the standard library; and dice for what is
//! done to it.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::Index;
use raft_core::sim::rng::Rng;

use crate::engine::{Batch, Change, Direction, Family, Span, View};

type Rows = BTreeMap<Bytes, Bytes>;

/// The rows by family.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::engine) struct Model([Rows; Family::ALL.len()]);

impl Model {
    pub(in crate::engine) fn write(&mut self, batch: &Batch) {
        for (family, span) in &batch.emptied {
            self.0[*family as usize].retain(|key, _| !span.contains(key));
        }
        for (family, changes) in &batch.changes {
            let rows = &mut self.0[*family as usize];
            for (key, value) in changes {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
    }

    pub(in crate::engine) fn put(
        &mut self,
        family: Family,
        key: &'static str,
        value: &'static str,
    ) {
        self.0[family as usize].insert(key.into(), value.into());
    }

    pub(in crate::engine) fn keys(&self, family: Family) -> Vec<Vec<u8>> {
        self.0[family as usize]
            .keys()
            .map(|key| key.to_vec())
            .collect()
    }

    /// The length of all keys and values, and the number of rows.
    pub(in crate::engine) fn weight(&self) -> (u64, u64) {
        let rows = self.0.iter().flatten();
        let bytes = rows.clone().map(|(key, value)| key.len() + value.len());
        (bytes.sum::<usize>() as u64, rows.count() as u64)
    }

    /// A span is the same in both directions, in all families.
    pub(in crate::engine) fn assert_scans(&self, view: &dyn View, span: &Span) {
        for family in Family::ALL {
            let rows = &self.0[family as usize];
            let inside = rows.iter().filter(|(key, _)| span.contains(key));
            let mut expected: Vec<_> = inside
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            for direction in [Direction::Ascending, Direction::Descending] {
                let scanned = scan(view, family, span, direction);
                assert_eq!(scanned, expected, "{family:?} {span:?} {direction:?}");
                expected.reverse();
            }
        }
    }

    /// Some keys have the same value, or none.
    pub(in crate::engine) fn assert_gets(&self, view: &dyn View, rng: &mut Rng) {
        for family in Family::ALL {
            let rows = &self.0[family as usize];
            let mut keys: Vec<Bytes> = (0..rng.below(8)).map(|_| key(rng)).collect();
            keys.sort();
            let expected: Vec<_> = keys.iter().map(|key| rows.get(key).cloned()).collect();
            let got = view.get_many(family, &keys).expect("a view");
            assert_eq!(got, expected, "{keys:?}");
            let one_by_one = keys
                .iter()
                .map(|key| view.get(family, key).expect("a view"));
            assert_eq!(one_by_one.collect::<Vec<_>>(), expected, "{keys:?}");
        }
    }
}

/// All rows are those of the model.
pub(in crate::engine) fn assert_same(view: &dyn View, model: &Model) {
    model.assert_scans(view, &Span::all());
}

fn scan(view: &dyn View, family: Family, span: &Span, direction: Direction) -> Vec<(Bytes, Bytes)> {
    let mut walk = view.scan(family, span, direction).expect("a view");
    let mut rows = Vec::new();
    while let Some(row) = walk.to_owned() {
        assert_eq!(walk.row(), Some((&*row.0, &*row.1)));
        rows.push(row);
        walk.advance().expect("a view");
    }
    assert_eq!(walk.row(), None);
    walk.advance().expect("a view");
    assert_eq!(walk.row(), None, "an end is an end");
    rows
}

/// A batch of any kind.
pub(in crate::engine) fn batch(rng: &mut Rng, applied: u64) -> Batch {
    let mut batch = Batch::new(Index(applied));
    for family in Family::ALL {
        while rng.chance(100_000) {
            batch.emptied.push((family, span(rng)));
        }
        if rng.chance(700_000) {
            batch.changes.push((family, changes(rng)));
        }
    }
    rng.shuffle(&mut batch.changes);
    batch
}

/// Changes in order, more of one kind than of the other.
fn changes(rng: &mut Rng) -> Vec<Change> {
    let (count, removed) = (rng.magnitude(1, 400), rng.below(1_000_000));
    let mut changes: BTreeMap<Bytes, Option<Bytes>> = BTreeMap::new();
    for _ in 0..count {
        let value = (!rng.chance(removed)).then(|| value(rng));
        changes.insert(key(rng), value);
    }
    changes.into_iter().collect()
}

/// A span of any kind; about one in four has no rows.
pub(in crate::engine) fn span(rng: &mut Rng) -> Span {
    let (one, other) = (key(rng), key(rng));
    match rng.below(8) {
        0 => Span::all(),
        1 => Span {
            from: one,
            to: None,
        },
        2 => Span::prefix(one),
        3 => Span::between(one.clone(), one),
        4 => Span::between(one.clone(), [&one[..], b"\0"].concat()),
        5 => Span::between(one.max(other.clone()), other),
        _ => Span::between(one.clone().min(other.clone()), one.max(other)),
    }
}

/// Keys that have much or little in common, and often come again.
pub(in crate::engine) fn key(rng: &mut Rng) -> Bytes {
    let number = rng.magnitude(1, 2_000);
    let key = match rng.below(4) {
        0 => format!("/registry/pods/default/a-name-that-is-not-short/{number}"),
        1 => format!("/registry/{number:08}"),
        2 => return Bytes::copy_from_slice(&number.to_be_bytes()[8 - number as usize % 9..]),
        _ => number.to_string(),
    };
    key.into()
}

fn value(rng: &mut Rng) -> Bytes {
    let length = usize::try_from(rng.magnitude(1, 300) - 1).expect("small");
    Bytes::from(vec![rng.draw() as u8; length])
}
