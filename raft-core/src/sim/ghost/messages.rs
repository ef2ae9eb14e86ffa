//! Invariant 4: nothing leaves a node before what it implies is on the node's disk.
//!
//! Each message carries its obligation, which is compared with the disk as a power cut at this
//! very moment would leave it. This file does not know who receives what.

use super::ledger::Ledger;
use super::node::{Echo, Node, Nodes, Quarantine, Summary};
use super::reads::Moment;
use super::{Violation, ensure, logs, reads, terms};
use crate::message::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Envelope, InstallSnapshotReply, Message,
    SnapshotStatus,
};
use crate::types::{Index, NodeId, Position, Term};

const ENVELOPE: &str = "4: an envelope says who sent it";
const TERM_DURABLE: &str = "4: a term is durable before it is sent";
const VOTE_DURABLE: &str = "4: a vote is durable before it is sent";
const LOG_DURABLE: &str = "4: entries are durable before they are acknowledged";
const EQUAL_LOGS: &str = "5: what a follower acknowledges equals the leader's log";
const OWN_LOG: &str = "5: a leader sends its own log, and commits no more than it knows of";
const QUARANTINE: &str = "18: who lost acknowledged state does not take part in elections";

/// Judges the messages of one step.
pub(super) fn check(
    nodes: &mut Nodes,
    ledger: &mut Ledger,
    moment: Moment,
    after: &Summary,
    messages: &[Envelope],
) -> Result<(), Violation> {
    for envelope in messages {
        check_envelope(nodes.slot(after.node), after, envelope)?;
        check_one(nodes, ledger, moment, after, envelope)?;
    }
    Ok(())
}

fn check_envelope(node: &mut Node, after: &Summary, envelope: &Envelope) -> Result<(), Violation> {
    let (id, term) = (after.node, envelope.term);
    ensure!(
        envelope.from == id && envelope.to != id && envelope.incarnation == after.incarnation,
        ENVELOPE,
        "{id} sends {envelope:?}"
    );
    // §5.1, Figure 2: persistent state is updated before responding.
    ensure!(
        term <= node.hard_state.term,
        TERM_DURABLE,
        "{id} sends term {term}, its disk has {}: {envelope:?}",
        node.hard_state.term
    );
    node.sent_term = node.sent_term.max(term);
    Ok(())
}

fn check_one(
    nodes: &mut Nodes,
    ledger: &mut Ledger,
    Moment { now, trust }: Moment,
    after: &Summary,
    envelope: &Envelope,
) -> Result<(), Violation> {
    let (term, to) = (envelope.term, envelope.to);
    let commit = ledger.commit_last();
    match &envelope.message {
        Message::RequestVote(request) => {
            let candidacy = (after.node, Some(request.last));
            check_vote(nodes.slot(after.node), after, term, candidacy)
        }
        Message::RequestVoteReply(reply) if reply.granted => {
            check_vote(nodes.slot(after.node), after, term, (to, None))
        }
        Message::PreVoteReply(reply) if reply.granted => check_free(after, to),
        Message::PreVote(_) => check_free(after, to),
        Message::AppendEntries(append) => {
            terms::check_speaks_as_leader(ledger, term, after)?;
            let node = nodes.slot(after.node);
            node.round_sent(append.round, now);
            check_append(node, after, term, append)
        }
        Message::InstallSnapshot(install) => {
            terms::check_speaks_as_leader(ledger, term, after)?;
            nodes.slot(after.node).round_sent(install.round, now);
            logs::check_snapshot(ledger, &install.snapshot)
        }
        Message::TimeoutNow => {
            nodes.slot(after.node).gives_way(term, now);
            terms::check_speaks_as_leader(ledger, term, after)
        }
        Message::AppendEntriesReply(reply) => check_append_reply(nodes, after, envelope, reply),
        Message::InstallSnapshotReply(reply) => check_install_reply(nodes, after, envelope, reply),
        Message::ReadIndex(question) => {
            nodes
                .slot(after.node)
                .question_sent(question.request, now, commit);
            Ok(())
        }
        Message::ReadIndexReply(reply) => {
            terms::check_speaks_as_leader(ledger, term, after)?;
            reads::check_barrier(nodes, after, to, reply, trust)
        }
        Message::RequestVoteReply(_)
        | Message::PreVoteReply(_)
        | Message::StaleTerm
        | Message::WrongIncarnation => Ok(()),
    }
}

/// §5.2: a grant, or one's own candidacy, is durable as term and vote.
fn check_vote(
    node: &mut Node,
    after: &Summary,
    term: Term,
    vote: (NodeId, Option<Position>),
) -> Result<(), Violation> {
    let (on_disk, candidate) = (node.hard_state, vote.0);
    // A disk that is already in a later term can't vote in this one again.
    ensure!(
        on_disk.term > term || (on_disk.term == term && on_disk.vote == Some(candidate)),
        VOTE_DURABLE,
        "{} votes for {candidate} in term {term}, its disk has {on_disk:?}",
        after.node
    );
    terms::check_vote(node, term, vote, after)
}

fn check_free(after: &Summary, to: NodeId) -> Result<(), Violation> {
    ensure!(
        after.quarantine == Quarantine::Free,
        QUARANTINE,
        "{} takes part in an election with {to}",
        after.node
    );
    Ok(())
}

/// §5.3: what a leader sends is its own log.
fn check_append(
    node: &Node,
    after: &Summary,
    term: Term,
    append: &AppendEntries,
) -> Result<(), Violation> {
    let id = after.node;
    ensure!(
        append.commit <= after.commit,
        OWN_LOG,
        "{id} sends commit {}, but knows of {}",
        append.commit,
        after.commit
    );
    if !after.leads() || after.term != term {
        return Ok(());
    }
    let term_at = |index: Index| node.log.link(index).map(|link| link.term);
    let prev = append.prev;
    ensure!(
        term_at(prev.index) == Some(prev.term),
        OWN_LOG,
        "{id} sends prev {prev}, has {:?} there",
        term_at(prev.index)
    );
    let mut index = prev.index;
    for entry in &append.entries {
        index = index.next();
        ensure!(
            entry.index == index && term_at(index) == Some(entry.term),
            OWN_LOG,
            "{id} sends {} at {index}, has {:?} there",
            entry.position(),
            term_at(index)
        );
    }
    Ok(())
}

fn check_append_reply(
    nodes: &mut Nodes,
    after: &Summary,
    envelope: &Envelope,
    reply: &AppendEntriesReply,
) -> Result<(), Violation> {
    match reply.outcome {
        AppendOutcome::Matched(index) => check_acknowledged(nodes, after, envelope, index)?,
        AppendOutcome::Conflict { prev, hint } => {
            ensure!(
                hint.index <= prev,
                EQUAL_LOGS,
                "{} refuses {prev} and hints at {hint}",
                after.node
            );
        }
    }
    nodes.slot(after.node).echoed(Echo {
        term: envelope.term,
        round: reply.round,
    });
    Ok(())
}

fn check_install_reply(
    nodes: &mut Nodes,
    after: &Summary,
    envelope: &Envelope,
    reply: &InstallSnapshotReply,
) -> Result<(), Violation> {
    match reply.status {
        SnapshotStatus::Matched(index) => check_acknowledged(nodes, after, envelope, index)?,
        SnapshotStatus::Receiving | SnapshotStatus::Failed => {}
    }
    nodes.slot(after.node).echoed(Echo {
        term: envelope.term,
        round: reply.round,
    });
    Ok(())
}

/// §5.3: an acknowledged log is durable, and the same as that of the leader of this term.
fn check_acknowledged(
    nodes: &mut Nodes,
    after: &Summary,
    envelope: &Envelope,
    index: Index,
) -> Result<(), Violation> {
    let (id, to) = (after.node, envelope.to);
    let node = nodes.slot(id);
    let disk = &node.disk;
    ensure!(
        index <= disk.last(),
        LOG_DURABLE,
        "{id} acknowledges {index} to {to} in term {}, its disk ends at {}",
        envelope.term,
        disk.last_position()
    );
    let link = disk.link(index);
    node.acknowledged = node.acknowledged.max(index);
    let leader = nodes
        .get(to)
        .filter(|leader| leader.summary.leads() && leader.summary.term == envelope.term);
    // Below either base both hold the same committed entries.
    if let (Some(leader), Some(link)) = (leader, link)
        && index >= leader.log.base()
    {
        ensure!(
            leader.log.holds(index, link),
            EQUAL_LOGS,
            "{id} acknowledges {index} to {to} in term {}, but their logs differ",
            envelope.term
        );
    }
    Ok(())
}
