//! Elections and transfers of leadership under half-broken networks.

use std::time::Duration;

use raft_core::event::{Observation, Refusal, RoleName};
use raft_core::{Event, Message, NodeId, Reply};
use raft_tests::cluster::words::{append, at, learn, pre_vote, request_vote};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::{acknowledged, votes};

#[test]
fn a_follower_cut_off_from_the_leader_only_disturbs_nobody() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.cut(1, 3);
    for _ in 0..30 {
        cluster.run(1000);
        let done = cluster.propose(1, "x");
        assert!(cluster.is_done(done), "writes go on");
    }
    assert_eq!(
        (cluster.leader(), cluster.term(2), cluster.term(3)),
        (Some(1), 1, 1)
    );
    cluster.heal();
    cluster.run(5000);
    assert_eq!((cluster.leader(), cluster.term(3)), (Some(1), 1));
    assert_eq!(cluster.commands(3).len(), 30);
}

#[test]
fn two_servers_at_the_far_edge_of_a_ring_do_not_destabilise_it() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    for (a, b) in [(1, 3), (1, 4), (2, 4), (2, 5), (3, 5)] {
        cluster.cut(a, b);
    }
    for _ in 0..30 {
        cluster.run(1000);
        let done = cluster.propose(1, "x");
        assert!(cluster.is_done(done), "1, 2 and 5 are a majority");
    }
    assert_eq!(cluster.leader(), Some(1));
    assert!((1..=5).all(|id| cluster.term(id) == 1));
}

#[test]
fn a_leader_that_sends_but_does_not_receive_steps_down() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.cut_one_way(2, 1);
    cluster.cut_one_way(3, 1);
    cluster.run(1900);
    assert_eq!(cluster.leader(), Some(1));
    cluster.run(200);
    assert_ne!(cluster.role(1), RoleName::Leader);
    let recovered = cluster.run_until(10_000, |cluster| cluster.leader().is_some());
    let leader = cluster.leader();
    assert!(recovered && leader != Some(1), "{leader:?}");
    let done = cluster.propose(leader.expect("one leads"), "x");
    assert!(cluster.is_done(done));
}

#[test]
fn a_leader_that_only_some_lost_is_replaced_although_one_still_believes_in_it() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    for id in [3, 4, 5] {
        cluster.cut(1, id);
    }
    cluster.run(1000);
    cluster.take_sent();
    cluster.campaign(3);
    let answers = cluster.take_sent().into_iter().filter_map(|envelope| {
        let Message::PreVoteReply(reply) = envelope.message else {
            return None;
        };
        Some((envelope.from.0, reply.granted))
    });
    assert_eq!(
        answers.collect::<Vec<_>>(),
        [(2, false), (4, true), (5, true)]
    );
    assert_eq!(cluster.leader(), Some(3));
    assert!(
        cluster.raft(2).leader() == Some(NodeId(3)),
        "it follows the later term"
    );
}

#[test]
fn a_server_that_lost_its_leader_would_vote_before_it_gives_it_up() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[], 0));
    cluster.pass(1000);
    cluster.take_sent();
    cluster.forge(3, 1, 1, pre_vote(at(0, 0)));
    let answer = cluster.take_sent_to(1, 3).pop();
    assert_eq!(
        cluster.raft(1).leader(),
        Some(NodeId(2)),
        "its own timeout is longer"
    );
    assert!(matches!(answer, Some(Message::PreVoteReply(reply)) if reply.granted));
}

#[test]
fn the_old_leader_is_heard_while_its_successor_campaigns() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.hold(|envelope| matches!(envelope.message, Message::RequestVote(_)));
    let ticket = cluster.transfer(1, 2);
    assert_eq!((cluster.role(2), cluster.term(2)), (RoleName::Candidate, 2));
    cluster.forge(1, 2, 1, append(at(1, 1), &[], 1));
    assert_eq!((cluster.role(2), cluster.term(2)), (RoleName::Candidate, 2));
    assert!(cluster.leader().is_none_or(|id| id == 1));
    let requests = cluster.take_held();
    cluster.heal();
    for request in requests {
        cluster.deliver(request);
    }
    cluster.settle();
    assert_eq!(cluster.leader(), Some(2));
    assert!(matches!(
        cluster.reply(ticket),
        Some(Reply::Transferred { .. })
    ));
}

#[test]
fn the_old_leader_is_heard_while_the_disk_of_its_successor_is_busy() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.stall(2, Lane::Disk);
    cluster.transfer(1, 2);
    cluster.run(500);
    assert_eq!(
        (cluster.leader(), cluster.role(2)),
        (Some(1), RoleName::Candidate)
    );
    cluster.unstall(2, Lane::Disk);
    cluster.run(1000);
    assert_eq!(cluster.leader(), Some(2));
}

#[test]
fn after_an_interrupted_transfer_the_old_leader_accepts_proposals_again() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.lose(|envelope| envelope.message == Message::TimeoutNow);
    let ticket = cluster.transfer(1, 2);
    let refused = cluster.propose(1, "during");
    assert_eq!(cluster.refusal(refused), Some(Refusal::Transferring));
    cluster.isolate(1);
    cluster.run(2100);
    assert_ne!(cluster.role(1), RoleName::Leader, "interrupted for good");
    assert!(cluster.reply(ticket).is_some());
    cluster.heal();
    cluster.run(5000);
    cluster.elect(1);
    let done = cluster.propose(1, "after");
    assert!(cluster.is_done(done));
}

#[test]
fn a_vote_that_was_lost_with_the_power_was_never_given() {
    let mut cluster = Cluster::lone(3);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    assert_eq!(cluster.take_sent(), [], "it waits for the disk");
    cluster.restart(1);
    cluster.unstall(1, Lane::Disk);
    cluster.forge(3, 1, 1, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 3), [true]);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 2), [false]);
}

#[test]
fn a_vote_on_the_disk_counts_although_its_server_did_not_live_to_send_it() {
    let mut cluster = Cluster::lone(3);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    cluster.sync_unheard(1);
    cluster.restart(1);
    cluster.unstall(1, Lane::Disk);
    cluster.forge(3, 1, 1, request_vote(at(0, 0)));
    assert_eq!(votes(&mut cluster, 3), [false]);
}

#[test]
fn a_vote_is_not_sent_when_an_older_write_is_done() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1], 0));
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, append(at(1, 1), &[1], 0));
    cluster.pass(1000);
    cluster.take_sent();
    cluster.forge(3, 1, 2, request_vote(at(9, 1)));
    assert_eq!(cluster.unsynced(1), 2);
    cluster.persist_one(1);
    assert!(
        votes(&mut cluster, 3).is_empty(),
        "term and vote are in the second write"
    );
    cluster.persist_one(1);
    assert_eq!(votes(&mut cluster, 3), [true]);
}

#[test]
fn a_held_vote_of_an_old_term_is_never_sent() {
    let mut cluster = Cluster::lone(3);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, request_vote(at(0, 0)));
    cluster.forge(3, 1, 2, request_vote(at(0, 0)));
    cluster.persist(1);
    let sent = cluster.take_sent();
    assert!(
        sent.iter()
            .all(|envelope| (envelope.to, envelope.term.0) == (NodeId(3), 2))
    );
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_later_leader_is_heard_while_entries_are_on_their_way_to_the_disk() {
    let mut cluster = Cluster::lone(3);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1, 1], 0));
    cluster.forge(3, 1, 2, append(at(0, 0), &[], 0));
    cluster.persist_one(1);
    assert_eq!(cluster.take_sent(), [], "term 2 is not on the disk yet");
    cluster.persist(1);
    assert_eq!(
        acknowledged(&mut cluster, 3),
        [0],
        "what 2 sent is not what 3 has"
    );
    assert_eq!(cluster.terms(1), [1, 1], "until 3 sends something else");
    cluster.forge(3, 1, 2, append(at(1, 1), &[2], 0));
    assert_eq!(cluster.terms(1), [1, 2]);
}

#[test]
fn a_server_is_not_told_to_campaign_against_a_leader_it_hears() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.take_sent();
    cluster.input(2, Event::Campaign);
    assert_eq!(cluster.take_sent(), [], "it has promised not to");
    assert_eq!((cluster.leader(), cluster.term(2)), (Some(1), 1));
}

#[test]
fn a_learner_and_a_blank_server_never_campaign() {
    let mut cluster = Cluster::new(1);
    cluster.add_blank(2);
    cluster.add_blank(3);
    cluster.elect(1);
    cluster.change(1, vec![learn(2)]);
    cluster.run(500);
    cluster.crash(1);
    cluster.run(30_000);
    cluster.input(2, Event::Campaign);
    for id in [2, 3] {
        assert_eq!(cluster.role(id), RoleName::Follower);
    }
    assert_eq!((cluster.term(2), cluster.term(3)), (1, 0));
}

#[test]
fn a_follower_with_a_stuck_disk_leaves_campaigns_to_others() {
    let mut cluster = Cluster::with(3, |config| config.write_stall_max = Duration::from_secs(1));
    cluster.elect(1);
    cluster.stall(2, Lane::Disk);
    cluster.propose(1, "x");
    cluster.crash(1);
    cluster.crash(3);
    for _ in 0..200 {
        cluster.run(50);
        assert_eq!(cluster.role(2), RoleName::Follower);
    }
    cluster.restart(3);
    assert!(
        !cluster.run_until(10_000, |cluster| cluster.leader().is_some()),
        "2 can't vote"
    );
    cluster.unstall(2, Lane::Disk);
    assert!(cluster.run_until(10_000, |cluster| cluster.leader().is_some()));
}

#[test]
fn a_learner_does_not_take_over_whoever_says_so() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.change(1, vec![learn(4)]);
    cluster.run(500);
    let ticket = cluster.transfer(1, 4);
    assert_eq!(cluster.refusal(ticket), Some(Refusal::BadTarget));
    cluster.forge(1, 4, 1, Message::TimeoutNow);
    assert_eq!((cluster.role(4), cluster.term(4)), (RoleName::Follower, 1));
}

#[test]
fn no_member_is_changed_while_leadership_moves() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.lose(|envelope| envelope.message == Message::TimeoutNow);
    cluster.transfer(1, 2);
    let ticket = cluster.change(1, vec![learn(4)]);
    assert_eq!(cluster.refusal(ticket), Some(Refusal::Transferring));
    assert_eq!(cluster.last(1), 1);
}

#[test]
fn a_dead_voter_is_no_successor_however_much_it_has() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.cut(1, 2);
    cluster.propose(1, "x");
    cluster.join(1, 2);
    cluster.cut(1, 3);
    cluster.lose(|envelope| {
        let Message::AppendEntries(append) = &envelope.message else {
            return false;
        };
        !append.entries.is_empty()
    });
    cluster.run(1200);
    let ticket = cluster.ticket();
    cluster.input(
        1,
        Event::TransferLeadership {
            ticket,
            target: None,
        },
    );
    let started = cluster.observed(1).iter().rev().find_map(|seen| {
        let Observation::TransferStarted { target } = seen else {
            return None;
        };
        Some(target.0)
    });
    assert_eq!(
        started,
        Some(2),
        "3 had all of it, and has not been heard from since"
    );
}
