//! Invariant 7: a new leader was elected by a quorum, and has all that was ever committed.
//!
//! This file does not know how votes are asked for; what counts is which of them were sent.

use super::ledger::Ledger;
use super::node::{Nodes, Summary};
use super::{Violation, ensure, quorum};
use crate::event::Output;
use crate::types::NodeId;

const ELECTED: &str = "7: a leader has the votes of a quorum";
const UP_TO_DATE: &str = "7: a vote goes only to an up-to-date log";
/// So a server whose disk was wiped can't vote again as if it were its former life.
const MEMBER: &str = "7: only those vote whose log names them";
const VOTER: &str = "7: only a voter leads";
const COMPLETE: &str = "7: a leader has every committed entry";

/// Judges a node that became leader in this step.
pub(super) fn check(
    nodes: &Nodes,
    ledger: &Ledger,
    before: &Summary,
    after: &Summary,
) -> Result<(), Violation> {
    if !after.leads() || before.still_leads(after) {
        return Ok(());
    }
    check_votes(nodes, after)?;
    check_completeness(nodes, ledger, after)
}

/// §5.4.1: a vote goes to a candidate that asked for it, and whose log is at least as up-to-date as
/// the voter's.
pub(super) fn check_choice(
    nodes: &Nodes,
    before: &Summary,
    after: &Summary,
    out: &Output,
) -> Result<(), Violation> {
    let (id, term) = (after.node, after.term);
    let Some(candidate) = after.vote.filter(|candidate| *candidate != id) else {
        return Ok(());
    };
    if (before.term, before.vote) == (term, after.vote) {
        return Ok(());
    }
    let (member, incarnation) = (nodes.get(id), after.incarnation);
    let is_member = member.is_some_and(|node| {
        node.configurations
            .iter()
            .any(|(_, membership)| membership.accepts(id, incarnation))
    });
    let asked = nodes
        .get(candidate)
        .and_then(|candidate| candidate.candidacy(term));
    let Some(last) = asked else {
        let detail = format!("{id} votes for {candidate} in term {term}, which never asked");
        return Err(Violation::new(UP_TO_DATE, detail));
    };
    // Where the log was cut within the same batch of events, the vote may have come after that.
    let cut = out
        .write
        .as_ref()
        .is_some_and(|w| w.truncate.is_some() || w.reset.is_some());
    ensure!(
        cut || is_member,
        MEMBER,
        "{id} in life {incarnation} votes in term {term}, and knows no configuration with it"
    );
    ensure!(
        cut || last >= before.last,
        UP_TO_DATE,
        "{id} at {} votes in term {term} for {candidate} at {last}",
        before.last
    );
    Ok(())
}

/// §5.2: a majority of the voters, of both halves if joint. A vote counts once it was sent, and
/// only from the life of a storage that the configuration names; the leader's own counts once it
/// is durable.
fn check_votes(nodes: &Nodes, after: &Summary) -> Result<(), Violation> {
    let (leader, term) = (after.node, after.term);
    let Some(node) = nodes.get(leader) else {
        return Ok(());
    };
    let (index, membership) = node.configuration();
    // One that is removed, but not yet for certain, may be the only one whose log can win
    // (dissertation §4.2.2); its own vote does not count then.
    let (certain, _) = node.configuration_at(after.commit);
    let mut uncertain = node
        .configurations
        .iter()
        .filter(|(index, _)| *index >= certain);
    ensure!(
        uncertain.any(|(_, membership)| membership.is_voter(leader)),
        VOTER,
        "{leader} leads term {term}, but not under {index}: {membership:?}"
    );
    let own = node.hard_state;
    let voted = |id: NodeId| {
        if id == leader {
            return own.term == term && own.vote == Some(leader);
        }
        let vote = nodes.get(id).and_then(|voter| voter.vote_in(term));
        vote.is_some_and(|vote| {
            vote.candidate == leader && membership.accepts(id, vote.incarnation)
        })
    };
    ensure!(
        quorum::agrees(membership, voted),
        ELECTED,
        "{leader} leads term {term} with the votes of {:?} under {index}: {membership:?}",
        membership
            .members()
            .map(|(id, _)| id)
            .filter(|id| voted(*id))
            .collect::<Vec<_>>()
    );
    Ok(())
}

/// §5.4.3, Leader Completeness: all that was committed in earlier terms is in the leader's log.
fn check_completeness(nodes: &Nodes, ledger: &Ledger, after: &Summary) -> Result<(), Violation> {
    let Some(node) = nodes.get(after.node) else {
        return Ok(());
    };
    let (index, link) = ledger.committed_below(after.term);
    // What it compacted away was committed, and was compared when it was.
    ensure!(
        index < node.log.base() || node.log.holds(index, link),
        COMPLETE,
        "{} leads term {} without {index} of term {}, its log ends at {}",
        after.node,
        after.term,
        link.term,
        node.log.last_position()
    );
    Ok(())
}

/// §5.4.3, seen from the other side: what a leader commits while a later one is already elected is
/// in the later one's log.
pub(super) fn check_later_leader(
    nodes: &Nodes,
    ledger: &Ledger,
    committer: &Summary,
) -> Result<(), Violation> {
    let Some((term, leader)) = ledger.newest_leader() else {
        return Ok(());
    };
    let Some(later) = nodes.get(leader) else {
        return Ok(());
    };
    if term <= committer.term || !later.summary.leads() || later.summary.term != term {
        return Ok(());
    }
    let index = ledger.commit_last();
    let Some(commit) = ledger.commit(index) else {
        return Ok(());
    };
    ensure!(
        index < later.log.base() || later.log.holds(index, commit.link),
        COMPLETE,
        "{} of term {} commits {index}, which {leader}, elected in term {term}, does not have",
        committer.node,
        committer.term
    );
    Ok(())
}
