//! The disk of a member fills up under it. What makes room goes on, what needs room is refused, and
//! all is well again once there is room.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_cli::pb::etcdserverpb::AlarmType;
use raft_tests::processes::{
    Cluster, Load, Plan, SmallDisk, Trouble, Wishes, insist, seed, skip, until,
};

use crate::program;

/// Room for some segments of the log beside what is to be left free of the disk.
const DISK_MIB: u64 = 768;
/// Less than what is to be left free.
const LEFT_BYTES: u64 = 100 << 20;
/// What etcd's clients are told when there is no room.
const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_raises_an_alarm_stops_only_writes_and_clears_itself() {
    let program = program();
    if !program.is_ours() {
        return skip("etcd raises no alarm about its disk");
    }
    let disk = match SmallDisk::mount(DISK_MIB) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let plan = Plan::of(3).with("snapshot-count", "500");
    let cluster = Cluster::start_on(&program, plan, BTreeMap::from([(1, disk)])).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    cluster.hand_to(1).await;
    let small = cluster.id(1).await;
    let witness = cluster.client(2);
    insist(async || witness.put("room", "is made of this").await).await;
    load.answers(100).await;

    cluster.disk(1).fill(LEFT_BYTES);
    until("an alarm is raised", async || {
        let alarms = witness.alarms().await.ok()?;
        alarms.contains(&(small, AlarmType::Nospace)).then_some(())
    })
    .await;
    let refused = witness.put("more", "of it").await;
    match refused {
        Err(Trouble::Refused(why)) => assert!(why.ends_with(NO_SPACE), "{why}"),
        other => panic!("there is no room, and yet {other:?}"),
    }
    for member in 1..=3 {
        let client = cluster.client(member);
        insist(async || client.get("room").await).await;
    }
    insist(async || witness.delete("room").await).await;
    assert_eq!(insist(async || witness.get("room").await).await.value, None);
    let leader = until("somebody with room leads", async || {
        let leader = cluster.leader().await;
        (leader != 1).then_some(leader)
    })
    .await;
    println!("member {leader} leads now, while the disk of member 1 is full");

    cluster.disk(1).drain();
    until("the alarm is cleared", async || {
        witness.alarms().await.ok()?.is_empty().then_some(())
    })
    .await;
    until("writes go on", async || {
        witness.put("more", "of it").await.ok()
    })
    .await;
    load.answers(100).await;
    let counts = load.book().counts();
    assert!(counts.refused > 10, "clients were refused: {counts:?}");
    cluster.judge(load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_a_byte_left_costs_its_member_and_no_one_else() {
    let program = program();
    if !program.is_ours() {
        return skip("etcd ends by a panic when its disk is full");
    }
    let disk = match SmallDisk::mount(DISK_MIB) {
        Ok(disk) => disk,
        Err(why) => return skip(&why),
    };
    let plan = Plan::of(3).with("snapshot-count", "200");
    let mut cluster = Cluster::start_on(&program, plan, BTreeMap::from([(1, disk)])).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    cluster.hand_to(1).await;
    // At once, so that no alarm can come before the edge.
    cluster.disk(1).fill(0);
    let others = [2, 3];
    until("the others lead and answer", async || {
        let leader = cluster.leader_among(&others).await;
        cluster.client(leader).get("any").await.ok()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.disk(1).drain();
    // It may have ended, saying why; or have borne it.
    if cluster.has_ended(1) {
        println!("member 1 ended, and is started again");
        cluster.ended(1).await;
        cluster.restart(1);
    }
    cluster.serves(1).await;
    until("writes go on", async || {
        cluster.client(1).put("any", "any").await.ok()
    })
    .await;
    load.answers(100).await;
    cluster.judge(load).await;
}
