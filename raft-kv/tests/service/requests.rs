//! Each request, and what it is answered.

use bytes::Bytes;
use raft_core::session::Session;
use raft_core::{Consistency, NodeId};
use raft_kv::command::Announcement;
use raft_kv::request::{
    Compare, CompareTarget, Content, DeleteRequest, Op, Operator, PutRequest, RangeRequest,
    TxnRequest,
};
use raft_kv::response::Response;
use raft_kv::service::{Kv, KvError};
use raft_kv::{AlarmKind, KeyValue, Keys, LeaseId, Refusal, Revision};

use super::cluster::{Cluster, alone, log_end};

const LINEARIZABLE: Consistency = Consistency::Linearizable;

/// The keys of this member, with their values.
async fn all(kv: &Kv) -> Vec<(Bytes, Bytes)> {
    let range = RangeRequest::of(Keys::all());
    let (_, found) = kv.range(range, LINEARIZABLE).await.expect("answered");
    let pair = |kv: KeyValue| (kv.key, kv.value);
    found.kvs.into_iter().map(pair).collect()
}

fn pair(key: &'static str, value: &'static str) -> (Bytes, Bytes) {
    (key.into(), value.into())
}

fn delete(keys: Keys) -> DeleteRequest {
    DeleteRequest {
        keys,
        wants_prev: false,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_at_one_member_is_there_at_all() {
    let cluster = Cluster::of(3).await;
    for id in 1..=3 {
        let key = format!("key-{id}");
        let put = cluster.member(NodeId(id)).put(PutRequest::of(key, "v"));
        let (revision, prev) = put.await.expect("done");
        assert_eq!((revision, prev), (Revision(id + 1), None));
    }
    for id in 1..=3 {
        assert_eq!(
            all(cluster.member(NodeId(id))).await.len(),
            3,
            "member {id}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn puts_and_deletions_say_what_was_there() {
    let kv = alone().await;
    let put = |value: &'static str| PutRequest {
        wants_prev: true,
        ..PutRequest::of("key", value)
    };
    kv.put(put("one")).await.expect("done");
    let (revision, prev) = kv.put(put("two")).await.expect("done");
    assert_eq!(revision, Revision(3));
    assert_eq!(prev.map(|prev| prev.value), Some(Bytes::from("one")));
    let request = DeleteRequest {
        wants_prev: true,
        ..delete(Keys::prefix("k"))
    };
    let (revision, deleted) = kv.delete(request).await.expect("done");
    assert_eq!((revision, deleted.deleted), (Revision(4), 1));
    assert_eq!(deleted.prevs[0].value, "two");
    assert_eq!(all(&kv).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_only_asks_is_not_proposed() {
    let kv = alone().await;
    kv.put(PutRequest::of("key", "value")).await.expect("done");
    let end = log_end(&kv).await;
    let ask = TxnRequest {
        compares: vec![Compare {
            keys: Keys::one("key"),
            operator: Operator::Equal,
            target: CompareTarget::Version(1),
        }],
        success: vec![Op::Range(RangeRequest::of(Keys::all()))],
        failure: vec![],
    };
    let (revision, response) = kv.txn(ask.clone()).await.expect("answered");
    assert_eq!(revision, Revision(2));
    assert!(response.succeeded);
    let [Response::Range(found)] = &response.responses[..] else {
        panic!("one range: {response:?}");
    };
    assert_eq!(found.count, 1);
    assert_eq!(log_end(&kv).await, end, "nothing was proposed");

    let tell = TxnRequest {
        success: vec![Op::Put(PutRequest::of("key", "other"))],
        ..ask
    };
    let (revision, response) = kv.txn(tell.clone()).await.expect("done");
    assert!(response.succeeded);
    assert_eq!(revision, Revision(3));
    assert!(log_end(&kv).await > end);
    let misused = kv.read_txn(tell, Consistency::Local).await;
    assert!(matches!(misused, Err(KvError::NotRead(_))), "{misused:?}");
    assert_eq!(all(&kv).await, [pair("key", "other")]);
}

#[tokio::test(start_paused = true)]
async fn a_command_of_a_session_that_is_sent_again_takes_effect_once() {
    let cluster = Cluster::of(3).await;
    let (_, [here, there]) = cluster.roles();
    let (here, there) = (cluster.member(here), cluster.member(there));
    let client = here.open_session().await.expect("opened");
    let session = |sequence| Session { client, sequence };
    let put = || PutRequest::of("key", "value");
    let first = here.put_once(session(1), put()).await.expect("done");
    let again = there.put_once(session(1), put()).await.expect("done");
    assert_eq!(first, again);
    assert_eq!(first.0, Revision(2));

    let deletion = || delete(Keys::one("key"));
    let (_, first) = here
        .delete_once(session(2), deletion())
        .await
        .expect("done");
    let (revision, again) = there
        .delete_once(session(2), deletion())
        .await
        .expect("done");
    assert_eq!((first.deleted, again.deleted), (1, 1));
    assert_eq!(revision, Revision(3));

    let ask = || TxnRequest {
        success: vec![Op::Range(RangeRequest::of(Keys::all()))],
        ..TxnRequest::default()
    };
    let first = here.txn_once(session(3), ask()).await.expect("answered");
    here.put(put()).await.expect("done");
    let again = there.txn_once(session(3), ask()).await.expect("answered");
    assert_eq!(first, again, "as it was the first time");
}

#[tokio::test(start_paused = true)]
async fn a_sequence_of_another_command_is_noticed() {
    let kv = alone().await;
    let client = kv.open_session().await.expect("opened");
    let session = Session {
        client,
        sequence: 1,
    };
    let put = kv.put_once(session, PutRequest::of("key", "value"));
    put.await.expect("done");
    let other = kv.delete_once(session, delete(Keys::one("key"))).await;
    assert!(matches!(other, Err(KvError::OtherCommand)), "{other:?}");
    assert_eq!(all(&kv).await, [pair("key", "value")]);
}

#[tokio::test(start_paused = true)]
async fn leases_are_granted_listed_and_revoked_with_their_keys() {
    let kv = alone().await;
    let (_, chosen) = kv.grant(LeaseId::NONE, 60).await.expect("granted");
    let (_, named) = kv.grant(LeaseId(7), 30).await.expect("granted");
    assert_ne!(chosen, LeaseId::NONE);
    assert_eq!(named, LeaseId(7));
    let put = PutRequest {
        lease: Some(named),
        ..PutRequest::of("key", "value")
    };
    kv.put(put).await.expect("done");
    let lease = kv.lease(named, LINEARIZABLE).await.expect("answered");
    let lease = lease.expect("it is there");
    assert_eq!(
        (lease.lease.ttl_s, lease.keys),
        (30, vec![Bytes::from("key")])
    );
    let leases = kv.leases(LINEARIZABLE).await.expect("answered");
    assert_eq!(leases.len(), 2);
    let (revision, ()) = kv.revoke(named).await.expect("done");
    assert_eq!(revision, Revision(3));
    assert_eq!(all(&kv).await, []);
    let gone = kv.lease(named, LINEARIZABLE).await.expect("answered");
    assert_eq!(gone, None);
    let again = kv.revoke(named).await;
    let refused = matches!(again, Err(KvError::Refused(Refusal::LeaseNotFound)));
    assert!(refused, "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn under_an_alarm_only_what_takes_no_room_is_done() {
    let kv = alone().await;
    kv.put(PutRequest::of("a", "")).await.expect("done");
    let (member, alarm) = (NodeId(1), AlarmKind::NoSpace);
    kv.raise(member, alarm).await.expect("done");
    let alarms = kv.alarms(LINEARIZABLE).await.expect("answered");
    assert_eq!(alarms, [(member, alarm)]);
    let put = kv.put(PutRequest::of("b", "")).await;
    let refused = matches!(put, Err(KvError::Refused(Refusal::NoSpace)));
    assert!(refused, "{put:?}");
    kv.delete(delete(Keys::one("a"))).await.expect("done");
    kv.clear(member, alarm).await.expect("done");
    kv.put(PutRequest::of("b", "")).await.expect("done");
    assert_eq!(all(&kv).await, [pair("b", "")]);
}

#[tokio::test(start_paused = true)]
async fn what_is_compacted_can_not_be_read_any_more() {
    let kv = alone().await;
    for value in ["1", "2", "3"] {
        kv.put(PutRequest::of("key", value)).await.expect("done");
    }
    kv.compact(Revision(3)).await.expect("done");
    let at = |revision| RangeRequest {
        revision,
        ..RangeRequest::of(Keys::one("key"))
    };
    let (revision, found) = kv
        .range(at(Revision(3)), LINEARIZABLE)
        .await
        .expect("there");
    assert_eq!(
        (revision, &found.kvs[0].value[..]),
        (Revision(4), &b"2"[..])
    );
    let gone = kv.range(at(Revision(2)), LINEARIZABLE).await;
    let compacted = Revision(3);
    let Err(KvError::Refused(refusal)) = gone else {
        panic!("it is gone: {gone:?}");
    };
    assert_eq!(refusal, Refusal::Compacted { compacted });
}

#[tokio::test(start_paused = true)]
async fn members_say_who_they_are_until_they_are_forgotten() {
    let kv = alone().await;
    let announcement = Announcement {
        member: NodeId(1),
        version: 1,
        name: "one".to_owned(),
        client_urls: vec!["http://one:2379".to_owned()],
    };
    kv.announce(announcement.clone()).await.expect("done");
    let members = kv.members(LINEARIZABLE).await.expect("answered");
    assert_eq!(members, [announcement]);
    kv.forget(NodeId(1)).await.expect("done");
    assert_eq!(kv.members(LINEARIZABLE).await.expect("answered"), []);
    kv.upgrade(2).await.expect("done");
    let lower = kv.upgrade(1).await;
    let refused = matches!(lower, Err(KvError::Refused(Refusal::VersionTooLow)));
    assert!(refused, "{lower:?}");
}

#[tokio::test(start_paused = true)]
async fn members_that_have_the_same_have_the_same_hash() {
    let cluster = Cluster::of(3).await;
    let (leader, [other, _]) = cluster.roles();
    let (leader, other) = (cluster.member(leader), cluster.member(other));
    leader.put(PutRequest::of("key", "1")).await.expect("done");
    leader.put(PutRequest::of("key", "2")).await.expect("done");
    other.node().barrier(LINEARIZABLE).await.expect("led");
    let hash = |kv: &Kv, revision| kv.hash(revision).expect("it is there");
    assert_eq!(hash(leader, Revision::NONE), hash(other, Revision::NONE));
    assert_ne!(
        hash(leader, Revision(2)).hash,
        hash(leader, Revision(3)).hash
    );
    let future = leader.hash(Revision(4));
    let revision = Revision(3);
    let Err(KvError::Refused(refusal)) = future else {
        panic!("it is not there yet: {future:?}");
    };
    assert_eq!(refusal, Refusal::FutureRevision { revision });
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_gets_too_long_is_none_and_its_parts_are() {
    let kv = alone().await;
    for key in ["a", "b", "c"] {
        let put = PutRequest::of(key, vec![0; 1000]);
        kv.put(put).await.expect("done");
    }
    let within = |limit: u64, bytes_max: usize, request: RangeRequest| {
        let request = RangeRequest { limit, ..request };
        let (_, found) = kv.range_within(&request, bytes_max).expect("read");
        found.map(|found| (found.kvs.len(), found.count, found.more))
    };
    let all = || RangeRequest::of(Keys::all());
    assert_eq!(within(0, 3000, all()), None);
    assert_eq!(within(0, 4000, all()), Some((3, 3, false)));
    // The third, which says that there are more, takes no room.
    assert_eq!(within(2, 2500, all()), Some((2, 3, true)));
    assert_eq!(within(2, 1500, all()), None);
    let names = RangeRequest {
        content: Content::KeysOnly,
        ..all()
    };
    assert_eq!(within(0, 1000, names), Some((3, 3, false)));
    let old = RangeRequest {
        revision: Revision(3),
        ..all()
    };
    assert_eq!(within(0, 2000, old.clone()), None);
    assert_eq!(within(0, 2500, old), Some((2, 2, false)));
    let one = RangeRequest::of(Keys::one("a"));
    assert_eq!(within(0, 1000, one.clone()), None);
    assert_eq!(within(0, 1100, one), Some((1, 1, false)));
}
