//! Invariants 5 and 6: what may happen to a log.
//!
//! Every write that a core issues is carried out on the mirror of its log, and judged before. This
//! file does not know what is durable or who agreed to what.

use std::sync::Arc;

use super::ledger::Ledger;
use super::node::{InFlight, Node, Summary};
use super::{Violation, ensure};
use crate::entry::{Entry, HardState, Payload, SnapshotMeta};
use crate::event::{Observation, Output, Write};
use crate::types::{Index, Position};

const LOG_MATCHING: &str = "5: log matching";
const APPEND_ONLY: &str = "6: a leader never overwrites or deletes";
const TRUNCATION: &str = "6: a follower truncates only on conflict, and never what is committed";
const WRITES: &str = "4: writes say all that changed, in order";
const SNAPSHOT: &str = "11: a snapshot stands for what is committed";

/// Carries out what a step wrote. Tells from where on the entries are the node's own, if it made
/// any.
pub(super) fn carry(
    node: &mut Node,
    ledger: &mut Ledger,
    before: &Summary,
    after: &Summary,
    out: &Output,
) -> Result<Option<Index>, Violation> {
    let mut created = None;
    if let Some(write) = &out.write {
        check_write(node, write, before, after)?;
        if let Some(snapshot) = &write.reset {
            check_reset(node, ledger, snapshot, before)?;
            reset(node, ledger, snapshot);
        }
        if let Some(from) = write.truncate {
            check_truncate(node, ledger, from, before, out)?;
            node.log.truncate(from);
            node.configurations.retain(|(index, _)| *index < from);
        }
        for entry in &write.entries {
            let is_new = append(node, ledger, entry, before, after)?;
            if is_new && created.is_none() {
                created = Some(entry.index);
            }
        }
        issued(node, write);
    }
    let (mirrored, shown) = (node.log.last_position(), after.last);
    ensure!(
        mirrored == shown,
        WRITES,
        "{}: wrote up to {mirrored}, is at {shown}",
        after.node
    );
    let hard_state = HardState {
        term: after.term,
        vote: after.vote,
    };
    ensure!(
        node.issued == hard_state,
        WRITES,
        "{}: wrote {:?}, has {hard_state:?}",
        after.node,
        node.issued
    );
    Ok(created)
}

fn check_write(
    node: &Node,
    write: &Write,
    before: &Summary,
    after: &Summary,
) -> Result<(), Violation> {
    let id = after.node;
    ensure!(
        write.id > node.last_write,
        WRITES,
        "{id}: write {} again",
        write.id
    );
    // §5.3, Leader Append-Only.
    if before.still_leads(after) {
        let term = after.term;
        ensure!(
            write.reset.is_none(),
            APPEND_ONLY,
            "{id} leads {term}, and resets its log"
        );
        ensure!(
            write.truncate.is_none(),
            APPEND_ONLY,
            "{id} leads {term}, and truncates its log"
        );
        let foreign = write.entries.iter().find(|entry| entry.term != term);
        ensure!(
            foreign.is_none(),
            APPEND_ONLY,
            "{id} leads {term}, and appends {:?}",
            foreign.map(Entry::position)
        );
    }
    Ok(())
}

/// §7: a snapshot replaces only a log that does not contain what it stands for; otherwise entries
/// that were acknowledged after it would be lost.
fn check_reset(
    node: &Node,
    ledger: &Ledger,
    snapshot: &SnapshotMeta,
    before: &Summary,
) -> Result<(), Violation> {
    let (id, last) = (before.node, snapshot.last);
    check_snapshot(ledger, snapshot)?;
    ensure!(
        last.index >= before.commit,
        TRUNCATION,
        "{id}: reset to {last}, though {} is committed",
        before.commit
    );
    let here = node.log.link(last.index).map(|link| link.term);
    ensure!(
        here != Some(last.term),
        TRUNCATION,
        "{id}: reset to {last}, though the log up to {} contains it",
        node.log.last()
    );
    Ok(())
}

/// §7: what a snapshot says of itself agrees with what was committed.
pub(super) fn check_snapshot(ledger: &Ledger, snapshot: &SnapshotMeta) -> Result<(), Violation> {
    let last = snapshot.last;
    ensure!(
        ledger.is_committed(last),
        SNAPSHOT,
        "{last} is not committed"
    );
    if let Some((index, membership)) = ledger.configuration_at(last.index) {
        let founding = last.index == Index(0) && snapshot.membership.is_blank();
        let same =
            Arc::ptr_eq(membership, &snapshot.membership) || **membership == *snapshot.membership;
        ensure!(
            founding || (index == snapshot.membership_index && same),
            SNAPSHOT,
            "{last} has the configuration of {}: {:?}; it is that of {index}: {membership:?}",
            snapshot.membership_index,
            snapshot.membership
        );
    }
    Ok(())
}

/// The log begins after this snapshot, which is committed.
fn reset(node: &mut Node, ledger: &Ledger, snapshot: &SnapshotMeta) {
    let link = ledger.entry(snapshot.last).unwrap_or_default();
    node.log.reset(snapshot.last.index, link);
    node.configurations = vec![(snapshot.membership_index, Arc::clone(&snapshot.membership))];
}

/// §5.3: only a conflicting entry, and all that follow it, are deleted.
fn check_truncate(
    node: &Node,
    ledger: &Ledger,
    from: Index,
    before: &Summary,
    out: &Output,
) -> Result<(), Violation> {
    let id = before.node;
    ensure!(
        from > before.commit && from > node.log.base(),
        TRUNCATION,
        "{id}: from {from}, though {} is committed",
        before.commit
    );
    let Some(removed) = node.log.link(from) else {
        return Err(Violation::new(
            TRUNCATION,
            format!("{id}: from {from}, beyond its log"),
        ));
    };
    ensure!(
        ledger
            .commit(from)
            .is_none_or(|commit| commit.link != removed),
        TRUNCATION,
        "{id}: from {from}, which is committed, though {id} did not know it"
    );
    let put = out
        .write
        .iter()
        .flat_map(|write| &write.entries)
        .find(|e| e.index == from);
    let Some(put) = put else {
        return Err(Violation::new(
            TRUNCATION,
            format!("{id}: from {from}, for nothing"),
        ));
    };
    // Several truncations of one batch end up as one; then the first entry may be an equal one.
    let truncations = out
        .observations
        .iter()
        .filter(|seen| matches!(seen, Observation::Truncated { .. }));
    ensure!(
        put.term != removed.term || truncations.count() > 1,
        TRUNCATION,
        "{id}: {} for itself",
        put.position()
    );
    Ok(())
}

/// §5.3, Log Matching: an index and a term name one entry, and one log before it. Only a leader
/// makes an entry, and only of its own term. Tells whether this is a new one.
fn append(
    node: &mut Node,
    ledger: &mut Ledger,
    entry: &Entry,
    before: &Summary,
    after: &Summary,
) -> Result<bool, Violation> {
    let (id, position) = (after.node, entry.position());
    let last = node.log.last_position();
    ensure!(
        entry.index == last.index.next(),
        LOG_MATCHING,
        "{id}: {position} after {last}"
    );
    ensure!(
        last.term <= entry.term && entry.term <= after.term,
        LOG_MATCHING,
        "{id} in term {}: {position} after {last}",
        after.term
    );
    let link = node.log.last_link().then(entry);
    let known = ledger.entry(position);
    if let Some(known) = known {
        ensure!(
            known == link,
            LOG_MATCHING,
            "{id}: {position} is not what it was elsewhere, or follows another log"
        );
    } else {
        let made = |by: &Summary| by.leads() && by.term == entry.term;
        ensure!(
            made(before) || made(after),
            LOG_MATCHING,
            "{id} as {:?} of term {}: nobody ever made {position}",
            after.role,
            after.term
        );
        ledger.created(entry.index, link);
    }
    node.log.push(link);
    if let Payload::Membership(membership) = &entry.payload {
        node.configurations
            .push((entry.index, Arc::clone(membership)));
    }
    Ok(known.is_none())
}

fn issued(node: &mut Node, write: &Write) {
    if let Some(hard_state) = write.hard_state {
        node.issued = hard_state;
    }
    let reset = write.reset.as_ref().map(|_| Index(0));
    node.last_write = write.id;
    node.in_flight.push_back(InFlight {
        id: write.id,
        removes_from: reset.or(write.truncate),
        last: write.entries.last().map(Entry::position),
    });
}

/// A write became durable: the disk holds it now.
pub(super) fn persist(node: &mut Node, ledger: &Ledger, write: &Write) -> Result<(), Violation> {
    let id = node.summary.node;
    let next = node.in_flight.pop_front();
    ensure!(
        next.is_some_and(|next| next.id == write.id),
        WRITES,
        "{id}: {} persisted, but {:?} is next",
        write.id,
        next.map(|next| next.id)
    );
    if let Some(hard_state) = write.hard_state {
        node.hard_state = hard_state;
    }
    if let Some(snapshot) = &write.reset {
        let link = ledger.entry(snapshot.last).unwrap_or_default();
        node.disk.reset(snapshot.last.index, link);
        node.acknowledged = node.acknowledged.min(snapshot.last.index);
    }
    if let Some(from) = write.truncate {
        node.disk.truncate(from);
        node.acknowledged = node.acknowledged.min(from.prev());
    }
    for entry in &write.entries {
        let position = entry.position();
        let last = node.disk.last();
        ensure!(
            entry.index == last.next(),
            WRITES,
            "{id}: {position} persisted after {last}"
        );
        let Some(link) = ledger.entry(position) else {
            return Err(Violation::new(
                WRITES,
                format!("{id}: {position} was never issued"),
            ));
        };
        node.disk.push(link);
    }
    Ok(())
}

/// Whether a write that is durable now holds entries that its node has since removed: what it
/// says must not speak for those that took their place.
pub(super) fn is_stale(node: &Node, write: &Write) -> bool {
    let last: Option<Position> = write.entries.last().map(Entry::position);
    last.is_some_and(|last| {
        node.log
            .link(last.index)
            .is_none_or(|link| link.term != last.term)
            && last.index > node.log.base()
    })
}
