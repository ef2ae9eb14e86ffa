//! Log compaction (Raft §7).

use std::sync::Arc;

use raft_core::message::SnapshotStatus;
use raft_core::{Event, Index, Membership, Message, SnapshotMeta};
use raft_tests::cluster::words::{append, at, learn, offer};
use raft_tests::cluster::{Cluster, Lane};

use crate::roster::absent;
use crate::stage::leader_of;

/// Server 1 of three, which are its voters, with a log of these terms.
fn follower(terms: &[u64]) -> (Cluster, Arc<Membership>) {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 2, terms);
    cluster.stall(1, Lane::Snapshot);
    let membership = Arc::clone(cluster.raft(1).membership());
    (cluster, membership)
}

/// Three servers, 3 being cut off; 1 leads, and has dropped most of its log.
fn compacted() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(3);
    for command in ["a", "b", "c", "d"] {
        cluster.propose(1, command);
    }
    cluster.snapshot(1);
    cluster.compact(1, 5);
    assert_eq!(cluster.raft(1).base(), at(5, 1));
    cluster
}

// §7: the leader sends a snapshot when it has discarded the next entry that a follower needs.
#[test]
fn a_follower_far_behind_gets_the_snapshot_and_then_the_log() {
    let mut cluster = compacted();
    cluster.propose(1, "e");
    cluster.heal();
    cluster.run(300);
    assert_eq!(cluster.commands(3), ["a", "b", "c", "d", "e"]);
    assert_eq!((cluster.raft(3).base(), cluster.last(3)), (at(5, 1), 6));
    cluster.restart(3);
    cluster.run(300);
    assert_eq!(cluster.commands(3), ["a", "b", "c", "d", "e"]);
}

// §7: if the follower has an entry with the snapshot's last index and term, what follows it stays.
#[test]
fn a_snapshot_of_a_prefix_keeps_the_suffix() {
    let (mut cluster, membership) = follower(&[1, 1, 1, 2]);
    cluster.forge(2, 1, 3, offer(at(2, 1), &membership));
    assert_eq!((cluster.terms(1), cluster.commit(1)), (vec![1, 1, 1, 2], 2));
    assert_eq!(cluster.wanted(1), [], "it has all of it");
    let answers = cluster
        .take_sent_to(1, 2)
        .into_iter()
        .filter_map(|message| {
            let Message::InstallSnapshotReply(reply) = message else {
                return None;
            };
            Some(reply.status)
        });
    assert_eq!(
        answers.collect::<Vec<_>>(),
        [SnapshotStatus::Matched(Index(2))]
    );
    // One that was fetched all the same changes nothing either.
    let last = at(3, 1);
    let meta = SnapshotMeta {
        last,
        membership,
        membership_index: Index(0),
    };
    cluster.input(1, Event::SnapshotReceived(Arc::new(meta)));
    assert_eq!((cluster.terms(1), cluster.commit(1)), (vec![1, 1, 1, 2], 3));
}

// §7: otherwise the whole log is discarded; it is all superseded by the snapshot, or conflicts.
#[test]
fn a_snapshot_replaces_a_log_that_conflicts_or_falls_short() {
    for (terms, last) in [
        (vec![1, 1, 1, 1], at(3, 2)),
        (vec![1, 1], at(3, 1)),
        (vec![], at(9, 2)),
    ] {
        let (mut cluster, membership) = follower(&terms);
        cluster.stall(1, Lane::Disk);
        cluster.forge(2, 1, 3, offer(last, &membership));
        assert_eq!(
            cluster.wanted(1),
            [(2, last.index.0)],
            "{last} for {terms:?}"
        );
        let meta = SnapshotMeta {
            last,
            membership,
            membership_index: Index(0),
        };
        cluster.input(1, Event::SnapshotReceived(Arc::new(meta)));
        assert_eq!((cluster.raft(1).base(), cluster.terms(1)), (last, vec![]));
        assert_eq!(cluster.commit(1), last.index.0);
    }
}

// §7: a snapshot stands for committed entries; what is committed is never taken back.
#[test]
fn a_snapshot_never_rolls_back() {
    let (mut cluster, membership) = follower(&[1, 1, 1, 2]);
    cluster.forge(2, 1, 2, append(at(4, 2), &[], 4));
    cluster.forge(2, 1, 2, offer(at(2, 1), &membership));
    assert_eq!(
        (cluster.commit(1), cluster.last(1), cluster.wanted(1)),
        (4, 4, vec![])
    );
    assert_eq!(cluster.commands(1), ["1t1", "2t1", "3t1", "4t2"]);
}

// §7: the snapshot holds the latest configuration as of its last included index.
#[test]
fn a_snapshot_holds_the_configuration_of_its_last_entry() {
    let mut cluster = leader_of(3);
    absent(&mut cluster, &[4]);
    let before = Arc::clone(cluster.raft(1).membership());
    cluster.change(1, vec![learn(4)]);
    let meta = cluster
        .raft(1)
        .snapshot_meta(Index(1))
        .expect("it is committed");
    assert_eq!((meta.last, meta.membership_index), (at(1, 1), Index(0)));
    assert_eq!(
        meta.membership, before,
        "the later one may yet be rolled back"
    );
    assert_eq!(
        cluster.raft(1).snapshot_meta(Index(2)),
        None,
        "not committed"
    );
}

// §7: servers take snapshots of what is committed, and discard only what one stands for.
#[test]
fn the_log_is_dropped_only_up_to_the_snapshot() {
    let mut cluster = Cluster::new(1);
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.compact(1, 2);
    assert_eq!(
        cluster.raft(1).base(),
        at(0, 0),
        "no snapshot stands for it"
    );
    cluster.snapshot(1);
    cluster.propose(1, "b");
    cluster.compact(1, 3);
    assert_eq!(
        (cluster.raft(1).base(), cluster.terms(1)),
        (at(2, 1), vec![1])
    );
}

// §7 with our contract: the machine is not replaced while the old log could still come back.
#[test]
fn a_snapshot_is_restored_only_after_it_has_replaced_the_log() {
    let mut cluster = compacted();
    cluster.stall(3, Lane::Disk);
    cluster.heal();
    cluster.run(300);
    assert_eq!((cluster.commit(3), cluster.commands(3)), (5, vec![]));
    cluster.unstall(3, Lane::Disk);
    assert_eq!(cluster.commands(3), ["a", "b", "c", "d"]);
}
