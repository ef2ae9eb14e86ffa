//! Several groups in one process: they share one log, one network, and one life.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft_core::event::RoleName;
use raft_core::{Consistency, GroupId, Node, NodeConfig, NodeId};
use raft_net::{TcpConfig, TcpNet};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::cluster::{CLUSTER, PATIENCE, open, quicken};
use crate::load::put;
use crate::machine::{Journal, Look, Name, Witness, journal};

const GROUPS: [GroupId; 4] = [GroupId(1), GroupId(2), GroupId(3), GroupId(1 << 40)];

/// One process: a network, a log, and a node of each group on both.
struct Process {
    net: TcpNet,
    nodes: BTreeMap<GroupId, Node>,
}

/// What the machines of each group apply.
type Witnesses = BTreeMap<GroupId, Arc<Witness>>;

async fn bind(id: u64, listen: &str) -> TcpNet {
    let mut config = TcpConfig::new(CLUSTER, NodeId(id), listen);
    config.backoff_max = Duration::from_millis(100);
    TcpNet::bind(config).await.expect("the port is free")
}

impl Process {
    async fn start(
        root: &Path,
        id: u64,
        net: TcpNet,
        founders: &[(NodeId, String)],
        witnesses: &Witnesses,
    ) -> Self {
        let wal = open(root.join(id.to_string()), id).await;
        let mut nodes = BTreeMap::new();
        for (group, witness) in witnesses {
            let mut config = NodeConfig::founding(NodeId(id), founders.to_vec());
            quicken(&mut config);
            config.tick_grid = Duration::from_millis(10);
            let log = wal.group(*group).expect("its snapshots can be read");
            let machine = Journal::new(witness, &Arc::default());
            let node = Node::start(config, log, net.group(*group), machine).await;
            nodes.insert(*group, node.expect("it starts"));
        }
        assert_eq!(wal.groups(), GROUPS, "all are in one log");
        Self { net, nodes }
    }

    async fn kill(self) {
        self.net.shutdown().await;
        for (group, node) in self.nodes {
            let mut watch = node.watch_status();
            drop(node);
            let stopped = watch.until(|status| status.stopped.is_some());
            let stopped = timeout(PATIENCE, stopped).await;
            assert!(stopped.is_ok(), "the node of group {group} does not stop");
        }
    }

    /// Waits until the node of a group knows who leads it.
    async fn leader(&self, group: GroupId, besides: Option<u64>) -> u64 {
        let node = &self.nodes[&group];
        let mut watch = node.watch_status();
        let is_news = |leader: Option<NodeId>| leader.is_some_and(|id| Some(id.0) != besides);
        let known = watch.until(|status| is_news(status.core.leader));
        let Ok(Some(status)) = timeout(PATIENCE, known).await else {
            panic!("group {group}: {:#?}", node.status());
        };
        status.core.leader.expect("so it was waited for").0
    }
}

async fn write(node: &Node, name: Name) {
    let write = async {
        // Its outcome may be unknown when the leader went; here all that counts is that it comes.
        while node.write(put(name)).await.is_err() {}
    };
    let written = timeout(PATIENCE, write).await;
    assert!(written.is_ok(), "{name:?}: {:#?}", node.status());
}

/// Each group holds its own, all of it, and nothing of any other.
async fn check(processes: &BTreeMap<u64, Process>, rounds: u64) {
    for (process, group) in processes.values().flat_map(|process| {
        let groups = process.nodes.keys();
        groups.map(move |group| (process, *group))
    }) {
        let read = async {
            loop {
                let read = process.nodes[&group].read(Look::Journal, Consistency::Linearizable);
                if let Ok(answer) = read.await {
                    return journal(answer);
                }
            }
        };
        let held = timeout(PATIENCE, read).await.expect("there is a leader");
        let held: BTreeSet<_> = held.into_iter().collect();
        let wanted = (1..=rounds).flat_map(|round| (1..=3).map(move |id| (group.0 + id, round)));
        assert_eq!(held, wanted.collect(), "group {group}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_groups_share_one_log_and_one_network_and_fail_over_each_by_itself() {
    let root = TempDir::new().expect("there is a disk");
    let witnesses: Witnesses = GROUPS
        .iter()
        .map(|group| (*group, Arc::default()))
        .collect();
    let mut nets = BTreeMap::new();
    for id in 1..=3 {
        nets.insert(id, bind(id, "127.0.0.1:0").await);
    }
    let address = |(id, net): (&u64, &TcpNet)| (NodeId(*id), net.local_address().to_string());
    let founders: Vec<_> = nets.iter().map(address).collect();
    let mut processes = BTreeMap::new();
    for (id, net) in nets {
        let process = Process::start(root.path(), id, net, &founders, &witnesses).await;
        processes.insert(id, process);
    }
    for (round, victim) in (1..).zip([1, 2, 3]) {
        for group in GROUPS {
            for (id, process) in &processes {
                write(&process.nodes[&group], (group.0 + id, round)).await;
            }
        }
        check(&processes, round).await;
        // The others go on in every group, whoever led it.
        let process: Process = processes.remove(&victim).expect("it runs");
        let leads = |group: &&GroupId| process.nodes[*group].status().core.role == RoleName::Leader;
        let led: Vec<_> = GROUPS.iter().filter(leads).copied().collect();
        process.kill().await;
        for process in processes.values() {
            for group in GROUPS {
                let besides = led.contains(&group).then_some(victim);
                process.leader(group, besides).await;
            }
        }
        check(&processes, round).await;
        let listen = &founders[usize::try_from(victim - 1).expect("small")].1;
        let net = bind(victim, listen).await;
        let process = Process::start(root.path(), victim, net, &founders, &witnesses).await;
        processes.insert(victim, process);
        check(&processes, round).await;
    }
    for witness in witnesses.values() {
        assert!(!witness.applied().is_empty());
    }
}
