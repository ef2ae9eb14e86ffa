//! Members of a key-value store in one process, each with its keeper; rows and logs in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use raft_core::driver::{Lanes, WriteError};
use raft_core::event::RoleName;
use raft_core::{Consistency, Index, Node, NodeConfig, NodeId};
use raft_kv::command::Announcement;
use raft_kv::engine::MemoryEngine;
use raft_kv::machine::{Machine, MachineConfig, Sweeping};
use raft_kv::request::PutRequest;
use raft_kv::rows::State;
use raft_kv::store::Store;
use raft_kv::{Answer, Command, Keeper, KeeperConfig, LeaseId, Refusal, Response};
use raft_log::{MemoryDisk, MemoryLog};
use raft_net::UnreliableNet;

/// One of them, while it runs.
pub(crate) struct Member {
    pub(crate) node: Node,
    pub(crate) store: Store,
    pub(crate) keeper: Arc<Keeper>,
}

/// All of them.
pub(crate) struct Cluster {
    pub(crate) net: UnreliableNet,
    /// What is left on the disk of each.
    pub(crate) free: Vec<Arc<AtomicU64>>,
    /// How those keepers are set that are started from now on.
    pub(crate) config: Box<dyn Fn(&mut KeeperConfig)>,
    founders: u64,
    disks: Vec<MemoryDisk>,
    members: Vec<Option<Member>>,
    seed: u64,
}

impl Cluster {
    /// So many, all running.
    pub(crate) async fn start(size: u64) -> Self {
        Self::start_with(size, size, |_| {}).await
    }

    /// The same, from a seed, and with keepers that are set otherwise.
    pub(crate) async fn start_with(
        size: u64,
        seed: u64,
        config: impl Fn(&mut KeeperConfig) + 'static,
    ) -> Self {
        let mut cluster = Self {
            net: UnreliableNet::new(seed),
            free: (0..size)
                .map(|_| Arc::new(AtomicU64::new(u64::MAX)))
                .collect(),
            config: Box::new(config),
            founders: size,
            disks: (0..size).map(|_| MemoryDisk::default()).collect(),
            members: (0..size).map(|_| None).collect(),
            seed: seed * 1000,
        };
        for id in 1..=size {
            cluster.restart(id).await;
        }
        cluster
    }

    /// Starts one that is down.
    pub(crate) async fn restart(&mut self, id: u64) {
        self.seed += 1;
        let founders = (1..=self.founders).map(|id| (NodeId(id), name(id)));
        let mut config = NodeConfig::founding(NodeId(id), founders);
        config.lanes = Lanes::Inline;
        config.raft.seed = self.seed;
        let settings = MachineConfig {
            member: Some(NodeId(id)),
            sweeping: Sweeping::Inline,
            ..MachineConfig::default()
        };
        let opened = Machine::open(Arc::new(MemoryEngine::new()), settings);
        let (machine, store) = opened.expect("rows in memory");
        let log = MemoryLog::on(&self.disks[place(id)]);
        let transport = self.net.endpoint(name(id), NodeId(id));
        let node = Node::start(config, log, transport, machine).await;
        let node = node.expect("starts");
        let keeper = Keeper::start(node.clone(), store.clone(), self.keeper_config(id));
        self.members[place(id)] = Some(Member {
            node,
            store,
            keeper: Arc::new(keeper),
        });
    }

    fn keeper_config(&self, id: u64) -> KeeperConfig {
        let free = Arc::clone(&self.free[place(id)]);
        let mut config = KeeperConfig::new(Announcement {
            member: NodeId(id),
            version: 1,
            name: name(id),
            client_urls: vec![format!("http://{}", name(id))],
        });
        config.free_bytes = Arc::new(move || Some(free.load(Ordering::Relaxed)));
        (self.config)(&mut config);
        config
    }

    /// Stops it at once, as a crash would.
    pub(crate) async fn crash(&mut self, id: u64) {
        let member = self.members[place(id)].take().expect("runs");
        member.node.halt().await;
    }

    /// Ends the keeper of a member alone.
    pub(crate) async fn stop_keeper(&mut self, id: u64) -> (Node, Store) {
        let member = self.members[place(id)].take().expect("runs");
        let keeper = Arc::try_unwrap(member.keeper).expect("nobody asks it");
        keeper.shutdown().await;
        (member.node, member.store)
    }

    pub(crate) fn up(&self) -> impl Iterator<Item = (u64, &Member)> {
        (1..)
            .zip(&self.members)
            .filter_map(|(id, member)| Some((id, member.as_ref()?)))
    }

    pub(crate) fn member(&self, id: u64) -> &Member {
        self.members[place(id)].as_ref().expect("runs")
    }

    /// Waits until one of these leads, and all of them follow it.
    pub(crate) async fn leader_among(&self, ids: &[u64]) -> u64 {
        for _ in 0..10_000 {
            let leader_of = |id: &u64| self.member(*id).node.status().core.leader;
            let leaders: Vec<_> = ids.iter().map(leader_of).collect();
            if let Some(Some(leader)) = leaders.first()
                && ids.contains(&leader.0)
                && leaders.iter().all(|other| *other == Some(*leader))
                && self.member(leader.0).node.status().core.role == RoleName::Leader
            {
                return leader.0;
            }
            pass(10).await;
        }
        panic!("no leader among {ids:?}");
    }

    pub(crate) async fn leader(&self) -> u64 {
        let up: Vec<_> = self.up().map(|(id, _)| id).collect();
        self.leader_among(&up).await
    }

    /// The end of a member's log, once that is told: a busy node does so now and then.
    pub(crate) async fn last(&self, id: u64) -> Index {
        pass(50).await;
        self.member(id).node.status().core.last.index
    }
}

impl Member {
    /// Has a command applied, whoever leads.
    pub(crate) async fn ask(&self, command: Command) -> Result<Answer, WriteError> {
        let answer = self.node.write(command.encode()).await?;
        Ok(Answer::decode(answer).expect("an answer"))
    }

    /// The same of one that does not fail.
    pub(crate) async fn done(&self, command: Command) -> Response {
        let answer = self.ask(command.clone()).await;
        let outcome = answer.map(|answer| answer.outcome);
        match outcome {
            Ok(Ok(response)) => response,
            other => panic!("{other:?} to {command:?}"),
        }
    }

    pub(crate) async fn refused(&self, command: Command) -> Refusal {
        let answer = self.ask(command).await.expect("a leader");
        answer.outcome.expect_err("refused")
    }

    pub(crate) async fn grant(&self, id: i64, ttl_s: u64) -> LeaseId {
        let id = LeaseId(id);
        let done = self.done(Command::Grant { id, ttl_s }).await;
        let Response::Granted(id) = done else {
            panic!("{done:?}");
        };
        id
    }

    /// Puts a key that goes with a lease.
    pub(crate) async fn attach(&self, key: &'static str, lease: LeaseId) {
        let mut put = PutRequest::of(Bytes::from_static(key.as_bytes()), "value");
        put.lease = Some(lease);
        self.done(Command::Put(put)).await;
    }

    /// Whether there is such a lease here and now.
    pub(crate) fn has(&self, id: LeaseId) -> bool {
        self.store.lease(id).expect("rows").is_some()
    }

    pub(crate) fn state(&self) -> State {
        self.store.state().expect("rows")
    }

    /// Waits until all is applied here that was acknowledged anywhere.
    pub(crate) async fn catch_up(&self) {
        let applied = self.node.barrier(Consistency::Linearizable).await;
        applied.expect("a leader");
    }
}

pub(crate) fn name(id: u64) -> String {
    format!("member-{id}")
}

/// Lets so many milliseconds pass.
pub(crate) async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn place(id: u64) -> usize {
    usize::try_from(id - 1).expect("small")
}
