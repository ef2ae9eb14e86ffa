//! What only the engine in memory promises: its trees' shape, its views amid a batch, its errors.

mod shape;

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use raft_core::port::PortErrorKind;
use raft_core::sim::rng::Rng;

use super::*;
use crate::engine::tests::files::{capture, image};
use crate::engine::tests::model::{Model, assert_same, batch, span};
use crate::engine::tests::suite;
use crate::engine::{Direction, Span, read};

#[test]
fn the_engine_in_memory_does_all_that_an_engine_has_to() {
    suite(&mut || Box::new(MemoryEngine::new()));
}

#[test]
fn a_moment_amid_a_batch_shows_all_of_it() {
    for seed in 0..40 {
        println!("seed {seed}");
        let (mut rng, mut model) = (Rng::new(seed), Model::default());
        let engine = MemoryEngine::new();
        for applied in 1..=5 {
            let next = batch(&mut rng, applied);
            let mut after = model.clone();
            after.write(&next);
            let mut amid = engine.freeze().expect("it works");
            for (family, span) in &next.emptied {
                let tree = &mut amid.trees[*family as usize];
                tree.empty(&span.from, span.to.as_deref(), &mut Vec::new());
            }
            let mut rest = Rest::new(next.clone());
            // At first no reader comes, so that changes are moved; then some are shared.
            let alone = rng.below(4);
            for step in 0.. {
                let made = rest.next(|family, changes| {
                    amid.trees[family as usize].change(changes);
                });
                if step >= alone || made.is_none() {
                    let view = Frozen {
                        laid_over: Some(rest.share()),
                        ..amid.clone()
                    };
                    assert_same(&view, &after);
                    for _ in 0..4 {
                        after.assert_scans(&view, &span(&mut rng));
                        after.assert_gets(&view, &mut rng);
                    }
                }
                if made.is_none() {
                    break;
                }
            }
            assert_same(&amid, &after);
            engine.write(next).expect("a batch in order");
            model = after;
            read(&engine, |view| {
                assert_same(view, &model);
                Ok(())
            })
            .expect("a view");
        }
    }
}

#[test]
fn readers_see_whole_batches_while_they_are_written() {
    const BATCHES: u64 = 200;
    let engine = MemoryEngine::new();
    let is_over = AtomicBool::new(false);
    let write = |number: u64| {
        let mut batch = Batch::new(Index(number));
        for family in [Family::Keys, Family::Revisions] {
            let value = Bytes::copy_from_slice(&number.to_be_bytes());
            // Every other row comes and goes.
            let row = |key: u32| {
                let is_there = (u64::from(key) + number).is_multiple_of(2);
                let value = is_there.then(|| value.clone());
                (Bytes::copy_from_slice(&key.to_be_bytes()), value)
            };
            batch.changes.push((family, (0..2_000).map(row).collect()));
        }
        engine.write(batch).expect("a batch in order");
    };
    write(1);
    let views = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut views = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                read(&engine, |view| {
                    let mut seen = Vec::new();
                    for family in [Family::Keys, Family::Revisions] {
                        let mut walk = view.scan(family, &Span::all(), Direction::Ascending)?;
                        while let Some((_, value)) = walk.row() {
                            seen.push(value.to_vec());
                            walk.advance()?;
                        }
                    }
                    assert_eq!(seen.len(), 2_000);
                    assert!(seen.iter().all(|value| *value == seen[0]));
                    Ok(())
                })
                .expect("a view");
                views += 1;
            }
            views
        });
        for number in 2..=BATCHES {
            write(number);
        }
        is_over.store(true, Ordering::Relaxed);
        reader.join().expect("a reader that saw whole batches")
    });
    assert!(views > 0);
}

#[test]
fn a_damaged_file_is_refused_and_changes_nothing() {
    let (mut rng, engine) = (Rng::new(1), MemoryEngine::new());
    let (mut model, mut first) = (Model::default(), batch(&mut rng, 1));
    for (_, changes) in &mut first.changes {
        changes.truncate(5);
    }
    model.write(&first);
    engine.write(first).expect("a batch in order");
    let copied = capture(&engine);
    let mut file = Vec::new();
    copied.copy(MemoryEngine::FILE, &mut file).expect("there");
    let refused = |bytes: Vec<u8>| {
        let damaged = image(vec![(MemoryEngine::FILE.to_owned(), bytes.into())]);
        let error = engine.restore(&damaged).expect_err("a damaged file");
        assert_eq!(error.kind, PortErrorKind::Damaged, "{error}");
        error.to_string()
    };
    for at in 0..file.len() {
        refused(file[..at].to_vec());
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            refused(flipped);
        }
    }
    assert!(refused([&file[..], b"\0"].concat()).contains("behind its end"));
    let mut newer = file.clone();
    newer[8] = 2;
    assert!(refused(newer).contains("format is 2"));
    read(&engine, |view| {
        assert_same(view, &model);
        Ok(())
    })
    .expect("a view");
    engine.restore(&copied).expect("a whole file");
}

#[test]
fn a_snapshot_of_another_engine_is_told_from_a_damaged_one() {
    let other = image(vec![("CURRENT".to_owned(), Bytes::new())]);
    let error = MemoryEngine::new().restore(&other).expect_err("no file");
    assert!(
        error
            .to_string()
            .starts_with("not a snapshot of the memory engine")
    );
}

#[test]
fn what_rows_take_is_counted_exactly() {
    let (mut rng, mut model) = (Rng::new(7), Model::default());
    let engine = MemoryEngine::new();
    for applied in 1..=200 {
        let batch = batch(&mut rng, applied);
        model.write(&batch);
        engine.write(batch).expect("a batch in order");
        let (bytes, rows) = model.weight();
        let health = engine.health().expect("it works");
        assert_eq!(health.bytes, bytes + rows * tree::ROW_BYTES);
    }
    let restored = MemoryEngine::new();
    restored.restore(&capture(&engine)).expect("a snapshot");
    assert_eq!(restored.health().ok(), engine.health().ok());
}

#[test]
fn after_a_batch_out_of_order_nothing_is_done() {
    let row = |key: &'static str| (Bytes::from(key), Some(Bytes::new()));
    let of = |changes| Batch {
        changes,
        ..Batch::new(Index(5))
    };
    for refused in [
        Batch::new(Index(3)),
        of(vec![(Family::Keys, vec![row("b"), row("a")])]),
        of(vec![(Family::Keys, vec![row("a"), row("a")])]),
        of(vec![(Family::Keys, vec![]), (Family::Keys, vec![])]),
    ] {
        let engine = MemoryEngine::new();
        engine
            .write(Batch::new(Index(4)))
            .expect("a batch in order");
        let image = capture(&engine);
        assert!(engine.write(refused).is_err());
        assert!(engine.write(Batch::new(Index(9))).is_err());
        assert!(read(&engine, |_| Ok(())).is_err());
        assert!(engine.capture().is_err());
        assert!(engine.restore(&image).is_err());
        assert!(engine.health().is_err());
    }
}

#[test]
fn after_a_panic_amid_a_batch_nothing_is_done() {
    let engine = MemoryEngine::new();
    let image = capture(&engine);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let _writer = engine.writer.lock();
            let _state = engine.state();
            panic!("amid a batch");
        });
        assert!(writer.join().is_err());
    });
    assert!(engine.write(Batch::new(Index(1))).is_err());
    assert!(read(&engine, |_| Ok(())).is_err());
    assert!(engine.capture().is_err());
    assert!(engine.restore(&image).is_err());
    assert!(engine.health().is_err());
}
