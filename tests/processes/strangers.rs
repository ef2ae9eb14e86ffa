//! Members that must not be let in as they are: one whose disk was lost, under its old name, and
//! one that was given the token of another cluster. Each is told what to do.

use std::time::Duration;

use raft_tests::processes::{Client, Cluster, Plan, insist, until};

use crate::program;

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_member_is_refused_under_its_old_name_and_told_what_to_do() {
    let mut cluster = Cluster::start(&program(), Plan::of(3)).await;
    let victim = cluster.follower().await;
    let id = cluster.id(victim).await;
    let leader = cluster.leader().await;
    let client = cluster.client(leader);
    insist(async || client.put("kept", "by the others").await).await;
    cluster.kill(victim);
    cluster.wipe(victim);
    let before = cluster.said(victim).len();
    cluster.found(victim, &[]);
    let status = cluster.ended(victim).await;
    assert!(
        !status.success(),
        "it has lost its votes, and must not vote again"
    );
    let said = cluster.said(victim)[before..].to_owned();
    if cluster.program().is_ours() {
        for word in ["its store is empty", "remove member", "replace"] {
            assert!(
                said.contains(word),
                "`{word}` is missing in what it said:\n{said}"
            );
        }
    } else {
        assert!(said.contains("has already been bootstrapped"), "{said}");
    }
    // What it says helps: once the old one is removed, it comes back as a new one.
    until("the lost one is removed", async || {
        drop(client.remove(id).await);
        let members = client.members().await.ok()?;
        members.iter().all(|member| member.id != id).then_some(())
    })
    .await;
    cluster.close_to_clients(victim);
    let newcomer = 4;
    cluster.grow(newcomer, &[]).await;
    let held = insist(async || cluster.client(newcomer).get("kept").await)
        .await
        .value;
    assert_eq!(held.as_deref(), Some(&b"by the others"[..]));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_the_token_of_another_cluster_is_not_let_in() {
    let mut cluster = Cluster::start(&program(), Plan::of(3)).await;
    let victim = cluster.follower().await;
    cluster.kill(victim);
    cluster.wipe(victim);
    let before = cluster.said(victim).len();
    cluster.found(victim, &["--initial-cluster-token=another"]);
    // Both sides may say so, but it is the stranger's operator who has to be warned.
    until("the stranger says what is wrong", async || {
        let said = cluster.said(victim)[before..].to_lowercase();
        let is_warning = |line: &str| line.contains("warn") && line.contains("belongs to cluster");
        said.lines().any(is_warning).then_some(())
    })
    .await;
    // It serves nobody, and disturbs nobody.
    let stranger = Client::new(
        &cluster.client_url(victim),
        None,
        Duration::from_millis(500),
    );
    assert!(stranger.get("any").await.is_err(), "nobody let it in");
    let others: Vec<_> = cluster
        .up()
        .into_iter()
        .filter(|id| *id != victim)
        .collect();
    let leader = cluster.leader_among(&others).await;
    insist(async || cluster.client(leader).put("any", "any").await).await;
    cluster.kill(victim);
    cluster.end().await;
}
