//! Invariants 8 and 9: what is committed is on a quorum of disks, and stays what it is.
//!
//! This file does not know how a leader counts; it looks at the disks themselves.

use std::sync::Arc;

use super::ledger::Ledger;
use super::node::{Node, Nodes, Summary};
use super::{Violation, elections, ensure, memberships, quorum};
use crate::membership::Membership;
use crate::types::{Incarnation, Index, NodeId, Term};

const MONOTONE: &str = "9: commit never decreases";
const IMMUTABLE: &str = "9: committed entries never change";
const BY_LEADER: &str = "8: a leader commits by an entry of its own term";
const BY_QUORUM: &str = "8: what is committed is on a quorum of disks";

/// Judges how far a node thinks it is committed. Tells the term of the leader that committed what
/// nobody had committed before, if this was one.
pub(super) fn check(
    nodes: &Nodes,
    ledger: &mut Ledger,
    before: &Summary,
    after: &Summary,
    created: Option<Index>,
) -> Result<Option<Term>, Violation> {
    let (id, commit) = (after.node, after.commit);
    ensure!(
        commit >= before.commit,
        MONOTONE,
        "{id}: {} -> {commit}",
        before.commit
    );
    let Some(node) = nodes.get(id) else {
        return Ok(None);
    };
    if commit == before.commit {
        return Ok(None);
    }
    check_known(node, ledger, before.commit, commit)?;
    if commit <= ledger.commit_last() {
        return Ok(None);
    }
    // Within a batch of events a leader can commit and lose its role.
    let leader = if after.leads() { after } else { before };
    ensure!(
        leader.leads(),
        BY_LEADER,
        "{id} as {:?} of term {}: {commit}, though only {} is committed anywhere",
        after.role,
        after.term,
        ledger.commit_last()
    );
    let own = created.unwrap_or(Index(u64::MAX));
    check_new(nodes, node, (before.commit, commit), leader.term, own)?;
    record(node, ledger, commit, leader.term);
    elections::check_later_leader(nodes, ledger, leader)?;
    Ok(Some(leader.term))
}

/// §5.4.3, State Machine Safety: what this node takes for committed is what others did.
fn check_known(node: &Node, ledger: &Ledger, from: Index, to: Index) -> Result<(), Violation> {
    let mut index = from.next().max(node.log.base());
    while index <= to.min(ledger.commit_last()) {
        let here = node.log.link(index);
        let known = ledger.commit(index).map(|commit| commit.link);
        ensure!(
            here == known,
            IMMUTABLE,
            "{}: {index} is {:?} here, but was committed as {:?}",
            node.summary.node,
            here.map(|link| link.term),
            known.map(|link| link.term)
        );
        index = index.next();
    }
    Ok(())
}

/// §5.4.2: only an entry of the leader's own term is committed by counting, those before it
/// follow. §6: the quorum is that of the latest configuration in the leader's log.
fn check_new(
    nodes: &Nodes,
    node: &Node,
    (before, commit): (Index, Index),
    term: Term,
    created: Index,
) -> Result<(), Violation> {
    let id = node.summary.node;
    let link = node.log.link(commit).unwrap_or_default();
    ensure!(
        link.term == term,
        BY_LEADER,
        "{id} leads term {term}, and commits by {commit} of term {}",
        link.term
    );
    let on_disk = |membership: &Membership, id: NodeId| {
        let accepted = |life: Incarnation| membership.accepts(id, life);
        nodes
            .get(id)
            .is_some_and(|voter| voter.holds(commit, link, accepted))
    };
    let agreed = deciding(node, before, created)
        .any(|membership| quorum::agrees(membership, |id| on_disk(membership, id)));
    if agreed {
        return Ok(());
    }
    let (index, membership) = node.configuration();
    let members = membership.members().map(|(id, _)| id);
    let holders: Vec<NodeId> = members.filter(|id| on_disk(membership, *id)).collect();
    let detail = format!(
        "{id} leads term {term}: {commit} is on the disks of {holders:?} under {index}: \
         {membership:?}"
    );
    Err(Violation::new(BY_QUORUM, detail))
}

/// The configurations that may have decided on a commit: the latest in the log before the step,
/// and one proposed within the step if it can't itself have followed from that commit. (A step
/// can commit a joint configuration and at once propose the next one, whose majority alone must
/// not have committed the joint one.)
fn deciding(node: &Node, before: Index, created: Index) -> impl Iterator<Item = &Arc<Membership>> {
    let (_, latest) = node.configuration_at(created.prev());
    let proposed = node
        .configurations
        .windows(2)
        .filter_map(move |pair| match pair {
            [previous, next] if next.0 >= created => {
                let independent = previous.0 <= before || memberships::takes_back(previous, next);
                independent.then_some(&next.1)
            }
            _ => None,
        });
    std::iter::once(latest).chain(proposed)
}

fn record(node: &Node, ledger: &mut Ledger, commit: Index, term: Term) {
    let mut index = ledger.commit_last().next();
    let first = index;
    while index <= commit {
        ledger.committed(node.log.link(index).unwrap_or_default(), term);
        index = index.next();
    }
    for (index, membership) in &node.configurations {
        if first <= *index && *index <= commit {
            ledger.configured(*index, Arc::clone(membership));
        }
    }
}

/// Raft's Figure 8: an entry of an older term is on a quorum of disks, and yet its leader must not
/// take it for committed.
pub(super) fn is_figure_8(nodes: &Nodes, after: &Summary) -> bool {
    let Some(node) = nodes.get(after.node).filter(|_| after.leads()) else {
        return false;
    };
    let commit_term = node.log.link(after.commit).map(|link| link.term);
    if commit_term == Some(after.term) {
        return false;
    }
    // Only the next entry is looked at: if it is on no quorum of disks, none after it is.
    let index = after.commit.next();
    let Some(link) = node.log.link(index).filter(|link| link.term < after.term) else {
        return false;
    };
    let (_, membership) = node.configuration();
    quorum::agrees(membership, |id| {
        nodes
            .get(id)
            .is_some_and(|voter| voter.disk.holds(index, link))
    })
}
