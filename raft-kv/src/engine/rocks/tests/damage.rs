//! What is damaged is said to be, and errors in the background are final.

use super::*;

#[test]
fn an_error_in_the_background_stops_all_writes() {
    let dir = temporary();
    let engine = open(dir.path());
    engine
        .write(put(1, Family::Keys, "a", "1"))
        .expect("written");
    assert_eq!(engine.health().expect("known").background_errors, 0);
    // A flush finds no place for its table.
    fs::remove_dir_all(dir.path().join("db.1")).expect("removed");
    let large = "v".repeat(4 << 10);
    let mut applied = 1;
    let first = loop {
        applied += 1;
        // It ends: when much is not flushed, a write waits until a flush has ended, or failed.
        if let Err(error) = engine.write(put(applied, Family::Keys, "a", &large)) {
            break error;
        }
    };
    assert_eq!(first.kind, PortErrorKind::Broken);
    assert!(first.to_string().contains("No such file"), "{first}");
    for _ in 0..2 {
        let again = engine.write(Batch::new(Index(applied)));
        let again = again.expect_err("it is final");
        assert!(again.to_string().contains("No such file"), "{again}");
    }
    assert!(engine.capture().is_err());
    assert!(engine.health().expect("known").background_errors > 0);
    assert_eq!(engine.durable(), Index(0));
}

#[test]
fn a_damaged_table_is_never_read_as_something_else() {
    let dir = temporary();
    let engine = open(dir.path());
    let mut model = Model::new(8);
    for _ in 0..20 {
        engine.write(model.next()).expect("written");
    }
    drop(engine);
    let database = dir.path().join("db.1");
    let names = names(&database).into_iter();
    let tables: Vec<_> = names.filter(|name| name.ends_with(".sst")).collect();
    assert!(tables.len() >= 3, "{tables:?}");
    let mut damaged = 0;
    for name in &tables {
        let path = database.join(name);
        let good = fs::read(&path).expect("read");
        for part in 0..6 {
            let mut bad = good.clone();
            bad[part * good.len() / 6] ^= 0x40;
            fs::write(&path, bad).expect("written");
            let image = temporary();
            copy(dir.path(), image.path());
            let engine = match RocksEngine::open(image.path(), SMALL) {
                Ok(engine) => engine,
                Err(RocksEngineError::Store(error)) => {
                    assert_eq!(error.kind, PortErrorKind::Damaged, "{error}");
                    damaged += 1;
                    continue;
                }
                Err(RocksEngineError::Locked { path, .. }) => panic!("{path} is locked"),
            };
            match rows(&engine) {
                // Not all bytes of a table matter.
                Ok(rows) => assert_eq!(rows, *model.now()),
                Err(error) => {
                    assert_eq!(error.kind, PortErrorKind::Damaged, "{error}");
                    damaged += 1;
                }
            }
        }
        fs::write(&path, good).expect("written");
    }
    assert!(damaged > tables.len() * 3, "{damaged}");
}

#[test]
fn which_database_is_live_is_never_guessed() {
    let check = |change: &dyn Fn(&Path), expected: Result<u64, PortErrorKind>| {
        let dir = temporary();
        let engine = open(dir.path());
        engine
            .write(put(6, Family::Keys, "a", "1"))
            .expect("written");
        drop(engine);
        change(dir.path());
        let found = match RocksEngine::open(dir.path(), SMALL) {
            Ok(engine) => Ok(engine.durable().0),
            Err(RocksEngineError::Store(error)) => Err(error.kind),
            Err(RocksEngineError::Locked { path, .. }) => panic!("{path} is locked"),
        };
        assert_eq!(found, expected);
    };
    let current = |dir: &Path, text: &str| {
        fs::write(dir.join("CURRENT_DB"), text).expect("written");
    };
    check(&|_| (), Ok(6));
    for text in ["", "db.1", "db.01\n", "db.\n", "../db.1\n", "db.1\n\n"] {
        check(&|dir| current(dir, text), Err(PortErrorKind::Damaged));
    }
    // A database that is gone is not begun anew.
    check(&|dir| current(dir, "db.2\n"), Err(PortErrorKind::Damaged));
    for gone in ["CURRENT", "MANIFEST", ".sst"] {
        let remove = |dir: &Path| {
            let database = dir.join("db.1");
            let mut names = names(&database).into_iter();
            let name = names.find(|name| name.contains(gone)).expect("it is there");
            fs::remove_file(database.join(name)).expect("removed");
        };
        check(&remove, Err(PortErrorKind::Damaged));
    }
    let unname = |dir: &Path| fs::remove_file(dir.join("CURRENT_DB")).expect("removed");
    // The first one, whose name a crash has kept from being written.
    check(&unname, Ok(6));
    let second = |dir: &Path| {
        unname(dir);
        fs::create_dir(dir.join("db.2")).expect("made");
    };
    check(&second, Err(PortErrorKind::Damaged));
}
