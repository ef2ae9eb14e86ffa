//! A cluster of whole nodes in one process: real sockets, real disks, real time.
//!
//! Nothing here waits for a span of time: whoever waits, waits for what the nodes say of
//! themselves, and when that does not come about, all they said is printed. This file does not know
//! what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::driver::{NodeStatus, StopReason, WriteError};
use raft_core::event::RoleName;
use raft_core::{Consistency, GroupId, Node, NodeConfig, NodeId};
use raft_log::{Identity, OpenError, Wal, WalConfig};
use raft_net::{TcpConfig, TcpNet};
use raft_tests::faulty::{FaultyLog, Trigger};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::machine::{Journal, Look, Name, Witness, digest, journal};
use crate::proxy::Proxy;

/// How long anything may take on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);
/// What is tried again is tried after this.
const PAUSE: Duration = Duration::from_millis(5);
/// What the clusters of these tests are called.
pub(crate) const CLUSTER: u64 = 0x7e57;
pub(crate) const GROUP: GroupId = GroupId(1);

/// A cluster. Its clones are the same.
#[derive(Clone)]
pub(crate) struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    root: TempDir,
    plan: Plan,
    witness: Arc<Witness>,
    places: Mutex<BTreeMap<u64, Place>>,
    running: Mutex<BTreeMap<u64, Running>>,
    /// Counts what the nodes say.
    news: watch::Sender<u64>,
}

type Tune = Box<dyn Fn(u64, &mut NodeConfig, &mut TcpConfig) + Send + Sync>;

/// What a cluster is to be like.
pub(crate) struct Plan {
    pub(crate) size: u64,
    /// Whether the nodes reach each other through proxies.
    pub(crate) is_proxied: bool,
    /// Changes the settings of a node each time that it is started.
    pub(crate) tune: Tune,
}

impl Plan {
    pub(crate) fn of(size: u64) -> Self {
        Self {
            size,
            is_proxied: false,
            tune: Box::new(|_, _, _| {}),
        }
    }
}

/// What stays of a node while it is down.
struct Place {
    /// Where it listens; port 0 before the first time.
    listen: String,
    /// What the members know of it.
    address: String,
    proxy: Option<Proxy>,
    panics: Arc<AtomicBool>,
    faults: Trigger,
}

/// A node that is up, its network, and the sign that it was killed.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) net: TcpNet,
    killed: CancellationToken,
}

impl Running {
    /// Writes, unless the node is killed meanwhile: the handle must not outlive the node then.
    pub(crate) async fn write(&self, command: Bytes) -> Result<Bytes, WriteError> {
        tokio::select! {
            written = self.node.write(command) => written,
            () = self.killed.cancelled() => Err(WriteError::Unknown),
        }
    }

    /// Reads, unless the node is killed meanwhile.
    pub(crate) async fn read(&self, look: Look, consistency: Consistency) -> Option<Bytes> {
        tokio::select! {
            read = self.node.read(look, consistency) => read.ok(),
            () = self.killed.cancelled() => None,
        }
    }
}

impl Cluster {
    /// A cluster of so many, all running.
    pub(crate) async fn start(size: u64) -> Self {
        Self::planned(Plan::of(size)).await
    }

    pub(crate) async fn planned(plan: Plan) -> Self {
        let size = plan.size;
        let cluster = Self {
            inner: Arc::new(Inner {
                root: TempDir::new().expect("there is a disk"),
                plan,
                witness: Arc::default(),
                places: Mutex::default(),
                running: Mutex::default(),
                news: watch::Sender::new(0),
            }),
        };
        // All ports are known before any node is founded.
        let mut nets = Vec::new();
        for id in 1..=size {
            nets.push((id, cluster.bind(id).await));
        }
        for (id, net) in nets {
            cluster.run(cluster.founding(id), net).await;
        }
        cluster
    }

    fn founding(&self, id: u64) -> NodeConfig {
        let founders = 1..=self.inner.plan.size;
        let founders = founders.map(|id| (NodeId(id), self.address(id)));
        NodeConfig::founding(NodeId(id), founders)
    }

    /// Starts a node that was wiped, as if it had never been there: it founds the cluster anew.
    pub(crate) async fn found_again(&self, id: u64) {
        let net = self.bind(id).await;
        self.run(self.founding(id), net).await;
    }

    /// Starts a node that was killed or stopped, or one that is to be added.
    pub(crate) async fn restart(&self, id: u64) {
        let net = self.bind(id).await;
        // What it was founded with is on its disk; or it waits to be added.
        self.run(NodeConfig::joining(NodeId(id)), net).await;
    }

    /// Ends a node as a crash would: nothing leaves it any more, and nothing is handed over.
    pub(crate) async fn kill(&self, id: u64) {
        let running = self.lock_running().remove(&id).expect("it runs");
        running.killed.cancel();
        running.net.shutdown().await;
        let mut watch = running.node.watch_status();
        drop(running);
        let stopped = watch.until(|status| status.stopped.is_some());
        let stopped = timeout(PATIENCE, stopped).await;
        assert!(stopped.is_ok(), "node {id} does not stop:\n{}", self.said());
    }

    /// Ends a node in good order. Gives its last words.
    pub(crate) async fn shutdown(&self, id: u64) -> Arc<NodeStatus> {
        let running = self.running(id);
        let stopped = timeout(PATIENCE, running.node.shutdown()).await;
        let reason = stopped.unwrap_or_else(|_| panic!("node {id} stays:\n{}", self.said()));
        assert!(matches!(reason, StopReason::Told), "{reason}");
        running.net.shutdown().await;
        self.lock_running().remove(&id);
        running.node.status()
    }

    /// Takes everything from a node that is down.
    pub(crate) fn wipe(&self, id: u64) {
        std::fs::remove_dir_all(self.dir(id)).expect("it was there");
    }

    // --- What the nodes say ---

    pub(crate) fn running(&self, id: u64) -> Running {
        self.find(id)
            .unwrap_or_else(|| panic!("node {id} is down:\n{}", self.said()))
    }

    pub(crate) fn find(&self, id: u64) -> Option<Running> {
        self.lock_running().get(&id).cloned()
    }

    pub(crate) fn node(&self, id: u64) -> Node {
        self.running(id).node
    }

    /// Those that are up.
    pub(crate) fn up(&self) -> Vec<u64> {
        self.lock_running().keys().copied().collect()
    }

    pub(crate) fn status(&self, id: u64) -> Arc<NodeStatus> {
        self.running(id).node.status()
    }

    pub(crate) fn witness(&self) -> &Arc<Witness> {
        &self.inner.witness
    }

    /// What makes the machine of a node panic on the poisoned command.
    pub(crate) fn panics(&self, id: u64) -> Arc<AtomicBool> {
        Arc::clone(&self.lock_places()[&id].panics)
    }

    /// What makes the log of a node fail.
    pub(crate) fn faults(&self, id: u64) -> Trigger {
        self.lock_places()[&id].faults.clone()
    }

    pub(crate) fn proxy(&self, id: u64) -> Proxy {
        let proxy = self.lock_places()[&id].proxy.clone();
        proxy.expect("this cluster has proxies")
    }

    /// Where the members reach a node.
    pub(crate) fn address(&self, id: u64) -> String {
        self.lock_places()[&id].address.clone()
    }

    pub(crate) fn dir(&self, id: u64) -> PathBuf {
        self.inner.root.path().join(format!("node-{id}"))
    }

    /// Waits until `find` finds something; it is asked each time that a node says something.
    pub(crate) async fn wait<T>(&self, what: &str, mut find: impl FnMut(&Self) -> Option<T>) -> T {
        let mut news = self.inner.news.subscribe();
        let search = async {
            loop {
                news.mark_unchanged();
                if let Some(found) = find(self) {
                    return found;
                }
                news.changed().await.expect("the sender is in self");
            }
        };
        match timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not within {PATIENCE:?}:\n{}", self.said()),
        }
    }

    /// Waits until a node says that `wanted` holds.
    pub(crate) async fn until(
        &self,
        what: &str,
        id: u64,
        mut wanted: impl FnMut(&NodeStatus) -> bool,
    ) -> Arc<NodeStatus> {
        let of = |cluster: &Self| Some(cluster.find(id)?.node.status());
        self.wait(what, |cluster| of(cluster).filter(|status| wanted(status)))
            .await
    }

    /// Waits until one of these leads, and all of them follow it.
    pub(crate) async fn leader_among(&self, ids: &[u64]) -> u64 {
        let leader = |cluster: &Self| {
            let statuses: Vec<_> = ids.iter().map(|id| cluster.status(*id)).collect();
            let is_leader = |status: &&Arc<NodeStatus>| status.core.role == RoleName::Leader;
            let leader = &statuses.iter().find(is_leader)?.core;
            let follow = |status: &Arc<NodeStatus>| {
                status.core.leader == Some(leader.id) && status.core.term == leader.term
            };
            statuses.iter().all(follow).then_some(leader.id.0)
        };
        self.wait("a leader that all follow", leader).await
    }

    /// Waits until one of those that are up leads, and all of them follow it.
    pub(crate) async fn leader(&self) -> u64 {
        self.leader_among(&self.up()).await
    }

    /// One of those that are up and do not lead.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        let others = self.up().into_iter().find(|id| *id != leader);
        others.expect("not alone")
    }

    /// Waits until these have applied the same, and no less than was acknowledged before. Then
    /// each has applied all of `acknowledged` once, and nothing that was applied anywhere is gone.
    pub(crate) async fn agree(&self, ids: &[u64], acknowledged: &BTreeSet<Name>) {
        for id in ids {
            let node = self.node(*id);
            let barrier = timeout(PATIENCE, async {
                while node.barrier(Consistency::Linearizable).await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            });
            let is_done = barrier.await.is_ok();
            assert!(is_done, "no leader confirms reads:\n{}", self.said());
        }
        let mut news = self.inner.news.subscribe();
        let search = async {
            while self.digests(ids).await.len() != 1 {
                news.changed().await.expect("the sender is in self");
            }
        };
        if timeout(PATIENCE, search).await.is_err() {
            let digests = self.digests(ids).await;
            panic!("the nodes differ: {digests:?}\n{}", self.said());
        }
        let applied: Vec<Name> = self
            .witness()
            .applied()
            .into_iter()
            .map(|row| row.1)
            .collect();
        for id in ids {
            let node = self.node(*id);
            let answer = node.read(Look::Journal, Consistency::Local).await;
            let held = journal(answer.expect("it runs"));
            assert_eq!(held, applied, "node {id} holds what was applied");
        }
        let once: BTreeSet<Name> = applied.iter().copied().collect();
        assert_eq!(once.len(), applied.len(), "something was applied twice");
        let lost: Vec<_> = acknowledged.difference(&once).collect();
        assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
    }

    async fn digests(&self, ids: &[u64]) -> BTreeSet<(u64, u64)> {
        let mut digests = BTreeSet::new();
        for id in ids {
            let node = self.node(*id);
            let answer = node.read(Look::Digest, Consistency::Local).await;
            digests.insert(digest(answer.expect("it runs")));
        }
        digests
    }

    /// All that all nodes say, for whoever has waited in vain.
    pub(crate) fn said(&self) -> String {
        let running = self.lock_running();
        let said = running.iter().map(|(id, running)| {
            let (status, counters) = (running.node.status(), running.net.counters());
            format!("node {id}: {status:#?}\n{counters:?}\n")
        });
        said.collect()
    }

    // --- How they come up ---

    async fn bind(&self, id: u64) -> TcpNet {
        if !self.lock_places().contains_key(&id) {
            let place = self.new_place().await;
            self.lock_places().insert(id, place);
        }
        let (listen, proxy) = {
            let places = self.lock_places();
            (places[&id].listen.clone(), places[&id].proxy.clone())
        };
        let mut config = TcpConfig::new(CLUSTER, NodeId(id), listen);
        config.backoff_max = Duration::from_millis(100);
        config.advertised = proxy.as_ref().map(Proxy::address);
        (self.inner.plan.tune)(id, &mut NodeConfig::joining(NodeId(id)), &mut config);
        let net = match TcpNet::bind(config.clone()).await {
            Ok(net) => net,
            // Somebody took the port meanwhile. Peers learn the new one when they are dialed.
            Err(_) => {
                config.listen = "127.0.0.1:0".to_owned();
                TcpNet::bind(config).await.expect("loopback has free ports")
            }
        };
        let address = net.local_address().to_string();
        if let Some(place) = self.lock_places().get_mut(&id) {
            place.listen.clone_from(&address);
            place.address = proxy.as_ref().map_or(address, Proxy::address);
        }
        if let Some(proxy) = proxy {
            proxy.lead_to(net.local_address());
        }
        net
    }

    async fn new_place(&self) -> Place {
        let proxy = if self.inner.plan.is_proxied {
            Some(Proxy::start().await)
        } else {
            None
        };
        Place {
            listen: "127.0.0.1:0".to_owned(),
            address: String::new(),
            proxy,
            panics: Arc::default(),
            faults: Trigger::default(),
        }
    }

    async fn run(&self, mut config: NodeConfig, net: TcpNet) {
        let id = config.id.0;
        quicken(&mut config);
        (self.inner.plan.tune)(id, &mut config, &mut TcpConfig::new(0, NodeId(id), ""));
        let log = open(self.dir(id), id).await;
        let log = log.group(GROUP).expect("its snapshots can be read");
        let log = FaultyLog::new(log, &self.faults(id));
        let machine = Journal::new(self.witness(), &self.panics(id));
        let node = Node::start(config, log, net.group(GROUP), machine).await;
        let node = node.expect("it starts");
        self.follow(&node);
        let killed = CancellationToken::new();
        let running = Running { node, net, killed };
        self.lock_running().insert(id, running);
        self.inner.news.send_modify(|count| *count += 1);
    }

    /// Lets those who wait know what the node says.
    fn follow(&self, node: &Node) {
        let mut watch = node.watch_status();
        let news = self.inner.news.clone();
        tokio::spawn(async move {
            while watch.next().await.is_some() {
                news.send_modify(|count| *count += 1);
            }
        });
    }

    fn lock_places(&self) -> MutexGuard<'_, BTreeMap<u64, Place>> {
        let places = self.inner.places.lock();
        places.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        let running = self.inner.running.lock();
        running.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Short timeouts, so that tests are quick, but not too short for a busy machine.
pub(crate) fn quicken(config: &mut NodeConfig) {
    config.raft.election_timeout_min = Duration::from_millis(250);
    config.raft.election_timeout_max = Duration::from_millis(500);
    config.raft.heartbeat_interval = Duration::from_millis(40);
    config.raft.transfer_timeout = Duration::from_secs(1);
    config.request_timeout = Duration::from_secs(3);
}

/// Opens the log of a node, once nobody else has it open: a thread that was reading it may be the
/// last to let go of it.
pub(crate) async fn open(dir: PathBuf, id: u64) -> Wal {
    let identity = Identity {
        cluster: CLUSTER,
        node: NodeId(id),
    };
    let config = WalConfig {
        segment_bytes: 1 << 20,
        ..WalConfig::default()
    };
    let open = async {
        loop {
            match Wal::open_dir(&dir, identity, config) {
                Ok(wal) => return wal,
                Err(OpenError::Dir(_)) => tokio::time::sleep(PAUSE).await,
                Err(error) => panic!("the log of node {id}: {error}"),
            }
        }
    };
    let opened = timeout(PATIENCE, open).await;
    opened.unwrap_or_else(|_| panic!("somebody keeps the log of node {id} open"))
}
