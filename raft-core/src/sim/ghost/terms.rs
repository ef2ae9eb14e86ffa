//! Invariants 1 and 2: one leader a term, one vote a term, and time that only moves forwards.
//!
//! This file does not know what is in anybody's log.

use super::ledger::Ledger;
use super::node::{Memory, Node, Quarantine, Summary, Vote};
use super::{Violation, ensure};
use crate::types::{NodeId, Position, Term};

const ONE_LEADER: &str = "1: at most one leader a term";
const ONE_VOTE: &str = "2: one vote a term and node";
const TERM_GROWS: &str = "2: terms never decrease";
const QUARANTINE: &str = "18: who lost acknowledged state does not take part in elections";

/// §5.1: the term only grows; §5.2: within a term the vote changes only from nobody to somebody.
pub(super) fn check_step(before: &Summary, after: &Summary) -> Result<(), Violation> {
    let node = after.node;
    ensure!(
        after.term >= before.term,
        TERM_GROWS,
        "{node}: {} -> {}",
        before.term,
        after.term
    );
    ensure!(
        after.term > before.term || before.vote.is_none() || after.vote == before.vote,
        ONE_VOTE,
        "{node} in term {}: {:?} -> {:?}",
        after.term,
        before.vote,
        after.vote
    );
    ensure!(
        after.incarnation == before.incarnation,
        ONE_VOTE,
        "{node} changed its incarnation while it ran"
    );
    Ok(())
}

/// §5.2, Election Safety: whoever becomes leader is the first of its term, and whoever believes in
/// a leader believes in that one.
pub(super) fn check_leader(
    ledger: &mut Ledger,
    before: &Summary,
    after: &Summary,
) -> Result<(), Violation> {
    let (node, term) = (after.node, after.term);
    if after.leads() && !before.still_leads(after) {
        let other = ledger.leader(term);
        ensure!(
            other.is_none(),
            ONE_LEADER,
            "term {term}: {node} after {other:?}"
        );
        ensure!(
            after.quarantine == Quarantine::Free,
            QUARANTINE,
            "{node} leads term {term}, but has not yet what it had acknowledged"
        );
        ledger.led(term, node);
    }
    if let Some(followed) = after.leader
        && (after.leader, term) != (before.leader, before.term)
    {
        let leader = ledger.leader(term);
        ensure!(
            leader == Some(followed),
            ONE_LEADER,
            "{node} follows {followed} in term {term}, which {leader:?} leads"
        );
    }
    Ok(())
}

/// §5.2: who speaks as the leader of a term is the leader of that term.
pub(super) fn check_speaks_as_leader(
    ledger: &mut Ledger,
    term: Term,
    after: &Summary,
) -> Result<(), Violation> {
    let node = after.node;
    if ledger.leader(term).is_none() && term < after.term {
        // It rose and fell between two looks, within one batch of events.
        ledger.led(term, node);
    }
    let leader = ledger.leader(term);
    ensure!(
        leader == Some(node),
        ONE_LEADER,
        "{node} speaks as leader of term {term}, which {leader:?} leads"
    );
    Ok(())
}

/// §5.2: a vote that leaves its node, its own candidacy included, is its only one in the term,
/// whatever crashes lie in between.
pub(super) fn check_vote(
    node: &mut Node,
    term: Term,
    (candidate, last): (NodeId, Option<Position>),
    after: &Summary,
) -> Result<(), Violation> {
    let id = after.node;
    ensure!(
        after.quarantine == Quarantine::Free,
        QUARANTINE,
        "{id} votes for {candidate} in term {term}"
    );
    let incarnation = after.incarnation;
    let vote = Vote {
        term,
        candidate,
        incarnation,
        last,
        memory: Memory::Whole,
    };
    match node.vote_in(term) {
        Some(earlier) => {
            // Another life of the storage is another voter: no configuration counts both.
            let same_life = earlier.incarnation == vote.incarnation;
            ensure!(
                earlier.candidate == candidate || !same_life,
                ONE_VOTE,
                "{id} in term {term}: for {} and for {candidate}",
                earlier.candidate
            );
            if !same_life {
                record(node, vote);
            }
        }
        None => record(node, vote),
    }
    Ok(())
}

fn record(node: &mut Node, vote: Vote) {
    let place = node
        .votes
        .partition_point(|earlier| earlier.term <= vote.term);
    node.votes.insert(place, vote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RoleName;
    use crate::types::Incarnation;

    fn summary(node: u64, term: u64) -> Summary {
        Summary {
            term: Term(term),
            ..Summary::new(NodeId(node))
        }
    }

    fn leading(node: u64, term: u64) -> Summary {
        let leader = Some(NodeId(node));
        Summary {
            role: RoleName::Leader,
            leader,
            ..summary(node, term)
        }
    }

    fn of(candidate: u64) -> (NodeId, Option<Position>) {
        (NodeId(candidate), None)
    }

    fn name(result: Result<(), Violation>) -> &'static str {
        result.map_or_else(|violation| violation.invariant, |()| "")
    }

    #[test]
    fn a_term_that_shrinks_is_seen() {
        assert_eq!(name(check_step(&summary(1, 3), &summary(1, 3))), "");
        assert_eq!(name(check_step(&summary(1, 3), &summary(1, 2))), TERM_GROWS);
    }

    #[test]
    fn a_vote_that_changes_within_its_term_is_seen() {
        let voted = |term, candidate| Summary {
            vote: Some(NodeId(candidate)),
            ..summary(1, term)
        };
        assert_eq!(name(check_step(&summary(1, 3), &voted(3, 2))), "");
        assert_eq!(name(check_step(&voted(3, 2), &voted(4, 3))), "");
        assert_eq!(name(check_step(&voted(3, 2), &voted(3, 3))), ONE_VOTE);
        assert_eq!(name(check_step(&voted(3, 2), &summary(1, 3))), ONE_VOTE);
    }

    #[test]
    fn a_second_leader_of_a_term_is_seen() {
        let mut ledger = Ledger::default();
        assert_eq!(
            name(check_leader(&mut ledger, &summary(1, 2), &leading(1, 2))),
            ""
        );
        assert_eq!(
            name(check_leader(&mut ledger, &leading(1, 2), &leading(1, 2))),
            ""
        );
        assert_eq!(
            name(check_leader(&mut ledger, &summary(2, 2), &leading(2, 2))),
            ONE_LEADER
        );
        let again = check_leader(&mut ledger, &summary(1, 2), &leading(1, 2));
        assert_eq!(
            name(again),
            ONE_LEADER,
            "not even the same one, after a restart"
        );
        assert_eq!(
            name(check_leader(&mut ledger, &leading(1, 2), &leading(1, 3))),
            ""
        );
    }

    #[test]
    fn believing_in_a_leader_that_is_none_is_seen() {
        let mut ledger = Ledger::default();
        ledger.led(Term(2), NodeId(1));
        let follows = |leader| Summary {
            leader: Some(NodeId(leader)),
            ..summary(3, 2)
        };
        assert_eq!(
            name(check_leader(&mut ledger, &summary(3, 2), &follows(1))),
            ""
        );
        assert_eq!(
            name(check_leader(&mut ledger, &summary(3, 2), &follows(2))),
            ONE_LEADER
        );
        assert_eq!(
            name(check_speaks_as_leader(&mut ledger, Term(2), &summary(2, 2))),
            ONE_LEADER
        );
        assert_eq!(
            name(check_speaks_as_leader(&mut ledger, Term(2), &summary(1, 3))),
            ""
        );
        assert_eq!(
            name(check_speaks_as_leader(&mut ledger, Term(3), &summary(1, 3))),
            ONE_LEADER
        );
        assert_eq!(
            name(check_speaks_as_leader(&mut ledger, Term(3), &summary(1, 4))),
            ""
        );
        assert_eq!(
            name(check_speaks_as_leader(&mut ledger, Term(3), &summary(2, 4))),
            ONE_LEADER
        );
    }

    #[test]
    fn a_second_vote_is_seen_across_restarts_and_in_any_order() {
        let mut node = Node::new(NodeId(1));
        let after = summary(1, 9);
        assert_eq!(name(check_vote(&mut node, Term(4), of(2), &after)), "");
        assert_eq!(name(check_vote(&mut node, Term(3), of(3), &after)), "");
        assert_eq!(name(check_vote(&mut node, Term(4), of(2), &after)), "");
        assert_eq!(
            name(check_vote(&mut node, Term(3), of(2), &after)),
            ONE_VOTE
        );
        assert_eq!(
            name(check_vote(&mut node, Term(4), of(1), &after)),
            ONE_VOTE
        );
    }

    #[test]
    fn another_life_votes_for_itself() {
        let mut node = Node::new(NodeId(1));
        let reborn = Summary {
            incarnation: Incarnation(7),
            ..summary(1, 4)
        };
        assert_eq!(
            name(check_vote(&mut node, Term(4), of(2), &summary(1, 4))),
            ""
        );
        assert_eq!(name(check_vote(&mut node, Term(4), of(3), &reborn)), "");
        assert_eq!(
            name(check_vote(&mut node, Term(4), of(2), &reborn)),
            ONE_VOTE
        );
    }

    #[test]
    fn a_quarantined_voter_and_leader_are_seen() {
        let held = |summary| Summary {
            quarantine: Quarantine::Held,
            ..summary
        };
        let mut node = Node::new(NodeId(1));
        let voted = check_vote(&mut node, Term(4), of(2), &held(summary(1, 4)));
        assert_eq!(name(voted), QUARANTINE);
        let mut ledger = Ledger::default();
        let led = check_leader(&mut ledger, &summary(1, 4), &held(leading(1, 4)));
        assert_eq!(name(led), QUARANTINE);
    }
}
