//! What every cluster does: it elects, fails over, comes back, and serves at every node.

use std::collections::BTreeSet;

use raft_core::Consistency;
use raft_core::driver::{Forward, WriteError};
use raft_core::event::RoleName;

use crate::cluster::{Cluster, PATIENCE, Plan};
use crate::load::put;
use crate::machine::{Look, Name, register};

/// Writes at a node until one write is acknowledged.
async fn write_on(cluster: &Cluster, id: u64, client: u64) -> Name {
    let write = async {
        for sequence in 1.. {
            let name = (client, sequence);
            match cluster.node(id).write(put(name)).await {
                Ok(_) => return name,
                Err(WriteError::Unknown | WriteError::NotLeader { .. }) => {}
                Err(error) => panic!("{name:?}: {error}\n{}", cluster.said()),
            }
        }
        unreachable!("numbers don't end")
    };
    let written = tokio::time::timeout(PATIENCE, write).await;
    written.unwrap_or_else(|_| panic!("no write succeeds:\n{}", cluster.said()))
}

async fn elects_serves_and_comes_back(size: u64) {
    let cluster = Cluster::start(size).await;
    let mut acknowledged = BTreeSet::new();
    cluster.leader().await;
    for id in cluster.up() {
        acknowledged.insert(write_on(&cluster, id, id).await);
    }
    cluster.agree(&cluster.up(), &acknowledged).await;
    // All at once, as when the power fails.
    for id in cluster.up() {
        cluster.kill(id).await;
    }
    for id in 1..=size {
        cluster.restart(id).await;
    }
    cluster.leader().await;
    acknowledged.insert(write_on(&cluster, size, size + 1).await);
    cluster.agree(&cluster.up(), &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_serves_and_comes_back() {
    elects_serves_and_comes_back(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_serve_and_come_back_after_all_were_killed_at_once() {
    elects_serves_and_comes_back(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_serve_and_come_back_after_all_were_killed_at_once() {
    elects_serves_and_comes_back(5).await;
}

/// Kills leaders one after the other, until a quorum is all that is left.
async fn survives_its_leaders(size: u64) {
    let cluster = Cluster::start(size).await;
    let mut acknowledged = BTreeSet::new();
    let mut killed = Vec::new();
    for round in 1..=(size - 1) / 2 {
        let leader = cluster.leader().await;
        acknowledged.insert(write_on(&cluster, leader, round * 2).await);
        cluster.kill(leader).await;
        killed.push(leader);
        let other = cluster.up()[0];
        acknowledged.insert(write_on(&cluster, other, round * 2 + 1).await);
        assert_ne!(cluster.leader().await, leader);
        cluster.agree(&cluster.up(), &acknowledged).await;
    }
    for id in killed {
        cluster.restart(id).await;
    }
    cluster.agree(&cluster.up(), &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_survive_the_loss_of_a_leader() {
    survives_its_leaders(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_survive_the_loss_of_two_leaders() {
    survives_its_leaders(5).await;
}

async fn hands_over_before_it_stops(size: u64) {
    let cluster = Cluster::start(size).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).core.term;
    // It stays until it has met its successor's term.
    let last = cluster.shutdown(leader).await;
    assert_ne!(last.core.role, RoleName::Leader, "{last:#?}");
    assert!(last.core.term > term, "{last:#?}");
    assert_ne!(cluster.leader().await, leader);
    cluster.restart(leader).await;
    let written = write_on(&cluster, leader, 1).await;
    cluster
        .agree(&cluster.up(), &BTreeSet::from([written]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_of_three_that_is_shut_down_hands_over() {
    hands_over_before_it_stops(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_of_five_that_is_shut_down_hands_over() {
    hands_over_before_it_stops(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_is_shut_down_at_once() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    let last = cluster.shutdown(1).await;
    assert_eq!(
        last.core.role,
        RoleName::Leader,
        "there is nobody to hand over to"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_at_a_follower_sees_what_was_acknowledged_before_at_any_node() {
    let cluster = Cluster::start(3).await;
    cluster.leader().await;
    for sequence in 1..=30 {
        let writer = cluster.node(1 + sequence % 3);
        let written = writer.write(put((7, sequence))).await;
        written.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
        for id in 1..=3 {
            let (node, look) = (cluster.node(id), Look::Register(7));
            let read = node.read(look, Consistency::Linearizable).await;
            let read = read.expect("there is a leader");
            assert_eq!(register(read).1, sequence, "at node {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_passes_nothing_on_refuses_and_says_who_leads() {
    let mut plan = Plan::of(3);
    plan.tune = Box::new(|_, node, _| node.forward = Forward::Refuse);
    let cluster = Cluster::planned(plan).await;
    let follower = cluster.follower().await;
    let refused = cluster.node(follower).write(put((1, 1))).await;
    let error = refused.expect_err("it does not lead");
    let hint = cluster.status(follower).core.leader;
    assert!(error.is_refused());
    assert_eq!(error, WriteError::NotLeader { hint });
    cluster.agree(&cluster.up(), &BTreeSet::new()).await;
    assert!(cluster.witness().applied().is_empty());
}
