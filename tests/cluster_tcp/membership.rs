//! Members come and go while clients write.

use std::collections::BTreeSet;

use raft_core::driver::{ChangeRefused, NodeStatus, WriteError};
use raft_core::event::RoleName;
use raft_core::membership::ChangeError;
use raft_core::{Incarnation, Member, MemberChange, NodeId};

use crate::cluster::{Cluster, PATIENCE};
use crate::load::{Load, put};

/// Has members changed by whichever of these leads, however often that changes.
async fn change(cluster: &Cluster, ids: &[u64], changes: Vec<MemberChange>) {
    let change = async {
        loop {
            let at = cluster.leader_among(ids).await;
            let changed = cluster
                .node(at)
                .change_membership(changes.clone(), None)
                .await;
            match changed {
                // Nothing left to do: an earlier attempt, whose outcome was unknown, came about.
                Ok(_) | Err(ChangeRefused::Impossible(ChangeError::Nothing)) => return,
                Err(
                    ChangeRefused::NotLeader { .. }
                    | ChangeRefused::Unknown
                    | ChangeRefused::Aborted
                    | ChangeRefused::Impossible(ChangeError::InProgress),
                ) => {}
                Err(error) => panic!("{changes:?}: {error}\n{}", cluster.said()),
            }
        }
    };
    let changed = tokio::time::timeout(PATIENCE, change).await;
    assert!(
        changed.is_ok(),
        "the members don't change:\n{}",
        cluster.said()
    );
}

fn voter(cluster: &Cluster, id: u64) -> MemberChange {
    MemberChange::Voter(NodeId(id), Member::at(cluster.address(id)))
}

fn voters(cluster: &Cluster, id: u64) -> Vec<u64> {
    let membership = &cluster.status(id).core.membership.1;
    membership.voters().iter().map(|id| id.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_become_five_and_three_again_without_their_leader_while_clients_write() {
    let cluster = Cluster::start(3).await;
    cluster.leader().await;
    let load = Load::start(&cluster, 3);
    cluster.restart(4).await;
    cluster.restart(5).await;
    let more = vec![voter(&cluster, 4), voter(&cluster, 5)];
    change(&cluster, &[1, 2, 3], more).await;
    let leader = cluster.leader().await;
    assert_eq!(voters(&cluster, leader), [1, 2, 3, 4, 5]);

    // The leader itself goes, and one of the others.
    let other = cluster.up().into_iter().find(|id| *id != leader);
    let gone = [leader, other.expect("five are up")];
    let removals = gone.iter().map(|id| MemberChange::Remove(NodeId(*id)));
    let all = [1, 2, 3, 4, 5];
    change(&cluster, &all, removals.collect()).await;
    for id in gone {
        cluster.kill(id).await;
    }
    let next = cluster.leader().await;
    assert_ne!(next, leader);
    let left: Vec<_> = (1..=5).filter(|id| !gone.contains(id)).collect();
    assert_eq!(voters(&cluster, next), left);

    // Those who are left can do without one of them.
    cluster.kill(next).await;
    cluster.leader().await;
    cluster.restart(next).await;
    let tally = load.stop().await;
    assert!(!tally.acknowledged.is_empty(), "nothing was written");
    cluster.agree(&left, &tally.acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_under_its_old_id_does_not_vote_and_says_so() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    // The leader binds each member to the life of its storage that it meets first.
    let are_bound = |status: &NodeStatus| {
        let membership = &status.core.membership.1;
        let is_bound = |id| !membership.accepts(NodeId(id), Incarnation(1));
        (1..=3).all(is_bound) && status.core.commit == status.core.last.index
    };
    cluster.until("all are bound", leader, are_bound).await;
    let written = cluster.node(leader).write(put((1, 1))).await;
    written.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
    let leader = cluster.leader().await;
    let others: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
    let (wiped, other) = (others[0], others[1]);
    cluster.agree(&[1, 2, 3], &BTreeSet::from([(1, 1)])).await;

    cluster.kill(wiped).await;
    cluster.wipe(wiped);
    cluster.found_again(wiped).await;
    let what = "it knows that it is another life";
    cluster
        .until(what, wiped, |status| status.is_other_life)
        .await;

    // Without the leader a vote of the wiped node would be needed, and must not be had.
    cluster.kill(leader).await;
    let written = cluster.node(other).write(put((1, 2))).await;
    let error = written.expect_err("two of three have lost what was acknowledged");
    assert!(matches!(
        error,
        WriteError::NotLeader { .. } | WriteError::Unknown
    ));
    for id in others {
        assert_ne!(cluster.status(id).core.role, RoleName::Leader, "node {id}");
    }

    // Removed and added anew, it is a member like any other.
    cluster.restart(leader).await;
    let two = [leader, other];
    change(&cluster, &two, vec![MemberChange::Remove(NodeId(wiped))]).await;
    change(&cluster, &two, vec![voter(&cluster, wiped)]).await;
    let what = "it is not another life any more";
    cluster
        .until(what, wiped, |status| !status.is_other_life)
        .await;
    cluster.agree(&[1, 2, 3], &BTreeSet::from([(1, 1)])).await;
}
