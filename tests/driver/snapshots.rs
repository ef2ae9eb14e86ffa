//! Snapshots: taken on demand and by policy, restored after a restart, fetched by who is behind,
//! and what becomes of damaged ones.

use std::time::Duration;

use raft_core::driver::SnapshotError;
use raft_core::port::{PortError, PortErrorKind, SnapshotSource, StateMachine};
use raft_core::{CompactionPolicy, Consistency, Index, NodeConfig};
use raft_net::Faults;
use raft_tests::faulty::{FaultyLog, Mishap, Spot, Trigger};
use tokio::time::timeout;

use crate::faulty::FaultyMachine;
use crate::nodes::{Journal, Nodes, name};

/// Nothing stays behind a snapshot, and one is taken when so many entries were applied.
fn thrifty(config: &mut NodeConfig, entries_max: u64) {
    config.compaction = CompactionPolicy {
        entries_max,
        tail_entries: 0,
        ..CompactionPolicy::default()
    };
    config.raft.tail_bytes_max = 0;
}

async fn thrifty_nodes(size: u64, entries_max: u64) -> Nodes {
    Nodes::start_each(size, |config| thrifty(config, entries_max)).await
}

async fn write_many(nodes: &Nodes, id: u64, what: &str, count: u64) {
    for number in 0..count {
        let written = nodes.node(id).write(format!("{what} {number}")).await;
        written.expect("written");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_on_demand_is_what_a_restart_begins_with() {
    let mut nodes = thrifty_nodes(1, 1_000_000).await;
    write_many(&nodes, 1, "early", 20).await;
    let index = nodes.node(1).snapshot_now().await.expect("taken");
    assert!(index >= Index(20));
    let again = nodes.node(1).snapshot_now().await;
    assert!(matches!(again, Err(SnapshotError::NothingNew)), "{again:?}");
    write_many(&nodes, 1, "late", 3).await;
    let before = nodes.lines(1).await;
    nodes.crash(1).await;
    nodes.restart(1).await;
    assert_eq!(nodes.status(1).core.snapshot.index, index);
    assert!(
        nodes.status(1).log.entries <= 5,
        "{:?}",
        nodes.status(1).log
    );
    assert!(
        nodes.status(1).log.entries >= 3,
        "{:?}",
        nodes.status(1).log
    );
    assert_eq!(nodes.lines(1).await, before);
}

#[tokio::test(start_paused = true)]
async fn many_who_want_a_snapshot_at_once_are_all_answered() {
    let nodes = thrifty_nodes(1, 1_000_000).await;
    write_many(&nodes, 1, "text", 5).await;
    let want = || {
        let node = nodes.node(1).clone();
        tokio::spawn(async move { node.snapshot_now().await })
    };
    let first: Vec<_> = (0..3).map(|_| want()).collect();
    tokio::task::yield_now().await;
    let second: Vec<_> = (0..3).map(|_| want()).collect();
    for wanted in first.into_iter().chain(second) {
        let answer = timeout(Duration::from_secs(30), wanted).await;
        let answer = answer.expect("in time").expect("answered");
        let is_fine = matches!(answer, Ok(_) | Err(SnapshotError::NothingNew));
        assert!(is_fine, "{answer:?}");
    }
    nodes.node(1).write("after").await.expect("written");
}

#[tokio::test(start_paused = true)]
async fn the_policy_keeps_the_log_short() {
    let nodes = thrifty_nodes(3, 50).await;
    let leader = nodes.leader().await;
    for round in 0..20 {
        write_many(&nodes, leader, &format!("round {round}"), 20).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for id in 1..=3 {
        nodes.caught_up(id, leader).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let status = nodes.status(id);
        assert!(status.log.entries < 150, "{id}: {:?}", status.log);
        assert!(status.core.snapshot.index > Index(250));
    }
}

#[tokio::test(start_paused = true)]
async fn age_alone_makes_a_snapshot_due() {
    let mut nodes = Nodes::start(1).await;
    nodes.crash(1).await;
    let mut config = nodes.config(1);
    config.compaction.age_max = Duration::from_secs(600);
    nodes.start_with(config).await;
    nodes.node(1).write("x").await.expect("written");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(nodes.status(1).core.snapshot.index, Index(0));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(nodes.status(1).core.snapshot.index > Index(0));
}

/// A follower that was away for long fetches a snapshot, over a network that is cut again and
/// again.
#[tokio::test(start_paused = true)]
async fn a_follower_far_behind_catches_up_although_the_network_is_bad() {
    let mut nodes = thrifty_nodes(3, 30).await;
    nodes.lead(1).await;
    nodes.crash(3).await;
    write_many(&nodes, 1, "missed", 100).await;
    nodes.node(1).snapshot_now().await.ok();
    nodes.net.set_faults(Faults {
        loss_per_mille: 300,
        delay: Duration::ZERO..=Duration::from_millis(20),
        ..Faults::default()
    });
    let mut config = nodes.config(3);
    thrifty(&mut config, 30);
    nodes.start_with(config).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        nodes.net.isolate(&name(3));
        tokio::time::sleep(Duration::from_millis(300)).await;
        nodes.net.heal();
    }
    nodes.net.set_faults(Faults::default());
    let leader = nodes.leader().await;
    let caught_up = nodes.caught_up(3, leader);
    timeout(Duration::from_secs(60), caught_up)
        .await
        .expect("catches up");
    assert!(nodes.status(3).core.snapshot.index > Index(60));
    assert_eq!(nodes.lines(3).await, nodes.lines(leader).await);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_snapshot_is_set_aside_and_an_older_one_used() {
    let mut nodes = thrifty_nodes(1, 1_000_000).await;
    write_many(&nodes, 1, "old", 5).await;
    let old = nodes.node(1).snapshot_now().await.expect("taken");
    write_many(&nodes, 1, "new", 5).await;
    nodes.node(1).snapshot_now().await.expect("taken");
    let before = nodes.lines(1).await;
    nodes.crash(1).await;
    let trigger = Trigger::default();
    trigger.arm(Spot::Restore, Mishap::Error(PortErrorKind::Damaged));
    let (config, log) = (nodes.config(1), nodes.log(1));
    let machine = Once {
        machine: FaultyMachine {
            journal: Journal::default(),
            trigger: trigger.clone(),
        },
    };
    nodes.start_on(config, log, machine).await;
    assert_eq!(trigger.hits(), 1);
    assert_eq!(nodes.status(1).core.snapshot.index, old);
    // What lay between the two is in the log yet.
    assert_eq!(nodes.lines(1).await, before);
}

/// Its first restore fails, no other.
struct Once {
    machine: FaultyMachine,
}

impl StateMachine for Once {
    fn apply(
        &mut self,
        batch: &[raft_core::port::Committed],
    ) -> Result<Vec<bytes::Bytes>, PortError> {
        self.machine.apply(batch)
    }

    fn query(&self, query: &[u8]) -> Result<bytes::Bytes, PortError> {
        self.machine.query(query)
    }

    fn snapshot(&mut self) -> Result<raft_core::port::Capture, PortError> {
        self.machine.snapshot()
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        if self.machine.trigger.hits() > 0 {
            return self.machine.journal.restore(last, source);
        }
        self.machine.restore(last, source)
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_good_snapshot_a_member_gets_all_from_the_leader_again() {
    let mut nodes = thrifty_nodes(3, 1_000_000).await;
    nodes.lead(1).await;
    write_many(&nodes, 1, "text", 10).await;
    nodes.caught_up(3, 1).await;
    let index = nodes.node(3).snapshot_now().await.expect("taken");
    nodes.node(1).snapshot_now().await.expect("taken");
    nodes.crash(3).await;
    let trigger = Trigger::default();
    trigger.arm(Spot::Restore, Mishap::Error(PortErrorKind::Damaged));
    let (config, log) = (nodes.config(3), nodes.log(3));
    let machine = Once {
        machine: FaultyMachine {
            journal: Journal::default(),
            trigger,
        },
    };
    nodes.start_on(config, log, machine).await;
    write_many(&nodes, 1, "more", 3).await;
    timeout(Duration::from_secs(60), nodes.caught_up(3, 1))
        .await
        .expect("catches up");
    assert!(nodes.status(3).core.snapshot.index >= index);
    assert_eq!(nodes.lines(3).await, nodes.lines(1).await);
}

/// A snapshot that says other bytes than its manifest promises.
struct LyingSource(Box<dyn SnapshotSource>);

impl SnapshotSource for LyingSource {
    fn manifest(&self) -> &raft_core::port::Manifest {
        self.0.manifest()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let count = self.0.read_at(name, offset, buffer)?;
        if let Some(byte) = buffer[..count].first_mut() {
            *byte ^= 1;
        }
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn std::io::Write) -> Result<(), PortError> {
        self.0.copy(name, to)
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_snapshot_from_a_peer_stops_nobody() {
    let mut nodes = thrifty_nodes(3, 1_000_000).await;
    nodes.lead(2).await;
    nodes.crash(1).await;
    let mut config = nodes.config(1);
    thrifty(&mut config, 1_000_000);
    let log = FaultyLog::new(nodes.log(1), &Trigger::default());
    let log = log.twisting(|source| Box::new(LyingSource(source)));
    nodes.start_on(config, log, Journal::default()).await;
    nodes.lead(1).await;
    nodes.crash(3).await;
    write_many(&nodes, 1, "text", 10).await;
    nodes.node(1).snapshot_now().await.expect("taken");
    nodes.caught_up(2, 1).await;
    nodes.node(2).snapshot_now().await.expect("taken");
    nodes.restart(3).await;
    let mut watch = nodes.node(3).watch_status();
    let troubled = watch.until(|status| status.snapshot_trouble.is_some());
    let troubled = timeout(Duration::from_secs(60), troubled).await;
    let trouble = troubled.expect("in time").expect("it runs");
    assert!(trouble.stopped.is_none());
    let local = nodes.node(3).read("", Consistency::Local).await;
    assert_eq!(local.expect("it serves"), "");
    // From another leader it gets a good one.
    let handed_over = nodes
        .node(1)
        .transfer_leadership(Some(raft_core::NodeId(2)));
    handed_over.await.expect("handed over");
    timeout(Duration::from_secs(120), nodes.caught_up(3, 2))
        .await
        .expect("catches up");
    assert_eq!(nodes.status(3).snapshot_trouble, None);
    assert_eq!(nodes.lines(3).await, nodes.lines(2).await);
}
