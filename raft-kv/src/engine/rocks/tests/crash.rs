//! After a crash the rows are those as of one entry, at least the one that was called durable.

use super::*;
use crate::engine::rocks::install::{self, Step};

#[test]
fn a_crash_leaves_the_rows_of_one_entry_that_is_not_before_the_durable_one() {
    for seed in 0..2 {
        let dir = temporary();
        let engine = open(dir.path());
        let mut model = Model::new(seed);
        let mut flushed = 0;
        for _ in 0..8 {
            for _ in 0..model.dice.below(60) {
                engine.write(model.next()).expect("written");
            }
            // Whatever was promised before the crash counts.
            let promised = engine.durable();
            let image = crashed(&engine);
            let again = open(image.path());
            let found = again.durable();
            assert!((promised..=model.applied).contains(&found), "{found}");
            assert_eq!(rows(&again).expect("read"), *model.at(found));
            flushed += u32::from(found > Index(0));
        }
        assert!(flushed > 3, "the test is about flushes: {flushed}");
    }
}

#[test]
fn without_a_flush_a_crash_leaves_nothing() {
    let dir = temporary();
    let engine = open(dir.path());
    engine
        .write(put(7, Family::Keys, "a", "1"))
        .expect("written");
    let image = crashed(&engine);
    let again = open(image.path());
    assert_eq!((engine.durable(), again.durable()), (Index(0), Index(0)));
    assert!(rows(&again).expect("read").is_empty());
}

#[test]
fn what_is_flushed_on_demand_is_there_after_a_crash() {
    let dir = temporary();
    let engine = open(dir.path());
    engine.flush().expect("nothing to do");
    let mut model = Model::new(7);
    for round in 0..6 {
        for _ in 0..model.dice.below(8) {
            engine.write(model.next()).expect("written");
        }
        // One that waits for a capture, and is for more than that.
        let capture = (round % 3 == 0).then(|| engine.capture().expect("captured"));
        engine.write(model.next()).expect("written");
        engine.flush().expect("flushed");
        assert_eq!(engine.durable(), model.applied);
        let image = crashed(&engine);
        drop(capture);
        let again = open(image.path());
        assert_eq!(rows(&again).expect("read"), *model.now());
    }
}

#[test]
fn a_crash_while_a_snapshot_is_installed_leaves_the_old_rows_or_the_new_ones() {
    let mut model = Model::new(9);
    let (dir, other) = (temporary(), temporary());
    // One flush, so that nothing is compacted while this copies.
    let config = RocksEngineConfig::default();
    let source = RocksEngine::open(other.path(), config).expect("it opens");
    for _ in 0..100 {
        source.write(model.next()).expect("written");
    }
    let files = Files::of(&source);
    let engine = RocksEngine::open(dir.path(), config).expect("it opens");
    engine
        .write(put(3, Family::Keys, "old", "1"))
        .expect("written");
    drop(engine);
    let engine = RocksEngine::open(dir.path(), config).expect("it opens");
    let old = rows(&engine).expect("read");
    let mut images = Vec::new();
    install::restore(&engine, &files, &mut |step| {
        let image = temporary();
        copy(&engine.home_path(), image.path());
        images.push((step, image));
        Ok(())
    })
    .expect("restored");
    assert!(images.len() > 7, "a step a file, and four");
    for (step, image) in images {
        let again = open(image.path());
        let found = (again.durable(), rows(&again).expect("read"));
        let is_new = matches!(step, Step::Named | Step::Live);
        let wanted = if is_new {
            (model.applied, model.now().clone())
        } else {
            (Index(3), old.clone())
        };
        assert_eq!(found, wanted, "{step:?}");
        let left = names(image.path());
        assert_eq!(left.len(), 3, "{step:?}: {left:?}");
    }
}

#[test]
fn a_restore_that_fails_halfway_leaves_the_old_rows_and_can_be_done_again() {
    let other = temporary();
    let source = open(other.path());
    source
        .write(put(5, Family::Keys, "new", "2"))
        .expect("written");
    let files = Files::of(&source);
    let dir = temporary();
    let engine = open(dir.path());
    engine
        .write(put(3, Family::Keys, "old", "1"))
        .expect("written");
    let old = rows(&engine).expect("read");
    for failing in [Step::Copied, Step::Finished, Step::Opened] {
        let failed = install::restore(&engine, &files, &mut |step| {
            if step == failing {
                return Err(PortError::misused("enough"));
            }
            Ok(())
        });
        assert_eq!(failed.expect_err("it was ended").context, "enough");
        assert_eq!(rows(&engine).expect("read"), old, "{failing:?}");
        engine
            .write(put(4, Family::Keys, "old", "1"))
            .expect("it goes on");
    }
    engine.restore(&files).expect("restored");
    let new = rows(&source).expect("read");
    assert_eq!(rows(&engine).expect("read"), new);
    assert_eq!(engine.durable(), Index(5));
}
