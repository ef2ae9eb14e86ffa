//! The network passes the suite that every transport has to pass.
//!
//! It deliberately knows no case: those are the core's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use raft_core::NodeId;
use raft_core::conformance::{TransportFixture, transport};
use raft_core::port::Transport;
use raft_net::{TcpConfig, TcpNet};
use tokio::runtime::Runtime;

use crate::support::{GROUP, config};
use crate::tls::Authority;

/// For something that should have come long ago; what is sent in vain is sent again after it.
const PATIENCE: Duration = Duration::from_secs(1);
/// For something that should not come: many times what a way over loopback takes.
const CALM: Duration = Duration::from_millis(50);

/// Nodes on loopback.
struct Loopback {
    runtime: Runtime,
    /// What all have in common.
    common: TcpConfig,
    addresses: BTreeMap<NodeId, String>,
}

impl Loopback {
    fn of(common: TcpConfig) -> Self {
        Self {
            runtime: Runtime::new().expect("threads"),
            common,
            addresses: BTreeMap::new(),
        }
    }
}

impl TransportFixture for Loopback {
    fn fresh(&mut self, ids: &[NodeId]) -> Vec<Box<dyn Transport>> {
        ids.iter().map(|id| self.relocate(*id)).collect()
    }

    fn relocate(&mut self, id: NodeId) -> Box<dyn Transport> {
        let config = TcpConfig {
            node: id,
            ..self.common.clone()
        };
        let net = self.runtime.block_on(TcpNet::bind(config));
        let net = net.expect("loopback has free ports");
        self.addresses.insert(id, net.local_address().to_string());
        Box::new(net.group(GROUP))
    }

    fn address(&self, id: NodeId) -> String {
        self.addresses[&id].clone()
    }

    fn settle(&mut self, until: &mut dyn FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while !until() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        until()
    }

    fn calm(&mut self) {
        std::thread::sleep(CALM);
    }
}

#[test]
fn plain_tcp_is_a_transport() {
    transport(&mut Loopback::of(config(0)));
}

#[test]
fn plain_tcp_of_the_first_version_is_a_transport() {
    transport(&mut Loopback::of(TcpConfig {
        versions: (1, 1),
        ..config(0)
    }));
}

#[test]
fn encrypted_tcp_is_a_transport() {
    let authority = Authority::new();
    let (tls, _) = authority.tls("all", &["127.0.0.1"]);
    transport(&mut Loopback::of(TcpConfig {
        tls: Some(tls),
        ..config(0)
    }));
}
