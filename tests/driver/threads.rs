//! Log and machine on threads, many threads for the rest, and a clock that runs.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_core::Consistency;
use raft_core::driver::{Lanes, StopReason};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::nodes::Nodes;

async fn threaded(size: u64) -> Nodes {
    let nodes = Nodes::start_each(size, |config| {
        config.lanes = Lanes::Threads;
        config.request_timeout = Duration::from_secs(60);
    })
    .await;
    nodes.leader().await;
    nodes
}

async fn write_from_many(nodes: &Nodes, tasks: u64, each: u64) {
    let size = nodes.up().count() as u64;
    let mut writers = JoinSet::new();
    for task in 0..tasks {
        let node = nodes.node(task % size + 1).clone();
        writers.spawn(async move {
            let mut places = Vec::new();
            for number in 0..each {
                let place = node.write(format!("{task} {number}")).await;
                let place = String::from_utf8(place.expect("written").to_vec());
                places.push(place.expect("text").parse::<u64>().expect("a number"));
            }
            assert!(places.is_sorted(), "one after the other");
            places
        });
    }
    let mut places = BTreeSet::new();
    let all = async {
        while let Some(writer) = writers.join_next().await {
            for place in writer.expect("all were written") {
                assert!(places.insert(place), "{place} was told twice");
            }
        }
    };
    timeout(Duration::from_secs(120), all)
        .await
        .expect("in time");
    assert_eq!(places.len() as u64, tasks * each);
    for id in 1..=size {
        let lines = nodes.lines(id).await;
        let lines: Vec<_> = lines.split('\n').collect();
        assert_eq!(lines.len() as u64, tasks * each);
        let once: BTreeSet<_> = lines.into_iter().collect();
        assert_eq!(once.len() as u64, tasks * each);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_thousand_tasks_write_is_there_once() {
    write_from_many(&threaded(3).await, 1000, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_serves_a_thousand_tasks() {
    write_from_many(&threaded(1).await, 1000, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_overslept_when_requests_come_one_at_a_time() {
    let nodes = threaded(3).await;
    let all = async {
        for number in 0..300 {
            let node = nodes.node(number % 3 + 1);
            node.write("x").await.expect("written");
            let read = node.read("", Consistency::Linearizable).await;
            read.expect("confirmed");
        }
    };
    timeout(Duration::from_secs(60), all)
        .await
        .expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_under_load_answers_everybody() {
    let nodes = threaded(3).await;
    let mut writers = JoinSet::new();
    for task in 0..200 {
        let node = nodes.node(task % 3 + 1).clone();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..10_000 {
                let text = format!("{task} {number}");
                match node.write(text.clone()).await {
                    Ok(_) => acknowledged.push(text),
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let leader = nodes.leader().await;
    let reason = timeout(Duration::from_secs(20), nodes.node(leader).shutdown()).await;
    assert!(matches!(reason.expect("in time"), StopReason::Told));
    let other = leader % 3 + 1;
    nodes.leader_among(&[other, other % 3 + 1]).await;
    let other_stops = nodes.node(other % 3 + 1).shutdown();
    drop(
        timeout(Duration::from_secs(20), other_stops)
            .await
            .expect("in time"),
    );
    // One of three is left, and nothing is written any more; all it knows must be true.
    let lines = nodes.node(other).read("", Consistency::Local).await;
    let lines = String::from_utf8(lines.expect("answered").to_vec()).expect("text");
    let once: BTreeSet<_> = lines.split('\n').collect();
    assert_eq!(once.len(), lines.split('\n').count(), "nothing twice");
    nodes.node(other).shutdown().await;
    let all = async {
        let mut count = 0;
        while let Some(writer) = writers.join_next().await {
            count += writer.expect("answered").len();
        }
        count
    };
    let acknowledged = timeout(Duration::from_secs(90), all)
        .await
        .expect("answered");
    assert!(acknowledged > 0);
}
