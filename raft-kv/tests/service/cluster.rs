//! Members in memory. It does not know what they are asked.

use std::sync::Arc;

use raft_core::driver::Lanes;
use raft_core::{Consistency, Index, Node, NodeConfig, NodeId};
use raft_kv::engine::MemoryEngine;
use raft_kv::machine::{Machine, MachineConfig, Sweeping};
use raft_kv::service::{Kv, Limits};
use raft_log::MemoryLog;
use raft_net::UnreliableNet;

/// Members 1, 2 and so on, and the network between them.
pub(crate) struct Cluster {
    pub(crate) net: UnreliableNet,
    members: Vec<Kv>,
}

impl Cluster {
    /// So many, of whom one leads.
    pub(crate) async fn of(size: u64) -> Self {
        let net = UnreliableNet::new(size);
        let mut members = Vec::new();
        for id in 1..=size {
            members.push(start(&net, id, size).await);
        }
        let mut status = members[0].node().watch_status();
        let led = status.until(|status| status.core.leader.is_some()).await;
        led.expect("it runs");
        Self { net, members }
    }

    pub(crate) fn member(&self, id: NodeId) -> &Kv {
        let (_, member) = (1..)
            .zip(&self.members)
            .find(|(number, _)| *number == id.0)
            .expect("a member");
        member
    }

    /// Who leads, and two who do not.
    pub(crate) fn roles(&self) -> (NodeId, [NodeId; 2]) {
        let leader = self.members[0].node().status().core.leader.expect("known");
        let mut others = (1..=3).map(NodeId).filter(|id| *id != leader);
        let mut other = || others.next().expect("three members");
        (leader, [other(), other()])
    }
}

/// One that is alone.
pub(crate) async fn alone() -> Kv {
    Cluster::of(1).await.member(NodeId(1)).clone()
}

/// How far the log reached when this was asked; what was proposed before is within.
pub(crate) async fn log_end(kv: &Kv) -> Index {
    let end = kv.node().barrier(Consistency::Linearizable).await;
    end.expect("it is led")
}

pub(crate) fn name(id: NodeId) -> String {
    format!("member-{id}")
}

async fn start(net: &UnreliableNet, id: u64, size: u64) -> Kv {
    let founders = (1..=size).map(|id| (NodeId(id), name(NodeId(id))));
    let mut config = NodeConfig::founding(NodeId(id), founders);
    config.lanes = Lanes::Inline;
    config.raft.seed = id;
    let machine = MachineConfig {
        sweeping: Sweeping::Inline,
        ..MachineConfig::default()
    };
    let engine = Arc::new(MemoryEngine::new());
    let (machine, store) = Machine::open(engine, machine).expect("it opens");
    let endpoint = net.endpoint(name(NodeId(id)), NodeId(id));
    let node = Node::start(config, MemoryLog::new(), endpoint, machine).await;
    Kv::new(node.expect("it starts"), store, Limits::default())
}
