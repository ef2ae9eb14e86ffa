//! Reading keys, now and as they were. It changes nothing.

use bytes::Bytes;
use raft_core::port::PortError;

use super::damaged;
use crate::engine::{Cursor, Direction, Family, Span, View};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{Content, RangeRequest, Sort, SortBy};
use crate::response::RangeResponse;
use crate::rows::{self, Record, State};
use crate::types::{KeyValue, Revision};

/// Whether the state at this revision can be read; [`Revision::NONE`] is now.
///
/// # Errors
/// When it is gone, or not there yet.
pub fn check_revision(state: &State, revision: Revision) -> Result<(), Refusal> {
    if revision > state.revision {
        return Err(Refusal::FutureRevision {
            revision: state.revision,
        });
    }
    if revision != Revision::NONE && revision < state.compacted {
        return Err(Refusal::Compacted {
            compacted: state.compacted,
        });
    }
    Ok(())
}

/// The keys that are asked for.
///
/// # Errors
/// When a row can't be read. What is inside is refused by the state.
pub fn range(
    view: &dyn View,
    state: &State,
    request: &RangeRequest,
) -> Result<Result<RangeResponse, Refusal>, PortError> {
    let found = range_within(view, state, request, usize::MAX)?;
    Ok(found.map(Option::unwrap_or_default))
}

/// The keys that are asked for; nothing if they are longer than `bytes_max` together, which are
/// never in memory at one time then.
///
/// # Errors
/// When a row can't be read. What is inside is refused by the state.
pub fn range_within(
    view: &dyn View,
    state: &State,
    request: &RangeRequest,
    bytes_max: usize,
) -> Result<Result<Option<RangeResponse>, Refusal>, PortError> {
    if let Err(refusal) = check_range(state, request) {
        return Ok(Err(refusal));
    }
    let is_now = request.revision == Revision::NONE || request.revision == state.revision;
    let mut picker = Picker::new(request, bytes_max);
    match &request.keys {
        Keys::One(key) if is_now => {
            if let Some(row) = view.get(Family::Keys, key)? {
                picker.offer(key, &row, || (key.clone(), row.clone()))?;
            }
        }
        Keys::One(key) => {
            if let Some(row) = record_at(view, key, request.revision)? {
                picker.offer(key, &row, || (key.clone(), row.clone()))?;
            }
        }
        Keys::In(span) if is_now => present(view, state, span, &mut picker)?,
        Keys::In(span) => past(view, span, request.revision, &mut |key, row, owned| {
            picker.offer(key, row, owned)
        })?,
    }
    Ok(Ok(picker.finish()))
}

/// What is wrong with a request in itself, or in this state.
pub(super) fn check_range(state: &State, request: &RangeRequest) -> Result<(), Refusal> {
    if matches!(&request.keys, Keys::One(key) if key.is_empty()) {
        return Err(Refusal::EmptyKey);
    }
    check_revision(state, request.revision)
}

/// All keys of a span as they are.
fn present(
    view: &dyn View,
    state: &State,
    span: &Span,
    picker: &mut Picker<'_>,
) -> Result<(), PortError> {
    // The least key there can be is one zero byte.
    let is_all = span.to.is_none() && *span.from <= b"\0"[..];
    if is_all && picker.needs_only_count() {
        picker.count = state.keys;
        return Ok(());
    }
    let mut cursor = view.scan(Family::Keys, span, Direction::Ascending)?;
    while let Some((key, row)) = cursor.row() {
        picker.offer(key, row, || cursor.to_owned().unwrap_or_default())?;
        if is_all && picker.is_full() {
            picker.count = state.keys;
            return Ok(());
        }
        cursor.advance()?;
    }
    Ok(())
}

/// Gives `take` all keys as they were after this revision, with their records.
pub(super) fn each_at(
    view: &dyn View,
    revision: Revision,
    take: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), PortError> {
    past(view, &Span::all(), revision, &mut |key, row, _| {
        take(key, row);
        Ok(())
    })
}

/// A key, its record, and both to be kept.
type Take<'a> = dyn FnMut(&[u8], &[u8], &dyn Fn() -> (Bytes, Bytes)) -> Result<(), PortError> + 'a;

/// All keys of a span as they were after this revision.
fn past(
    view: &dyn View,
    span: &Span,
    revision: Revision,
    take: &mut Take<'_>,
) -> Result<(), PortError> {
    let mut keys = view.scan(Family::Keys, span, Direction::Ascending)?;
    let history_span = rows::history_span(span);
    let mut history = History {
        rows: view.scan(Family::History, &history_span, Direction::Ascending)?,
    };
    let mut before = history.next(revision)?;
    loop {
        let present = keys.row().map(|(key, _)| key);
        let is_replaced = match (present, &before) {
            (None, None) => return Ok(()),
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some(present), Some((key, _))) => **key <= *present,
        };
        if is_replaced {
            let Some((key, row)) = before.take() else {
                return Ok(());
            };
            // If the present record is as old as that, it is the one; the history is older.
            let is_same = present == Some(&*key);
            let is_present_old = is_same && is_at_most(keys.row(), revision)?;
            if !row.is_empty() && !is_present_old {
                take(&key, &row, &|| (key.clone(), row.clone()))?;
            }
            if is_same && !is_present_old {
                keys.advance()?;
            }
            before = history.next(revision)?;
            continue;
        }
        if is_at_most(keys.row(), revision)?
            && let Some((key, row)) = keys.row()
        {
            take(key, row, &|| keys.to_owned().unwrap_or_default())?;
        }
        keys.advance()?;
    }
}

/// Whether the record of this row was put in that revision or before.
fn is_at_most(row: Option<(&[u8], &[u8])>, revision: Revision) -> Result<bool, PortError> {
    let Some((key, row)) = row else {
        return Ok(false);
    };
    let modified = Record::modified_of(row).ok_or_else(|| damaged("no record", key))?;
    Ok(modified <= revision)
}

/// Goes over the history of keys.
struct History<'a> {
    rows: Box<dyn Cursor + 'a>,
}

impl History<'_> {
    /// The next key that has a row at most as new as this revision, with the newest of those; it is
    /// empty if that is a deletion.
    fn next(&mut self, revision: Revision) -> Result<Option<(Bytes, Bytes)>, PortError> {
        let mut newest: Option<(Bytes, Bytes)> = None;
        while let Some((row_key, _)) = self.rows.row() {
            let split = rows::split_history_key(row_key);
            let (key, modified) = split.ok_or_else(|| damaged("no history", row_key))?;
            if newest.as_ref().is_some_and(|(newest, _)| *newest != key) {
                return Ok(newest);
            }
            if modified <= revision {
                let (_, row) = self.rows.to_owned().unwrap_or_default();
                newest = Some((key, row));
            }
            self.rows.advance()?;
        }
        Ok(newest)
    }
}

/// The record of a key after this revision.
pub(super) fn record_at(
    view: &dyn View,
    key: &Bytes,
    revision: Revision,
) -> Result<Option<Bytes>, PortError> {
    let present = view.get(Family::Keys, key)?;
    if let Some(row) = &present
        && is_at_most(Some((key, row)), revision)?
    {
        return Ok(present);
    }
    let span = Span::between(
        rows::history_key(key, Revision::NONE),
        rows::history_key(key, revision.next()),
    );
    let newest = view.scan(Family::History, &span, Direction::Descending)?;
    let row = newest.to_owned().map(|(_, row)| row);
    Ok(row.filter(|row| !row.is_empty()))
}

/// Takes what a request asks for out of rows that come in the order of their keys.
struct Picker<'a> {
    request: &'a RangeRequest,
    /// So many are to be collected; one more tells that there are more.
    enough: usize,
    kvs: Vec<KeyValue>,
    count: u64,
    /// How long what is collected may still become; `None` if it has become too long.
    room: Option<usize>,
}

impl<'a> Picker<'a> {
    fn new(request: &'a RangeRequest, bytes_max: usize) -> Self {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        // What is sorted must be collected first.
        let is_limited = limit > 0 && !is_reordered(request.sort);
        Self {
            request,
            enough: if is_limited {
                limit.saturating_add(1)
            } else {
                usize::MAX
            },
            kvs: Vec::new(),
            count: 0,
            room: Some(bytes_max),
        }
    }

    fn needs_only_count(&self) -> bool {
        self.request.content == Content::CountOnly
    }

    /// Whether all that follows would only be counted.
    fn is_full(&self) -> bool {
        self.kvs.len() >= self.enough || self.room.is_none()
    }

    fn offer(
        &mut self,
        key: &[u8],
        row: &[u8],
        owned: impl FnOnce() -> (Bytes, Bytes),
    ) -> Result<(), PortError> {
        self.count += 1;
        if self.needs_only_count() || self.is_full() {
            return Ok(());
        }
        let bounds = (self.request.modified, self.request.created);
        let needs_value = self.request.content == Content::Full
            || self
                .request
                .sort
                .is_some_and(|sort| sort.by == SortBy::Value);
        let (key, row) = if needs_value {
            owned()
        } else {
            let header = row.get(..Record::HEADER_BYTES).unwrap_or(row);
            (Bytes::copy_from_slice(key), Bytes::copy_from_slice(header))
        };
        let record = Record::decode(row).ok_or_else(|| damaged("no record", &key))?;
        if bounds.0.contains(record.modified) && bounds.1.contains(record.create) {
            // What only tells that there are more is in no answer.
            let is_beyond = self.kvs.len() + 1 == self.enough;
            let bytes = key.len() + record.value.len() + Record::HEADER_BYTES;
            let bytes = if is_beyond { 0 } else { bytes };
            self.room = self.room.and_then(|room| room.checked_sub(bytes));
            if self.room.is_none() {
                self.kvs = Vec::new();
                return Ok(());
            }
            self.kvs.push(record.with_key(key));
        }
        Ok(())
    }

    fn finish(mut self) -> Option<RangeResponse> {
        self.room?;
        if let Some(sort) = self.request.sort {
            order(&mut self.kvs, sort);
        }
        let limit = usize::try_from(self.request.limit).unwrap_or(usize::MAX);
        let more = limit > 0 && self.kvs.len() > limit;
        if more {
            self.kvs.truncate(limit);
        }
        if self.request.content == Content::KeysOnly {
            for kv in &mut self.kvs {
                kv.value = Bytes::new();
            }
        }
        Some(RangeResponse {
            kvs: self.kvs,
            count: self.count,
            more,
        })
    }
}

/// Whether this is another order than that of the rows.
fn is_reordered(sort: Option<Sort>) -> bool {
    sort.is_some_and(|sort| sort.by != SortBy::Key || sort.is_descending)
}

/// Sorts what is in the order of its keys; what is alike stays in that order.
fn order(kvs: &mut [KeyValue], sort: Sort) {
    if !is_reordered(Some(sort)) {
        return;
    }
    kvs.sort_by(|one, other| {
        let ascending = match sort.by {
            SortBy::Key => one.key.cmp(&other.key),
            SortBy::Version => one.version.cmp(&other.version),
            SortBy::Create => one.create_revision.cmp(&other.create_revision),
            SortBy::Mod => one.mod_revision.cmp(&other.mod_revision),
            SortBy::Value => one.value.cmp(&other.value),
        };
        if sort.is_descending {
            ascending.reverse()
        } else {
            ascending
        }
    });
}
