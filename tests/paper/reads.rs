//! Client interaction (Raft §8) and reads without log entries (dissertation §6.4).

use raft_core::event::{Refusal, RoleName};
use raft_core::message::{ReadIndex, ReadIndexReply};
use raft_core::{ClockDrift, Index, Message, NodeId, Round, Time};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{append, at, matched, matched_in, request_vote};

use crate::stage::{lead, leader_of, new_leader_of};

// §8: clients that reach another server are told who leads.
#[test]
fn a_follower_names_its_leader() {
    let mut cluster = Cluster::new(3);
    let (early, read) = (cluster.propose(2, "a"), cluster.read(2));
    assert_eq!(cluster.refusal(early), Some(Refusal::NotLeader(None)));
    assert_eq!(cluster.refusal(read), Some(Refusal::NotLeader(None)));
    cluster.elect(1);
    let late = cluster.propose(2, "a");
    assert_eq!(
        cluster.refusal(late),
        Some(Refusal::NotLeader(Some(NodeId(1))))
    );
}

// §8: a leader does not know what is committed before it has committed an entry of its term.
#[test]
fn a_read_waits_for_the_first_commit_of_the_term() {
    let mut cluster = new_leader_of(3);
    let ticket = cluster.read(1);
    for round in 0..3 {
        cluster.run(100);
        cluster.forge(2, 1, 1, matched_in(0, round));
    }
    assert_eq!(cluster.reply(ticket), None);
    cluster.forge(2, 1, 1, matched(1));
    cluster.forge(2, 1, 1, matched_in(1, 1));
    assert_eq!(cluster.barrier(ticket), Some(1));
}

// §8, §6.4: before it answers a read, a leader exchanges heartbeats with a majority.
#[test]
fn a_read_is_confirmed_by_a_majority() {
    let mut cluster = leader_of(5);
    let ticket = cluster.read(1);
    assert_eq!(cluster.reply(ticket), None);
    for id in [2, 2, 9] {
        cluster.forge(id, 1, 1, matched_in(1, 1));
    }
    assert_eq!(cluster.reply(ticket), None, "two of five");
    cluster.forge(3, 1, 1, matched_in(1, 1));
    assert_eq!(cluster.barrier(ticket), Some(1));
}

// §6.4: what confirms a read was sent after the read came.
#[test]
fn an_answer_to_something_earlier_confirms_no_read() {
    let mut cluster = leader_of(3);
    let first = cluster.read(1);
    cluster.forge(2, 1, 1, matched_in(1, 0));
    cluster.forge(3, 1, 1, matched(1));
    assert_eq!(
        cluster.reply(first),
        None,
        "they answered before they were asked"
    );
    let second = cluster.read(1);
    cluster.forge(2, 1, 1, matched_in(1, 1));
    assert_eq!(
        (cluster.barrier(first), cluster.reply(second)),
        (Some(1), None)
    );
    cluster.forge(3, 1, 1, matched_in(1, 1));
    assert_eq!(
        cluster.reply(second),
        None,
        "a late answer to the first round"
    );
    cluster.forge(3, 1, 1, matched_in(1, 2));
    assert_eq!(cluster.barrier(second), Some(1));
}

// §6.4: the barrier is at or above all that was committed when the read came.
#[test]
fn the_barrier_is_what_was_committed() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    for (command, expected) in [("a", 2), ("b", 3)] {
        let done = cluster.propose(1, command);
        assert!(cluster.is_done(done));
        let (here, there) = (cluster.read(1), cluster.read(2));
        assert_eq!(cluster.barrier(here), Some(expected));
        assert_eq!(cluster.barrier(there), Some(expected), "2 asked 1");
    }
}

// §8: a leader that was replaced unknowingly answers no read from stale state.
#[test]
fn a_deposed_leader_answers_no_read() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(1);
    cluster.elect(2);
    let done = cluster.propose(2, "new");
    assert!(cluster.is_done(done));
    assert_eq!(cluster.role(1), RoleName::Leader, "for all it knows");
    let ticket = cluster.read(1);
    cluster.run(3000);
    assert!(matches!(
        cluster.refusal(ticket),
        Some(Refusal::NotLeader(_))
    ));
}

/// The numbers of the questions that server 1 sent to 2 since messages were last looked at.
fn questions(cluster: &mut Cluster) -> Vec<Round> {
    let sent = cluster.take_sent_to(1, 2).into_iter();
    let asked = sent.filter_map(|message| {
        let Message::ReadIndex(ReadIndex { request }) = message else {
            return None;
        };
        Some(request)
    });
    asked.collect()
}

// §6.4: a follower asks the leader, and takes an answer only for the question that it answers.
#[test]
fn a_follower_takes_no_old_answer_for_a_new_one() {
    let mut cluster = Cluster::lone(3);
    let answer = |request| {
        Message::ReadIndexReply(ReadIndexReply {
            request,
            index: Index(4),
        })
    };
    cluster.forge(2, 1, 1, append(at(0, 0), &[1], 1));
    cluster.take_sent();
    let first = cluster.read(1);
    let asked = questions(&mut cluster);
    cluster.run(100);
    let again = questions(&mut cluster);
    assert_eq!(
        (asked.len(), again.len()),
        (1, 1),
        "asked again, as the answer did not come"
    );
    cluster.forge(2, 1, 1, answer(asked[0]));
    assert_eq!(
        cluster.reply(first),
        None,
        "an answer to the question before"
    );
    cluster.forge(2, 1, 1, answer(again[0]));
    assert_eq!(cluster.barrier(first), Some(4));
    let second = cluster.read(1);
    cluster.forge(2, 1, 1, answer(asked[0]));
    cluster.forge(2, 1, 1, answer(again[0]));
    assert_eq!(
        cluster.reply(second),
        None,
        "answers to questions before the read"
    );
}

fn ms(time: Time, ms: u64) -> Time {
    time.plus(std::time::Duration::from_millis(ms))
}

// §6.4.1: a lease lasts for the election timeout, less the drift of the clocks, from the *sending*.
#[test]
fn a_lease_is_cut_by_the_drift_and_counts_from_the_question() {
    for (per_mille, span) in [(0, 1000), (10, 990), (100, 900), (500, 500)] {
        let mut cluster = Cluster::lone_with(3, |config| {
            config.lease = Some(ClockDrift { per_mille });
        });
        lead(&mut cluster, &[2, 3]);
        cluster.forge(2, 1, 1, matched(1));
        assert!(
            !cluster.raft(1).lease_valid(cluster.now()),
            "no round was confirmed"
        );
        cluster.pass(100);
        cluster.tick(1);
        let asked = cluster.now();
        cluster.pass(50);
        cluster.forge(2, 1, 1, matched_in(1, 1));
        let raft = cluster.raft(1);
        assert!(
            raft.lease_valid(ms(asked, span - 1)),
            "{per_mille} per mille"
        );
        assert!(!raft.lease_valid(ms(asked, span)), "{per_mille} per mille");
    }
}

// §6.4.1: the lease rests on the promise of the voters not to elect anybody else meanwhile.
#[test]
fn a_voter_keeps_its_promise_over_a_restart() {
    let mut cluster = Cluster::lone_with(3, |config| {
        config.lease = Some(ClockDrift { per_mille: 10 });
    });
    cluster.forge(2, 1, 1, append(at(0, 0), &[], 0));
    cluster.restart(1);
    cluster.pass(900);
    cluster.forge(3, 1, 2, request_vote(at(9, 9)));
    assert_eq!(cluster.term(1), 1, "2 may still trust in its lease");
    cluster.pass(100);
    cluster.forge(3, 1, 2, request_vote(at(9, 9)));
    assert_eq!(cluster.synced_vote(1).vote, Some(NodeId(3)));
}

// §6.4.1: with a lease a leader answers at once, and without one it asks.
#[test]
fn a_read_within_the_lease_asks_nobody() {
    let mut cluster = Cluster::with(3, |config| {
        config.lease = Some(ClockDrift { per_mille: 10 });
    });
    cluster.elect(1);
    cluster.run(300);
    cluster.isolate(1);
    let ticket = cluster.read(1);
    assert_eq!(cluster.barrier(ticket), Some(1));
    cluster.run(1000);
    let late = cluster.read(1);
    assert_eq!(cluster.reply(late), None, "the lease has run out");
}
