//! Reads: what each consistency promises, at any node, and that none waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raft_core::driver::ReadError;
use raft_core::port::Parcel;
use raft_core::{Consistency, NodeId};
use tokio::time::Instant;

use crate::nodes::{Nodes, Sieve, brings_entries, name};

const TIMEOUT: Duration = Duration::from_secs(4);
const SLACK: Duration = Duration::from_millis(200);

async fn led_by_one() -> Nodes {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.node(1).write("first").await.expect("written");
    nodes.caught_up(3, 1).await;
    nodes
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_answers_only_what_needs_nobody() {
    let nodes = led_by_one().await;
    nodes.net.isolate(&name(3));
    nodes.node(1).write("second").await.expect("written");
    let local = nodes.node(3).read("", Consistency::Local).await;
    assert_eq!(local.expect("answered"), "first");
    for consistency in [
        Consistency::Linearizable,
        Consistency::Bounded(Duration::from_millis(100)),
    ] {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        let read = nodes.node(3).read("", consistency).await;
        assert!(matches!(read, Err(ReadError::NoLeader { .. })), "{read:?}");
        assert!(began.elapsed() < TIMEOUT + SLACK, "{:?}", began.elapsed());
    }
    nodes.net.heal();
    let read = nodes.node(3).read("", Consistency::Linearizable).await;
    assert_eq!(read.expect("answered"), "first\nsecond");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_confirms_no_read() {
    let nodes = led_by_one().await;
    nodes.net.isolate(&name(1));
    let other = nodes.leader_among(&[2, 3]).await;
    nodes.node(other).write("second").await.expect("written");
    let read = nodes.node(1).read("", Consistency::Linearizable).await;
    assert!(matches!(read, Err(ReadError::NoLeader { .. })), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bounded_read_is_no_older_than_it_says() {
    let nodes = led_by_one().await;
    // It asks once; then it knows how old that is.
    nodes
        .node(3)
        .barrier(Consistency::Linearizable)
        .await
        .expect("confirmed");
    nodes.net.isolate(&name(3));
    nodes.node(1).write("second").await.expect("written");
    let age = Duration::from_secs(10);
    let read = nodes.node(3).read("", Consistency::Bounded(age)).await;
    assert_eq!(read.expect("young enough"), "first");
    tokio::time::sleep(age).await;
    let read = nodes.node(3).read("", Consistency::Bounded(age)).await;
    assert!(matches!(read, Err(ReadError::NoLeader { .. })), "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn a_barrier_says_how_far_the_machine_is() {
    let nodes = led_by_one().await;
    let mut last = nodes
        .node(1)
        .barrier(Consistency::Linearizable)
        .await
        .expect("confirmed");
    for id in [2, 3, 1, 2, 3] {
        nodes.node(id % 3 + 1).write("x").await.expect("written");
        let barrier = nodes.node(id).barrier(Consistency::Linearizable).await;
        let barrier = barrier.expect("confirmed");
        assert!(barrier > last, "{barrier} after {last}");
        last = barrier;
    }
    let local = nodes.node(1).barrier(Consistency::Local).await;
    assert!(local.expect("always") <= last);
}

#[tokio::test(start_paused = true)]
async fn a_read_held_for_an_index_that_does_not_come_expires() {
    let is_holding = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_holding);
    let sieve: Sieve = Arc::new(move |parcel| {
        let is_held = brings_entries(parcel)
            && matches!(parcel, Parcel::Consensus(envelope) if envelope.to == NodeId(3));
        !(is_held && switch.load(Ordering::Relaxed))
    });
    let mut nodes = Nodes::start(0).await;
    nodes.founded_by(3);
    nodes.sieve = sieve;
    for id in 1..=3 {
        nodes.restart(id).await;
    }
    nodes.lead(1).await;
    nodes.node(1).write("first").await.expect("written");
    nodes.caught_up(3, 1).await;
    is_holding.store(true, Ordering::Relaxed);
    nodes.node(1).write("second").await.expect("written");
    let began = Instant::now();
    let (read, barrier) = tokio::join!(
        nodes.node(3).read("", Consistency::Linearizable),
        nodes.node(3).barrier(Consistency::Linearizable),
    );
    assert!(matches!(read, Err(ReadError::NoLeader { .. })), "{read:?}");
    assert!(
        matches!(barrier, Err(ReadError::NoLeader { .. })),
        "{barrier:?}"
    );
    assert!(began.elapsed() >= TIMEOUT && began.elapsed() < TIMEOUT + SLACK);
    is_holding.store(false, Ordering::Relaxed);
    assert_eq!(nodes.lines(3).await, "first\nsecond");
}

#[tokio::test(start_paused = true)]
async fn many_reads_at_once_are_all_answered() {
    let nodes = led_by_one().await;
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..3000 {
        let node = nodes.node(number % 3 + 1).clone();
        reads.spawn(async move { node.read("", Consistency::Linearizable).await });
    }
    while let Some(read) = reads.join_next().await {
        assert_eq!(read.expect("answered").expect("confirmed"), "first");
    }
}
