//! The service of elections: whoever stands first in a queue is the leader, and its key holds what
//! it proclaims. It does not know what is led.

mod observer;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use prost::Message;
use raft_kv::request::{DeleteRequest, Op, PutRequest, TxnRequest};
use raft_kv::{Auth, Keys, LeaseId, Revision};
use tonic::{Request, Response, Status, async_trait};

use self::observer::Observer;
use super::convert::{kv, signed};
use super::queue::{Exits, Place, Unmet, created, find_first, prefix, txn_on_behalf};
use super::unfold::{Answers, unfold};
use crate::pb::v3electionpb as pb;
use crate::server::auth::Shown;
use crate::server::member::Shared;

/// The service of elections. The texts of its errors are etcd's.
#[derive(Clone)]
pub(crate) struct ElectionService {
    member: Shared,
    exits: Exits,
}

impl ElectionService {
    pub(crate) fn new(member: Shared) -> Self {
        let exits = Exits::default();
        Self { member, exits }
    }

    /// Changes something, if the leader's key is still the one that it was elected with. Whether it
    /// was.
    async fn as_leader(
        &self,
        shown: &Shown,
        key: Bytes,
        since: i64,
        change: Op,
    ) -> Result<(Revision, bool), Status> {
        let txn = TxnRequest {
            compares: vec![created(key, since)],
            success: vec![change],
            failure: Vec::new(),
        };
        let (revision, done) = txn_on_behalf(&self.member, shown, txn).await?;
        Ok((revision, done.succeeded))
    }

    /// Whether who asks may write the key of a leader.
    fn permit_leader<T>(
        &self,
        request: &Request<T>,
        leader: Option<&pb::LeaderKey>,
    ) -> Result<(), Status> {
        let key = leader.map(|leader| leader.key.clone()).unwrap_or_default();
        self.member.permit_keys(request, &Keys::One(key))
    }

    /// Whether who asks may read who leads.
    fn permit_to_look<T>(&self, request: &Request<T>, prefix: &Bytes) -> Result<(), Status> {
        let keys = Keys::prefix(prefix.clone());
        let may = |auth: &Auth, user: &str| auth.may_read(user, &keys);
        self.member.permit(&Shown::by(request), may)
    }

    async fn proclaim_as(
        &self,
        shown: &Shown,
        leader: pb::LeaderKey,
        value: Bytes,
    ) -> Result<Revision, Status> {
        let lease = LeaseId(leader.lease);
        let put = Op::Put(PutRequest {
            key: leader.key.clone(),
            value: Some(value),
            // A leader that does not say which keeps its own.
            lease: (lease != LeaseId::NONE).then_some(lease),
            wants_prev: false,
        });
        match self.as_leader(shown, leader.key, leader.rev, put).await? {
            (revision, true) => Ok(revision),
            (_, false) => Err(not_leader()),
        }
    }
}

fn not_leader() -> Status {
    Status::unknown("election: not leader")
}

/// Who says that it leads.
fn leader(leader: Option<pb::LeaderKey>) -> Result<pb::LeaderKey, Status> {
    leader.ok_or_else(|| Status::unknown("\"leader\" field must be provided"))
}

#[async_trait]
impl pb::election_server::Election for ElectionService {
    async fn campaign(
        &self,
        request: Request<pb::CampaignRequest>,
    ) -> Result<Response<pb::CampaignResponse>, Status> {
        let member = &self.member;
        let pass = member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let keys = Keys::prefix(prefix(&request.get_ref().name));
        member.permit_keys(&request, &keys)?;
        let shown = Shown::by(&request);
        let request = request.into_inner();
        let place = Place::of(member, &shown, &request.name, request.lease).await?;
        let mut exit = self.exits.watch_over(member, &place);
        let joined = place.join(member, &shown, request.value.clone()).await?;
        exit.created = Some(joined.created);
        let leader = pb::LeaderKey {
            name: request.name,
            key: place.key.clone(),
            rev: signed(joined.created.0),
            lease: place.lease.0,
        };
        if joined.found.is_some_and(|found| found != request.value) {
            let proclaimed = self.proclaim_as(&shown, leader.clone(), request.value);
            proclaimed.await?;
        }
        // To wait is no work: others may ask meanwhile.
        drop(pass);
        let revision = match place.wait(member, joined.created).await {
            Ok(revision) => revision,
            Err(Unmet::Unknown(status)) => return Err(status),
            Err(Unmet::Lost) => {
                exit.keep();
                return Err(not_leader());
            }
        };
        exit.keep();
        Ok(Response::new(pb::CampaignResponse {
            header: Some(member.header(revision)),
            leader: Some(leader),
        }))
    }

    async fn proclaim(
        &self,
        request: Request<pb::ProclaimRequest>,
    ) -> Result<Response<pb::ProclaimResponse>, Status> {
        let length = request.get_ref().encoded_len();
        let _pass = self.member.gate.enter(&request, length)?;
        self.permit_leader(&request, request.get_ref().leader.as_ref())?;
        let shown = Shown::by(&request);
        let request = request.into_inner();
        let leader = leader(request.leader)?;
        let revision = self.proclaim_as(&shown, leader, request.value).await?;
        Ok(Response::new(pb::ProclaimResponse {
            header: Some(self.member.header(revision)),
        }))
    }

    async fn leader(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<pb::LeaderResponse>, Status> {
        let length = request.get_ref().encoded_len();
        let _pass = self.member.gate.enter(&request, length)?;
        let prefix = prefix(&request.get_ref().name);
        self.permit_to_look(&request, &prefix)?;
        let (revision, leader) = find_first(&self.member, prefix).await?;
        let leader = leader.ok_or_else(|| Status::unknown("election: no leader"))?;
        Ok(Response::new(pb::LeaderResponse {
            header: Some(self.member.header(revision)),
            kv: Some(kv(leader)),
        }))
    }

    type ObserveStream = Answers<pb::LeaderResponse>;

    async fn observe(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let length = request.get_ref().encoded_len();
        let _pass = self.member.gate.enter(&request, length)?;
        self.permit_to_look(&request, &prefix(&request.get_ref().name))?;
        let (metadata, _, request) = request.into_parts();
        let observer = Observer::new(self.member.clone(), prefix(&request.name));
        let leaders = unfold(observer, Observer::next);
        let guarded = self.member.leadership.guard(&metadata, leaders)?;
        Ok(Response::new(Box::pin(guarded)))
    }

    async fn resign(
        &self,
        request: Request<pb::ResignRequest>,
    ) -> Result<Response<pb::ResignResponse>, Status> {
        let length = request.get_ref().encoded_len();
        let _pass = self.member.gate.enter(&request, length)?;
        self.permit_leader(&request, request.get_ref().leader.as_ref())?;
        let shown = Shown::by(&request);
        let leader = leader(request.into_inner().leader)?;
        let delete = Op::Delete(DeleteRequest {
            keys: Keys::One(leader.key.clone()),
            wants_prev: false,
        });
        // Who does not lead any more has nothing to give up.
        let resigned = self.as_leader(&shown, leader.key, leader.rev, delete);
        let (revision, _) = resigned.await?;
        Ok(Response::new(pb::ResignResponse {
            header: Some(self.member.header(revision)),
        }))
    }
}
