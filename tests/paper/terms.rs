//! Terms: the logical clock (Raft §5.1), and what of it is durable (Figure 2).

use std::sync::Arc;

use raft_core::event::RoleName;
use raft_core::{Message, NodeId};
use raft_tests::cluster::words::{append, at, matched, offer, request_vote, vote, voters};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::{lead, new_leader_of, stand, votes};

/// Server 1 of three in a role, in term 1 unless it follows.
fn in_role(role: RoleName) -> Cluster {
    let mut cluster = Cluster::lone(3);
    match role {
        RoleName::Follower => {}
        RoleName::PreCandidate | RoleName::Candidate => stand(&mut cluster, &[2, 3]),
        RoleName::Leader => lead(&mut cluster, &[2, 3]),
    }
    cluster.pass(1000);
    cluster
}

// §5.1: if a server's term is smaller than another's it takes the larger one, and follows.
#[test]
fn a_later_term_makes_any_server_a_follower() {
    let messages = [
        append(at(0, 0), &[], 0),
        request_vote(at(0, 0)),
        vote(true),
        vote(false),
        matched(0),
        Message::StaleTerm,
    ];
    for role in [RoleName::Follower, RoleName::Candidate, RoleName::Leader] {
        for message in &messages {
            let mut cluster = in_role(role);
            cluster.forge(2, 1, 9, message.clone());
            let now = (cluster.role(1), cluster.term(1));
            assert_eq!(now, (RoleName::Follower, 9), "{role:?} hears {message:?}");
        }
    }
}

// §5.1: a request with a stale term is rejected.
#[test]
fn whoever_asks_in_an_earlier_term_learns_of_the_later_one() {
    let membership = Arc::new(voters(&[1, 2, 3]));
    let messages = [
        append(at(0, 0), &[4], 0),
        request_vote(at(9, 4)),
        offer(at(3, 4), &membership),
    ];
    for message in messages {
        let mut cluster = Cluster::lone(3);
        cluster.forge(3, 1, 5, Message::StaleTerm);
        cluster.take_sent();
        cluster.forge(2, 1, 4, message.clone());
        let sent = cluster.take_sent();
        let told = |id| sent.iter().all(|m| (m.to, m.term.0) == (NodeId(id), 5));
        assert_eq!(sent.len(), 1, "{message:?}");
        assert!(
            told(2) && sent[0].message == Message::StaleTerm,
            "{message:?}"
        );
        assert_eq!(
            (cluster.term(1), cluster.last(1), cluster.commit(1)),
            (5, 0, 0)
        );
        assert_eq!(cluster.raft(1).leader(), None);
    }
}

// §5.1: an answer of an earlier term is about something that is over.
#[test]
fn answers_of_an_earlier_term_count_nothing() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 4, &[4]);
    stand(&mut cluster, &[2, 3]);
    cluster.forge(2, 1, 4, vote(true));
    cluster.forge(3, 1, 4, vote(true));
    assert_eq!(cluster.role(1), RoleName::Candidate);
    cluster.forge(2, 1, 5, vote(true));
    cluster.forge(2, 1, 4, matched(2));
    assert_eq!((cluster.role(1), cluster.commit(1)), (RoleName::Leader, 0));
}

// Figure 2, persistent state: updated on stable storage before responding.
#[test]
fn no_term_is_told_before_it_is_durable() {
    for message in [append(at(0, 0), &[], 0), request_vote(at(0, 0))] {
        let mut cluster = Cluster::lone(3);
        cluster.stall(1, Lane::Disk);
        cluster.forge(2, 1, 5, message.clone());
        assert_eq!(cluster.take_sent(), [], "{message:?}");
        cluster.persist(1);
        let terms: Vec<u64> = cluster.take_sent().iter().map(|m| m.term.0).collect();
        assert_eq!(terms, [5], "{message:?}");
        assert_eq!(cluster.synced_vote(1).term.0, 5);
    }
}

// Figure 2, persistent state: currentTerm increases monotonically, over restarts too.
#[test]
fn the_term_survives_a_restart() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 5, append(at(0, 0), &[], 0));
    cluster.restart(1);
    assert_eq!(cluster.term(1), 5);
    cluster.forge(3, 1, 4, append(at(0, 0), &[4], 0));
    assert_eq!(cluster.last(1), 0, "the leader of term 4 is over");
}

// Figure 2, persistent state: votedFor is the vote *in the current term*.
#[test]
fn a_new_term_has_a_new_vote() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 2), [true]);
    cluster.forge(3, 1, 2, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 3), [true]);
    assert_eq!(cluster.synced_vote(1).vote, Some(NodeId(3)));
}

// §5.1, §5.2: a leader is one of its term only.
#[test]
fn a_leader_that_hears_of_a_later_term_takes_no_proposals() {
    let mut cluster = new_leader_of(3);
    cluster.forge(2, 1, 2, Message::StaleTerm);
    let ticket = cluster.propose(1, "late");
    assert_eq!(cluster.last(1), 1);
    assert!(cluster.refusal(ticket).is_some());
}
