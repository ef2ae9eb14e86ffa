//! Room, history, members and versions look after themselves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use raft_core::{MemberChange, NodeId};
use raft_kv::keys::Keys;
use raft_kv::request::{DeleteRequest, PutRequest};
use raft_kv::{AlarmKind, AutoCompactionMode, Command, Quota, Refusal, Response, Revision};

use crate::cluster::{Cluster, Member, pass};

fn put(key: &'static str) -> Command {
    Command::Put(PutRequest::of(key, "value"))
}

fn alarms(member: &Member) -> Vec<(NodeId, AlarmKind)> {
    member.store.alarms().expect("rows")
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_raised_and_cleared_by_itself() {
    let cluster = Cluster::start_with(3, 1, |config| {
        config.quota = Quota {
            bytes: 0,
            reserve_bytes: 1000,
        };
    })
    .await;
    let leader = cluster.leader().await;
    // It need not be the leader whose disk is full.
    let full = leader % 3 + 1;
    let member = cluster.member(leader);
    member.done(put("a")).await;
    pass(2_000).await;
    assert_eq!(alarms(member), []);
    cluster.free[usize::try_from(full - 1).expect("small")].store(999, Ordering::Relaxed);
    pass(500).await;
    assert_eq!(alarms(member), [(NodeId(full), AlarmKind::NoSpace)]);
    assert_eq!(member.refused(put("b")).await, Refusal::NoSpace);
    let all = DeleteRequest {
        keys: Keys::all(),
        wants_prev: false,
    };
    assert!(matches!(
        member.done(Command::Delete(all)).await,
        Response::Delete(_)
    ));
    member.done(Command::Compact(member.state().revision)).await;
    // A little more room is not enough, or it would come and go.
    cluster.free[usize::try_from(full - 1).expect("small")].store(1001, Ordering::Relaxed);
    let last = cluster.last(leader).await;
    pass(5_000).await;
    assert_eq!(alarms(member), [(NodeId(full), AlarmKind::NoSpace)]);
    assert_eq!(cluster.last(leader).await, last, "it says so once");
    cluster.free[usize::try_from(full - 1).expect("small")].store(1200, Ordering::Relaxed);
    pass(500).await;
    assert_eq!(alarms(member), []);
    member.done(put("b")).await;
}

#[tokio::test(start_paused = true)]
async fn history_is_compacted_without_being_told_to() {
    let cluster = Cluster::start_with(3, 2, |config| {
        config.auto_compaction = AutoCompactionMode::Revisions(10);
    })
    .await;
    let leader = cluster.leader().await;
    let member = cluster.member(leader);
    for _ in 0..30 {
        member.done(put("a")).await;
    }
    assert_eq!(member.state().compacted, Revision::NONE);
    pass(5 * 60_000 + 3_000).await;
    let state = member.state();
    assert_eq!(state.compacted.0, state.revision.0 - 10);
    let last = cluster.last(leader).await;
    pass(30 * 60_000).await;
    assert_eq!(
        cluster.last(leader).await,
        last,
        "there is nothing to compact"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_goes_on_compacting_what_is_old() {
    let retention = Duration::from_secs(600);
    let mut cluster = Cluster::start_with(3, 3, move |config| {
        config.auto_compaction = AutoCompactionMode::Periodic(retention);
    })
    .await;
    cluster.leader().await;
    let mut last = Revision::NONE;
    for minute in 0..45 {
        if minute == 25 {
            let old = cluster.leader().await;
            cluster.crash(old).await;
        }
        let leader = cluster.member(cluster.leader().await);
        leader.done(put("a")).await;
        pass(60_000).await;
        let state = leader.state();
        let kept = state.revision.0 - state.compacted.0;
        assert!(kept >= 9 || minute < 10, "minute {minute}, {kept} are kept");
        if minute == 34 {
            assert!(
                state.compacted > last,
                "minute {minute}, after the failover"
            );
        }
        if minute == 24 {
            assert!(state.compacted > last, "minute {minute}");
            last = state.compacted;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn members_say_who_they_are_and_the_version_is_what_all_know() {
    let mut cluster = Cluster::start_with(3, 4, |config| {
        if config.announcement.member != NodeId(3) {
            config.announcement.version = 2;
        }
    })
    .await;
    let leader = cluster.leader().await;
    pass(5_000).await;
    let said = cluster.member(leader).store.members().expect("rows");
    let said: Vec<_> = said
        .into_iter()
        .map(|said| (said.member.0, said.version, said.name))
        .collect();
    let expected =
        [(1, 2), (2, 2), (3, 1)].map(|(id, version)| (id, version, crate::cluster::name(id)));
    assert_eq!(said, expected);
    assert_eq!(cluster.member(leader).state().version, 1);
    let last = cluster.last(leader).await;
    pass(60_000).await;
    assert_eq!(cluster.last(leader).await, last, "all is said");

    // The last one is upgraded.
    cluster.crash(3).await;
    cluster.config = Box::new(|config| config.announcement.version = 2);
    cluster.restart(3).await;
    cluster.leader().await;
    pass(5_000).await;
    for (id, member) in cluster.up() {
        assert_eq!(member.state().version, 2, "member {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_is_forgotten_with_its_alarm() {
    let cluster = Cluster::start_with(3, 5, |config| config.quota.reserve_bytes = 1000).await;
    let leader = cluster.leader().await;
    let gone = leader % 3 + 1;
    let member = cluster.member(leader);
    cluster.free[usize::try_from(gone - 1).expect("small")].store(0, Ordering::Relaxed);
    pass(5_000).await;
    assert_eq!(alarms(member), [(NodeId(gone), AlarmKind::NoSpace)]);
    assert_eq!(member.store.members().expect("rows").len(), 3);
    let remove = vec![MemberChange::Remove(NodeId(gone))];
    let removed = member.node.change_membership(remove, None).await;
    removed.expect("removed");
    pass(5_000).await;
    assert_eq!(alarms(member), []);
    assert_eq!(member.store.members().expect("rows").len(), 2);
    member.done(put("a")).await;
}

#[tokio::test(start_paused = true)]
async fn members_of_the_same_state_report_the_same_of_it() {
    let cluster = Cluster::start_with(3, 6, |config| config.announcement.version = 2).await;
    let leader = cluster.leader().await;
    let member = cluster.member(leader);
    pass(5_000).await;
    assert_eq!(member.state().version, 2);
    for _ in 0..5_000 {
        member.done(put("a")).await;
    }
    let last = cluster.last(leader).await;
    pass(5_000).await;
    assert_eq!(cluster.last(leader).await.since(last), 3, "one report each");
    assert_eq!(alarms(member), []);
}
