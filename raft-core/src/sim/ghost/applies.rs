//! Invariants 10 and 11: what the state machine is given, and that all copies of it agree.
//!
//! This file does not know what commands mean; the world hands over a digest.

use super::ledger::Ledger;
use super::node::{Node, Summary};
use super::{Violation, ensure, logs};
use crate::entry::Entry;
use crate::event::{Apply, Output, Reply};
use crate::types::{Index, NodeId};

const SAME_STATE: &str = "10: equal state at equal applied index";
const ORDER: &str = "11: entries are applied once, in order, after they are committed";
const CONTENT: &str = "9: what is applied is what was committed";
const OWN_DISK: &str = "4: a state machine never outruns its own log";
const PURGE: &str = "11: snapshot <= applied <= commit <= last";
const ACCEPTED: &str = "6: an accepted command stands where it was said to stand";

/// Judges what a step hands to the state machine, and what it gives up of the log.
pub(super) fn check(
    node: &mut Node,
    ledger: &Ledger,
    after: &Summary,
    out: &Output,
) -> Result<(), Violation> {
    let before = node.handed;
    for apply in &out.apply {
        match apply {
            Apply::Entries(entries) => {
                entries
                    .iter()
                    .try_for_each(|entry| check_entry(node, ledger, after, entry))?;
            }
            Apply::Restore(snapshot) => {
                logs::check_snapshot(ledger, snapshot)?;
                let (last, handed) = (snapshot.last.index, node.handed);
                ensure!(
                    last >= handed,
                    ORDER,
                    "{}: restores {last} after {handed}",
                    after.node
                );
                node.handed = last;
            }
        }
    }
    // A machine with a disk of its own can be ahead of a log that lost its tail.
    ensure!(
        (node.handed <= after.commit || node.handed == before) && after.commit <= after.last.index,
        PURGE,
        "{}: handed over {}, committed {}, last {}",
        after.node,
        node.handed,
        after.commit,
        after.last.index
    );
    if let Some(purge) = out.purge {
        ensure!(
            purge <= node.handed,
            PURGE,
            "{}: purges {purge}, handed over {}",
            after.node,
            node.handed
        );
    }
    check_accepted(node, after, &out.replies)
}

/// §5.3: each entry once, in order, committed; and by default not before it is on the own disk.
fn check_entry(
    node: &mut Node,
    ledger: &Ledger,
    after: &Summary,
    entry: &Entry,
) -> Result<(), Violation> {
    let (id, position) = (after.node, entry.position());
    ensure!(
        entry.index == node.handed.next() && entry.index <= after.commit,
        ORDER,
        "{id}: {position} after {}, committed {}",
        node.handed,
        after.commit
    );
    let before = ledger
        .commit(entry.index.prev())
        .map(|commit| commit.link)
        .unwrap_or_default();
    let link = before.then(entry);
    ensure!(
        ledger
            .commit(entry.index)
            .is_some_and(|commit| commit.link == link),
        CONTENT,
        "{id}: {position} is another entry than the committed one"
    );
    ensure!(
        entry.index < node.disk.base() || node.disk.holds(entry.index, link),
        OWN_DISK,
        "{id}: {position}, its disk ends at {}",
        node.disk.last_position()
    );
    node.handed = entry.index;
    Ok(())
}

fn check_accepted(node: &Node, after: &Summary, replies: &[Reply]) -> Result<(), Violation> {
    for reply in replies {
        if let Reply::Accepted { ticket, position } = reply
            && after.leads()
            && after.term == position.term
        {
            let here = node.log.link(position.index).map(|link| link.term);
            ensure!(
                here == Some(position.term),
                ACCEPTED,
                "{}: {ticket} at {position}, where {here:?} stands",
                after.node
            );
        }
    }
    Ok(())
}

/// §5.4.3, State Machine Safety, seen at the state itself: the same prefix of the log makes the
/// same state, whether replayed or restored.
pub(super) fn check_digest(
    ledger: &mut Ledger,
    node: NodeId,
    index: Index,
    digest: u64,
) -> Result<(), Violation> {
    let known = ledger.digest(index, digest);
    ensure!(
        known == digest,
        SAME_STATE,
        "{node} at {index}: {digest:#x}, the first to get there had {known:#x}"
    );
    Ok(())
}
