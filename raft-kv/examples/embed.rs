//! A key-value store in one process: a machine, a log, a network, a node, and the handle to them.
//! All of it is in memory, so it forgets. It does not know how any of them work.
//!
//! ```sh
//! cargo run --release -p raft-kv --no-default-features --example embed
//! ```

use std::error::Error;
use std::sync::Arc;

use raft_core::{Consistency, Node, NodeConfig, NodeId};
use raft_kv::engine::MemoryEngine;
use raft_kv::request::{PutRequest, RangeRequest};
use raft_kv::service::{Kv, Limits};
use raft_kv::{Keys, Machine, MachineConfig};
use raft_log::MemoryLog;
use raft_net::UnreliableNet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (id, name) = (NodeId(1), "alone");
    let engine = Arc::new(MemoryEngine::new());
    let (machine, store) = Machine::open(engine, MachineConfig::default())?;
    let net = UnreliableNet::new(1).endpoint(name, id);
    let config = NodeConfig::founding(id, [(id, name)]);
    let node = Node::start(config, MemoryLog::new(), net, machine).await?;
    let kv = Kv::new(node, store, Limits::default());

    let (revision, _) = kv.put(PutRequest::of("greeting", "hello")).await?;
    println!("put at revision {revision}");
    let range = RangeRequest::of(Keys::prefix("greet"));
    let (_, found) = kv.range(range, Consistency::Linearizable).await?;
    println!("found {:?}", found.kvs);
    kv.node().shutdown().await;
    Ok(())
}
