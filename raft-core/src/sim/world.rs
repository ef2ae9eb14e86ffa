//! The world: servers, network, disks, clocks and clients, and the one loop in which time passes.
//!
//! Everything that will happen stands in one schedule; the loop takes the next thing, lets it
//! happen, and has every step of every server judged before its effects are carried out. A run is
//! a function of its [`Plan`] alone. First come the faults; then they end, and in the finale the
//! cluster has to show that it works again.
//!
//! This file does not know what is right: `ghost` judges the servers, the clients judge their
//! answers, `finale` judges progress.

mod acts;
mod bounds;
mod clients;
mod effects;
mod finale;
mod lanes;
mod lives;
mod operator;
mod pump;
mod schedule;
mod standing;
mod telling;

pub use clients::{Clients, Service};
pub use pump::Pump;

use super::faults::{FaultCounts, Knobs, Plan};
use super::ghost::{Ghost, Violation};
use super::marks::Marks;
use super::net::{Net, place};
use super::node::Node;
use super::report::RunReport;
use super::rng::{Rng, fold};
use super::trace::Trace;
use super::workload::{Answer, Request, RequestId};
use crate::event::{Event, Fetch, Output, RoleName};
use crate::message::Envelope;
use crate::types::{Index, Term};
use finale::Phase;
use operator::Operator;
use schedule::Schedule;

/// A run that takes this many times the events of its plan has run away.
const EVENTS_FACTOR_MAX: u64 = 20;
/// No finale is cut off before this many events.
const EVENTS_SPARE: u64 = 500_000;

/// A simulated cluster with all that surrounds it.
pub struct World {
    plan: Plan,
    /// As in the plan, until the finale calms them.
    knobs: Knobs,
    now: u64,
    /// How many happenings there were.
    events: u64,
    /// How many events the servers stepped.
    steps: u64,
    /// The next action of the plan.
    next_action: usize,
    /// Names cuts, transfers and lives of storage.
    serial: u64,
    rng: Rng,
    schedule: Schedule<Happening>,
    net: Net,
    nodes: Vec<Node>,
    service: Service,
    ghost: Ghost,
    operator: Operator,
    phase: Phase,
    /// When the clients are next going to be looked at.
    clients_at: u64,
    counts: FaultCounts,
    /// What only the world can see.
    marks: Marks,
    trace: Option<Trace>,
    hash: u64,
    /// Reused from step to step.
    out: Output,
}

/// One life of one node: what belongs to an earlier one is out of date.
#[derive(Clone, Copy, Debug)]
struct Life {
    node: usize,
    epoch: u32,
}

/// Something that is going to happen.
enum Happening {
    /// A message arrives.
    Deliver(Envelope),
    /// A client's request arrives.
    Request(Request),
    /// An answer arrives at its client.
    Answer(RequestId, Answer, Index),
    /// A client wants to do something.
    Clients,
    /// A node's deadline has passed.
    Tick(usize),
    /// A node looks at what has gathered in its inbox.
    Wake(Life),
    /// A sync has ended.
    Synced(Life),
    /// The machine is through with what is at the front of its lane.
    Applied(Life),
    /// Entries are read from the disk.
    Fetched(Life, Fetch),
    /// One of the process's own threads reports to it.
    Reported(Life, Event),
    /// A snapshot of the machine is durable.
    SnapshotDone(Life),
    /// A chunk of a snapshot arrives, or does not; of the transfer with this number.
    Chunk(Life, u64),
    /// A crash that was waiting for this moment; then the process is gone for so long.
    Die(Life, u64),
    /// A process starts again.
    Restart(Life),
    /// A process goes on.
    Thaw(Life),
    /// A clock runs as it should again.
    ClockNormal(usize),
    /// The network fault of this name ends.
    Heal(u64),
    /// The finale looks how far the cluster is.
    Watch,
}

impl World {
    /// Runs to the end, or to the first violation.
    ///
    /// A panic of a server leaves the world as it was, so that a caller who catches it can still
    /// ask for the trace.
    pub fn run(&mut self) -> RunReport {
        let violation = loop {
            match self.turn() {
                Ok(Turn::Goes) => {}
                Ok(Turn::Over) => break None,
                Err(violation) => break Some(violation),
            }
        };
        self.report(violation)
    }

    /// What can be said of the run so far.
    #[must_use]
    pub fn report(&self, violation: Option<Violation>) -> RunReport {
        let mut marks = self.marks.clone();
        marks.merge(self.ghost.marks());
        marks.merge(self.service.clients.marks());
        RunReport {
            seed: self.plan.seed,
            events: self.events,
            steps: self.steps,
            time: self.now,
            hash: self.hash,
            committed: self.ghost.commit(),
            terms: self.ghost.term_led_max(),
            operations: self.service.clients.stats(),
            faults: self.counts.clone(),
            marks,
            violation,
        }
    }

    /// Records the last so many lines of what happens from now on.
    pub fn record(&mut self, lines_max: usize) {
        self.trace = Some(Trace::keeping(lines_max));
    }

    /// What was recorded.
    #[must_use]
    pub const fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// How many servers there are.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Lets the next thing happen.
    fn turn(&mut self) -> Result<Turn, Violation> {
        self.act_when_due()?;
        let Some((at, happening)) = self.schedule.pop() else {
            return Err(Violation {
                invariant: "liveness",
                detail: "nothing is ever going to happen again".to_owned(),
            });
        };
        self.now = at;
        self.events += 1;
        if self.events > self.plan.knobs.events * EVENTS_FACTOR_MAX + EVENTS_SPARE {
            return Err(Violation {
                invariant: "runaway",
                detail: self.summary(),
            });
        }
        self.handle(happening)?;
        Ok(if self.phase.is_over() {
            Turn::Over
        } else {
            Turn::Goes
        })
    }

    fn handle(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Deliver(envelope) => {
                let node = place(envelope.to);
                self.receive(node, Event::Received(envelope))
            }
            Happening::Request(request) => self.request(request),
            Happening::Answer(id, answer, index) => self.answer_arrives(id, answer, index),
            Happening::Clients => self.wake_clients(),
            Happening::Tick(node) => self.tick(node),
            Happening::Wake(life) => self.if_alive(life, Self::wake),
            Happening::Synced(life) => self.if_alive(life, Self::synced),
            Happening::Applied(life) => self.if_alive(life, Self::applied),
            Happening::Reported(life, event) => self.if_alive(life, |w, at| w.receive(at, event)),
            Happening::Fetched(life, fetch) => self.if_alive(life, |w, at| {
                w.fetched(at, fetch);
                Ok(())
            }),
            Happening::SnapshotDone(life) => self.if_alive(life, |w, at| {
                w.snapshot_done(at);
                Ok(())
            }),
            Happening::Chunk(life, serial) => self.if_alive(life, |w, at| {
                w.chunk(at, serial);
                Ok(())
            }),
            Happening::Die(life, down) => self.if_alive(life, |w, at| w.die_in_write(at, down)),
            Happening::Restart(life) => self.restart(life),
            Happening::Thaw(life) => self.if_alive(life, Self::thaw),
            Happening::ClockNormal(node) => {
                self.clock_normal(node);
                Ok(())
            }
            Happening::Heal(name) => {
                self.net.heal(name);
                Ok(())
            }
            Happening::Watch => self.watch(),
        }
    }

    fn if_alive(
        &mut self,
        life: Life,
        then: impl FnOnce(&mut Self, usize) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let node = &self.nodes[life.node];
        if node.epoch == life.epoch && node.is_up() {
            then(self, life.node)
        } else {
            Ok(())
        }
    }

    // --- Stepping a server ---

    /// Something reaches a node. It is stepped at once, or with what else gathers until the node
    /// looks.
    fn receive(&mut self, node: usize, event: Event) -> Result<(), Violation> {
        let Some(target) = self.nodes.get_mut(node).filter(|node| node.is_up()) else {
            return Ok(());
        };
        target.inbox.push(event);
        if target.inbox.awaited || target.frozen_until.is_some() {
            return Ok(());
        }
        if self.knobs.batch_ns == 0 {
            return self.wake(node);
        }
        let pause = self.rng.below(self.knobs.batch_ns + 1);
        self.wake_after(node, pause);
        Ok(())
    }

    fn wake_after(&mut self, node: usize, pause: u64) {
        let target = &mut self.nodes[node];
        target.inbox.awaited = true;
        let life = Life {
            node,
            epoch: target.epoch,
        };
        self.schedule.push(self.now + pause, Happening::Wake(life));
    }

    /// The node's deadline has passed, unless it has moved since this was scheduled.
    fn tick(&mut self, node: usize) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        if target.tick_at != Some(self.now) {
            return Ok(());
        }
        target.tick_at = None;
        let due = target.raft.as_ref().and_then(crate::Raft::deadline);
        if due.is_some_and(|at| at <= target.clock.read(self.now)) {
            return self.receive(node, Event::Tick);
        }
        self.arm_tick(node);
        Ok(())
    }

    /// Schedules the tick that a node wants, unless an earlier one is scheduled anyway: that one
    /// will find that it came too early, and schedule this.
    fn arm_tick(&mut self, node: usize) {
        let target = &mut self.nodes[node];
        let Some(raft) = target
            .raft
            .as_ref()
            .filter(|_| target.frozen_until.is_none())
        else {
            return;
        };
        let Some(at) = raft.deadline().and_then(|local| target.clock.when(local)) else {
            return;
        };
        // A tick that is due already comes a little later: no shell is infinitely fast.
        let at = at.max(self.now + 1);
        if target.tick_at.is_none_or(|scheduled| at < scheduled) {
            target.tick_at = Some(at);
            self.schedule.push(at, Happening::Tick(node));
        }
    }

    /// The node steps what lies in its inbox, as much as fits a batch, and flushes once.
    fn wake(&mut self, node: usize) -> Result<(), Violation> {
        let early = self.rng.chance(self.knobs.early_tick_ppm);
        let target = &mut self.nodes[node];
        target.inbox.awaited = false;
        if target.frozen_until.is_some() {
            return Ok(());
        }
        if early {
            self.counts.count(super::faults::Fault::EarlyTick);
            target.inbox.push(Event::Tick);
        }
        let Some(raft) = &mut target.raft else {
            return Ok(());
        };
        let local = target.clock.read(self.now);
        self.ghost.before_step(raft);
        for _ in 0..self.knobs.batch.max(1) {
            let Some(event) = target.inbox.pop() else {
                break;
            };
            if let Event::Read {
                ticket,
                consistency,
            } = &event
            {
                self.ghost
                    .read_invoked(target.id, *ticket, *consistency, self.now);
            }
            if let Some(trace) = &mut self.trace {
                trace.line(self.now, Some(node), telling::event(&event));
            }
            raft.step(local, event, &mut self.out);
            self.steps += 1;
        }
        raft.flush(local, &mut self.out);
        if !target.inbox.is_empty() {
            self.wake_after(node, 1);
        }
        self.judge(node)?;
        self.carry_out(node)
    }

    /// Has the ghost look at what the step did, before anybody else can see it.
    fn judge(&mut self, node: usize) -> Result<(), Violation> {
        let Some(raft) = &self.nodes[node].raft else {
            return Ok(());
        };
        self.hash = fold(fold(self.hash, self.now), node as u64);
        self.hash = fold(self.hash, raft.term().0 ^ (raft.commit().0 << 24));
        self.hash = fold(
            self.hash,
            raft.last().index.0 ^ ((self.out.messages.len() as u64) << 40),
        );
        if let Err(detail) = raft.check() {
            let detail = format!("{}: {detail}", raft.id());
            return Err(Violation {
                invariant: "server-state",
                detail,
            });
        }
        self.check_bounds(&self.nodes[node], &self.out)?;
        self.ghost.after_step(self.now, raft, &self.out)?;
        if self.knobs.lease_per_mille > 0 && self.ghost.fresh_commit().is_some() {
            let now = self.now;
            let running = self
                .nodes
                .iter()
                .filter_map(|node| node.raft.as_ref().map(|raft| (raft, node.clock.read(now))));
            self.ghost.check_leases(running)?;
        }
        Ok(())
    }

    // --- Looking on ---

    /// Who leads in the highest term, if the process runs.
    fn leader(&self) -> Option<usize> {
        let leads = |(place, node): (usize, &Node)| {
            let raft = node.raft.as_ref()?;
            (raft.role() == RoleName::Leader).then(|| (raft.term(), place))
        };
        self.nodes
            .iter()
            .enumerate()
            .filter_map(leads)
            .max()
            .map(|(_, place)| place)
    }

    /// The longest election timeout.
    const fn patience(&self) -> u64 {
        self.plan.knobs.election_ns + self.plan.knobs.election_spread_ns
    }

    fn note(&mut self, node: Option<usize>, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.line(self.now, node, text());
        }
    }

    /// All nodes in a few words each.
    fn summary(&self) -> String {
        let nodes = self.nodes.iter().map(|node| match &node.raft {
            None => format!("{} down, last {}", node.id, node.disk.last()),
            Some(raft) => {
                let who = raft.leader().map_or(Term(0).0, |leader| leader.0);
                format!(
                    "{} {:?} term {} leader {who} last {} commit {} applied {} durable {}{}{}",
                    node.id,
                    raft.role(),
                    raft.term(),
                    raft.last(),
                    raft.commit(),
                    node.machine.applied,
                    raft.durable(),
                    if raft.is_quarantined() {
                        " quarantined"
                    } else {
                        ""
                    },
                    if raft.membership().is_joint() {
                        " joint"
                    } else {
                        ""
                    },
                )
            }
        });
        nodes.collect::<Vec<_>>().join("; ")
    }
}

/// Whether a run goes on.
enum Turn {
    Goes,
    Over,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::faults::{Fault, FaultAction, Target};
    use super::super::machine::{self, Registers};
    use super::*;

    fn run(plan: &Plan) -> RunReport {
        World::new(plan.clone(), Service::registers(plan)).run()
    }

    fn action(after: u64, fault: Fault, target: Target) -> FaultAction {
        FaultAction {
            after,
            fault,
            target,
            span: 300_000_000,
            amount: 1,
        }
    }

    #[test]
    fn in_a_calm_world_everything_succeeds() {
        let report = run(&Plan::calm(1));
        assert!(report.violation.is_none(), "{report}");
        assert_eq!(report.faults, FaultCounts::default());
        assert!(report.operations.ok > 100, "{report}");
        assert_eq!(report.operations.ok, report.operations.operations);
    }

    #[test]
    fn the_same_plan_is_the_same_run() {
        for seed in 1..4 {
            let plan = Plan::drawn(seed, 3000);
            let (one, other) = (run(&plan), run(&plan));
            assert_eq!(
                (one.hash, one.events),
                (other.hash, other.events),
                "seed {seed}"
            );
        }
        assert_ne!(run(&Plan::calm(1)).hash, run(&Plan::calm(2)).hash);
    }

    #[test]
    fn faults_of_the_plan_happen() {
        let mut plan = Plan::calm(3);
        plan.knobs.events = 8000;
        plan.actions = vec![
            action(1000, Fault::Crash, Target::Leader),
            action(2000, Fault::CrashInWrite, Target::Leader),
            action(3000, Fault::CrashInEffects, Target::Leader),
            action(4000, Fault::Freeze, Target::Leader),
            action(5000, Fault::Partition, Target::Leader),
            action(6000, Fault::Compact, Target::Follower(0)),
            action(7000, Fault::Wipe, Target::Node(1)),
        ];
        let report = run(&plan);
        assert!(report.violation.is_none(), "{report}");
        for FaultAction { fault, .. } in plan.actions {
            assert_eq!(report.faults.of(fault), 1, "{fault}");
        }
    }

    #[test]
    fn a_quorum_is_enough_when_the_rest_is_broken_for_good() {
        for seed in 0..8 {
            let mut plan = Plan::calm(seed);
            plan.knobs.nodes = 5;
            plan.knobs.founders = 5;
            plan.knobs.events = 2000;
            plan.knobs.finale = 1;
            let report = run(&plan);
            assert!(report.violation.is_none(), "{report}");
            assert_eq!(report.faults.of(Fault::Broken), 2);
        }
    }

    #[test]
    fn any_machine_can_live_here() {
        let plan = Plan::drawn(11, 3000);
        let source = |rng: &mut Rng| Bytes::copy_from_slice(&rng.draw().to_le_bytes());
        let clients = Pump::new(
            1,
            plan.knobs.nodes,
            3,
            (1000, 1_000_000_000),
            Box::new(source),
        );
        let service = Service {
            machine: Box::new(|_| Box::new(Registers::new())),
            digest: machine::digest,
            clients: Box::new(clients),
        };
        let report = World::new(plan, service).run();
        assert!(report.violation.is_none(), "{report}");
        assert!(report.operations.ok > 10, "{report}");
    }

    #[test]
    fn what_is_recorded_begins_with_the_start() {
        let plan = Plan::calm(1);
        let mut world = World::new(plan.clone(), Service::registers(&plan));
        world.record(1_000_000);
        world.run();
        let trace = world.trace().expect("recorded");
        assert!(
            trace
                .lines()
                .next()
                .expect("a line")
                .text
                .starts_with("STARTS")
        );
        assert!(trace.render(world.nodes()).contains("leader"));
    }
}
