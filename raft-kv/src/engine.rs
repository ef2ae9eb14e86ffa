//! The seam between the data model and what keeps its rows.
//!
//! A row is bytes under bytes, in one of a few families. An engine keeps the rows of each family in
//! the order of their keys, takes changes in atomic batches, shows consistent views, and can hold
//! its state fast for a snapshot. It does not know what a row means: `rows` does.

mod batch;
mod memory;
mod merged;
#[cfg(feature = "rocksdb")]
mod rocks;
mod span;
pub(crate) mod stream;

pub use batch::{Batch, Change};
pub use memory::MemoryEngine;
pub(crate) use merged::Merged;
#[cfg(all(test, feature = "rocksdb"))]
pub(crate) use rocks::crashed;
#[cfg(feature = "rocksdb")]
pub use rocks::{RocksEngine, RocksEngineConfig, RocksEngineError};
pub use span::Span;

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::{Capture, PortError, SnapshotSource};

/// What kind of rows: each kind has an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The present record of each key.
    Keys,
    /// The records that were replaced, and deletions: by key, then revision.
    History,
    /// What each revision changed: by revision, then place in the transaction.
    Revisions,
    /// Leases, and what is attached to them.
    Leases,
    /// The sessions of clients.
    Sessions,
    /// All that there is one of.
    Meta,
}

impl Family {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Keys,
        Self::History,
        Self::Revisions,
        Self::Leases,
        Self::Sessions,
        Self::Meta,
    ];
}

/// In which order rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least key first.
    Ascending,
    /// The greatest key first.
    Descending,
}

/// Goes over rows. It stands at one row at a time, at the first one from the start.
pub trait Cursor {
    /// The key and the value of the row that it stands at; `None` behind the last.
    fn row(&self) -> Option<(&[u8], &[u8])>;

    /// The same, to be kept. Engines that share their bytes do not copy here.
    fn to_owned(&self) -> Option<(Bytes, Bytes)>;

    /// Goes on to the next row.
    ///
    /// # Errors
    /// When it can't be read.
    fn advance(&mut self) -> Result<(), PortError>;
}

/// All rows as they were at one moment.
pub trait View {
    /// The value under a key.
    ///
    /// # Errors
    /// When it can't be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, PortError>;

    /// The values under keys, which ascend; for engines that can do this faster than one by one.
    ///
    /// # Errors
    /// When they can't be read.
    fn get_many(&self, family: Family, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, PortError> {
        keys.iter().map(|key| self.get(family, key)).collect()
    }

    /// The rows whose keys lie in the span.
    ///
    /// # Errors
    /// When they can't be read.
    fn scan(
        &self,
        family: Family,
        span: &Span,
        direction: Direction,
    ) -> Result<Box<dyn Cursor + '_>, PortError>;
}

/// How an engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What the rows take, on the disk or in memory, about.
    pub bytes: u64,
    /// Whether it has stopped to take changes for now, because its background work is behind.
    pub is_stalled: bool,
    /// How many errors its background work has met. With one, nothing more should be trusted to it.
    pub background_errors: u64,
}

/// Keeps the rows.
///
/// One caller at a time changes them; readers do not wait for it.
pub trait Engine: Send + Sync {
    /// Makes the changes of a batch, all or none, visible to all views from now on. They need not
    /// be durable.
    ///
    /// # Errors
    /// When they can't be made. It is final: no further batch is taken.
    fn write(&self, batch: Batch) -> Result<(), PortError>;

    /// Lets `reader` read at one moment.
    ///
    /// # Errors
    /// What the reader met.
    fn read(
        &self,
        reader: &mut dyn FnMut(&dyn View) -> Result<(), PortError>,
    ) -> Result<(), PortError>;

    /// All batches up to the one with this [`Batch::applied`] outlive a power cut. 0 if there is
    /// nothing that does.
    fn durable(&self) -> Index;

    /// Makes all batches so far durable, if any ever are. Takes its time.
    ///
    /// # Errors
    /// When durability is not certain.
    fn flush(&self) -> Result<(), PortError>;

    /// Holds the present rows fast, for a snapshot. Quick: what takes long is in the capture.
    ///
    /// # Errors
    /// When it can't be done.
    fn capture(&self) -> Result<Capture, PortError>;

    /// Replaces all rows by those of a snapshot that such an engine has captured. Files of other
    /// owners may lie among those of the snapshot.
    ///
    /// # Errors
    /// When the snapshot can't be read. What the rows are then is not defined until one is.
    fn restore(&self, source: &dyn SnapshotSource) -> Result<(), PortError>;

    /// How it is.
    ///
    /// # Errors
    /// When it can't tell.
    fn health(&self) -> Result<Health, PortError>;
}

/// Reads something at one moment.
///
/// # Errors
/// What the reader met.
pub fn read<T>(
    engine: &dyn Engine,
    reader: impl FnOnce(&dyn View) -> Result<T, PortError>,
) -> Result<T, PortError> {
    let (mut reader, mut found) = (Some(reader), None);
    engine.read(&mut |view| {
        if let Some(reader) = reader.take() {
            found = Some(reader(view)?);
        }
        Ok(())
    })?;
    found.ok_or_else(|| PortError::misused("an engine that does not let its reader read"))
}

#[cfg(test)]
mod tests;
