//! A cluster of nodes in one process: their disks, machines and network in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::driver::{Lanes, NodeStatus, StartError, StopReason};
use raft_core::event::RoleName;
use raft_core::port::{
    Capture, Committed, Inbox, LogStore, Parcel, PortError, SnapshotSource, StateMachine, Transport,
};
use raft_core::{Consistency, Index, Membership, Message, Node, NodeConfig, NodeId, Position};
use raft_log::{MemoryDisk, MemoryLog};
use raft_net::{UnreliableNet, UnreliableTransport};
pub(crate) use raft_tests::storm::name;

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

/// Sees every parcel that a node sends; what it says false to is lost.
pub(crate) type Sieve = Arc<dyn Fn(&Parcel) -> bool + Send + Sync>;

/// Whether it is a message that makes a log longer.
pub(crate) fn brings_entries(parcel: &Parcel) -> bool {
    let Parcel::Consensus(envelope) = parcel else {
        return false;
    };
    matches!(&envelope.message, Message::AppendEntries(append) if !append.entries.is_empty())
}

struct Sieved {
    transport: UnreliableTransport,
    sieve: Sieve,
}

impl Transport for Sieved {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), PortError> {
        self.transport.start(inbox)
    }

    fn stop(&self) {
        self.transport.stop();
    }

    fn members(&self, members: &Membership) {
        self.transport.members(members);
    }

    fn send(&self, parcel: Parcel) {
        if (self.sieve)(&parcel) {
            self.transport.send(parcel);
        }
    }

    fn open_snapshot(
        &self,
        from: NodeId,
        last: Position,
    ) -> Result<Box<dyn SnapshotSource>, PortError> {
        self.transport.open_snapshot(from, last)
    }
}

/// The cluster.
pub(crate) struct Nodes {
    pub(crate) net: UnreliableNet,
    /// That of nodes that are started from now on.
    pub(crate) sieve: Sieve,
    size: u64,
    disks: Vec<MemoryDisk>,
    /// `None` while a node is down.
    running: Vec<Option<Node>>,
    seed: u64,
    is_quick: bool,
}

impl Nodes {
    /// A cluster of so many, all running.
    pub(crate) async fn start(size: u64) -> Self {
        Self::start_as(size, false).await
    }

    /// One with short timeouts, for a clock that runs.
    pub(crate) async fn start_quick(size: u64) -> Self {
        Self::start_as(size, true).await
    }

    async fn start_as(size: u64, is_quick: bool) -> Self {
        let mut nodes = Self {
            net: UnreliableNet::new(size),
            sieve: Arc::new(|_| true),
            size,
            disks: (0..size).map(|_| MemoryDisk::default()).collect(),
            running: (0..size).map(|_| None).collect(),
            seed: 0,
            is_quick,
        };
        for id in 1..=size {
            nodes.restart(id).await;
        }
        nodes
    }

    /// So many found the cluster, once the test starts them.
    pub(crate) const fn founded_by(&mut self, size: u64) {
        self.size = size;
    }

    /// The settings that nodes are started with, unless a test wants others.
    pub(crate) fn config(&mut self, id: u64) -> NodeConfig {
        self.seed += 1;
        let members = (1..=self.size).map(|id| (NodeId(id), name(id)));
        let mut config = NodeConfig::founding(NodeId(id), members);
        config.lanes = Lanes::Inline;
        config.raft.seed = self.seed;
        if self.is_quick {
            config.raft.heartbeat_interval = Duration::from_millis(30);
            config.raft.election_timeout_min = Duration::from_millis(300);
            config.raft.election_timeout_max = Duration::from_millis(500);
        }
        config
    }

    pub(crate) async fn restart(&mut self, id: u64) {
        let config = self.config(id);
        self.start_with(config).await;
    }

    pub(crate) async fn start_with(&mut self, config: NodeConfig) {
        let log = self.log(config.id.0);
        self.start_on(config, log, Journal::default()).await;
    }

    /// The log of a node, opened anew: it belongs to whoever opened it last.
    pub(crate) fn log(&mut self, id: u64) -> MemoryLog {
        while place(id) >= self.running.len() {
            self.disks.push(MemoryDisk::default());
            self.running.push(None);
        }
        MemoryLog::on(&self.disks[place(id)])
    }

    /// Starts a node on a log and with a machine of the test's own.
    pub(crate) async fn start_on(
        &mut self,
        config: NodeConfig,
        log: impl LogStore + 'static,
        machine: impl StateMachine + 'static,
    ) {
        let id = config.id.0;
        let node = self.try_start(config, log, machine).await;
        self.running[place(id)] = Some(node.expect("starts"));
    }

    pub(crate) async fn try_start(
        &self,
        config: NodeConfig,
        log: impl LogStore + 'static,
        machine: impl StateMachine + 'static,
    ) -> Result<Node, StartError> {
        let transport = Sieved {
            transport: self.net.endpoint(name(config.id.0), config.id),
            sieve: Arc::clone(&self.sieve),
        };
        Node::start(config, log, transport, machine).await
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

    /// Makes this node lead.
    pub(crate) async fn lead(&self, id: u64) {
        for _ in 0..100 {
            let leader = self.leader().await;
            if leader == id {
                return;
            }
            drop(
                self.node(leader)
                    .transfer_leadership(Some(NodeId(id)))
                    .await,
            );
        }
        panic!("node {id} does not lead");
    }

    /// It has stopped by itself.
    pub(crate) fn forget(&mut self, id: u64) {
        self.running[place(id)] = None;
    }

    /// All commands that were applied, one a line, as any node must see them.
    pub(crate) async fn lines(&self, id: u64) -> String {
        let answer = self.node(id).read("", Consistency::Linearizable).await;
        String::from_utf8(answer.expect("a leader").to_vec()).expect("text")
    }

    /// A cluster whose settings the test changes.
    pub(crate) async fn start_each(size: u64, change: impl Fn(&mut NodeConfig)) -> Self {
        let mut nodes = Self::start(0).await;
        nodes.founded_by(size);
        for id in 1..=size {
            let mut config = nodes.config(id);
            change(&mut config);
            nodes.start_with(config).await;
        }
        nodes
    }

    /// Waits until a node has applied as much as another.
    pub(crate) async fn caught_up(&self, id: u64, with: u64) {
        let wanted = self.node(with).barrier(Consistency::Local).await;
        let wanted = wanted.expect("it runs");
        let mut watch = self.node(id).watch_status();
        let status = watch.until(|status| status.applied() >= wanted).await;
        status.expect("it runs on");
    }
}

fn place(id: u64) -> usize {
    usize::try_from(id - 1).expect("small")
}
