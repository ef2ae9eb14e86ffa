//! The cluster under the storm: nodes that come and go, and what the clients saw.
//!
//! One thread, one paused clock. This file does not know which faults come when.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use raft_core::driver::{Lanes, StartError};
use raft_core::event::RoleName;
use raft_core::port::StateMachine;
use raft_core::sim::history::{History, Operation, OperationId, Outcome};
use raft_core::sim::rng::Rng;
use raft_core::sim::wgl;
use raft_core::{ClockDrift, CompactionPolicy, Node, NodeConfig, NodeId, Term};
use raft_log::{MemoryDisk, MemoryLog};
use raft_net::{UnreliableNet, UnreliableTransport};

use super::Tally;

/// So many found the cluster; the rest may be added.
pub const FOUNDERS: u64 = 3;
/// So many nodes there are at most.
pub const NODES: u64 = 5;
/// How long a request may take.
pub const PATIENCE: Duration = Duration::from_millis(1500);
const OPERATIONS_MAX: usize = 100_000;

/// How a node is called in the network.
#[must_use]
pub fn name(id: u64) -> String {
    format!("node-{id}")
}

/// What the nodes of a world run.
pub trait Program: 'static {
    /// Starts a node with a machine that has nothing in memory.
    fn start(&self, place: Place) -> impl Future<Output = Result<Node, StartError>>;

    /// The process of a node is gone, whoever still has a handle of it.
    fn gone(&self, id: NodeId);
}

/// Where a node is to run.
pub struct Place {
    /// Its settings.
    pub config: NodeConfig,
    /// Its log.
    pub log: MemoryLog,
    /// Its way into the network.
    pub endpoint: UnreliableTransport,
}

impl Place {
    /// Starts a node with this machine.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn run(self, machine: impl StateMachine + 'static) -> Result<Node, StartError> {
        Node::start(self.config, self.log, self.endpoint, machine).await
    }
}

/// The cluster, and what is known of it.
pub struct World<P> {
    /// What its nodes run.
    pub program: P,
    /// Leaders answer reads by their leases.
    has_leases: bool,
    /// What is between the nodes.
    pub net: UnreliableNet,
    /// All that is drawn comes from here.
    pub rng: RefCell<Rng>,
    /// What clients saw of registers.
    pub history: RefCell<History>,
    /// What happened.
    pub tally: RefCell<Tally>,
    /// No faults any more, and clients finish.
    pub is_over: Cell<bool>,
    wrongs: RefCell<Vec<String>>,
    disks: Vec<MemoryDisk>,
    running: RefCell<Vec<Option<Node>>>,
    /// Counts what happened, so that no two things happened at once.
    moment: Cell<u64>,
    values: Cell<u64>,
    leaders: RefCell<BTreeSet<(Term, NodeId)>>,
}

impl<P: Program> World<P> {
    /// A world in which no node runs yet.
    #[must_use]
    pub fn new(seed: u64, program: P) -> Self {
        Self {
            program,
            has_leases: seed.is_multiple_of(3),
            net: UnreliableNet::new(seed),
            rng: RefCell::new(Rng::new(seed)),
            history: RefCell::new(History::new(OPERATIONS_MAX)),
            tally: RefCell::default(),
            is_over: Cell::new(false),
            wrongs: RefCell::default(),
            disks: (0..NODES).map(|_| MemoryDisk::default()).collect(),
            running: RefCell::new((0..NODES).map(|_| None).collect()),
            moment: Cell::new(0),
            values: Cell::new(0),
            leaders: RefCell::default(),
        }
    }

    /// A number below `end`.
    pub fn draw(&self, end: u64) -> u64 {
        self.rng.borrow_mut().below(end)
    }

    /// What comes next in the one order of all things.
    pub fn moment(&self) -> u64 {
        self.moment.set(self.moment.get() + 1);
        self.moment.get()
    }

    /// A value that was never written.
    pub fn fresh_value(&self) -> u64 {
        self.values.set(self.values.get() + 1);
        self.values.get()
    }

    /// Time passes.
    pub async fn pause(&self, low_ms: u64, high_ms: u64) {
        let span = self.rng.borrow_mut().between(low_ms, high_ms);
        tokio::time::sleep(Duration::from_millis(span)).await;
    }

    /// Something happened that must never happen, in words.
    pub fn wrong(&self, what: impl Into<String>) {
        self.wrongs.borrow_mut().push(what.into());
    }

    fn nothing_wrong(&self) -> Result<(), String> {
        let first = self.wrongs.borrow().first().cloned();
        first.map_or(Ok(()), Err)
    }

    // --- Nodes ---

    /// Starts a node on what its disk holds.
    ///
    /// # Panics
    /// If it does not start: no fault is a reason for that.
    pub async fn start(&self, id: u64) {
        let node = self.program.start(Place {
            config: self.config(id),
            log: MemoryLog::on(&self.disks[place(id)]),
            endpoint: self.net.endpoint(name(id), NodeId(id)),
        });
        let node = node.await;
        self.running.borrow_mut()[place(id)] = Some(node.expect("starts"));
    }

    /// Starts all nodes.
    pub async fn start_all(&self) {
        for id in 1..=NODES {
            self.start(id).await;
        }
    }

    /// Starts all that are down.
    pub async fn restart_all(&self) {
        for id in self.down() {
            self.start(id).await;
            self.tally.borrow_mut().restarts += 1;
        }
    }

    fn config(&self, id: u64) -> NodeConfig {
        let founders = (1..=FOUNDERS).map(|id| (NodeId(id), name(id)));
        let mut config = match id {
            1..=FOUNDERS => NodeConfig::founding(NodeId(id), founders),
            _ => NodeConfig::joining(NodeId(id)),
        };
        config.lanes = Lanes::Inline;
        config.request_timeout = PATIENCE;
        config.raft.seed = self.rng.borrow_mut().draw().max(1);
        config.raft.election_timeout_min = Duration::from_millis(300);
        config.raft.election_timeout_max = Duration::from_millis(600);
        config.raft.heartbeat_interval = Duration::from_millis(50);
        config.raft.lease = self.has_leases.then_some(ClockDrift { per_mille: 10 });
        config.raft.transfer_timeout = Duration::from_millis(500);
        config.raft.membership_timeout = Duration::from_secs(2);
        config.raft.tail_bytes_max = 4 << 10;
        config.raft.catch_up_entries = 20;
        config.compaction = CompactionPolicy {
            entries_max: 80,
            tail_entries: 10,
            tail_bytes_max: 64 << 10,
            ..CompactionPolicy::default()
        };
        config
    }

    /// The process is gone. What it still does reaches neither its disk nor anybody else.
    pub fn crash(&self, id: u64) -> bool {
        let node = self.withdraw(id);
        drop(self.net.endpoint(name(id), NodeId(id)));
        drop(MemoryLog::on(&self.disks[place(id)]));
        node.is_some()
    }

    /// No longer asked by anybody; whoever gets it may stop it.
    pub fn withdraw(&self, id: u64) -> Option<Node> {
        self.program.gone(NodeId(id));
        self.running.borrow_mut()[place(id)].take()
    }

    /// A node, if it runs.
    pub fn node(&self, id: u64) -> Option<Node> {
        self.running.borrow()[place(id)].clone()
    }

    /// Those that do not run.
    pub fn down(&self) -> Vec<u64> {
        let running = self.running.borrow();
        (1..=NODES)
            .filter(|id| running[place(*id)].is_none())
            .collect()
    }

    /// Any node that runs.
    pub fn any(&self) -> Option<Node> {
        let up: Vec<_> = self.running.borrow().iter().flatten().cloned().collect();
        self.rng.borrow_mut().pick(&up).cloned()
    }

    /// Who leads in the latest term, as far as can be seen.
    pub fn leader(&self) -> Option<Node> {
        let running = self.running.borrow();
        let leaders = running.iter().flatten().filter(|node| {
            let status = node.status();
            status.stopped.is_none() && status.core.role == RoleName::Leader
        });
        let leader = leaders.max_by_key(|node| node.status().core.term).cloned();
        if let Some(leader) = &leader {
            let term = leader.status().core.term;
            self.leaders.borrow_mut().insert((term, leader.id()));
        }
        leader
    }

    // --- What happened ---

    /// What happened so far, the network's part included.
    pub fn told(&self) -> Tally {
        let mut tally = self.tally.borrow().clone();
        let counters = self.net.counters();
        tally.lost = counters.lost;
        tally.duplicated = counters.duplicated;
        tally.reordered = counters.reordered;
        tally.unreachable = counters.unreachable;
        tally.failovers = self.failovers();
        tally
    }

    /// How often leadership moved, as far as was seen.
    fn failovers(&self) -> u64 {
        let leaders = self.leaders.borrow();
        let moved = leaders.iter().zip(leaders.iter().skip(1));
        moved.filter(|(before, after)| before.1 != after.1).count() as u64
    }

    /// Judges what clients saw. `index_of` says where the write of a value took effect, if it did.
    ///
    /// # Errors
    /// The first thing that was wrong.
    pub fn judge(&self, index_of: impl Fn(u64) -> Option<u64>) -> Result<(), String> {
        self.nothing_wrong()?;
        self.reveal(index_of);
        let history = self.history.borrow();
        history.operations().iter().try_for_each(check_effect)?;
        wgl::check(&history).map_err(|error| error.to_string())
    }

    /// Writes of unknown outcome that did take effect get the index at which they did.
    fn reveal(&self, index_of: impl Fn(u64) -> Option<u64>) {
        let mut history = self.history.borrow_mut();
        let values = |operation: &Operation| Some((operation.id, operation.kind.value_new()?));
        let named: Vec<(OperationId, u64)> =
            history.operations().iter().filter_map(values).collect();
        for (id, value) in named {
            if let Some(index) = index_of(value) {
                history.record_index(id, index);
            }
        }
    }
}

/// What was refused never took effect; what was acknowledged did.
fn check_effect(operation: &Operation) -> Result<(), String> {
    let is_write = operation.kind.value_new().is_some();
    match (operation.outcome, operation.index) {
        (Outcome::Failed, Some(_)) if is_write => Err(format!("refused, but: {operation}")),
        (Outcome::Ok(_), None) => Err(format!("acknowledged, but nowhere: {operation}")),
        _ => Ok(()),
    }
}

fn place(id: u64) -> usize {
    usize::try_from(id - 1).expect("small")
}
