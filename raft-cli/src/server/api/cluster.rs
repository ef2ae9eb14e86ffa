//! The service of members: who they are, and how that changes.
//!
//! A voter that is added catches up before it counts: `MemberAdd` answers as soon as the cluster
//! knows the newcomer, which is a learner then, and this member sees to it that it is made a voter.
//! If it never comes, the addition is undone, and nothing was risked.

use std::time::Duration;

use raft_core::driver::ChangeRefused;
use raft_core::membership::{ChangeError, Member as RaftMember, MemberChange, Membership};
use raft_core::{Consistency, Index, NodeId};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Response, Status};

use super::error;
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::cluster_client::ClusterClient;
use crate::server::config::Url;
use crate::server::forward::Forward;
use crate::server::home::member_id;
use crate::server::member::Shared;

/// How long to wait for another change to end.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before a change is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// For how long this member sees to it that a newcomer becomes a voter.
const PROMOTION_PATIENCE: Duration = Duration::from_mins(15);
/// A learner that is not caught up after this is not ready. Clients wait for five seconds.
const READY_PATIENCE: Duration = Duration::from_secs(3);
/// `MemberAdd` with this in its metadata puts the newcomer in the place of the member of this id.
const REPLACES: &str = "raft-replaces";

const NOT_IN_SYNC: &str =
    "etcdserver: can only promote a learner member which is in sync with leader";

/// The service of members.
pub(crate) struct ClusterService {
    member: Shared,
    forward: Forward,
}

impl ClusterService {
    pub(crate) fn new(member: Shared) -> Self {
        let forward = Forward::default();
        Self { member, forward }
    }

    fn membership(&self) -> std::sync::Arc<Membership> {
        self.member.node().status().core.membership.1.clone()
    }

    /// Changes the configuration, after the change before it if one is under way.
    async fn change(&self, changes: Vec<MemberChange>) -> Result<Index, ChangeRefused> {
        change(&self.member, changes, BUSY_PATIENCE).await
    }

    /// Makes a learner a voter, if it is about as far as the others.
    async fn promote(&self, id: NodeId, learner: RaftMember) -> Result<(), Status> {
        let until = Instant::now() + BUSY_PATIENCE;
        loop {
            let change = vec![MemberChange::Voter(id, learner.clone())];
            let promotion = self.member.node().change_membership(change, None);
            match timeout(READY_PATIENCE, promotion).await {
                Ok(Ok(_)) => return Ok(()),
                // Somebody else's goes before, and is not ours to take back.
                Ok(Err(ChangeRefused::Impossible(ChangeError::InProgress)))
                    if Instant::now() < until => {}
                Ok(Err(refused)) => return Err(error::change(&refused)),
                Err(_) => {
                    self.member.node().abort_membership_change();
                    return Err(Status::failed_precondition(NOT_IN_SYNC));
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Has a newcomer added, and goes on until it is a voter. Returns once it is a member.
    async fn add_voter(&self, id: NodeId, changes: Vec<MemberChange>) -> Result<(), Status> {
        let mut watch = self.member.node().watch_status();
        let member = self.member.clone();
        let mut adding = tokio::spawn(async move { add(&member, changes).await });
        let is_known = watch.until(|status| status.core.membership.1.contains(id));
        tokio::select! {
            added = &mut adding => match added {
                Ok(added) => added.map_err(|refused| error::change(&refused)),
                Err(_) => Err(Status::internal("the addition was given up")),
            },
            _ = is_known => Ok(()),
        }
    }

    /// The id and address of a newcomer that is no member yet.
    fn newcomer(&self, urls: &[String]) -> Result<(NodeId, String), Status> {
        let url = peer_url(urls)?;
        let id = member_id(&self.member.token, &url.address);
        let membership = self.membership();
        let has_address = |(_, member): (NodeId, &RaftMember)| member.address == url.address;
        if membership.members().any(has_address) {
            return Err(Status::failed_precondition(
                "etcdserver: Peer URLs already exists",
            ));
        }
        if membership.contains(id) {
            return Err(Status::failed_precondition(
                "etcdserver: member ID already exist",
            ));
        }
        Ok((id, url.address))
    }

    fn known(&self, id: u64) -> Result<(NodeId, RaftMember), Status> {
        let membership = self.membership();
        let member = membership.get(NodeId(id)).cloned();
        let member = member.ok_or_else(|| Status::not_found("etcdserver: member not found"))?;
        Ok((NodeId(id), member))
    }
}

async fn change(
    member: &Shared,
    changes: Vec<MemberChange>,
    patience: Duration,
) -> Result<Index, ChangeRefused> {
    let until = Instant::now() + patience;
    loop {
        let changed = member.node().change_membership(changes.clone(), None).await;
        let is_busy = matches!(
            changed,
            Err(ChangeRefused::Impossible(ChangeError::InProgress))
        );
        if !is_busy || Instant::now() >= until {
            return changed;
        }
        sleep(PAUSE).await;
    }
}

/// Has a newcomer become a voter, through changes of the leader.
async fn add(member: &Shared, changes: Vec<MemberChange>) -> Result<(), ChangeRefused> {
    let until = Instant::now() + PROMOTION_PATIENCE;
    let mut is_first = true;
    loop {
        let Err(refused) = change(member, changes.clone(), BUSY_PATIENCE).await else {
            return Ok(());
        };
        let is_final = match refused {
            ChangeRefused::NotLeader { .. } => is_first,
            // It may have come about already.
            ChangeRefused::Impossible(ChangeError::Nothing) => return Ok(()),
            ChangeRefused::Unknown | ChangeRefused::Transferring | ChangeRefused::TimedOut => false,
            ChangeRefused::Impossible(_)
            | ChangeRefused::BadAddress(_)
            | ChangeRefused::Aborted
            | ChangeRefused::BadTarget
            | ChangeRefused::Overloaded
            | ChangeRefused::Stopped => true,
        };
        if is_final || Instant::now() >= until {
            tracing::warn!(error = %refused, "a member was not made a voter");
            return Err(refused);
        }
        is_first = false;
        sleep(PAUSE).await;
    }
}

/// The one peer URL that a member has.
fn peer_url(urls: &[String]) -> Result<Url, Status> {
    let bad = || Status::invalid_argument("etcdserver: given member URLs are invalid");
    match urls {
        [url] => url.parse().map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// All members, as etcd lists them.
pub(crate) fn list(member: &Shared) -> Result<Vec<pb::Member>, Status> {
    let announced = member
        .store()
        .members()
        .map_err(|broken| error::broken(&broken))?;
    let membership = member.node().status().core.membership.1.clone();
    let scheme = if member.config.peer_tls.is_some() {
        "https"
    } else {
        "http"
    };
    let listed = membership.members().map(|(id, known)| {
        let announced = announced.iter().find(|it| it.member == id);
        pb::Member {
            id: id.0,
            name: announced.map(|it| it.name.clone()).unwrap_or_default(),
            peer_ur_ls: vec![format!("{scheme}://{}", known.address)],
            client_ur_ls: announced
                .map(|it| it.client_urls.clone())
                .unwrap_or_default(),
            is_learner: !membership.is_voter(id),
        }
    });
    Ok(listed.collect())
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for ClusterService {
    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let replaces = request.metadata().get(REPLACES).cloned();
        let request = request.into_inner();
        let (id, address) = self.newcomer(&request.peer_ur_ls)?;
        let newcomer = RaftMember::at(address);
        if request.is_learner {
            let learner = vec![MemberChange::Learner(id, newcomer)];
            let added = self.change(learner).await;
            added.map_err(|refused| error::change(&refused))?;
        } else {
            let mut changes = vec![MemberChange::Voter(id, newcomer)];
            if let Some(old) = replaces {
                let old = old.to_str().ok().and_then(|old| old.parse().ok());
                let (old, _) = self.known(old.unwrap_or(0))?;
                changes.push(MemberChange::Remove(old));
            }
            self.add_voter(id, changes).await?;
        }
        let members = list(&self.member)?;
        Ok(Response::new(pb::MemberAddResponse {
            header: Some(self.member.header_now()),
            member: members.iter().find(|member| member.id == id.0).cloned(),
            members,
        }))
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let introduced = self.member.introduced(&request)?;
        let beyond = self.forward.beyond(&self.member, &introduced);
        if let Some((channel, metadata)) = beyond.await? {
            let mut passed_on = Request::new(*request.get_ref());
            *passed_on.metadata_mut() = metadata;
            return ClusterClient::new(channel).member_remove(passed_on).await;
        }
        let (id, _) = self.known(request.get_ref().id)?;
        // Whoever is removed while it still catches up keeps its own addition from ending.
        if !self.membership().is_voter(id) {
            self.member.node().abort_membership_change();
        }
        let removed = self.change(vec![MemberChange::Remove(id)]).await;
        match removed {
            // Undoing its addition has removed it.
            Ok(_) | Err(ChangeRefused::Impossible(ChangeError::NotAMember(_))) => {}
            Err(refused) => return Err(error::change(&refused)),
        }
        Ok(Response::new(pb::MemberRemoveResponse {
            header: Some(self.member.header_now()),
            members: list(&self.member)?,
        }))
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let (id, mut known) = self.known(request.get_ref().id)?;
        known.address = peer_url(&request.get_ref().peer_ur_ls)?.address;
        match self.change(vec![MemberChange::Update(id, known)]).await {
            Ok(_) | Err(ChangeRefused::Impossible(ChangeError::Nothing)) => {}
            Err(refused) => return Err(error::change(&refused)),
        }
        Ok(Response::new(pb::MemberUpdateResponse {
            header: Some(self.member.header_now()),
            members: list(&self.member)?,
        }))
    }

    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        if request.get_ref().linearizable {
            let confirmed = self.member.node().barrier(Consistency::Linearizable).await;
            confirmed.map_err(|refused| error::read(&refused))?;
        }
        Ok(Response::new(pb::MemberListResponse {
            header: Some(self.member.header_now()),
            members: list(&self.member)?,
        }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let introduced = self.member.introduced(&request)?;
        let beyond = self.forward.beyond(&self.member, &introduced);
        if let Some((channel, metadata)) = beyond.await? {
            let mut passed_on = Request::new(*request.get_ref());
            *passed_on.metadata_mut() = metadata;
            return ClusterClient::new(channel).member_promote(passed_on).await;
        }
        let (id, known) = self.known(request.get_ref().id)?;
        if self.membership().is_voter(id) {
            return Err(Status::failed_precondition(
                "etcdserver: can only promote a learner member",
            ));
        }
        self.promote(id, known).await?;
        Ok(Response::new(pb::MemberPromoteResponse {
            header: Some(self.member.header_now()),
            members: list(&self.member)?,
        }))
    }
}
