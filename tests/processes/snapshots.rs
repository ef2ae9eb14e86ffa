//! A member was away for so long that nobody has the entries any more that it lacks: it gets a
//! snapshot, while clients work.

use raft_tests::processes::{Client, Cluster, Load, Plan, Wishes, seed, until};

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
