//! The service of leases. They are granted, revoked and listed by any member; how long one lives is
//! known to the leader alone, so that goes on to it. It does not know when a lease ends.

mod renewals;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use raft_core::Consistency;
use raft_kv::{Keys, Kv, LeaseId};
use tokio_stream::{Stream, once};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming, async_trait};

use self::renewals::Renewals;
use super::convert::signed;
use super::error;
use super::unfold::{Answers, unfold};
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::lease_client::LeaseClient;
use crate::server::auth::Shown;
use crate::server::forward::Forward;
use crate::server::member::Shared;

/// What is said of the time of a lease that there is not.
const NO_TIME: i64 = -1;

/// The service of leases.
#[derive(Clone)]
pub(crate) struct LeaseService {
    member: Shared,
    forward: Arc<Forward>,
}

impl LeaseService {
    pub(crate) fn new(member: Shared) -> Self {
        let forward = Arc::default();
        Self { member, forward }
    }

    /// Answers a stream of keep-alives, whatever way it came.
    ///
    /// # Errors
    /// When there is nobody to answer.
    pub(crate) fn keep_alive<R>(
        &self,
        metadata: &MetadataMap,
        requests: R,
    ) -> Result<Answers<pb::LeaseKeepAliveResponse>, Status>
    where
        R: Stream<Item = Result<pb::LeaseKeepAliveRequest, Status>> + Send + Unpin + 'static,
    {
        let renewals = Renewals::new(self.clone(), metadata.clone(), requests);
        let answers = unfold(renewals, Renewals::next);
        let guarded = self.member.leadership.guard(metadata, answers)?;
        Ok(Box::pin(guarded))
    }

    /// How long a lease lives from now on, in seconds; 0 if there is none.
    async fn renew(&self, metadata: &MetadataMap, id: i64) -> Result<i64, Status> {
        let here = || async move {
            let ttl_s = self.member.keeper.keep_alive(LeaseId(id)).await?;
            Ok(signed(ttl_s))
        };
        let there = |channel: Channel, metadata| async move {
            let mut request = Request::new(once(pb::LeaseKeepAliveRequest { id }));
            *request.metadata_mut() = metadata;
            let answers = LeaseClient::new(channel).lease_keep_alive(request).await?;
            let answer = answers.into_inner().message().await?;
            let unanswered = || Status::unavailable("the leader has not answered");
            Ok(answer.ok_or_else(unanswered)?.ttl)
        };
        let asked = self.forward.to_leader(&self.member, metadata, here, there);
        Ok(asked.await?.unwrap_or_default())
    }

    async fn time_to_live(
        &self,
        metadata: &MetadataMap,
        asked: pb::LeaseTimeToLiveRequest,
    ) -> Result<Option<pb::LeaseTimeToLiveResponse>, Status> {
        let here = || async move {
            let remaining = self.member.keeper.time_to_live(LeaseId(asked.id)).await?;
            Ok(pb::LeaseTimeToLiveResponse {
                id: asked.id,
                ttl: signed(remaining.left.as_secs()),
                granted_ttl: signed(remaining.ttl_s),
                ..Default::default()
            })
        };
        let there = |channel: Channel, metadata| async move {
            let mut request = Request::new(pb::LeaseTimeToLiveRequest {
                keys: false,
                ..asked
            });
            *request.metadata_mut() = metadata;
            let mut client = LeaseClient::new(channel);
            Ok(client.lease_time_to_live(request).await?.into_inner())
        };
        self.forward
            .to_leader(&self.member, metadata, here, there)
            .await
    }

    /// A read of the store that may be long, once it reflects all that was acknowledged before.
    async fn read<T, F>(&self, read: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&raft_kv::Store) -> Result<T, raft_core::port::PortError> + Send + 'static,
    {
        let confirmed = self.member.node().barrier(Consistency::Linearizable).await;
        confirmed.map_err(|refused| error::read(&refused))?;
        let store = self.member.store().clone();
        let read = tokio::task::spawn_blocking(move || read(&store)).await;
        let read = read.map_err(|_| Status::internal("a read was given up"))?;
        read.map_err(|broken| error::broken(&broken))
    }
}

/// Shorter than this no lease lives: it has to outlast an election. etcd's rule.
fn ttl_s_min(election_timeout: Duration) -> u64 {
    let least = election_timeout * 3 / 2;
    least.as_secs() + u64::from(least.subsec_nanos() > 0)
}

#[async_trait]
impl pb::lease_server::Lease for LeaseService {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        let shown = Shown::by(&request);
        let request = request.into_inner();
        let least = ttl_s_min(self.member.config.election_timeout);
        let ttl_s = u64::try_from(request.ttl).unwrap_or(0).max(least);
        let grant = |kv: Kv, id| async move { kv.grant(id, ttl_s).await };
        let granted = self.member.on_behalf(&shown, LeaseId(request.id), grant);
        let (revision, id) = granted.await?;
        Ok(Response::new(pb::LeaseGrantResponse {
            header: Some(self.member.header(revision)),
            id: id.0,
            ttl: signed(ttl_s),
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        let (shown, id) = (Shown::by(&request), LeaseId(request.get_ref().id));
        let revoke = |kv: Kv, id| async move { kv.revoke(id).await };
        let (revision, ()) = self.member.on_behalf(&shown, id, revoke).await?;
        Ok(Response::new(pb::LeaseRevokeResponse {
            header: Some(self.member.header(revision)),
        }))
    }

    type LeaseKeepAliveStream = Answers<pb::LeaseKeepAliveResponse>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_anybody(&request)?;
        let metadata = self.member.introduced(&request)?;
        Ok(Response::new(
            self.keep_alive(&metadata, request.into_inner())?,
        ))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_anybody(&request)?;
        let shown = Shown::by(&request);
        let metadata = self.member.introduced(&request)?;
        let asked = request.into_inner();
        let known = self.time_to_live(&metadata, asked).await?;
        let mut response = known.unwrap_or_else(|| pb::LeaseTimeToLiveResponse {
            id: asked.id,
            ttl: NO_TIME,
            ..Default::default()
        });
        // What is attached is in the rows of every member.
        if asked.keys && response.ttl != NO_TIME {
            let view = self
                .read(move |store| store.lease(LeaseId(asked.id)))
                .await?;
            let keys = view.map(|view| view.keys).unwrap_or_default();
            // What is attached to a lease is for those who may read it.
            self.member.permit(&shown, |auth, user| {
                let mut keys = keys.iter().cloned().map(Keys::One);
                keys.try_for_each(|key| auth.may_read(user, &key))
            })?;
            response.keys = keys;
        }
        response.header = Some(self.member.header_now());
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_anybody(&request)?;
        let leases = self.read(raft_kv::Store::leases).await?;
        let leases = leases
            .into_iter()
            .map(|(id, _)| pb::LeaseStatus { id: id.0 });
        Ok(Response::new(pb::LeaseLeasesResponse {
            header: Some(self.member.header_now()),
            leases: leases.collect(),
        }))
    }
}
