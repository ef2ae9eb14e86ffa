//! Three of our nodes: in memory, where they call each other's inboxes, or on sockets and disks.
//!
//! It deliberately does not know how they are written to, nor how long.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use raft_core::driver::Lanes;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_core::{GroupId, Index, Node, NodeConfig, NodeId};
use raft_log::{Identity, MemoryLog, Wal, WalConfig};
use raft_net::{TcpConfig, TcpNet, UnreliableNet};

use crate::load::Cluster;

const NODES: u64 = 3;
/// Long: while logs prepare their first segments, votes wait for the disk.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// The network draws nothing as long as it is perfect.
const SEED: u64 = 1;
const CLUSTER: u64 = 1;
const GROUP: GroupId = GroupId(1);
const COMMAND_BYTES: usize = 256;

/// The nodes, the leader in front.
pub(crate) struct Trio {
    nodes: Vec<Node>,
    /// What each writer writes.
    command: Bytes,
}

impl Trio {
    /// Three nodes that have elected one, without disks and sockets.
    pub(crate) async fn in_memory(lanes: Lanes) -> anyhow::Result<Trio> {
        let net = UnreliableNet::new(SEED);
        let members = || (1..=NODES).map(|id| (NodeId(id), format!("node {id}")));
        let mut nodes = Vec::new();
        for (id, name) in members() {
            let mut config = NodeConfig::founding(id, members());
            config.lanes = lanes;
            let transport = net.endpoint(name, id);
            nodes.push(Node::start(config, MemoryLog::new(), transport, Idle).await?);
        }
        Self::elected(nodes, Bytes::new()).await
    }

    /// Three nodes that have elected one, with logs under `dir`.
    pub(crate) async fn durable(dir: &Path) -> anyhow::Result<Trio> {
        let mut nets = Vec::new();
        for id in (1..=NODES).map(NodeId) {
            let net = TcpNet::bind(TcpConfig::new(CLUSTER, id, "127.0.0.1:0")).await?;
            nets.push((id, net));
        }
        let address = |net: &TcpNet| net.local_address().to_string();
        let members: Vec<_> = nets.iter().map(|(id, net)| (*id, address(net))).collect();
        let mut nodes = Vec::new();
        for (id, net) in nets {
            let identity = Identity {
                cluster: CLUSTER,
                node: id,
            };
            let home = dir.join(id.to_string());
            std::fs::create_dir(&home)?;
            let wal = Wal::open_dir(&home, identity, WalConfig::default())?;
            let config = NodeConfig::founding(id, members.clone());
            nodes.push(Node::start(config, wal.group(GROUP)?, net.group(GROUP), Idle).await?);
        }
        Self::elected(nodes, Bytes::from(vec![7; COMMAND_BYTES])).await
    }

    /// Waits until there is a leader.
    async fn elected(mut nodes: Vec<Node>, command: Bytes) -> anyhow::Result<Trio> {
        nodes[0].campaign();
        let mut watch = nodes[0].watch_status();
        let found = watch.until(|status| status.core.leader.is_some());
        let found = tokio::time::timeout(START_TIME_MAX, found).await?;
        let leader = found.and_then(|status| status.core.leader);
        let place = nodes.iter().position(|node| Some(node.id()) == leader);
        nodes.swap(0, place.context("nobody leads")?);
        Ok(Trio { nodes, command })
    }
}

impl Cluster for Trio {
    async fn write(&self) -> anyhow::Result<()> {
        self.nodes[0].write(self.command.clone()).await?;
        Ok(())
    }
}

/// A machine that does nothing.
pub(crate) struct Idle;

impl StateMachine for Idle {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        Ok(batch.iter().map(|_| Bytes::new()).collect())
    }

    fn query(&self, _query: &[u8]) -> Result<Bytes, PortError> {
        Ok(Bytes::new())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        Ok(Box::new(|_sink| Ok(())))
    }

    fn restore(&mut self, _last: Index, _source: &dyn SnapshotSource) -> Result<(), PortError> {
        Ok(())
    }
}
