//! Members come and go while clients work: from three to five and back, the leader among those who
//! go.

use raft_tests::processes::{Cluster, Load, Plan, Wishes, insist, printed, seed, skip, until};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_is_replaced_in_one_change() {
    let program = program();
    if !program.is_ours() {
        return skip("etcd has no such verb");
    }
    let mut cluster = Cluster::start(&program, Plan::of(3)).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    let lost = cluster.follower().await;
    let old = cluster.id(lost).await;
    cluster.kill(lost);
    cluster.wipe(lost);
    cluster.close_to_clients(lost);
    let others = cluster.up();
    let (newcomer, peer) = (4, cluster.peer_url(4));
    let mut replace = program.verb("member");
    replace.args(["replace", &format!("{old:x}"), &cluster.name(newcomer)]);
    replace.args(["--peer-urls", &peer, "--endpoints"]);
    let said = printed(replace.arg(cluster.client_url(others[0])));
    assert!(
        said.contains("INITIAL_CLUSTER_STATE"),
        "it says how to start the newcomer: {said}"
    );
    cluster.join(newcomer, &others, &[]);
    let client = cluster.client(others[0]);
    until("the newcomer has the place of the lost one", async || {
        let members = client.members().await.ok()?;
        let is_voter = |member: &raft_cli::pb::etcdserverpb::Member| {
            member.peer_ur_ls.contains(&peer) && !member.is_learner
        };
        let is_done = members.len() == 3
            && members.iter().any(is_voter)
            && members.iter().all(|member| member.id != old);
        is_done.then_some(())
    })
    .await;
    cluster.serves(newcomer).await;
    // It counts: without it the two others are no majority of what there is when one of them dies.
    cluster.kill(others[0]);
    cluster.leader().await;
    load.answers(100).await;
    cluster.restart(others[0]);
    cluster.serves(others[0]).await;
    cluster.judge(load).await;
}
