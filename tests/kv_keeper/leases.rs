//! Leases end when their time is over, never before, whoever leads; and cost nothing until then.

use std::sync::Arc;
use std::time::Duration;

use raft_core::NodeId;
use raft_core::event::RoleName;
use raft_kv::{Command, LeaseError, LeaseId, Response};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::{Cluster, Member, name, pass};

/// A beat, an election or a look of the test, and the way through the log.
const SLACK: Duration = Duration::from_millis(400);

/// Waits until a member has no such lease any more.
async fn end_of(member: &Member, id: LeaseId) -> Instant {
    for _ in 0..100_000 {
        if !member.has(id) {
            return Instant::now();
        }
        pass(5).await;
    }
    panic!("lease {id} never ends");
}

fn check_span(span: Duration, expected_s: u64) {
    let expected = Duration::from_secs(expected_s);
    assert!(span >= expected, "ended early, after {span:?}");
    assert!(span < expected + SLACK, "ended late, after {span:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_with_its_keys_when_its_time_is_over() {
    for size in [1, 3] {
        let cluster = Cluster::start(size).await;
        let leader = cluster.member(cluster.leader().await);
        // It takes a beat until a new leader knows the leases, and knows of their time.
        pass(500).await;
        let began = Instant::now();
        let lease = leader.grant(7, 5).await;
        leader.attach("a", lease).await;
        assert_eq!(leader.state().keys, 1);
        check_span(end_of(leader, lease).await - began, 5);
        assert_eq!(leader.state().keys, 0, "its key went with it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_kept_alive_stays() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.member(cluster.leader().await);
    pass(500).await;
    let lease = leader.grant(0, 3).await;
    let mut sent = Instant::now();
    for _ in 0..20 {
        pass(2_900).await;
        sent = Instant::now();
        assert_eq!(leader.keeper.keep_alive(lease).await, Ok(3));
        assert!(leader.has(lease));
    }
    check_span(end_of(leader, lease).await - sent, 3);
    let gone = leader.keeper.keep_alive(lease).await;
    assert_eq!(gone, Err(LeaseError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_gives_a_lease_its_full_time_again() {
    let mut cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    pass(500).await;
    let lease = cluster.member(old).grant(7, 10).await;
    let granted = Instant::now();
    pass(8_000).await;
    let before = Instant::now();
    cluster.crash(old).await;
    let leader = cluster.member(cluster.leader().await);
    let elected = Instant::now();
    let end = end_of(leader, lease).await;
    let ttl = Duration::from_secs(10);
    assert!(end - before >= ttl, "ended early, after {:?}", end - before);
    assert!(
        end - elected < ttl + SLACK,
        "ended late, after {:?}",
        end - elected
    );
    assert!(end - granted > Duration::from_secs(18));
}

#[tokio::test(start_paused = true)]
async fn a_lease_can_be_kept_alive_as_soon_as_anybody_knows_of_it() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    pass(500).await;
    for (id, member) in cluster.up() {
        let lease = member.grant(0, 60).await;
        let kept = cluster.member(leader).keeper.keep_alive(lease).await;
        assert_eq!(kept, Ok(60), "granted by way of {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_answers_for_leases() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    pass(500).await;
    let lease = cluster.member(leader).grant(0, 60).await;
    for (id, member) in cluster.up().filter(|(id, _)| *id != leader) {
        let hint = Some(NodeId(leader));
        let refused = Err(LeaseError::NotLeader { hint });
        assert_eq!(
            member.keeper.keep_alive(lease).await,
            refused,
            "member {id}"
        );
        let remaining = member.keeper.time_to_live(lease).await;
        assert_eq!(remaining.map(|_| 0), refused, "member {id}");
    }
    let keeper = &cluster.member(leader).keeper;
    assert_eq!(
        keeper.keep_alive(LeaseId(99)).await,
        Err(LeaseError::NotFound)
    );
    let remaining = keeper.time_to_live(LeaseId(99)).await;
    assert_eq!(remaining, Err(LeaseError::NotFound));
    pass(20_000).await;
    let remaining = keeper.time_to_live(lease).await.expect("it is there");
    assert_eq!(remaining.ttl_s, 60);
    let left = remaining.left.as_millis();
    assert!((39_000..=40_200).contains(&left), "{left} ms are left");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_promises_nothing_and_expires_nothing_when_it_is_back() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    pass(500).await;
    let lease = cluster.member(old).grant(7, 5).await;
    let old_term = cluster.member(old).node.status().core.term;
    cluster.net.isolate(&name(old));
    let kept = cluster.member(old).keeper.keep_alive(lease).await;
    assert!(
        matches!(kept, Err(LeaseError::NotLeader { .. })),
        "{kept:?}"
    );
    let others: Vec<_> = (1..=3).filter(|id| *id != old).collect();
    let new = cluster.member(cluster.leader_among(&others).await);
    pass(200).await;
    for second in 0..30 {
        if second == 20 {
            cluster.net.heal();
        }
        assert_eq!(new.keeper.keep_alive(lease).await, Ok(5));
        pass(1_000).await;
    }
    let back = cluster.member(old);
    back.catch_up().await;
    assert!(back.has(lease));
    // Had it judged before it was cut off, and its judgement come through only now:
    let known = back.node.status().core.applied;
    let ids = vec![lease];
    let late = Command::Expire {
        term: old_term,
        known,
        ids,
    };
    assert_eq!(back.done(late).await, Response::Expired(0));
    assert_eq!(new.keeper.keep_alive(lease).await, Ok(5));
}

/// All of the leader's own process stands still, not only its network.
#[tokio::test(start_paused = true)]
async fn a_leader_that_slept_expires_nothing_before_it_has_listened() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.member(1);
    cluster.leader().await;
    pass(500).await;
    let lease = leader.grant(7, 5).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    pass(1_000).await;
    let sent = Instant::now();
    assert_eq!(leader.keeper.keep_alive(lease).await, Ok(5));
    check_span(end_of(leader, lease).await - sent, 5);
}

#[tokio::test(start_paused = true)]
async fn another_lease_of_the_same_name_has_its_own_time() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.member(cluster.leader().await);
    pass(500).await;
    leader.grant(7, 5).await;
    pass(4_950).await;
    leader.done(Command::Revoke(LeaseId(7))).await;
    let began = Instant::now();
    let lease = leader.grant(7, 9).await;
    check_span(end_of(leader, lease).await - began, 9);
}

#[tokio::test(start_paused = true)]
async fn many_leases_that_are_kept_alive_write_nothing() {
    const LEASES: i64 = 10_000;
    let cluster = Cluster::start(3).await;
    let leader_id = cluster.leader().await;
    let leader = cluster.member(leader_id);
    let mut grants = JoinSet::new();
    for id in 1..=LEASES {
        let node = leader.node.clone();
        let id = LeaseId(id);
        grants.spawn(async move { node.write(Command::Grant { id, ttl_s: 5 }.encode()).await });
    }
    for granted in grants.join_all().await {
        granted.expect("granted");
    }
    pass(2_000).await;
    let last = cluster.last(leader_id).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        let mut kept = JoinSet::new();
        for id in 1..=LEASES {
            let keeper = Arc::clone(&leader.keeper);
            kept.spawn(async move { keeper.keep_alive(LeaseId(id)).await });
        }
        for kept in kept.join_all().await {
            assert_eq!(kept, Ok(5));
        }
        pass(3_000).await;
    }
    assert_eq!(cluster.last(leader_id).await, last, "entries were written");
    assert_eq!(leader.state().leases, LEASES.unsigned_abs());
    assert_eq!(leader.node.status().core.role, RoleName::Leader);
    // Then they end in batches: a few entries, not one each, and not all at once.
    pass(5_000).await;
    assert!(
        leader.state().leases > 1_000,
        "they end no faster than they may"
    );
    pass(12_000).await;
    assert_eq!(leader.state().leases, 0);
    let entries = cluster.last(leader_id).await.since(last);
    assert!(entries < 250, "{entries} entries");
}

#[tokio::test(start_paused = true)]
async fn without_its_keeper_a_leader_expires_nothing() {
    let mut cluster = Cluster::start(1).await;
    cluster.leader().await;
    pass(500).await;
    let lease = cluster.member(1).grant(7, 2).await;
    let (node, store) = cluster.stop_keeper(1).await;
    pass(60_000).await;
    assert!(store.lease(lease).expect("rows").is_some());
    drop(node);
}
