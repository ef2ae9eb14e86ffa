//! Snapshots that arrive late, fail, or meet changes of leaders and members.

use std::sync::Arc;

use raft_core::{Event, Index, Membership, NodeId, Position, SnapshotMeta};
use raft_tests::cluster::words::{append, at, learn, offer};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::acknowledged;

/// A follower that wants the snapshot up to 5 that 2, leader of term 2, offered.
fn receiving() -> (Cluster, Arc<Membership>) {
    let mut cluster = Cluster::lone(3);
    cluster.stall(1, Lane::Snapshot);
    let membership = Arc::clone(cluster.raft(1).membership());
    cluster.forge(2, 1, 2, offer(at(5, 1), &membership));
    assert_eq!(cluster.wanted(1), [(2, 5)]);
    (cluster, membership)
}

fn received(last: Position, membership: &Arc<Membership>) -> Event {
    let membership = Arc::clone(membership);
    Event::SnapshotReceived(Arc::new(SnapshotMeta {
        last,
        membership,
        membership_index: Index(0),
    }))
}

#[test]
fn a_stale_snapshot_changes_nothing() {
    let (mut cluster, membership) = receiving();
    cluster.forge(2, 1, 2, append(at(0, 0), &[1, 1, 1, 1, 1, 2], 6));
    assert_eq!(cluster.commit(1), 6, "the entries came another way");
    cluster.input(1, received(at(5, 1), &membership));
    assert_eq!(
        (cluster.commit(1), cluster.terms(1)),
        (6, vec![1, 1, 1, 1, 1, 2])
    );
    assert_eq!(cluster.commands(1).len(), 6);
}

#[test]
fn a_snapshot_of_a_prefix_keeps_what_was_acknowledged_after_it() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    for command in ["a", "b", "c"] {
        cluster.propose(1, command);
    }
    // 3 has all of it, and does not know that it is committed.
    assert_eq!((cluster.last(3), cluster.commit(3)), (4, 3));
    let membership = Arc::clone(cluster.raft(3).membership());
    cluster.forge(1, 3, 1, offer(at(3, 1), &membership));
    assert_eq!((cluster.last(3), cluster.wanted(3)), (4, vec![]));
    cluster.crash(2);
    cluster.restart(3);
    assert_eq!(cluster.terms(3), [1, 1, 1, 1]);
    cluster.run(300);
    assert_eq!(cluster.commands(3), ["a", "b", "c"]);
}

#[test]
fn a_snapshot_taken_while_a_configuration_is_uncommitted_does_not_hold_it() {
    let mut cluster = Cluster::new(3);
    cluster.add_blank(4);
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.isolate(1);
    cluster.change(1, vec![learn(4)]);
    assert!(cluster.raft(1).membership().contains(NodeId(4)));
    cluster.snapshot(1);
    cluster.compact(1, 2);
    cluster.elect(2);
    cluster.propose(2, "b");
    cluster.heal();
    cluster.run(500);
    assert!(
        !cluster.raft(1).membership().contains(NodeId(4)),
        "it was rolled back"
    );
    cluster.restart(1);
    assert!(
        !cluster.raft(1).membership().contains(NodeId(4)),
        "from the snapshot, too"
    );
    cluster.run(500);
    assert_eq!(cluster.commands(1), ["a", "b"]);
}

#[test]
fn a_transfer_is_cancelled_when_its_leader_is_lost_and_begins_anew_when_it_returns() {
    let (mut cluster, membership) = receiving();
    cluster.forge(3, 1, 3, append(at(0, 0), &[], 0));
    assert_eq!((cluster.cancelled(1), cluster.wanted(1)), (vec![5], vec![]));
    cluster.forge(2, 1, 4, offer(at(5, 1), &membership));
    assert_eq!(cluster.wanted(1), [(2, 5)]);
    // A failure of the old one, told late, would be taken for one of the new: it is only repeated.
    cluster.forge(2, 1, 4, offer(at(7, 4), &membership));
    assert_eq!(
        (cluster.cancelled(1), cluster.wanted(1)),
        (vec![5, 5], vec![(2, 7)])
    );
    cluster.input(1, Event::SnapshotFailed(Index(5)));
    assert_eq!(
        cluster.wanted(1),
        [(2, 7)],
        "the failure of what nobody wants"
    );
}

#[test]
fn a_repeated_offer_starts_no_second_transfer() {
    let (mut cluster, membership) = receiving();
    cluster.forge(2, 1, 2, offer(at(5, 1), &membership));
    cluster.forge(2, 1, 2, offer(at(5, 1), &membership));
    assert_eq!(
        (cluster.wanted(1), cluster.cancelled(1)),
        (vec![(2, 5)], vec![])
    );
}

#[test]
fn a_failed_transfer_is_tried_again() {
    let (mut cluster, membership) = receiving();
    cluster.input(1, Event::SnapshotFailed(Index(5)));
    cluster.forge(2, 1, 2, offer(at(5, 1), &membership));
    assert_eq!(
        cluster.wanted(1),
        [(2, 5), (2, 5)],
        "the same snapshot a second time"
    );
}

#[test]
fn a_leader_that_lost_its_snapshot_serves_the_next_one() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, "a");
    cluster.snapshot(1);
    cluster.compact(1, 2);
    cluster.lose_snapshots(1);
    cluster.heal();
    cluster.run(500);
    assert_eq!(cluster.commit(3), 0, "there is nothing to be had");
    cluster.propose(1, "b");
    cluster.snapshot(1);
    cluster.run(500);
    assert_eq!(cluster.commands(3), ["a", "b"]);
}

#[test]
fn a_server_restarts_twice_after_it_installed_a_snapshot() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(3);
    for command in ["a", "b", "c"] {
        cluster.propose(1, command);
    }
    cluster.snapshot(1);
    cluster.compact(1, 4);
    cluster.heal();
    cluster.run(300);
    cluster.propose(1, "d");
    cluster.run(300);
    for _ in 0..2 {
        cluster.restart(3);
        assert_eq!((cluster.raft(3).base(), cluster.last(3)), (at(4, 1), 5));
        assert!(!cluster.raft(3).is_quarantined());
        cluster.run(300);
        assert_eq!(cluster.commands(3), ["a", "b", "c", "d"]);
    }
}

#[test]
fn a_crash_between_receiving_a_snapshot_and_replacing_the_log_is_repaired() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, "a");
    cluster.snapshot(1);
    cluster.compact(1, 2);
    cluster.stall(3, Lane::Disk);
    cluster.heal();
    cluster.run(200);
    assert_eq!(cluster.unsynced(3), 1, "the log is to be replaced");
    cluster.restart(3);
    cluster.unstall(3, Lane::Disk);
    assert_eq!(
        (cluster.raft(3).base(), cluster.commands(3)),
        (at(2, 1), vec!["a"])
    );
    cluster.propose(1, "b");
    cluster.run(300);
    assert_eq!(cluster.commands(3), ["a", "b"]);
}

#[test]
fn writes_of_the_old_log_say_nothing_about_the_one_after_the_snapshot() {
    let (mut cluster, membership) = receiving();
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 2, append(at(0, 0), &[1, 1, 1, 1], 0));
    cluster.input(1, received(at(3, 2), &membership));
    cluster.forge(2, 1, 2, append(at(3, 2), &[2], 4));
    cluster.take_sent();
    assert_eq!((cluster.commit(1), cluster.unsynced(1)), (4, 3));
    cluster.persist_one(1);
    assert_eq!(
        cluster.raft(1).durable(),
        Index(0),
        "the entries written are discarded"
    );
    assert_eq!(acknowledged(&mut cluster, 2), [0; 0]);
}

#[test]
fn a_leader_keeps_the_snapshot_and_the_log_that_a_follower_fetches() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, "a");
    cluster.snapshot(1);
    cluster.compact(1, 2);
    cluster.stall(3, Lane::Snapshot);
    cluster.heal();
    cluster.run(200);
    cluster.propose(1, "b");
    cluster.snapshot(1);
    cluster.compact(1, 3);
    assert_eq!(
        cluster.raft(1).base(),
        at(2, 1),
        "3 will need what follows 2"
    );
    cluster.unstall(3, Lane::Snapshot);
    cluster.run(200);
    assert_eq!(cluster.commands(3), ["a", "b"]);
    cluster.compact(1, 3);
    assert_eq!(cluster.raft(1).base(), at(3, 1));
}

#[test]
fn a_follower_that_died_while_it_fetched_pins_nothing_for_ever() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, "a");
    cluster.snapshot(1);
    cluster.compact(1, 2);
    cluster.stall(3, Lane::Snapshot);
    cluster.heal();
    cluster.run(200);
    cluster.crash(3);
    cluster.propose(1, "b");
    cluster.snapshot(1);
    cluster.run(1000);
    cluster.compact(1, 3);
    assert_eq!(cluster.raft(1).base(), at(2, 1), "it may come back");
    cluster.run(1500);
    cluster.compact(1, 3);
    assert_eq!(cluster.raft(1).base(), at(3, 1));
    cluster.unstall(3, Lane::Snapshot);
    cluster.restart(3);
    cluster.run(500);
    assert_eq!(cluster.commands(3), ["a", "b"], "by the newer snapshot");
}

#[test]
fn a_snapshot_that_ends_below_the_compacted_log_is_not_fetched() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1, 1, 1, 1], 4));
    cluster.snapshot(1);
    cluster.compact(1, 4);
    cluster.stall(1, Lane::Snapshot);
    let membership = Arc::clone(cluster.raft(1).membership());
    cluster.forge(2, 1, 1, offer(at(2, 1), &membership));
    assert_eq!((cluster.wanted(1), cluster.last(1)), (vec![], 4));
}
