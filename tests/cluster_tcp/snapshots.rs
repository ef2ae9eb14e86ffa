//! A follower that is far behind gets a snapshot, over a way that is cut again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_core::Index;
use raft_core::sim::rng::Rng;

use crate::cluster::{Cluster, Plan};
use crate::load::put;
use crate::machine::ballast;

/// So many commands of so many bytes are in the snapshot.
const BALLASTS: u8 = 24;
const BALLAST_BYTES: usize = 192 << 10;

/// Three nodes behind proxies, of which one is down, and so far behind that it needs a snapshot.
async fn far_behind() -> (Cluster, u64, Index) {
    let mut plan = Plan::of(3);
    plan.is_proxied = true;
    plan.tune = Box::new(|_, node, net| {
        node.compaction.tail_entries = 0;
        net.bulk_chunk_bytes = 64 << 10;
        net.bulk_timeout = Duration::from_secs(5);
    });
    let cluster = Cluster::planned(plan).await;
    let behind = cluster.follower().await;
    cluster.kill(behind).await;
    for filling in 0..BALLASTS {
        let written = cluster
            .node(cluster.up()[0])
            .write(ballast(BALLAST_BYTES, filling))
            .await;
        written.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
    }
    let mut snapshot = Index(0);
    for id in cluster.up() {
        let applied =
            |status: &raft_core::driver::NodeStatus| status.applied().0 >= u64::from(BALLASTS);
        cluster.until("all is applied", id, applied).await;
        let taken = cluster.node(id).snapshot_now().await;
        let taken = taken.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
        snapshot = if snapshot == Index(0) {
            taken
        } else {
            snapshot.min(taken)
        };
    }
    (cluster, behind, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_transfer_is_cut_at_random_points_goes_on_where_it_was() {
    let seed = std::env::var("RAFT_SEED").map_or(0x5eed, |seed| seed.parse().expect("a number"));
    println!("RAFT_SEED={seed}");
    let mut rng = Rng::new(seed);
    let (cluster, behind, snapshot) = far_behind().await;
    // Each is longer than the manifest and what is asked for ahead, so that each attempt gets on,
    // and shorter than a file.
    let cuts: Vec<u64> = (0..5).map(|_| rng.between(512 << 10, 900 << 10)).collect();
    for id in cluster.up() {
        cluster.proxy(id).cut_bulk_after(cuts.clone());
    }
    let ups = cluster.up();
    cluster.restart(behind).await;
    let is_there = |status: &raft_core::driver::NodeStatus| status.core.snapshot.index >= snapshot;
    let status = cluster.until("it has the snapshot", behind, is_there).await;
    assert_eq!(status.snapshot_trouble, None);
    let through = ups.iter().map(|id| cluster.proxy(*id).bulk());
    let (was_cut, bytes) = through.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    assert!(was_cut >= 3, "only {was_cut} cuts of {cuts:?}");
    // Begun anew each time, it would have taken all of what was cut on top of the whole.
    let whole = u64::from(BALLASTS) * BALLAST_BYTES as u64;
    // What is lost by a cut is what was under way.
    let wasted = was_cut * 4 * (64 << 10);
    assert!(
        bytes < whole + wasted + (256 << 10),
        "{bytes} of {whole}, cuts {cuts:?}"
    );
    let written = cluster.node(behind).write(put((1, 1))).await;
    written.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
    cluster
        .agree(&cluster.up(), &BTreeSet::from([(1, 1)]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_killed_while_it_fetches_a_snapshot_goes_on_where_it_was() {
    let (cluster, behind, snapshot) = far_behind().await;
    let ups = cluster.up();
    let whole = u64::from(BALLASTS) * BALLAST_BYTES as u64;
    for id in &ups {
        // One attempt that gets half-way; those after it get nowhere.
        let nowhere = std::iter::repeat_n(64, 64);
        cluster
            .proxy(*id)
            .cut_bulk_after(std::iter::once(whole / 2).chain(nowhere));
    }
    cluster.restart(behind).await;
    // Word of an attempt that failed for good comes only after eight of them.
    let bytes = || {
        ups.iter()
            .map(|id| cluster.proxy(*id).bulk().1)
            .sum::<u64>()
    };
    let cut = || {
        ups.iter()
            .map(|id| cluster.proxy(*id).bulk().0)
            .sum::<u64>()
    };
    cluster
        .wait("one attempt was cut half-way", |_| {
            (cut() > 0).then_some(())
        })
        .await;
    cluster.kill(behind).await;
    let before = bytes();
    for id in &ups {
        cluster.proxy(*id).forget_cuts();
    }
    cluster.restart(behind).await;
    let is_there = |status: &raft_core::driver::NodeStatus| status.core.snapshot.index >= snapshot;
    cluster.until("it has the snapshot", behind, is_there).await;
    let after = bytes() - before;
    assert!(after < whole * 3 / 4, "{after} of {whole}, after {before}");
    cluster.agree(&cluster.up(), &BTreeSet::new()).await;
}
