//! Reads, and the time that their leases trust in.

use raft_core::event::RoleName;
use raft_core::message::AppendOutcome;
use raft_core::{ClockDrift, Envelope, Message};
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
