//! Parcels between nodes that know each other.
//!
//! It deliberately knows nothing of frames: what strangers send is tried in `strangers.rs`.

use crate::support::{
    TestNode, answer, ask, config, hail, members, pair, shown, until, until_heard,
};
use raft_core::port::Transport;

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
