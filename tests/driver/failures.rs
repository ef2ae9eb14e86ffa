//! What a node does when its log or machine fails or panics: it stops, says why, answers everybody
//! who waits, and acknowledges nothing any more.

use std::time::Duration;

use bytes::Bytes;
use raft_core::Consistency;
use raft_core::driver::{Lanes, ReadError, SnapshotError, StopReason, WriteError};
use raft_core::port::PortErrorKind;
use raft_tests::faulty::{FaultyLog, Mishap, Spot, Trigger};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::faulty::FaultyMachine;
use crate::nodes::{Journal, Nodes};

/// Node 1 leads; its log and machine fail when the trigger says so.
async fn faulty_leader(lanes: Lanes) -> (Nodes, Trigger) {
    let mut nodes = match lanes {
        Lanes::Inline => Nodes::start(3).await,
        // Threads know no paused clock.
        Lanes::Threads => Nodes::start_quick(3).await,
    };
    let trigger = Trigger::default();
    nodes.crash(1).await;
    let mut config = nodes.config(1);
    config.lanes = lanes;
    let log = FaultyLog::new(nodes.log(1), &trigger);
    let machine = FaultyMachine {
        journal: Journal::default(),
        trigger: trigger.clone(),
    };
    nodes.start_on(config, log, machine).await;
    nodes.lead(1).await;
    nodes.node(1).write("before").await.expect("written");
    (nodes, trigger)
}

fn says(reason: &StopReason, what: &str) {
    let text = reason.to_string();
    assert!(text.contains(what), "{text}, not {what}");
}

/// All who wait when it fails, and all who come later, are answered; and nobody is lied to.
async fn check_stop(lanes: Lanes, spot: Spot, mishap: Mishap, what: &str) {
    let (mut nodes, trigger) = faulty_leader(lanes).await;
    trigger.arm(spot, mishap);
    let mut waiting = JoinSet::new();
    for number in 0..50 {
        let node = nodes.node(1).clone();
        waiting.spawn(async move {
            let text = format!("with {number}");
            (text.clone(), node.write(text).await)
        });
        let node = nodes.node(1).clone();
        waiting.spawn(async move {
            let read = node.read("", Consistency::Linearizable).await;
            (String::new(), read.map_err(|_| WriteError::Unknown))
        });
    }
    let node = nodes.node(1).clone();
    let snapshot = tokio::spawn(async move { node.snapshot_now().await });
    let reason = timeout(Duration::from_secs(20), nodes.node(1).stopped()).await;
    says(&reason.expect("it stops"), what);
    assert!(trigger.hits() > 0);
    let mut answers = Vec::new();
    let all = async {
        while let Some(answer) = waiting.join_next().await {
            answers.push(answer.expect("answered"));
        }
    };
    timeout(Duration::from_secs(20), all)
        .await
        .expect("answered in time");
    drop(snapshot.await.expect("answered"));

    let node = nodes.node(1);
    assert_eq!(node.write("late").await, Err(WriteError::Stopped));
    let read = node.read("", Consistency::Local).await;
    assert_eq!(read, Err(ReadError::Stopped));
    let snapshot = node.snapshot_now().await;
    assert!(matches!(snapshot, Err(SnapshotError::Stopped)));
    says(&node.stopped().await, what);
    says(&node.shutdown().await, what);

    // Neither the clients nor the next leader were told anything wrong.
    nodes.forget(1);
    nodes.leader_among(&[2, 3]).await;
    let lines = nodes.lines(2).await;
    let is_there = |text: &str| lines.split('\n').any(|line| line == text);
    assert!(is_there("before") && !is_there("late"));
    for (text, answer) in answers.iter().filter(|(text, _)| !text.is_empty()) {
        match answer {
            Ok(_) => assert!(is_there(text), "{text} was acknowledged"),
            Err(error) if error.is_refused() => {
                assert!(!is_there(text), "{text} was refused");
            }
            Err(_) => {}
        }
    }
}

const BROKEN: Mishap = Mishap::Error(PortErrorKind::Broken);

const LOG_FAILED: &str = "the log store failed: the test fails at Write";
const MACHINE_FAILED: &str = "the state machine failed: ";
const MACHINE: [(Spot, &str); 4] = [
    (Spot::Apply, MACHINE_FAILED),
    (Spot::Query, MACHINE_FAILED),
    (Spot::Snapshot, MACHINE_FAILED),
    (Spot::Answers, "answers to"),
];
const PANICS: [(Spot, &str); 6] = [
    (Spot::Write, "log panicked: the test panics at Write"),
    (Spot::Apply, "apply panicked: the test panics at Apply"),
    (Spot::Query, "apply panicked: the test panics at Query"),
    (Spot::Snapshot, "apply panicked: the test panics at"),
    (Spot::Capture, "snapshot panicked: the test panics at"),
    (Spot::CreateSnapshot, "snapshot panicked: the test panics"),
];

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_stops_the_node_whatever_the_kind_of_error() {
    use PortErrorKind::{Broken, Damaged, Full, Misused};
    for kind in [Full, Broken, Damaged, Misused] {
        check_stop(Lanes::Inline, Spot::Write, Mishap::Error(kind), LOG_FAILED).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_fails_stops_the_node() {
    for (spot, what) in MACHINE {
        check_stop(Lanes::Inline, spot, BROKEN, what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_stops_the_node_and_is_named() {
    for (spot, what) in PANICS {
        // Log and machine are a part of the loop here.
        let (_, what) = what.split_once(' ').expect("words");
        check_stop(Lanes::Inline, spot, Mishap::Panic, what).await;
    }
}

#[tokio::test]
async fn a_failure_on_a_thread_stops_the_node_all_the_same() {
    let mut checks = JoinSet::new();
    let errors = MACHINE.into_iter().chain([(Spot::Write, LOG_FAILED)]);
    for (spot, what) in errors {
        checks.spawn(check_stop(Lanes::Threads, spot, BROKEN, what));
    }
    for (spot, what) in PANICS {
        checks.spawn(check_stop(Lanes::Threads, spot, Mishap::Panic, what));
    }
    while let Some(check) = checks.join_next().await {
        check.expect("as it must be");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_is_reported_and_the_node_goes_on() {
    for spot in [Spot::Capture, Spot::CreateSnapshot] {
        let (nodes, trigger) = faulty_leader(Lanes::Inline).await;
        trigger.arm(spot, BROKEN);
        let failed = nodes.node(1).snapshot_now().await;
        assert!(
            matches!(failed, Err(SnapshotError::Failed(_))),
            "{failed:?}"
        );
        nodes.node(1).write("after").await.expect("written");
        let trouble = nodes.status(1).snapshot_trouble.clone();
        assert!(trouble.is_some_and(|text| text.contains("could not be taken")));
        trigger.arm_after(u64::MAX, spot, BROKEN);
        nodes.node(1).snapshot_now().await.expect("taken");
        nodes.node(1).write("more").await.expect("written");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(nodes.status(1).snapshot_trouble, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_nth_write_of_a_log_fails() {
    for spared in [1, 2, 5] {
        let (mut nodes, trigger) = faulty_leader(Lanes::Inline).await;
        trigger.arm_after(spared, Spot::Write, BROKEN);
        let mut acknowledged = vec!["before".to_owned()];
        for number in 0..20 {
            let text = format!("text {number}");
            match nodes.node(1).write(text.clone()).await {
                Ok(_) => acknowledged.push(text),
                Err(_) => break,
            }
        }
        assert!(acknowledged.len() < 20, "it failed");
        says(&nodes.node(1).stopped().await, "the log store failed");
        nodes.forget(1);
        nodes.leader_among(&[2, 3]).await;
        let lines = nodes.lines(3).await;
        for text in acknowledged {
            assert!(lines.split('\n').any(|line| line == text), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_hidden_by_an_order_to_stop() {
    let (nodes, trigger) = faulty_leader(Lanes::Inline).await;
    trigger.arm(Spot::Write, BROKEN);
    let node = nodes.node(1).clone();
    // Both lie in the mailbox before the loop runs: the write fails, and the order comes with it.
    let write = tokio::spawn({
        let node = node.clone();
        async move { node.write("x").await }
    });
    let stop = tokio::spawn({
        let node = node.clone();
        async move {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            node.abort_membership_change();
            node.shutdown().await
        }
    });
    drop(write.await.expect("answered"));
    drop(stop.await.expect("answered"));
    says(&node.stopped().await, "the log store failed");
}

#[test]
fn requests_end_when_the_runtime_of_the_node_ends() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().expect("a runtime")
    };
    let theirs = runtime();
    let nodes = theirs.block_on(Nodes::start_quick(3));
    let leader = theirs.block_on(nodes.leader());
    let node = nodes.node(leader).clone();
    theirs.shutdown_background();
    let all = async {
        let written = node.write(Bytes::from_static(b"x")).await;
        assert!(written.is_err());
        assert!(node.read("", Consistency::Local).await.is_err());
        assert!(node.snapshot_now().await.is_err());
        node.stopped().await;
    };
    let ended = runtime().block_on(async { timeout(Duration::from_secs(10), all).await });
    ended.expect("nobody waits for ever");
}
