//! Leases: who holds which, and what is attached. When one expires is not decided here: see
//! `lessor`.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::port::PortError;
use raft_core::{Index, Term};

use super::damaged;
use super::execution::{Execution, LeaseChange};
use super::write::Place;
use crate::engine::{Direction, Family, View};
use crate::refusal::Refusal;
use crate::response::Response;
use crate::rows::{self, Lease};
use crate::types::LeaseId;

/// Nobody waits longer, in seconds; etcd's limit.
pub const LEASE_TTL_S_MAX: u64 = 9_000_000_000;
/// So many leases may there be at once.
const LEASES_MAX: u64 = 10_000_000;

/// A lease, and what is attached to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// As it was granted.
    pub lease: Lease,
    /// The keys that are deleted when it ends, in their order.
    pub keys: Vec<Bytes>,
}

/// A lease, if there is one of this name.
///
/// # Errors
/// When it can't be read.
pub fn lease_view(view: &dyn View, id: LeaseId) -> Result<Option<LeaseView>, PortError> {
    let key = rows::lease_key(id);
    let Some(row) = view.get(Family::Leases, &key)? else {
        return Ok(None);
    };
    let lease = Lease::decode(&row).ok_or_else(|| damaged("no lease", &key))?;
    let keys = attached(view, id)?;
    Ok(Some(LeaseView { lease, keys }))
}

/// All leases.
///
/// # Errors
/// When they can't be read.
pub fn leases(view: &dyn View) -> Result<Vec<(LeaseId, Lease)>, PortError> {
    let mut leases = Vec::new();
    let mut cursor = view.scan(Family::Leases, &rows::leases_span(), Direction::Ascending)?;
    while let Some((key, row)) = cursor.row() {
        let lease = rows::split_lease_key(key).zip(Lease::decode(row));
        leases.push(lease.ok_or_else(|| damaged("no lease", key))?);
        cursor.advance()?;
    }
    Ok(leases)
}

/// The keys that are attached to a lease, in their order.
pub(super) fn attached(view: &dyn View, id: LeaseId) -> Result<Vec<Bytes>, PortError> {
    let mut keys = Vec::new();
    let span = rows::attachments_span(id);
    let mut cursor = view.scan(Family::Leases, &span, Direction::Ascending)?;
    while let Some((row, _)) = cursor.to_owned() {
        keys.extend(rows::attached_key(&row));
        cursor.advance()?;
    }
    Ok(keys)
}

impl Execution<'_, '_> {
    pub(super) fn grant(
        &mut self,
        id: LeaseId,
        ttl_s: u64,
    ) -> Result<Result<Response, Refusal>, PortError> {
        if ttl_s > LEASE_TTL_S_MAX {
            return Ok(Err(Refusal::LeaseTtlTooLarge));
        }
        if self.state.leases >= LEASES_MAX {
            return Ok(Err(Refusal::TooManyLeases));
        }
        let id = match id {
            LeaseId::NONE => self.free_lease()?,
            id if self.has_lease(id)? => return Ok(Err(Refusal::LeaseExists)),
            id => id,
        };
        let lease = Lease {
            ttl_s,
            granted: self.state.applied,
        };
        let (key, row) = (rows::lease_key(id), lease.encode());
        self.state.row_came(Family::Leases, &key, &row);
        self.rows.put(Family::Leases, key, row);
        self.state.leases += 1;
        self.leases.push(LeaseChange::Granted { id, ttl_s });
        Ok(Ok(Response::Granted(id)))
    }

    fn has_lease(&self, id: LeaseId) -> Result<bool, PortError> {
        let row = self.rows.get(Family::Leases, &rows::lease_key(id))?;
        Ok(row.is_some())
    }

    /// A name that no lease has. It follows from the place in the log, so that it is the same on
    /// all members; it is strewn, so that it is unlikely to meet one that a client has chosen.
    fn free_lease(&self) -> Result<LeaseId, PortError> {
        let mut number = self.state.applied.0;
        loop {
            number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let strewn = (number ^ (number >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let id = LeaseId(i64::try_from(strewn >> 1).unwrap_or(i64::MAX));
            if id != LeaseId::NONE && !self.has_lease(id)? {
                return Ok(id);
            }
        }
    }

    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<Result<Response, Refusal>, PortError> {
        if !self.has_lease(id)? {
            return Ok(Err(Refusal::LeaseNotFound));
        }
        self.end(&[id], self.state.applied)?;
        Ok(Ok(Response::Done))
    }

    /// A leader that was deposed while it slept judged by keep-alives that went to another one. So
    /// its judgement counts only in an entry of its own term; and only for leases it knew, not for
    /// one that has the same name since.
    pub(super) fn expire(
        &mut self,
        entry: Term,
        judged: Term,
        known: Index,
        ids: &[LeaseId],
    ) -> Result<Response, PortError> {
        if entry != judged {
            return Ok(Response::Expired(0));
        }
        let ended = self.end(ids, known)?;
        Ok(Response::Expired(ended))
    }

    /// Ends those of these leases that were granted up to an entry, and deletes what is attached to
    /// them, in one revision and in the order of the keys.
    fn end(&mut self, ids: &[LeaseId], known: Index) -> Result<u64, PortError> {
        let (mut ended, mut doomed) = (0, BTreeMap::new());
        for id in ids {
            let key = rows::lease_key(*id);
            let Some(row) = self.rows.get(Family::Leases, &key)? else {
                continue;
            };
            let lease = Lease::decode(&row).ok_or_else(|| damaged("no lease", &key))?;
            if lease.granted > known {
                continue;
            }
            for attached in attached(&*self.rows, *id)? {
                let present = self.rows.get(Family::Keys, &attached)?;
                let row = present.ok_or_else(|| damaged("nothing, but a lease", &attached))?;
                doomed.insert(attached, row);
            }
            self.state.row_went(Family::Leases, &key, &row);
            self.rows.remove(Family::Leases, key);
            self.state.leases -= 1;
            self.leases.push(LeaseChange::Ended(*id));
            ended += 1;
        }
        let mut place = Place::after(self.state.revision);
        for (key, row) in doomed {
            self.delete_one(&key, row, &mut place)?;
        }
        self.finish(&place);
        Ok(ended)
    }
}
