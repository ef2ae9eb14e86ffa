//! Too much at once: what comes on top is refused in so many words, and consensus goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::NodeConfig;
use raft_core::driver::WriteError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::nodes::{Nodes, name};

type Answers = BTreeMap<String, Result<bytes::Bytes, WriteError>>;

/// All of them are in the mailbox before anybody looks into it.
async fn at_once(nodes: &Nodes, id: u64, texts: impl IntoIterator<Item = String>) -> Answers {
    let mut writes = JoinSet::new();
    for text in texts {
        let node = nodes.node(id).clone();
        writes.spawn(async move { (text.clone(), node.write(text).await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = writes.join_next().await {
        let (text, answer) = answer.expect("answered");
        assert!(answers.insert(text, answer).is_none());
    }
    answers
}

/// What was acknowledged is there once, what was refused is not.
async fn check_truth(nodes: &Nodes, id: u64, answers: &Answers) {
    let lines = nodes.lines(id).await;
    let mut there = BTreeMap::<&str, usize>::new();
    for line in lines.split('\n') {
        *there.entry(line).or_default() += 1;
    }
    for (text, answer) in answers {
        let count = there.get(text.as_str()).copied().unwrap_or(0);
        match answer {
            Ok(_) => assert_eq!(count, 1, "{text}"),
            Err(error) if error.is_refused() => assert_eq!(count, 0, "{text}: {error}"),
            Err(_) => assert!(count <= 1, "{text}"),
        }
    }
}

fn refused(answers: &Answers) -> usize {
    let overloaded = |answer: &&Result<_, _>| **answer == Err(WriteError::Overloaded);
    answers.values().filter(overloaded).count()
}

fn numbered(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("text {number}"))
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_refused_beyond_the_limit_and_the_leader_stays() {
    let nodes = Nodes::start_each(3, |config| config.requests_max = 1000).await;
    let leader = nodes.leader().await;
    let term = nodes.status(leader).core.term;
    let answers = at_once(&nodes, leader, numbered(5000)).await;
    assert_eq!(refused(&answers), 4000);
    assert!(answers.values().filter(|answer| answer.is_ok()).count() == 1000);
    check_truth(&nodes, leader, &answers).await;
    assert_eq!(nodes.leader().await, leader);
    assert_eq!(nodes.status(leader).core.term, term);
}

#[tokio::test(start_paused = true)]
async fn the_leader_stays_under_a_flood_that_lasts() {
    let nodes = Nodes::start_each(3, |config| config.requests_max = 100).await;
    let leader = nodes.leader().await;
    let term = nodes.status(leader).core.term;
    let began = Instant::now();
    let mut floods = JoinSet::new();
    for flood in 0..300 {
        let node = nodes.node(flood % 3 + 1).clone();
        floods.spawn(async move {
            let mut overloaded = 0;
            while began.elapsed() < Duration::from_secs(10) {
                match node.write("flood").await {
                    Ok(_) => {}
                    Err(WriteError::Overloaded) => overloaded += 1,
                    Err(error) => panic!("{error}"),
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            overloaded
        });
    }
    let mut overloaded = 0;
    while let Some(count) = floods.join_next().await {
        overloaded += count.expect("no other error");
    }
    println!("{overloaded} refused");
    assert_eq!(nodes.leader().await, leader);
    assert_eq!(nodes.status(leader).core.term, term);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_limited_too_but_one_large_command_always_gets_in() {
    let nodes = Nodes::start_each(3, |config| config.requests_bytes_max = 10_000).await;
    let leader = nodes.leader().await;
    let large = (0..30).map(|number| format!("{number:1000}"));
    let answers = at_once(&nodes, leader, large).await;
    assert!(refused(&answers) >= 20, "{}", refused(&answers));
    check_truth(&nodes, leader, &answers).await;
    nodes
        .node(leader)
        .write("x".repeat(50_000))
        .await
        .expect("alone");
    let follower = leader % 3 + 1;
    nodes
        .node(follower)
        .write("y".repeat(50_000))
        .await
        .expect("alone");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_too_long_is_refused_at_any_node() {
    let nodes = Nodes::start_each(3, |config| config.command_bytes_max = 100).await;
    for id in 1..=3 {
        let too_long = nodes.node(id).write("x".repeat(101)).await;
        let (bytes, bytes_max) = (101, 100);
        assert_eq!(too_long, Err(WriteError::TooLarge { bytes, bytes_max }));
        nodes
            .node(id)
            .write("x".repeat(100))
            .await
            .expect("written");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_committed_is_limited() {
    let nodes = Nodes::start_each(3, |config| config.raft.uncommitted_bytes_max = 5000).await;
    let leader = nodes.leader().await;
    nodes.net.isolate(&name(leader));
    let answers = at_once(
        &nodes,
        leader,
        (0..50).map(|number| format!("{number:500}")),
    )
    .await;
    assert!(refused(&answers) >= 35, "{}", refused(&answers));
    nodes.net.heal();
    nodes.leader().await;
    check_truth(&nodes, leader, &answers).await;
}

/// Nobody leads; so everything waits.
async fn check_parked(change: impl Fn(&mut NodeConfig), texts: &[String], served: usize) {
    let nodes = Nodes::start_each(3, change).await;
    nodes.leader().await;
    nodes.net.partition(&[]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let began = Instant::now();
    let mut writes = JoinSet::new();
    for text in texts {
        let (node, text) = (nodes.node(1).clone(), text.clone());
        writes.spawn(async move { (text.clone(), node.write(text).await) });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    nodes.net.heal();
    let mut answers = BTreeMap::new();
    while let Some(answer) = writes.join_next().await {
        let (text, answer) = answer.expect("answered");
        answers.insert(text, answer);
    }
    assert!(began.elapsed() < Duration::from_millis(4200));
    assert_eq!(refused(&answers), texts.len() - served);
    assert_eq!(
        answers.values().filter(|answer| answer.is_ok()).count(),
        served
    );
    check_truth(&nodes, 1, &answers).await;
}

#[tokio::test(start_paused = true)]
async fn so_many_wait_for_a_leader_and_are_served_when_there_is_one() {
    let texts: Vec<_> = numbered(50).collect();
    check_parked(|config| config.requests_max = 10, &texts, 10).await;
    check_parked(|_| {}, &texts, 50).await;
}

#[tokio::test(start_paused = true)]
async fn so_many_bytes_wait_for_a_leader() {
    let texts: Vec<_> = (0..50).map(|number| format!("{number:1000}")).collect();
    check_parked(|config| config.requests_bytes_max = 8000, &texts, 8).await;
}

#[tokio::test(start_paused = true)]
async fn parcels_that_do_not_fit_are_dropped_and_come_again() {
    let nodes = Nodes::start_each(3, |config| {
        config.parcels_bytes_max = 3000;
        config.raft.append_bytes_max = 1000;
        config.request_timeout = Duration::from_secs(60);
    })
    .await;
    let leader = nodes.leader().await;
    let texts = (0..200).map(|number| format!("{number:900}"));
    let answers = at_once(&nodes, leader, texts).await;
    assert!(answers.values().all(Result::is_ok));
    check_truth(&nodes, leader % 3 + 1, &answers).await;
    let dropped: u64 = (1..=3).map(|id| nodes.status(id).parcels_dropped).sum();
    assert!(dropped > 0);
    assert_eq!(nodes.leader().await, leader);
}
