//! Two of three members are lost with their disks. The one that is left cannot go on alone, and an
//! operator makes a new cluster of what it has.

use std::time::Duration;

use raft_tests::processes::{Cluster, Load, Plan, Wishes, insist, printed, seed, skip, until};

use crate::program;

const TOKEN: &str = "--initial-cluster-token=recovered";

/// What all registers hold, by what a member says.
async fn registers(cluster: &Cluster, member: u64) -> Vec<Option<bytes::Bytes>> {
    let client = cluster.client(member);
    let mut values = Vec::new();
    for key in 0..8 {
        let key = format!("register/{key}");
        values.push(insist(async || client.get(&key).await).await.value);
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_lost_its_quorum_is_recovered_from_the_member_that_is_left() {
    let program = program();
    if !program.is_ours() {
        return skip("etcd has no such verb");
    }
    let mut cluster = Cluster::start(&program, Plan::of(3)).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    load.answers(500).await;
    drop(load.stop().await);
    let left = cluster.follower().await;
    // A linearizable read: it has all that was ever acknowledged.
    let held = registers(&cluster, left).await;
    assert!(
        held.iter().all(Option::is_some),
        "all registers were written: {held:?}"
    );
    for lost in (1..=3).filter(|id| *id != left) {
        cluster.kill(lost);
        cluster.wipe(lost);
        cluster.close_to_clients(lost);
    }
    let alone = cluster.client(left).patient(Duration::from_secs(20));
    let written = alone.put("alone", "").await;
    assert!(written.is_err(), "one of three agreed with itself");
    cluster.stop(left).await;
    cluster.close_to_clients(left);

    let old = cluster.data(left);
    let first = 4;
    let peer = cluster.peer_url(first);
    let mut look = program.verb("recover");
    let said = printed(look.arg("--data-dir").arg(&old));
    assert!(
        said.contains("last entry") && said.contains("nothing was done"),
        "{said}"
    );
    assert!(!cluster.data(first).exists(), "to look changes nothing");
    let mut recover = program.verb("recover");
    recover.arg("--data-dir").arg(&old).arg("--accept-loss");
    recover
        .arg("--new-data-dir")
        .arg(cluster.data(first))
        .arg(TOKEN);
    recover.arg("--name").arg(cluster.name(first));
    let said = printed(recover.arg(format!("--initial-advertise-peer-urls={peer}")));
    assert!(
        said.contains("raft-cli server"),
        "it says how to go on: {said}"
    );

    cluster.found_with(first, &[first], &[TOKEN]);
    cluster.serves(first).await;
    assert_eq!(
        registers(&cluster, first).await,
        held,
        "nothing acknowledged is lost"
    );
    cluster.grow(5, &[TOKEN]).await;
    cluster.grow(6, &[TOKEN]).await;
    cluster.kill(first);
    let leader = cluster.leader().await;
    assert_eq!(registers(&cluster, leader).await, held);
    // The old cluster is another one, whatever its member is told: it is neither let in nor heard.
    cluster.join(left, &cluster.up(), &[TOKEN]);
    until("the old member keeps to its own cluster", async || {
        let said = cluster.said(left);
        said.contains("belongs to the cluster of this token")
            .then_some(())
    })
    .await;
    let stale = cluster.client(left).patient(Duration::from_secs(2));
    assert!(stale.put("register/0", "of the past").await.is_err());
    assert!(stale.get("register/0").await.is_err(), "it has no quorum");
    cluster.close_to_clients(left);
    cluster.kill(left);
    assert_eq!(registers(&cluster, leader).await, held);
    let header = insist(async || cluster.client(leader).put("on", "we go").await).await;
    cluster.restart(first);
    cluster.agree(header.revision).await;
    cluster.end().await;
}
