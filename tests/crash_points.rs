//! A power cut at every point: after each effect of each server in 200 random runs, with every
//! prefix of its unsynced writes surviving, and of the whole cluster after each step.
//!
//! After each the servers restart and heal, and what was promised before is checked. This file
//! knows the shell's side of the contract, and of the algorithm only what Raft's Figure 3 promises.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::event::{Apply, Fetch, RoleName, SnapshotOrder, Write};
use raft_core::message::AppendOutcome;
use raft_core::{
    ClockDrift, Config, Consistency, Entry, Envelope, Event, Incarnation, Index, Member,
    MemberChange, Membership, Message, NodeId, Output, Position, Raft, Reply, SnapshotMeta, Term,
    Ticket, Time,
};
use raft_tests::transcript::disk::Disk;

const RUNS: u64 = 200;
/// How many actions a run has before its last crash.
const ACTIONS: u64 = 400;
/// Of so many actions, nothing reaches one of the servers during the latter half.
const CUT_OFF_EVERY: u64 = 120;
const SERVERS: u64 = 3;
/// A cluster that is left alone comes together within so many rounds.
const HEAL_ROUNDS_MAX: u64 = 400;

#[test]
fn a_crash_at_any_point_loses_nothing_and_heals() {
    let mut tally = Tally::default();
    for seed in 0..RUNS {
        let mut run = Run { world: World::new(seed), seed, action: 0, tally: Tally::default() };
        run.go();
        tally.add(&run.tally);
    }
    println!("seeds 0..{RUNS}: {tally:?}");
    assert!(tally.crash_points > 50_000, "too few crash points");
    assert!(tally.cluster_crashes > 5_000, "too few crashes of the whole cluster");
    assert!(tally.commits > 1_000, "too little was committed before the crashes");
    assert!(tally.writes_lost > 10_000, "too few writes were lost");
    assert!(tally.writes_kept > 10_000, "too few unsynced writes survived");
    assert!(tally.snapshots > 50, "too few snapshots were installed");
}

/// What happened, so that the test is not passed by doing nothing.
#[derive(Debug, Default)]
struct Tally {
    actions: u64,
    crash_points: u64,
    cluster_crashes: u64,
    commits: u64,
    writes_lost: u64,
    writes_kept: u64,
    snapshots: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.actions += other.actions;
        self.crash_points += other.crash_points;
        self.cluster_crashes += other.cluster_crashes;
        self.commits += other.commits;
        self.writes_lost += other.writes_lost;
        self.writes_kept += other.writes_kept;
        self.snapshots += other.snapshots;
    }
}

/// One random run, cut off at every point.
struct Run {
    world: World,
    seed: u64,
    action: u64,
    tally: Tally,
}

impl Run {
    fn go(&mut self) {
        if !self.seed.is_multiple_of(4) {
            // Most runs begin with a leader, so that they get further.
            self.try_to("at first".to_owned(), World::heal);
        }
        while self.action < ACTIONS {
            self.action += 1;
            let cut_off = self.action % CUT_OFF_EVERY > CUT_OFF_EVERY / 2;
            self.world.cut_off = cut_off.then_some(NodeId(1 + self.seed % SERVERS));
            let Some((id, event)) = self.world.choose() else { continue };
            self.act(id, event);
            while let Some((id, event)) = self.world.pop_inbox() {
                self.act(id, event);
            }
            self.cut_cluster();
        }
        self.tally.actions += self.action;
        self.tally.commits += self.world.ghost.commits.len() as u64;
        self.tally.snapshots += self.world.ghost.snapshots_installed;
    }

    /// One event, its effects carried out one by one, and the power cut between any two of them.
    fn act(&mut self, id: usize, event: Event) {
        let effects = self.try_to(format!("at server {id}"), |world| world.step(id, event));
        let mut effects = effects.into_iter();
        loop {
            self.cut(id, effects.len());
            let Some(effect) = effects.next() else { return };
            self.try_to(format!("at server {id}"), |world| world.carry_out(id, effect));
        }
    }

    fn try_to<T>(&mut self, what: String, act: impl FnOnce(&mut World) -> Result<T, String>) -> T {
        let _place = Place { seed: self.seed, action: self.action, what };
        act(&mut self.world).expect("all promises are kept")
    }

    /// This server loses power here; each prefix of its unsynced writes may be on the disk.
    fn cut(&mut self, id: usize, effects_left: usize) {
        let unsynced = self.world.servers[id].unsynced.len();
        for survive in 0..=unsynced {
            let what = format!("cut server {id}, {effects_left} effects left, {survive} writes");
            let _place = Place { seed: self.seed, action: self.action, what };
            let mut world = self.world.clone();
            world.crash(id, survive);
            world.restart(id).expect("it starts");
            world.heal().expect("all promises are kept");
            self.tally.crash_points += 1;
            self.tally.writes_kept += survive as u64;
            self.tally.writes_lost += (unsynced - survive) as u64;
        }
    }

    /// All lose power at once, and every unsynced write with it.
    fn cut_cluster(&mut self) {
        let what = "cut all".to_owned();
        let _place = Place { seed: self.seed, action: self.action, what };
        let mut world = self.world.clone();
        for id in 0..world.servers.len() {
            world.crash(id, 0);
        }
        for id in 0..world.servers.len() {
            world.restart(id).expect("it starts");
        }
        world.heal().expect("all promises are kept");
        self.tally.cluster_crashes += 1;
    }
}

/// Says where a panic happened, so that it can be reproduced.
struct Place {
    seed: u64,
    action: u64,
    what: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, action {}: {}", self.seed, self.action, self.what);
        }
    }
}

// --- The world ---

/// Servers, disks, a network that loses, doubles and reorders, and one clock.
#[derive(Clone)]
struct World {
    servers: Vec<Server>,
    net: Vec<Envelope>,
    now: Time,
    rng: Rng,
    /// Whether effects are carried out messages first, or writes first: both are allowed.
    messages_first: bool,
    /// Nothing reaches this server, until it is far enough behind to need a snapshot.
    cut_off: Option<NodeId>,
    tickets: u64,
    ghost: Ghost,
}

#[derive(Clone)]
struct Server {
    raft: Raft,
    config: Config,
    disk: Disk,
    unsynced: VecDeque<Write>,
    fetching: Option<Arc<SnapshotMeta>>,
    /// What the shell will tell the core next.
    inbox: VecDeque<Event>,
}

/// One thing that the core wants done.
enum Effect {
    Send(Envelope),
    Write(Write),
    Apply(Apply),
    Fetch(Fetch),
    Snapshot(SnapshotOrder),
    Purge(Index),
    Reply(Reply),
}

impl World {
    fn new(seed: u64) -> Self {
        let member = |id: u64| {
            let mut member = Member::at("");
            member.incarnation = Incarnation(id);
            (NodeId(id), member)
        };
        let founders = Membership::of_voters((1..=SERVERS).map(member));
        let server = |id: u64| {
            let mut config = Config { seed: seed * 100 + id, ..Config::default() };
            // Some runs with small messages, some with nothing in memory, some with leases.
            config.append_bytes_max = if seed.is_multiple_of(3) { 1 } else { 1 << 20 };
            config.tail_bytes_max = if seed.is_multiple_of(5) { 0 } else { 64 << 20 };
            config.lease = seed.is_multiple_of(2).then_some(ClockDrift { per_mille: 10 });
            let disk = Disk::founder(Incarnation(id), founders.clone());
            let mut out = Output::default();
            let raft = Raft::new(NodeId(id), config.clone(), disk.recovered(), Time(0), &mut out)
                .expect("the configuration works");
            let (unsynced, inbox) = (VecDeque::new(), VecDeque::new());
            Server { raft, config, disk, unsynced, fetching: None, inbox }
        };
        Self {
            servers: (1..=SERVERS).map(server).collect(),
            net: Vec::new(),
            now: Time(0),
            rng: Rng(seed),
            messages_first: seed.is_multiple_of(4),
            cut_off: None,
            tickets: 0,
            ghost: Ghost::default(),
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
    fn choose(&mut self) -> Option<(usize, Event)> {
        let id = self.rng.below(SERVERS);
        match self.rng.below(100) {
            0..55 => self.take_message(),
            55..80 => self.persist_some(id),
            80..84 => self.next_deadline(),
            84..91 => Some((self.leader().unwrap_or(id), self.propose())),
            91..93 => Some((id, self.read())),
            93..96 => Some((id, self.snapshot(id)?)),
            96..97 => Some((id, self.change())),
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
            let slow = self.servers.iter().position(|server| !server.unsynced.is_empty());
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
        Event::Propose { ticket, command: Bytes::from(format!("command {ticket}")) }
    }

    fn read(&mut self) -> Event {
        let ticket = self.ticket();
        self.ghost.reads.insert(ticket.0, self.ghost.committed());
        Event::Read { ticket, consistency: Consistency::Linearizable }
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
        Event::ChangeMembership { ticket, based_on: None, changes: vec![change] }
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
        self.ghost.snapshots_installed += 1;
        Some(Event::SnapshotReceived(snapshot))
    }

    fn pop_inbox(&mut self) -> Option<(usize, Event)> {
        let mut servers = self.servers.iter_mut().enumerate();
        servers.find_map(|(id, server)| Some((id, server.inbox.pop_front()?)))
    }

    // --- The contract ---

    /// The core decides. Nothing of it is carried out yet.
    fn step(&mut self, id: usize, event: Event) -> Result<Vec<Effect>, String> {
        let server = &mut self.servers[id];
        let mut out = Output::default();
        server.raft.step(self.now, event, &mut out);
        server.raft.flush(self.now, &mut out);
        server.raft.check()?;
        self.ghost.look_at(&server.raft)?;
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

    fn carry_out(&mut self, id: usize, effect: Effect) -> Result<(), String> {
        let server = &mut self.servers[id];
        match effect {
            Effect::Send(envelope) => {
                self.ghost.sent(&envelope, &server.disk)?;
                self.net.push(envelope);
            }
            Effect::Write(write) => server.unsynced.push_back(write),
            Effect::Apply(Apply::Entries(entries)) => {
                self.ghost.applied(&entries)?;
                server.inbox.extend(entries.last().map(|last| Event::Applied(last.index)));
            }
            Effect::Apply(Apply::Restore(snapshot)) => {
                self.ghost.restored(snapshot.last)?;
                server.inbox.push_back(Event::Applied(snapshot.last.index));
            }
            Effect::Fetch(fetch) => {
                let entries = server.disk.fetch(&fetch);
                server.inbox.push_back(Event::Fetched { reader: fetch.reader, entries });
            }
            Effect::Snapshot(SnapshotOrder::Fetch { snapshot, .. }) => {
                server.fetching = Some(snapshot);
            }
            Effect::Snapshot(SnapshotOrder::Cancel(_)) => server.fetching = None,
            Effect::Purge(index) => server.disk.purge(index),
            Effect::Reply(reply) => self.ghost.replied(&reply)?,
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

    fn crash(&mut self, id: usize, survive: usize) {
        let server = &mut self.servers[id];
        server.unsynced.truncate(survive);
        while let Some(write) = server.unsynced.pop_front() {
            server.disk.write(&write);
        }
        server.fetching = None;
        server.inbox.clear();
    }

    fn restart(&mut self, id: usize) -> Result<(), String> {
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
    fn heal(&mut self) -> Result<(), String> {
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
        let roles: Vec<_> = self.servers.iter().map(|server| server.raft.role()).collect();
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
            if end < self.ghost.committed() {
                return Err(format!("a log ends at {end}, before what was committed"));
            }
            for (index, term) in &self.ghost.commits {
                if *index > server.raft.base().index && server.raft.term_at(*index) != Some(*term) {
                    return Err(format!("{} was committed and is lost", Position::new(*term, *index)));
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

// --- What was promised ---

/// Remembers what anybody relied on, across all crashes.
#[derive(Clone, Default)]
struct Ghost {
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(Term, NodeId), NodeId>,
    /// The term of every entry that any server ever held to be committed.
    commits: BTreeMap<Index, Term>,
    applied: BTreeMap<Index, Entry>,
    /// What was committed when a read began, by ticket.
    reads: BTreeMap<u64, Index>,
    snapshots_installed: u64,
}

impl Ghost {
    fn committed(&self) -> Index {
        self.commits.last_key_value().map_or(Index(0), |(index, _)| *index)
    }

    /// Election safety, and that what is committed stays what it is.
    fn look_at(&mut self, raft: &Raft) -> Result<(), String> {
        if raft.role() == RoleName::Leader {
            let leader = *self.leaders.entry(raft.term()).or_insert(raft.id());
            ensure(leader == raft.id(), || format!("two leaders in term {}", raft.term()))?;
        }
        let mut index = raft.commit();
        while let Some(term) = raft.term_at(index).filter(|_| index > raft.base().index) {
            let known = self.commits.insert(index, term);
            ensure(known.is_none_or(|known| known == term), || {
                format!("{index} was committed in another term than {term}")
            })?;
            if known.is_some() {
                return Ok(());
            }
            index = index.prev();
        }
        Ok(())
    }

    /// One vote a term, and nothing is said before it is durable.
    fn sent(&mut self, envelope: &Envelope, disk: &Disk) -> Result<(), String> {
        let Envelope { from, to, term, message, .. } = envelope;
        ensure(disk.hard_state.term >= *term, || format!("{from} sent a term it may forget"))?;
        let vote = match message {
            Message::RequestVote(_) => Some(*from),
            Message::RequestVoteReply(reply) if reply.granted => Some(*to),
            Message::AppendEntriesReply(reply) => {
                if let AppendOutcome::Matched(index) = reply.outcome {
                    ensure(disk.last() >= index, || format!("{from} has no durable {index}"))?;
                }
                None
            }
            _ => None,
        };
        let Some(vote) = vote else { return Ok(()) };
        let durable = disk.hard_state.term > *term || disk.hard_state.vote == Some(vote);
        ensure(durable, || format!("{from} sent a vote it may forget"))?;
        let first = *self.votes.entry((*term, *from)).or_insert(vote);
        ensure(first == vote, || format!("{from} voted twice in term {term}"))
    }

    /// State machine safety.
    fn applied(&mut self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            let first = self.applied.entry(entry.index).or_insert_with(|| entry.clone());
            ensure(first == entry, || format!("two entries applied at {}", entry.index))?;
            let committed = self.commits.get(&entry.index) == Some(&entry.term);
            ensure(committed, || format!("{} applied, not committed", entry.position()))?;
        }
        Ok(())
    }

    fn restored(&self, last: Position) -> Result<(), String> {
        let committed = self.commits.get(&last.index) == Some(&last.term);
        ensure(committed, || format!("snapshot {last} of what is not committed"))
    }

    /// A read sees all that was committed when it began.
    fn replied(&self, reply: &Reply) -> Result<(), String> {
        let Reply::ReadReady { ticket, index } = reply else { return Ok(()) };
        let needed = self.reads.get(&ticket.0).copied().unwrap_or_default();
        ensure(*index >= needed, || format!("a read at {index} misses {needed}"))
    }
}

fn ensure(holds: bool, otherwise: impl Fn() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The `splitmix64` stream: one seed, one run.
#[derive(Clone)]
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound).expect("small")
    }
}
