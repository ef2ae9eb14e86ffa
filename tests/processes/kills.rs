//! Members are killed in the middle of whatever they do, one or all at once, and come back to what
//! their disks hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use raft_core::sim::rng::Rng;
use raft_tests::processes::{Cluster, Load, Plan, Wishes, campaign_length, seed};
use tokio::time::sleep;

use crate::program;

const USUAL: Duration = Duration::from_secs(12);
/// Most faults wait for so many answers after the one before: a busy machine does less, but not
/// nothing.
const ANSWERS: u64 = 40;
/// With fewer answers, faults, or leaders, nothing was tested.
const ANSWERED_MIN: u64 = 200;
const FAULTS_MIN: u64 = 6;
const TERMS_MIN: usize = 3;
/// A busy machine gets so much longer to reach that.
const EXTENSION_MAX: Duration = Duration::from_secs(60);

/// Kills members and lets them come back.
struct Killer {
    cluster: Cluster,
    rng: Rng,
    done: BTreeMap<&'static str, u64>,
}

impl Killer {
    async fn act(&mut self) {
        let size = self.cluster.plan().size;
        let mut ids: Vec<_> = (1..=size).collect();
        self.rng.shuffle(&mut ids);
        let minority = usize::try_from(size.div_ceil(2) - 1).expect("few");
        let (what, victims) = match self.rng.below(8) {
            0..3 => ("one killed", vec![ids[0]]),
            3..5 => ("leader killed", vec![self.cluster.leader().await]),
            5..7 => ("minority killed", ids[..minority].to_vec()),
            _ => ("all killed", ids),
        };
        for id in &victims {
            self.cluster.kill(*id);
        }
        self.pause(50, 900).await;
        for id in &victims {
            self.cluster.restart(*id);
        }
        *self.done.entry(what).or_default() += 1;
        self.pause(100, 900).await;
    }

    async fn pause(&mut self, low_ms: u64, high_ms: u64) {
        sleep(Duration::from_millis(self.rng.between(low_ms, high_ms))).await;
    }
}

async fn kill_members_of(size: u64) {
    let seed = seed();
    let length = campaign_length(USUAL);
    let cluster = Cluster::start(&program(), Plan::of(size)).await;
    let load = Load::start(&cluster, &Wishes::of(seed));
    let mut killer = Killer {
        cluster,
        rng: Rng::new(seed),
        done: BTreeMap::new(),
    };
    let began = Instant::now();
    loop {
        killer.act().await;
        // Now and then the next fault comes before anybody has recovered from the last.
        if killer.rng.below(4) > 0 {
            load.answers(ANSWERS).await;
        }
        let counts = load.book().counts();
        let faults: u64 = killer.done.values().sum();
        let is_tested = counts.answered >= ANSWERED_MIN
            && faults >= FAULTS_MIN
            && counts.terms.len() >= TERMS_MIN;
        let elapsed = began.elapsed();
        if elapsed >= length && (is_tested || elapsed >= length + EXTENSION_MAX) {
            println!("{:?}", killer.done);
            assert!(is_tested, "too little happened: {counts:?}");
            break;
        }
    }
    let Killer { cluster, .. } = killer;
    cluster.leader().await;
    cluster.judge(load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_killed_again_and_again_lose_nothing() {
    kill_members_of(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_members_killed_again_and_again_lose_nothing() {
    kill_members_of(5).await;
}
