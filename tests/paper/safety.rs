//! Safety: who may be elected, and what an older term's entries need (Raft §5.4).

use raft_core::Event;
use raft_core::event::RoleName;
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{at, matched, request_vote};

use crate::stage::{lead, votes};

// §5.4.1: the voter denies its vote if its own log is more up-to-date: later last term, or the same
// and longer.
#[test]
fn a_voter_compares_last_terms_then_lengths() {
    let (granted, refused) = (true, false);
    let cases = [
        (at(3, 2), granted),
        (at(4, 2), granted),
        (at(1, 3), granted),
        (at(2, 2), refused),
        (at(3, 1), refused),
        (at(9, 1), refused),
        (at(0, 0), refused),
    ];
    for (last, expected) in cases {
        let mut cluster = Cluster::lone(3);
        cluster.rewrite(1, 4, &[1, 1, 2]);
        cluster.forge(2, 1, 5, request_vote(last));
        assert_eq!(votes(&mut cluster, 2), [expected], "{last} asks 3t2");
        assert_eq!(cluster.term(1), 5, "the term counts even so");
    }
}

// §5.4.1: the winner holds every committed entry.
#[test]
fn only_who_holds_all_that_is_committed_wins() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    cluster.split(&[4, 5]);
    let done = cluster.propose(1, "committed");
    assert!(cluster.is_done(done));
    cluster.crash(1);
    cluster.heal();
    cluster.pass(2100);
    cluster.input(4, Event::Campaign);
    cluster.input(5, Event::Campaign);
    assert!(cluster.leader().is_none_or(|id| id < 4));
    assert!(cluster.run_until(20_000, |cluster| cluster.leader().is_some()));
    assert!(cluster.leader().is_some_and(|id| id < 4));
    cluster.run(200);
    assert!((2..=5).all(|id| cluster.commands(id) == ["committed"]));
}

// §5.4.2: entries of earlier terms are not committed by counting, only along with a later one.
#[test]
fn entries_of_earlier_terms_are_not_committed_by_counting() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 2, &[1, 2]);
    lead(&mut cluster, &[2, 3]);
    assert_eq!(cluster.terms(1), [1, 2, 3]);
    cluster.forge(2, 1, 3, matched(2));
    cluster.forge(3, 1, 3, matched(2));
    assert_eq!(
        cluster.commit(1),
        0,
        "all hold 2t2, and it may still be overwritten"
    );
    cluster.forge(2, 1, 3, matched(3));
    assert_eq!(cluster.commit(1), 3);
}

// §5.4.2, §8: a leader commits a blank entry at the start of its term.
#[test]
fn a_leader_begins_its_term_with_an_entry() {
    let mut cluster = Cluster::new(3);
    for (id, term) in [(1, 1), (2, 2), (3, 3)] {
        cluster.elect(id);
        assert_eq!(cluster.role(id), RoleName::Leader);
        assert_eq!(
            (cluster.commit(id), cluster.terms(id).last()),
            (term, Some(&term))
        );
    }
}
