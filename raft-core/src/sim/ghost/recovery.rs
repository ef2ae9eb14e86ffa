//! Invariants 3 and 18: what a node finds on its disk when it starts again.
//!
//! A crash may keep any prefix of the writes under way, so more than the durable image may be
//! there, but never less; unless the disk was made to forget, and then the node must know it.

use std::sync::Arc;

use super::ledger::Ledger;
use super::mirror::Mirror;
use super::node::{Lost, Memory, Node, Quarantine, Summary};
use super::{Violation, ensure, logs};
use crate::entry::{Entry, Payload, Recovered};
use crate::types::{Index, WriteId};

const HARD_STATE: &str = "3: recovered term and vote are not behind what was sent";
const DURABLE: &str = "3: what was durable is recovered";
const LIFE: &str = "3: a storage keeps its incarnation";
const CONSISTENT: &str = "3: what is recovered agrees with itself";
const CHECKSUM: &str = "18: what was damaged is not recovered as if it were whole";
const QUARANTINED: &str = "18: who lost acknowledged state is quarantined";
const COMMIT: &str = "9: a commit recovered from a snapshot is a commit";

/// Judges what a node recovered, and takes it for its log and its disk from now on.
pub(super) fn boot(
    node: &mut Node,
    ledger: &mut Ledger,
    raft: Summary,
    recovered: &Recovered,
    log: &[Entry],
) -> Result<(), Violation> {
    found(node, ledger, recovered)?;
    check_itself(node, ledger, recovered, log)?;
    let image = image(node, ledger, recovered, log)?;
    match node.memory {
        Memory::Whole => {
            check_hard_state(node, recovered)?;
            check_nothing_lost(node, recovered, &image)?;
        }
        Memory::Forgot => check_knows_its_loss(node, raft, recovered, &image)?,
    }
    let commit = ledger.commit(raft.commit).map(|commit| commit.link);
    // A snapshot can be here whose log is not: the reset of the log was lost in the crash.
    ensure!(
        raft.commit <= recovered.snapshot.last.index
            || (commit.is_some() && image.link(raft.commit) == commit),
        COMMIT,
        "{} starts with {} committed",
        raft.node,
        raft.commit
    );
    take(node, raft, recovered, image);
    Ok(())
}

/// All founders start from one configuration.
fn found(node: &Node, ledger: &mut Ledger, recovered: &Recovered) -> Result<(), Violation> {
    let snapshot = &recovered.snapshot;
    if snapshot.last.index > Index(0) || snapshot.membership.is_blank() {
        return Ok(());
    }
    let Some((index, founding)) = ledger.configuration_at(Index(0)) else {
        ledger.configured(Index(0), Arc::clone(&snapshot.membership));
        return Ok(());
    };
    ensure!(
        index == Index(0) && *founding == snapshot.membership,
        CONSISTENT,
        "{} was founded with {:?}, others with {founding:?}",
        node.summary.node,
        snapshot.membership
    );
    Ok(())
}

/// The recovered state's own claims.
fn check_itself(
    node: &Node,
    ledger: &Ledger,
    recovered: &Recovered,
    log: &[Entry],
) -> Result<(), Violation> {
    let id = node.summary.node;
    let Recovered {
        snapshot,
        base,
        last,
        ..
    } = recovered;
    logs::check_snapshot(ledger, snapshot)?;
    ensure!(
        base.index <= snapshot.last.index && ledger.is_committed(*base),
        CONSISTENT,
        "{id}: the log begins after {base}, the snapshot ends at {}",
        snapshot.last
    );
    ensure!(
        *last == base.index.plus(log.len() as u64),
        CONSISTENT,
        "{id}: {} entries after {base}, last {last}",
        log.len()
    );
    let mut runs = Vec::new();
    let mut memberships = Vec::new();
    for entry in log {
        if runs.last().is_none_or(|(_, term)| *term != entry.term) {
            runs.push((entry.index, entry.term));
        }
        if let Payload::Membership(membership) = &entry.payload {
            memberships.push((entry.index, Arc::clone(membership)));
        }
    }
    ensure!(
        runs == recovered.terms,
        CONSISTENT,
        "{id}: terms {:?}, the entries have {runs:?}",
        recovered.terms
    );
    ensure!(
        memberships == recovered.memberships,
        CONSISTENT,
        "{id}: configurations {:?}, the entries have {memberships:?}",
        recovered.memberships
    );
    Ok(())
}

/// The recovered log as links; every entry must be one that some leader made.
fn image(
    node: &Node,
    ledger: &Ledger,
    recovered: &Recovered,
    log: &[Entry],
) -> Result<Mirror, Violation> {
    let id = node.summary.node;
    let base = ledger.entry(recovered.base).unwrap_or_default();
    let mut image = Mirror::after(recovered.base.index, base);
    for entry in log {
        let link = image.last_link().then(entry);
        ensure!(
            entry.index == image.last().next() && ledger.entry(entry.position()) == Some(link),
            CHECKSUM,
            "{id}: {} after {} is not what was written",
            entry.position(),
            image.last_position()
        );
        image.push(link);
    }
    Ok(image)
}

/// §5.1, §5.2: term and vote are updated on stable storage before responding.
fn check_hard_state(node: &Node, recovered: &Recovered) -> Result<(), Violation> {
    let (id, found, durable) = (node.summary.node, recovered.hard_state, node.hard_state);
    ensure!(
        node.is_new() || recovered.incarnation == node.summary.incarnation,
        LIFE,
        "{id}: {} -> {}",
        node.summary.incarnation,
        recovered.incarnation
    );
    ensure!(
        found.term >= node.sent_term && found.term >= durable.term,
        HARD_STATE,
        "{id}: recovered {found:?}, durable was {durable:?}, sent was term {}",
        node.sent_term
    );
    ensure!(
        found.term > durable.term || durable.vote.is_none() || found.vote == durable.vote,
        HARD_STATE,
        "{id}: recovered {found:?}, durable was {durable:?}"
    );
    let sent = node.vote_on_disk(found.term);
    ensure!(
        sent.is_none() || found.vote == sent,
        HARD_STATE,
        "{id}: recovered {found:?}, but sent a vote for {sent:?}"
    );
    Ok(())
}

/// What was durable is there, unless a write under way at the crash removed it.
fn check_nothing_lost(node: &Node, recovered: &Recovered, image: &Mirror) -> Result<(), Violation> {
    let removed = node
        .in_flight
        .iter()
        .filter_map(|write| write.removes_from)
        .min();
    let end = removed
        .unwrap_or(Index(u64::MAX))
        .min(node.disk.last().next());
    let mut index = image.base().max(node.disk.base());
    while index < end {
        ensure!(
            image.link(index) == node.disk.link(index),
            DURABLE,
            "{}: {index} was durable, recovered were {} to {}",
            node.summary.node,
            recovered.base,
            recovered.last
        );
        index = index.next();
    }
    Ok(())
}

/// A node whose disk forgot either lives another life, or knows what it lost.
fn check_knows_its_loss(
    node: &Node,
    raft: Summary,
    recovered: &Recovered,
    image: &Mirror,
) -> Result<(), Violation> {
    if recovered.incarnation != node.summary.incarnation {
        return Ok(());
    }
    let acknowledged = node.acknowledged;
    let kept = acknowledged <= recovered.snapshot.last.index
        || image
            .link(acknowledged)
            .is_some_and(|link| node.disk.holds(acknowledged, link));
    let term_kept = recovered.hard_state.term >= node.sent_term;
    let vote = node.vote_on_disk(recovered.hard_state.term);
    let vote_kept = vote.is_none() || recovered.hard_state.vote == vote;
    ensure!(
        (kept && term_kept && vote_kept) || raft.quarantine == Quarantine::Held,
        QUARANTINED,
        "{}: acknowledged {}, sent term {} and {vote:?}; recovered {} and {:?}, watermark {:?}",
        raft.node,
        node.acknowledged,
        node.sent_term,
        image.last_position(),
        recovered.hard_state,
        recovered.watermark
    );
    Ok(())
}

fn take(node: &mut Node, raft: Summary, recovered: &Recovered, image: Mirror) {
    match node.memory {
        Memory::Whole => {}
        Memory::Forgot => {
            let disk = std::mem::take(&mut node.disk);
            node.lost.push(Lost {
                incarnation: node.summary.incarnation,
                disk,
            });
            node.sent_term = recovered.hard_state.term;
            for vote in &mut node.votes {
                vote.memory = Memory::Forgot;
            }
        }
    }
    node.memory = Memory::Whole;
    let snapshot = &recovered.snapshot;
    node.configurations = vec![(snapshot.membership_index, Arc::clone(&snapshot.membership))];
    let later = recovered.memberships.iter();
    let later = later.filter(|(index, _)| *index > snapshot.membership_index);
    node.configurations.extend(later.cloned());
    node.acknowledged = node.acknowledged.min(image.last());
    node.log = image.clone();
    node.disk = image;
    node.issued = recovered.hard_state;
    node.hard_state = recovered.hard_state;
    node.in_flight.clear();
    node.last_write = WriteId(0);
    node.handed = recovered.applied.max(snapshot.last.index);
    node.rounds.clear();
    node.questions.clear();
    node.summary = raft;
}
