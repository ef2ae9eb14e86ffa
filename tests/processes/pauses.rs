//! The time of a leader stands still, as on a machine that swaps or is moved: others take its
//! place, and it must not answer from the past when it wakes.

use std::time::Duration;

use bytes::Bytes;
use raft_tests::processes::{Cluster, Load, Plan, Wishes, insist, seed};

use crate::program;

const ROUNDS: usize = 3;
/// Longer than the pause, so that the answers to what is asked meanwhile are seen.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_answers_no_read_from_the_past_and_steps_down() {
    let mut cluster = Cluster::start(&program(), Plan::of(3)).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    for round in 0..ROUNDS {
        let old = cluster.leader().await;
        let sleeper = cluster.client(old).patient(PATIENCE);
        let put = async || sleeper.put("clock", format!("before {round}")).await;
        let before = insist(put).await.raft_term;
        load.answers(50).await;
        cluster.pause(old);
        // These reach the old leader at once, and are the first that it sees when it wakes.
        let reads = (0..8).map(|_| {
            let sleeper = sleeper.clone();
            tokio::spawn(async move { sleeper.get("clock").await })
        });
        let reads: Vec<_> = reads.collect();
        let writer = sleeper.clone();
        let late = format!("late {round}");
        let late = tokio::spawn(async move { writer.put("late", late).await });
        let new = cluster.leader().await;
        assert_ne!(new, old, "one that stands still does not lead");
        // The reads were asked for before this write, but it is what any answer after it must see:
        // so they are asked again as soon as the old leader runs.
        let after = format!("after {round}");
        let put = async || cluster.client(new).put("clock", after.clone()).await;
        let header = insist(put).await;
        assert!(header.raft_term > before, "another term has begun");
        cluster.resume(old);
        let first = sleeper.get("clock").await;
        if let Ok(seen) = first {
            assert_eq!(seen.value, Some(Bytes::from(after.clone())), "a stale read");
        }
        for read in reads {
            // All of them end after the write was acknowledged, but began before: both are right.
            if let Ok(seen) = read.await.expect("no panic") {
                let value = seen.value.expect("it was written");
                let before = format!("before {round}");
                assert!(value == before || value == after, "{value:?}");
            }
        }
        // What the old leader says of its write is what has happened.
        let late_answer = late.await.expect("no panic");
        let leader = cluster.leader().await;
        let status = insist(async || cluster.client(old).status().await).await;
        assert!(
            status.raft_term >= header.raft_term,
            "it has heard of the new term"
        );
        let held = insist(async || cluster.client(leader).get("late").await)
            .await
            .value;
        let is_there = held == Some(Bytes::from(format!("late {round}")));
        match late_answer {
            Ok(_) => assert!(is_there, "acknowledged, and lost"),
            Err(trouble) => assert!(!(trouble.is_refused() && is_there), "refused: {trouble}"),
        }
    }
    let terms = load.book().counts().terms;
    assert!(
        terms.len() > ROUNDS,
        "each round has another leader: {terms:?}"
    );
    cluster.judge(load).await;
}
