//! Requests at nodes that do not lead: passed on, waiting for a leader, and given up in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use raft_core::driver::{ChangeRefused, ReadError, WriteError};
use raft_core::port::Parcel;
use raft_core::{Consistency, NodeId};
use raft_net::Faults;
use tokio::time::Instant;

use crate::nodes::{Nodes, Sieve, brings_entries};

const TIMEOUT: Duration = Duration::from_secs(4);
const SLACK: Duration = Duration::from_millis(200);

/// A cluster whose leader is 1, and which loses what the sieve says once it is switched on.
async fn sieved(
    wanted: impl Fn(&Parcel) -> bool + Send + Sync + 'static,
) -> (Nodes, Arc<AtomicBool>) {
    let is_on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_on);
    let sieve: Sieve = Arc::new(move |parcel| !switch.load(Ordering::Relaxed) || wanted(parcel));
    let mut nodes = Nodes::start(0).await;
    nodes.founded_by(3);
    nodes.sieve = sieve;
    for id in 1..=3 {
        nodes.restart(id).await;
    }
    nodes.lead(1).await;
    (nodes, is_on)
}

const fn is_answer(parcel: &Parcel) -> bool {
    matches!(parcel, Parcel::Answer(_))
}

const fn is_ask(parcel: &Parcel) -> bool {
    matches!(parcel, Parcel::Ask(_))
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_ends_in_time_as_unknown() {
    let (nodes, losing) = sieved(|parcel| !is_answer(parcel)).await;
    losing.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let written = nodes.node(2).write("x").await;
    assert_eq!(written, Err(WriteError::Unknown));
    assert!(began.elapsed() >= TIMEOUT && began.elapsed() < TIMEOUT + SLACK);
    losing.store(false, Ordering::Relaxed);
    nodes.node(2).write("y").await.expect("written");
    assert_eq!(nodes.lines(2).await, "x\ny", "it was written, and once");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_question_is_lost_ends_in_time_as_unknown() {
    let (nodes, losing) = sieved(|parcel| !is_ask(parcel)).await;
    losing.store(true, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!(nodes.node(2).write("x").await, Err(WriteError::Unknown));
    assert!(began.elapsed() >= TIMEOUT && began.elapsed() < TIMEOUT + SLACK);
    losing.store(false, Ordering::Relaxed);
    nodes.node(2).write("y").await.expect("written");
    assert_eq!(nodes.lines(2).await, "y");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_taken_for_another() {
    let mut nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.crash(2).await;
    let mut config = nodes.config(2);
    config.request_timeout = Duration::from_millis(150);
    nodes.start_with(config).await;
    nodes.leader().await;
    nodes.net.set_faults(Faults {
        delay: Duration::from_millis(100)..=Duration::from_millis(100),
        ..Faults::default()
    });
    for _ in 0..5 {
        // The answer to each comes in the time of the next.
        let written = nodes.node(2).write("x").await;
        assert_eq!(written, Err(WriteError::Unknown));
    }
    nodes.net.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sixth = nodes.node(2).write("y").await.expect("written");
    assert_eq!(sixth, "6");
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_an_earlier_process_is_taken_for_one_of_this() {
    let mut nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.net.set_faults(Faults {
        delay: Duration::from_millis(50)..=Duration::from_millis(50),
        ..Faults::default()
    });
    for round in 0..20 {
        let before = nodes.node(2).clone();
        let write = tokio::spawn(async move { before.write("before").await });
        // The question is on its way, the answer is not.
        tokio::time::sleep(Duration::from_millis(60)).await;
        nodes.restart(2).await;
        nodes.leader().await;
        let text = format!("after {round}");
        let place = nodes.node(2).write(text.clone()).await.expect("written");
        let lines = nodes.lines(1).await;
        let found = lines.split('\n').position(|line| line == text);
        let place: usize = String::from_utf8_lossy(&place).parse().expect("a number");
        assert_eq!(found, Some(place - 1));
        drop(write.await.expect("answered"));
    }
}

#[tokio::test(start_paused = true)]
async fn questions_are_never_put_twice() {
    let asks = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asks);
    let (nodes, counting) = sieved(move |parcel| {
        count.fetch_add(u64::from(is_ask(parcel)), Ordering::Relaxed);
        true
    })
    .await;
    counting.store(true, Ordering::Relaxed);
    nodes.net.set_faults(Faults {
        duplicate_per_mille: 1000,
        reorder_per_mille: 300,
        delay: Duration::ZERO..=Duration::from_millis(30),
        ..Faults::default()
    });
    for number in 1..=50 {
        let written = nodes.node(2 + number % 2).write("x").await;
        assert_eq!(written.expect("written"), number.to_string());
    }
    assert_eq!(asks.load(Ordering::Relaxed), 50);
    assert_eq!(nodes.lines(1).await.split('\n').count(), 50);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_everything_ends_in_time() {
    let nodes = Nodes::start(3).await;
    nodes.leader().await;
    nodes.net.partition(&[]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let began = Instant::now();
    let (written, read, barrier) = tokio::join!(
        nodes.node(1).write("x"),
        nodes.node(2).read("", Consistency::Linearizable),
        nodes.node(3).barrier(Consistency::Linearizable),
    );
    let hint = None;
    assert_eq!(written, Err(WriteError::NotLeader { hint }));
    assert_eq!(read, Err(ReadError::NoLeader { hint }));
    assert_eq!(barrier, Err(ReadError::NoLeader { hint }));
    assert!(began.elapsed() >= TIMEOUT && began.elapsed() < TIMEOUT + SLACK);
    let began = Instant::now();
    let transfer = nodes.node(1).transfer_leadership(None).await;
    assert_eq!(transfer, Err(ChangeRefused::NotLeader { hint }));
    assert!(began.elapsed() < Duration::from_secs(60) + TIMEOUT + SLACK);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_waited_has_no_more_time_than_any_other() {
    // Node 1 leads on, but nothing that it gets is replicated.
    let (mut nodes, losing) = sieved(|parcel| !brings_entries(parcel)).await;
    nodes.crash(3).await;
    losing.store(true, Ordering::Relaxed);
    let transfer = tokio::spawn({
        let node = nodes.node(1).clone();
        async move { node.transfer_leadership(Some(NodeId(3))).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let waiting = tokio::spawn({
        let node = nodes.node(1).clone();
        async move { (node.write("waited").await, began.elapsed()) }
    });
    let timed_out = transfer.await.expect("answered");
    assert_eq!(timed_out, Err(ChangeRefused::TimedOut));
    // This one is in the log before the one that has waited for the end of the transfer.
    let later = nodes.node(1).write("later").await;
    assert!(began.elapsed() > Duration::from_millis(5500));
    let (waited, span) = waiting.await.expect("answered");
    let unknown = Err(WriteError::Unknown);
    assert_eq!((waited, later), (unknown.clone(), unknown));
    assert!(span < TIMEOUT + SLACK, "{span:?}");
}

#[tokio::test(start_paused = true)]
async fn writes_go_on_through_transfers_at_every_node() {
    let nodes = Nodes::start(3).await;
    nodes.leader().await;
    let mut writers = tokio::task::JoinSet::new();
    for id in 1..=3 {
        let node = nodes.node(id).clone();
        writers.spawn(async move {
            for number in 0..200 {
                let written = node.write(format!("{id} {number}")).await;
                written.expect("written");
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
        });
    }
    for round in 0..12 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let leader = nodes.leader().await;
        let target = NodeId(leader % 3 + 1);
        let asked = nodes.node(round % 3 + 1);
        let handed_over = asked.transfer_leadership(Some(target)).await;
        handed_over.expect("handed over");
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("all were written");
    }
    let lines = nodes.lines(1).await;
    let mut all: Vec<_> = lines.split('\n').collect();
    assert_eq!(all.len(), 600);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 600);
}

#[tokio::test(start_paused = true)]
async fn what_one_client_writes_stands_in_the_log_as_it_was_written() {
    let nodes = Nodes::start(3).await;
    let leader = nodes.leader().await;
    for id in [leader, leader % 3 + 1] {
        let before = nodes
            .lines(id)
            .await
            .split('\n')
            .filter(|line| !line.is_empty())
            .count();
        let mut writes = Vec::new();
        for number in 0..300 {
            let node = nodes.node(id).clone();
            writes.push(tokio::spawn(
                async move { node.write(number.to_string()).await },
            ));
        }
        for (number, write) in writes.into_iter().enumerate() {
            let place = write.await.expect("answered").expect("written");
            assert_eq!(place, (before + number + 1).to_string());
        }
    }
}
