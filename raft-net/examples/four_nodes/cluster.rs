//! Four nodes in one process, each with a directory and a port of its own, as if each were alone.
//!
//! It starts, kills and cuts off; it does not know what the service is about.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use raft_core::event::RoleName;
use raft_core::port::LogStore;
use raft_core::session::{SessionLimits, Sessions};
use raft_core::{CompactionPolicy, Consistency, GroupId, Index, Node, NodeConfig, NodeId, Term};
use raft_log::{Identity, Wal, WalConfig};
use raft_net::{TcpConfig, TcpNet};
use tokio::time::{Instant, sleep};

use crate::bank::Bank;
use crate::relay::Relays;

/// What can go wrong in this example: the message is all that anybody needs.
pub(crate) type Trouble = Box<dyn Error + Send + Sync>;

/// Nothing that is waited for takes longer, or the story has gone wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const SIZE: u64 = 4;
const CLUSTER: u64 = 4;
const GROUP: GroupId = GroupId(1);

/// The four of them.
pub(crate) struct Cluster {
    dir: PathBuf,
    relays: Relays,
    /// Where each node is reached: at its relay.
    members: BTreeMap<NodeId, String>,
    running: BTreeMap<NodeId, Running>,
}

struct Running {
    node: Node,
    net: TcpNet,
}

impl Cluster {
    /// Starts all four, with their logs in `dir`.
    pub(crate) async fn start(dir: PathBuf) -> Result<Self, Trouble> {
        let relays = Relays::default();
        let mut members = BTreeMap::new();
        for id in (1..=SIZE).map(NodeId) {
            members.insert(id, relays.open(id).await?);
        }
        let mut cluster = Self {
            dir,
            relays,
            members,
            running: BTreeMap::new(),
        };
        for id in (1..=SIZE).map(NodeId) {
            cluster.start_node(id).await?;
        }
        Ok(cluster)
    }

    /// Starts a node, for the first time or again. Returns where the log on its disk ends.
    pub(crate) async fn start_node(&mut self, id: NodeId) -> Result<Index, Trouble> {
        let identity = Identity {
            cluster: CLUSTER,
            node: id,
        };
        let small = WalConfig {
            segment_bytes: 1 << 20,
            snapshots_retained: 1,
            ..WalConfig::default()
        };
        let dir = self.dir.join(format!("node-{id}"));
        let mut log = Wal::open_dir(&dir, identity, small)?.group(GROUP)?;
        let last = log.recover()?.last;

        let tcp = TcpConfig {
            // Whoever is told another address than that of the relay would go round it.
            advertised: self.members.get(&id).cloned(),
            backoff_max: Duration::from_millis(100),
            ..TcpConfig::new(CLUSTER, id, "127.0.0.1:0")
        };
        let net = TcpNet::bind(tcp).await?;
        self.relays.lead(id, net.local_address());

        let machine = Sessions::new(Bank::default(), SessionLimits::default());
        let node = Node::start(self.config(id), log, net.group(GROUP), machine).await?;
        self.running.insert(id, Running { node, net });
        Ok(last)
    }

    fn config(&self, id: NodeId) -> NodeConfig {
        let mut config = NodeConfig::founding(id, self.members.clone());
        // The relays are near: a leader that is silent for half a second is gone.
        config.raft.election_timeout_min = Duration::from_millis(500);
        config.raft.election_timeout_max = Duration::from_millis(1000);
        config.raft.heartbeat_interval = Duration::from_millis(50);
        config.request_timeout = Duration::from_millis(1000);
        // Nothing stays of the log behind a snapshot, so that who was away needs the snapshot.
        config.compaction = CompactionPolicy {
            tail_entries: 0,
            ..CompactionPolicy::default()
        };
        config
    }

    /// Stops a node in the middle of whatever it does: nobody is told, nothing is handed over.
    /// Returns how far its log was durable.
    pub(crate) async fn kill(&mut self, id: NodeId) -> Result<Index, Trouble> {
        let killed = self.running.remove(&id).ok_or("it does not run")?;
        killed.net.shutdown().await;
        let mut watch = killed.node.watch_status();
        drop(killed);
        let last = watch.until(|status| status.stopped.is_some()).await;
        Ok(last.ok_or("it never said that it stopped")?.core.durable)
    }

    pub(crate) fn cut(&self, id: NodeId) {
        self.relays.cut(id);
    }

    pub(crate) fn heal(&self, id: NodeId) {
        self.relays.heal(id);
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.running[&id].node
    }

    /// How many bytes of snapshots a node was sent.
    pub(crate) fn snapshot_bytes(&self, id: NodeId) -> u64 {
        self.running[&id].net.counters().bulk_received_bytes
    }

    /// Those that run and can be reached.
    pub(crate) fn up(&self) -> Vec<Node> {
        let running = self.running.iter();
        let up = running.filter(|(id, _)| !self.relays.is_cut(**id));
        up.map(|(_, running)| running.node.clone()).collect()
    }

    /// Waits until all that are up follow one of them.
    pub(crate) async fn leader(&self) -> Result<(NodeId, Term), Trouble> {
        let up = self.up();
        let agreed = || {
            let cores: Vec<_> = up.iter().map(Node::status).collect();
            let leads = |id, term| {
                (cores.iter().map(|one| &one.core))
                    .all(|core| core.leader == Some(id) && core.term == term)
            };
            let leader = cores.iter().find(|one| one.core.role == RoleName::Leader)?;
            let (id, term) = (leader.core.id, leader.core.term);
            leads(id, term).then_some((id, term))
        };
        until("a leader that all follow", agreed).await
    }

    /// Waits until all that are up have applied the same; then asks each machine the same, and
    /// returns the answer if all give the same one.
    pub(crate) async fn agreement(&self) -> Result<String, Trouble> {
        let up = self.up();
        let level = || {
            let marks = |node: &Node| {
                let status = node.status();
                [
                    status.core.last.index,
                    status.core.commit,
                    status.core.applied,
                ]
            };
            let mut marks = up.iter().flat_map(marks);
            let first = marks.next()?;
            marks.all(|mark| mark == first).then_some(())
        };
        until("all nodes equally far", level).await?;
        let mut answers = BTreeMap::new();
        for node in &up {
            let answer = node.read("", Consistency::Local).await?;
            answers.insert(node.id(), String::from_utf8(answer.to_vec())?);
        }
        let mut different: Vec<_> = answers.values().collect();
        different.dedup();
        match different[..] {
            [answer] => Ok(answer.clone()),
            _ => Err(format!("the nodes do not agree: {answers:?}").into()),
        }
    }
}

/// Looks until there is something to see, or patience ends.
pub(crate) async fn until<T>(
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Trouble> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Err(format!("waited in vain for {what}").into())
}
