//! Members come and go while clients work: from three to five and back, the leader among those who
//! go.

use raft_tests::processes::{Cluster, Load, Plan, Wishes, insist, seed};

use crate::program;

#[tokio::test(flavor = "multi_thread")]
async fn three_members_become_five_and_three_again_without_their_leader() {
    let mut cluster = Cluster::start(&program(), Plan::of(3)).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    for newcomer in [4, 5] {
        cluster.grow(newcomer, &[]).await;
        load.answers(100).await;
    }
    let members = insist(async || cluster.client(1).members().await).await;
    assert_eq!(members.len(), 5);
    let mut removed = Vec::new();
    for _ in 0..2 {
        let leader = cluster.leader().await;
        cluster.shrink(leader).await;
        load.answers(100).await;
        removed.push(leader);
        assert_ne!(cluster.leader().await, leader);
    }
    println!("removed, each the leader: {removed:?}");
    let left = cluster.up();
    assert_eq!(left.len(), 3);
    // The three that are left bear the loss of one, as three do.
    let leader = cluster.leader().await;
    cluster.kill(leader);
    cluster.leader().await;
    cluster.restart(leader);
    cluster.serves(leader).await;
    let counts = load.book().counts();
    assert!(counts.terms.len() > 3, "{counts:?}");
    cluster.judge(load).await;
}
