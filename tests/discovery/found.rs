//! How clusters are founded, and when they are not.

use std::time::Duration;

use raft_core::NodeId;
use raft_net::discovery::{Assembled, DiscoveryError, Founders, Seeds};
use tokio::time::sleep;

use crate::newcomer::{Newcomer, cluster, listed, name_server, newcomers, plan};

#[tokio::test]
async fn three_with_the_same_list_found_though_one_is_late() {
    let (mut nodes, list) = newcomers::<3>().await;
    let [first, second, third] = &mut nodes;
    let late = async {
        // However often they ask it in vain, the others must not found without it.
        while third.net.counters().dropped_unknown_group < 4 {
            sleep(Duration::from_millis(20)).await;
        }
        third.come(listed(&list)).await
    };
    let come = tokio::join!(second.come(listed(&list)), first.come(listed(&list)), late);
    for assembled in [come.0, come.1, come.2] {
        assert_eq!(
            assembled.expect("founded"),
            Some(Assembled::Found(list.clone()))
        );
    }
    let leader = nodes[0].leader().await;
    assert!((1..=3).contains(&leader.0));
    for node in &nodes {
        node.voters(&[1, 2, 3]).await;
    }
    let answer = nodes[1].node().write("x").await;
    assert_eq!(answer.expect("at work"), "1");
}

#[tokio::test]
async fn three_that_are_expected_find_each_other_by_name() {
    let (mut nodes, list) = newcomers::<4>().await;
    let addresses: Vec<_> = nodes.iter().map(|node| node.net.local_address()).collect();
    let resolver = name_server(addresses[..3].to_vec()).await;
    let mut seeds = Seeds::service("_raft._tcp.example.org");
    seeds.resolver = resolver;
    let the_plan = plan(seeds, Founders::Expect(3));
    let [first, second, third, fourth] = &mut nodes;
    let come = tokio::join!(
        third.come(the_plan.clone()),
        first.come(the_plan.clone()),
        second.come(the_plan.clone()),
    );
    for assembled in [come.0, come.1, come.2] {
        let founders = list[..3].to_vec();
        assert_eq!(
            assembled.expect("founded"),
            Some(Assembled::Found(founders))
        );
    }
    // One more with the very same command line.
    let assembled = fourth.come(the_plan).await.expect("joined");
    assert!(
        matches!(assembled, Some(Assembled::Join { .. })),
        "{assembled:?}"
    );
    fourth.voters(&[1, 2, 3, 4]).await;
}

#[tokio::test]
async fn a_node_alone_founds_alone() {
    let mut one = Newcomer::new(1).await;
    let the_plan = plan(Seeds::default(), Founders::Expect(1));
    let assembled = one.come(the_plan).await.expect("founded");
    assert_eq!(assembled, Some(Assembled::Found(vec![one.entry()])));
    assert_eq!(one.node().write("x").await.expect("at work"), "1");
}

#[tokio::test]
async fn different_lists_are_refused_on_both_sides() {
    let (mut nodes, list) = newcomers::<3>().await;
    let [first, second, third] = &mut nodes;
    let come = tokio::join!(
        first.come(listed(&list)),
        second.come(listed(&list[..2])),
        third.come(listed(&list)),
    );
    for refused in [&come.0, &come.1] {
        assert!(
            matches!(refused, Err(DiscoveryError::Differ { .. })),
            "{refused:?}"
        );
    }
    let said = come.1.expect_err("refused").to_string();
    assert!(said.contains("the same list"), "{said}");
    assert!(come.2.is_err(), "nobody founds without the others");
}

#[tokio::test]
async fn whoever_waits_in_vain_is_told_who_is_missing() {
    let (mut nodes, mut list) = newcomers::<2>().await;
    // A port where nobody listens.
    let nobody = Newcomer::new(3).await;
    list.push(nobody.entry());
    nobody.net.shutdown().await;
    let mut the_plan = listed(&list);
    the_plan.patience = Duration::from_secs(2);
    let [first, second] = &mut nodes;
    let come = tokio::join!(first.come(the_plan.clone()), second.come(the_plan));
    for refused in [come.0, come.1] {
        let said = refused
            .expect_err("nobody founds with two of three")
            .to_string();
        assert!(said.contains(&format!("node 3 at {}", list[2].1)), "{said}");
        assert!(
            !said.contains("node 1 at") && !said.contains("node 2 at"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_founder_whose_store_was_lost_is_refused_with_advice_and_may_be_replaced() {
    let (nodes, list) = cluster().await;
    let [first, _second, mut third] = nodes;
    let before = third.node().status().incarnation;
    // The life that is lost was heard of: from then on the members know it.
    let mut watch = first.node().watch_status();
    let bound = watch.until(|status| {
        let membership = &status.core.membership.1;
        membership
            .get(NodeId(3))
            .is_some_and(|member| member.incarnation == before)
    });
    bound.await.expect("it runs");
    let address = third.me.address.clone();
    third.restart(&address).await;
    third.disk = raft_log::MemoryDisk::default();

    let refused = third
        .come(listed(&list))
        .await
        .expect_err("not as if nothing had happened");
    assert!(
        matches!(refused, DiscoveryError::Replaced { id: NodeId(3), .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("remove member 3"), "{refused}");

    let mut the_plan = listed(&list);
    the_plan.replace = true;
    let assembled = third.come(the_plan).await.expect("replaced");
    assert!(
        matches!(assembled, Some(Assembled::Join { .. })),
        "{assembled:?}"
    );
    let after = third.node().status().incarnation;
    assert_ne!(before, after);
    let mut watch = first.node().watch_status();
    let replaced = watch.until(|status| {
        let membership = &status.core.membership.1;
        let life = membership.get(NodeId(3)).map(|member| member.incarnation);
        membership.is_voter(NodeId(3)) && life == Some(after) && !membership.is_joint()
    });
    replaced.await.expect("it runs");
    assert_eq!(third.node().write("y").await.expect("at work"), "2");
}
