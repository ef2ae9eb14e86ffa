//! A cluster of nodes in one process: their disks, machines and network in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::driver::{Lanes, NodeStatus, StopReason};
use raft_core::event::RoleName;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_core::{Index, Node, NodeConfig, NodeId};
use raft_log::{MemoryDisk, MemoryLog};
use raft_net::UnreliableNet;

/// A machine that keeps every command; its answer is how many there are.
#[derive(Default)]
pub(crate) struct Journal {
    commands: Vec<Bytes>,
}

impl StateMachine for Journal {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let apply = |committed: &Committed| {
            self.commands.push(committed.command.clone());
            Bytes::from(self.commands.len().to_string())
        };
        Ok(batch.iter().map(apply).collect())
    }

    /// All commands, one a line.
    fn query(&self, _query: &[u8]) -> Result<Bytes, PortError> {
        Ok(Bytes::from(self.commands.join(&b'\n')))
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let text = self.commands.join(&b'\n');
        Ok(Box::new(move |sink| {
            sink.add("journal", &mut text.as_slice())
        }))
    }

    fn restore(&mut self, _last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut text = Vec::new();
        source.copy("journal", &mut text)?;
        let lines = text.split(|byte| *byte == b'\n');
        self.commands = lines.map(Bytes::copy_from_slice).collect();
        if text.is_empty() {
            self.commands.clear();
        }
        Ok(())
    }
}

/// The cluster.
pub(crate) struct Nodes {
    pub(crate) net: UnreliableNet,
    size: u64,
    disks: Vec<MemoryDisk>,
    /// `None` while a node is down.
    running: Vec<Option<Node>>,
    seed: u64,
}

impl Nodes {
    /// A cluster of so many, all running.
    pub(crate) async fn start(size: u64) -> Self {
        let mut nodes = Self {
            net: UnreliableNet::new(size),
            size,
            disks: (0..size).map(|_| MemoryDisk::default()).collect(),
            running: (0..size).map(|_| None).collect(),
            seed: 0,
        };
        for id in 1..=size {
            nodes.restart(id).await;
        }
        nodes
    }

    /// The settings that nodes are started with, unless a test wants others.
    pub(crate) fn config(&mut self, id: u64) -> NodeConfig {
        self.seed += 1;
        let members = (1..=self.size).map(|id| (NodeId(id), name(id)));
        let mut config = NodeConfig::founding(NodeId(id), members);
        config.lanes = Lanes::Inline;
        config.raft.seed = self.seed;
        config
    }

    pub(crate) async fn restart(&mut self, id: u64) {
        let config = self.config(id);
        self.start_with(config).await;
    }

    pub(crate) async fn start_with(&mut self, config: NodeConfig) {
        let id = config.id;
        let place = place(id.0);
        if place == self.running.len() {
            self.disks.push(MemoryDisk::default());
            self.running.push(None);
        }
        let log = MemoryLog::on(&self.disks[place]);
        let endpoint = self.net.endpoint(name(id.0), id);
        let node = Node::start(config, log, endpoint, Journal::default()).await;
        self.running[place] = Some(node.expect("starts"));
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        self.running[place(id)].as_ref().expect("runs")
    }

    pub(crate) fn status(&self, id: u64) -> Arc<NodeStatus> {
        self.node(id).status()
    }

    /// Stops it at once, as a crash would: nothing is handed over.
    pub(crate) async fn crash(&mut self, id: u64) -> StopReason {
        let node = self.running[place(id)].take().expect("runs");
        let mut watch = node.watch_status();
        drop(node);
        let last = watch.until(|status| status.stopped.is_some()).await;
        last.and_then(|status| status.stopped.clone())
            .expect("a reason")
    }

    /// Those that run.
    pub(crate) fn up(&self) -> impl Iterator<Item = (u64, &Node)> {
        (1..)
            .zip(&self.running)
            .filter_map(|(id, node)| Some((id, node.as_ref()?)))
    }

    /// Waits until one of those named leads, and all of them follow it.
    pub(crate) async fn leader_among(&self, ids: &[u64]) -> u64 {
        for _ in 0..10_000 {
            let leaders: Vec<_> = ids.iter().map(|id| self.status(*id).core.leader).collect();
            if let Some(Some(leader)) = leaders.first()
                && ids.contains(&leader.0)
                && leaders.iter().all(|other| *other == Some(*leader))
                && self.status(leader.0).core.role == RoleName::Leader
            {
                return leader.0;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no leader among {ids:?}");
    }

    pub(crate) async fn leader(&self) -> u64 {
        let up: Vec<_> = self.up().map(|(id, _)| id).collect();
        self.leader_among(&up).await
    }

    /// Waits until a node has applied as much as another.
    pub(crate) async fn caught_up(&self, id: u64, with: u64) {
        let wanted = self.status(with).core.commit;
        let mut watch = self.node(id).watch_status();
        let status = watch.until(|status| status.applied() >= wanted).await;
        status.expect("it runs on");
    }
}

pub(crate) fn name(id: u64) -> String {
    format!("node-{id}")
}

fn place(id: u64) -> usize {
    usize::try_from(id - 1).expect("small")
}
