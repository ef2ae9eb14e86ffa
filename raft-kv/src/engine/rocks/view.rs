//! The rows as they were at one moment, which is a snapshot of RocksDB. It does not know what a row
//! means.

use bytes::Bytes;
use raft_core::port::PortError;
use rocksdb::{DB, DBPinnableSlice, DBRawIteratorWithThreadMode, ReadOptions};

use super::cause::failed;
use super::tables::Tables;
use crate::engine::{Cursor, Direction, Family, Span, View};

pub(super) struct Frozen<'a> {
    tables: &'a Tables,
    moment: rocksdb::Snapshot<'a>,
    /// Reads at this moment.
    options: ReadOptions,
}

impl<'a> Frozen<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        let moment = tables.db().snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&moment);
        Self {
            tables,
            moment,
            options,
        }
    }
}

fn copied(found: Option<DBPinnableSlice<'_>>) -> Option<Bytes> {
    found.map(|value| Bytes::copy_from_slice(&value))
}

impl View for Frozen<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, PortError> {
        let family = self.tables.family(family);
        let found = self
            .tables
            .db()
            .get_pinned_cf_opt(family, key, &self.options);
        found.map(copied).map_err(failed("read"))
    }

    fn get_many(&self, family: Family, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, PortError> {
        let family = self.tables.family(family);
        let db = self.tables.db();
        let found = db.batched_multi_get_cf_opt(family, keys, true, &self.options);
        let found = found.into_iter().map(|found| found.map(copied));
        found.collect::<Result<_, _>>().map_err(failed("read"))
    }

    fn scan(
        &self,
        family: Family,
        span: &Span,
        direction: Direction,
    ) -> Result<Box<dyn Cursor + '_>, PortError> {
        if span.is_empty() {
            return Ok(Box::new(Nothing));
        }
        let mut options = ReadOptions::default();
        // Without the bounds it would walk over what was deleted outside of them.
        options.set_iterate_lower_bound(&*span.from);
        if let Some(to) = &span.to {
            options.set_iterate_upper_bound(&**to);
        }
        let family = self.tables.family(family);
        let mut rows = self.moment.raw_iterator_cf_opt(family, options);
        match direction {
            Direction::Ascending => rows.seek_to_first(),
            Direction::Descending => rows.seek_to_last(),
        }
        let walk = Walk { rows, direction };
        walk.check()?;
        Ok(Box::new(walk))
    }
}

struct Walk<'a> {
    rows: DBRawIteratorWithThreadMode<'a, DB>,
    direction: Direction,
}

impl Walk<'_> {
    /// It also ends where it can't read on.
    fn check(&self) -> Result<(), PortError> {
        if self.rows.valid() {
            return Ok(());
        }
        self.rows.status().map_err(failed("read on"))
    }
}

impl Cursor for Walk<'_> {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        self.rows.item()
    }

    fn to_owned(&self) -> Option<(Bytes, Bytes)> {
        let (key, value) = self.rows.item()?;
        Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
    }

    fn advance(&mut self) -> Result<(), PortError> {
        if !self.rows.valid() {
            return Ok(());
        }
        match self.direction {
            Direction::Ascending => self.rows.next(),
            Direction::Descending => self.rows.prev(),
        }
        self.check()
    }
}

/// Goes over no rows.
struct Nothing;

impl Cursor for Nothing {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        None
    }

    fn to_owned(&self) -> Option<(Bytes, Bytes)> {
        None
    }

    fn advance(&mut self) -> Result<(), PortError> {
        Ok(())
    }
}
