//! A member was away for so long that nobody has the entries any more that it lacks: it gets a
//! snapshot, while clients work.

use std::collections::BTreeSet;

use raft_tests::processes::{
    Client, Cluster, Load, Plan, Wishes, insist, printed, seed, skip, until,
};

use crate::program;

/// etcd keeps 5000 entries behind a snapshot, whatever it is told.
const WRITES: u64 = 6_500;
/// What members say when they have got one: ours, and etcd.
const WORDS: [&str; 2] = ["snapshot received", "incoming snapshot"];

/// Sends again what has no answer, without an end: a task can't be handed a closure that does.
async fn write(client: &Client, writer: u64, count: u64) {
    let key = format!("filler/{writer}");
    while client.put(&key, count.to_string()).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_for_long_catches_up_by_a_snapshot() {
    let program = program();
    let plan = Plan::of(3).with("snapshot-count", "100");
    let mut cluster = Cluster::start(&program, plan).await;
    let load = Load::start(&cluster, &Wishes::of(seed()));
    let away = cluster.follower().await;
    cluster.kill(away);
    let leader = cluster.leader().await;
    let writes = if program.is_ours() {
        WRITES / 5
    } else {
        WRITES
    };
    let writers = (0..32).map(|writer| {
        let client = cluster.client(leader);
        tokio::spawn(async move {
            for count in 0..writes / 32 {
                write(&client, writer, count).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let before = cluster.said(away).len();
    cluster.restart(away);
    until("a snapshot arrives", async || {
        let said = cluster.said(away)[before..].to_owned();
        WORDS.iter().any(|word| said.contains(word)).then_some(())
    })
    .await;
    cluster.serves(away).await;
    // What it got is worth something: it leads now, on its own state.
    cluster.hand_to(away).await;
    // And it is there when it comes back once more.
    cluster.kill(away);
    cluster.restart(away);
    cluster.serves(away).await;
    load.answers(100).await;
    cluster.judge(load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_becomes_a_cluster_that_others_join() {
    let program = program();
    if !program.is_ours() {
        return skip("etcd has another verb for this");
    }
    let mut cluster = Cluster::start(&program, Plan::of(3)).await;
    let leader = cluster.leader().await;
    let client = cluster.client(leader);
    for key in 0..50 {
        insist(async || client.put(&format!("key/{key}"), "kept").await).await;
    }
    let last = insist(async || client.put("last", "kept").await)
        .await
        .revision;
    let dir = tempfile::tempdir().expect("there is a disk");
    let file = dir.path().join("backup");
    let mut save = program.verb("snapshot");
    save.arg("save").arg(&file);
    save.args(["--endpoints", &cluster.client_url(leader)]);
    printed(&mut save);
    insist(async || client.put("last", "after the backup").await).await;
    for old in 1..=3 {
        cluster.kill(old);
        cluster.close_to_clients(old);
    }

    let founders = [4, 5, 6];
    let urls = founders.map(|id| (id, cluster.peer_url(id)));
    let initial = urls
        .clone()
        .map(|(id, url)| format!("{}={url}", cluster.name(id)));
    let initial = initial.join(",");
    let mut tokens = BTreeSet::new();
    for (id, url) in urls {
        let mut restore = program.verb("snapshot");
        restore.arg("restore").arg(&file);
        restore.arg("--data-dir").arg(cluster.data(id));
        restore.args(["--name", &cluster.name(id), "--initial-cluster", &initial]);
        let said = printed(restore.arg(format!("--initial-advertise-peer-urls={url}")));
        let token = said.split_whitespace().last().expect("it says the token");
        assert!(token.starts_with("restored-"), "{said}");
        tokens.insert(format!("--initial-cluster-token={token}"));
    }
    let token = tokens.first().expect("three founders").as_str();
    assert_eq!(tokens.len(), 1, "the same at all founders");
    for id in founders {
        cluster.found_with(id, &founders, &[token]);
    }
    cluster.leader().await;
    cluster.grow(7, &[token]).await;
    for id in [4, 5, 6, 7] {
        cluster.hand_to(id).await;
        let client = cluster.client(id);
        let seen = insist(async || client.get("last").await).await;
        assert_eq!(seen.value.as_deref(), Some(&b"kept"[..]), "member {id}");
        assert!(seen.header.revision > last, "no revision means two things");
    }
    let done = insist(async || cluster.client(7).put("on", "we go").await).await;
    cluster.agree(done.revision).await;
    cluster.end().await;
}
