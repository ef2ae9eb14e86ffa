//! All members are restarted one after the other, as an upgrade does it: leadership is handed over
//! each time, so that clients hardly notice.

use std::time::Duration;

use raft_tests::processes::{Cluster, Load, Plan, Stalls, Wishes, seed};

use crate::program;

/// So long that an election which waits for it would be noticed.
const ELECTION: Duration = Duration::from_secs(4);
/// How long no write may be acknowledged: who waits for an election is silent for longer.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// It may take so many times longer than the machine itself keeps a writer waiting: two members
/// sync a write, each after what it may be syncing already.
const STALLS: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_hands_leadership_over_and_silences_nobody_for_long() {
    let mut plan = Plan::of(3);
    plan.election = ELECTION;
    plan.heartbeat = ELECTION / 10;
    let mut cluster = Cluster::start(&program(), plan).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    let book = load.book().clone();
    let stalls = Stalls::watch();
    let begin = book.now();
    let mut handed_over = 0;
    for id in 1..=3 {
        // Each leads when its turn comes, so that each has something to hand over.
        cluster.hand_to(id).await;
        load.answers(50).await;
        cluster.stop(id).await;
        assert_ne!(cluster.leader().await, id);
        handed_over += 1;
        cluster.restart(id);
        cluster.serves(id).await;
        load.answers(50).await;
    }
    assert_eq!(handed_over, 3);
    let silence = book.longest_silence(begin);
    let stall = stalls.longest();
    println!("no write was acknowledged for {silence:?}, the machine stalled for {stall:?}");
    assert!(
        silence < SILENCE_MAX + stall * STALLS,
        "no write was acknowledged for {silence:?}"
    );
    cluster.judge(load).await;
}
