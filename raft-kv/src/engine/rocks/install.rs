//! How a database comes to be the live one: a new one, or that of a snapshot.
//!
//! It is made beside the live one, made durable, and only then named. So a crash leaves the one or
//! the other, each complete. This file does not know how a database is read.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use raft_core::port::{PortError, SnapshotFile, SnapshotSource};
use rocksdb::Cache;

use super::captured::PREFIX;
use super::home::{self, Home, Number};
use super::tables::Tables;
use super::{Live, RocksEngine, RocksEngineConfig};

/// How far an installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One more file is there.
    Copied,
    /// All files are durable, and the directory has its name.
    Finished,
    /// The database was opened, and is a good one.
    Opened,
    /// It is the live one at the next start.
    Named,
    /// It is the live one now.
    Live,
}

/// The first, empty database.
pub(super) fn found(
    home: &Home,
    config: &RocksEngineConfig,
    cache: &Cache,
) -> Result<Number, PortError> {
    let number = Number::FIRST;
    Tables::create(home.make_unfinished(number)?, config, cache)?;
    home.make_finished(number)?;
    home.make_live(number)?;
    Ok(number)
}

/// Replaces the rows by those of a snapshot. `at` is told about each step, and may end it there.
pub(super) fn restore(
    engine: &RocksEngine,
    source: &dyn SnapshotSource,
    at: &mut dyn FnMut(Step) -> Result<(), PortError>,
) -> Result<(), PortError> {
    let _writer = engine.writer()?;
    engine.latch.check()?;
    let (home, config) = (&engine.home, engine.config);
    let before = engine.live();
    let number = before.number.next();
    copy(source, &home.make_unfinished(number)?, at)?;
    let path = home.make_finished(number)?;
    at(Step::Finished)?;
    let tables = Tables::open(path, &config, &engine.cache)?;
    let live = Live::start(number, tables, config, &engine.latch)?;
    at(Step::Opened)?;
    // Which of the two is live after an error here would be unknown, so it is the last.
    engine.latch.watch(home.make_live(number))?;
    at(Step::Named)?;
    let mut present = engine.live.write().unwrap_or_else(PoisonError::into_inner);
    *present = Arc::new(live);
    drop(present);
    // Whoever still reads it goes on; it is removed with the last of them.
    before.tables.replaced();
    at(Step::Live)
}

fn copy(
    source: &dyn SnapshotSource,
    path: &Path,
    at: &mut dyn FnMut(Step) -> Result<(), PortError>,
) -> Result<(), PortError> {
    let mut copied = 0_u32;
    for file in &source.manifest().files {
        let Some(name) = file.name.strip_prefix(PREFIX) else {
            continue;
        };
        // Such a name leads nowhere else, whoever wrote the manifest.
        if !SnapshotFile::is_name(&file.name) {
            let what = format!("{:?} is no name for a file of a snapshot", file.name);
            return Err(PortError::damaged(what));
        }
        let path = path.join(name);
        let failed = home::failed("write", &path);
        let mut to = BufWriter::new(File::create_new(&path).map_err(&failed)?);
        source.copy(&file.name, &mut to)?;
        let written = to.into_inner().map_err(std::io::IntoInnerError::into_error);
        let synced = written.and_then(|file| file.sync_all());
        synced.map_err(&failed)?;
        copied += 1;
        at(Step::Copied)?;
    }
    match copied {
        0 => Err(PortError::damaged("the snapshot has no files of an engine")),
        1.. => Ok(()),
    }
}
