//! Parcels between nodes that know each other.
//!
//! It deliberately knows nothing of frames: what strangers send is tried in `strangers.rs`.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use raft_core::port::{Parcel, Transport};
use raft_core::{GroupId, NodeId};
use raft_net::{Counters, NetError, TcpConfig};

use crate::support::{
    Kept, TestNode, answer, ask, config, cutting_proxy, hail, members, pair, pair_of, shown, until,
    until_heard,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_exchange_parcels_both_ways() {
    let (one, two) = pair().await;
    let there = [hail(1, 2, 1), ask(1, 2, 2, 1000), answer(1, 2, 3)];
    let back = [hail(2, 1, 4), ask(2, 1, 5, 0), answer(2, 1, 6)];
    there.iter().for_each(|parcel| one.send(parcel.clone()));
    back.iter().for_each(|parcel| two.send(parcel.clone()));
    until("all arrive", || {
        one.kept.count() == 3 && two.kept.count() == 3
    })
    .await;
    assert_eq!(two.kept.parcels(), there);
    assert_eq!(one.kept.parcels(), back);
    let counters = one.counters();
    assert_eq!((counters.sent, counters.received), (3, 3));
    assert!(counters.writes <= 3, "{:?}", shown(&counters));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_back_elsewhere_is_found_where_the_membership_says() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    two.net.shutdown().await;
    drop(two);
    let again = TestNode::start(config(2)).await;
    one.transport
        .members(&members(&[(1, &one.address()), (2, &again.address())]));
    until_heard(&one, 1, &again, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_moved_is_found_where_its_own_handshake_says() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    let members = members(&[(1, &one.address()), (2, &two.address())]);
    two.net.shutdown().await;
    drop(two);
    // The membership still names the old address; only the newcomer's hello says the new one.
    let again = TestNode::start(config(2)).await;
    again.transport.members(&members);
    until_heard(&again, 2, &one, 1).await;
    until_heard(&one, 1, &again, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_queue_does_not_hold_is_dropped_and_counted() {
    // The system takes connections for it, but nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = silent.local_addr().expect("just bound").to_string();
    let check = async |spoil: fn(&mut TcpConfig), bytes, expected| {
        let mut config = config(1);
        config.handshake_timeout = Duration::from_secs(30);
        spoil(&mut config);
        let one = TestNode::start(config).await;
        one.transport.members(&members(&[(2, &address)]));
        (0..5).for_each(|ticket| one.send(ask(1, 2, ticket, bytes)));
        let counters = one.counters();
        let dropped = (counters.dropped_queue_full, counters.dropped_too_large);
        assert_eq!(dropped, expected, "{:?}", shown(&counters));
    };
    check(|config| config.queue_parcels_max = 3, 10, (2, 0)).await;
    check(|config| config.queue_bytes_max = 4000, 1500, (3, 0)).await;
    check(|config| config.frame_bytes_max = 1 << 20, 2 << 20, (0, 5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_an_unreachable_peer_is_dropped_and_counted() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = closed.local_addr().expect("just bound").to_string();
    drop(closed);
    let one = TestNode::start(config(1)).await;
    one.transport.members(&members(&[(2, &address)]));
    one.send(hail(1, 2, 1));
    one.send(hail(1, 3, 1));
    until("both are given up", || {
        one.counters().dropped_unreachable == 2
    })
    .await;
    until("the dial is counted", || one.counters().dials_failed >= 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_a_question_that_never_left_learns_it() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = closed.local_addr().expect("just bound").to_string();
    drop(closed);
    let one = TestNode::start(config(1)).await;
    one.transport.members(&members(&[(2, &address)]));
    for (to, why) in [(2, "its dial fails"), (3, "nobody knows it")] {
        let question = ask(1, to, to, 100);
        let Parcel::Ask(asked) = &question else {
            panic!("a question");
        };
        let refused = Parcel::Answer(asked.unsent());
        one.send(question);
        until(why, || one.kept.parcels().contains(&refused)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_cluster_node_or_version_is_refused_and_counted_at_both_ends() {
    let check = async |spoil: fn(&mut TcpConfig), refused: fn(&Counters) -> u64| {
        let mut other = config(2);
        spoil(&mut other);
        let two = TestNode::start(other).await;
        let one = TestNode::start(config(1)).await;
        one.transport.members(&members(&[(2, &two.address())]));
        one.send(hail(1, 2, 1));
        until("both count it", || {
            refused(&one.counters()) >= 1 && refused(&two.counters()) >= 1
        })
        .await;
        assert_eq!(two.kept.count(), 0);
    };
    check(
        |config| config.cluster += 1,
        |counts| counts.refused_cluster,
    )
    .await;
    check(
        |config| config.node = NodeId(3),
        |counts| counts.refused_node,
    )
    .await;
    check(
        |config| config.node = NodeId(1),
        |counts| counts.refused_node,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_common_version_refuse_each_other() {
    let old = TcpConfig {
        versions: (1, 1),
        ..config(1)
    };
    let new = TcpConfig {
        versions: (2, 2),
        ..config(2)
    };
    let (old, new) = pair_of(old, new).await;
    old.send(hail(1, 2, 1));
    new.send(hail(2, 1, 1));
    until("each counts both attempts", || {
        old.counters().refused_version >= 2 && new.counters().refused_version >= 2
    })
    .await;
    assert_eq!(old.kept.count() + new.kept.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_and_a_newer_node_understand_each_other() {
    let old = TcpConfig {
        versions: (1, 1),
        ..config(1)
    };
    let (old, new) = pair_of(old, config(2)).await;
    until_heard(&old, 1, &new, 2).await;
    until_heard(&new, 2, &old, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_share_one_connection_and_hear_only_what_is_theirs() {
    let (one, two) = pair().await;
    let other = GroupId(2);
    let kept = Arc::new(Kept::default());
    two.net.group(other).start(kept.clone()).expect("running");
    for number in 0..10 {
        one.send(hail(1, 2, number));
        one.net.group(other).send(hail(1, 2, 100 + number));
        one.net.group(GroupId(3)).send(hail(1, 2, 200 + number));
    }
    until("all arrive", || {
        let unknown = two.counters().dropped_unknown_group;
        (two.kept.count(), kept.count(), unknown) == (10, 10, 10)
    })
    .await;
    let expected: Vec<_> = (0..10).map(|number| hail(1, 2, 100 + number)).collect();
    assert_eq!(kept.parcels(), expected);
    assert_eq!(two.counters().accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_only_an_address_learns_who_is_there_and_can_ask() {
    let (member, newcomer) = (
        TestNode::start(config(1)).await,
        TestNode::start(config(2)).await,
    );
    let found = newcomer.net.contact(&member.address()).await;
    assert_eq!(found.expect("it listens"), NodeId(1));
    newcomer.send(ask(2, 1, 7, 0));
    until("the question arrives", || member.kept.count() == 1).await;
    // The member never heard of the newcomer but by its handshake.
    member.send(answer(1, 2, 7));
    until("the answer arrives", || newcomer.kept.count() == 1).await;
    let own = newcomer.net.contact(&newcomer.address()).await;
    assert!(matches!(own, Err(NetError::Contact { .. })), "{own:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_node_of_no_membership_is_given_up_when_idle() {
    let (one, two) = (
        TestNode::start(config(1)).await,
        TestNode::start(config(2)).await,
    );
    one.net.contact(&two.address()).await.expect("it listens");
    until_heard(&one, 1, &two, 2).await;
    until("the connection is given up", || two.net.connections() == 0).await;
    until_heard(&one, 1, &two, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_members_stay_connected() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    // Several times as long as a connection may be silent.
    tokio::time::sleep(Duration::from_secs(2)).await;
    one.send(hail(1, 2, 5));
    until("it arrives", || two.kept.parcels().contains(&hail(1, 2, 5))).await;
    assert_eq!(one.counters().dials, 1);
    assert_eq!(two.counters().idle_timeouts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_group_lets_go_of_its_inbox() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    two.transport.stop();
    assert_eq!(Arc::strong_count(&two.kept), 1);
    one.send(hail(1, 2, 1));
    until("nobody takes it", || {
        two.counters().dropped_unknown_group >= 1
    })
    .await;
    two.transport.start(two.kept.clone()).expect("running");
    until_heard(&one, 1, &two, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shut_down_network_is_gone() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    until_heard(&two, 2, &one, 1).await;
    let address = two.address();
    two.net.shutdown().await;
    TcpListener::bind(&address).expect("nobody listens there any more");
    assert!(two.transport.start(two.kept.clone()).is_err());
    assert!(matches!(
        two.net.contact(&one.address()).await,
        Err(NetError::Closed)
    ));
    let before = two.counters().dropped_unreachable;
    two.send(hail(2, 1, 1));
    assert_eq!(two.counters().dropped_unreachable, before + 1);
    // Without a word, by dropping the last handle.
    let address = one.address();
    drop(one);
    until("nobody listens there any more", || {
        TcpListener::bind(&address).is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_never_comes_twice_however_often_connections_are_cut() {
    let seed = 4_711;
    println!("seed {seed}");
    let (one, two) = pair().await;
    let cuts = Arc::new(AtomicU64::new(0));
    let proxy = cutting_proxy(two.net.local_address(), 4_000, seed, cuts.clone()).await;
    one.transport.members(&members(&[(2, &proxy.to_string())]));
    let mut ticket = 0;
    until("enough connections were cut", || {
        ticket += 1;
        one.send(ask(1, 2, ticket, 100));
        cuts.load(Ordering::Relaxed) >= 20 && two.kept.count() >= 50
    })
    .await;
    let mut seen = BTreeSet::new();
    for parcel in two.kept.parcels() {
        let Parcel::Ask(ask) = parcel else {
            panic!("nobody sent {parcel:?}");
        };
        assert!(seen.insert(ask.ticket), "{} came twice", ask.ticket);
    }
}
