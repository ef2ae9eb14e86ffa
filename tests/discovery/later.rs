//! Nodes that come to a cluster at work, or come back to it.

use raft_core::driver::ChangeRefused;
use raft_core::membership::ChangeError;
use raft_core::{MemberChange, NodeId};
use raft_net::discovery::{Assembled, Founders, Seeds};

use crate::newcomer::{Newcomer, cluster, listed, plan};

#[tokio::test]
async fn a_fourth_joins_by_any_member_with_the_same_command_line() {
    let (nodes, list) = cluster().await;
    let leader = nodes[0].leader().await;
    let follower = nodes
        .iter()
        .find(|node| node.me.id != leader)
        .expect("three");
    let mut fourth = Newcomer::new(4).await;
    let assembled = fourth.come(listed(&list)).await.expect("joined");
    assert!(
        matches!(assembled, Some(Assembled::Join { .. })),
        "{assembled:?}"
    );
    fourth.voters(&[1, 2, 3, 4]).await;

    // And a fifth that knows only a follower.
    let mut fifth = Newcomer::new(5).await;
    let seeds = Seeds::at([follower.me.address.clone()]);
    let assembled = fifth
        .come(plan(seeds, Founders::Expect(3)))
        .await
        .expect("joined");
    let Some(Assembled::Join { via, membership }) = assembled else {
        panic!("{assembled:?}");
    };
    assert_eq!(via, follower.me.id);
    assert!(membership.contains(leader));
    fifth.voters(&[1, 2, 3, 4, 5]).await;
    let again = fifth.ask_to_join(via, false).await;
    assert_eq!(again, None, "it belongs to the cluster already");
    assert_eq!(fifth.node().write("y").await.expect("at work"), "2");
}

#[tokio::test]
async fn a_node_that_an_operator_has_added_needs_to_ask_for_nothing() {
    let (nodes, list) = cluster().await;
    let mut fourth = Newcomer::new(4).await;
    let (id, address) = fourth.entry();
    let learner = MemberChange::Learner(id, raft_core::Member::at(address));
    let changes = vec![learner];
    // A young cluster may still be busy writing incarnations down.
    loop {
        let added = nodes[0]
            .node()
            .change_membership(changes.clone(), None)
            .await;
        match added {
            Ok(_) => break,
            Err(ChangeRefused::Impossible(ChangeError::InProgress)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let assembled = fourth.come(listed(&list)).await.expect("found");
    assert!(
        matches!(assembled, Some(Assembled::Added { .. })),
        "{assembled:?}"
    );
    let mut watch = fourth.node().watch_status();
    let caught_up = watch.until(|status| status.core.membership.1.contains(id));
    let status = caught_up.await.expect("it runs");
    assert!(
        !status.core.membership.1.is_voter(id),
        "it stays what the operator made it"
    );
}

#[tokio::test]
async fn a_member_at_another_address_is_found_again_and_may_have_it_written_down() {
    let (nodes, list) = cluster().await;
    let [first, second, mut third] = nodes;
    third.restart("127.0.0.1:0").await;
    assert_ne!(third.me.address, list[2].1);
    let assembled = third.come(listed(&list)).await.expect("started");
    assert_eq!(assembled, None, "its store knows its cluster");
    third.leader().await;
    assert_eq!(third.node().write("y").await.expect("at work"), "2");

    assert!(third.ask_to_join(first.me.id, false).await.is_some());
    let expected = third.me.address.clone();
    for node in [&first, &second, &third] {
        let mut watch = node.node().watch_status();
        let known = watch.until(|status| {
            let member = status.core.membership.1.get(NodeId(3));
            member.is_some_and(|member| member.address == expected)
        });
        known.await.expect("it runs");
    }
}

#[tokio::test]
async fn a_node_that_was_stopped_in_the_middle_of_joining_finds_its_way_again() {
    let (_nodes, list) = cluster().await;
    let mut fourth = Newcomer::new(4).await;
    let assembled = fourth.start(listed(&list)).await.expect("found");
    assert!(
        matches!(assembled, Some(Assembled::Join { .. })),
        "{assembled:?}"
    );
    fourth.restart("127.0.0.1:0").await;
    let assembled = fourth.come(listed(&list)).await.expect("started");
    assert_eq!(assembled, None, "its store is not new any more");
    assert!(fourth.node().status().core.membership.1.is_blank());
    let via = fourth.find(Seeds::at([list[1].1.clone()])).await;
    assert_eq!(via, list[1].0);
    assert!(fourth.ask_to_join(via, false).await.is_some());
    fourth.voters(&[1, 2, 3, 4]).await;
}
