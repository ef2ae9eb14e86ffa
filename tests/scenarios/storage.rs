//! What the core makes of a disk that lost what it had promised.
//!
//! The disks here only lose; how files break and are read is the log's business.

use raft_core::event::{Observation, RoleName};
use raft_core::message::{PreVoteReply, RequestVoteReply};
use raft_core::{HardState, Index, Message, NodeId, Term};
use raft_tests::cluster::words::{append, at, blessed_vote, conflict, request_vote};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::votes;

#[test]
fn a_log_that_fell_back_is_not_believed_up_to_where_the_machine_is() {
    let mut cluster = Cluster::lone(3);
    // Entries 3 to 5 of term 3 had taken the place of those of term 1, and 3 and 4 were applied by
    // a machine with a disk of its own. Then the log fell back.
    cluster.rewrite(1, 1, &[1, 1, 1, 1, 1]);
    cluster.stall(1, Lane::Apply);
    cluster.restart_with(1, |recovered| {
        recovered.watermark.term = Term(3);
        recovered.watermark.index = Index(5);
        recovered.applied = Index(4);
    });
    assert!(cluster.raft(1).is_quarantined());
    cluster.forge(2, 1, 4, append(at(2, 1), &[3, 3, 3, 4], 6));
    assert_eq!(cluster.terms(1), [1, 1, 3, 3, 3, 4], "as its leader has it");
}

#[test]
fn a_single_server_acknowledges_only_what_is_on_its_disk() {
    let mut cluster = Cluster::new(1);
    cluster.elect(1);
    cluster.stall(1, Lane::Disk);
    let ticket = cluster.propose(1, "a");
    assert_eq!((cluster.commit(1), cluster.is_done(ticket)), (1, false));
    cluster.restart(1);
    cluster.unstall(1, Lane::Disk);
    cluster.run(3000);
    assert_eq!(
        (cluster.commands(1), cluster.terms(1)),
        (vec![], vec![1, 2]),
        "as if never asked"
    );
    let done = cluster.propose(1, "b");
    assert!(cluster.is_done(done));
    cluster.restart(1);
    cluster.run(3000);
    assert_eq!(cluster.commands(1), ["b"]);
}

#[test]
fn a_heartbeat_beyond_what_a_server_still_has_is_answered_and_quarantine_ends_in_time() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1, 1, 1, 1, 1], 5));
    cluster.crash(1);
    cluster.lose_after(1, 2);
    cluster.restart(1);
    assert!(cluster.raft(1).is_quarantined());
    cluster.take_sent();
    cluster.forge(2, 1, 1, append(at(5, 1), &[], 5));
    assert_eq!(cluster.commit(1), 0, "nothing of it is here");
    assert_eq!(cluster.take_sent_to(1, 2), [conflict(5, at(2, 1))]);
    cluster.forge(2, 1, 1, append(at(2, 1), &[1, 1], 5));
    assert!(cluster.raft(1).is_quarantined(), "one is still missing");
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, append(at(4, 1), &[1], 5));
    assert!(cluster.raft(1).is_quarantined(), "and not on the disk");
    cluster.persist(1);
    assert!(!cluster.raft(1).is_quarantined());
    assert_eq!(cluster.observed(1).last(), Some(&Observation::Released));
}

#[test]
fn a_server_in_quarantine_neither_votes_nor_campaigns() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let done = cluster.propose(1, "a");
    assert!(cluster.is_done(done));
    cluster.isolate(2);
    let done = cluster.propose(1, "b");
    assert!(cluster.is_done(done), "1 and 3 have it");
    cluster.crash(3);
    cluster.crash(1);
    cluster.heal();
    cluster.lose_after(3, 1);
    cluster.restart(3);
    // 2 and 3 are a majority, but what both have is not all that is committed.
    cluster.run(60_000);
    assert_eq!(cluster.leader(), None);
    cluster.campaign(3);
    assert_eq!((cluster.role(3), cluster.term(3)), (RoleName::Follower, 1));
    cluster.restart(1);
    assert!(cluster.run_until(20_000, |cluster| cluster.leader() == Some(1)));
    cluster.run(500);
    assert!(!cluster.raft(3).is_quarantined());
    assert!((1..=3).all(|id| cluster.commands(id) == ["a", "b"]));
}

#[test]
fn a_follower_that_lost_its_tail_is_believed_and_caught_up() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    for command in ["a", "b", "c"] {
        cluster.propose(1, command);
    }
    cluster.run(200);
    cluster.crash(3);
    cluster.lose_after(3, 1);
    cluster.restart(3);
    cluster.run(1000);
    assert_eq!(cluster.leader(), Some(1));
    assert_eq!(
        (cluster.terms(3), cluster.commands(3)),
        (vec![1; 4], vec!["a", "b", "c"])
    );
    assert!(!cluster.raft(3).is_quarantined());
}

#[test]
fn a_lost_vote_or_term_is_remembered_by_the_watermark() {
    for (term, vote) in [(3, None), (0, None), (2, Some(NodeId(3)))] {
        let mut cluster = Cluster::lone(3);
        cluster.forge(2, 1, 3, request_vote(at(0, 0)));
        cluster.take_sent();
        cluster.restart_with(1, |recovered| {
            recovered.hard_state = HardState {
                term: Term(term),
                vote,
            };
        });
        assert!(
            cluster.raft(1).is_quarantined(),
            "term {term}, vote {vote:?}"
        );
        let remembered = (cluster.term(1), cluster.raft(1).vote());
        assert_eq!(
            remembered,
            (3, Some(NodeId(2))),
            "term {term}, vote {vote:?}"
        );
        cluster.forge(3, 1, 3, request_vote(at(9, 3)));
        assert_eq!(
            votes(&mut cluster, 3),
            [false],
            "term {term}, vote {vote:?}"
        );
    }
}

#[test]
fn a_wiped_server_votes_for_nobody() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let done = cluster.propose(1, "a");
    cluster.isolate(2);
    let second = cluster.propose(1, "b");
    assert!(cluster.is_done(done) && cluster.is_done(second));
    cluster.crash(1);
    cluster.wipe(3);
    cluster.heal();
    cluster.take_sent();
    cluster.run(30_000);
    assert_eq!(cluster.leader(), None, "2 lacks what 1 and the old 3 had");
    cluster.pass(1000);
    cluster.forge(2, 3, 9, blessed_vote(at(9, 9)));
    let granted = cluster
        .take_sent_to(3, 2)
        .into_iter()
        .any(|message| match message {
            Message::PreVoteReply(PreVoteReply { granted, .. })
            | Message::RequestVoteReply(RequestVoteReply { granted }) => granted,
            Message::PreVote(_)
            | Message::RequestVote(_)
            | Message::AppendEntries(_)
            | Message::AppendEntriesReply(_)
            | Message::InstallSnapshot(_)
            | Message::InstallSnapshotReply(_)
            | Message::TimeoutNow
            | Message::ReadIndex(_)
            | Message::ReadIndexReply(_)
            | Message::StaleTerm
            | Message::WrongIncarnation => false,
        });
    assert!(!granted, "a server that nobody names has no vote");
}

#[test]
fn a_snapshot_that_is_ahead_of_the_log_after_a_crash_replaces_it() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 2, &[1, 1, 1, 1]);
    cluster.restart_with(1, |recovered| recovered.snapshot.last = at(3, 2));
    assert_eq!(
        (cluster.raft(1).base(), cluster.terms(1)),
        (at(3, 2), vec![])
    );
    assert_eq!(cluster.commit(1), 3);
}

#[test]
fn a_snapshot_or_an_entry_proves_the_term_it_came_in() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 2, &[1, 1]);
    cluster.restart_with(1, |recovered| recovered.snapshot.last = at(3, 4));
    assert_eq!((cluster.term(1), cluster.commit(1)), (4, 3));
    assert!(!cluster.raft(1).is_quarantined(), "nothing is missing");
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 5, &[1, 5]);
    cluster.restart_with(1, |recovered| recovered.hard_state = HardState::default());
    assert_eq!(cluster.term(1), 5);
}
