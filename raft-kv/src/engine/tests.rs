//! What every engine has to do, whatever it keeps its rows in.
//!
//! An engine's own tests call [`suite`] with a way to make a fresh one. What is expected is an
//! ordered map of the standard library for each family.

pub(super) mod files;
pub(super) mod model;

use bytes::Bytes;
use raft_core::sim::rng::Rng;

use super::{Batch, Direction, Engine, Family, Span, read};
use files::{capture, hold};
use model::{Model, assert_same, batch, span};

/// How many rounds of each test there are.
const SEEDS: u64 = 8;

/// Everything that an engine has to do.
pub(super) fn suite(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    rows_are_those_of_a_model(fresh);
    a_view_stays_what_it_was(fresh);
    spans_are_emptied_before_all_else(fresh);
    a_row_can_be_empty(fresh);
    a_restored_engine_is_the_captured_one(fresh);
    a_restore_replaces_what_was_there(fresh);
    nothing_is_restored_from_files_of_others(fresh);
}

fn rows_are_those_of_a_model(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let (mut rng, engine, mut model) = (Rng::new(seed), fresh(), Model::default());
        for applied in 1..=60 {
            let batch = batch(&mut rng, applied);
            model.write(&batch);
            engine.write(batch).expect("a batch in order");
            read(&*engine, |view| {
                assert_same(view, &model);
                for _ in 0..10 {
                    model.assert_scans(view, &span(&mut rng));
                    model.assert_gets(view, &mut rng);
                }
                Ok(())
            })
            .expect("a view");
        }
    }
}

fn a_view_stays_what_it_was(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let (mut rng, engine, mut model) = (Rng::new(seed), fresh(), Model::default());
        write_some(&*engine, &mut model, &mut rng, 1..=10);
        read(&*engine, |view| {
            let then = model.clone();
            let mut walk = view.scan(Family::Keys, &Span::all(), Direction::Ascending)?;
            let mut keys = then.keys(Family::Keys).into_iter();
            for applied in 11..=30 {
                write_some(&*engine, &mut model, &mut rng, applied..=applied);
                assert_eq!(walk.row().map(|(key, _)| key.to_vec()), keys.next());
                walk.advance()?;
                assert_same(view, &then);
            }
            Ok(())
        })
        .expect("a view");
        read(&*engine, |view| {
            assert_same(view, &model);
            Ok(())
        })
        .expect("a view");
    }
}

fn spans_are_emptied_before_all_else(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    let engine = fresh();
    let row = |key: &'static str, value: &'static str| {
        let value = Bytes::from_static(value.as_bytes());
        (Bytes::from_static(key.as_bytes()), Some(value))
    };
    let mut first = Batch::new(raft_core::Index(1));
    first.changes = vec![
        (
            Family::Keys,
            ["a", "b", "c", "d"].map(|key| row(key, "old")).into(),
        ),
        (Family::Meta, vec![row("b", "other")]),
    ];
    engine.write(first).expect("a batch in order");
    let mut second = Batch::new(raft_core::Index(2));
    second.emptied = vec![
        (Family::Keys, Span::between("b", "d")),
        (Family::Keys, Span::between("d", "a")),
    ];
    second.changes = vec![(Family::Keys, vec![row("c", "new")])];
    engine.write(second).expect("a batch in order");
    let mut model = Model::default();
    for (key, value) in [("a", "old"), ("c", "new"), ("d", "old")] {
        model.put(Family::Keys, key, value);
    }
    model.put(Family::Meta, "b", "other");
    read(&*engine, |view| {
        assert_same(view, &model);
        Ok(())
    })
    .expect("a view");
}

fn a_row_can_be_empty(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    let engine = fresh();
    let mut batch = Batch::new(raft_core::Index(1));
    let rows = ["", "\0", "\0\0"].map(|key| (key.into(), Some(Bytes::new())));
    batch.changes = vec![(Family::History, rows.into())];
    let mut model = Model::default();
    model.write(&batch);
    engine.write(batch).expect("a batch in order");
    let restored = fresh();
    restored.restore(&capture(&*engine)).expect("a snapshot");
    for engine in [engine, restored] {
        read(&*engine, |view| {
            assert_same(view, &model);
            assert_eq!(view.get(Family::History, b"")?, Some(Bytes::new()));
            assert_eq!(view.get(Family::Keys, b"")?, None);
            Ok(())
        })
        .expect("a view");
    }
}

fn a_restored_engine_is_the_captured_one(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let (mut rng, engine, mut model) = (Rng::new(seed), fresh(), Model::default());
        write_some(&*engine, &mut model, &mut rng, 1..=rng_end(seed));
        let (held, then) = (engine.capture().expect("a capture"), model.clone());
        write_some(&*engine, &mut model, &mut rng, 100..=110);
        let restored = fresh();
        restored.restore(&hold(held)).expect("a snapshot");
        for (engine, mut model) in [(engine, model), (restored, then)] {
            for applied in 200..=203 {
                read(&*engine, |view| {
                    assert_same(view, &model);
                    Ok(())
                })
                .expect("a view");
                write_some(&*engine, &mut model, &mut rng, applied..=applied);
            }
        }
    }
}

/// The first round captures an engine to which nothing was ever written.
fn rng_end(seed: u64) -> u64 {
    seed * 8
}

fn a_restore_replaces_what_was_there(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    let (mut rng, engine, mut model) = (Rng::new(1), fresh(), Model::default());
    write_some(&*engine, &mut model, &mut rng, 1..=5);
    let image = capture(&*engine);
    let other = fresh();
    write_some(&*other, &mut Model::default(), &mut rng, 1..=50);
    other.restore(&image).expect("a snapshot");
    // What was applied is again what it was in the snapshot, which is less than before.
    for applied in 6..=9 {
        read(&*other, |view| {
            assert_same(view, &model);
            Ok(())
        })
        .expect("a view");
        write_some(&*other, &mut model, &mut rng, applied..=applied);
    }
}

fn nothing_is_restored_from_files_of_others(fresh: &mut dyn FnMut() -> Box<dyn Engine>) {
    let none = files::image(vec![("sessions".to_owned(), Bytes::from_static(b"x"))]);
    assert!(fresh().restore(&none).is_err());
}

fn write_some(
    engine: &dyn Engine,
    model: &mut Model,
    rng: &mut Rng,
    applied: std::ops::RangeInclusive<u64>,
) {
    for applied in applied {
        let batch = batch(rng, applied);
        model.write(&batch);
        engine.write(batch).expect("a batch in order");
    }
}
