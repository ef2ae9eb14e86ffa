//! Invariant 12: which configuration is in force, and how one may follow another.
//!
//! Whose agreement commits and elects is judged in `commits` and `elections`, by voters alone.

use std::sync::Arc;

use super::node::{Node, Summary};
use super::{Violation, ensure, quorum};
use crate::membership::Membership;
use crate::types::{Index, Term};

const LATEST: &str = "12: the configuration in force is the latest in the log or snapshot";
const ONE_AT_A_TIME: &str = "12: no configuration is proposed while one is uncommitted";
const FIRST_COMMIT: &str = "12: no configuration is proposed before the leader's first commit";
const STEPS_DOWN: &str = "12: a leader that was removed steps down";
const INTERSECT: &str = "12: the quorums of consecutive configurations intersect";

/// How a proposed configuration came to follow the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A joint configuration, by which voters are to change.
    Joint,
    /// The end of one's own joint configuration, or a change of learners.
    Plain,
    /// A joint configuration of an earlier leader is brought to its end.
    FinishesAnother,
    /// A joint configuration that is not committed is taken back.
    Abort,
}

/// §6: a server uses the latest configuration in its log, whether committed or not.
pub(super) fn check_shown(
    node: &mut Node,
    after: &Summary,
    shown: &Arc<Membership>,
) -> Result<(), Violation> {
    let (index, latest) = node.configuration();
    ensure!(
        index == after.membership_index,
        LATEST,
        "{}: that of {} instead of {index}",
        after.node,
        after.membership_index
    );
    if Arc::ptr_eq(&node.shown, shown) && Arc::ptr_eq(latest, shown) {
        return Ok(());
    }
    ensure!(
        latest == shown,
        LATEST,
        "{}: {shown:?} instead of {latest:?}",
        after.node
    );
    node.shown = Arc::clone(shown);
    Ok(())
}

/// §6: a leader that is not part of the cluster any more steps down once that is committed.
pub(super) fn check_leader_belongs(node: &Node, after: &Summary) -> Result<(), Violation> {
    let (index, membership) = node.configuration();
    ensure!(
        !after.leads() || index > after.commit || membership.is_voter(after.node),
        STEPS_DOWN,
        "{} leads term {} on, but not under {index}: {membership:?}",
        after.node,
        after.term
    );
    Ok(())
}

/// Judges the configurations among the entries that a leader made in this step, from `created` on.
/// Tells how the last of them followed the one before it.
pub(super) fn check_proposed(
    node: &Node,
    after: &Summary,
    created: Index,
) -> Result<Option<Step>, Violation> {
    let mut step = None;
    for pair in node.configurations.windows(2) {
        if let [previous, next] = pair
            && next.0 >= created
        {
            step = Some(check_next(node, after, previous, next)?);
        }
    }
    Ok(step)
}

/// Whether a configuration is the old half of the joint one before it.
pub(super) fn takes_back(
    (_, previous): &(Index, Arc<Membership>),
    (_, next): &(Index, Arc<Membership>),
) -> bool {
    previous.is_joint() && !next.is_joint() && next.voters() == previous.outgoing()
}

fn check_next(
    node: &Node,
    after: &Summary,
    older: &(Index, Arc<Membership>),
    newer: &(Index, Arc<Membership>),
) -> Result<Step, Violation> {
    let ((from, previous), (to, next)) = (older, newer);
    let id = after.node;
    let term_at = |index: Index| node.log.link(index).map_or(Term(0), |link| link.term);
    let term = term_at(*to);
    ensure!(
        !next.voters().is_empty() && quorum::intersect(previous, next),
        INTERSECT,
        "{id}: {from} {previous:?}, {to} {next:?}"
    );
    // Dissertation §4.1 and Ongaro's correction of 2015: otherwise an older leader's uncommitted
    // change could come back beside this one.
    ensure!(
        term_at(after.commit) == term,
        FIRST_COMMIT,
        "{id}: {to} in term {term}, committed {} of term {}",
        after.commit,
        term_at(after.commit)
    );
    if *from > after.commit {
        // Only C_old and C_old,new quorums can have formed, and both hold a majority of C_old. A
        // later leader could not know that no C_new exists.
        ensure!(
            takes_back(older, newer) && term_at(*from) == term,
            ONE_AT_A_TIME,
            "{id}: {to}, but {from} is not committed"
        );
        return Ok(Step::Abort);
    }
    if previous.is_joint() && term_at(*from) != term {
        return Ok(Step::FinishesAnother);
    }
    Ok(if next.is_joint() {
        Step::Joint
    } else {
        Step::Plain
    })
}
