//! Changes of members under way while servers come, go and are wiped.

use raft_core::{Envelope, Incarnation, Member, MemberChange, Message, NodeId, Payload};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{add, first_life, member, remove};

/// Whether a message carries the last configuration of a change that removes 1.
fn carries_the_last_step(envelope: &Envelope) -> bool {
    let Message::AppendEntries(append) = &envelope.message else {
        return false;
    };
    append.entries.iter().any(|entry| match &entry.payload {
        Payload::Membership(membership) => !membership.contains(NodeId(1)),
        Payload::Noop | Payload::Command(_) => false,
    })
}

#[test]
fn a_leader_that_stops_before_its_own_removal_has_spread_leads_once_more() {
    let mut cluster = Cluster::new(2);
    cluster.elect(1);
    cluster.lose(carries_the_last_step);
    let ticket = cluster.change(1, vec![remove(1)]);
    assert_eq!(cluster.voters(1), (vec![2], vec![]));
    assert_eq!(
        cluster.voters(2),
        (vec![2], vec![1, 2]),
        "2 needs the vote of 1"
    );
    assert!(!cluster.is_changed(ticket));
    cluster.crash(1);
    cluster.heal();
    cluster.restart(1);
    let finished = cluster.run_until(60_000, |cluster| {
        cluster.leader() == Some(2) && cluster.commit(2) == cluster.last(2)
    });
    assert!(
        finished,
        "2 has {:?}, 1 has {:?}",
        cluster.terms(2),
        cluster.terms(1)
    );
    assert_eq!(cluster.voters(2), (vec![2], vec![]));
}

#[test]
fn a_removed_leader_that_alone_holds_the_last_step_brings_it_to_the_others() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    // 2 is gone for good, so 1 is needed for a majority of the old voters.
    cluster.crash(2);
    cluster.lose(carries_the_last_step);
    cluster.change(1, vec![add(4), remove(1), remove(2)]);
    cluster.run(200);
    assert_eq!(cluster.voters(1), (vec![3, 4], vec![]));
    assert_eq!(cluster.voters(3), (vec![3, 4], vec![1, 2, 3]));
    cluster.restart(1);
    cluster.heal();
    let finished = cluster.run_until(60_000, |cluster| {
        cluster.leader().is_some_and(|id| id > 2) && cluster.voters(3).1.is_empty()
    });
    assert!(
        finished,
        "a majority of the old voters is well, and all new ones"
    );
}

#[test]
fn a_voter_is_not_given_another_life_in_one_step() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.run(100);
    // 1 is cut off and does not know it yet; the others go on without it.
    cluster.isolate(1);
    cluster.elect(2);
    let done = cluster.propose(2, "b");
    assert!(cluster.is_done(done), "2 and 3 have it");
    // 3 loses its disk, and an operator at 1 wants to help.
    cluster.wipe(3);
    cluster.split(&[2]);
    cluster.join(1, 3);
    let life = Incarnation(first_life(3).0 + 1);
    let reborn = Member {
        incarnation: life,
        ..member(3)
    };
    cluster.change(1, vec![MemberChange::Update(NodeId(3), reborn)]);
    cluster.run(500);
    assert!(
        cluster.commit(1) < 3,
        "1 and the new life of 3 are no quorum of 1, 2 and the old 3"
    );
}
