//! Changing keys. What is refused was refused before: see `txn`.

use bytes::Bytes;
use raft_core::port::PortError;

use super::damaged;
use super::execution::Execution;
use crate::engine::{Direction, Family, View};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{DeleteRequest, PutRequest};
use crate::response::DeleteResponse;
use crate::rows::{self, Changed, Record};
use crate::types::{Event, EventKind, KeyValue, LeaseId, Revision};

/// Where the changes of a command stand: all in one revision, each at its place.
pub(super) struct Place {
    revision: Revision,
    next: u32,
}

impl Place {
    /// Of the next revision.
    pub(super) const fn after(revision: Revision) -> Self {
        Self {
            revision: revision.next(),
            next: 0,
        }
    }

    /// Whether something was changed.
    pub(super) const fn is_used(&self) -> bool {
        self.next > 0
    }

    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    fn take(&mut self) -> Bytes {
        let row = rows::revision_key(self.revision, self.next);
        self.next += 1;
        row
    }
}

impl Execution<'_, '_> {
    /// What this state has against a put that is well-formed.
    pub(super) fn check_put(&self, put: &PutRequest) -> Result<Result<(), Refusal>, PortError> {
        let lease = put.lease.unwrap_or_default();
        if lease != LeaseId::NONE {
            let row = self.rows.get(Family::Leases, &rows::lease_key(lease))?;
            if row.is_none() {
                return Ok(Err(Refusal::LeaseNotFound));
            }
        }
        let keeps = put.value.is_none() || put.lease.is_none();
        if keeps && self.rows.get(Family::Keys, &put.key)?.is_none() {
            return Ok(Err(Refusal::KeyNotFound));
        }
        Ok(Ok(()))
    }

    /// Gives a key a value; answers with what was there, if that was asked for.
    pub(super) fn put(
        &mut self,
        put: &PutRequest,
        place: &mut Place,
    ) -> Result<Option<KeyValue>, PortError> {
        let key = &put.key;
        let old_row = self.rows.get(Family::Keys, key)?;
        let old = old_row.clone().map(|row| record(key, row)).transpose()?;
        let kept = old.as_ref();
        let record = Record {
            create: kept.map_or(place.revision, |old| old.create),
            modified: place.revision,
            version: kept.map_or(0, |old| old.version) + 1,
            lease: put.lease.or(kept.map(|old| old.lease)).unwrap_or_default(),
            value: match (&put.value, kept) {
                (Some(value), _) => value.clone(),
                (None, Some(old)) => old.value.clone(),
                (None, None) => Bytes::new(),
            },
        };
        let row = record.encode();
        let old_lease = kept.map_or(LeaseId::NONE, |old| old.lease);
        self.attach(key, old_lease, record.lease);
        let changed = Changed {
            kind: EventKind::Put,
            prev: kept.map_or(Revision::NONE, |old| old.modified),
            key: key.clone(),
        };
        match (old_row, kept) {
            (Some(old_row), Some(old)) => {
                self.state.row_went(Family::Keys, key, &old_row);
                let history = rows::history_key(key, old.modified);
                self.rows.put(Family::History, history, old_row);
            }
            (None, _) | (_, None) => self.state.keys += 1,
        }
        self.state.row_came(Family::Keys, key, &row);
        // A copy: the key is a slice of the command, which it would keep in memory.
        let own_key = Bytes::copy_from_slice(key);
        self.rows.put(Family::Keys, own_key, row);
        self.rows
            .put(Family::Revisions, place.take(), changed.encode());
        let is_prev_wanted = put.wants_prev || self.events.is_some();
        let prev = old
            .filter(|_| is_prev_wanted)
            .map(|old| old.with_key(key.clone()));
        if let Some(events) = &mut self.events {
            events.push(Event {
                kind: EventKind::Put,
                kv: record.with_key(key.clone()),
                prev: prev.clone(),
            });
        }
        Ok(prev.filter(|_| put.wants_prev))
    }

    /// Deletes keys; answers with what was there.
    pub(super) fn delete(
        &mut self,
        delete: &DeleteRequest,
        place: &mut Place,
    ) -> Result<DeleteResponse, PortError> {
        let mut found = Vec::new();
        match &delete.keys {
            Keys::One(key) => {
                let row = self.rows.get(Family::Keys, key)?;
                found.extend(row.map(|row| (key.clone(), row)));
            }
            Keys::In(span) => {
                let mut cursor = self.rows.scan(Family::Keys, span, Direction::Ascending)?;
                while let Some(row) = cursor.to_owned() {
                    found.push(row);
                    cursor.advance()?;
                }
            }
        }
        let mut response = DeleteResponse {
            deleted: found.len() as u64,
            prevs: Vec::new(),
        };
        for (key, row) in found {
            let prev = self.delete_one(&key, row, place)?;
            if delete.wants_prev {
                response.prevs.push(prev);
            }
        }
        Ok(response)
    }

    /// Deletes a key that is there, with this row.
    pub(super) fn delete_one(
        &mut self,
        key: &Bytes,
        row: Bytes,
        place: &mut Place,
    ) -> Result<KeyValue, PortError> {
        let old = record(key, row.clone())?;
        self.attach(key, old.lease, LeaseId::NONE);
        let changed = Changed {
            kind: EventKind::Delete,
            prev: old.modified,
            key: key.clone(),
        };
        self.state.row_went(Family::Keys, key, &row);
        self.state.keys -= 1;
        self.rows.remove(Family::Keys, key.clone());
        let history = rows::history_key(key, old.modified);
        self.rows.put(Family::History, history, row);
        let deletion = rows::history_key(key, place.revision);
        self.rows.put(Family::History, deletion, Bytes::new());
        self.rows
            .put(Family::Revisions, place.take(), changed.encode());
        let prev = old.with_key(key.clone());
        if let Some(events) = &mut self.events {
            events.push(Event {
                kind: EventKind::Delete,
                kv: KeyValue {
                    key: key.clone(),
                    mod_revision: place.revision,
                    ..KeyValue::default()
                },
                prev: Some(prev.clone()),
            });
        }
        Ok(prev)
    }

    /// Moves a key from one lease to another.
    fn attach(&mut self, key: &Bytes, from: LeaseId, to: LeaseId) {
        if from == to {
            return;
        }
        if from != LeaseId::NONE {
            let row = rows::attachment_key(from, key);
            self.state.row_went(Family::Leases, &row, &[]);
            self.rows.remove(Family::Leases, row);
        }
        if to != LeaseId::NONE {
            let row = rows::attachment_key(to, key);
            self.state.row_came(Family::Leases, &row, &[]);
            self.rows.put(Family::Leases, row, Bytes::new());
        }
    }
}

fn record(key: &Bytes, row: Bytes) -> Result<Record, PortError> {
    Record::decode(row).ok_or_else(|| damaged("no record", key))
}
