//! The cluster under the storm: nodes that come and go, and what the clients saw.
//!
//! One thread, one paused clock. This file does not know which faults come when.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use raft_core::driver::Lanes;
use raft_core::event::RoleName;
use raft_core::session::{SessionLimits, Sessions};
use raft_core::sim::history::{History, OperationId};
use raft_core::sim::rng::Rng;
use raft_core::{ClockDrift, CompactionPolicy, Node, NodeConfig, NodeId, Term};
use raft_log::{MemoryDisk, MemoryLog};
use raft_net::UnreliableNet;

use super::registers::{Ghost, Registers};
use super::tally::Tally;
use crate::nodes::name;

/// So many found the cluster; the rest may be added.
pub(crate) const FOUNDERS: u64 = 3;
pub(crate) const NODES: u64 = 5;
/// How long a request may take.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);
const OPERATIONS_MAX: usize = 100_000;

/// Whether clients take care that a command that they send again takes effect once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// They send nothing again whose outcome is unknown.
    None,
    /// They send it again, within a session.
    Session,
}

pub(crate) struct World {
    pub(crate) care: Care,
    /// Leaders answer reads by their leases.
    has_leases: bool,
    pub(crate) net: UnreliableNet,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) ghost: Ghost,
    pub(crate) history: RefCell<History>,
    pub(crate) tally: RefCell<Tally>,
    /// No faults any more, and clients finish.
    pub(crate) is_over: Cell<bool>,
    disks: Vec<MemoryDisk>,
    running: RefCell<Vec<Option<Node>>>,
    /// Counts what happened, so that no two things happened at once.
    moment: Cell<u64>,
    values: Cell<u64>,
    leaders: RefCell<BTreeSet<(Term, NodeId)>>,
}

impl World {
    pub(crate) fn new(seed: u64, care: Care) -> Self {
        Self {
            care,
            has_leases: seed.is_multiple_of(3),
            net: UnreliableNet::new(seed),
            rng: RefCell::new(Rng::new(seed)),
            ghost: Ghost::default(),
            history: RefCell::new(History::new(OPERATIONS_MAX)),
            tally: RefCell::default(),
            is_over: Cell::new(false),
            disks: (0..NODES).map(|_| MemoryDisk::default()).collect(),
            running: RefCell::new((0..NODES).map(|_| None).collect()),
            moment: Cell::new(0),
            values: Cell::new(0),
            leaders: RefCell::default(),
        }
    }

    pub(crate) fn draw(&self, end: u64) -> u64 {
        self.rng.borrow_mut().below(end)
    }

    /// What comes next in the one order of all things.
    pub(crate) fn moment(&self) -> u64 {
        self.moment.set(self.moment.get() + 1);
        self.moment.get()
    }

    /// A value that was never written.
    pub(crate) fn fresh_value(&self) -> u64 {
        self.values.set(self.values.get() + 1);
        self.values.get()
    }

    pub(crate) async fn pause(&self, low_ms: u64, high_ms: u64) {
        let span = self.rng.borrow_mut().between(low_ms, high_ms);
        tokio::time::sleep(Duration::from_millis(span)).await;
    }

    // --- Nodes ---

    pub(crate) async fn start(&self, id: u64) {
        let log = MemoryLog::on(&self.disks[place(id)]);
        let endpoint = self.net.endpoint(name(id), NodeId(id));
        let registers = Registers::new(self.ghost.clone());
        let node = match self.care {
            Care::None => Node::start(self.config(id), log, endpoint, registers).await,
            Care::Session => {
                let machine = Sessions::new(registers, SessionLimits::default());
                Node::start(self.config(id), log, endpoint, machine).await
            }
        };
        self.running.borrow_mut()[place(id)] = Some(node.expect("starts"));
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
    pub(crate) fn crash(&self, id: u64) -> bool {
        let node = self.running.borrow_mut()[place(id)].take();
        drop(self.net.endpoint(name(id), NodeId(id)));
        drop(MemoryLog::on(&self.disks[place(id)]));
        node.is_some()
    }

    /// No longer asked by anybody; whoever gets it may stop it.
    pub(crate) fn withdraw(&self, id: u64) -> Option<Node> {
        self.running.borrow_mut()[place(id)].take()
    }

    pub(crate) fn node(&self, id: u64) -> Option<Node> {
        self.running.borrow()[place(id)].clone()
    }

    pub(crate) fn down(&self) -> Vec<u64> {
        let running = self.running.borrow();
        (1..=NODES)
            .filter(|id| running[place(*id)].is_none())
            .collect()
    }

    /// Any node that runs.
    pub(crate) fn any(&self) -> Option<Node> {
        let up: Vec<_> = self.running.borrow().iter().flatten().cloned().collect();
        self.rng.borrow_mut().pick(&up).cloned()
    }

    /// Who leads in the latest term, as far as can be seen.
    pub(crate) fn leader(&self) -> Option<Node> {
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

    /// How often leadership moved, as far as was seen.
    pub(crate) fn failovers(&self) -> u64 {
        let leaders = self.leaders.borrow();
        let moved = leaders.iter().zip(leaders.iter().skip(1));
        moved.filter(|(before, after)| before.1 != after.1).count() as u64
    }

    /// Writes of unknown outcome that did take effect get the index at which they did.
    pub(crate) fn reveal(&self) {
        let mut history = self.history.borrow_mut();
        let values = |operation: &raft_core::sim::history::Operation| {
            Some((operation.id, operation.kind.value_new()?))
        };
        let named: Vec<(OperationId, u64)> =
            history.operations().iter().filter_map(values).collect();
        for (id, value) in named {
            if let Some(index) = self.ghost.look(|seen| seen.by_value.get(&value).copied()) {
                history.record_index(id, index);
            }
        }
    }
}

fn place(id: u64) -> usize {
    usize::try_from(id - 1).expect("small")
}
