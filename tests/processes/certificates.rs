//! All certificates change, and who signs them, while clients work and nobody is restarted.

use std::time::Duration;

use raft_tests::processes::until;
use raft_tests::processes::{
    Authority, Client, Cluster, Load, Plan, Signal, Stalls, Wishes, seed, skip,
};

use crate::program;

const PATIENCE: Duration = Duration::from_secs(2);
/// How long no write may be acknowledged: certificates are read again without stopping anything.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// It may take so many times longer than the machine itself keeps a writer waiting: two members
/// sync a write, each after what it may be syncing already.
const STALLS: u32 = 4;

/// All members have their files read again.
fn reload(cluster: &Cluster) {
    (1..=3).for_each(|id| cluster.signal(id, Signal::HUP));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_who_signs_them_change_under_load() {
    let program = program();
    if !program.is_ours() {
        return skip("etcd ends at SIGHUP");
    }
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (both, only_new) = (format!("{}{}", old.pem(), new.pem()), new.pem().to_owned());
    let old_client = old.client(&both);
    let mut plan = Plan::of(3);
    plan.election = Duration::from_secs(2);
    plan.authority = Some(old);
    let mut cluster = Cluster::start(&program, plan).await;
    cluster.introduce(old_client.clone());
    let load = Load::start(&cluster, &Wishes::of(seed()));
    let stalls = Stalls::watch();
    let begin = load.book().now();
    // Who shows no certificate is no client.
    let nobody = Client::new(&cluster.client_url(1), Some(anonymous(&both)), PATIENCE);
    assert!(
        nobody.get("any").await.is_err(),
        "a client has to show a certificate"
    );

    // Everybody believes both, before anybody shows a new one.
    for id in 1..=3 {
        let old = cluster.plan().authority.as_ref().expect("it was planned");
        cluster.files(id).trust(&[old, &new]);
    }
    reload(&cluster);
    for id in 1..=3 {
        let newcomer = || Client::new(&cluster.client_url(id), Some(new.client(&both)), PATIENCE);
        until("a client with a new certificate is believed", async || {
            newcomer().get("any").await.ok()
        })
        .await;
    }
    // One after the other shows a new one.
    for id in 1..=3 {
        let strict = || {
            Client::new(
                &cluster.client_url(id),
                Some(new.client(&only_new)),
                PATIENCE,
            )
        };
        assert!(
            strict().get("any").await.is_err(),
            "member {id} shows its old certificate"
        );
        cluster.files(id).write(&new.sign());
        cluster.signal(id, Signal::HUP);
        load.answers(20).await;
        until("the new certificate is shown", async || {
            strict().get("any").await.ok()
        })
        .await;
    }
    // The clients have new ones too; then nobody believes the old ones any more.
    cluster.introduce(new.client(&only_new));
    let load = load.replace(&cluster, &Wishes::of(seed())).await;
    (1..=3).for_each(|id| cluster.files(id).trust(&[&new]));
    reload(&cluster);
    for id in 1..=3 {
        until("the old authority is believed no more", async || {
            let old = Client::new(&cluster.client_url(id), Some(old_client.clone()), PATIENCE);
            old.get("any").await.err()
        })
        .await;
        let client = cluster.client(id).get("any").await;
        client.unwrap_or_else(|trouble| panic!("member {id}: {trouble}"));
    }
    let silence = load.book().longest_silence(begin);
    let stall = stalls.longest();
    println!("no write was acknowledged for {silence:?}, the machine stalled for {stall:?}");
    assert!(
        silence < SILENCE_MAX + stall * STALLS,
        "no write was acknowledged for {silence:?}"
    );
    load.answers(100).await;
    // Connections between members are as new when a member is.
    for _ in 0..2 {
        let leader = cluster.leader().await;
        cluster.kill(leader);
        cluster.leader().await;
        cluster.restart(leader);
        cluster.serves(leader).await;
    }
    let counts = load.book().counts();
    assert!(counts.terms.len() > 2, "{counts:?}");
    cluster.judge(load).await;
}

fn anonymous(trusted: &str) -> tonic::transport::ClientTlsConfig {
    let certificate = tonic::transport::Certificate::from_pem(trusted);
    tonic::transport::ClientTlsConfig::new().ca_certificate(certificate)
}
