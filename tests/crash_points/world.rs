//! Three servers, their disks and their network, as data that can be cloned at any moment.
//!
//! This file does not decide when power is cut, nor what must hold afterwards.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::event::{Apply, Fetch, RoleName, SnapshotOrder, Write};
use raft_core::{
    ClockDrift, Config, Consistency, Entry, Envelope, Event, Incarnation, Index, Member,
    MemberChange, Membership, NodeId, Output, Position, Raft, Reply, SnapshotMeta, Ticket, Time,
};
use raft_tests::transcript::disk::Disk;

use super::promises::Promises;

/// How many servers there are.
pub(super) const SERVERS: u64 = 3;
/// A cluster that is left alone comes together within so many rounds.
const HEAL_ROUNDS_MAX: u64 = 400;

/// Servers, disks, a network that loses, doubles and reorders, and one clock.
#[derive(Clone)]
pub(super) struct World {
    pub(super) servers: Vec<Server>,
    net: Vec<Envelope>,
    now: Time,
    pub(super) rng: Rng,
    /// Whether effects are carried out messages first, or writes first: both are allowed.
    messages_first: bool,
    /// Nothing reaches this server, until it is far enough behind to need a snapshot.
    pub(super) cut_off: Option<NodeId>,
    tickets: u64,
    pub(super) promises: Promises,
}

#[derive(Clone)]
pub(super) struct Server {
    raft: Raft,
    config: Config,
    disk: Disk,
    pub(super) unsynced: VecDeque<Write>,
    fetching: Option<Arc<SnapshotMeta>>,
    /// What the shell will tell the core next.
    inbox: VecDeque<Event>,
}

/// One thing that the core wants done.
pub(super) enum Effect {
    Send(Envelope),
    Write(Write),
    Apply(Apply),
    Fetch(Fetch),
    Snapshot(SnapshotOrder),
    Purge(Index),
    Reply(Reply),
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let member = |id: u64| {
            let mut member = Member::at("");
            member.incarnation = Incarnation(id);
            (NodeId(id), member)
        };
        let founders = Membership::of_voters((1..=SERVERS).map(member));
        let server = |id: u64| {
            let mut config = Config {
                seed: seed * 100 + id,
                ..Config::default()
            };
            // Some runs with small messages, some with nothing in memory, some with leases.
            config.append_bytes_max = if seed.is_multiple_of(3) { 1 } else { 1 << 20 };
            config.tail_bytes_max = if seed.is_multiple_of(5) { 0 } else { 64 << 20 };
            config.lease = seed
                .is_multiple_of(2)
                .then_some(ClockDrift { per_mille: 10 });
            let disk = Disk::founder(Incarnation(id), founders.clone());
            let mut out = Output::default();
            let raft = Raft::new(
                NodeId(id),
                config.clone(),
                disk.recovered(),
                Time(0),
                &mut out,
            )
            .expect("the configuration works");
            let (unsynced, inbox) = (VecDeque::new(), VecDeque::new());
            Server {
                raft,
                config,
                disk,
                unsynced,
                fetching: None,
                inbox,
            }
        };
        Self {
            servers: (1..=SERVERS).map(server).collect(),
            net: Vec::new(),
            now: Time(0),
            rng: Rng(seed),
            messages_first: seed.is_multiple_of(4),
            cut_off: None,
            tickets: 0,
            promises: Promises::default(),
        }
    }

    /// The leader of the latest term; one of an earlier term may not know yet that it is over.
    fn leader(&self) -> Option<usize> {
        let latest = self.servers.iter().map(|server| server.raft.term()).max()?;
        let leads = |server: &Server| {
            server.raft.role() == RoleName::Leader && server.raft.term() == latest
        };
        self.servers.iter().position(leads)
    }

    /// What happens next in a random run.
    pub(super) fn choose(&mut self) -> Option<(usize, Event)> {
        let id = self.rng.below(SERVERS);
        match self.rng.below(100) {
            0..54 => self.take_message(),
            54..76 => self.persist_some(id),
            76..82 => self.next_deadline(),
            82..90 => Some((self.leader().unwrap_or(id), self.propose())),
            90..92 => Some((id, self.read())),
            92..95 => Some((id, self.snapshot(id)?)),
            95..96 => Some((id, self.change())),
            96..97 => {
                let unsynced = self.servers[id].unsynced.len() as u64;
                let survive = self.rng.below(unsynced + 1);
                self.crash(id, survive);
                self.restart(id).expect("it starts");
                None
            }
            97..98 => {
                let (ticket, target) = (self.ticket(), None);
                Some((id, Event::TransferLeadership { ticket, target }))
            }
            _ => {
                let fetching = self.servers.iter().position(|s| s.fetching.is_some())?;
                Some((fetching, self.fetched(fetching)?))
            }
        }
    }

    fn take_message(&mut self) -> Option<(usize, Event)> {
        if self.net.is_empty() {
            let slow = self
                .servers
                .iter()
                .position(|server| !server.unsynced.is_empty());
            return match slow {
                Some(id) => self.persist_some(id),
                None => self.next_deadline(),
            };
        }
        let at = self.rng.below(self.net.len() as u64);
        if self.cut_off == Some(self.net[at].to) {
            self.net.remove(at);
            return None;
        }
        let envelope = match self.rng.below(20) {
            0 => self.net[at].clone(),
            1 => {
                self.net.remove(at);
                return None;
            }
            _ => self.net.remove(at),
        };
        Some((server_of(envelope.to), Event::Received(envelope)))
    }

    fn persist_some(&mut self, id: usize) -> Option<(usize, Event)> {
        let unsynced = self.servers[id].unsynced.len();
        let count = self.rng.below(unsynced as u64 + 1);
        Some((id, self.servers[id].persist(count)?))
    }

    /// Time jumps to the earliest deadline of anybody, and never stands still.
    fn next_deadline(&mut self) -> Option<(usize, Event)> {
        let due = |(id, server): (usize, &Server)| Some((server.raft.deadline()?, id));
        let (at, id) = self.servers.iter().enumerate().filter_map(due).min()?;
        self.now = at.max(self.now.plus(Duration::from_millis(1)));
        Some((id, Event::Tick))
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn propose(&mut self) -> Event {
        let ticket = self.ticket();
        Event::Propose {
            ticket,
            command: Bytes::from(format!("command {ticket}")),
        }
    }

    fn read(&mut self) -> Event {
        let ticket = self.ticket();
        self.promises
            .reads
            .insert(ticket.0, self.promises.committed());
        Event::Read {
            ticket,
            consistency: Consistency::Linearizable,
        }
    }

    /// Server 3 becomes a learner, or a voter again.
    fn change(&mut self) -> Event {
        let ticket = self.ticket();
        let mut member = Member::at("");
        member.incarnation = Incarnation(SERVERS);
        let id = NodeId(SERVERS);
        let change = match self.rng.below(2) {
            0 => MemberChange::Learner(id, member),
            _ => MemberChange::Voter(id, member),
        };
        Event::ChangeMembership {
            ticket,
            based_on: None,
            changes: vec![change],
        }
    }

    /// A server's state machine is saved, and its log may be compacted after that.
    fn snapshot(&mut self, id: usize) -> Option<Event> {
        let now = self.now;
        let server = &mut self.servers[id];
        let snapshot = server.raft.snapshot_meta(server.raft.status(now).applied)?;
        server.disk.install(&snapshot);
        server.inbox.push_back(Event::Compact(snapshot.last.index));
        Some(Event::SnapshotTaken(Arc::new(snapshot)))
    }

    fn fetched(&mut self, id: usize) -> Option<Event> {
        let server = &mut self.servers[id];
        let snapshot = server.fetching.take()?;
        server.disk.install(&snapshot);
        self.promises.snapshots_installed += 1;
        Some(Event::SnapshotReceived(snapshot))
    }

    pub(super) fn pop_inbox(&mut self) -> Option<(usize, Event)> {
        let mut servers = self.servers.iter_mut().enumerate();
        servers.find_map(|(id, server)| Some((id, server.inbox.pop_front()?)))
    }

    // --- The contract with the core ---

    /// The core decides. Nothing of it is carried out yet.
    pub(super) fn step(&mut self, id: usize, event: Event) -> Result<Vec<Effect>, String> {
        let server = &mut self.servers[id];
        let mut out = Output::default();
        server.raft.step(self.now, event, &mut out);
        server.raft.flush(self.now, &mut out);
        server.raft.check()?;
        if let Some(at) = server.raft.deadline().filter(|at| *at <= self.now) {
            return Err(format!("a tick did not move its deadline, {at:?}"));
        }
        self.promises.look_at(&server.raft)?;
        let mut effects: Vec<Effect> = out.messages.into_iter().map(Effect::Send).collect();
        if self.messages_first {
            effects.extend(out.write.map(Effect::Write));
        } else {
            effects.splice(0..0, out.write.map(Effect::Write));
        }
        effects.extend(out.apply.into_iter().map(Effect::Apply));
        effects.extend(out.fetch.into_iter().map(Effect::Fetch));
        effects.extend(out.snapshot.into_iter().map(Effect::Snapshot));
        effects.extend(out.purge.map(Effect::Purge));
        effects.extend(out.replies.into_iter().map(Effect::Reply));
        Ok(effects)
    }

    pub(super) fn carry_out(&mut self, id: usize, effect: Effect) -> Result<(), String> {
        let server = &mut self.servers[id];
        match effect {
            Effect::Send(envelope) => {
                self.promises.sent(&envelope, &server.raft, &server.disk)?;
                self.net.push(envelope);
            }
            Effect::Write(write) => server.unsynced.push_back(write),
            Effect::Apply(Apply::Entries(entries)) => {
                self.promises.applied(&entries)?;
                server
                    .inbox
                    .extend(entries.last().map(|last| Event::Applied(last.index)));
            }
            Effect::Apply(Apply::Restore(snapshot)) => {
                self.promises.restored(snapshot.last)?;
                server.inbox.push_back(Event::Applied(snapshot.last.index));
            }
            Effect::Fetch(fetch) => {
                let entries = server.disk.fetch(&fetch);
                server.inbox.push_back(Event::Fetched {
                    reader: fetch.reader,
                    entries: entries.into(),
                });
            }
            Effect::Snapshot(SnapshotOrder::Fetch { snapshot, .. }) => {
                server.fetching = Some(snapshot);
            }
            Effect::Snapshot(SnapshotOrder::Cancel(_)) => server.fetching = None,
            Effect::Purge(index) => server.disk.purge(index),
            Effect::Reply(reply) => self.promises.replied(&reply)?,
        }
        Ok(())
    }

    fn handle(&mut self, id: usize, event: Event) -> Result<(), String> {
        for effect in self.step(id, event)? {
            self.carry_out(id, effect)?;
        }
        Ok(())
    }

    // --- Crash and recovery ---

    pub(super) fn crash(&mut self, id: usize, survive: usize) {
        let server = &mut self.servers[id];
        server.unsynced.truncate(survive);
        while let Some(write) = server.unsynced.pop_front() {
            server.disk.write(&write);
        }
        server.fetching = None;
        server.inbox.clear();
    }

    pub(super) fn restart(&mut self, id: usize) -> Result<(), String> {
        let server = &mut self.servers[id];
        server.config.seed += 7919;
        let (name, mut out) = (server.raft.id(), Output::default());
        let (config, recovered) = (server.config.clone(), server.disk.recovered());
        server.raft = Raft::new(name, config, recovered, self.now, &mut out)
            .map_err(|error| error.to_string())?;
        if server.raft.is_quarantined() {
            return Err("nothing was lost that it had acknowledged".to_owned());
        }
        Ok(())
    }

    /// Nothing fails from here on: all disks sync, all messages arrive, time goes on.
    pub(super) fn heal(&mut self) -> Result<(), String> {
        let mut marker = None;
        for _ in 0..HEAL_ROUNDS_MAX {
            self.calm_down()?;
            match (marker, self.leader()) {
                (None, Some(leader)) => {
                    let (event, last) = (self.propose(), self.servers[leader].raft.last());
                    self.handle(leader, event)?;
                    // It may refuse, while it hands over.
                    let marked = self.servers[leader].raft.last();
                    marker = (marked > last).then_some(marked.index);
                    if let (None, Some((id, event))) = (marker, self.next_deadline()) {
                        self.handle(id, event)?;
                    }
                }
                (Some(index), Some(leader)) if self.all_have(leader, index) => {
                    return self.compare_logs();
                }
                (Some(_) | None, _) => {
                    if let Some((id, event)) = self.next_deadline() {
                        self.handle(id, event)?;
                    }
                }
            }
        }
        let roles: Vec<_> = self
            .servers
            .iter()
            .map(|server| server.raft.role())
            .collect();
        Err(format!("it does not come together: {roles:?}"))
    }

    /// Delivers and persists until nothing is under way.
    fn calm_down(&mut self) -> Result<(), String> {
        loop {
            let mut events: Vec<(usize, Event)> = Vec::new();
            for id in 0..self.servers.len() {
                let unsynced = self.servers[id].unsynced.len();
                events.extend(self.servers[id].persist(unsynced).map(|event| (id, event)));
                events.extend(self.fetched(id).map(|event| (id, event)));
            }
            let arriving = self.net.drain(..);
            events.extend(arriving.map(|e| (server_of(e.to), Event::Received(e))));
            if events.is_empty() && self.servers.iter().all(|server| server.inbox.is_empty()) {
                return Ok(());
            }
            for (id, event) in events {
                self.handle(id, event)?;
            }
            while let Some((id, event)) = self.pop_inbox() {
                self.handle(id, event)?;
            }
        }
    }

    /// Whether everybody has applied all that the leader has, the marker included.
    fn all_have(&self, leader: usize, marker: Index) -> bool {
        let last = self.servers[leader].raft.last().index;
        let applied = |server: &Server| server.raft.status(self.now).applied;
        last >= marker && self.servers.iter().all(|server| applied(server) == last)
    }

    /// All logs are equal as far as they reach back, and hold all that was ever committed.
    fn compare_logs(&self) -> Result<(), String> {
        let mut seen: BTreeMap<Index, &Entry> = BTreeMap::new();
        for server in &self.servers {
            for entry in &server.disk.entries {
                if *seen.entry(entry.index).or_insert(entry) != entry {
                    return Err(format!("logs differ at {}", entry.position()));
                }
            }
            let end = server.raft.last().index;
            if end < self.promises.committed() {
                return Err(format!("a log ends at {end}, before what was committed"));
            }
            for (index, term) in &self.promises.commits {
                if *index > server.raft.base().index && server.raft.term_at(*index) != Some(*term) {
                    return Err(format!(
                        "{} was committed and is lost",
                        Position::new(*term, *index)
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Server {
    /// The oldest so many unsynced writes become durable, and the core hears of it.
    fn persist(&mut self, count: usize) -> Option<Event> {
        let mut last = None;
        for _ in 0..count {
            let write = self.unsynced.pop_front()?;
            self.disk.write(&write);
            last = Some(write.id);
        }
        last.map(Event::Persisted)
    }
}

fn server_of(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).expect("few servers")
}

/// The `splitmix64` stream: one seed, one run.
#[derive(Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound).expect("small")
    }
}
