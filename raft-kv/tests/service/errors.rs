//! What can come of a request besides its answer: refused, not done, or unknown.

use raft_core::Consistency;
use raft_core::driver::{ReadError, WriteError};
use raft_kv::request::{PutRequest, RangeRequest};
use raft_kv::service::{Kv, KvError, Limits};
use raft_kv::{Keys, LeaseId, Refusal, Revision};

use super::cluster::{Cluster, alone, log_end, name};

#[tokio::test(start_paused = true)]
async fn what_is_refused_at_the_door_is_not_in_the_log() {
    let kv = alone().await;
    kv.put(PutRequest::of("key", "value")).await.expect("done");
    let end = log_end(&kv).await;
    let keyless = kv.put(PutRequest::of("", "value")).await;
    let refused = matches!(keyless, Err(KvError::Refused(Refusal::EmptyKey)));
    assert!(refused, "{keyless:?}");
    let range = RangeRequest::of(Keys::one(""));
    let range = kv.range(range, Consistency::Local).await;
    let refused = matches!(range, Err(KvError::Refused(Refusal::EmptyKey)));
    assert!(refused, "{range:?}");
    let grant = kv.grant(LeaseId::NONE, u64::MAX).await;
    let refused = matches!(grant, Err(KvError::Refused(Refusal::LeaseTtlTooLarge)));
    assert!(refused, "{grant:?}");
    let long = kv.put(PutRequest::of("key", vec![0; 1536 << 10])).await;
    assert!(matches!(long, Err(KvError::TooLarge { .. })), "{long:?}");
    assert_eq!(log_end(&kv).await, end);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_only_the_node_finds_too_long_is_too_long() {
    let kv = alone().await;
    let limits = Limits {
        request_bytes_max: usize::MAX,
        ..Limits::default()
    };
    let kv = Kv::new(kv.node().clone(), kv.store().clone(), limits);
    let long = kv.put(PutRequest::of("key", vec![0; 1536 << 10])).await;
    let Err(error @ KvError::TooLarge { .. }) = long else {
        panic!("the node has its limit: {long:?}");
    };
    assert!(error.is_without_effect());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_stopped_does_nothing_and_still_says_what_it_has() {
    let kv = alone().await;
    kv.put(PutRequest::of("key", "value")).await.expect("done");
    kv.node().halt().await;
    let put = kv.put(PutRequest::of("key", "other")).await;
    let Err(error @ KvError::NotDone(WriteError::Stopped)) = put else {
        panic!("it has stopped: {put:?}");
    };
    assert!(error.is_without_effect());
    let range = RangeRequest::of(Keys::one("key"));
    let asked = kv.range(range.clone(), Consistency::Local).await;
    let stopped = matches!(asked, Err(KvError::NotConfirmed(ReadError::Stopped)));
    assert!(stopped, "{asked:?}");
    let (revision, found) = kv.store().range(&range).expect("its rows are there");
    assert_eq!((revision, found.expect("found").count), (Revision(2), 1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_does_not_know_what_becomes_of_a_write() {
    let cluster = Cluster::of(3).await;
    let (leader, _) = cluster.roles();
    cluster.net.isolate(&name(leader));
    let kv = cluster.member(leader);
    let put = kv.put(PutRequest::of("key", "value")).await;
    let Err(error @ KvError::Unknown(WriteError::Unknown)) = put else {
        panic!("nobody can tell: {put:?}");
    };
    assert!(!error.is_without_effect());
    let ask = |consistency| kv.range(RangeRequest::of(Keys::all()), consistency);
    let asked = ask(Consistency::Linearizable).await;
    let unconfirmed = matches!(
        asked,
        Err(KvError::NotConfirmed(ReadError::NoLeader { .. }))
    );
    assert!(unconfirmed, "{asked:?}");
    let (revision, found) = ask(Consistency::Local).await.expect("what it has");
    assert_eq!((revision, found.count), (Revision::FIRST, 0));
}
