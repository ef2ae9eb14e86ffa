//! A small deterministic cluster for hand-written scenarios: the real core, virtual time, and a
//! network and disks that do only what the test says.
//!
//! Nothing happens by itself: a test lets messages through until all is [quiet](Cluster::settle),
//! or lets time [run](Cluster::run). It draws no randomness of its own and injects no faults; that
//! is the simulator's work. After every event it checks what must always hold: at most one leader
//! a term, and the same entry applied everywhere at an index.

mod ask;
mod disk;
mod late;
mod net;
mod node;
mod tape;
mod view;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_core::event::RoleName;
use raft_core::{
    Config, Entry, Event, Incarnation, Index, Membership, NodeId, Payload, Recovered, Term, Time,
};

use disk::{Disk, Saved};
pub use net::Fate;
use net::Net;
pub use node::Lane;
use node::Node;

/// A cluster under the hands of a test. Servers are named by plain numbers.
pub struct Cluster {
    now: Time,
    config: Config,
    nodes: BTreeMap<u64, Node>,
    net: Net,
    paused: BTreeSet<u64>,
    tickets: u64,
    leaders: BTreeMap<Term, NodeId>,
    applied: BTreeMap<Index, (Term, Payload)>,
}

/// No scenario needs this many events to come to rest.
const EVENTS_MAX: usize = 100_000;

/// How servers start, and with what.
impl Cluster {
    /// Servers 1 to `count`, all voters, with the default settings.
    #[must_use]
    pub fn new(count: u64) -> Self {
        Self::with(count, |_| {})
    }

    /// The same with other settings.
    #[must_use]
    pub fn with(count: u64, change: impl FnOnce(&mut Config)) -> Self {
        let ids: Vec<u64> = (1..=count).collect();
        Self::founded(&words::voters(&ids), change)
    }

    /// The members of a configuration, all of which found the cluster with it.
    #[must_use]
    pub fn founded(membership: &Membership, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let mut cluster = Self {
            now: Time(1_000_000_000),
            config,
            nodes: BTreeMap::new(),
            net: Net::default(),
            paused: BTreeSet::new(),
            tickets: 0,
            leaders: BTreeMap::new(),
            applied: BTreeMap::new(),
        };
        for (id, _) in membership.members() {
            cluster.place(id.0, words::first_life(id.0), membership.clone());
        }
        cluster.settle();
        cluster
    }

    /// One server of a cluster of `count`, the others being played by the test.
    #[must_use]
    pub fn lone(count: u64) -> Self {
        Self::lone_with(count, |_| {})
    }

    /// The same with other settings.
    #[must_use]
    pub fn lone_with(count: u64, change: impl FnOnce(&mut Config)) -> Self {
        let mut cluster = Self::with(count, change);
        (2..=count).for_each(|id| cluster.crash(id));
        cluster
    }

    fn place(&mut self, id: u64, life: Incarnation, membership: Membership) {
        let mut node = Node::new(id, self.config.clone(), Disk::new(life, membership));
        node.start(self.now, |_| {});
        self.nodes.insert(id, node);
    }

    /// A server that waits to be added.
    pub fn add_blank(&mut self, id: u64) {
        self.place(id, words::first_life(id), Membership::default());
    }

    /// Server `id` loses its disk and comes back blank, in another life of its storage.
    pub fn wipe(&mut self, id: u64) {
        let life = self.node(id).disk.incarnation;
        self.place(id, Incarnation(life.0 + 1), Membership::default());
    }

    /// Puts a history onto the disk of `id`, as if it had always been there: entries of these
    /// terms, and the latest term it knows.
    pub fn rewrite(&mut self, id: u64, term: u64, terms: &[u64]) {
        self.crash(id);
        self.node_mut(id)
            .disk
            .rewrite(term, words::entries(1, terms));
        self.restart(id);
    }

    /// The power fails at `id`: all that was not synced is lost.
    pub fn crash(&mut self, id: u64) {
        self.node_mut(id).stop();
    }

    /// `id` comes back with what is on its disk.
    pub fn restart(&mut self, id: u64) {
        self.restart_with(id, |_| {});
    }

    /// The same, with something on the disk changed.
    pub fn restart_with(&mut self, id: u64, change: impl FnOnce(&mut Recovered)) {
        let now = self.now;
        self.node_mut(id).stop();
        self.node_mut(id).start(now, change);
    }

    /// The disk of `id`, which is down, loses synced entries after `last`.
    pub fn lose_after(&mut self, id: u64, last: u64) {
        self.node_mut(id).disk.lose_after(Index(last));
    }

    fn node(&self, id: u64) -> &Node {
        self.nodes.get(&id).expect("the test names its servers")
    }

    fn node_mut(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).expect("the test names its servers")
    }
}

/// How time passes.
impl Cluster {
    /// Time now.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Time passes, and nobody notices yet.
    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
    }

    /// Time passes; timers fire when they are due, messages take no time.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.plus(Duration::from_millis(ms));
        self.settle();
        for _ in 0..EVENTS_MAX {
            let due = self.next_deadline().filter(|(at, _)| *at <= end);
            let Some((at, id)) = due else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(at);
            self.tick(id);
        }
        panic!("timers fire without end");
    }

    /// Time passes until `done`, at most `ms`. Returns whether it came to that.
    pub fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..ms.div_ceil(10) {
            if done(self) {
                return true;
            }
            self.run(10);
        }
        done(self)
    }

    fn next_deadline(&self) -> Option<(Time, u64)> {
        let awake = self
            .nodes
            .iter()
            .filter(|(id, _)| !self.paused.contains(id));
        let deadlines = awake.filter_map(|(id, node)| Some((node.raft.as_ref()?.deadline()?, *id)));
        deadlines.min()
    }

    /// Lets everything happen that needs no time: messages, writes, applying, fetching.
    pub fn settle(&mut self) {
        for _ in 0..EVENTS_MAX {
            if !self.settle_one() {
                return;
            }
        }
        panic!("never quiet");
    }

    fn settle_one(&mut self) -> bool {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            if self.paused.contains(&id) {
                continue;
            }
            let mut applied = Vec::new();
            let event = self.node_mut(id).next_event(&mut applied);
            self.check_applied(&applied);
            if let Some(event) = event.or_else(|| self.snapshot_event(id)) {
                self.step(id, vec![event]);
                return true;
            }
        }
        let Some(envelope) = self.net.queue.pop_front() else {
            return false;
        };
        self.deliver(envelope);
        true
    }

    /// The next snapshot that `id` wants, copied from whoever offered it, if it is still there.
    fn snapshot_event(&mut self, id: u64) -> Option<Event> {
        if self.node(id).raft.is_none() || self.node(id).stalled.contains(&Lane::Snapshot) {
            return None;
        }
        let (from, meta) = self.node_mut(id).wanted.pop_front()?;
        let there = self.nodes.get(&from.0).filter(|node| node.raft.is_some());
        let same = |saved: &&Saved| saved.meta.last == meta.last;
        let saved = there.and_then(|node| node.disk.snapshots.iter().find(same).cloned());
        let Some(saved) = saved else {
            return Some(Event::SnapshotFailed(meta.last.index));
        };
        self.node_mut(id).disk.save(saved);
        Some(Event::SnapshotReceived(meta))
    }

    /// One batch of events at `id`, and nothing else.
    pub fn step(&mut self, id: u64, events: Vec<Event>) {
        let now = self.now;
        let node = self.node_mut(id);
        let messages = node.step(now, events);
        if let Some(raft) = &node.raft
            && raft.role() == RoleName::Leader
        {
            let (term, leader) = (raft.term(), raft.id());
            let known = *self.leaders.entry(term).or_insert(leader);
            assert_eq!(known, leader, "two leaders in term {term}");
        }
        for message in messages {
            self.net.send(message);
        }
    }

    /// One event at `id`, and all that follows.
    pub fn input(&mut self, id: u64, event: Event) {
        self.step(id, vec![event]);
        self.settle();
    }

    /// The timers of `id` fire if they are due.
    pub fn tick(&mut self, id: u64) {
        self.input(id, Event::Tick);
    }

    fn check_applied(&mut self, entries: &[Entry]) {
        for entry in entries {
            let here = (entry.term, entry.payload.clone());
            let known = self
                .applied
                .entry(entry.index)
                .or_insert_with(|| here.clone());
            assert_eq!(
                *known, here,
                "two entries were applied at index {}",
                entry.index
            );
        }
    }
}
