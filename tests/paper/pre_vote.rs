//! Pre-vote (dissertation §9.6): who can't win, or need not, disturbs nobody.

use raft_core::event::RoleName;
use raft_core::{Message, NodeId, Round};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{append, at, pre_vote, request_vote, vote};

use crate::stage::{ask_pre_votes, lead, pre_voted, stand, votes};

/// The answers to pre-votes that server 1 sent to `to`.
fn answers(cluster: &mut Cluster, to: u64) -> Vec<bool> {
    let sent = cluster.take_sent_to(1, to).into_iter();
    let answers = sent.filter_map(|message| {
        let Message::PreVoteReply(reply) = message else {
            return None;
        };
        Some(reply.granted)
    });
    answers.collect()
}

// §9.6: a candidate increments its term only after a majority said it would vote.
#[test]
fn nobody_enters_a_term_before_a_majority_would_vote() {
    for (count, others_needed) in [(2, 1), (3, 1), (4, 2), (5, 2)] {
        let mut cluster = Cluster::lone(count);
        let request = ask_pre_votes(&mut cluster);
        for id in 2..2 + others_needed {
            let asking = (
                cluster.role(1),
                cluster.term(1),
                cluster.synced_vote(1).vote,
            );
            assert_eq!(
                asking,
                (RoleName::PreCandidate, 0, None),
                "of {count}, before {id}"
            );
            cluster.forge(id, 1, 0, pre_voted(request, true));
        }
        assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Candidate, 1));
    }
}

// §9.6: a cut off server does not increase its term.
#[test]
fn a_server_alone_asks_for_ever_in_the_same_term() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    cluster.isolate(5);
    cluster.run(60_000);
    assert_eq!(
        (cluster.term(5), cluster.leader(), cluster.term(1)),
        (1, Some(1), 1)
    );
    cluster.heal();
    cluster.run(10_000);
    assert_eq!((cluster.leader(), cluster.term(1)), (Some(1), 1));
}

// §9.6: a pre-vote is granted only to an up-to-date log, and in no earlier term.
#[test]
fn a_pre_vote_is_answered_by_the_rules_of_the_vote() {
    let (granted, refused) = (true, false);
    let cases = [
        (at(3, 2), 4, granted),
        (at(1, 3), 9, granted),
        (at(2, 2), 4, refused),
        (at(9, 1), 4, refused),
        (at(3, 2), 3, refused),
    ];
    for (last, term, expected) in cases {
        let mut cluster = Cluster::lone(3);
        cluster.rewrite(1, 4, &[1, 1, 2]);
        cluster.forge(2, 1, term, pre_vote(last));
        assert_eq!(
            answers(&mut cluster, 2),
            [expected],
            "{last} asks in term {term}"
        );
        assert_eq!(cluster.term(1), 4, "no term changes");
    }
}

// §9.6: a pre-vote is granted only by who heard no leader for an election timeout.
#[test]
fn a_pre_vote_is_refused_while_a_leader_is_heard() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[], 0));
    for (ms, expected) in [(0, false), (990, false), (10, true)] {
        cluster.pass(ms);
        cluster.take_sent();
        cluster.forge(3, 1, 1, pre_vote(at(9, 9)));
        assert_eq!(answers(&mut cluster, 3), [expected], "{ms} ms later");
    }
    let mut leader = Cluster::lone(3);
    lead(&mut leader, &[2, 3]);
    leader.take_sent();
    leader.forge(3, 1, 1, pre_vote(at(9, 9)));
    assert_eq!(
        answers(&mut leader, 3),
        [false],
        "the leader itself was just elected"
    );
}

// §9.6: a pre-vote is no vote: it changes neither term nor vote, and no timer.
#[test]
fn a_pre_vote_changes_nothing() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 4, &[1]);
    let (deadline, writes) = (cluster.raft(1).deadline(), cluster.writes(1));
    cluster.pass(900);
    cluster.forge(2, 1, 8, pre_vote(at(9, 3)));
    cluster.forge(3, 1, 8, pre_vote(at(9, 3)));
    assert_eq!(cluster.take_sent().len(), 2, "both are answered");
    let now = (
        cluster.term(1),
        cluster.raft(1).vote(),
        cluster.raft(1).deadline(),
    );
    assert_eq!((now, cluster.writes(1)), ((4, None, deadline), writes));
}

// §9.6: only answers to *this* question count, and only as what they are.
#[test]
fn a_late_pre_vote_is_neither_a_vote_nor_an_answer_to_a_later_question() {
    let mut cluster = Cluster::lone(5);
    let first = ask_pre_votes(&mut cluster);
    cluster.forge(2, 1, 0, pre_voted(first, true));
    let second = ask_pre_votes(&mut cluster);
    assert_ne!(first, second);
    cluster.forge(3, 1, 0, pre_voted(first, true));
    cluster.forge(4, 1, 0, pre_voted(first, true));
    assert_eq!(
        cluster.role(1),
        RoleName::PreCandidate,
        "answers to the first question"
    );
    cluster.forge(3, 1, 0, pre_voted(second, true));
    cluster.forge(4, 1, 0, pre_voted(second, true));
    assert_eq!(cluster.role(1), RoleName::Candidate);
    for id in 2..=5 {
        cluster.forge(id, 1, 0, pre_voted(second, true));
        cluster.forge(id, 1, 1, pre_voted(second, true));
    }
    assert_eq!(cluster.role(1), RoleName::Candidate, "nobody voted yet");
    cluster.forge(2, 1, 1, vote(true));
    cluster.forge(3, 1, 1, vote(true));
    assert_eq!(cluster.role(1), RoleName::Leader);
}

// §9.6: a vote in the present term says nothing about a pre-vote for the next one.
#[test]
fn who_asks_takes_no_vote_for_an_answer() {
    let mut cluster = Cluster::lone(3);
    ask_pre_votes(&mut cluster);
    cluster.forge(2, 1, 0, vote(true));
    cluster.forge(3, 1, 0, pre_voted(Round(1), true));
    assert_eq!(
        (cluster.role(1), cluster.term(1)),
        (RoleName::PreCandidate, 0)
    );
}

// §9.6, §5.2: whoever only asks may still vote, and follow.
#[test]
fn who_only_asks_votes_for_who_stands() {
    let mut cluster = Cluster::lone(3);
    ask_pre_votes(&mut cluster);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 2), [true]);
    assert_eq!(cluster.synced_vote(1).vote, Some(NodeId(2)));
    let mut standing = Cluster::lone(3);
    stand(&mut standing, &[2, 3]);
    standing.take_sent();
    standing.forge(2, 1, 1, pre_vote(at(0, 0)));
    assert_eq!(
        answers(&mut standing, 2),
        [true],
        "it would vote in the next term"
    );
}

// §9.6: voters may still be in an earlier term; their answers count as well.
#[test]
fn the_answer_of_a_voter_in_an_earlier_term_counts() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 5, &[5]);
    let request = ask_pre_votes(&mut cluster);
    cluster.forge(2, 1, 3, pre_voted(request, true));
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Candidate, 6));
}

// §9.6: refusals end the question; whoever is refused by a later term learns of it.
#[test]
fn a_refused_question_is_over() {
    let mut cluster = Cluster::lone(3);
    let request = ask_pre_votes(&mut cluster);
    cluster.forge(2, 1, 0, pre_voted(request, false));
    assert_eq!(cluster.role(1), RoleName::PreCandidate);
    cluster.forge(3, 1, 0, pre_voted(request, false));
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Follower, 0));
    let request = ask_pre_votes(&mut cluster);
    cluster.forge(2, 1, 7, pre_voted(request, false));
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Follower, 7));
}
