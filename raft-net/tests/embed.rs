//! How a service is tested on three nodes in memory: the example of the book's chapter on
//! embedding. It knows no disk, no socket, and no time that passes.

use bytes::Bytes;
use raft_core::driver::Lanes;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_core::{Consistency, Index, Node, NodeConfig, NodeId};
use raft_log::MemoryLog;
use raft_net::UnreliableNet;

/// Counts commands.
#[derive(Default)]
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let count = |_: &Committed| {
            self.0 += 1;
            self.0.to_string().into()
        };
        Ok(batch.iter().map(count).collect())
    }

    fn query(&self, _: &[u8]) -> Result<Bytes, PortError> {
        Ok(self.0.to_string().into())
    }

    /// This test is over long before a snapshot is due.
    fn snapshot(&mut self) -> Result<Capture, PortError> {
        Err(PortError::misused("nobody asks for a snapshot"))
    }

    fn restore(&mut self, _: Index, _: &dyn SnapshotSource) -> Result<(), PortError> {
        Err(PortError::misused("there is no snapshot"))
    }
}

// ANCHOR: test
#[tokio::test(start_paused = true)]
async fn two_of_three_go_on_and_the_third_catches_up() {
    let net = UnreliableNet::new(7);
    let name = |id: u64| format!("node-{id}");
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let members = (1..=3).map(|id| (NodeId(id), name(id)));
        let mut config = NodeConfig::founding(NodeId(id), members);
        config.lanes = Lanes::Inline;
        config.raft.seed = id;
        let endpoint = net.endpoint(name(id), NodeId(id));
        let node = Node::start(config, MemoryLog::new(), endpoint, Counter::default()).await;
        nodes.push(node.expect("it starts"));
    }
    net.isolate(&name(1));
    let answer = nodes[1].write("one more").await;
    assert_eq!(answer.expect("two are a majority"), "1");
    net.heal();
    let answer = nodes[0].read("", Consistency::Linearizable).await;
    assert_eq!(answer.expect("it is reached again"), "1");
}
// ANCHOR_END: test
