//! What is changed node by node while the cluster serves: certificates, and versions of the wire.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_core::NodeId;
use raft_net::{TcpConfig, TcpNet, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::cluster::{CLUSTER, Cluster, Plan};
use crate::load::{Load, put};

/// Who signs the certificates of all nodes.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("ring can");
        let pem = params.self_signed(&key).expect("ring can").pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Writes a new certificate for a node of this machine, and its key.
    fn sign(&self, home: &Path) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]);
        let key = KeyPair::generate().expect("ring can");
        let certificate = params.expect("an address").signed_by(&key, &self.issuer);
        fs::create_dir_all(home).expect("there is a disk");
        write(home, "node.pem", &certificate.expect("ring can").pem());
        write(home, "node.key", &key.serialize_pem());
    }
}

fn write(home: &Path, name: &str, text: &str) {
    fs::write(home.join(name), text).expect("there is a disk");
}

fn tls_of(home: &Path) -> Tls {
    let path = |name| home.join(name);
    let tls = Tls::from_files(path("node.pem"), path("node.key"), path("authority.pem"));
    tls.expect("the files are just written")
}

/// A node that has stopped in good order and is back has dialed everybody anew.
async fn dial_anew(cluster: &Cluster) {
    let follower = cluster.follower().await;
    cluster.shutdown(follower).await;
    cluster.restart(follower).await;
    let leader = cluster.leader().await;
    let commit = cluster.status(leader).core.commit;
    let what = "it has caught up";
    cluster
        .until(what, follower, |status| status.applied() >= commit)
        .await;
    for id in cluster.up() {
        let counters = cluster.running(id).net.counters();
        let refused = counters.refused_tls + counters.refused_version;
        assert_eq!(refused, 0, "node {id}: {counters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_certificates_and_their_authority_are_changed_and_no_write_fails() {
    let (old, new) = (Authority::new(), Authority::new());
    let homes = TempDir::new().expect("there is a disk");
    let home = |id: u64| homes.path().join(id.to_string());
    let mut all = BTreeMap::new();
    for id in 1..=3 {
        old.sign(&home(id));
        write(&home(id), "authority.pem", &old.pem);
        all.insert(id, tls_of(&home(id)));
    }
    let (mut plan, certificates) = (Plan::of(3), all.clone());
    plan.tune = Box::new(move |id, node, net| {
        net.tls = certificates.get(&id).cloned();
        // No election for want of time: a write may not fail here.
        node.raft.election_timeout_min = Duration::from_secs(2);
        node.raft.election_timeout_max = Duration::from_secs(3);
        node.request_timeout = Duration::from_secs(10);
    });
    let cluster = Cluster::planned(plan).await;
    // A leader at once, and the same all the while.
    cluster.node(1).campaign();
    let leader = cluster.leader().await;
    let load = Load::at(&cluster, 4, &[leader]);
    let both = format!("{}{}", old.pem, new.pem);
    let steps: [&dyn Fn(u64); 3] = [
        &|id| write(&home(id), "authority.pem", &both),
        &|id| new.sign(&home(id)),
        &|id| write(&home(id), "authority.pem", &new.pem),
    ];
    for step in steps {
        for (id, tls) in &all {
            step(*id);
            tls.reload().expect("the files are good");
            dial_anew(&cluster).await;
        }
    }
    let tally = load.stop().await;
    assert!(tally.refused.is_empty(), "{:?}", tally.refused);
    assert_eq!(tally.unknown, 0, "{}", cluster.said());
    assert!(!tally.acknowledged.is_empty());
    cluster.agree(&cluster.up(), &tally.acknowledged).await;

    // Who still bears what the old authority signed is not let in any more.
    let late = homes.path().join("late");
    old.sign(&late);
    write(&late, "authority.pem", &both);
    let mut config = TcpConfig::new(CLUSTER, NodeId(4), "127.0.0.1:0");
    config.tls = Some(tls_of(&late));
    let net = TcpNet::bind(config).await.expect("loopback has free ports");
    net.contact(&cluster.address(1))
        .await
        .expect_err("it is out of date");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_the_wire_mix_while_nodes_are_upgraded_and_downgraded_in_turn() {
    let versions = Arc::new(Mutex::new(BTreeMap::new()));
    let (mut plan, spoken) = (Plan::of(3), versions.clone());
    plan.tune = Box::new(move |id, _, net| {
        let spoken = spoken.lock().expect("nobody panics with it");
        net.versions = spoken.get(&id).copied().unwrap_or((1, 1));
    });
    let cluster = Cluster::planned(plan).await;
    let load = Load::start(&cluster, 2);
    let up = [(1, 2), (2, 2), (3, 2)];
    let down = [(2, 1), (1, 1), (3, 1)];
    for (sequence, (id, newest)) in (1..).zip(up.into_iter().chain(down)) {
        cluster.leader().await;
        cluster.shutdown(id).await;
        let map = versions.lock();
        map.expect("nobody panics with it").insert(id, (1, newest));
        cluster.restart(id).await;
        cluster.leader().await;
        for other in 1..=3 {
            let written = cluster
                .node(other)
                .write(put((100 + other, sequence)))
                .await;
            written.unwrap_or_else(|error| panic!("{error}\n{}", cluster.said()));
        }
        for other in 1..=3 {
            let counters = cluster.running(other).net.counters();
            assert_eq!((counters.refused_version, counters.bad_frames), (0, 0));
        }
    }
    let tally = load.stop().await;
    assert!(!tally.acknowledged.is_empty());
    cluster.agree(&cluster.up(), &tally.acknowledged).await;
}
