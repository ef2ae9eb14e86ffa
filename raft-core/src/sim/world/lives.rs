//! How the world begins, and how servers come to life and die.
//!
//! This file does not know why a server dies.

use std::time::Duration;

use super::{Happening, Life, World};
use crate::Raft;
use crate::config::{ClockDrift, Config};
use crate::entry::Recovered;
use crate::event::{Output, RoleName};
use crate::membership::{Member, Membership};
use crate::sim::disk::Disk;
use crate::sim::faults::{Fault, FaultCounts, Plan};
use crate::sim::ghost::{Clocks, Ghost, Violation};
use crate::sim::marks::{Mark, Marks};
use crate::sim::net::{Net, id_at};
use crate::sim::node::{Clock, Node};
use crate::sim::rng::Rng;
use crate::sim::world::clients::Service;
use crate::sim::world::finale::Phase;
use crate::sim::world::operator::Operator;
use crate::sim::world::schedule::Schedule;
use crate::types::{Incarnation, Index, NodeId};

/// No clock of a node starts at zero, so that a time that was never set shows.
const CLOCK_ORIGIN_MAX: u64 = 1_000_000_000_000;

impl World {
    /// A world as it is before anything has happened: the servers are about to start, one by one.
    #[must_use]
    pub fn new(plan: Plan, service: Service) -> Self {
        let mut rng = Rng::new(plan.seed);
        let nodes = usize::try_from(plan.knobs.nodes).unwrap_or(1).clamp(1, 12);
        let mut world = Self {
            knobs: plan.knobs.clone(),
            now: 0,
            events: 0,
            steps: 0,
            next_action: 0,
            serial: 0,
            schedule: Schedule::new(),
            net: Net::new(nodes, rng.fork()),
            nodes: Vec::new(),
            service,
            ghost: Ghost::new(nodes),
            operator: Operator::default(),
            phase: Phase::Chaos,
            clients_at: u64::MAX,
            counts: FaultCounts::default(),
            marks: Marks::default(),
            trace: None,
            hash: 0,
            out: Output::default(),
            rng,
            plan,
        };
        world.ghost.clocks(world.promised_clocks());
        world.found(nodes);
        for node in 0..nodes {
            let at = world.rng.below(world.knobs.heartbeat_ns + 1);
            world
                .schedule
                .push(at, Happening::Restart(Life { node, epoch: 0 }));
        }
        world.arm_clients();
        world
    }

    /// How far the clocks of this plan may run apart.
    fn promised_clocks(&self) -> Clocks {
        let has = |fault| self.plan.actions.iter().any(|action| action.fault == fault);
        let lease = u32::try_from(self.knobs.lease_per_mille).unwrap_or(u32::MAX);
        if has(Fault::ClockJump) || has(Fault::ClockFreeze) {
            return Clocks::Broken;
        }
        match (has(Fault::ClockRate), lease) {
            (false, _) => Clocks::Within(ClockDrift { per_mille: 0 }),
            (true, 0) => Clocks::Broken,
            (true, per_mille) => Clocks::Within(ClockDrift { per_mille }),
        }
    }

    /// Makes the disks: the first servers found the cluster, the others wait to be added.
    fn found(&mut self, nodes: usize) {
        let lives: Vec<Incarnation> = (0..nodes).map(|_| self.new_incarnation()).collect();
        let founders = usize::try_from(self.knobs.founders)
            .unwrap_or(nodes)
            .clamp(1, nodes);
        let bound = self.rng.chance(500_000);
        let members = (0..founders).map(|place| {
            let mut member = self.member(id_at(place));
            if bound {
                member.incarnation = lives[place];
            }
            (id_at(place), member)
        });
        let founding = Membership::of_voters(members.collect::<Vec<_>>());
        for (place, incarnation) in lives.into_iter().enumerate() {
            let disk = if place < founders {
                Disk::founded(&Recovered::bootstrap(incarnation, founding.clone()))
            } else {
                Disk::blank(incarnation)
            };
            let clock = Clock::showing(1 + self.rng.below(CLOCK_ORIGIN_MAX));
            self.nodes.push(Node::new(id_at(place), disk, clock));
        }
    }

    pub(super) fn new_incarnation(&mut self) -> Incarnation {
        self.serial += 1;
        Incarnation(self.serial)
    }

    /// A node as an operator would describe it who does not know its incarnation.
    pub(super) fn member(&self, id: NodeId) -> Member {
        let mut member = Member::at(format!("n{id}"));
        if self.knobs.priorities == 1 {
            member.priority = u8::try_from(id.0 % 3).unwrap_or(Member::PRIORITY_DEFAULT);
        }
        member
    }

    fn config(&mut self) -> Config {
        let seed = self.rng.draw();
        let knobs = &self.knobs;
        let drift = u32::try_from(knobs.lease_per_mille).unwrap_or(0);
        let count = |knob| usize::try_from(knob).unwrap_or(usize::MAX);
        Config {
            seed,
            election_timeout_min: Duration::from_nanos(knobs.election_ns),
            election_timeout_max: Duration::from_nanos(
                knobs.election_ns + knobs.election_spread_ns,
            ),
            heartbeat_interval: Duration::from_nanos(knobs.heartbeat_ns),
            lease: (drift > 0).then_some(ClockDrift { per_mille: drift }),
            transfer_timeout: Duration::from_nanos(knobs.transfer_timeout_ns),
            membership_timeout: Duration::from_nanos(knobs.membership_timeout_ns),
            catch_up_entries: knobs.catch_up_entries,
            write_stall_max: Duration::from_nanos(knobs.write_stall_ns),
            tail_bytes_max: knobs.tail_bytes,
            append_bytes_max: knobs.append_bytes,
            inflight_messages_max: count(knobs.inflight_messages),
            inflight_bytes_max: knobs.inflight_bytes,
            uncommitted_bytes_max: knobs.uncommitted_bytes,
            apply_bytes_max: knobs.apply_bytes,
            reads_max: count(knobs.reads),
        }
    }

    /// A process starts: it recovers what its disk holds, and its machine what it can.
    pub(super) fn boot(&mut self, place: usize) -> Result<(), Violation> {
        let config = self.config();
        let node = &mut self.nodes[place];
        let mut service = (self.service.machine)(node.id);
        let newest = node.disk.snapshot_newest();
        let own = node.machine.own.as_ref();
        let image = newest
            .into_iter()
            .chain(own)
            .max_by_key(|image| image.meta.last.index);
        let applied = image.map_or(Index(0), |image| image.meta.last.index);
        if let Some(image) = image {
            service.restore(applied, &**image)?;
        }
        let recovered = node.disk.recover(applied);
        let local = node.clock.read(self.now);
        let booted = Raft::new(node.id, config, recovered.clone(), local, &mut self.out);
        let mut raft = booted.map_err(|error| Violation {
            invariant: "config",
            detail: error.to_string(),
        })?;
        self.ghost.booted(&raft, &recovered, node.disk.log())?;
        if applied > Index(0) {
            self.ghost
                .applied(node.id, applied, (self.service.digest)(&*service))?;
        }
        raft.flush(local, &mut self.out);
        node.machine.applied = applied;
        node.machine.service = Some(service);
        node.raft = Some(raft);
        self.note(Some(place), || format!("STARTS with {applied} applied"));
        self.judge(place)?;
        self.carry_out(place)
    }

    /// A process dies, and with it all that is not durable. It is back after `down`.
    pub(super) fn crash(&mut self, place: usize, down: u64) -> Result<(), Violation> {
        self.note(Some(place), || "CRASHES".to_owned());
        self.mark_crash(place);
        let node = &mut self.nodes[place];
        node.die();
        let (id, ghost) = (node.id, &mut self.ghost);
        let lost = node
            .disk
            .crash(&mut self.rng, |write| ghost.persisted(id, write))?;
        if lost > 0 {
            self.counts.count(Fault::LostWrites);
        }
        self.ghost.crashed(id);
        let life = Life {
            node: place,
            epoch: node.epoch,
        };
        self.schedule
            .push(self.now + down + 1, Happening::Restart(life));
        Ok(())
    }

    /// A process comes back, unless it did so in another way already.
    pub(super) fn restart(&mut self, life: Life) -> Result<(), Violation> {
        let node = &self.nodes[life.node];
        let wanted = node.epoch == life.epoch && !node.is_up() && !self.phase.is_broken(life.node);
        if wanted { self.boot(life.node) } else { Ok(()) }
    }

    /// The storage is replaced by an empty one, while the process is down.
    pub(super) fn wipe(&mut self, place: usize) {
        let incarnation = self.new_incarnation();
        self.note(Some(place), || {
            format!("WIPED, now incarnation {incarnation}")
        });
        let node = &mut self.nodes[place];
        node.disk = Disk::blank(incarnation);
        node.partial = None;
        node.machine.own = None;
        self.ghost.forgot(node.id);
    }

    /// The end of the log is lost, while the process is down. False if there was none to lose.
    pub(super) fn lose_tail(&mut self, place: usize) -> bool {
        let node = &mut self.nodes[place];
        let lost = node.disk.lose_tail(&mut self.rng, Index(0));
        if lost {
            self.ghost.forgot(node.id);
            let last = node.disk.last();
            self.note(Some(place), || format!("TAIL LOST, log ends at {last}"));
        }
        lost
    }

    /// Notes in what moment a server died.
    fn mark_crash(&mut self, place: usize) {
        let node = &self.nodes[place];
        let Some(raft) = &node.raft else { return };
        if raft.membership().is_joint() {
            self.marks.hit(Mark::CrashDuringJoint);
        }
        if raft.role() == RoleName::Leader {
            self.marks.hit(Mark::CrashOfLeader);
        }
        if node.disk.is_dirty() {
            self.marks.hit(Mark::CrashBetweenWriteAndPersist);
        }
    }
}
