//! Changes of members under way while servers come, go and are wiped.

use std::time::Duration;

use raft_core::event::{Refusal, RoleName};
use raft_core::membership::ChangeError;
use raft_core::message::AppendOutcome;
use raft_core::{Envelope, Event, Index, Message, NodeId, Payload, Reply, Ticket};
use raft_tests::cluster::words::{add, learn, remove};
use raft_tests::cluster::{Cluster, Lane};

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
fn the_bug_of_2015_leaders_of_different_terms_change_members_at_once() {
    let mut cluster = Cluster::new(4);
    cluster.add_blank(5);
    cluster.elect(1);
    // 1 adds 5, and only 5 hears of it; then 2 removes 1 with the others.
    cluster.split(&[1, 5]);
    cluster.change(1, vec![add(5)]);
    cluster.run(500);
    cluster.elect(2);
    let removal = cluster.change(2, vec![remove(1)]);
    cluster.run(500);
    assert!(cluster.is_changed(removal));
    // 1 alone with 5 and one more must not commit anything: two of four, or three of five.
    cluster.crash(2);
    cluster.run(10_000);
    cluster.campaign(1);
    assert_ne!(cluster.role(1), RoleName::Leader);
    cluster.restart(2);
    cluster.heal();
    cluster.run(10_000);
    let leader = cluster.leader().expect("three of three are well");
    assert_eq!(cluster.voters(leader), (vec![2, 3, 4], vec![]));
    let done = cluster.propose(leader, "x");
    assert!(cluster.is_done(done));
}

#[test]
fn a_new_leader_changes_nothing_before_it_knows_what_is_committed() {
    let mut cluster = Cluster::new(4);
    cluster.add_blank(5);
    cluster.elect(1);
    cluster.lose(|envelope| matches!(envelope.message, Message::AppendEntriesReply(_)));
    cluster.isolate(1);
    cluster.elect(2);
    let ticket = cluster.change(2, vec![remove(1)]);
    assert_eq!(
        cluster.refusal(ticket),
        Some(Refusal::Change(ChangeError::InProgress))
    );
    assert_eq!(cluster.voters(2), (vec![1, 2, 3, 4], vec![]));
}

#[test]
fn a_leader_removes_itself_and_never_leads_again() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let ticket = cluster.change(1, vec![remove(1)]);
    cluster.run(100);
    assert!(cluster.is_changed(ticket));
    assert_ne!(cluster.role(1), RoleName::Leader);
    assert!(cluster.run_until(200, |cluster| cluster.leader().is_some_and(|id| id > 1)));
    let (leader, term) = (cluster.leader(), cluster.term(2));
    cluster.restart(1);
    for _ in 0..30 {
        cluster.run(1000);
        assert_ne!(cluster.role(1), RoleName::Leader);
    }
    assert_eq!(
        (cluster.leader(), cluster.term(2)),
        (leader, term),
        "nor does it disturb"
    );
}

#[test]
fn a_removed_server_that_does_not_know_it_disturbs_nobody() {
    let mut cluster = Cluster::new(4);
    cluster.elect(1);
    cluster.isolate(4);
    let ticket = cluster.change(1, vec![remove(4)]);
    cluster.run(500);
    assert!(cluster.is_changed(ticket));
    cluster.heal();
    for _ in 0..30 {
        cluster.run(1000);
        let done = cluster.propose(1, "x");
        assert!(cluster.is_done(done));
    }
    assert_eq!((cluster.leader(), cluster.term(1)), (Some(1), 1));
    assert_eq!(
        cluster.voters(4),
        (vec![1, 2, 3, 4], vec![]),
        "it still does not know"
    );
}

#[test]
fn a_restart_with_an_uncommitted_configuration_keeps_it_until_it_is_overwritten() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.isolate(1);
    cluster.change(1, vec![learn(4)]);
    cluster.restart(1);
    assert!(
        cluster.raft(1).membership().contains(NodeId(4)),
        "in the log is in force"
    );
    assert_eq!(cluster.raft(1).membership_index(), Index(2));
    cluster.elect(2);
    cluster.heal();
    cluster.run(500);
    assert!(!cluster.raft(1).membership().contains(NodeId(4)));
    cluster.restart(1);
    assert!(!cluster.raft(1).membership().contains(NodeId(4)));
}

/// 1 leads 1, 2 and 3; the joint configuration of a change from them to 2, 3 and 4 is in the logs
/// of 1 and 2 only.
fn half_way() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.change(1, vec![learn(4)]);
    cluster.run(500);
    cluster.isolate(3);
    cluster.isolate(4);
    cluster.change(1, vec![add(4), remove(1)]);
    cluster.run(200);
    for id in [1, 2] {
        assert_eq!(cluster.voters(id), (vec![2, 3, 4], vec![1, 2, 3]));
    }
    assert!(cluster.commit(1) < cluster.last(1));
    cluster
}

#[test]
fn a_new_leader_finishes_an_uncommitted_joint_configuration() {
    let mut cluster = half_way();
    cluster.crash(1);
    cluster.heal();
    assert!(cluster.run_until(30_000, |cluster| {
        cluster
            .leader()
            .is_some_and(|id| cluster.voters(id) == (vec![2, 3, 4], vec![]))
    }));
    cluster.run(500);
    for id in [2, 3, 4] {
        assert_eq!(cluster.voters(id), (vec![2, 3, 4], vec![]));
        assert_eq!(cluster.commit(id), cluster.last(2));
    }
}

#[test]
fn a_joint_configuration_that_nobody_else_has_is_rolled_back() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.change(1, vec![learn(4)]);
    cluster.run(500);
    cluster.isolate(1);
    let ticket = cluster.change(1, vec![add(4), remove(1)]);
    assert_eq!(cluster.voters(1), (vec![2, 3, 4], vec![1, 2, 3]));
    cluster.elect(2);
    cluster.heal();
    cluster.run(500);
    for id in 1..=4 {
        assert_eq!(cluster.voters(id), (vec![1, 2, 3], vec![]));
        assert!(
            cluster.raft(id).membership().contains(NodeId(4)),
            "as a learner"
        );
    }
    assert!(matches!(cluster.reply(ticket), Some(Reply::Unknown { .. })));
}

#[test]
fn a_removal_issued_at_an_isolated_stale_leader_loses_nothing() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    cluster.split(&[1, 2]);
    cluster.elect(3);
    let done = cluster.propose(3, "kept");
    assert!(cluster.is_done(done));
    assert_eq!(cluster.role(1), RoleName::Leader, "for all it knows");
    let ticket = cluster.change(1, vec![remove(3), remove(4), remove(5)]);
    cluster.run(5000);
    assert!(!cluster.is_changed(ticket));
    assert_eq!(cluster.commit(1), 1, "1 and 2 are no majority of the five");
    cluster.heal();
    cluster.run(2000);
    for id in 1..=5 {
        assert_eq!(cluster.voters(id), (vec![1, 2, 3, 4, 5], vec![]));
        assert_eq!(cluster.commands(id), ["kept"]);
    }
}

/// How far a change has come when it is taken back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Learning,
    CatchingUp,
    Joint,
    Settling,
}

/// 1, leading 1, 2 and 3, adds 4 and gets so far.
fn changing(until: Until) -> (Cluster, Ticket) {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    let deaf = |envelope: &Envelope| matches!(envelope.message, Message::AppendEntriesReply(_));
    match until {
        Until::Learning => cluster.lose(deaf),
        Until::CatchingUp => cluster.isolate(4),
        // The configuration with 4 as a learner, at 2, may be agreed to, but what follows not.
        Until::Joint => cluster.lose(|envelope| acknowledges(envelope, 3)),
        Until::Settling => cluster.lose(|envelope| acknowledges(envelope, 4)),
    }
    let ticket = cluster.change(1, vec![add(4)]);
    cluster.run(300);
    (cluster, ticket)
}

fn acknowledges(envelope: &Envelope, index: u64) -> bool {
    let Message::AppendEntriesReply(reply) = envelope.message else {
        return false;
    };
    matches!(reply.outcome, AppendOutcome::Matched(matched) if matched.0 >= index)
}

#[test]
fn a_change_is_taken_back_in_every_stage_but_the_last() {
    let halves = (vec![1, 2, 3, 4], vec![1, 2, 3]);
    for (until, voters) in [
        (Until::Learning, (vec![1, 2, 3], vec![])),
        (Until::CatchingUp, (vec![1, 2, 3], vec![])),
        (Until::Joint, halves),
        (Until::Settling, (vec![1, 2, 3, 4], vec![])),
    ] {
        let (mut cluster, ticket) = changing(until);
        assert_eq!(
            (cluster.voters(1), cluster.reply(ticket)),
            (voters, None),
            "{until:?}"
        );
        cluster.input(1, Event::AbortMembershipChange);
        cluster.heal();
        cluster.run(500);
        let (refusal, is_changed) = (cluster.refusal(ticket), cluster.is_changed(ticket));
        let ends = (
            cluster.raft(1).membership().contains(NodeId(4)),
            cluster.voters(1).1,
        );
        if until == Until::Settling {
            assert_eq!((refusal, is_changed, ends), (None, true, (true, vec![])));
        } else {
            let aborted = Some(Refusal::Aborted);
            assert_eq!(
                (refusal, is_changed, ends),
                (aborted, false, (false, vec![])),
                "{until:?}"
            );
        }
        assert_eq!(
            (cluster.leader(), cluster.commit(1)),
            (Some(1), cluster.last(1))
        );
    }
}

#[test]
fn a_member_that_does_not_catch_up_in_time_is_given_up() {
    let mut cluster = Cluster::with(3, |config| {
        config.membership_timeout = Duration::from_secs(5);
    });
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.crash(4);
    let ticket = cluster.change(1, vec![add(4)]);
    cluster.run(4900);
    assert_eq!(cluster.reply(ticket), None);
    cluster.run(500);
    assert_eq!(cluster.refusal(ticket), Some(Refusal::Aborted));
    assert!(!cluster.raft(2).membership().contains(NodeId(4)));
}

#[test]
fn a_blank_server_is_added_caught_up_and_promoted() {
    let mut cluster = Cluster::with(3, |config| config.catch_up_entries = 5);
    cluster.add_blank(4);
    cluster.elect(1);
    for number in 0..50 {
        cluster.propose(1, &format!("{number}"));
    }
    cluster.snapshot(1);
    cluster.compact(1, 30);
    cluster.stall(4, Lane::Disk);
    let ticket = cluster.change(1, vec![add(4)]);
    cluster.run(500);
    assert_eq!(
        cluster.voters(1),
        (vec![1, 2, 3], vec![]),
        "it still installs the snapshot"
    );
    cluster.unstall(4, Lane::Disk);
    cluster.run(500);
    assert_eq!(cluster.voters(1), (vec![1, 2, 3, 4], vec![]));
    assert!(cluster.is_changed(ticket));
    assert_eq!(cluster.commands(4), cluster.commands(1));
    // Now it counts: 1 and 2 are no majority of four, and with it they are one.
    cluster.crash(3);
    cluster.crash(4);
    let waits = cluster.propose(1, "x");
    assert!(!cluster.is_done(waits));
    cluster.restart(4);
    cluster.run(300);
    assert!(cluster.is_done(waits));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let cases = [
        (
            None,
            vec![remove(1), remove(2), remove(3)],
            ChangeError::NoVoterLeft,
        ),
        (None, vec![remove(9)], ChangeError::NotAMember(NodeId(9))),
        (
            None,
            vec![remove(2), add(2)],
            ChangeError::NamedTwice(NodeId(2)),
        ),
        (None, vec![add(2)], ChangeError::Nothing),
        (
            Some(Index(7)),
            vec![remove(2)],
            ChangeError::NotBasedOn(Index(0)),
        ),
    ];
    for (based_on, changes, reason) in cases {
        let ticket = cluster.ticket();
        cluster.input(
            1,
            Event::ChangeMembership {
                ticket,
                based_on,
                changes,
            },
        );
        assert_eq!(cluster.refusal(ticket), Some(Refusal::Change(reason)));
    }
    assert_eq!(cluster.last(1), 1, "nothing was done");
}

#[test]
fn a_second_change_is_refused_while_the_first_waits_for_a_member_to_catch_up() {
    let (mut cluster, first) = changing(Until::CatchingUp);
    assert_eq!(
        cluster.commit(1),
        cluster.last(1),
        "no configuration is uncommitted"
    );
    let second = cluster.change(1, vec![learn(5)]);
    assert_eq!(
        cluster.refusal(second),
        Some(Refusal::Change(ChangeError::InProgress))
    );
    assert_eq!(cluster.reply(first), None);
}

#[test]
fn new_voters_that_are_gone_do_not_bring_the_leader_down() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.add_blank(5);
    cluster.elect(1);
    cluster.change(1, vec![learn(4), learn(5)]);
    cluster.run(500);
    cluster.crash(4);
    cluster.crash(5);
    let ticket = cluster.change(1, vec![add(4), add(5), remove(2), remove(3)]);
    assert_eq!(cluster.voters(1), (vec![1, 4, 5], vec![1, 2, 3]));
    cluster.run(3000);
    assert_eq!((cluster.leader(), cluster.term(1)), (Some(1), 1));
    assert_eq!(cluster.refusal(ticket), Some(Refusal::Aborted));
    assert_eq!(cluster.voters(2), (vec![1, 2, 3], vec![]));
    let done = cluster.propose(1, "x");
    assert!(cluster.is_done(done));
}
