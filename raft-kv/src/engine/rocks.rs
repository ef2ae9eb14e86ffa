//! The engine on RocksDB: rows on a disk, as many as fit there.
//!
//! ```text
//! <dir>/LOCK          one process at a time
//! <dir>/CURRENT_DB    which database is the live one
//! <dir>/db.<n>/       a database: a column family for each `Family`, and one row of its own
//! <dir>/db.<n>.tmp/   one that is being made; gone at the next start
//! <dir>/capture.<n>/  one that a snapshot holds fast; gone at the next start
//! ```
//!
//! RocksDB's own log is off, since the log of Raft is there already. So what is durable is what was
//! flushed, and it is all or nothing: an atomic flush writes the rows of all families out as of one
//! moment, and with them the row that says up to which entry they are (`tables`). When the rows are
//! flushed is up to `flush` alone, so that it is known which entry that was.
//!
//! It deliberately does not know what a row means, nor how the log is replayed.

mod captured;
mod cause;
mod flush;
mod home;
mod install;
mod tables;
#[cfg(test)]
mod tests;
mod view;

#[cfg(test)]
pub(crate) use tests::crashed;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use raft_core::Index;
use raft_core::port::{Capture, PortError, SnapshotSource};
use rocksdb::Cache;

use super::{Batch, Engine, Health, View};
use cause::Latch;
use flush::Flusher;
use home::{Home, Number};
use tables::Tables;
use view::Frozen;

/// The limits of a [`RocksEngine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksEngineConfig {
    /// What is kept in memory of the tables on the disk.
    pub cache_bytes: usize,
    /// Once so much was written since the last flush, the next begins, in the background. It is
    /// also about what has to be replayed after a crash.
    pub flush_bytes: u64,
    /// The same in batches.
    pub flush_batches: u64,
    /// What may be written, while a flush goes on, before writes wait for its end.
    pub unflushed_bytes_max: u64,
}

impl Default for RocksEngineConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            flush_bytes: 32 << 20,
            flush_batches: 1 << 17,
            unflushed_bytes_max: 128 << 20,
        }
    }
}

/// Why a [`RocksEngine`] can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum RocksEngineError {
    /// Another process uses its directory.
    #[error(
        "{path} is in use by another process{holder}: stop that one first, or give this one a \
         directory of its own"
    )]
    Locked {
        /// The directory.
        path: String,
        /// Its process id in words, as far as the file says.
        holder: String,
    },
    /// What is in it can't be read or written, or is damaged.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Keeps the rows in RocksDB.
pub struct RocksEngine {
    // Dropped in this order: the lock outlives what it protects.
    live: RwLock<Arc<Live>>,
    /// Who has it may change the rows, or which database is the live one.
    writer: Mutex<()>,
    config: RocksEngineConfig,
    cache: Cache,
    /// The first error of a write. From then on all fail.
    latch: Arc<Latch>,
    home: Home,
}

/// The database in use.
struct Live {
    number: Number,
    flusher: Flusher,
    tables: Arc<Tables>,
}

impl RocksEngine {
    /// Opens the engine in this directory, which is made if it is missing.
    ///
    /// # Errors
    /// When another process uses it, or what is there can't be read or is damaged.
    pub fn open(dir: &Path, config: RocksEngineConfig) -> Result<Self, RocksEngineError> {
        if config.flush_bytes > config.unflushed_bytes_max {
            let what = "writes would wait for a flush that does not begin: flush_bytes is more \
                        than unflushed_bytes_max";
            return Err(PortError::misused(what).into());
        }
        let home = Home::open(dir)?;
        let cache = Cache::new_lru_cache(config.cache_bytes);
        let number = match home.live()? {
            Some(number) => number,
            None => install::found(&home, &config, &cache)?,
        };
        home.tidy(number)?;
        let latch = Arc::new(Latch::default());
        let tables = Tables::open(home.path(number), &config, &cache)?;
        let live = Live::start(number, tables, config, &latch)?;
        Ok(Self {
            live: RwLock::new(Arc::new(live)),
            writer: Mutex::new(()),
            config,
            cache,
            latch,
            home,
        })
    }

    fn live(&self) -> Arc<Live> {
        // It is only ever replaced as a whole, so a panic can't have left it halfway.
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&live)
    }

    fn writer(&self) -> Result<MutexGuard<'_, ()>, PortError> {
        let writer = self.writer.lock();
        writer.map_err(|_| PortError::misused("an engine whose writer panicked"))
    }
}

impl Live {
    fn start(
        number: Number,
        tables: Tables,
        config: RocksEngineConfig,
        latch: &Arc<Latch>,
    ) -> Result<Self, PortError> {
        let tables = Arc::new(tables);
        let flusher = Flusher::start(Arc::clone(&tables), config, Arc::clone(latch))?;
        Ok(Self {
            number,
            flusher,
            tables,
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), PortError> {
        let rows = self.tables.compose(batch)?;
        let bytes = tables::memory(&rows);
        self.flusher.admit(bytes)?;
        self.tables.write(rows)?;
        self.tables.check_background()?;
        self.flusher.wrote(batch.applied, bytes)
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: Batch) -> Result<(), PortError> {
        let _writer = self.writer()?;
        self.latch.check()?;
        self.latch.watch(self.live().write(&batch))
    }

    fn read(
        &self,
        reader: &mut dyn FnMut(&dyn View) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let live = self.live();
        reader(&Frozen::new(&live.tables))
    }

    fn durable(&self) -> Index {
        self.live().flusher.durable()
    }

    fn flush(&self) -> Result<(), PortError> {
        loop {
            let writer = self.writer()?;
            self.latch.check()?;
            let live = self.live();
            let begun = live.flusher.begin()?;
            // Writes go on meanwhile.
            drop(writer);
            match begun {
                Some(applied) => return live.flusher.wait(applied),
                None => live.flusher.pause(),
            }
        }
    }

    fn capture(&self) -> Result<Capture, PortError> {
        let _writer = self.writer()?;
        self.latch.check()?;
        let live = self.live();
        let captured = live.flusher.capture(self.home.capture())?;
        Ok(Box::new(move |sink| captured.copy(sink)))
    }

    fn restore(&self, source: &dyn SnapshotSource) -> Result<(), PortError> {
        install::restore(self, source, &mut |_| Ok(()))
    }

    fn health(&self) -> Result<Health, PortError> {
        let live = self.live();
        let health = live.tables.health()?;
        Ok(Health {
            is_stalled: health.is_stalled || live.flusher.is_stalled(),
            ..health
        })
    }
}
