//! Changes of members: joint consensus (Raft §6, dissertation §4.3) and what surrounds it (§4.2).

use raft_core::event::{Refusal, RoleName};
use raft_core::membership::ChangeError;
use raft_core::{Membership, Message, NodeId};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{
    add, append, at, blessed_vote, learn, matched, remove, request_vote, vote, voters,
};

use crate::roster::{absent, configuration};
use crate::stage::{lead, leader_of, new_leader_of, stand};

/// On the way from the voters 1, 2, 3 to the voters 1, 4, 5.
fn joint() -> Membership {
    voters(&[1, 2, 3]).towards(&voters(&[1, 4, 5]))
}

/// 1 leads 1, 2 and 3; 4 and 5 learn, and have all there is.
fn with_learners() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.add_blank(5);
    cluster.elect(1);
    let ticket = cluster.change(1, vec![learn(4), learn(5)]);
    cluster.run(200);
    assert!(cluster.is_changed(ticket));
    cluster
}

// §6: a server uses the latest configuration in its log, committed or not.
#[test]
fn a_configuration_is_in_force_as_soon_as_it_is_in_the_log() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, configuration(at(0, 0), 1, joint()));
    assert_eq!(
        (cluster.voters(1), cluster.commit(1)),
        ((vec![1, 4, 5], vec![1, 2, 3]), 0)
    );
    cluster.restart(1);
    assert_eq!(
        cluster.voters(1),
        (vec![1, 4, 5], vec![1, 2, 3]),
        "after a restart, too"
    );
}

// §6: when the entry goes, the configuration before it is in force again.
#[test]
fn a_truncated_configuration_gives_way_to_the_one_before() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, configuration(at(0, 0), 1, joint()));
    cluster.forge(3, 1, 2, append(at(0, 0), &[2], 0));
    assert_eq!(cluster.voters(1), (vec![1, 2, 3], vec![]));
    cluster.restart(1);
    assert_eq!(cluster.voters(1), (vec![1, 2, 3], vec![]));
}

// §6: entries are replicated to all servers in both configurations.
#[test]
fn both_configurations_get_the_log() {
    let mut cluster = with_learners();
    cluster.take_sent();
    // Nobody new agrees, so the joint configuration stays.
    cluster.lose(|envelope| envelope.from.0 > 3);
    cluster.change(1, vec![add(4), add(5), remove(2), remove(3)]);
    cluster.propose(1, "a");
    assert_eq!(cluster.voters(1), (vec![1, 4, 5], vec![1, 2, 3]));
    cluster.run(100);
    assert!(
        (1..=5).all(|id| cluster.last(id) == cluster.last(1)),
        "all hold it"
    );
}

// §6: agreement requires majorities of both, the old and the new configuration.
#[test]
fn a_joint_configuration_commits_by_both_majorities() {
    for absent in [[2, 3], [4, 5]] {
        let mut cluster = with_learners();
        absent.into_iter().for_each(|id| cluster.crash(id));
        let before = cluster.commit(1);
        let ticket = cluster.change(1, vec![add(4), add(5), remove(2), remove(3)]);
        cluster.run(500);
        let halves = (vec![1, 4, 5], vec![1, 2, 3]);
        assert_eq!(cluster.voters(1), halves, "without {absent:?}");
        assert_eq!(cluster.commit(1), before, "without {absent:?}");
        cluster.restart(absent[0]);
        cluster.run(500);
        assert_eq!(cluster.voters(1), (vec![1, 4, 5], vec![]));
        assert!(cluster.is_changed(ticket) && cluster.commit(1) == cluster.last(1));
    }
}

// §6: elections in joint consensus, too, need both majorities.
#[test]
fn a_joint_configuration_elects_by_both_majorities() {
    let cases: [(&[u64], bool); 6] = [
        (&[2, 3], false),
        (&[4, 5], false),
        (&[2, 4], true),
        (&[3, 5], true),
        (&[2], false),
        (&[2, 3, 4], true),
    ];
    for (supporters, wins) in cases {
        let mut cluster = Cluster::lone(3);
        absent(&mut cluster, &[4, 5]);
        cluster.forge(2, 1, 1, configuration(at(0, 0), 1, joint()));
        stand(&mut cluster, &[2, 3, 4, 5]);
        for id in supporters {
            cluster.forge(*id, 1, 2, vote(true));
        }
        assert_eq!(
            cluster.role(1) == RoleName::Leader,
            wins,
            "by {supporters:?}"
        );
    }
}

// §6: the leader enters the new configuration only once the joint one is committed.
#[test]
fn every_change_of_voters_goes_through_a_joint_configuration() {
    let mut cluster = leader_of(3);
    let ticket = cluster.change(1, vec![remove(3)]);
    assert_eq!(cluster.voters(1), (vec![1, 2], vec![1, 2, 3]));
    cluster.forge(2, 1, 1, matched(1));
    assert_eq!(
        cluster.voters(1),
        (vec![1, 2], vec![1, 2, 3]),
        "it is not committed yet"
    );
    cluster.forge(2, 1, 1, matched(2));
    assert_eq!(
        (cluster.voters(1), cluster.last(1)),
        ((vec![1, 2], vec![]), 3)
    );
    assert!(!cluster.is_changed(ticket), "nor is the new one");
    cluster.forge(3, 1, 1, matched(3));
    assert!(!cluster.is_changed(ticket), "3 does not count in it");
    cluster.forge(2, 1, 1, matched(3));
    assert!(cluster.is_changed(ticket));
}

// Dissertation §4.1, the bug of 2015: one change at a time, none before the term's first commit.
#[test]
fn changes_wait_for_one_another_and_for_the_first_commit_of_the_term() {
    let in_progress = Some(Refusal::Change(ChangeError::InProgress));
    let mut cluster = new_leader_of(3);
    absent(&mut cluster, &[4, 5]);
    let early = cluster.change(1, vec![learn(4)]);
    assert_eq!(cluster.refusal(early), in_progress);
    assert_eq!(cluster.last(1), 1);
    cluster.forge(2, 1, 1, matched(1));
    let first = cluster.change(1, vec![learn(4)]);
    let second = cluster.change(1, vec![learn(5)]);
    assert_eq!(
        (cluster.refusal(first), cluster.refusal(second)),
        (None, in_progress)
    );
    assert!(!cluster.is_changed(first));
    cluster.forge(2, 1, 1, matched(2));
    assert!(cluster.is_changed(first));
    let third = cluster.change(1, vec![learn(5)]);
    assert_eq!(cluster.refusal(third), None);
}

// §6, §4.2.1: new servers join without a vote, until they have caught up.
#[test]
fn a_new_server_votes_only_after_it_has_caught_up() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.isolate(4);
    let ticket = cluster.change(1, vec![add(4)]);
    cluster.run(500);
    assert_eq!(cluster.voters(1), (vec![1, 2, 3], vec![]));
    assert!(cluster.raft(1).membership().contains(NodeId(4)));
    let done = cluster.propose(1, "a");
    assert!(cluster.is_done(done), "the cluster does not wait for it");
    cluster.heal();
    cluster.run(500);
    assert_eq!(cluster.voters(1), (vec![1, 2, 3, 4], vec![]));
    assert!(cluster.is_changed(ticket));
    assert_eq!(cluster.commands(4), ["a"]);
}

// §4.2.1: non-voting members are not counted.
#[test]
fn learners_count_in_no_majority() {
    let mut cluster = leader_of(3);
    absent(&mut cluster, &[4]);
    cluster.change(1, vec![learn(4)]);
    cluster.forge(4, 1, 1, matched(2));
    assert_eq!(cluster.commit(1), 1);
    cluster.forge(2, 1, 1, matched(2));
    assert_eq!(cluster.commit(1), 2);
    let mut candidate = Cluster::lone(3);
    let learner = voters(&[1, 2, 3]).changed(&[learn(4)]).expect("legal");
    candidate.forge(2, 1, 1, configuration(at(0, 0), 1, learner));
    stand(&mut candidate, &[2, 3]);
    candidate.forge(4, 1, 2, vote(true));
    assert_eq!(candidate.role(1), RoleName::Candidate);
}

// §6, §4.2.2: a leader that is not in the new configuration steps down when that is committed.
#[test]
fn a_leader_manages_its_own_removal_without_counting_itself() {
    let mut cluster = leader_of(3);
    let ticket = cluster.change(1, vec![remove(1)]);
    cluster.forge(2, 1, 1, matched(2));
    assert_eq!(cluster.commit(1), 1, "2 alone is no majority of 2 and 3");
    cluster.forge(3, 1, 1, matched(2));
    assert_eq!(
        (cluster.commit(1), cluster.voters(1)),
        (2, (vec![2, 3], vec![]))
    );
    cluster.forge(2, 1, 1, matched(3));
    assert_eq!((cluster.commit(1), cluster.role(1)), (2, RoleName::Leader));
    cluster.take_sent();
    cluster.forge(3, 1, 1, matched(3));
    assert_eq!(
        (cluster.commit(1), cluster.role(1)),
        (3, RoleName::Follower)
    );
    assert!(cluster.is_changed(ticket));
    let told = cluster.take_sent();
    assert!(
        told.iter()
            .any(|envelope| envelope.message == Message::TimeoutNow),
        "its last word"
    );
    cluster.run(20_000);
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Follower, 1));
}

// §6, §4.3: whoever leads finds the joint configuration in its log and leads the cluster out of it.
#[test]
fn a_new_leader_finishes_what_another_began() {
    let mut cluster = Cluster::lone(3);
    absent(&mut cluster, &[4, 5]);
    cluster.forge(2, 1, 1, configuration(at(0, 0), 1, joint()));
    lead(&mut cluster, &[2, 3, 4, 5]);
    assert_eq!(cluster.voters(1), (vec![1, 4, 5], vec![1, 2, 3]));
    for id in 2..=5 {
        cluster.forge(id, 1, 2, matched(2));
    }
    assert_eq!(
        (cluster.commit(1), cluster.voters(1)),
        (2, (vec![1, 4, 5], vec![]))
    );
}

// §6, §4.2.3: a server that hears a leader takes no notice of who asks for votes.
#[test]
fn who_hears_a_leader_takes_no_notice_of_candidates() {
    let mut follower = Cluster::lone(3);
    follower.forge(2, 1, 1, append(at(0, 0), &[], 0));
    follower.pass(900);
    let leader = leader_of(3);
    for mut cluster in [follower, leader] {
        cluster.take_sent();
        let role = cluster.role(1);
        cluster.forge(3, 1, 9, request_vote(at(9, 9)));
        assert_eq!((cluster.role(1), cluster.term(1)), (role, 1), "{role:?}");
        assert_eq!(cluster.take_sent(), [], "{role:?}");
        // Unless the leader itself wants to be followed by somebody else (§3.10).
        cluster.forge(3, 1, 9, blessed_vote(at(9, 9)));
        assert_eq!(
            (cluster.term(1), cluster.synced_vote(1).vote),
            (9, Some(NodeId(3)))
        );
    }
}
