//! A capture is the rows of its moment, whatever is written while it is copied.

use super::*;

#[test]
fn a_capture_has_the_rows_of_its_moment() {
    let dir = temporary();
    let engine = open(dir.path());
    let mut model = Model::new(3);
    for _ in 0..10 {
        for _ in 0..model.dice.below(20) {
            engine.write(model.next()).expect("written");
        }
        let moment = model.applied;
        let capture = engine.capture().expect("captured");
        // At once, while the flush has hardly begun.
        for _ in 0..10 {
            engine.write(model.next()).expect("written");
        }
        let mut files = Files::new();
        capture(&mut files).expect("copied");
        assert!(engine.durable() >= moment);
        let (_dir, restored) = files.restored();
        assert_eq!(restored.durable(), moment);
        assert_eq!(rows(&restored).expect("read"), *model.at(moment));
        assert_eq!(rows(&engine).expect("read"), *model.now());
    }
}

#[test]
fn a_capture_is_copied_while_another_thread_writes() {
    let dir = temporary();
    let engine = open(dir.path());
    let mut model = Model::new(4);
    for _ in 0..4 {
        for _ in 0..10 {
            engine.write(model.next()).expect("written");
        }
        let moment = model.applied;
        let capture = engine.capture().expect("captured");
        let files = std::thread::scope(|scope| {
            let copying = scope.spawn(move || {
                let mut files = Files::new();
                capture(&mut files).expect("copied");
                files
            });
            // More than may be in memory, so that writes wait for the capture, and flushes follow.
            for _ in 0..300 {
                engine.write(model.next()).expect("written");
            }
            copying.join().expect("no panic")
        });
        let (_dir, restored) = files.restored();
        assert_eq!(rows(&restored).expect("read"), *model.at(moment));
    }
    assert_eq!(rows(&engine).expect("read"), *model.now());
}

#[test]
fn an_engine_without_anything_to_flush_is_captured_too() {
    let dir = temporary();
    let engine = open(dir.path());
    let (_nothing, restored) = Files::of(&engine).restored();
    assert_eq!(restored.durable(), Index(0));
    engine
        .write(put(4, Family::Keys, "a", "1"))
        .expect("written");
    for _ in 0..3 {
        let (_dir, restored) = Files::of(&engine).restored();
        assert_eq!(restored.durable(), Index(4));
        assert_eq!(rows(&restored).expect("read"), rows(&engine).expect("read"));
    }
    assert_eq!(names(dir.path()), ["CURRENT_DB", "LOCK", "db.1"]);
}

#[test]
fn a_capture_that_is_not_copied_holds_nothing_up() {
    let dir = temporary();
    let engine = open(dir.path());
    let mut model = Model::new(5);
    let mut kept = Vec::new();
    for round in 0..8 {
        let capture = engine.capture().expect("captured");
        if round % 2 == 0 {
            drop(capture);
        } else {
            kept.push((model.applied, capture));
        }
        // Again and again as much as makes writes wait for flushes.
        for _ in 0..100 {
            engine.write(model.next()).expect("written");
        }
    }
    for (moment, capture) in kept {
        let mut files = Files::new();
        capture(&mut files).expect("copied");
        let (_dir, restored) = files.restored();
        assert_eq!(restored.durable(), moment);
    }
    // The last one that was given up may not have been noticed yet.
    drop(engine);
    assert_eq!(names(dir.path()), ["CURRENT_DB", "LOCK", "db.1"]);
}

#[test]
fn a_capture_outlives_its_engine() {
    let dir = temporary();
    let engine = open(dir.path());
    engine
        .write(put(1, Family::Keys, "a", "1"))
        .expect("written");
    let expected = rows(&engine).expect("rows");
    let capture = engine.capture().expect("captured");
    drop(engine);
    let mut files = Files::new();
    capture(&mut files).expect("copied");
    let (_dir, engine) = files.restored();
    assert_eq!(rows(&engine).expect("rows"), expected);
}

#[test]
fn files_of_others_in_a_snapshot_are_left_alone() {
    let (dir, other) = (temporary(), temporary());
    let source = open(other.path());
    source
        .write(put(2, Family::Leases, "a", "1"))
        .expect("written");
    let mut files = Files::of(&source);
    files.add("aaa", &mut &b"theirs"[..]).expect("memory");
    files.add("zzz", &mut &b"theirs"[..]).expect("memory");
    let engine = open(dir.path());
    engine.restore(&files).expect("restored");
    assert_eq!(rows(&engine).expect("read"), rows(&source).expect("read"));
    let database = names(&dir.path().join("db.2"));
    assert!(
        !database.iter().any(|name| name.contains("zzz")),
        "{database:?}"
    );

    let mut foreign = Files::new();
    foreign.add("zzz", &mut &b"theirs"[..]).expect("memory");
    let error = engine.restore(&foreign).expect_err("no rows in it");
    assert_eq!(error.kind, PortErrorKind::Damaged);
    assert_eq!(rows(&engine).expect("read"), rows(&source).expect("read"));
}

#[test]
fn who_reads_while_rows_are_replaced_keeps_the_old_ones() {
    let (dir, other) = (temporary(), temporary());
    let source = open(other.path());
    source
        .write(put(9, Family::Keys, "a", "new"))
        .expect("written");
    let files = Files::of(&source);
    let engine = open(dir.path());
    let mut model = Model::new(6);
    for _ in 0..100 {
        engine.write(model.next()).expect("written");
    }
    let get = |view: &dyn crate::engine::View| view.get(Family::Keys, b"a");
    read(&engine, |view| {
        engine.restore(&files)?;
        assert_eq!(names(dir.path()), ["CURRENT_DB", "LOCK", "db.1", "db.2"]);
        assert_eq!(get(view)?, None);
        let mut old = 0;
        let mut cursor = view.scan(Family::Keys, &Span::all(), Direction::Ascending)?;
        while cursor.row().is_some() {
            old += 1;
            cursor.advance()?;
        }
        let keys = model.now().keys();
        assert_eq!(
            old,
            keys.filter(|(family, _)| *family == Family::Keys).count()
        );
        Ok(())
    })
    .expect("read");
    assert_eq!(
        read(&engine, get).expect("read").as_deref(),
        Some(&b"new"[..])
    );
    assert_eq!(names(dir.path()), ["CURRENT_DB", "LOCK", "db.2"]);
    // And it goes on from there.
    engine
        .write(put(10, Family::Keys, "b", "1"))
        .expect("written");
    drop(engine);
    assert_eq!(rows(&open(dir.path())).expect("read").len(), 2);
}
