//! Three nodes of openraft that call each other's functions.
//!
//! The settings are those of openraft's minimal benchmark: elections after 200 to 2000 ms, up to
//! 1024 entries a message, purged in batches of 1024, snapshots as by default (each 5000 entries),
//! an answer by a oneshot channel.
//!
//! It deliberately does not know how entries are stored: see `theirs_store.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{Config, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2, RaftTypeConfig};

use crate::load::Cluster;
use crate::theirs_store::{Log, Machine};

const NODES: u64 = 3;
const LEADER: u64 = 0;
const START_TIME_MAX: Duration = Duration::from_secs(5);

/// What openraft wants to be told about types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Nothing;
    type R = Nothing;
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Nothing, u64, ()>;
    type Entry = openraft::alias::DefaultEntryOf<Self>;
    type AsyncRuntime = openraft::impls::TokioRuntime;
    type Responder<T>
        = openraft::impls::OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::AnyError;
}

/// Command and answer: both empty, as in openraft's benchmark.
#[derive(Clone, Debug)]
pub(crate) struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("nothing")
    }
}

type Node = Raft<Types, Machine>;

/// The nodes, and who leads them.
pub(crate) struct Trio {
    leader: Node,
}

impl Trio {
    /// Three nodes that have elected the first.
    pub(crate) async fn start() -> anyhow::Result<Trio> {
        let config = Config {
            election_timeout_min: 200,
            election_timeout_max: 2000,
            purge_batch_size: 1024,
            max_payload_entries: 1024,
            ..Config::default()
        };
        let config = Arc::new(config.validate()?);
        let router = Router::default();
        let mut nodes = Vec::new();
        for id in 0..NODES {
            let (log, machine) = (Log::default(), Machine::default());
            let node = Node::new(id, Arc::clone(&config), router.clone(), log, machine).await?;
            router.add(id, node.clone());
            nodes.push(node);
        }
        let leader = router.find(LEADER)?;
        let members: BTreeMap<u64, ()> = (0..NODES).map(|id| (id, ())).collect();
        leader.initialize(members).await?;
        for node in nodes {
            // The configuration and the entry that opens the term.
            let wait = node.wait(Some(START_TIME_MAX));
            wait.applied_index_at_least(Some(1), "elected").await?;
        }
        Ok(Trio { leader })
    }
}

impl Cluster for Trio {
    async fn write(&self) -> anyhow::Result<()> {
        self.leader.client_write(Nothing).await?;
        Ok(())
    }
}

/// Where each node finds the others.
#[derive(Clone, Default)]
struct Router {
    nodes: Arc<Mutex<BTreeMap<u64, Node>>>,
}

impl Router {
    fn add(&self, id: u64, node: Node) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(id, node);
    }

    fn find(&self, id: u64) -> Result<Node, Unreachable<Types>> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes.get(&id).cloned();
        node.ok_or_else(|| Unreachable::from_string("not started yet"))
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &()) -> Link {
        Link {
            target: self.find(target),
        }
    }
}

/// From one node to another: a call.
struct Link {
    target: Result<Node, Unreachable<Types>>,
}

impl Link {
    fn target(&self) -> Result<&Node, Unreachable<Types>> {
        self.target.as_ref().map_err(Clone::clone)
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let answer = self.target()?.append_entries(request).await;
        Ok(answer.map_err(|error| Unreachable::new(&error))?)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self.target()?.vote(request).await;
        Ok(answer.map_err(|error| Unreachable::new(&error))?)
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let answer = self.target()?.install_full_snapshot(vote, snapshot).await;
        Ok(answer.map_err(|error| Unreachable::new(&error))?)
    }
}
