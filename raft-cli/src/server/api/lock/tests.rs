//! Locks, as clients see them.

use std::time::Duration;

use bytes::Bytes;
use raft_core::Consistency;
use raft_kv::request::RangeRequest;
use raft_kv::watch::Wanted;
use raft_kv::{Keys, LeaseId};
use tokio::time::timeout;
use tonic::{Code, Response, Status};

use super::LockService;
use crate::pb::v3lockpb as pb;
use crate::pb::v3lockpb::lock_client::LockClient;
use crate::pb::v3lockpb::lock_server::LockServer;
use crate::server::member::Shared;
use crate::server::testing::{alone, put, until};

const PATIENCE: Duration = Duration::from_hours(1);

type Locked = Result<Response<pb::LockResponse>, Status>;

/// Asks for the lock `l`, in a task of its own.
fn lock(service: &LockService, lease: i64) -> tokio::task::JoinHandle<Locked> {
    let mut client = LockClient::new(LockServer::new(service.clone()));
    let name = Bytes::from_static(b"l");
    tokio::spawn(async move { client.lock(pb::LockRequest { name, lease }).await })
}

async fn held(locked: tokio::task::JoinHandle<Locked>) -> Result<Bytes, Status> {
    let locked = timeout(PATIENCE, locked).await.expect("in time");
    Ok(locked.expect("no panic")?.into_inner().key)
}

async fn unlock(service: &LockService, key: Bytes) {
    let mut client = LockClient::new(LockServer::new(service.clone()));
    client
        .unlock(pb::UnlockRequest { key })
        .await
        .expect("it is led");
}

/// The keys of the lock, in the order in which they came.
async fn queue(member: &Shared) -> Vec<Bytes> {
    let range = RangeRequest::of(Keys::prefix("l/"));
    let found = member.kv.range(range, Consistency::Linearizable).await;
    let mut kvs = found.expect("it is led").1.kvs;
    kvs.sort_by_key(|kv| kv.create_revision);
    kvs.into_iter().map(|kv| kv.key).collect()
}

async fn leases(member: &Shared, ids: &[i64]) {
    for id in ids {
        member.kv.grant(LeaseId(*id), 600).await.expect("granted");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_came_first_holds_it_and_the_next_one_after() {
    let member = alone().await;
    leases(&member, &[0x1f, -2, 3]).await;
    let service = LockService::new(member.clone());
    // Others' keys are of no concern, however alike.
    put(&member, "l", "").await;
    put(&member, "l0", "").await;
    let first = held(lock(&service, 0x1f)).await.expect("it is free");
    assert_eq!(first, "l/1f");
    let second = lock(&service, -2);
    until(&member, "l/", Wanted::Puts, 2).await;
    let third = lock(&service, 3);
    until(&member, "l/", Wanted::Puts, 3).await;
    assert_eq!(queue(&member).await, ["l/1f", "l/-2", "l/3"]);
    assert!(!second.is_finished() && !third.is_finished());
    // Asked again, whoever holds it is told so.
    assert_eq!(held(lock(&service, 0x1f)).await.expect("still"), first);
    unlock(&service, first).await;
    let second = held(second).await.expect("its turn");
    assert!(!third.is_finished());
    unlock(&service, second).await;
    assert_eq!(held(third).await.expect("its turn"), "l/3");
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_lease_loses_the_lock_and_the_place() {
    let member = alone().await;
    leases(&member, &[1, 2, 3]).await;
    let service = LockService::new(member.clone());
    held(lock(&service, 1)).await.expect("it is free");
    let waiting = lock(&service, 2);
    until(&member, "l/", Wanted::Puts, 2).await;
    let last = lock(&service, 3);
    until(&member, "l/", Wanted::Puts, 3).await;
    member.kv.revoke(LeaseId(2)).await.expect("it is there");
    let lost = held(waiting).await.expect_err("its key is gone");
    assert_eq!(
        (lost.code(), lost.message()),
        (Code::Unknown, "mutex: session is expired")
    );
    assert!(!last.is_finished());
    member.kv.revoke(LeaseId(1)).await.expect("it is there");
    assert_eq!(held(last).await.expect("its turn"), "l/3");
    let refused = held(lock(&service, 404)).await.expect_err("no such lease");
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_holds_up_nobody() {
    let member = alone().await;
    leases(&member, &[1, 2, 3]).await;
    let service = LockService::new(member.clone());
    let first = held(lock(&service, 1)).await.expect("it is free");
    let gone = lock(&service, 2);
    until(&member, "l/", Wanted::Puts, 2).await;
    gone.abort();
    until(&member, "l/", Wanted::Deletes, 1).await;
    assert_eq!(queue(&member).await, ["l/1"]);
    // The one who holds it asks again, and does not wait for the answer: it holds it still.
    let again = lock(&service, 1);
    again.abort();
    assert!(again.await.is_err_and(|gone| gone.is_cancelled()));
    let third = lock(&service, 3);
    until(&member, "l/", Wanted::Puts, 3).await;
    assert_eq!(queue(&member).await, ["l/1", "l/3"]);
    unlock(&service, first).await;
    assert_eq!(held(third).await.expect("its turn"), "l/3");
}

#[tokio::test(start_paused = true)]
async fn who_comes_without_a_lease_gets_one() {
    let member = alone().await;
    let service = LockService::new(member.clone());
    let key = held(lock(&service, 0)).await.expect("it is free");
    let leases = member.kv.leases(Consistency::Linearizable).await;
    let leases = leases.expect("it is led");
    let [(id, lease)] = &leases[..] else {
        panic!("{leases:?}");
    };
    assert_eq!(key, format!("l/{:x}", id.0));
    assert_eq!(lease.ttl_s, 60);
}
