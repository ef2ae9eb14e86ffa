//! The networks pass the suite that every transport has to pass.

use std::time::{Duration, Instant};

use raft_core::NodeId;
use raft_core::conformance::{TransportFixture, transport};
use raft_core::port::Transport;
use raft_net::{Faults, UnreliableNet};
use tokio::runtime::Runtime;

/// Long enough for all that was sent to arrive, or to be found lost and be sent again.
const PATIENCE: Duration = Duration::from_millis(200);

/// The network in memory; with faults, it runs on a runtime, in real time.
struct InMemory {
    faults: Option<(Faults, Runtime)>,
    seed: u64,
    net: UnreliableNet,
    moves: u64,
}

impl InMemory {
    fn perfect() -> Self {
        Self {
            faults: None,
            seed: 0,
            net: UnreliableNet::new(0),
            moves: 0,
        }
    }

    fn bad(faults: Faults) -> Self {
        let runtime = Runtime::new().expect("threads");
        Self {
            faults: Some((faults, runtime)),
            ..Self::perfect()
        }
    }
}

impl TransportFixture for InMemory {
    fn fresh(&mut self, ids: &[NodeId]) -> Vec<Box<dyn Transport>> {
        self.seed += 1;
        self.net = UnreliableNet::new(self.seed);
        if let Some((faults, runtime)) = &self.faults {
            let _in_runtime = runtime.enter();
            self.net.set_faults(faults.clone());
        }
        let net = self.net.clone();
        let endpoint =
            |id: &NodeId| -> Box<dyn Transport> { Box::new(net.endpoint(format!("n{id}"), *id)) };
        ids.iter().map(endpoint).collect()
    }

    fn relocate(&mut self, id: NodeId) -> Box<dyn Transport> {
        self.moves += 1;
        let name = format!("n{id}-{}", self.moves);
        Box::new(self.net.endpoint(name, id))
    }

    fn address(&self, id: NodeId) -> String {
        format!("n{id}")
    }

    fn settle(&mut self, until: &mut dyn FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while self.faults.is_some() && !until() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        until()
    }

    fn calm(&mut self) {
        if self.faults.is_some() {
            std::thread::sleep(PATIENCE);
        }
    }

    fn delivers_within_send(&self) -> bool {
        self.faults.is_none()
    }
}

#[test]
fn the_network_in_memory_is_a_transport() {
    transport(&mut InMemory::perfect());
}

#[test]
fn the_network_in_memory_is_a_transport_also_when_it_is_bad() {
    transport(&mut InMemory::bad(Faults {
        loss_per_mille: 150,
        duplicate_per_mille: 200,
        delay: Duration::from_millis(1)..=Duration::from_millis(3),
        reorder_per_mille: 100,
        held_back_max: Duration::from_millis(5),
    }));
}
