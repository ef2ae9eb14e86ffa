//! The end of a run: the faults stop, and the cluster has to show that it works again.
//!
//! ```text
//!   Chaos --> Electing --> Draining --> Converging --> Holding --> Over
//! ```
//!
//! Each stage has a limit in election timeouts. In some runs not everything heals: one quorum is
//! left connected, and the rest is broken for good. This file does not know what went wrong before.

use super::{Happening, World, telling};
use crate::Raft;
use crate::membership::Membership;
use crate::sim::faults::Fault;
use crate::sim::ghost::Violation;
use crate::sim::node::{Doom, Node, Standing};
use crate::sim::world::acts::{deafened, isolated, muted};
use crate::types::{NodeId, Term};

/// How long each stage may last, in longest election timeouts.
const ELECTING_MAX: u64 = 40;
const DRAINING_MAX: u64 = 60;
const CONVERGING_MAX: u64 = 60;
/// For so long nothing may change at the end.
const HOLDING: u64 = 4;
/// No entry of a client is larger.
const ENTRY_BYTES: u64 = 256;
/// How often in an election timeout the finale looks.
const LOOKS: u64 = 4;
/// A process that is broken for good.
const FOREVER: u64 = 1 << 62;

/// Where a run is.
pub(super) enum Phase {
    Chaos,
    Finale(Finale),
    Over,
}

pub(super) struct Finale {
    stage: Stage,
    /// When the stage began.
    since: u64,
    /// How much longer the stages may last, since some log is far behind.
    allowance: u64,
    /// Which nodes are broken for good.
    broken: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A leader is to be found, and to commit an entry of its term.
    Electing,
    /// The clients begin nothing new; all that is outstanding is to be answered.
    Draining,
    /// All members are to have the same log, committed and applied.
    Converging,
    /// Nothing is to change any more: this is who leads, in which term.
    Holding(NodeId, Term),
}

impl Phase {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Whether a node is broken for good.
    pub(super) fn is_broken(&self, node: usize) -> bool {
        match self {
            Self::Finale(finale) => finale.broken.get(node).copied().unwrap_or(false),
            Self::Chaos | Self::Over => false,
        }
    }
}

impl World {
    /// Ends the faults: heals everything, or all but what is to stay broken.
    pub(super) fn begin_finale(&mut self) -> Result<(), Violation> {
        self.note(None, || "THE FAULTS END".to_owned());
        let broken = if self.knobs.finale == 1 {
            self.choose_broken()
        } else {
            None
        };
        let broken = broken.unwrap_or_else(|| vec![false; self.nodes.len()]);
        self.phase = Phase::Finale(Finale {
            stage: Stage::Electing,
            since: self.now,
            allowance: self.catch_up_time(),
            broken: broken.clone(),
        });
        self.calm_down();
        for (node, broken) in broken.into_iter().enumerate() {
            self.nodes[node].doom = Doom::Spared;
            self.nodes[node].stalled_until = self.now;
            self.clock_normal(node);
            if self.nodes[node].frozen_until.is_some() {
                self.nodes[node].frozen_until = Some(self.now);
                self.thaw(node)?;
            }
            if broken {
                self.break_for_good(node)?;
            } else if !self.nodes[node].is_up() {
                self.boot(node)?;
            }
        }
        self.schedule.push(self.now, Happening::Watch);
        Ok(())
    }

    /// How long the log that is furthest behind takes to catch up, if one message after another is
    /// filled with entries that have to be read back first: with the tightest limits it is so.
    fn catch_up_time(&self) -> u64 {
        let knobs = &self.knobs;
        let lasts = self
            .nodes
            .iter()
            .map(|node| node.disk.last().0)
            .filter(|last| *last > 0);
        let behind = lasts.clone().max().unwrap_or(0) - lasts.min().unwrap_or(0);
        let disk = knobs.fetch_ns * 2 + knobs.sync_ns + knobs.sync_jitter_ns;
        let network = (knobs.delay_ns + knobs.jitter_ns + knobs.batch_ns) * 2;
        let bytes = knobs.append_bytes.min(knobs.inflight_bytes);
        behind.div_ceil((bytes / ENTRY_BYTES).max(1)) * (disk + network)
    }

    fn calm_down(&mut self) {
        self.net.heal_all();
        let knobs = &mut self.knobs;
        for rate in [
            &mut knobs.tail_ppm,
            &mut knobs.loss_ppm,
            &mut knobs.duplicate_ppm,
            &mut knobs.replay_ppm,
            &mut knobs.slow_sync_ppm,
            &mut knobs.early_tick_ppm,
            &mut knobs.chunk_lost_ppm,
            &mut knobs.short_read_ppm,
        ] {
            *rate = 0;
        }
    }

    /// All but one random quorum; `None` if the configurations leave no such choice.
    fn choose_broken(&mut self) -> Option<Vec<bool>> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        self.rng.shuffle(&mut order);
        let mut broken = vec![true; self.nodes.len()];
        let views: Vec<_> = self.all_views().map(|(_, membership)| membership).collect();
        for node in order {
            let sound = self.nodes[node].standing == Standing::Sound;
            broken[node] = !sound;
            let works = |id: NodeId| !broken[crate::sim::net::place(id)];
            if views.iter().all(|membership| has_quorum(membership, works)) {
                return Some(broken);
            }
        }
        None
    }

    fn break_for_good(&mut self, node: usize) -> Result<(), Violation> {
        self.counts.count(Fault::Broken);
        let nodes = self.nodes.len();
        let (how, cut) = match self.rng.below(4) {
            0 if self.nodes[node].is_up() => return self.crash(node, FOREVER),
            0 => return Ok(()),
            1 => ("isolated", isolated(nodes, node)),
            2 => ("mute", muted(nodes, node)),
            _ => ("deaf", deafened(nodes, node)),
        };
        self.serial += 1;
        self.net.cut(self.serial, cut);
        self.note(Some(node), || format!("stays {how}"));
        if self.nodes[node].is_up() {
            Ok(())
        } else {
            self.boot(node)
        }
    }

    /// Looks how far the cluster is, and goes on to the next stage.
    pub(super) fn watch(&mut self) -> Result<(), Violation> {
        self.steward()?;
        let Phase::Finale(finale) = &self.phase else {
            return Ok(());
        };
        let (stage, since) = (finale.stage, finale.since);
        let patient_since = since + finale.allowance;
        let next = match stage {
            Stage::Electing => self.ready_leader().map(|_| Stage::Draining),
            Stage::Draining => {
                (self.service.clients.outstanding() == 0).then_some(Stage::Converging)
            }
            Stage::Converging => self.converged().map(|(id, term)| Stage::Holding(id, term)),
            Stage::Holding(id, term) => return self.hold(id, term, since),
        };
        match next {
            Some(next) => self.enter(next),
            None => self.check_limit(stage, patient_since)?,
        }
        self.watch_again();
        Ok(())
    }

    fn enter(&mut self, stage: Stage) {
        self.note(None, || format!("{stage:?}"));
        if stage == Stage::Draining {
            self.service.clients.drain(self.now);
            self.arm_clients();
        }
        let now = self.now;
        if let Phase::Finale(finale) = &mut self.phase {
            finale.stage = stage;
            finale.since = now;
        }
    }

    fn watch_again(&mut self) {
        let at = self.now + self.patience() / LOOKS;
        self.schedule.push(at, Happening::Watch);
    }

    fn check_limit(&self, stage: Stage, since: u64) -> Result<(), Violation> {
        let knobs = &self.plan.knobs;
        let limit = match stage {
            Stage::Electing => self.patience() * ELECTING_MAX,
            Stage::Draining => self.patience() * DRAINING_MAX + knobs.patience_ns * 20,
            Stage::Converging => {
                let transfer = knobs.snapshot_ns + knobs.chunks * knobs.chunk_ns;
                self.patience() * CONVERGING_MAX + transfer * 4 + knobs.membership_timeout_ns * 3
            }
            Stage::Holding(..) => u64::MAX,
        };
        if self.now.saturating_sub(since) <= limit {
            return Ok(());
        }
        let invariant = match stage {
            Stage::Electing => "liveness-leader",
            Stage::Draining => "liveness-requests",
            Stage::Converging | Stage::Holding(..) => "liveness-convergence",
        };
        let open = self.service.clients.outstanding();
        let unsound = self
            .unsound()
            .map(|place| (self.nodes[place].id, self.nodes[place].standing));
        let leader = self
            .leader()
            .and_then(|place| self.nodes[place].raft.as_ref());
        let members = leader.map(|raft| telling::members(raft.membership()));
        let detail = format!(
            "{open} requests outstanding; unsound {unsound:?}; members {members:?}; {}",
            self.summary()
        );
        Err(Violation { invariant, detail })
    }

    /// The leader, once an entry of its term is committed.
    fn ready_leader(&self) -> Option<&Raft> {
        let place = self
            .leader()
            .filter(|place| !self.phase.is_broken(*place))?;
        let raft = self.nodes[place].raft.as_ref()?;
        (raft.term_at(raft.commit()) == Some(raft.term())).then_some(raft)
    }

    /// Who leads in which term, once all members that are not broken have all that it has.
    fn converged(&self) -> Option<(NodeId, Term)> {
        let leader = self.ready_leader()?;
        let (commit, term) = (leader.commit(), leader.term());
        let same = |node: &Node| {
            let Some(raft) = &node.raft else { return false };
            raft.commit() == commit
                && raft.last() == leader.last()
                && raft.durable() == commit
                && raft.term() == term
                && node.machine.applied == commit
        };
        let mut members = self.nodes.iter().enumerate().filter(|(place, node)| {
            leader.membership().contains(node.id) && !self.phase.is_broken(*place)
        });
        // A change of members that somebody asked for before is not over just because nothing is
        // in the log: its leader may be waiting for a new member to catch up.
        let settled = leader.last().index == commit
            && !leader.membership().is_joint()
            && !self.is_changing()
            && self
                .unsound()
                .is_none_or(|at| !leader.membership().contains(self.nodes[at].id));
        (settled && members.all(|(_, node)| same(node))).then_some((leader.id(), term))
    }

    /// Nothing may change any more; after a while of that the run is over.
    fn hold(&mut self, id: NodeId, term: Term, since: u64) -> Result<(), Violation> {
        if self.converged() != Some((id, term)) {
            let was = format!("{id} led in term {term}, and nobody asked for anything");
            let detail = format!("{was}; {}", self.summary());
            return Err(Violation {
                invariant: "liveness-stability",
                detail,
            });
        }
        if self.now - since < self.patience() * HOLDING {
            self.watch_again();
            return Ok(());
        }
        self.service.clients.verdict(self.now)?;
        self.phase = Phase::Over;
        Ok(())
    }

    /// The operator brings a wiped member back.
    fn steward(&mut self) -> Result<(), Violation> {
        self.settle_standing();
        let (Some(unsound), Some(leader)) = (self.unsound(), self.leader()) else {
            return Ok(());
        };
        if self.is_changing() {
            return Ok(());
        }
        let membership = self.nodes[leader]
            .raft
            .as_ref()
            .map(|raft| raft.membership().clone());
        let change = membership.and_then(|known| self.bring_back(unsound, &known, 0));
        match change {
            Some(change) => self.ask_for(leader, None, vec![change]),
            None => Ok(()),
        }
    }
}

/// Whether those that work are a quorum.
fn has_quorum(membership: &Membership, works: impl Fn(NodeId) -> bool) -> bool {
    [membership.voters(), membership.outgoing()]
        .into_iter()
        .all(|voters| {
            let working = voters.iter().filter(|id| works(**id)).count();
            voters.is_empty() || working > voters.len() / 2
        })
}
