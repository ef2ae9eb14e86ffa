//! One database of RocksDB: its settings, and how rows and batches lie in it.
//!
//! Every family is a column family. The row under [`APPLIED`] in the default column family is the
//! engine's own, and part of every batch. The settings that the promises depend on, and why:
//!
//! - No log. So nothing is durable before a flush.
//! - `atomic_flush`. A flush writes the families out as of one moment, all or none.
//! - No flush but those that are asked for: a memtable may become larger than `flush` ever lets it,
//!   there is no limit over all of them, and no recovery from errors in the background, which would
//!   flush. So the moment of each flush is known.
//! - `paranoid_checks`, and the checksums of all that is read, stay on.
//!
//! It does not know when to flush.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use raft_core::Index;
use raft_core::port::PortError;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::properties::{self as property, PropName};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, DataBlockIndexType, ErrorKind,
    FlushOptions, Options, WriteBatch, WriteOptions,
};

use super::RocksEngineConfig;
use super::cause::{Diary, failed};
use super::home;
use crate::engine::{Batch, Family, Health, Span};

/// Under this key lies [`Batch::applied`] of the last batch, little-endian.
const APPLIED: &[u8] = b"applied";
/// The column family that RocksDB always has.
const DEFAULT: &str = "default";
/// What a row takes in a memtable beside its bytes, at most about.
const ROW_BYTES: usize = 64;
/// How many flushes may be unfinished: the one that goes on, that of a capture, and what is being
/// written to; RocksDB slows writes down two before this.
const MEMTABLES_MAX: i32 = 6;
/// Tables that may wait for their first compaction before RocksDB slows writes down, and stops
/// them. Filters spare lookups most of them, and what this costs scans is less than a stall.
const LEVEL_0_SLOW: i32 = 40;
const LEVEL_0_STOP: i32 = 60;
/// Of the filters: a lookup in vain reads a block in one of a hundred cases.
const FILTER_BITS_A_KEY: f64 = 10.0;
/// Of a filter in memory, to what its memtable may hold, which is never near full.
const MEMTABLE_FILTER_RATIO: f64 = 0.005;

pub(super) struct Tables {
    db: DB,
    diary: Diary,
    // Behind the database: its files go when it is closed.
    place: Place,
}

struct Place {
    path: PathBuf,
    is_replaced: AtomicBool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if *self.is_replaced.get_mut()
            && let Err(error) = home::remove(&self.path)
        {
            tracing::warn!("the database before stays until the next start: {error}");
        }
    }
}

/// What a batch takes in memory, about.
pub(super) fn memory(rows: &WriteBatch) -> u64 {
    (rows.size_in_bytes() + rows.len() * ROW_BYTES) as u64
}

impl Tables {
    /// Makes an empty database, durably.
    pub(super) fn create(
        path: PathBuf,
        config: &RocksEngineConfig,
        cache: &Cache,
    ) -> Result<(), PortError> {
        let diary = Diary::default();
        let mut options = options(config, &diary)?;
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        DB::open_cf_with_opts(&options, path, families(config, cache))
            .map(drop)
            .map_err(failed("make the database"))
    }

    /// Opens a database that is there.
    pub(super) fn open(
        path: PathBuf,
        config: &RocksEngineConfig,
        cache: &Cache,
    ) -> Result<Self, PortError> {
        let diary = Diary::default();
        let options = options(config, &diary)?;
        let db =
            DB::open_cf_with_opts(&options, &path, families(config, cache)).map_err(unopened)?;
        let place = Place {
            path,
            is_replaced: AtomicBool::new(false),
        };
        Ok(Self { db, diary, place })
    }

    /// Up to which entry the rows are.
    pub(super) fn applied(&self) -> Result<Index, PortError> {
        applied(&self.db)
    }

    pub(super) fn db(&self) -> &DB {
        &self.db
    }

    pub(super) fn family(&self, family: Family) -> &ColumnFamily {
        self.column_family(name(family))
    }

    fn column_family(&self, name: &str) -> &ColumnFamily {
        let found = self.db.cf_handle(name);
        found.expect("a database is opened with all column families, and none is ever dropped")
    }

    /// What RocksDB is to write for a batch.
    pub(super) fn compose(&self, batch: &Batch) -> Result<WriteBatch, PortError> {
        let changes = batch.changes.iter().flat_map(|(_, changes)| changes);
        let bytes = changes.map(|(key, value)| {
            // A kind, a family and two lengths.
            key.len() + value.as_ref().map_or(0, bytes::Bytes::len) + 12
        });
        let mut rows = WriteBatch::with_capacity_bytes(64 + bytes.sum::<usize>());
        rows.put(APPLIED, batch.applied.0.to_le_bytes());
        for (family, span) in &batch.emptied {
            // Whole files in the span could be removed at once. But then readers would miss their
            // rows at an earlier moment, and after a crash so would the replay from an earlier
            // entry; and compaction removes them soon.
            if let Some(to) = self.end(*family, span)? {
                rows.delete_range_cf(self.family(*family), &*span.from, &*to);
            }
        }
        for (family, changes) in &batch.changes {
            let family = self.family(*family);
            for (key, value) in changes {
                match value {
                    Some(value) => rows.put_cf(family, key, value),
                    None => rows.delete_cf(family, key),
                }
            }
        }
        Ok(rows)
    }

    /// A key behind all rows in the span; `None` if it is certain that there are none. RocksDB
    /// knows no span without an end.
    fn end(&self, family: Family, span: &Span) -> Result<Option<Vec<u8>>, PortError> {
        if span.is_empty() {
            return Ok(None);
        }
        if let Some(to) = &span.to {
            return Ok(Some(to.to_vec()));
        }
        let mut rows = self.db.raw_iterator_cf(self.family(family));
        rows.seek_to_last();
        rows.status().map_err(failed("find the last row"))?;
        let last = rows.key().filter(|last| **last >= *span.from);
        Ok(last.map(|last| [last, b"\0"].concat()))
    }

    pub(super) fn write(&self, rows: WriteBatch) -> Result<(), PortError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let written = self.db.write_opt(rows, &options);
        written.map_err(failed("write"))
    }

    /// Begins to write out all that was written so far; what comes later is not in it. The moment
    /// is that of the call: on return, all of it is in memtables that don't change any more.
    /// `false` if RocksDB is too far behind to begin.
    pub(super) fn begin_flush(&self) -> Result<bool, PortError> {
        let mut options = FlushOptions::default();
        options.set_wait(false);
        let names = Family::ALL.map(name).into_iter().chain([DEFAULT]);
        let families: Vec<_> = names.map(|name| self.column_family(name)).collect();
        match self.db.flush_cfs_opt(&families, &options) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TryAgain => Ok(false),
            Err(error) => Err(failed("flush")(error)),
        }
    }

    /// Whether all that [`Tables::begin_flush`] was called for is durable.
    pub(super) fn is_flushed(&self) -> Result<bool, PortError> {
        self.check_background()?;
        Ok(self.sum(property::NUM_IMMUTABLE_MEM_TABLE)? == 0)
    }

    /// Links all that is flushed into a new directory.
    pub(super) fn checkpoint(&self, path: &PathBuf) -> Result<(), PortError> {
        // This size keeps it from a flush of its own.
        Checkpoint::new(&self.db)
            .and_then(|maker| maker.create_checkpoint_with_log_size(path, u64::MAX))
            .map_err(failed("make a checkpoint"))
    }

    /// An error in the background has left the rows behind what was written; so it is as final as
    /// one of a write.
    pub(super) fn check_background(&self) -> Result<(), PortError> {
        match self.one(property::BACKGROUND_ERRORS)? {
            0 => Ok(()),
            errors => Err(self.diary.failed(errors)),
        }
    }

    pub(super) fn health(&self) -> Result<Health, PortError> {
        let on_disk = self.sum(property::LIVE_SST_FILES_SIZE)?;
        let in_memory = self.sum(property::CUR_SIZE_ALL_MEM_TABLES)?;
        let is_stopped = self.one(property::IS_WRITE_STOPPED)? > 0;
        let is_delayed = self.one(property::ACTUAL_DELAYED_WRITE_RATE)? > 0;
        Ok(Health {
            bytes: on_disk + in_memory,
            is_stalled: is_stopped || is_delayed,
            background_errors: self.one(property::BACKGROUND_ERRORS)?,
        })
    }

    /// A property of the whole database.
    fn one(&self, property: &PropName) -> Result<u64, PortError> {
        let found = self.db.property_int_value(property);
        known(found.map_err(failed("ask"))?, property)
    }

    /// A property of all column families together.
    fn sum(&self, property: &PropName) -> Result<u64, PortError> {
        let mut sum = 0;
        for name in Family::ALL.map(name).into_iter().chain([DEFAULT]) {
            let family = self.column_family(name);
            let found = self.db.property_int_value_cf(family, property);
            sum += known(found.map_err(failed("ask"))?, property)?;
        }
        Ok(sum)
    }

    /// Its files are to be removed once nobody uses it.
    pub(super) fn replaced(&self) {
        self.place.is_replaced.store(true, Ordering::Relaxed);
    }
}

/// The settings are ours, so what does not go with them is what is there. And what is not there was
/// named by another file.
fn unopened(error: rocksdb::Error) -> PortError {
    let is_missing = error.as_ref().contains("No such file");
    let is_damage = is_missing || error.kind() == ErrorKind::InvalidArgument;
    let failed = failed("open the database")(error);
    if is_damage {
        PortError::damaged(failed.to_string())
    } else {
        failed
    }
}

/// Up to which entry the rows of a database are that nobody has open, such as a checkpoint.
pub(super) fn applied_at(path: &PathBuf) -> Result<Index, PortError> {
    let mut options = Options::default();
    options.set_info_logger(Diary::default().pen());
    // One row is asked for, so tables need not be opened ahead.
    options.set_max_open_files(20);
    options.set_max_file_opening_threads(1);
    let names = Family::ALL.map(name).into_iter().chain([DEFAULT]);
    let db = DB::open_cf_for_read_only(&options, path, names, false)
        .map_err(failed("open a checkpoint"))?;
    applied(&db)
}

fn applied(db: &DB) -> Result<Index, PortError> {
    let found = db.get_pinned(APPLIED).map_err(failed("read"))?;
    let Some(found) = found else {
        return Ok(Index(0));
    };
    let bytes = (*found).try_into();
    let bytes = bytes.map_err(|_| PortError::damaged("the applied index is no index"))?;
    Ok(Index(u64::from_le_bytes(bytes)))
}

fn known(found: Option<u64>, property: &PropName) -> Result<u64, PortError> {
    found.ok_or_else(|| PortError::misused(format!("RocksDB does not know {property:?}")))
}

const fn name(family: Family) -> &'static str {
    match family {
        Family::Keys => "keys",
        Family::History => "history",
        Family::Revisions => "revisions",
        Family::Leases => "leases",
        Family::Sessions => "sessions",
        Family::Meta => "meta",
    }
}

/// See the header of this file.
fn options(config: &RocksEngineConfig, diary: &Diary) -> Result<Options, PortError> {
    // There is no other way to this one. It also means that errors in the background are final.
    let mut options = Options::default()
        .get_options_from_string("max_bgerror_resume_count=0")
        .map_err(failed("set up"))?;
    set_memtables(&mut options, config);
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(0);
    options.set_paranoid_checks(true);
    // There is one writer, so memtables need not be made for more.
    options.set_allow_concurrent_memtable_write(false);
    options.set_enable_write_thread_adaptive_yield(false);
    // Open tables keep their index and filter in memory, so a lookup reads one block at most.
    options.set_max_open_files(-1);
    // One thread flushes and one compacts. Neither has less priority than others: compaction that
    // falls behind would end in a stall of the writes.
    options.set_max_background_jobs(2);
    // Writes back in small pieces, so that the syncs of Raft's log do not wait for large ones.
    options.set_bytes_per_sync(1 << 20);
    options.set_info_logger(diary.pen());
    // It would write counters to a diary that only takes warnings.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    Ok(options)
}

fn families(
    config: &RocksEngineConfig,
    cache: &Cache,
) -> impl Iterator<Item = (&'static str, Options)> {
    let of_rows = Family::ALL.map(|family| (name(family), family_options(family, config, cache)));
    let own = (DEFAULT, base_options(config, cache));
    of_rows.into_iter().chain([own])
}

fn family_options(family: Family, config: &RocksEngineConfig, cache: &Cache) -> Options {
    let mut options = base_options(config, cache);
    if family == Family::Keys {
        // Every put looks its key up first, and in a memtable without a filter that costs about as
        // much as in all tables with theirs.
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER_RATIO);
        options.set_memtable_whole_key_filtering(true);
    }
    options
}

fn base_options(config: &RocksEngineConfig, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(FILTER_BITS_A_KEY, false);
    table.set_whole_key_filtering(true);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    set_memtables(&mut options, config);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_level_zero_slowdown_writes_trigger(LEVEL_0_SLOW);
    options.set_level_zero_stop_writes_trigger(LEVEL_0_STOP);
    options
}

fn set_memtables(options: &mut Options, config: &RocksEngineConfig) {
    // Twice what `flush` lets together into the memtables of all families: none is ever full.
    let bytes = usize::try_from(config.unflushed_bytes_max.saturating_mul(2));
    options.set_write_buffer_size(bytes.unwrap_or(usize::MAX));
    options.set_max_write_buffer_number(MEMTABLES_MAX);
}
