//! Leases, as a client sees them.

mod forwarded;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

use super::{LeaseService, ttl_s_min};
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::lease_client::LeaseClient;
use crate::pb::etcdserverpb::lease_server::LeaseServer;
use crate::server::member::Shared;
use crate::server::testing::{alone, leaderless};
use raft_kv::LeaseId;
use raft_kv::request::PutRequest;

const PATIENCE: Duration = Duration::from_hours(1);

type Client = LeaseClient<LeaseServer<LeaseService>>;

fn client(member: &Shared) -> Client {
    LeaseClient::new(LeaseServer::new(LeaseService::new(member.clone())))
}

async fn grant(client: &mut Client, id: i64, ttl: i64) -> Result<pb::LeaseGrantResponse, Status> {
    let granted = client.lease_grant(pb::LeaseGrantRequest { ttl, id }).await;
    Ok(granted?.into_inner())
}

async fn time_to_live(client: &mut Client, id: i64) -> pb::LeaseTimeToLiveResponse {
    let request = pb::LeaseTimeToLiveRequest { id, keys: true };
    let known = client.lease_time_to_live(request).await;
    known.expect("no error").into_inner()
}

/// What a stream of keep-alives of these leases is answered.
async fn keep_alive(client: &mut Client, ids: &[i64]) -> Result<Vec<(i64, i64)>, Status> {
    let (requests, receiver) = mpsc::channel(ids.len());
    for id in ids {
        let request = pb::LeaseKeepAliveRequest { id: *id };
        requests.try_send(request).expect("there is room");
    }
    let request = Request::new(ReceiverStream::new(receiver));
    let mut answers = client.lease_keep_alive(request).await?.into_inner();
    let mut told = Vec::new();
    for _ in ids {
        let answer = timeout(PATIENCE, answers.message()).await;
        let answer = answer.expect("in time")?.expect("the stream goes on");
        assert!(answer.header.is_some());
        told.push((answer.id, answer.ttl));
    }
    drop(requests);
    let end = timeout(PATIENCE, answers.message()).await;
    assert!(
        end.expect("in time")?.is_none(),
        "it ends with the requests"
    );
    Ok(told)
}

#[test]
fn a_lease_outlasts_an_election() {
    for (election_ms, least) in [(1000, 2), (2000, 3), (100, 1), (666, 1), (667, 2)] {
        let election_timeout = Duration::from_millis(election_ms);
        assert_eq!(ttl_s_min(election_timeout), least, "{election_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn leases_are_granted_and_refused_as_etcd_does() {
    let member = alone().await;
    let mut client = client(&member);
    for (asked, given) in [(-5, 2), (0, 2), (1, 2), (60, 60)] {
        let granted = grant(&mut client, 0, asked).await.expect("granted");
        assert!(granted.id > 0);
        assert_eq!(granted.ttl, given, "of {asked}");
        assert_eq!(granted.header.expect("always there").revision, 1);
    }
    assert_eq!(grant(&mut client, -7, 60).await.expect("granted").id, -7);
    for (id, ttl, code, text) in [
        (
            -7,
            60,
            Code::FailedPrecondition,
            "etcdserver: lease already exists",
        ),
        (
            8,
            i64::MAX,
            Code::OutOfRange,
            "etcdserver: too large lease TTL",
        ),
    ] {
        let refused = grant(&mut client, id, ttl).await.expect_err("refused");
        assert_eq!((refused.code(), refused.message()), (code, text));
    }
    let listed = client.lease_leases(pb::LeaseLeasesRequest {}).await;
    let listed = listed.expect("no error").into_inner().leases;
    assert_eq!(listed.len(), 5);
    assert!(listed.iter().any(|lease| lease.id == -7));
    let revoke = pb::LeaseRevokeRequest { id: -7 };
    client.lease_revoke(revoke).await.expect("it is there");
    let refused = client.lease_revoke(revoke).await.expect_err("it is gone");
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "etcdserver: requested lease not found");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_has_no_time_and_that_is_no_error() {
    let member = alone().await;
    let mut client = client(&member);
    grant(&mut client, 1, 60).await.expect("granted");
    let told = keep_alive(&mut client, &[404, 1, 405]).await;
    assert_eq!(told.expect("no error"), [(404, 0), (1, 60), (405, 0)]);
    let unknown = time_to_live(&mut client, 404).await;
    assert_eq!((unknown.id, unknown.ttl, unknown.granted_ttl), (404, -1, 0));
    assert!(unknown.header.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_says_how_long_it_lives_and_what_is_attached() {
    let member = alone().await;
    let mut client = client(&member);
    grant(&mut client, 1, 60).await.expect("granted");
    for key in ["b", "a"] {
        let put = PutRequest {
            lease: Some(LeaseId(1)),
            ..PutRequest::of(key, "")
        };
        member.kv.put(put).await.expect("it is led");
    }
    let known = time_to_live(&mut client, 1).await;
    assert_eq!(known.granted_ttl, 60);
    assert!((1..=60).contains(&known.ttl), "{}", known.ttl);
    assert_eq!(known.keys, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn more_keep_alives_than_are_confirmed_together_are_answered_in_order() {
    let member = alone().await;
    let mut client = client(&member);
    let ids: Vec<_> = (1..=150).collect();
    for id in &ids {
        grant(&mut client, *id, 60).await.expect("granted");
    }
    let told = keep_alive(&mut client, &ids).await.expect("no error");
    let expected: Vec<_> = ids.iter().map(|id| (*id, 60)).collect();
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_it_is_said_in_time() {
    let member = leaderless().await;
    let mut client = client(&member);
    let began = Instant::now();
    let refused = keep_alive(&mut client, &[1])
        .await
        .expect_err("nobody leads");
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "etcdserver: no leader");
    let elections = member.config.election_timeout * 2;
    assert!(began.elapsed() <= elections, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_was_passed_on_is_not_passed_on_again() {
    let member = leaderless().await;
    let mut client = client(&member);
    let mut request = Request::new(pb::LeaseTimeToLiveRequest { id: 1, keys: false });
    let flag = "1".parse().expect("ascii");
    request.metadata_mut().insert("raft-forwarded", flag);
    let refused = client.lease_time_to_live(request).await;
    let refused = refused.expect_err("it does not lead");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "etcdserver: not leader");
}
