//! The log store on RocksDB, for whoever wants one engine. Snapshots lie beside it, as files.
//!
//! ```text
//! <dir>/LOCK           one process at a time
//! <dir>/ACKNOWLEDGED   what was acknowledged, to notice a loss in the database
//! <dir>/db/            the database
//! <dir>/snapshots/     see `snapshot`
//! ```
//!
//! Every call is one synced batch. The settings that this depends on, and why:
//!
//! - `wal_recovery_mode = TolerateCorruptedTailRecords`. The default, point in time, drops all
//!   after the first bad record without a word, synced records too. `AbsoluteConsistency` refuses
//!   every log whose last record is torn, which after a power cut is usual and no loss. This mode
//!   drops a record that the end of the file cuts, and refuses one with a wrong checksum. It takes
//!   a wrong *length* near the end of the file for a cut; that is what `ACKNOWLEDGED` is for.
//!   With each of the 403 bytes of a small log flipped in turn and that file removed, point in
//!   time lost something silently 403 times, this mode 4 times; with the file, never.
//! - `recycle_log_file_num = 0`. In a recycled file the remains of older records make a damaged
//!   record look like the end.
//! - `track_and_verify_wals_in_manifest`. A log file that is missing or too short, other than the
//!   last, is an error.
//! - `paranoid_checks`, and the checksums of all that is read, stay on.
//!
//! It deliberately does not know what a command means, nor what Raft makes of a loss.

mod acknowledged;
mod format;
mod shape;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_core::event::Write;
use raft_core::port::{
    LogStore, LogUsage, Manifest, PortError, PortErrorKind, SnapshotReceiver, SnapshotSink,
    SnapshotSource,
};
use raft_core::types::{GroupId, Incarnation, Index, Position};
use raft_core::{Entry, HardState, Recovered, SnapshotMeta};
use rocksdb::{DB, DBRecoveryMode, ErrorKind, Options, ReadOptions, WriteBatch, WriteOptions};

use crate::disk::{OpenDirError, RealDisk};
use crate::snapshot::{SnapshotConfig, SnapshotStore};
use acknowledged::{Acknowledged, Claim};
use format::Kind;
use shape::Shape;

/// The limits of a [`RocksLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksLogConfig {
    /// What is in memory before it is written out as a table.
    pub memtable_bytes: usize,
    /// Of the snapshots.
    pub snapshots: SnapshotConfig,
}

impl Default for RocksLogConfig {
    fn default() -> Self {
        Self {
            memtable_bytes: 64 << 20,
            snapshots: SnapshotConfig::default(),
        }
    }
}

/// Why a [`RocksLog`] can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum RocksLogError {
    /// The directory can't be used.
    #[error(transparent)]
    Dir(#[from] OpenDirError),
    /// What is in it can't be read, or is damaged.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The log of one group in RocksDB.
pub struct RocksLog {
    db: DB,
    group: GroupId,
    snapshots: SnapshotStore,
    incarnation: Incarnation,
    /// What the server was founded with; the snapshot of index 0.
    founding: SnapshotMeta,
    hard_state: HardState,
    shape: Shape,
    acknowledged: Acknowledged,
    /// Whether something acknowledged is not here. Until it is, `acknowledged` stays as it is, so
    /// that a restart in between does not make it forgotten.
    is_lost: bool,
    /// The first error of the disk. From then on every call fails.
    broken: Option<(PortErrorKind, String)>,
}

impl RocksLog {
    /// Opens the log of a group in this directory, which is made if it is missing.
    ///
    /// # Errors
    /// When another process uses it, or what is there can't be read or can't be told from damage.
    pub fn open(dir: &Path, group: GroupId, config: RocksLogConfig) -> Result<Self, RocksLogError> {
        let disk = Arc::new(RealDisk::open(dir)?);
        let acknowledged = Acknowledged::open(&*disk)?;
        let snapshots = SnapshotStore::open(disk, PathBuf::from("snapshots"), config.snapshots)?;
        let db = DB::open(&options(config), dir.join("db")).map_err(failed("open the database"))?;
        let mut log = Self {
            db,
            group,
            snapshots,
            incarnation: Incarnation::UNBOUND,
            founding: SnapshotMeta::default(),
            hard_state: HardState::default(),
            shape: Shape::default(),
            acknowledged,
            is_lost: false,
            broken: None,
        };
        log.load()?;
        Ok(log)
    }

    fn load(&mut self) -> Result<(), PortError> {
        if let Some((incarnation, founding)) =
            self.value(Kind::Founding, format::decode_founding)?
        {
            self.incarnation = incarnation;
            self.founding = founding;
        }
        let hard_state = self.value(Kind::HardState, format::decode_hard_state)?;
        self.hard_state = hard_state.unwrap_or_default();
        let base = self.value(Kind::Base, format::decode_base)?;
        let mut shape = Shape::after(base.unwrap_or_default());
        self.scan(Index(0), Index(u64::MAX), |entry| {
            if entry.index != shape.bounds.last.next() {
                let (index, last) = (entry.index, shape.bounds.last);
                return Err(PortError::damaged(format!(
                    "the log has entry {index} after {last}"
                )));
            }
            shape.push(&entry);
            Ok(Scan::Further)
        })?;
        self.shape = shape;
        let claimed = self.acknowledged.claim;
        // It would look like a new store, and could be founded with another life.
        if self.incarnation == Incarnation::UNBOUND && claimed != Claim::default() {
            return Err(PortError::damaged(
                "the log was written to before, but its founding state is gone",
            ));
        }
        self.is_lost = !claimed.is_met_by(self.hard_state, self.shape.last_position());
        Ok(())
    }

    fn value<T>(
        &self,
        kind: Kind,
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, PortError> {
        let key = format::key(self.group, kind, Index(0));
        let found = self.db.get_pinned(key).map_err(failed("read"))?;
        let Some(value) = found else {
            return Ok(None);
        };
        let damaged = || PortError::damaged(format!("the value of {kind:?} is no such value"));
        decode(&value).map(Some).ok_or_else(damaged)
    }

    /// Gives `each` the entries from one index to another, until it has enough.
    fn scan(
        &self,
        from: Index,
        to: Index,
        mut each: impl FnMut(Entry) -> Result<Scan, PortError>,
    ) -> Result<(), PortError> {
        let mut options = ReadOptions::default();
        // Without the bound, an iterator would walk over what was deleted behind it.
        options.set_iterate_upper_bound(self.entry_key(Index(to.0.saturating_add(1))).to_vec());
        let mut entries = self.db.raw_iterator_opt(options);
        entries.seek(self.entry_key(from));
        while let Some((key, value)) = entries.item() {
            let entry = format::index_of(key).and_then(|index| format::decode_entry(index, value));
            let damaged = || PortError::damaged(format!("the value under {key:?} is no entry"));
            match each(entry.ok_or_else(damaged)?)? {
                Scan::Further => entries.next(),
                Scan::Enough => return Ok(()),
            }
        }
        entries.status().map_err(failed("read the log"))
    }

    fn entry_key(&self, index: Index) -> [u8; format::KEY_BYTES] {
        format::key(self.group, Kind::Entry, index)
    }

    fn newest_snapshot(&self) -> SnapshotMeta {
        let newest = self.snapshots.newest();
        newest.map_or_else(|| self.founding.clone(), |meta| SnapshotMeta::clone(&meta))
    }

    fn check_broken(&self) -> Result<(), PortError> {
        match &self.broken {
            None => Ok(()),
            Some((kind, first)) => Err(PortError {
                kind: *kind,
                context: format!("the log stopped at an earlier error: {first}"),
                source: None,
            }),
        }
    }

    /// Whether anything is durable after an error is unknown, so it is the last.
    fn latch<T>(&mut self, result: Result<T, PortError>) -> Result<T, PortError> {
        if let Err(error) = &result {
            self.broken = Some((error.kind, error.to_string()));
        }
        result
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), PortError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(failed("write"))
    }

    /// Nothing is written if it is refused.
    fn check(&self, writes: &[Write]) -> Result<(), PortError> {
        let mut bounds = self.shape.bounds;
        for write in writes {
            if let Some(meta) = &write.reset {
                let metas = self.snapshots.metas();
                if !metas.iter().any(|known| known.last == meta.last) {
                    return Err(PortError::misused(format!(
                        "a reset to the snapshot {}, which is not here",
                        meta.last
                    )));
                }
            }
            bounds = bounds.after(write)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, writes: &[Write]) -> Result<(), PortError> {
        if !self.is_lost {
            let kept = self.kept(writes)?;
            self.acknowledged.lower(kept)?;
        }
        let mut batch = WriteBatch::default();
        let mut shape = std::mem::take(&mut self.shape);
        for write in writes {
            self.add(write, &mut batch, &mut shape);
        }
        self.shape = shape;
        self.commit(batch)?;
        let mut hard_states = writes.iter().filter_map(|write| write.hard_state);
        self.hard_state = hard_states.next_back().unwrap_or(self.hard_state);
        let present = self.present();
        let claimed = self.acknowledged.claim;
        self.is_lost &= !claimed.is_met_by(present.hard_state, present.last);
        if !self.is_lost {
            self.acknowledged.raise(present)?;
        }
        Ok(())
    }

    /// The last of the present entries that the writes leave in their place.
    fn kept(&self, writes: &[Write]) -> Result<Position, PortError> {
        let mut bounds = self.shape.bounds;
        let mut lowest = bounds.last;
        for write in writes {
            bounds = bounds.after(write)?;
            let appended = write.entries.len() as u64;
            lowest = lowest.min(Index(bounds.last.0 - appended));
        }
        Ok(Position::new(self.shape.term_of(lowest), lowest))
    }

    fn add(&self, write: &Write, batch: &mut WriteBatch, shape: &mut Shape) {
        if let Some(meta) = &write.reset {
            batch.delete_range(self.entry_key(Index(0)), self.entry_key(Index(u64::MAX)));
            batch.put(self.key(Kind::Base), format::encode_base(meta.last));
            *shape = Shape::after(meta.last);
        }
        if let Some(hard_state) = write.hard_state {
            let value = format::encode_hard_state(hard_state);
            batch.put(self.key(Kind::HardState), value);
        }
        if let Some(from) = write.truncate {
            // A range of nothing would still cost every read a look at it.
            if from <= shape.bounds.last {
                batch.delete_range(self.entry_key(from), self.entry_key(Index(u64::MAX)));
            }
            shape.truncate(from);
        }
        let mut value = Vec::new();
        for entry in &write.entries {
            value.clear();
            format::encode_entry(entry, &mut value);
            batch.put(self.entry_key(entry.index), &value);
            shape.push(entry);
        }
    }

    fn key(&self, kind: Kind) -> [u8; format::KEY_BYTES] {
        format::key(self.group, kind, Index(0))
    }

    /// What can be relied on now.
    fn present(&self) -> Claim {
        Claim {
            hard_state: self.hard_state,
            last: self.shape.last_position(),
        }
    }

    fn drop_prefix(&mut self, up_to: Index) -> Result<(), PortError> {
        let base = Position::new(self.shape.term_of(up_to), up_to);
        let mut batch = WriteBatch::default();
        batch.delete_range(self.entry_key(Index(0)), self.entry_key(up_to.next()));
        batch.put(self.key(Kind::Base), format::encode_base(base));
        self.commit(batch)?;
        self.shape.purge(up_to);
        Ok(())
    }
}

/// Whether a scan goes on.
enum Scan {
    Further,
    Enough,
}

impl LogStore for RocksLog {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        self.check_broken()?;
        let shape = &self.shape;
        // What was acknowledged beyond what is here, or beside it.
        let relied_on = if self.is_lost {
            self.acknowledged.claim
        } else {
            self.present()
        };
        Ok(Recovered {
            incarnation: self.incarnation,
            hard_state: self.hard_state,
            snapshot: self.newest_snapshot(),
            base: shape.bounds.base,
            terms: shape.terms.iter().copied().collect(),
            last: shape.bounds.last,
            memberships: shape.memberships.iter().cloned().collect(),
            applied: Index(0),
            watermark: relied_on.watermark(),
            lost: self.is_lost,
        })
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        self.check_broken()?;
        if self.incarnation != Incarnation::UNBOUND {
            return Err(PortError::misused("the log is founded already"));
        }
        let mut batch = WriteBatch::default();
        batch.put(self.key(Kind::Founding), format::encode_founding(founding));
        let done = self.commit(batch);
        self.latch(done)?;
        self.incarnation = founding.incarnation;
        self.founding = founding.snapshot.clone();
        Ok(())
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        self.check_broken()?;
        self.check(writes)?;
        let done = self.carry_out(writes);
        self.latch(done)
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        self.check_broken()?;
        let bounds = self.shape.bounds;
        let to = to.min(bounds.last);
        let mut entries = Vec::new();
        if from <= bounds.base.index || from > to {
            return Ok(entries);
        }
        let mut bytes = 0;
        let mut next = from;
        let mut complete = Scan::Further;
        self.scan(from, to, |entry| {
            if entry.index != next {
                return Err(PortError::damaged(format!("entry {next} is not there")));
            }
            bytes += entry.weight();
            if bytes > bytes_max && !entries.is_empty() {
                complete = Scan::Enough;
                return Ok(Scan::Enough);
            }
            next = entry.index.next();
            entries.push(entry);
            Ok(Scan::Further)
        })?;
        match complete {
            Scan::Further if next <= to => {
                Err(PortError::damaged(format!("entry {next} is not there")))
            }
            Scan::Further | Scan::Enough => Ok(entries),
        }
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        self.check_broken()?;
        let covered = self.newest_snapshot().last.index;
        if up_to > covered {
            return Err(PortError::misused(format!(
                "a purge up to {up_to}, but the snapshot ends at {covered}"
            )));
        }
        let pinned = self.snapshots.pinned();
        let up_to = pinned.map_or(up_to, |last| up_to.min(last));
        let up_to = up_to.min(self.shape.bounds.last);
        if up_to <= self.shape.bounds.base.index {
            return Ok(());
        }
        let done = self.drop_prefix(up_to);
        self.latch(done)
    }

    fn usage(&self) -> LogUsage {
        self.shape.usage()
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        self.check_broken()?;
        self.snapshots.create(meta)
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        self.check_broken()?;
        self.snapshots.open_newest()
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        self.check_broken()?;
        self.snapshots.set_aside(last)
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        self.check_broken()?;
        self.snapshots.receive(manifest)
    }
}

/// See the header of this file.
fn options(config: RocksLogConfig) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_recycle_log_file_num(0);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_write_buffer_size(config.memtable_bytes);
    options.set_max_open_files(-1);
    // RocksDB's own diary; its default keeps a thousand.
    options.set_keep_log_file_num(4);
    options
}

fn failed(what: &'static str) -> impl Fn(rocksdb::Error) -> PortError {
    move |error| {
        let kind = if error.kind() == ErrorKind::Corruption {
            PortErrorKind::Damaged
        } else if error.as_ref().contains("No space left") {
            // RocksDB has no kind of its own for it.
            PortErrorKind::Full
        } else {
            PortErrorKind::Broken
        };
        PortError {
            kind,
            context: format!("{what}: RocksDB"),
            source: Some(std::io::Error::other(error)),
        }
    }
}
