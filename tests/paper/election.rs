//! Leader election (Raft §5.2), and the leader's duty to hear a majority (dissertation §6.2).

use raft_core::event::RoleName;
use raft_core::{Envelope, Event, Message, NodeId};
use raft_tests::cluster::words::{append, at, matched, request_vote, vote};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::{ask_pre_votes, lead, leader_of, pre_voted, stand, votes};

// §5.2: a follower that receives no communication over the election timeout begins an election.
#[test]
fn who_hears_no_leader_campaigns_within_the_election_timeout() {
    let mut cluster = Cluster::new(3);
    cluster.run(990);
    assert!(
        (1..=3).all(|id| cluster.role(id) == RoleName::Follower),
        "nobody is hasty"
    );
    cluster.run(1020);
    assert!(cluster.leader().is_some(), "somebody campaigned and won");
}

// §5.2: election timeouts are chosen randomly, so that split votes are rare.
#[test]
fn no_two_servers_wait_equally_long() {
    let cluster = Cluster::new(5);
    let mut deadlines: Vec<_> = (1..=5).map(|id| cluster.raft(id).deadline()).collect();
    deadlines.sort();
    deadlines.dedup();
    assert_eq!(deadlines.len(), 5);
}

// §5.2: leaders send periodic heartbeats to maintain their authority.
#[test]
fn heartbeats_keep_a_leader_in_office() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    cluster.run(20_000);
    assert_eq!((cluster.leader(), cluster.term(1)), (Some(1), 1));
}

// §5.2: a candidate increments its term, votes for itself and asks all others.
#[test]
fn a_candidate_votes_for_itself_and_asks_all_others() {
    let mut cluster = Cluster::lone(5);
    stand(&mut cluster, &[2, 3, 4, 5]);
    let sent = cluster.take_sent();
    let asks = |m: &&Envelope| m.message == request_vote(at(0, 0)) && m.term.0 == 1;
    let asked: Vec<u64> = sent.iter().filter(asks).map(|m| m.to.0).collect();
    assert_eq!(asked, [2, 3, 4, 5]);
    let vote = cluster.synced_vote(1);
    assert_eq!((vote.term.0, vote.vote), (1, Some(NodeId(1))));
}

// §5.2: a candidate wins with the votes of a majority of the full cluster.
#[test]
fn a_majority_elects_and_half_does_not() {
    for (count, others_needed) in [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
        let mut cluster = Cluster::lone(count);
        let others: Vec<u64> = (2..=count).collect();
        stand(&mut cluster, &others);
        for id in 2..2 + others_needed {
            assert_eq!(
                cluster.role(1),
                RoleName::Candidate,
                "of {count} before the vote of {id}"
            );
            cluster.forge(id, 1, 1, vote(true));
        }
        assert_eq!(cluster.role(1), RoleName::Leader, "of {count}");
    }
}

// §5.2: the votes of a majority *of the cluster*.
#[test]
fn the_vote_of_an_outsider_elects_nobody() {
    let mut cluster = Cluster::lone(3);
    stand(&mut cluster, &[2, 3]);
    cluster.forge(7, 1, 1, vote(true));
    cluster.forge(8, 1, 1, vote(true));
    assert_eq!(cluster.role(1), RoleName::Candidate);
}

// §5.2: the own vote is one of the majority, once it would survive a power cut.
#[test]
fn a_candidate_wins_only_with_a_durable_vote_for_itself() {
    let mut cluster = Cluster::lone(3);
    let request = ask_pre_votes(&mut cluster);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 0, pre_voted(request, true));
    assert_eq!(
        (cluster.role(1), cluster.take_sent()),
        (RoleName::Candidate, vec![])
    );
    cluster.forge(2, 1, 1, vote(true));
    assert_eq!(
        cluster.role(1),
        RoleName::Candidate,
        "its own vote could still be forgotten"
    );
    cluster.persist(1);
    assert_eq!(cluster.role(1), RoleName::Leader);
}

// §5.2: at most one vote a term, first come, first served; asked again, the answer is the same.
#[test]
fn one_vote_a_term_first_come_first_served() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 2), [true]);
    cluster.forge(3, 1, 1, request_vote(at(9, 1)));
    assert_eq!(votes(&mut cluster, 3), [false]);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    assert_eq!(
        votes(&mut cluster, 2),
        [true],
        "the first answer may be lost"
    );
}

// §5.2: candidates and leaders voted for themselves.
#[test]
fn who_stands_itself_votes_for_nobody_else() {
    let mut candidate = Cluster::lone(3);
    stand(&mut candidate, &[2, 3]);
    let mut leader = Cluster::lone(3);
    lead(&mut leader, &[2]);
    leader.pass(1500);
    for mut cluster in [candidate, leader] {
        cluster.forge(3, 1, 1, request_vote(at(9, 1)));
        assert_eq!(votes(&mut cluster, 3), [false], "{:?}", cluster.role(1));
    }
}

// Figure 2, persistent state: votedFor is durable before the answer, in a term that is old already.
#[test]
fn the_vote_is_durable_before_it_is_sent_and_survives_a_restart() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 1, &[1]);
    // The term becomes durable with a vote refused, so that only the vote is left to be written.
    cluster.forge(3, 1, 2, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 3), [false]);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 2, request_vote(at(1, 1)));
    assert_eq!(cluster.take_sent(), []);
    cluster.unstall(1, Lane::Disk);
    assert_eq!(votes(&mut cluster, 2), [true]);
    cluster.restart(1);
    cluster.forge(3, 1, 2, request_vote(at(9, 2)));
    assert_eq!(votes(&mut cluster, 3), [false]);
}

// §5.2: a candidate that hears the leader of its term recognizes it.
#[test]
fn a_candidate_follows_the_leader_of_its_term() {
    let mut cluster = Cluster::lone(3);
    stand(&mut cluster, &[2, 3]);
    cluster.forge(3, 1, 1, append(at(0, 0), &[1], 0));
    let known = (cluster.role(1), cluster.raft(1).leader(), cluster.last(1));
    assert_eq!(known, (RoleName::Follower, Some(NodeId(3)), 1));
    assert_eq!(
        cluster.synced_vote(1).vote,
        Some(NodeId(1)),
        "its vote stays what it was"
    );
}

// §5.2: with a split vote candidates time out and begin a new election.
#[test]
fn a_split_vote_ends_in_a_later_term() {
    let mut cluster = Cluster::new(4);
    cluster.pass(1000);
    // 1 and 2 stand at the same time, and each gets one more vote.
    cluster.lose(|envelope| {
        let (low, high) = (
            envelope.from.min(envelope.to).0,
            envelope.from.max(envelope.to).0,
        );
        matches!(envelope.message, Message::RequestVote(_)) && high - low != 2
    });
    cluster.step(1, vec![Event::Campaign]);
    cluster.step(2, vec![Event::Campaign]);
    cluster.settle();
    assert_eq!(cluster.leader(), None);
    assert_eq!((cluster.term(1), cluster.term(2)), (1, 1));
    cluster.heal();
    assert!(cluster.run_until(10_000, |cluster| cluster.leader().is_some()));
    assert!(cluster.leader().is_some_and(|id| cluster.term(id) > 1));
}

// §5.2: enough refusals end a campaign; nobody waits for what can't come.
#[test]
fn a_candidate_that_can_not_win_follows() {
    let mut cluster = Cluster::lone(5);
    stand(&mut cluster, &[2, 3, 4, 5]);
    for (id, expected) in [
        (2, RoleName::Candidate),
        (3, RoleName::Candidate),
        (4, RoleName::Follower),
    ] {
        cluster.forge(id, 1, 1, vote(false));
        assert_eq!(cluster.role(1), expected, "refused by {id}");
    }
}

// §5.2: a new leader tells all others at once, which prevents new elections.
#[test]
fn a_new_leader_makes_itself_known() {
    let mut cluster = Cluster::lone(4);
    stand(&mut cluster, &[2, 3]);
    cluster.take_sent();
    cluster.forge(2, 1, 1, vote(true));
    cluster.forge(3, 1, 1, vote(true));
    let sent = cluster.take_sent();
    let told = |m: &&Envelope| matches!(m.message, Message::AppendEntries(_));
    let told: Vec<u64> = sent.iter().filter(told).map(|m| m.to.0).collect();
    assert_eq!(told, [2, 3, 4]);
}

// Dissertation §6.2: a leader that hears no majority for an election timeout steps down.
#[test]
fn a_leader_that_hears_no_majority_steps_down() {
    let mut cluster = leader_of(5);
    for _ in 0..30 {
        cluster.run(100);
        cluster.forge(2, 1, 1, matched(1));
        cluster.forge(3, 1, 1, matched(1));
    }
    assert_eq!(
        cluster.role(1),
        RoleName::Leader,
        "itself, 2 and 3 are a majority"
    );
    for _ in 0..22 {
        cluster.run(100);
        if cluster.role(1) == RoleName::Leader {
            cluster.forge(2, 1, 1, matched(1));
        }
    }
    assert_ne!(cluster.role(1), RoleName::Leader, "itself and 2 are none");
    assert_eq!(cluster.term(1), 1);
}

// §5.2: a follower waits anew for a leader it hears, or a candidate it votes for; for nobody else.
#[test]
fn only_a_leader_or_a_vote_restarts_the_election_timer() {
    let (waits, waits_anew) = (false, true);
    let cases = [
        (2, request_vote(at(0, 0)), waits),
        (1, request_vote(at(9, 9)), waits),
        (2, Message::StaleTerm, waits),
        (0, append(at(2, 1), &[], 0), waits),
        (2, request_vote(at(9, 1)), waits_anew),
        (1, append(at(2, 1), &[], 0), waits_anew),
        (1, append(at(9, 9), &[], 0), waits_anew),
    ];
    for (term, message, expected) in cases {
        let mut cluster = Cluster::lone(3);
        cluster.rewrite(1, 1, &[1, 1]);
        if term == 1 && !expected {
            // Its vote is taken already.
            cluster.forge(3, 1, 1, request_vote(at(9, 1)));
        }
        let before = cluster.raft(1).deadline();
        cluster.pass(990);
        cluster.forge(2, 1, term, message.clone());
        let is_anew = cluster.raft(1).deadline() > before;
        assert_eq!(is_anew, expected, "{message:?} in term {term}");
    }
}
