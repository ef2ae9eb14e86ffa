//! A node that can't go on stops and says why, and the others go on without it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use raft_core::driver::{NodeStatus, StopReason};
use raft_core::port::PortErrorKind;
use raft_tests::faulty::{Mishap, Spot};

use crate::cluster::Cluster;
use crate::load::{Load, put};
use crate::machine::POISON;

const ERROR: Mishap = Mishap::Error(PortErrorKind::Broken);

async fn until_stopped(cluster: &Cluster, id: u64) -> StopReason {
    let is_stopped = |status: &NodeStatus| status.stopped.is_some();
    let last: Arc<_> = cluster.until("it stops", id, is_stopped).await;
    last.stopped.clone().expect("so it was waited for")
}

/// The others agree on what was acknowledged, and so does the one that failed once it is back.
async fn go_on_without(cluster: &Cluster, failed: u64, load: Load) {
    let others: Vec<_> = cluster
        .up()
        .into_iter()
        .filter(|id| *id != failed)
        .collect();
    cluster.leader_among(&others).await;
    let written = cluster.node(others[0]).write(put((9, 1))).await;
    written.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
    let mut acknowledged = load.stop().await.acknowledged;
    acknowledged.insert((9, 1));
    cluster.agree(&others, &acknowledged).await;
    cluster.kill(failed).await;
    cluster.restart(failed).await;
    cluster.agree(&cluster.up(), &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_machine_panics_stops_and_says_why_while_the_others_go_on() {
    for is_leader in [false, true] {
        let cluster = Cluster::start(3).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let victim = if is_leader { leader } else { follower };
        let load = Load::start(&cluster, 2);
        cluster.panics(victim).store(true, Ordering::Relaxed);
        // Whether this is answered depends on whose machine it is; that it is applied does not.
        drop(cluster.running(leader).write(POISON.into()).await);
        let reason = until_stopped(&cluster, victim).await;
        let StopReason::Panicked { lane, message } = &reason else {
            panic!("{reason}");
        };
        assert_eq!((*lane, message.as_str()), ("apply", "a poisoned command"));
        cluster.panics(victim).store(false, Ordering::Relaxed);
        go_on_without(&cluster, victim, load).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_fails_stops_and_says_why_while_the_others_go_on() {
    for is_leader in [false, true] {
        let cluster = Cluster::start(3).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let victim = if is_leader { leader } else { follower };
        let load = Load::start(&cluster, 2);
        cluster.faults(victim).arm(Spot::Write, ERROR);
        let reason = until_stopped(&cluster, victim).await;
        let StopReason::Failed { port, source } = &reason else {
            panic!("{reason}");
        };
        assert_eq!(*port, "the log store");
        assert!(source.to_string().contains("fails at Write"), "{source}");
        cluster.faults(victim).disarm();
        go_on_without(&cluster, victim, load).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_whose_log_fails_acknowledges_nothing_more() {
    let cluster = Cluster::start(1).await;
    cluster.leader().await;
    cluster
        .node(1)
        .write(put((1, 1)))
        .await
        .expect("all is well");
    cluster.faults(1).arm(Spot::Write, ERROR);
    let written = cluster.node(1).write(put((1, 2))).await;
    written.expect_err("it is on no disk");
    until_stopped(&cluster, 1).await;
    let after = cluster.node(1).write(put((1, 3))).await;
    assert!(after.expect_err("it has stopped").is_refused());
    cluster.faults(1).disarm();
    cluster.kill(1).await;
    cluster.restart(1).await;
    cluster.agree(&[1], &BTreeSet::from([(1, 1)])).await;
    let applied = cluster.witness().applied();
    assert!(
        applied.iter().all(|(_, name)| *name == (1, 1)),
        "{applied:?}"
    );
}
