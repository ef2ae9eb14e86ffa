//! What a store must answer, so plain that one sees that it is right: a list of all events.
//!
//! Every read walks the list from its beginning, nothing is ever removed from it, and a command
//! that is refused is carried out on a copy that is thrown away. It shares the nouns of requests
//! and answers with the store, and nothing else. It knows neither rows, nor batches, nor engines.

mod form;
mod range;
mod sessions;
mod txn;
mod users;

pub use sessions::{Client, Entry, Sessions};
pub use users::Users;

use bytes::Bytes;
use raft_core::{Index, NodeId, Term};
use raft_kv::command::{Announcement, DigestReport};
use raft_kv::request::{DeleteRequest, Op, PutRequest, TxnRequest};
use raft_kv::response::DeleteResponse;
use raft_kv::rows::Lease;
use raft_kv::{
    AlarmKind, Answer, Command, Event, EventKind, KeyValue, Keys, LeaseId, Refusal, Response,
    Revision,
};

/// etcd's longest time to live, in seconds.
const TTL_S_MAX: u64 = 9_000_000_000;
/// Members may report of their states since this version.
const REPORTS_SINCE: u8 = 2;
/// There may be users since this version.
const USERS_SINCE: u8 = 3;
/// Reports of so many indexes are kept, the latest ones.
const REPORTED_INDEXES_MAX: usize = 8;

/// All that there is to a store.
#[derive(Clone, Debug)]
pub struct Reference {
    /// What happened to keys since the beginning, in its order. The events of one transaction bear
    /// the same revision.
    pub events: Vec<Event>,
    /// That of the last transaction with an effect.
    pub revision: Revision,
    /// What was before it must not be told any more.
    pub compacted: Revision,
    /// The leases, in the order of their grants.
    pub leases: Vec<(LeaseId, Lease)>,
    /// What is wrong, with whom.
    pub alarms: Vec<(NodeId, AlarmKind)>,
    /// What members last said of themselves.
    pub members: Vec<Announcement>,
    /// That of commands.
    pub version: u8,
    /// What they said of their states, in the order of indexes and members.
    pub reports: Vec<DigestReport>,
    /// Who may do what.
    pub users: Users,
    /// The greatest time that a command came with.
    pub time_ms: u64,
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            revision: Revision::FIRST,
            compacted: Revision::NONE,
            leases: Vec::new(),
            alarms: Vec::new(),
            members: Vec::new(),
            reports: Vec::new(),
            version: 1,
            users: Users::default(),
            time_ms: 0,
        }
    }
}

/// Where a command stands, which decides on some of its effects.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its index.
    pub index: Index,
    /// The term of its entry.
    pub term: Term,
    /// The name that the store gave to a lease that the command leaves to it.
    pub chosen: LeaseId,
}

impl Reference {
    /// Carries out a command, whole or not at all.
    pub fn apply(&mut self, place: Place, command: &Command) -> Answer {
        let mut after = self.clone();
        let outcome = after.execute(place, command);
        if outcome.is_ok() {
            if after.events.len() > self.events.len() {
                after.revision = self.revision.next();
            }
            *self = after;
        }
        Answer {
            revision: self.revision,
            outcome,
        }
    }

    fn execute(&mut self, place: Place, command: &Command) -> Result<Response, Refusal> {
        let is_of_users = matches!(command, Command::Auth(_) | Command::Guarded(_));
        if is_of_users && self.version < USERS_SINCE {
            return Err(Refusal::Unsupported);
        }
        self.check_allowed(command)?;
        if let Command::Guarded(guarded) = command {
            return self.carry_out_command(place, &guarded.command);
        }
        self.carry_out_command(place, command)
    }

    fn carry_out_command(&mut self, place: Place, command: &Command) -> Result<Response, Refusal> {
        if self.is_full() && takes_room(command) {
            return Err(Refusal::NoSpace);
        }
        match command {
            Command::Put(put) => self.alone(Op::Put(put.clone())),
            Command::Delete(delete) => self.alone(Op::Delete(delete.clone())),
            Command::Txn(txn) => self.txn(txn).map(Response::Txn),
            Command::Compact(revision) => self.compact(*revision),
            Command::Grant { id, ttl_s } => self.grant(place, *id, *ttl_s),
            Command::Revoke(id) => self.revoke(*id),
            Command::Expire { term, known, ids } => Ok(self.expire(place, *term, *known, ids)),
            Command::Raise(member, kind) => {
                self.raise(*member, *kind);
                Ok(Response::Done)
            }
            Command::Clear(member, kind) => {
                self.alarms.retain(|alarm| *alarm != (*member, *kind));
                Ok(Response::Done)
            }
            Command::Announce(announcement) => {
                self.members
                    .retain(|known| known.member != announcement.member);
                self.members.push(announcement.clone());
                Ok(Response::Done)
            }
            Command::Forget(member) => {
                self.members.retain(|known| known.member != *member);
                self.alarms.retain(|alarm| alarm.0 != *member);
                self.reports.retain(|report| report.member != *member);
                Ok(Response::Done)
            }
            Command::Upgrade(version) if *version < self.version => Err(Refusal::VersionTooLow),
            Command::Upgrade(version) => {
                self.version = *version;
                Ok(Response::Done)
            }
            Command::Report(_) if self.version < REPORTS_SINCE => Err(Refusal::Unsupported),
            Command::Report(report) => {
                self.report(*report);
                Ok(Response::Done)
            }
            Command::Auth(command) => self.users.change(command).map(|()| Response::Done),
            Command::Guarded(_) => unreachable!("nothing that is guarded is guarded itself"),
        }
    }

    fn raise(&mut self, member: NodeId, kind: AlarmKind) {
        self.alarms.retain(|alarm| *alarm != (member, kind));
        self.alarms.push((member, kind));
    }

    /// Those who say something else than a majority are corrupt.
    fn report(&mut self, report: DigestReport) {
        let is_same = |one: &DigestReport| (one.index, one.member) == (report.index, report.member);
        self.reports.retain(|known| !is_same(known));
        self.reports.push(report);
        self.reports
            .sort_by_key(|known| (known.index, known.member));
        let of_index = self
            .reports
            .iter()
            .filter(|known| known.index == report.index);
        let of_index: Vec<DigestReport> = of_index.copied().collect();
        let agree = |digest: u64| of_index.iter().filter(|one| one.digest == digest).count();
        let majority = usize::from(report.majority).max(1);
        if let Some(agreed) = of_index.iter().find(|one| agree(one.digest) >= majority) {
            for one in of_index.iter().filter(|one| one.digest != agreed.digest) {
                self.raise(one.member, AlarmKind::Corrupt);
            }
        }
        let mut indexes: Vec<Index> = self.reports.iter().map(|known| known.index).collect();
        indexes.dedup();
        if indexes.len() > REPORTED_INDEXES_MAX {
            self.reports.retain(|known| known.index != indexes[0]);
        }
    }

    /// A part on its own is a transaction of this part.
    fn alone(&mut self, op: Op) -> Result<Response, Refusal> {
        let success = vec![op];
        let mut done = self.txn(&TxnRequest {
            success,
            ..TxnRequest::default()
        })?;
        Ok(done.responses.remove(0))
    }

    fn compact(&mut self, revision: Revision) -> Result<Response, Refusal> {
        if revision <= self.compacted {
            let compacted = self.compacted;
            return Err(Refusal::Compacted { compacted });
        }
        if revision > self.revision {
            let revision = self.revision;
            return Err(Refusal::FutureRevision { revision });
        }
        self.compacted = revision;
        Ok(Response::Done)
    }

    fn grant(&mut self, place: Place, id: LeaseId, ttl_s: u64) -> Result<Response, Refusal> {
        if ttl_s > TTL_S_MAX {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.has_lease(id) {
            return Err(Refusal::LeaseExists);
        }
        let id = if id == LeaseId::NONE {
            place.chosen
        } else {
            id
        };
        let granted = place.index;
        self.leases.push((id, Lease { ttl_s, granted }));
        Ok(Response::Granted(id))
    }

    fn revoke(&mut self, id: LeaseId) -> Result<Response, Refusal> {
        if !self.has_lease(id) {
            return Err(Refusal::LeaseNotFound);
        }
        self.end(&[id]);
        Ok(Response::Done)
    }

    /// Of leases that the leader can't have known it knows nothing.
    fn expire(&mut self, place: Place, term: Term, known: Index, ids: &[LeaseId]) -> Response {
        if place.term != term {
            return Response::Expired(0);
        }
        let before = self.leases.len();
        let leases = self.leases.iter();
        let meant = leases.filter(|(id, lease)| ids.contains(id) && lease.granted <= known);
        let ended: Vec<LeaseId> = meant.map(|(id, _)| *id).collect();
        self.end(&ended);
        Response::Expired((before - self.leases.len()) as u64)
    }

    /// Ends these leases, and deletes what is attached to them, in the order of the keys.
    fn end(&mut self, ids: &[LeaseId]) {
        self.leases.retain(|(id, _)| !ids.contains(id));
        for kv in self.at(Revision::NONE) {
            if ids.contains(&kv.lease) {
                self.happen(
                    EventKind::Delete,
                    KeyValue {
                        key: kv.key,
                        ..KeyValue::default()
                    },
                );
            }
        }
    }

    /// Whether there is this lease.
    #[must_use]
    pub fn has_lease(&self, id: LeaseId) -> bool {
        self.leases.iter().any(|(known, _)| *known == id)
    }

    /// The keys that end with a lease.
    #[must_use]
    pub fn attached(&self, id: LeaseId) -> Vec<Bytes> {
        let attached = self
            .at(Revision::NONE)
            .into_iter()
            .filter(|kv| kv.lease == id);
        attached.map(|kv| kv.key).collect()
    }

    /// Whether what takes room is refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.alarms
            .iter()
            .any(|(_, kind)| *kind == AlarmKind::NoSpace)
    }

    /// The keys as they were at a revision, or, at [`Revision::NONE`], as they are; in their order.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Vec<KeyValue> {
        let mut present: Vec<&KeyValue> = Vec::new();
        for event in &self.events {
            if revision != Revision::NONE && event.revision() > revision {
                break;
            }
            present.retain(|kv| kv.key != event.kv.key);
            if event.kind == EventKind::Put {
                present.push(&event.kv);
            }
        }
        present.sort_by(|one, other| one.key.cmp(&other.key));
        present.into_iter().cloned().collect()
    }

    /// These of the keys, as they are.
    fn now(&self, keys: &Keys) -> Vec<KeyValue> {
        let present = self.at(Revision::NONE).into_iter();
        present.filter(|kv| keys.contains(&kv.key)).collect()
    }

    fn get(&self, key: &Bytes) -> Option<KeyValue> {
        self.now(&Keys::one(key.clone())).pop()
    }

    /// One more event, in the transaction that makes the next revision.
    fn happen(&mut self, kind: EventKind, mut kv: KeyValue) {
        kv.mod_revision = self.revision.next();
        let prev = self.get(&kv.key);
        self.events.push(Event { kind, kv, prev });
    }

    fn put(&mut self, request: &PutRequest) -> Option<KeyValue> {
        let before = self.get(&request.key);
        let kept = before.clone().unwrap_or(KeyValue {
            create_revision: self.revision.next(),
            ..KeyValue::default()
        });
        let kv = KeyValue {
            key: request.key.clone(),
            value: request.value.clone().unwrap_or(kept.value),
            lease: request.lease.unwrap_or(kept.lease),
            create_revision: kept.create_revision,
            version: kept.version + 1,
            mod_revision: Revision::NONE,
        };
        self.happen(EventKind::Put, kv);
        before.filter(|_| request.wants_prev)
    }

    fn delete(&mut self, request: &DeleteRequest) -> DeleteResponse {
        let prevs = self.now(&request.keys);
        for kv in &prevs {
            let key = kv.key.clone();
            self.happen(
                EventKind::Delete,
                KeyValue {
                    key,
                    ..KeyValue::default()
                },
            );
        }
        DeleteResponse {
            deleted: prevs.len() as u64,
            prevs: if request.wants_prev {
                prevs
            } else {
                Vec::new()
            },
        }
    }
}

/// Whether it is refused as long as there is no room.
fn takes_room(command: &Command) -> bool {
    match command {
        Command::Put(_) | Command::Grant { .. } => true,
        Command::Txn(txn) => txn::has_put(txn),
        Command::Delete(_)
        | Command::Compact(_)
        | Command::Revoke(_)
        | Command::Expire { .. }
        | Command::Raise(..)
        | Command::Clear(..)
        | Command::Announce(_)
        | Command::Forget(_)
        | Command::Upgrade(_)
        | Command::Report(_)
        | Command::Auth(_)
        | Command::Guarded(_) => false,
    }
}
