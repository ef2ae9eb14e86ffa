//! A member whose engine has failed in the background, which nobody writes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use raft_core::driver::{Lanes, StopReason};
use raft_core::port::{Capture, PortError, SnapshotSource};
use raft_core::{Index, Node, NodeConfig, NodeId};
use raft_kv::command::Announcement;
use raft_kv::engine::{Batch, Engine, Health, MemoryEngine, View};
use raft_kv::machine::{Machine, MachineConfig, Sweeping};
use raft_kv::{Keeper, KeeperConfig};
use raft_log::MemoryLog;
use raft_net::UnreliableNet;

use crate::cluster::pass;

#[derive(Default)]
struct Sick {
    rows: MemoryEngine,
    errors: AtomicU64,
}

impl Engine for Sick {
    fn write(&self, batch: Batch) -> Result<(), PortError> {
        self.rows.write(batch)
    }

    fn read(
        &self,
        reader: &mut dyn FnMut(&dyn View) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        self.rows.read(reader)
    }

    fn durable(&self) -> Index {
        self.rows.durable()
    }

    fn flush(&self) -> Result<(), PortError> {
        self.rows.flush()
    }

    fn capture(&self) -> Result<Capture, PortError> {
        self.rows.capture()
    }

    fn restore(&self, source: &dyn SnapshotSource) -> Result<(), PortError> {
        self.rows.restore(source)
    }

    fn health(&self) -> Result<Health, PortError> {
        Ok(Health {
            background_errors: self.errors.load(Ordering::Relaxed),
            ..self.rows.health()?
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_in_the_background_stops_the_node() {
    let engine = Arc::new(Sick::default());
    let settings = MachineConfig {
        sweeping: Sweeping::Inline,
        ..MachineConfig::default()
    };
    let opened = Machine::open(Arc::<Sick>::clone(&engine), settings);
    let (machine, store) = opened.expect("rows in memory");
    let mut config = NodeConfig::founding(NodeId(1), [(NodeId(1), "one")]);
    config.lanes = Lanes::Inline;
    let transport = UnreliableNet::new(1).endpoint("one", NodeId(1));
    let node = Node::start(config, MemoryLog::new(), transport, machine).await;
    let node = node.expect("starts");
    let announcement = Announcement {
        member: NodeId(1),
        version: 1,
        name: "one".to_owned(),
        client_urls: Vec::new(),
    };
    let _keeper = Keeper::start(node.clone(), store, KeeperConfig::new(announcement));
    pass(5_000).await;
    assert!(node.status().stopped.is_none());
    engine.errors.store(1, Ordering::Relaxed);
    assert!(matches!(node.stopped().await, StopReason::Told));
}
