//! Reads, and the time that their leases trust in.

use std::time::Duration;

use raft_core::event::{Refusal, RoleName};
use raft_core::message::AppendOutcome;
use raft_core::{ClockDrift, Consistency, Envelope, Event, Message, NodeId};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::remove;

fn with_leases(count: u64) -> Cluster {
    Cluster::with(count, |config| {
        config.lease = Some(ClockDrift { per_mille: 10 });
    })
}

#[test]
fn the_only_voter_left_keeps_its_promise_over_a_restart() {
    let mut cluster = with_leases(2);
    cluster.elect(1);
    cluster.run(100);
    assert!(cluster.raft(1).lease_valid(cluster.now()));
    // 2 has the configuration in which it is alone, and 1 does not know that it has.
    cluster.lose(|envelope| acknowledges(envelope, 3));
    cluster.change(1, vec![remove(1)]);
    assert_eq!(cluster.voters(2), (vec![2], vec![]));
    assert_eq!((cluster.last(2), cluster.commit(1)), (3, 2));
    cluster.cut(1, 2);
    cluster.restart(2);
    cluster.run(500);
    let now = cluster.now();
    let two_truths = cluster.role(2) == RoleName::Leader && cluster.raft(1).lease_valid(now);
    assert!(!two_truths, "2 leads within the lease of 1");
}

fn acknowledges(envelope: &Envelope, index: u64) -> bool {
    let Message::AppendEntriesReply(reply) = envelope.message else {
        return false;
    };
    matches!(reply.outcome, AppendOutcome::Matched(matched) if matched.0 >= index)
}

#[test]
fn a_read_before_the_first_commit_of_the_term_waits_for_it() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let done = cluster.propose(1, "a");
    assert!(cluster.is_done(done));
    // 2 has "a", but does not know that it is committed; nor does it learn so as a new leader.
    cluster
        .lose(|envelope| envelope.from == NodeId(3) && envelope.term.0 == 2 && !is_vote(envelope));
    cluster.crash(1);
    assert_eq!((cluster.last(2), cluster.commit(2)), (2, 1));
    cluster.elect(2);
    let ticket = cluster.read(2);
    let local = cluster.read_with(2, Consistency::Local);
    cluster.run(300);
    assert_eq!(
        (cluster.reply(ticket), cluster.barrier(local)),
        (None, Some(0))
    );
    cluster.heal();
    cluster.run(300);
    assert_eq!(cluster.barrier(ticket), Some(3));
    assert_eq!(cluster.commands(2), ["a"]);
}

fn is_vote(envelope: &Envelope) -> bool {
    matches!(envelope.message, Message::RequestVoteReply(_))
}

#[test]
fn late_acknowledgements_of_an_earlier_round_never_confirm_a_newer_read() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.hold(|envelope| matches!(envelope.message, Message::AppendEntriesReply(_)));
    let first = cluster.read(1);
    let answers = cluster.take_held();
    assert_eq!(answers.len(), 2);
    // 2 and 3 answered, and elect 2 before their answers arrive.
    cluster.isolate(1);
    cluster.heal();
    cluster.isolate(1);
    cluster.elect(2);
    let done = cluster.propose(2, "new");
    assert!(cluster.is_done(done));
    let second = cluster.read(1);
    for answer in answers {
        cluster.deliver(answer);
    }
    cluster.settle();
    assert_eq!(
        cluster.barrier(first),
        Some(1),
        "it was asked before there was anything newer"
    );
    assert_eq!(cluster.reply(second), None);
    cluster.run(3000);
    assert!(matches!(
        cluster.refusal(second),
        Some(Refusal::NotLeader(_))
    ));
}

#[test]
fn a_follower_passes_reads_on_and_waits_for_a_new_leader_to_answer() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.lose(|envelope| matches!(envelope.message, Message::ReadIndexReply(_)));
    let lost = cluster.read(2);
    cluster.run(250);
    assert_eq!(cluster.reply(lost), None, "it asks again and again");
    cluster.heal();
    cluster.run(100);
    assert_eq!(cluster.barrier(lost), Some(1));
    cluster.crash(1);
    let orphan = cluster.read(2);
    assert!(cluster.run_until(10_000, |cluster| cluster.reply(orphan).is_some()));
    assert!(
        matches!(cluster.refusal(orphan), Some(Refusal::NotLeader(_))),
        "nobody answers"
    );
}

#[test]
fn a_lease_ends_before_anybody_else_can_be_elected() {
    let mut cluster = with_leases(5);
    cluster.elect(1);
    cluster.run(1000);
    cluster.isolate(1);
    let mut served = 0;
    for _ in 0..400 {
        cluster.run(10);
        let valid =
            cluster.role(1) == RoleName::Leader && cluster.raft(1).lease_valid(cluster.now());
        served += usize::from(valid);
        let other = (2..=5).any(|id| cluster.role(id) == RoleName::Leader);
        assert!(!(valid && other), "two truths");
    }
    assert!(
        (80..100).contains(&served),
        "a lease of 990 ms is used for {served} times ten"
    );
    assert!(cluster.leader().is_some_and(|id| id > 1));
}

#[test]
fn a_paused_leader_that_wakes_up_answers_nothing_by_its_lease() {
    let mut cluster = with_leases(3);
    cluster.elect(1);
    cluster.run(1000);
    cluster.pause(1);
    cluster.run(5000);
    assert!(cluster.leader().is_some());
    let done = cluster.propose(2, "new");
    let other = cluster.propose(3, "new");
    assert!(cluster.is_done(done) || cluster.is_done(other));
    assert!(!cluster.raft(1).lease_valid(cluster.now()));
    let ticket = cluster.ticket();
    let consistency = Consistency::Linearizable;
    cluster.step(
        1,
        vec![Event::Read {
            ticket,
            consistency,
        }],
    );
    assert_eq!(cluster.barrier(ticket), None);
    cluster.resume(1);
    cluster.run(500);
    assert!(cluster.refusal(ticket).is_some());
}

#[test]
fn no_lease_after_the_word_to_a_successor_that_is_still_on_its_way() {
    let mut cluster = with_leases(3);
    cluster.elect(1);
    cluster.run(1000);
    cluster.hold(|envelope| envelope.message == Message::TimeoutNow);
    cluster.transfer(1, 2);
    cluster.run(2500);
    assert_eq!(cluster.leader(), Some(1), "it goes on");
    let word = cluster.take_held().remove(0);
    cluster.heal();
    cluster.isolate(1);
    cluster.deliver(word);
    cluster.settle();
    assert_eq!(cluster.role(2), RoleName::Leader);
    assert_eq!(cluster.role(1), RoleName::Leader, "for all it knows");
    assert!(!cluster.raft(1).lease_valid(cluster.now()), "two truths");
}

#[test]
fn a_bounded_read_is_as_old_as_it_says_and_not_older() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let (here, there) = (cluster.read(1), cluster.read(2));
    assert_eq!(
        (cluster.barrier(here), cluster.barrier(there)),
        (Some(1), Some(1))
    );
    cluster.propose(1, "a");
    cluster.hold(|envelope| !matches!(envelope.message, Message::AppendEntries(_)));
    let bounded = Consistency::Bounded(Duration::from_millis(500));
    cluster.pass(500);
    for id in [1, 2] {
        let ticket = cluster.read_with(id, bounded);
        assert_eq!(
            cluster.barrier(ticket),
            Some(1),
            "{id} knows what was true 500 ms ago"
        );
    }
    cluster.pass(1);
    let late = [1, 2].map(|id| cluster.read_with(id, bounded));
    assert_eq!(late.map(|ticket| cluster.barrier(ticket)), [None, None]);
    cluster.heal();
    cluster.run(300);
    assert_eq!(
        late.map(|ticket| cluster.barrier(ticket)),
        [Some(2), Some(2)]
    );
}
