//! A member for tests, alone and in memory, that is asked through the clients that etcd's protocol
//! compiles to, without a connection. It does not know what is tested.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_core::driver::Lanes;
use raft_core::{Node, NodeConfig, NodeId};
use raft_kv::command::Announcement;
use raft_kv::engine::MemoryEngine;
use raft_kv::machine::{Machine, MachineConfig, Sweeping};
use raft_kv::request::PutRequest;
use raft_kv::service::{Kv, Limits};
use raft_kv::watch::{Wanted, WatchItem, WatchRequest};
use raft_kv::{Command, Keeper, KeeperConfig, Keys, Revision};
use raft_log::MemoryLog;
use raft_net::{TcpConfig, TcpNet, UnreliableNet};

use super::auth::Users;
use super::config::{ServerArgs, ServerConfig};
use super::gate::Gate;
use super::leadership::Leadership;
use super::member::{Member, Shared};
use super::metrics::Metrics;

const CLUSTER: u64 = 7;

/// What a server without flags goes by.
pub(crate) fn config() -> ServerConfig {
    let resolved = ServerArgs::of_flags([]).resolve_in(&BTreeMap::new());
    resolved.unwrap_or_else(|exit| panic!("defaults are fine: {exit}"))
}

/// A member that leads.
pub(crate) async fn alone() -> Shared {
    let mut members = cluster(1).await;
    members.pop().expect("one")
}

/// So many members, one of whom leads; all of them know who.
pub(crate) async fn cluster(size: u64) -> Vec<Shared> {
    let net = UnreliableNet::new(size);
    let mut members = Vec::new();
    for id in 1..=size {
        members.push(start(&net, NodeId(id), size).await);
    }
    for member in &members {
        let mut status = member.node().watch_status();
        let led = status.until(|status| status.core.leader.is_some()).await;
        led.expect("it runs");
    }
    members
}

/// A member that misses the other founders, of whom there are none, so that nobody leads.
pub(crate) async fn leaderless() -> Shared {
    start(&UnreliableNet::new(1), NodeId(1), 3).await
}

/// Gives a key a value.
pub(crate) async fn put(member: &Shared, key: &str, value: &str) -> Revision {
    let put = PutRequest::of(key.to_owned(), value.to_owned());
    member.kv.put(put).await.expect("it is led").0
}

/// Waits until so many keys that begin so were put, or deleted, since the store was fresh.
pub(crate) async fn until(member: &Shared, prefix: &'static str, wanted: Wanted, count: usize) {
    let request = WatchRequest {
        start: Revision(1),
        wanted,
        ..WatchRequest::new(Keys::prefix(prefix))
    };
    let mut watcher = member.store().watch(request).expect("room");
    let mut seen = 0;
    while seen < count {
        match watcher.next().await {
            WatchItem::Events { events, .. } => seen += events.len(),
            WatchItem::Cancelled(reason) => panic!("{reason}"),
        }
    }
}

async fn start(net: &UnreliableNet, id: NodeId, founders: u64) -> Shared {
    let config = config();
    let name = |id: u64| format!("member-{id}");
    let founders = (1..=founders).map(|id| (NodeId(id), name(id)));
    let mut node = NodeConfig::founding(id, founders);
    node.lanes = Lanes::Inline;
    node.raft.seed = id.0;
    let machine = MachineConfig {
        sweeping: Sweeping::Inline,
        ..MachineConfig::default()
    };
    let engine = Arc::new(MemoryEngine::new());
    let (machine, store) = Machine::open(engine, machine).expect("it opens");
    let endpoint = net.endpoint(name(id.0), id);
    let node = Node::start(node, MemoryLog::new(), endpoint, machine).await;
    let node = node.expect("it starts");
    let announcement = Announcement {
        member: id,
        version: Command::VERSION_LATEST,
        name: name(id.0),
        client_urls: Vec::new(),
    };
    let keeper = KeeperConfig {
        // Only what a test asks for changes the store.
        survey: Duration::from_secs(1 << 30),
        ..KeeperConfig::new(announcement)
    };
    let tcp = TcpConfig::new(CLUSTER, id, "127.0.0.1:0".to_owned());
    Arc::new(Member {
        id,
        cluster: CLUSTER,
        token: String::new(),
        kv: Kv::new(node.clone(), store.clone(), Limits::default()),
        leadership: Leadership::follow(node.clone(), config.election_timeout),
        keeper: Keeper::start(node, store, keeper),
        net: TcpNet::bind(tcp).await.expect("a free port"),
        gate: Gate::new(config.limits),
        users: Users::new(CLUSTER, config.auth, false),
        metrics: Arc::new(Metrics::new()),
        began: Instant::now(),
        config,
    })
}
