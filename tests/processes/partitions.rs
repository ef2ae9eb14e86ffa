//! Members are cut off from each other, in one direction or both, while clients reach all of them:
//! those on the wrong side must not answer as if they were on the right one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use raft_core::sim::rng::Rng;
use raft_tests::processes::{
    Cluster, Load, Network, Plan, Wishes, campaign_length, insist, seed, skip,
};
use tokio::time::sleep;

use crate::program;

const USUAL: Duration = Duration::from_secs(12);
/// Each fault waits for so many answers after the one before.
const ANSWERS: u64 = 40;
/// With fewer answers, faults, or leaders, nothing was tested.
const ANSWERED_MIN: u64 = 200;
const FAULTS_MIN: u64 = 5;
const TERMS_MIN: usize = 3;
const EXTENSION_MAX: Duration = Duration::from_secs(60);

/// A cluster on a network of its own; or why there is none.
async fn cluster(size: u64) -> Option<Cluster> {
    match Network::new(size) {
        Ok(network) => {
            let mut plan = Plan::of(size);
            plan.network = Some(network);
            Some(Cluster::start(&program(), plan).await)
        }
        Err(why) => {
            skip(&format!("members have no network of their own here: {why}"));
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_a_minority_of_five_answers_nothing_while_the_majority_goes_on() {
    let Some(cluster) = cluster(5).await else {
        return;
    };
    let load = Load::start(&cluster, &Wishes::of(seed()));
    load.answers(ANSWERS).await;
    let old = cluster.leader().await;
    let friend = cluster.follower().await;
    let before = insist(async || cluster.client(old).put("side", "one").await).await;
    cluster.network().isolate(&[old, friend]);
    let majority: Vec<_> = (1..=5).filter(|id| ![old, friend].contains(id)).collect();
    let new = cluster.leader_among(&majority).await;
    let header = insist(async || cluster.client(new).put("side", "other").await).await;
    assert!(header.raft_term > before.raft_term);
    for lonely in [old, friend] {
        let client = cluster.client(lonely).patient(Duration::from_secs(3));
        let read = client.get("side").await;
        assert!(read.is_err(), "two of five confirmed a read: {read:?}");
        let write = client.put("side", "lonely").await;
        assert!(write.is_err(), "two of five agreed on a write: {write:?}");
    }
    cluster.network().heal();
    cluster.leader().await;
    load.answers(ANSWERS).await;
    let counts = load.book().counts();
    assert!(counts.terms.len() > 1, "{counts:?}");
    cluster.judge(load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_registers_whatever_is_cut_between_members() {
    let Some(cluster) = cluster(3).await else {
        return;
    };
    let (seed, length) = (seed(), campaign_length(USUAL));
    let load = Load::start(&cluster, &Wishes::of(seed));
    let mut rng = Rng::new(seed);
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    let began = Instant::now();
    loop {
        let leader = cluster.leader().await;
        let others: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
        let network = cluster.network();
        let what = match rng.below(8) {
            0..4 => {
                network.isolate(&[leader]);
                "leader alone"
            }
            4 => {
                others.iter().for_each(|other| network.cut(*other, leader));
                "leader hears nobody"
            }
            5 => {
                others.iter().for_each(|other| network.cut(leader, *other));
                "nobody hears the leader"
            }
            6 => {
                network.isolate(&others[..1]);
                "follower alone"
            }
            _ => {
                network.cut(others[0], leader);
                network.cut(leader, others[0]);
                "follower without the leader"
            }
        };
        sleep(Duration::from_millis(rng.between(300, 3_000))).await;
        cluster.network().heal();
        *done.entry(what).or_default() += 1;
        load.answers(ANSWERS).await;
        sleep(Duration::from_millis(rng.between(100, 600))).await;
        let counts = load.book().counts();
        let faults: u64 = done.values().sum();
        let is_tested = counts.answered >= ANSWERED_MIN
            && faults >= FAULTS_MIN
            && counts.terms.len() >= TERMS_MIN;
        let elapsed = began.elapsed();
        if elapsed >= length && (is_tested || elapsed >= length + EXTENSION_MAX) {
            println!("{done:?}");
            assert!(is_tested, "too little happened: {counts:?}");
            break;
        }
    }
    cluster.judge(load).await;
}
