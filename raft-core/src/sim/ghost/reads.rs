//! Invariants 13 and 14: what a read must reflect, and who may answer it without asking around.
//!
//! This file knows when a read was asked for and what was committed then, anywhere; it does not
//! know what the state machine answers.

use std::collections::BTreeMap;

use super::ledger::Ledger;
use super::node::{Node, Nodes, Summary};
use super::{Clocks, Violation, ensure, quorum};
use crate::event::{Consistency, Reply};
use crate::message::ReadIndexReply;
use crate::types::{Index, NodeId, Term, Ticket, nanos};

const LINEARIZABLE: &str = "13: a linearizable read reflects every commit before it";
const CONFIRMED: &str = "13: a read is confirmed by a round that began after it";
const BOUNDED: &str = "13: a bounded read reflects every commit older than its bound";
const BARRIER: &str = "13: a read barrier is committed";
const LEASE_KEPT: &str = "14: a lease ends when a successor is told to campaign";
const LEASE: &str = "14: no other leader commits inside a lease";

/// A read that waits for its barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    consistency: Consistency,
    /// What was committed anywhere when it was asked for.
    commit: Index,
    asked: u64,
    /// The term in which the node asked led, but had not committed anything yet.
    before_first_commit: Option<Term>,
}

/// How a read got its barrier, for the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By whatever a leader does.
    Plain,
    /// Without a message: by a lease.
    Lease,
    /// It waited for the first commit of its leader's term.
    WaitedForFirstCommit,
    /// At a follower, linearizably.
    Follower,
    /// It was not linearizable.
    Relaxed,
}

/// What the world promises about clocks, and whether leases rely on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    pub(super) clocks: Clocks,
    pub(super) leases: Leases,
}

/// Whether a leader may answer reads without asking around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leases {
    Used,
    Unused,
}

impl Trust {
    /// With clocks that break their promise a lease promises nothing.
    fn judges_reads(self) -> bool {
        self.leases == Leases::Unused || self.clocks != Clocks::Broken
    }
}

/// When something happens, by the world's own clock, and what its nodes' clocks are worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: u64,
    pub(super) trust: Trust,
}

/// All reads that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads(BTreeMap<(NodeId, Ticket), Pending>);

impl Reads {
    pub(super) fn invoked(
        &mut self,
        ledger: &Ledger,
        nodes: &Nodes,
        (node, ticket): (NodeId, Ticket),
        consistency: Consistency,
        now: u64,
    ) {
        let waits = nodes.get(node).filter(|node| {
            let commit_term = node.log.link(node.summary.commit).map(|link| link.term);
            node.summary.leads() && commit_term != Some(node.summary.term)
        });
        let pending = Pending {
            consistency,
            commit: ledger.commit_last(),
            asked: now,
            before_first_commit: waits.map(|node| node.summary.term),
        };
        self.0.insert((node, ticket), pending);
    }

    /// Reads that were refused wait no longer.
    pub(super) fn settled(&mut self, node: NodeId, replies: &[Reply]) {
        for reply in replies {
            if let Reply::Refused { ticket, .. } | Reply::Unknown { ticket } = reply {
                self.0.remove(&(node, *ticket));
            }
        }
    }

    pub(super) fn crashed(&mut self, node: NodeId) {
        self.0.retain(|(asked, _), _| *asked != node);
    }

    /// Judges a barrier. A read that nobody asked for is none of ours.
    pub(super) fn ready(
        &mut self,
        ledger: &Ledger,
        nodes: &Nodes,
        (id, ticket): (NodeId, Ticket),
        index: Index,
        Moment { now, trust }: Moment,
    ) -> Result<Option<Way>, Violation> {
        let Some(pending) = self.0.remove(&(id, ticket)) else {
            return Ok(None);
        };
        let Some(node) = nodes.get(id) else {
            return Ok(None);
        };
        let commit = ledger.commit_last();
        ensure!(
            index <= commit,
            BARRIER,
            "{id}, read {ticket}: {index}, of {commit} committed"
        );
        match pending.consistency {
            Consistency::Linearizable => {
                check_linearizable(&pending, id, ticket, index, trust)?;
                let way = way(&pending, nodes, &node.summary, now);
                check_lease_kept(&pending, node, way)?;
                if trust.leases == Leases::Unused && node.summary.leads() {
                    check_confirmed(nodes, &node.summary, pending.asked)?;
                }
                Ok(Some(way))
            }
            Consistency::Bounded(bound) => {
                let least = bounded_least(ledger, pending.asked, nanos(bound), trust.clocks);
                ensure!(
                    index >= least,
                    BOUNDED,
                    "{id}, read {ticket} within {bound:?}: {index}, but {least} was applied before"
                );
                Ok(Some(Way::Relaxed))
            }
            Consistency::Local => Ok(Some(Way::Relaxed)),
        }
    }
}

/// §8, dissertation §6.4: the barrier is at or above every commit known anywhere when the read was
/// asked for.
fn check_linearizable(
    pending: &Pending,
    id: NodeId,
    ticket: Ticket,
    index: Index,
    trust: Trust,
) -> Result<(), Violation> {
    ensure!(
        !trust.judges_reads() || index >= pending.commit,
        LINEARIZABLE,
        "{id}, read {ticket}: {index}, but {} was committed when it was asked for",
        pending.commit
    );
    Ok(())
}

/// Dissertation §6.4.1: voters ignore their promise when the old leader wants them to, so that it
/// must not rely on it any more in this term.
fn check_lease_kept(pending: &Pending, node: &Node, way: Way) -> Result<(), Violation> {
    let gave_way = node
        .gave_way
        .filter(|(term, when)| *term == node.summary.term && *when < pending.asked);
    ensure!(
        way != Way::Lease || gave_way.is_none(),
        LEASE_KEPT,
        "{} answers at once in term {}, though a successor was told to campaign at {gave_way:?}",
        node.summary.node,
        node.summary.term
    );
    Ok(())
}

/// §8: a leader answers only after a quorum has followed it at a time after the question: after
/// each of them echoed a round that began no earlier.
fn check_confirmed(nodes: &Nodes, leader: &Summary, asked: u64) -> Result<(), Violation> {
    let Some(node) = nodes.get(leader.node) else {
        return Ok(());
    };
    let (_, membership) = node.configuration();
    let round = node.round_since(asked);
    let echoed = |id: NodeId| {
        let echo = nodes
            .get(id)
            .and_then(|follower| follower.echo(leader.term));
        id == leader.node || (round.is_some() && echo >= round)
    };
    ensure!(
        quorum::agrees(membership, echoed),
        CONFIRMED,
        "{} leads term {} and answers what was asked at {asked}; first round since: {round:?}",
        leader.node,
        leader.term
    );
    Ok(())
}

/// The answer to a follower's question is bound by when the question was asked.
pub(super) fn check_barrier(
    nodes: &Nodes,
    leader: &Summary,
    to: NodeId,
    reply: &ReadIndexReply,
    trust: Trust,
) -> Result<(), Violation> {
    let asked = nodes
        .get(to)
        .and_then(|follower| follower.question(reply.request));
    let Some((asked, commit)) = asked else {
        return Ok(());
    };
    ensure!(
        !trust.judges_reads() || reply.index >= commit,
        LINEARIZABLE,
        "{} tells {to} {}, but {commit} was committed when it asked",
        leader.node,
        reply.index
    );
    if trust.leases == Leases::Unused && leader.leads() {
        check_confirmed(nodes, leader, asked)?;
    }
    Ok(())
}

/// What a read must at least reflect: all that can have been acknowledged longer ago than its
/// bound, by any clock that keeps the promise.
fn bounded_least(ledger: &Ledger, asked: u64, bound: u64, clocks: Clocks) -> Index {
    match clocks {
        Clocks::Broken => Index(0),
        Clocks::Within(drift) => {
            // A clock that is slow by the drift takes this much longer for the same bound.
            let slack = 1000_u64.saturating_sub(u64::from(drift.per_mille)).max(1);
            let longest = u128::from(bound) * 1000 / u128::from(slack) + 1;
            let longest = u64::try_from(longest).unwrap_or(u64::MAX);
            ledger.applied_before(asked.saturating_sub(longest))
        }
    }
}

fn way(pending: &Pending, nodes: &Nodes, summary: &Summary, now: u64) -> Way {
    let alone = nodes
        .get(summary.node)
        .is_some_and(|node| quorum::agrees(node.configuration().1, |id| id == summary.node));
    if !summary.leads() {
        Way::Follower
    } else if pending.before_first_commit == Some(summary.term) {
        Way::WaitedForFirstCommit
    } else if pending.asked == now && !alone {
        Way::Lease
    } else {
        Way::Plain
    }
}

/// What a running node believes of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) node: NodeId,
    pub(super) term: Term,
    pub(super) lease: Lease,
}

/// Whether a node would answer reads by its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// It would.
    Valid,
    /// It would ask first.
    Expired,
}

/// Dissertation §6.4.1: as long as one leader may answer alone, no later one commits.
pub(super) fn check_claim(
    claim: Claim,
    (committer, term): (NodeId, Term),
    trust: Trust,
) -> Result<(), Violation> {
    ensure!(
        claim.lease == Lease::Expired || claim.term >= term || trust.clocks == Clocks::Broken,
        LEASE,
        "{committer} commits in term {term}, while {} holds the lease of term {}",
        claim.node,
        claim.term
    );
    Ok(())
}
