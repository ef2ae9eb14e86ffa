//! Writes and reads: at the leader, passed on, while leaders change, and when too much waits.

use std::time::Duration;

use raft_core::Consistency;
use raft_core::driver::{Forward, StopReason, WriteError};
use tokio::time::Instant;

use crate::nodes::Nodes;

#[tokio::test(start_paused = true)]
async fn a_write_at_any_node_is_read_at_any_node() {
    let nodes = Nodes::start(3).await;
    for id in 1..=3 {
        let answer = nodes.node(id).write(format!("from {id}")).await;
        assert_eq!(answer.expect("written"), id.to_string());
    }
    for id in 1..=3 {
        assert_eq!(nodes.lines(id).await, "from 1\nfrom 2\nfrom 3");
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_node_serves_alone_and_remembers() {
    let mut nodes = Nodes::start(1).await;
    nodes.node(1).write("a").await.expect("written");
    assert!(matches!(nodes.crash(1).await, StopReason::Told));
    nodes.restart(1).await;
    nodes.node(1).write("b").await.expect("written");
    assert_eq!(nodes.lines(1).await, "a\nb");
}

#[tokio::test(start_paused = true)]
async fn the_leader_is_gone_and_nothing_else() {
    let mut nodes = Nodes::start(3).await;
    let first = nodes.leader().await;
    nodes.node(first).write("before").await.expect("written");
    nodes.crash(first).await;
    let other = nodes.up().map(|(id, _)| id).next().expect("two are left");
    let began = Instant::now();
    // It waits for the new leader by itself.
    nodes.node(other).write("after").await.expect("written");
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert_ne!(nodes.leader().await, first);
    nodes.restart(first).await;
    assert_eq!(nodes.lines(first).await, "before\nafter");
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_requests_end_in_time() {
    let mut nodes = Nodes::start(3).await;
    let leader = nodes.leader().await;
    for id in (1..=3).filter(|id| *id != leader) {
        nodes.crash(id).await;
    }
    let began = Instant::now();
    let written = nodes.node(leader).write("lost").await;
    assert_eq!(
        written,
        Err(WriteError::Unknown),
        "it is in the leader's log"
    );
    let read = nodes.node(leader).read("", Consistency::Linearizable).await;
    assert!(read.is_err());
    assert!(
        began.elapsed() <= Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_passes_nothing_on_gives_a_hint() {
    let mut nodes = Nodes::start(3).await;
    let leader = nodes.leader().await;
    let follower = (1..=3).find(|id| *id != leader).expect("three");
    nodes.crash(follower).await;
    let mut config = nodes.config(follower);
    config.forward = Forward::Refuse;
    nodes.start_with(config).await;
    nodes.leader_among(&[follower, leader]).await;
    let hint = Some(raft_core::NodeId(leader));
    let refused = nodes.node(follower).write("x").await;
    assert_eq!(refused, Err(WriteError::NotLeader { hint }));
}
