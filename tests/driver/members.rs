//! Changes of members and of the leader, as an operator asks for them.

use std::time::Duration;

use raft_core::driver::{ChangeRefused, NodeStatus, StopReason};
use raft_core::event::RoleName;
use raft_core::membership::ChangeError;
use raft_core::{Consistency, Index, Member, MemberChange, NodeConfig, NodeId};
use tokio::time::{Instant, timeout};

use crate::nodes::{Nodes, name};

fn learner(id: u64) -> MemberChange {
    MemberChange::Learner(NodeId(id), Member::at(name(id)))
}

fn voter(id: u64) -> MemberChange {
    MemberChange::Voter(NodeId(id), Member::at(name(id)))
}

const fn remove(id: u64) -> MemberChange {
    MemberChange::Remove(NodeId(id))
}

async fn join(nodes: &mut Nodes, id: u64) {
    let mut config = NodeConfig::joining(NodeId(id));
    config.lanes = raft_core::driver::Lanes::Inline;
    config.raft.seed = 1000 + id;
    nodes.start_with(config).await;
}

fn voters(status: &NodeStatus) -> Vec<u64> {
    status
        .core
        .membership
        .1
        .voters()
        .iter()
        .map(|id| id.0)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_learns_first_and_votes_then() {
    let mut nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.node(1).write("early").await.expect("written");
    join(&mut nodes, 4).await;
    // Asked for at a follower, it is passed on.
    let learning = nodes
        .node(2)
        .change_membership(vec![learner(4)], None)
        .await;
    let learning = learning.expect("changed");
    assert_eq!(voters(&nodes.status(1)), [1, 2, 3]);
    nodes.caught_up(4, 1).await;
    // The leader has noted meanwhile which storage the newcomer has: that is a configuration, too.
    let present = nodes.status(1).core.membership.0;
    let voting = nodes
        .node(1)
        .change_membership(vec![voter(4)], Some(present))
        .await;
    assert!(voting.expect("changed") > learning);
    assert_eq!(voters(&nodes.status(1)), [1, 2, 3, 4]);
    assert_eq!(nodes.lines(4).await, "early");
    nodes.node(4).write("late").await.expect("written");
    assert_eq!(nodes.lines(1).await, "early\nlate");
}

#[tokio::test(start_paused = true)]
async fn the_leader_can_be_removed_and_the_rest_goes_on() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.node(1).write("before").await.expect("written");
    let removed = nodes.node(1).change_membership(vec![remove(1)], None).await;
    removed.expect("changed");
    let leader = nodes.leader_among(&[2, 3]).await;
    assert_eq!(voters(&nodes.status(leader)), [2, 3]);
    nodes.node(leader).write("after").await.expect("written");
    assert_eq!(nodes.lines(5 - leader).await, "before\nafter");
    assert_ne!(nodes.status(1).core.role, RoleName::Leader);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_possible_is_refused_with_its_reason() {
    let mut nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.node(1).write("x").await.expect("written");
    join(&mut nodes, 4).await;
    let present = nodes.status(1).core.membership.0;
    let all = vec![remove(1), remove(2), remove(3)];
    for (wishes, based_on, error) in [
        (all, None, ChangeError::NoVoterLeft),
        (vec![remove(9)], None, ChangeError::NotAMember(NodeId(9))),
        (
            vec![voter(4), remove(4)],
            None,
            ChangeError::NamedTwice(NodeId(4)),
        ),
        (vec![], None, ChangeError::Nothing),
        (
            vec![remove(3)],
            Some(Index(77)),
            ChangeError::NotBasedOn(present),
        ),
    ] {
        // The same at the leader, and at a node that passes it on.
        for id in [1, 2] {
            let refused = nodes
                .node(id)
                .change_membership(wishes.clone(), based_on)
                .await;
            assert_eq!(refused, Err(ChangeRefused::Impossible(error)));
        }
    }
    let changed = nodes
        .node(1)
        .change_membership(vec![learner(4)], Some(present))
        .await;
    changed.expect("that was the present one");
}

#[tokio::test(start_paused = true)]
async fn a_change_can_be_taken_back_and_is_given_up_in_time() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    let wish = || {
        let node = nodes.node(1).clone();
        tokio::spawn(async move { node.change_membership(vec![voter(4)], None).await })
    };
    // Node 4 does not run, so it never catches up.
    let (began, first) = (Instant::now(), wish());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = nodes.node(1).change_membership(vec![remove(3)], None).await;
    let in_progress = ChangeError::InProgress;
    assert_eq!(second, Err(ChangeRefused::Impossible(in_progress)));
    nodes.node(1).abort_membership_change();
    assert_eq!(first.await.expect("answered"), Err(ChangeRefused::Aborted));
    assert!(began.elapsed() < Duration::from_secs(5));
    let (began, third) = (Instant::now(), wish());
    assert_eq!(third.await.expect("answered"), Err(ChangeRefused::Aborted));
    let span = began.elapsed();
    assert!(
        span >= Duration::from_secs(60) && span < Duration::from_secs(70),
        "{span:?}"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(voters(&nodes.status(1)), [1, 2, 3]);
    nodes.node(1).write("x").await.expect("written");
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_leader_is_lost_ends_as_unknown() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.net.isolate(&name(1));
    let began = Instant::now();
    let changed = nodes.node(1).change_membership(vec![remove(3)], None).await;
    assert_eq!(changed, Err(ChangeRefused::Unknown));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn leadership_goes_to_whom_it_is_given() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes
        .node(1)
        .transfer_leadership(Some(NodeId(2)))
        .await
        .expect("handed over");
    assert_eq!(nodes.leader().await, 2);
    // Passed on by one who does not lead.
    nodes
        .node(1)
        .transfer_leadership(Some(NodeId(3)))
        .await
        .expect("handed over");
    assert_eq!(nodes.leader().await, 3);
    nodes
        .node(3)
        .transfer_leadership(None)
        .await
        .expect("handed over");
    assert_ne!(nodes.leader().await, 3);
}

#[tokio::test(start_paused = true)]
async fn leadership_goes_to_nobody_who_can_not_have_it() {
    let mut nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    for target in [1, 9] {
        for id in [1, 2] {
            let refused = nodes
                .node(id)
                .transfer_leadership(Some(NodeId(target)))
                .await;
            assert_eq!(refused, Err(ChangeRefused::BadTarget));
        }
    }
    nodes.crash(3).await;
    let node = nodes.node(1).clone();
    let first = tokio::spawn(async move { node.transfer_leadership(Some(NodeId(3))).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = nodes.node(1).transfer_leadership(None).await;
    assert_eq!(second, Err(ChangeRefused::Transferring));
    // What comes meanwhile waits, here and at others, and is served in the end.
    let (here, there) = tokio::join!(nodes.node(1).write("x"), nodes.node(2).write("y"));
    here.expect("written");
    there.expect("written");
    assert_eq!(first.await.expect("answered"), Err(ChangeRefused::TimedOut));
    assert_eq!(nodes.leader().await, 1);
}

#[tokio::test(start_paused = true)]
async fn who_shuts_down_hands_over_first() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    let began = Instant::now();
    let reason = nodes.node(1).shutdown().await;
    assert!(matches!(reason, StopReason::Told), "{reason}");
    nodes.leader_among(&[2, 3]).await;
    assert!(
        began.elapsed() < Duration::from_millis(800),
        "{:?}",
        began.elapsed()
    );
    nodes.node(2).write("x").await.expect("written");
    let stopped = nodes.node(1).shutdown().await;
    assert!(
        matches!(stopped, StopReason::Told),
        "again, it does no harm"
    );
}

#[tokio::test(start_paused = true)]
async fn who_shuts_down_alone_does_not_wait_for_ever() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    nodes.net.isolate(&name(1));
    let shutdown = timeout(Duration::from_secs(5), nodes.node(1).shutdown()).await;
    assert!(matches!(shutdown.expect("in time"), StopReason::Told));
    nodes.leader_among(&[2, 3]).await;
    let single = Nodes::start(1).await;
    single.leader().await;
    let shutdown = timeout(Duration::from_secs(1), single.node(1).shutdown()).await;
    assert!(matches!(shutdown.expect("at once"), StopReason::Told));
}

#[tokio::test(start_paused = true)]
async fn an_order_to_campaign_is_followed_when_nobody_leads() {
    let nodes = Nodes::start(3).await;
    nodes.lead(1).await;
    let term = nodes.status(1).core.term;
    nodes.node(2).campaign();
    tokio::time::sleep(Duration::from_secs(5)).await;
    nodes
        .node(3)
        .barrier(Consistency::Linearizable)
        .await
        .expect("someone leads");
    assert!(nodes.status(1).core.term >= term);
}
