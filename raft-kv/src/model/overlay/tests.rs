//! Overlays against ordered maps.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use raft_core::Index;

use super::Overlay;
use crate::engine::{Batch, Direction, Engine, Family, MemoryEngine, Span, View, read};

type Model = BTreeMap<Bytes, Bytes>;

fn key(number: u8) -> Bytes {
    Bytes::copy_from_slice(&[b'a' + number / 4, b'a' + number % 4])
}

fn rows(view: &dyn View, span: &Span, direction: Direction) -> Vec<(Bytes, Bytes)> {
    let mut cursor = view.scan(Family::Keys, span, direction).expect("a scan");
    let mut rows = Vec::new();
    while let Some(row) = cursor.to_owned() {
        assert_eq!(cursor.row(), Some((&*row.0, &*row.1)));
        rows.push(row);
        cursor.advance().expect("a row");
    }
    rows
}

proptest! {
    #[test]
    fn an_overlay_looks_like_what_it_will_be(
        base in prop::collection::btree_map(0_u8..16, 0_u8..9, 0..12),
        changes in prop::collection::vec((0_u8..16, prop::option::of(0_u8..9)), 0..12),
        from in 0_u8..16,
        to in prop::option::of(0_u8..16),
    ) {
        let engine = MemoryEngine::new();
        let mut model: Model = base
            .into_iter()
            .map(|(number, value)| (key(number), Bytes::from(vec![value])))
            .collect();
        let mut batch = Batch::new(Index(1));
        let present = model.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        batch.changes.push((Family::Keys, present.collect()));
        engine.write(batch).expect("a write");
        let written = read(&engine, |view| {
            let mut overlay = Overlay::new(view);
            overlay.fetch(vec![key(3), key(1), key(3)])?;
            for (number, value) in changes {
                match value {
                    Some(value) => {
                        let value = Bytes::from(vec![value]);
                        model.insert(key(number), value.clone());
                        overlay.put(Family::Keys, key(number), value);
                    }
                    None => {
                        model.remove(&key(number));
                        overlay.remove(Family::Keys, key(number));
                    }
                }
            }
            let span = Span { from: key(from), to: to.map(key) };
            let mut expected: Vec<_> = model
                .iter()
                .filter(|(key, _)| span.contains(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(rows(&overlay, &span, Direction::Ascending), expected);
            expected.reverse();
            assert_eq!(rows(&overlay, &span, Direction::Descending), expected);
            for number in 0..16 {
                let found = overlay.get(Family::Keys, &key(number))?;
                assert_eq!(found.as_ref(), model.get(&key(number)));
            }
            Ok(overlay.into_batch(Index(2)))
        });
        engine.write(written.expect("a read")).expect("a write");
        let all = read(&engine, |view| Ok(rows(view, &Span::all(), Direction::Ascending)));
        prop_assert_eq!(all.expect("a read"), model.into_iter().collect::<Vec<_>>());
    }
}
