//! How nodes start, what they cost while nothing happens, and how they end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use raft_core::driver::{StartError, StopReason};
use raft_core::event::RoleName;
use raft_core::port::PortErrorKind;
use raft_core::{Consistency, Index, Node, NodeId};
use raft_log::MemoryLog;
use raft_net::UnreliableNet;
use raft_tests::faulty::{FaultyLog, Mishap, Spot, Trigger};
use tokio::time::timeout;

use crate::faulty::FaultyMachine;
use crate::nodes::{Journal, Nodes, name};

async fn start_error(change: impl FnOnce(&mut raft_core::NodeConfig)) -> String {
    let mut nodes = Nodes::start(0).await;
    nodes.founded_by(1);
    let mut config = nodes.config(1);
    change(&mut config);
    let log = nodes.log(1);
    let started = nodes.try_start(config, log, Journal::default()).await;
    started.map(|_| ()).expect_err("it can't").to_string()
}

#[tokio::test(start_paused = true)]
async fn settings_that_can_not_work_are_named() {
    let error = start_error(|config| config.raft.heartbeat_interval = Duration::ZERO).await;
    assert!(
        error.contains("heartbeat_interval must be above zero"),
        "{error}"
    );
    let error = start_error(|config| config.compaction.entries_max = 0).await;
    assert!(error.contains("LimitOfZero"), "{error}");
    let error = start_error(|config| config.id = NodeId(7)).await;
    assert!(error.contains("not among the members"), "{error}");
    let error = start_error(|config| config.requests_max = 0).await;
    assert!(error.contains("requests_max must be above zero"), "{error}");
    let error = start_error(|config| config.request_timeout = Duration::ZERO).await;
    assert!(
        error.contains("request_timeout must be above zero"),
        "{error}"
    );
    let error = start_error(|config| config.tick_grid = Duration::from_secs(1)).await;
    assert!(error.contains("tick_grid must be"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_fails_at_the_start_is_named() {
    for (spot, kind, port) in [
        (
            Spot::Recover,
            PortErrorKind::Damaged,
            "the log store failed",
        ),
        (Spot::Found, PortErrorKind::Full, "the log store failed"),
        (
            Spot::Restore,
            PortErrorKind::Broken,
            "the state machine failed",
        ),
    ] {
        let mut nodes = Nodes::start(1).await;
        nodes.node(1).write("x").await.expect("written");
        nodes.node(1).snapshot_now().await.expect("taken");
        nodes.crash(1).await;
        let trigger = Trigger::default();
        trigger.arm(spot, Mishap::Error(kind));
        let log = if spot == Spot::Found {
            MemoryLog::new()
        } else {
            nodes.log(1)
        };
        let config = nodes.config(1);
        let log = FaultyLog::new(log, &trigger);
        let machine = FaultyMachine {
            journal: Journal::default(),
            trigger: trigger.clone(),
        };
        let started = nodes.try_start(config, log, machine).await;
        let error = started.map(|_| ()).expect_err("it fails").to_string();
        assert!(error.contains(port), "{error}");
    }
}

#[test]
fn without_a_runtime_nothing_starts() {
    let net = UnreliableNet::new(1);
    let config = raft_core::NodeConfig::founding(NodeId(1), [(NodeId(1), name(1))]);
    let endpoint = net.endpoint(name(1), NodeId(1));
    let start = pin!(Node::start(
        config,
        MemoryLog::new(),
        endpoint,
        Journal::default()
    ));
    let mut context = Context::from_waker(Waker::noop());
    match start.poll(&mut context) {
        Poll::Ready(Err(StartError::NoRuntime)) => {}
        Poll::Ready(Err(error)) => panic!("{error}"),
        Poll::Ready(Ok(_)) | Poll::Pending => panic!("it can't"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_stops_when_its_last_handle_is_gone() {
    let mut nodes = Nodes::start(1).await;
    let clone = nodes.node(1).clone();
    let mut watch = clone.watch_status();
    nodes.forget(1);
    clone.write("x").await.expect("one handle is left");
    drop(clone);
    let last = watch.until(|status| status.stopped.is_some()).await;
    let last = last.expect("a last word");
    assert!(matches!(last.stopped, Some(StopReason::Told)));
    while watch.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_every_role_and_the_end() {
    let nodes = Nodes::start(3).await;
    let mut watch = nodes.node(1).watch_status();
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(status) = watch.next().await {
            let news = (status.core.role, status.stopped.is_some());
            if seen.last() != Some(&news) {
                seen.push(news);
            }
        }
        seen
    });
    nodes.lead(1).await;
    nodes.lead(2).await;
    nodes.lead(1).await;
    nodes.node(1).shutdown().await;
    let seen = seen.await.expect("it ends");
    let led = seen
        .iter()
        .filter(|news| news.0 == RoleName::Leader)
        .count();
    assert!(led >= 2, "{seen:?}");
    assert!(seen.last().is_some_and(|news| news.1), "{seen:?}");
    assert_eq!(seen.iter().filter(|news| news.1).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_leader_tells_how_long_others_were_silent() {
    let mut nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.crash(3).await;
    // Nothing is written meanwhile.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let status = nodes.status(1);
    let silent = |id| {
        let peer = status.core.peers.iter().find(|peer| peer.id == NodeId(id));
        peer.expect("a peer").silent_for
    };
    assert!(silent(3) >= Duration::from_secs(28), "{:?}", silent(3));
    assert!(silent(2) <= Duration::from_secs(1), "{:?}", silent(2));
}

/// Whoever starts a node again in the same process must find the store free.
#[tokio::test(start_paused = true)]
async fn a_node_that_has_stopped_has_let_go_of_its_log() {
    let mut nodes = Nodes::start_each(3, |config| {
        config.compaction.tail_entries = 0;
        config.raft.tail_bytes_max = 0;
    })
    .await;
    nodes.lead(1).await;
    nodes.crash(3).await;
    for _ in 0..20 {
        nodes.node(1).write("x").await.expect("written");
    }
    nodes.node(1).snapshot_now().await.expect("taken");
    let trigger = Trigger::default();
    let log = FaultyLog::new(nodes.log(3), &trigger);
    let config = nodes.config(3);
    // It can't fetch the snapshot that it is offered, and tries again and again.
    nodes.net.cut(&name(3), &name(1));
    nodes.start_on(config, log, Journal::default()).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(nodes.status(3).applied(), Index(0), "it has nothing yet");
    let began = std::time::Instant::now();
    let reason = timeout(Duration::from_secs(20), nodes.node(3).shutdown()).await;
    assert!(matches!(reason.expect("in time"), StopReason::Told));
    assert!(!trigger.is_held(), "something has a hand on it");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

/// How often a runtime goes to sleep while a cluster of this size does nothing for a minute.
fn naps(size: u64) -> u64 {
    let naps = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&naps);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let nodes = Nodes::start(size).await;
        let leader = nodes.leader().await;
        nodes.node(leader).write("x").await.expect("written");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = naps.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(60)).await;
        naps.load(Ordering::Relaxed) - before
    })
}

#[test]
fn a_node_that_has_nothing_to_do_sleeps() {
    let (alone, three) = (naps(1), naps(3));
    println!("naps a minute: alone {alone}, three {three}");
    assert!(alone <= 700, "{alone}");
    // Ten heartbeats a second, and their answers.
    assert!((600..=3000).contains(&three), "{three}");
}

/// The hearts of all groups beat at the same moments.
#[tokio::test(start_paused = true)]
async fn groups_of_one_process_beat_together() {
    use raft_core::Message;
    use raft_core::port::Parcel;
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use tokio::time::Instant;

    let origin = Instant::now();
    let beats: Arc<Mutex<BTreeSet<u128>>> = Arc::default();
    let is_on = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut groups = Vec::new();
    for group in 0..5 {
        let mut nodes = Nodes::start(0).await;
        nodes.founded_by(3);
        let (beats, is_on) = (Arc::clone(&beats), Arc::clone(&is_on));
        nodes.sieve = Arc::new(move |parcel| {
            if let Parcel::Consensus(envelope) = parcel
                && matches!(envelope.message, Message::AppendEntries(_))
                && is_on.load(Ordering::Relaxed)
            {
                let at = origin.elapsed().as_millis();
                beats.lock().expect("nobody panics").insert(at);
            }
            true
        });
        for id in 1..=3 {
            let mut config = nodes.config(id);
            config.raft.seed += 100 * (group + 1);
            config.tick_grid = Duration::from_millis(50);
            nodes.start_with(config).await;
        }
        // They don't begin together.
        tokio::time::sleep(Duration::from_millis(1713)).await;
        groups.push(nodes);
    }
    for nodes in &groups {
        let leader = nodes.leader().await;
        let read = nodes.node(leader).read("", Consistency::Linearizable).await;
        read.expect("served");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_on.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let beats = beats.lock().expect("nobody panicked");
    let phases: BTreeSet<_> = beats.iter().map(|at| at % 50).collect();
    assert!(phases.len() <= 2, "within a millisecond: {phases:?}");
    assert!(beats.len() >= 90, "{}", beats.len());
}
