//! The ghost: an observer outside of the cluster that remembers everything and forgives nothing.
//!
//! It sees each core before and after every step, each write as it becomes durable, and what every
//! state machine made of the log; from that it checks, after every event, the invariants that are
//! numbered in `docs/` (verification), each in its own small function. It survives all crashes, and
//! no decision of the system ever depends on it.
//!
//! It deliberately does not know how the core comes to its decisions, nor the core's code for
//! quorums, logs and writes: what it needs it works out a second time. The cost of a step is
//! constant, apart from what the step itself carries.

mod applies;
mod chain;
mod commits;
mod elections;
mod ledger;
mod logs;
mod memberships;
mod messages;
mod mirror;
mod node;
mod quorum;
mod reads;
mod recovery;
mod terms;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::sync::Arc;

use self::ledger::Ledger;
use self::node::{Memory, Nodes, Summary};
use self::reads::{Claim, Lease, Leases, Moment, Reads, Trust};
use crate::config::ClockDrift;
use crate::consensus::Raft;
use crate::entry::{Entry, Recovered};
use crate::event::{Consistency, Output, RoleName, Write};
use crate::membership::Membership;
use crate::sim::marks::{Mark, Marks};
use crate::types::{Index, NodeId, Term, Ticket, Time};

/// An invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number and what it says.
    pub invariant: &'static str,
    /// By whom and how it was broken.
    pub detail: String,
}

impl Violation {
    /// A breach of an invariant.
    #[must_use]
    pub const fn new(invariant: &'static str, detail: String) -> Self {
        Self { invariant, detail }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

impl std::error::Error for Violation {}

/// Returns a violation unless the condition holds. Nothing is formatted while all is well.
macro_rules! ensure {
    ($holds:expr, $invariant:expr, $($detail:tt)+) => {
        if !$holds {
            return Err($crate::sim::ghost::Violation::new($invariant, format!($($detail)+)));
        }
    };
}
use ensure;

/// What the world promises about its nodes' clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// No clock is further off the world's pace than this, and none jumps.
    Within(ClockDrift),
    /// Nothing: what relies on clocks is not judged.
    Broken,
}

/// The observer.
#[derive(Clone, Debug)]
pub struct Ghost {
    nodes: Nodes,
    ledger: Ledger,
    reads: Reads,
    trust: Trust,
    /// The world's time of the last step.
    now: u64,
    /// Each node's summary before the step under way; only that of the node that steps is current.
    before: Summary,
    fresh_commit: Option<(NodeId, Term)>,
    marks: Marks,
}

impl Ghost {
    /// An observer of the nodes `1..=nodes`. The world's clocks are taken to be exact, and no node
    /// to use leases.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        let exact = Clocks::Within(ClockDrift { per_mille: 0 });
        Self {
            nodes: Nodes::new(nodes),
            ledger: Ledger::default(),
            reads: Reads::default(),
            trust: Trust {
                clocks: exact,
                leases: Leases::Unused,
            },
            now: 0,
            before: Summary::new(NodeId(0)),
            fresh_commit: None,
            marks: Marks::default(),
        }
    }

    /// What the nodes' clocks are worth in this world.
    pub const fn clocks(&mut self, clocks: Clocks) {
        self.trust.clocks = clocks;
    }

    /// The nodes use leases ([`Config::lease`](crate::Config::lease)): a leader may answer reads
    /// that no round has confirmed, and relies on the clocks.
    pub const fn leases_are_used(&mut self) {
        self.trust.leases = Leases::Used;
    }

    /// A node starts: after `Raft::new`, before its first output is carried out. `log` holds the
    /// retained entries after `recovered.base`. What `Raft::new` put into the output is judged by
    /// the next [`after_step`](Self::after_step).
    ///
    /// # Errors
    /// Invariants 3, 9 and 18.
    pub fn booted(
        &mut self,
        raft: &Raft,
        recovered: &Recovered,
        log: &[Entry],
    ) -> Result<(), Violation> {
        let summary = Summary::of(raft);
        self.boot(summary, recovered, log)
    }

    fn boot(
        &mut self,
        summary: Summary,
        recovered: &Recovered,
        log: &[Entry],
    ) -> Result<(), Violation> {
        let node = self.nodes.slot(summary.node);
        watch::booting(&mut self.marks, node, summary, recovered);
        recovery::boot(node, &mut self.ledger, summary, recovered, log)?;
        self.before = summary;
        Ok(())
    }

    /// A node is about to be given an event, the first of a batch if there are several.
    pub fn before_step(&mut self, raft: &Raft) {
        self.before = Summary::of(raft);
    }

    /// The node has been flushed, and nothing of `out` is carried out yet. `now` is the world's
    /// time in nanoseconds, the same for all nodes.
    ///
    /// # Errors
    /// Invariants 1, 2 and 4 to 13.
    pub fn after_step(&mut self, now: u64, raft: &Raft, out: &Output) -> Result<(), Violation> {
        if let Err(detail) = raft.check() {
            return Err(Violation::new("11, 20: the core's own invariants", detail));
        }
        self.step(now, &Summary::of(raft), raft.membership(), out)
    }

    fn step(
        &mut self,
        now: u64,
        after: &Summary,
        shown: &Arc<Membership>,
        out: &Output,
    ) -> Result<(), Violation> {
        let before = self.before;
        let (nodes, ledger) = (&mut self.nodes, &mut self.ledger);
        self.now = now;
        self.fresh_commit = None;
        terms::check_step(&before, after)?;
        terms::check_leader(ledger, &before, after)?;
        let node = nodes.slot(after.node);
        node.stepped(&before, after);
        let created = logs::carry(node, ledger, &before, after, out)?;
        memberships::check_shown(node, after, shown)?;
        elections::check_choice(nodes, &before, after, out)?;
        elections::check(nodes, ledger, &before, after)?;
        let committed = commits::check(nodes, ledger, &before, after, created)?;
        self.fresh_commit = committed.map(|term| (after.node, term));
        memberships::check_leader_belongs(nodes.slot(after.node), after)?;
        if let Some(created) = created {
            let step = memberships::check_proposed(nodes.slot(after.node), after, created)?;
            watch::proposed(&mut self.marks, step);
        }
        let moment = Moment {
            now,
            trust: self.trust,
        };
        messages::check(nodes, ledger, moment, after, &out.messages)?;
        applies::check(nodes.slot(after.node), ledger, after, out)?;
        watch::stepped(
            &mut self.marks,
            &mut self.nodes,
            &self.ledger,
            &before,
            after,
            out,
        );
        self.reads.settled(after.node, &out.replies);
        self.before = *after;
        Ok(())
    }

    /// A write is durable now on its node's disk. Each write once and in order; whether the node
    /// has heard of it does not matter.
    ///
    /// # Errors
    /// When it is not the next one, or not one that was issued.
    pub fn persisted(&mut self, node: NodeId, write: &Write) -> Result<(), Violation> {
        let node = self.nodes.slot(node);
        if logs::is_stale(node, write) {
            self.marks.hit(Mark::StalePersisted);
        }
        logs::persist(node, &self.ledger, write)
    }

    /// A node lost its memory. Its disk keeps what is durable, and any prefix of the writes under
    /// way; [`booted`](Self::booted) tells which.
    pub fn crashed(&mut self, node: NodeId) {
        self.reads.crashed(node);
        let node = self.nodes.slot(node);
        watch::crashing(&mut self.marks, node);
        node.summary.role = RoleName::Follower;
        node.summary.leader = None;
    }

    /// The disk of a node that does not run was wiped, or lost durable state on purpose. If it
    /// comes back in the same incarnation, it must know that something is missing.
    pub fn forgot(&mut self, node: NodeId) {
        self.nodes.slot(node).memory = Memory::Forgot;
    }

    /// A node's state machine reflects the log up to `index`; also after a restore.
    ///
    /// # Errors
    /// Invariant 10.
    pub fn applied(&mut self, node: NodeId, index: Index, digest: u64) -> Result<(), Violation> {
        self.ledger.first_applied(index, self.now);
        applies::check_digest(&mut self.ledger, node, index, digest)
    }

    /// A client asks a node to read, at the world's time `now`; before the event is given to it.
    pub fn read_invoked(
        &mut self,
        node: NodeId,
        ticket: Ticket,
        consistency: Consistency,
        now: u64,
    ) {
        self.reads
            .invoked(&self.ledger, &self.nodes, (node, ticket), consistency, now);
    }

    /// A node says that a read may be answered by whoever has applied up to `index`.
    ///
    /// # Errors
    /// Invariant 13.
    pub fn read_ready(
        &mut self,
        node: NodeId,
        ticket: Ticket,
        index: Index,
        now: u64,
    ) -> Result<(), Violation> {
        let moment = Moment {
            now,
            trust: self.trust,
        };
        let read = (node, ticket);
        let way = self
            .reads
            .ready(&self.ledger, &self.nodes, read, index, moment)?;
        watch::read(&mut self.marks, way);
        Ok(())
    }

    /// Who committed, in the last step, what nobody had committed before, and in which term. Then
    /// it is time for [`check_leases`](Self::check_leases).
    #[must_use]
    pub const fn fresh_commit(&self) -> Option<(NodeId, Term)> {
        self.fresh_commit
    }

    /// Compares the last commit with the leases of all nodes that run, each with its own time. Who
    /// asks this [uses leases](Self::leases_are_used).
    ///
    /// # Errors
    /// Invariant 14.
    pub fn check_leases<'a>(
        &mut self,
        running: impl Iterator<Item = (&'a Raft, Time)>,
    ) -> Result<(), Violation> {
        self.leases_are_used();
        let Some(commit) = self.fresh_commit else {
            return Ok(());
        };
        for (raft, now) in running.filter(|(raft, _)| raft.id() != commit.0) {
            let lease = if raft.lease_valid(now) {
                Lease::Valid
            } else {
                Lease::Expired
            };
            let claim = Claim {
                node: raft.id(),
                term: raft.term(),
                lease,
            };
            reads::check_claim(claim, commit, self.trust)?;
        }
        Ok(())
    }

    /// The highest index committed anywhere.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.ledger.commit_last()
    }

    /// The newest term that ever had a leader.
    #[must_use]
    pub fn term_led_max(&self) -> Term {
        self.ledger
            .newest_leader()
            .map_or(Term(0), |(term, _)| term)
    }

    /// What was seen.
    #[must_use]
    pub const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// For what only the world can see.
    pub const fn marks_mut(&mut self) -> &mut Marks {
        &mut self.marks
    }
}
