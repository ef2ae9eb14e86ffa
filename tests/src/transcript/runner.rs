//! A small cluster that does what a transcript says and tells what happened.
//!
//! Nothing happens by itself: messages wait on their links, each server has a clock of its own, and
//! on slow disks writes wait, too. Only what the state machine is given is applied at once. This
//! file knows the shell's side of the contract in `raft_core::event`, nothing of the algorithm.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::event::{RoleName, Write};
use raft_core::{
    ClockDrift, Config, Consistency, Envelope, Event, Incarnation, Index, Member, MemberChange,
    Membership, NodeId, Output, Raft, SnapshotMeta, Term, Time,
};

use super::command::{Command, Disk as Speed, Link, Setup, Shown, Wish};
use super::disk::Disk;
use super::render::{self, Names};

/// The cluster, and what it has told since the last command.
#[derive(Debug, Default)]
pub struct Runner {
    pub(super) servers: BTreeMap<NodeId, Server>,
    /// On their way, oldest first.
    pub(super) links: BTreeMap<Link, VecDeque<Envelope>>,
    /// Set aside, to arrive late.
    pub(super) delayed: BTreeMap<Link, VecDeque<Envelope>>,
    pub(super) cut: BTreeSet<Link>,
    pub(super) names: Names,
    /// Who led each term: at most one (Raft §5.2).
    pub(super) leaders: BTreeMap<Term, NodeId>,
    pub(super) told: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Server {
    /// `None` while it is down.
    pub(super) raft: Option<Raft>,
    pub(super) config: Config,
    pub(super) now: Time,
    pub(super) disk: Disk,
    pub(super) speed: Speed,
    /// Writes that a power cut would undo.
    pub(super) unsynced: VecDeque<Write>,
    pub(super) fetching: Option<Arc<SnapshotMeta>>,
}

impl Server {
    /// The log as the server itself sees it, with what is not durable yet.
    pub(super) fn image(&self) -> Disk {
        let mut image = self.disk.clone();
        self.unsynced.iter().for_each(|write| image.write(write));
        image
    }

    pub(super) fn up(&self) -> Result<&Raft, String> {
        self.raft.as_ref().ok_or_else(|| "it is down".to_owned())
    }
}

impl Runner {
    /// A settled cluster is quiet long before this many rounds of messages.
    const SETTLE_ROUNDS_MAX: usize = 200;

    /// Does it; returns what happened.
    ///
    /// # Errors
    /// When the command can't be carried out: there is no such server, or nothing to deliver.
    pub fn run(&mut self, command: &Command) -> Result<Vec<String>, String> {
        match command {
            Command::Cluster(setup) => self.start(setup)?,
            Command::Disk(id, speed) => self.server(*id)?.speed = *speed,
            Command::Timeout(id) => self.timeout(*id)?,
            Command::Heartbeat(id) => {
                let server = self.server(*id)?;
                server.now = server.now.plus(server.config.heartbeat_interval);
                self.event(*id, Event::Tick)?;
            }
            Command::Pass(span) => self.pass(*span),
            Command::Tick(id) => self.event(*id, Event::Tick)?,
            Command::Deliver(links) => self.deliver(links)?,
            Command::Drop(links) => self.lose_messages(links)?,
            Command::Delay(link) => self.delay(*link)?,
            Command::Late(link) => {
                let late = self.delayed.entry(*link).or_default().pop_front();
                self.arrive(late.ok_or("nothing was set aside on this link")?)?;
            }
            Command::Settle(shown) => self.settle(*shown)?,
            Command::Partition(sides) => self.partition(sides),
            Command::Heal => self.cut.clear(),
            Command::Elect(id) => self.elect(*id)?,
            Command::Log => self.tell_logs(),
            Command::Status => self.tell_status(),
            Command::Persist(id, write) => self.persist(*id, *write)?,
            Command::Crash(id) => self.crash(*id)?,
            Command::Restart(id) => self.restart(*id)?,
            Command::Wipe(id) => {
                let disk = &mut self.server(*id)?.disk;
                *disk = Disk::blank(Incarnation(disk.incarnation.0 + 1));
            }
            Command::Lose(id, from) => self.server(*id)?.disk.lose_from(*from),
            Command::Propose(id, texts) => self.propose(*id, texts)?,
            Command::Read(id, consistency) => self.read(*id, *consistency)?,
            Command::Change(id, wishes) => self.change(*id, wishes)?,
            Command::Abort(id) => self.event(*id, Event::AbortMembershipChange)?,
            Command::Transfer(id, target) => self.transfer(*id, *target)?,
            Command::Snapshot(id) => self.take_snapshot(*id)?,
            Command::Compact(id) => self.event(*id, Event::Compact(Index(u64::MAX)))?,
            Command::Fetched(id) => self.fetched(*id)?,
        }
        Ok(std::mem::take(&mut self.told))
    }

    pub(super) fn tell(&mut self, id: NodeId, what: impl AsRef<str>) {
        self.told.push(format!("{id} {}", what.as_ref()));
    }

    pub(super) fn server(&mut self, id: NodeId) -> Result<&mut Server, String> {
        self.servers
            .get_mut(&id)
            .ok_or_else(|| format!("there is no server {id}"))
    }

    // --- Life and death ---

    fn start(&mut self, setup: &Setup) -> Result<(), String> {
        *self = Self::default();
        let founders = setup.voters.iter().map(|id| (*id, self.member(*id)));
        let membership = Membership::of_voters(founders.collect::<Vec<_>>());
        for id in setup.voters.iter().chain(&setup.spare) {
            let incarnation = Incarnation(id.0 * 10 + 1);
            let disk = if setup.voters.contains(id) {
                Disk::founder(incarnation, membership.clone())
            } else {
                Disk::blank(incarnation)
            };
            let mut config = Config {
                seed: id.0,
                ..Config::default()
            };
            config.lease = setup.lease.map(|per_mille| ClockDrift { per_mille });
            config.catch_up_entries = setup.catch_up.unwrap_or(config.catch_up_entries);
            config.append_bytes_max = setup.append_bytes.unwrap_or(config.append_bytes_max);
            let (now, unsynced) = (Time(0), VecDeque::new());
            let speed = setup.disks;
            let server = Server {
                raft: None,
                config,
                now,
                disk,
                speed,
                unsynced,
                fetching: None,
            };
            self.servers.insert(*id, server);
            self.boot(*id)?;
        }
        // All start alike; that says nothing.
        self.told.clear();
        Ok(())
    }

    /// Members are named with the life of their storage, so that the leader need not bind it.
    fn member(&self, id: NodeId) -> Member {
        let known = self.servers.get(&id).map(|server| server.disk.incarnation);
        let mut member = Member::at("");
        member.incarnation = known.unwrap_or(Incarnation(id.0 * 10 + 1));
        member
    }

    fn boot(&mut self, id: NodeId) -> Result<(), String> {
        let server = self.server(id)?;
        let (config, recovered) = (server.config.clone(), server.disk.recovered());
        let mut out = Output::default();
        let raft = Raft::new(id, config, recovered, server.now, &mut out);
        server.raft = Some(raft.map_err(|error| error.to_string())?);
        self.carry_out(id, out);
        Ok(())
    }

    fn crash(&mut self, id: NodeId) -> Result<(), String> {
        let server = self.server(id)?;
        server.up()?;
        server.raft = None;
        server.fetching = None;
        let lost: Vec<_> = server.unsynced.drain(..).map(|write| write.id).collect();
        for write in lost {
            self.tell(id, format!("loses write #{write}"));
        }
        Ok(())
    }

    fn restart(&mut self, id: NodeId) -> Result<(), String> {
        let server = self.server(id)?;
        if server.raft.is_some() {
            return Err("it is up".to_owned());
        }
        // Another seed at each start, as `Config::seed` asks for.
        server.config.seed += 100;
        self.boot(id)?;
        self.event(id, Event::Tick)
    }

    // --- Time ---

    fn pass(&mut self, span: Duration) {
        for server in self.servers.values_mut() {
            server.now = server.now.plus(span);
        }
    }

    fn timeout(&mut self, id: NodeId) -> Result<(), String> {
        let server = self.server(id)?;
        server.now = server.now.plus(server.config.election_timeout_max);
        self.event(id, Event::Tick)
    }

    // --- The network ---

    fn take(&mut self, link: Link) -> Result<Vec<Envelope>, String> {
        let waiting = self.links.entry(link).or_default();
        if waiting.is_empty() {
            return Err(format!("nothing waits on {}->{}", link.0, link.1));
        }
        Ok(waiting.drain(..).collect())
    }

    fn deliver(&mut self, links: &[Link]) -> Result<(), String> {
        for link in links {
            for envelope in self.take(*link)? {
                self.arrive(envelope)?;
            }
        }
        Ok(())
    }

    fn lose_messages(&mut self, links: &[Link]) -> Result<(), String> {
        for link in links {
            for envelope in self.take(*link)? {
                let says = self.names.message(&envelope);
                self.told
                    .push(format!("{} -x {}  {says}", envelope.from, envelope.to));
            }
        }
        Ok(())
    }

    fn delay(&mut self, link: Link) -> Result<(), String> {
        let oldest = self.links.entry(link).or_default().pop_front();
        let envelope = oldest.ok_or("nothing waits on this link")?;
        self.delayed.entry(link).or_default().push_back(envelope);
        Ok(())
    }

    fn arrive(&mut self, envelope: Envelope) -> Result<(), String> {
        let says = self.names.message(&envelope);
        let to = envelope.to;
        if self.server(to)?.raft.is_none() {
            self.told.push(format!("{} -x {to}  {says}", envelope.from));
            return Ok(());
        }
        self.tell(to, format!("<- {}  {says}", envelope.from));
        self.event(to, Event::Received(envelope))
    }

    fn partition(&mut self, sides: &[Vec<NodeId>]) {
        let side = |id: &NodeId| sides.iter().position(|side| side.contains(id));
        let all: Vec<NodeId> = self.servers.keys().copied().collect();
        for from in &all {
            for to in all.iter().filter(|to| side(from) != side(to)) {
                self.cut.insert((*from, *to));
            }
        }
    }

    /// Delivers and persists, in rounds, until there is nothing left to do.
    fn settle(&mut self, shown: Shown) -> Result<(), String> {
        let already = self.told.len();
        let mut delivered = 0;
        for _ in 0..Self::SETTLE_ROUNDS_MAX {
            let ids: Vec<NodeId> = self.servers.keys().copied().collect();
            for id in ids {
                if !self.server(id)?.unsynced.is_empty() {
                    self.persist(id, None)?;
                }
            }
            let waiting = |link: &Link| self.links.get(link).is_some_and(|queue| !queue.is_empty());
            let links: Vec<Link> = self.links.keys().copied().filter(waiting).collect();
            if links.is_empty() {
                if shown == Shown::Count {
                    self.told.truncate(already);
                    self.told.push(format!("({delivered} messages delivered)"));
                }
                return Ok(());
            }
            for link in links {
                for envelope in self.take(link)? {
                    delivered += 1;
                    self.arrive(envelope)?;
                }
            }
        }
        Err("it does not settle".to_owned())
    }

    fn elect(&mut self, id: NodeId) -> Result<(), String> {
        self.timeout(id)?;
        self.settle(Shown::Count)?;
        self.told.clear();
        let raft = self.server(id)?.up()?;
        if raft.role() != RoleName::Leader {
            return Err("it was not elected".to_owned());
        }
        let (term, last, commit) = (raft.term(), raft.last(), raft.commit());
        self.tell(
            id,
            format!("leads term {term}; log up to {last}, committed {commit}"),
        );
        Ok(())
    }

    // --- Requests ---

    fn propose(&mut self, id: NodeId, texts: &[String]) -> Result<(), String> {
        let mut events = Vec::new();
        for text in texts {
            let ticket = self.names.ticket(&format!("{text:?}"));
            let command = Bytes::from(text.clone());
            events.push(Event::Propose { ticket, command });
        }
        self.events(id, events)
    }

    fn read(&mut self, id: NodeId, consistency: Consistency) -> Result<(), String> {
        let name = format!("read {}", self.names.count("read ") + 1);
        let ticket = self.names.ticket(&name);
        self.event(
            id,
            Event::Read {
                ticket,
                consistency,
            },
        )
    }

    fn change(&mut self, id: NodeId, wishes: &[Wish]) -> Result<(), String> {
        let changes = wishes.iter().map(|wish| self.wish(wish)).collect();
        let ticket = self.names.ticket("the change");
        self.event(
            id,
            Event::ChangeMembership {
                ticket,
                based_on: None,
                changes,
            },
        )
    }

    fn wish(&self, wish: &Wish) -> MemberChange {
        match wish {
            Wish::Voter(id) => MemberChange::Voter(*id, self.member(*id)),
            Wish::Learner(id) => MemberChange::Learner(*id, self.member(*id)),
            Wish::Remove(id) => MemberChange::Remove(*id),
        }
    }

    fn transfer(&mut self, id: NodeId, target: NodeId) -> Result<(), String> {
        let ticket = self.names.ticket("the transfer");
        self.event(
            id,
            Event::TransferLeadership {
                ticket,
                target: Some(target),
            },
        )
    }

    /// The state machine is saved as far as it has applied the log.
    fn take_snapshot(&mut self, id: NodeId) -> Result<(), String> {
        let server = self.server(id)?;
        let raft = server.up()?;
        let applied = raft.status(server.now).applied;
        let snapshot = raft.snapshot_meta(applied).ok_or("nothing to save")?;
        server.disk.install(&snapshot);
        let members = render::members(&snapshot.membership);
        self.tell(id, format!("has snapshot {}: {members}", snapshot.last));
        self.event(id, Event::SnapshotTaken(Arc::new(snapshot)))
    }

    fn fetched(&mut self, id: NodeId) -> Result<(), String> {
        let server = self.server(id)?;
        let snapshot = server.fetching.take().ok_or("it fetches no snapshot")?;
        server.disk.install(&snapshot);
        self.event(id, Event::SnapshotReceived(snapshot))
    }
}
