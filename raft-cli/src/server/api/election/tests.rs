//! Elections, as clients see them.

use std::time::Duration;

use bytes::Bytes;
use raft_kv::LeaseId;
use raft_kv::watch::Wanted;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::ElectionService;
use crate::pb::v3electionpb as pb;
use crate::pb::v3electionpb::election_client::ElectionClient;
use crate::pb::v3electionpb::election_server::ElectionServer;
use crate::server::member::Shared;
use crate::server::testing::{alone, until};

const PATIENCE: Duration = Duration::from_hours(1);
const NAME: Bytes = Bytes::from_static(b"e");

type Client = ElectionClient<ElectionServer<ElectionService>>;

async fn started(leases: &[i64]) -> (Shared, Client) {
    let member = alone().await;
    for id in leases {
        member.kv.grant(LeaseId(*id), 600).await.expect("granted");
    }
    let service = ElectionService::new(member.clone());
    (member, ElectionClient::new(ElectionServer::new(service)))
}

async fn campaign(
    mut client: Client,
    lease: i64,
    value: &'static str,
) -> Result<pb::LeaderKey, Status> {
    let request = pb::CampaignRequest {
        name: NAME,
        lease,
        value: value.into(),
    };
    let elected = timeout(PATIENCE, client.campaign(request)).await;
    let elected = elected.expect("in time")?.into_inner();
    Ok(elected.leader.expect("always there"))
}

async fn proclaim(
    client: &mut Client,
    leader: &pb::LeaderKey,
    value: &'static str,
) -> Result<(), Status> {
    let request = pb::ProclaimRequest {
        leader: Some(leader.clone()),
        value: value.into(),
    };
    client.proclaim(request).await.map(drop)
}

async fn resign(client: &mut Client, leader: &pb::LeaderKey) {
    let leader = Some(leader.clone());
    let resigned = client.resign(pb::ResignRequest { leader }).await;
    resigned.expect("it is led");
}

async fn observe(client: &mut Client) -> Streaming<pb::LeaderResponse> {
    let observed = client.observe(pb::LeaderRequest { name: NAME }).await;
    observed.expect("it opens").into_inner()
}

/// The next leader, as it is told: its key, and what it proclaims.
async fn told(observed: &mut Streaming<pb::LeaderResponse>) -> (Bytes, Bytes) {
    let told = timeout(PATIENCE, observed.message()).await;
    let told = told
        .expect("in time")
        .expect("no error")
        .expect("it goes on");
    assert!(told.header.is_some());
    let kv = told.kv.expect("always there");
    (kv.key, kv.value)
}

fn pair(key: &'static str, value: &'static str) -> (Bytes, Bytes) {
    (key.into(), value.into())
}

#[tokio::test(start_paused = true)]
async fn one_leads_after_the_other_and_observers_are_told() {
    let (member, mut client) = started(&[1, 2]).await;
    let nobody = client.leader(pb::LeaderRequest { name: NAME }).await;
    let nobody = nobody.expect_err("nobody campaigns");
    assert_eq!(
        (nobody.code(), nobody.message()),
        (Code::Unknown, "election: no leader")
    );
    let mut observed = observe(&mut client).await;
    let first = campaign(client.clone(), 1, "one").await.expect("alone");
    assert_eq!(
        (&*first.name, &*first.key, first.lease),
        (&b"e"[..], &b"e/1"[..], 1)
    );
    assert_eq!(told(&mut observed).await, pair("e/1", "one"));
    let second = tokio::spawn(campaign(client.clone(), 2, "two"));
    for value in ["uno", "un"] {
        proclaim(&mut client, &first, value)
            .await
            .expect("it leads");
        assert_eq!(told(&mut observed).await, pair("e/1", value));
    }
    let leader = client.leader(pb::LeaderRequest { name: NAME }).await;
    let leader = leader.expect("one leads").into_inner().kv.expect("there");
    assert_eq!((leader.key, leader.value), pair("e/1", "un"));
    assert_eq!(leader.create_revision, first.rev);
    assert!(!second.is_finished());
    resign(&mut client, &first).await;
    let second = second.await.expect("no panic").expect("its turn");
    assert_eq!(second.key, "e/2");
    assert_eq!(told(&mut observed).await, pair("e/2", "two"));
    // Whoever led before can't speak for whoever leads now, nor depose it.
    let late = proclaim(&mut client, &first, "late").await;
    let late = late.expect_err("it does not lead");
    assert_eq!(
        (late.code(), late.message()),
        (Code::Unknown, "election: not leader")
    );
    resign(&mut client, &first).await;
    member.kv.revoke(LeaseId(2)).await.expect("it is there");
    let third = campaign(client.clone(), 1, "again")
        .await
        .expect("nobody leads");
    assert!(third.rev > second.rev);
    assert_eq!(told(&mut observed).await, pair("e/1", "again"));
}

#[tokio::test(start_paused = true)]
async fn who_campaigns_again_says_something_new_under_the_same_key() {
    let (_member, client) = started(&[1]).await;
    let first = campaign(client.clone(), 1, "one").await.expect("alone");
    let mut observed = observe(&mut client.clone()).await;
    assert_eq!(told(&mut observed).await, pair("e/1", "one"));
    let again = campaign(client.clone(), 1, "two").await.expect("it leads");
    assert_eq!(again, first);
    assert_eq!(told(&mut observed).await, pair("e/1", "two"));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_without_its_lease_is_not_elected() {
    let (member, client) = started(&[1, 2]).await;
    campaign(client.clone(), 1, "one").await.expect("alone");
    let waiting = tokio::spawn(campaign(client.clone(), 2, "two"));
    until(&member, "e/", Wanted::Puts, 2).await;
    member.kv.revoke(LeaseId(2)).await.expect("it is there");
    let lost = waiting
        .await
        .expect("no panic")
        .expect_err("its key is gone");
    assert_eq!(lost.message(), "election: not leader");
}

#[tokio::test(start_paused = true)]
async fn an_observer_goes_on_over_a_compaction() {
    let (member, mut client) = started(&[1]).await;
    let mut observed = observe(&mut client).await;
    let leader = campaign(client.clone(), 1, "one").await.expect("alone");
    assert_eq!(told(&mut observed).await, pair("e/1", "one"));
    for value in ["two", "three"] {
        proclaim(&mut client, &leader, value)
            .await
            .expect("it leads");
    }
    let now = member.store().state().expect("readable").revision;
    member.kv.compact(now).await.expect("it is led");
    let mut last = told(&mut observed).await;
    while last != pair("e/1", "three") {
        last = told(&mut observed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_leads_has_to_be_said() {
    let (_member, mut client) = started(&[]).await;
    let resigned = client.resign(pb::ResignRequest { leader: None }).await;
    let refused = resigned.expect_err("whose?");
    assert_eq!(refused.message(), "\"leader\" field must be provided");
}
