//! The execution of commands, one after the other. Which row is where, and what each command means
//! in detail, is told in the files beside this one.

use std::sync::Arc;

use raft_core::Term;
use raft_core::port::PortError;

use super::catalog::Catalog;
use super::check::check_txn;
use super::overlay::Overlay;
use super::txn::puts_any;
use super::write::Place;
use crate::auth::Auth;
use crate::command::Command;
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{DeleteRequest, PutRequest, TxnRequest};
use crate::response::{Answer, Response};
use crate::rows::State;
use crate::types::{Event, LeaseId, Revision};

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// It was granted.
    Granted {
        /// Which.
        id: LeaseId,
        /// How long it lives without being kept alive, in seconds.
        ttl_s: u64,
    },
    /// It was revoked, or has expired.
    Ended(LeaseId),
}

/// All that commands work on.
pub struct Execution<'a, 'v> {
    /// The rows.
    pub rows: &'a mut Overlay<'v>,
    /// The row of the state, which is not among them.
    pub state: &'a mut State,
    /// What mirrors some of the rows.
    pub catalog: &'a mut Catalog,
    /// Users and roles, which mirror rows too. What others hold of them stays as it is.
    pub auth: &'a mut Arc<Auth>,
    /// What happens to keys is added here, if anybody wants to know.
    pub events: Option<&'a mut Vec<Event>>,
    /// What became of leases is added here.
    pub leases: &'a mut Vec<LeaseChange>,
}

impl Execution<'_, '_> {
    /// Carries out the command of an entry of this term, which stands at [`State::applied`].
    ///
    /// # Errors
    /// When a row can't be read. The rows and the state are no use any more then.
    pub fn execute(&mut self, term: Term, command: &Command) -> Result<Answer, PortError> {
        let outcome = if command.version() > self.state.version {
            Err(Refusal::Unsupported)
        } else if let Err(refusal) = self.check_allowed(command)? {
            Err(refusal)
        } else if self.catalog.is_full() && takes_room(command.bare()) {
            Err(Refusal::NoSpace)
        } else {
            self.carry_out(term, command.bare())?
        };
        Ok(Answer {
            revision: self.state.revision,
            outcome,
        })
    }

    fn carry_out(
        &mut self,
        term: Term,
        command: &Command,
    ) -> Result<Result<Response, Refusal>, PortError> {
        match command {
            Command::Put(put) => return self.single_put(put),
            Command::Delete(delete) => return self.single_delete(delete),
            Command::Txn(txn) => return self.checked_txn(txn),
            Command::Compact(revision) => return Ok(self.compact(*revision)),
            Command::Grant { id, ttl_s } => return self.grant(*id, *ttl_s),
            Command::Revoke(id) => return self.revoke(*id),
            Command::Expire {
                term: judged,
                known,
                ids,
            } => {
                return self.expire(term, *judged, *known, ids).map(Ok);
            }
            Command::Upgrade(version) => return Ok(self.upgrade(*version)),
            Command::Raise(member, kind) => self.raise(*member, *kind),
            Command::Clear(member, kind) => self.clear(*member, *kind),
            Command::Announce(announcement) => self.announce(announcement),
            Command::Forget(member) => self.forget(*member),
            Command::Report(report) => self.report(report),
            Command::Auth(command) => return self.change_auth(command),
            Command::Guarded(guarded) => return self.carry_out(term, &guarded.command),
        }
        Ok(Ok(Response::Done))
    }

    fn single_put(&mut self, put: &PutRequest) -> Result<Result<Response, Refusal>, PortError> {
        if put.key.is_empty() {
            return Ok(Err(Refusal::EmptyKey));
        }
        if let Err(refusal) = self.check_put(put)? {
            return Ok(Err(refusal));
        }
        let mut place = Place::after(self.state.revision);
        let prev = self.put(put, &mut place)?;
        self.finish(&place);
        Ok(Ok(Response::Put(prev)))
    }

    fn single_delete(
        &mut self,
        delete: &DeleteRequest,
    ) -> Result<Result<Response, Refusal>, PortError> {
        if matches!(&delete.keys, Keys::One(key) if key.is_empty()) {
            return Ok(Err(Refusal::EmptyKey));
        }
        let mut place = Place::after(self.state.revision);
        let response = self.delete(delete, &mut place)?;
        self.finish(&place);
        Ok(Ok(Response::Delete(response)))
    }

    fn checked_txn(&mut self, txn: &TxnRequest) -> Result<Result<Response, Refusal>, PortError> {
        match check_txn(txn) {
            Ok(()) => self.txn(txn),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// From now on only what was there at this revision, and later, can be read. The rows are
    /// removed later, see `sweep`.
    fn compact(&mut self, revision: Revision) -> Result<Response, Refusal> {
        if revision <= self.state.compacted {
            return Err(Refusal::Compacted {
                compacted: self.state.compacted,
            });
        }
        if revision > self.state.revision {
            return Err(Refusal::FutureRevision {
                revision: self.state.revision,
            });
        }
        self.state.compacted = revision;
        Ok(Response::Done)
    }

    fn upgrade(&mut self, version: u8) -> Result<Response, Refusal> {
        if version < self.state.version {
            return Err(Refusal::VersionTooLow);
        }
        self.state.version = version;
        Ok(Response::Done)
    }

    /// What was changed makes the next revision; what changed nothing makes none.
    pub(super) fn finish(&mut self, place: &Place) {
        if place.is_used() {
            self.state.revision = place.revision();
        }
    }
}

/// Whether it is refused when there is no room.
fn takes_room(command: &Command) -> bool {
    match command {
        Command::Put(_) | Command::Grant { .. } => true,
        Command::Txn(txn) => puts_any(txn),
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
