//! The store of a cluster, as one of its members offers it: what embedders and servers call.
//!
//! What changes something is checked at the [`door`], proposed, and answered by what it did, once a
//! quorum has it. What only asks waits until this member reflects as much of the log as is wanted,
//! and is answered from its rows, in the caller's task: a long range is better asked for where a
//! task may block. This file knows neither how commands are carried out nor who leads.

mod asker;
pub mod door;
mod error;
mod expected;

pub use asker::Asker;
pub use door::Limits;
pub use error::KvError;

use std::sync::Arc;

use raft_core::driver::WriteError;
use raft_core::session::Session;
use raft_core::{Consistency, Node, NodeId};

use crate::auth::{Auth, AuthCommand};
use crate::command::{Announcement, Command};
use crate::model::{HashKv, LeaseView};
use crate::request::{DeleteRequest, PutRequest, RangeRequest, TxnRequest};
use crate::response::{Answer, DeleteResponse, RangeResponse, Response, TxnResponse};
use crate::rows::{Lease, State};
use crate::store::{Store, changes_any};
use crate::types::{AlarmKind, KeyValue, LeaseId, Revision};

/// What came of a request, and the revision of the store after it.
pub type Outcome<T> = Result<(Revision, T), KvError>;

/// A member's handle to the store. Cheap to clone.
#[derive(Clone)]
pub struct Kv {
    node: Node,
    store: Store,
    limits: Limits,
    /// On whose behalf it is used, if that was asked.
    asker: Option<Arc<Asker>>,
}

impl Kv {
    /// Of a node, and of what reads from the machine that it was started with.
    #[must_use]
    pub const fn new(node: Node, store: Store, limits: Limits) -> Self {
        Self {
            node,
            store,
            limits,
            asker: None,
        }
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// What this member has applied; watches, too.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Gives a key a value. Returns what was there before, if that was asked for.
    ///
    /// # Errors
    /// Say whether nothing was done or the outcome is unknown; so do those of all that follow.
    pub async fn put(&self, request: PutRequest) -> Outcome<Option<KeyValue>> {
        self.propose(None, Command::Put(request), expected::put)
            .await
    }

    /// Deletes keys.
    pub async fn delete(&self, request: DeleteRequest) -> Outcome<DeleteResponse> {
        self.propose(None, Command::Delete(request), expected::delete)
            .await
    }

    /// Compares, then does one thing or another. If neither of them changes anything, it is not
    /// proposed, but reads what is there, and all writes acknowledged before.
    pub async fn txn(&self, request: TxnRequest) -> Outcome<TxnResponse> {
        if !changes_any(&request) {
            return self.read_txn(request, Consistency::Linearizable).await;
        }
        self.propose(None, Command::Txn(request), expected::txn)
            .await
    }

    /// Opens a session for what follows; returns the number of its client.
    ///
    /// # Errors
    /// It may be tried again in any case.
    pub async fn open_session(&self) -> Result<u64, KvError> {
        Ok(self.node.open_session().await?)
    }

    /// As [`Kv::put`], but once: sent again under the same session, to any member, it is answered
    /// as it was the first time.
    ///
    /// # Errors
    /// When the outcome is unknown, it may be sent again; so may all that is done once.
    pub async fn put_once(
        &self,
        session: Session,
        request: PutRequest,
    ) -> Outcome<Option<KeyValue>> {
        self.propose(Some(session), Command::Put(request), expected::put)
            .await
    }

    /// As [`Kv::delete`], but once.
    pub async fn delete_once(
        &self,
        session: Session,
        request: DeleteRequest,
    ) -> Outcome<DeleteResponse> {
        self.propose(Some(session), Command::Delete(request), expected::delete)
            .await
    }

    /// As [`Kv::txn`], but once. It is always proposed: sent again, it says what was there first.
    pub async fn txn_once(&self, session: Session, request: TxnRequest) -> Outcome<TxnResponse> {
        self.propose(Some(session), Command::Txn(request), expected::txn)
            .await
    }

    /// Keys.
    pub async fn range(
        &self,
        request: RangeRequest,
        consistency: Consistency,
    ) -> Outcome<RangeResponse> {
        door::check_range(&request)?;
        self.permit(|auth, user| auth.may_read(user, &request.keys))?;
        self.node.barrier(consistency).await?;
        let may = |state: &State| self.check_still(state);
        let (revision, found) = self.store.range_if(&request, may)?;
        Ok((revision, found?))
    }

    /// Keys as this member has them at the moment, unless they are longer than this together: after
    /// a barrier of the node's, for whoever may block.
    ///
    /// # Errors
    /// See [`Kv::put`].
    pub fn range_within(
        &self,
        request: &RangeRequest,
        bytes_max: usize,
    ) -> Result<(Revision, Option<RangeResponse>), KvError> {
        self.permit(|auth, user| auth.may_read(user, &request.keys))?;
        let may = |state: &State| self.check_still(state);
        let (revision, found) = self.store.range_within_if(request, bytes_max, may)?;
        Ok((revision, found?))
    }

    /// A transaction that changes nothing.
    ///
    /// # Errors
    /// [`KvError::NotRead`] if it would.
    pub async fn read_txn(
        &self,
        request: TxnRequest,
        consistency: Consistency,
    ) -> Outcome<TxnResponse> {
        door::check_txn(&request, &self.limits)?;
        self.permit(|auth, user| auth.may_txn(user, &request))?;
        self.node.barrier(consistency).await?;
        let may = |state: &State| self.check_still(state);
        answer_to(self.store.txn_if(&request, may)?, expected::txn)
    }

    /// Gives up all history before this revision. From then on it can't be read; its rows are
    /// removed little by little.
    pub async fn compact(&self, revision: Revision) -> Outcome<()> {
        self.propose(None, Command::Compact(revision), expected::done)
            .await
    }

    /// Grants a lease, under this name or, for [`LeaseId::NONE`], one that the store chooses.
    pub async fn grant(&self, id: LeaseId, ttl_s: u64) -> Outcome<LeaseId> {
        self.propose(None, Command::Grant { id, ttl_s }, expected::granted)
            .await
    }

    /// Ends a lease, and deletes what is attached to it.
    pub async fn revoke(&self, id: LeaseId) -> Outcome<()> {
        self.propose(None, Command::Revoke(id), expected::done)
            .await
    }

    /// A lease as it was granted, and what is attached to it. How long it still lives is known to
    /// the leader's [`Lessor`](crate::Lessor) alone. Anybody may ask who is let in: whoever passes
    /// the keys on asks whether they may be read, see [`Kv::permit`].
    pub async fn lease(
        &self,
        id: LeaseId,
        consistency: Consistency,
    ) -> Result<Option<LeaseView>, KvError> {
        self.permit(Auth::is_somebody)?;
        self.node.barrier(consistency).await?;
        let (state, lease) = self.store.lease_and_state(id)?;
        self.check_still(&state)?;
        Ok(lease)
    }

    /// All leases.
    pub async fn leases(&self, consistency: Consistency) -> Result<Vec<(LeaseId, Lease)>, KvError> {
        self.permit(Auth::is_somebody)?;
        self.node.barrier(consistency).await?;
        let (state, leases) = self.store.leases_and_state()?;
        self.check_still(&state)?;
        Ok(leases)
    }

    /// Changes users and roles.
    pub async fn change_auth(&self, command: AuthCommand) -> Outcome<()> {
        self.propose(None, Command::Auth(command), expected::done)
            .await
    }

    /// Says that something is wrong with a member.
    pub async fn raise(&self, member: NodeId, alarm: AlarmKind) -> Outcome<()> {
        self.propose(None, Command::Raise(member, alarm), expected::done)
            .await
    }

    /// Says that it is not any more.
    pub async fn clear(&self, member: NodeId, alarm: AlarmKind) -> Outcome<()> {
        self.propose(None, Command::Clear(member, alarm), expected::done)
            .await
    }

    /// What is wrong, with whom.
    pub async fn alarms(
        &self,
        consistency: Consistency,
    ) -> Result<Vec<(NodeId, AlarmKind)>, KvError> {
        self.node.barrier(consistency).await?;
        Ok(self.store.alarms()?)
    }

    /// Says who this member is, and where clients reach it.
    pub async fn announce(&self, announcement: Announcement) -> Outcome<()> {
        self.propose(None, Command::Announce(announcement), expected::done)
            .await
    }

    /// Forgets what a member that is gone has said of itself.
    pub async fn forget(&self, member: NodeId) -> Outcome<()> {
        self.propose(None, Command::Forget(member), expected::done)
            .await
    }

    /// From now on commands of this version may be proposed. All members must know it, and so must
    /// whoever joins later: one that does not stops.
    pub async fn upgrade(&self, version: u8) -> Outcome<()> {
        self.propose(None, Command::Upgrade(version), expected::done)
            .await
    }

    /// What members say of themselves.
    pub async fn members(&self, consistency: Consistency) -> Result<Vec<Announcement>, KvError> {
        self.node.barrier(consistency).await?;
        Ok(self.store.members()?)
    }

    /// The hash of all that this member has up to a revision; [`Revision::NONE`] is now.
    ///
    /// # Errors
    /// When the revision is compacted, or this member has not come to it yet.
    pub fn hash(&self, revision: Revision) -> Result<HashKv, KvError> {
        Ok(self.store.hash(revision)??)
    }

    async fn propose<T>(
        &self,
        session: Option<Session>,
        command: Command,
        expected: fn(Response) -> Option<T>,
    ) -> Outcome<T> {
        door::check(&command, &self.limits)?;
        self.check_may(&command)?;
        let command = self.guard(command);
        let bytes = command.encode();
        door::check_length(bytes.len(), &self.limits)?;
        // What waits for its answer needs one copy, not two.
        drop(command);
        let answered = match session {
            Some(session) => self.node.write_once(session, bytes).await?,
            None => self.node.write(bytes).await?,
        };
        match Answer::decode(answered) {
            Some(answer) => answer_to(answer, expected),
            // A later binary leads, and says what this one does not understand.
            None => Err(KvError::Unknown(WriteError::Unknown)),
        }
    }
}

fn answer_to<T>(answer: Answer, expected: fn(Response) -> Option<T>) -> Outcome<T> {
    let response = expected(answer.outcome?).ok_or(KvError::OtherCommand)?;
    Ok((answer.revision, response))
}
