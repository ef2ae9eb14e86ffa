//! Servers that come back under their old id in another life of their storage.
//!
//! What a wiped server itself may do is tested with the storage.

use raft_core::event::{Observation, RoleName};
use raft_core::{Envelope, Incarnation, Member, MemberChange, Message, NodeId, Term};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{first_life, matched, member, remove, vote};

use crate::stage::{new_leader_of, stand};

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

#[test]
fn answers_from_another_life_of_a_member_count_nothing() {
    let strange = |message, term| Envelope {
        from: NodeId(2),
        incarnation: Incarnation(first_life(2).0 + 1),
        to: NodeId(1),
        term: Term(term),
        message,
    };
    let mut cluster = Cluster::lone(3);
    stand(&mut cluster, &[2, 3]);
    cluster.take_sent();
    cluster.deliver(strange(vote(true), 1));
    assert_eq!(cluster.role(1), RoleName::Candidate);
    assert_eq!(cluster.take_sent_to(1, 2), [Message::WrongIncarnation]);
    let mut cluster = new_leader_of(3);
    cluster.deliver(strange(matched(1), 1));
    cluster.settle();
    assert_eq!(cluster.commit(1), 0);
    cluster.forge(2, 1, 1, matched(1));
    assert_eq!(cluster.commit(1), 1);
    // Nor does it make a leader step down: its term is nobody's.
    cluster.deliver(strange(matched(1), 9));
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Leader, 1));
}

#[test]
fn a_wiped_server_helps_again_after_it_was_removed_and_added() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.wipe(3);
    cluster.run(3000);
    assert_eq!(cluster.leader(), Some(1));
    let removal = cluster.change(1, vec![remove(3)]);
    cluster.run(500);
    assert!(cluster.is_changed(removal));
    let life = Incarnation(first_life(3).0 + 1);
    let reborn = Member {
        incarnation: life,
        ..member(3)
    };
    let addition = cluster.change(1, vec![MemberChange::Voter(NodeId(3), reborn)]);
    cluster.run(500);
    assert!(cluster.is_changed(addition));
    assert_eq!(cluster.voters(1), (vec![1, 2, 3], vec![]));
    cluster.crash(2);
    let done = cluster.propose(1, "b");
    assert!(cluster.is_done(done), "its acknowledgement counts");
}

#[test]
fn a_member_without_a_known_life_is_bound_to_the_one_it_answers_from() {
    let mut cluster = Cluster::new(1);
    cluster.add_blank(2);
    cluster.elect(1);
    let ticket = cluster.change(
        1,
        vec![MemberChange::Voter(NodeId(2), Member::at("server-2"))],
    );
    cluster.run(1000);
    assert!(cluster.is_changed(ticket));
    let life = cluster
        .raft(1)
        .membership()
        .get(NodeId(2))
        .map(|member| member.incarnation);
    assert_eq!(life, Some(first_life(2)));
    let votes_unbound = |seen: &Observation| {
        let Observation::Membership { membership, .. } = seen else {
            return false;
        };
        let unbound = |member: &Member| member.incarnation == Incarnation::UNBOUND;
        membership.is_voter(NodeId(2)) && membership.get(NodeId(2)).is_some_and(unbound)
    };
    assert!(
        !cluster.observed(1).iter().any(votes_unbound),
        "never a voter of any life"
    );
}
