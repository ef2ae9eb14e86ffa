//! Encrypted connections: who is let in, and certificates that change while nodes talk.
//!
//! It deliberately knows no cipher: that is for rustls.

use std::fs;
use std::path::{Path, PathBuf};

use raft_core::NodeId;
use raft_net::{TcpConfig, TcpNet};
use raft_net::{Tls, TlsError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::{TestNode, config, hail, pair_of, until, until_heard};

/// An authority, and a directory for what it signs.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("ring can");
        let certificate = params.self_signed(&key).expect("ring can");
        Self {
            directory: TempDir::new().expect("there is a disk"),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes a certificate for these names, its key, and the certificate of the authority.
    fn write(&self, names: &[&str], into: &Path) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("they are names");
        let key = KeyPair::generate().expect("ring can");
        let certificate = params.signed_by(&key, &self.issuer).expect("ring can");
        fs::create_dir_all(into).expect("there is a disk");
        fs::write(into.join("node.pem"), certificate.pem()).expect("there is a disk");
        fs::write(into.join("node.key"), key.serialize_pem()).expect("there is a disk");
        fs::write(into.join("authority.pem"), &self.pem).expect("there is a disk");
    }

    /// A node that bears these names.
    pub(crate) fn tls(&self, node: &str, names: &[&str]) -> (Tls, PathBuf) {
        let home = self.directory.path().join(node);
        self.write(names, &home);
        let tls = load(&home).expect("just made");
        (tls, home)
    }
}

fn load(home: &Path) -> Result<Tls, TlsError> {
    Tls::from_files(
        home.join("node.pem"),
        home.join("node.key"),
        home.join("authority.pem"),
    )
}

fn with(tls: &Tls, node: u64) -> TcpConfig {
    TcpConfig {
        tls: Some(tls.clone()),
        ..config(node)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_one_authority_talk() {
    let authority = Authority::new();
    let (one, _) = authority.tls("1", &["127.0.0.1"]);
    let (two, _) = authority.tls("2", &["127.0.0.1"]);
    let (one, two) = pair_of(with(&one, 1), with(&two, 2)).await;
    until_heard(&one, 1, &two, 2).await;
    until_heard(&two, 2, &one, 1).await;
    assert_eq!(one.counters().refused_tls + two.counters().refused_tls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_belongs_to_another_authority_or_to_none_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (tls, _) = ours.tls("1", &["127.0.0.1"]);
    let (stranger, _) = theirs.tls("1", &["127.0.0.1"]);
    let one = TestNode::start(with(&tls, 1)).await;
    let check = async |other: TcpConfig, at_least: u64| {
        let two = TcpNet::bind(other).await.expect("loopback has free ports");
        let refused = two.contact(&one.address()).await;
        assert!(refused.is_err(), "{refused:?}");
        until("it is counted", || one.counters().refused_tls >= at_least).await;
        // The other way round, it is the same.
        let address = two.local_address().to_string();
        assert!(one.net.contact(&address).await.is_err());
    };
    check(with(&stranger, 2), 1).await;
    let before = one.counters().refused_tls;
    check(config(2), before + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_trusts_the_authority_but_bears_no_certificate_is_refused() {
    let authority = Authority::new();
    let (tls, home) = authority.tls("1", &["127.0.0.1"]);
    let one = TestNode::start(with(&tls, 1)).await;
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(home.join("authority.pem")).expect("just written");
    let root = rustls::pki_types::pem::PemObject::from_pem_slice(&pem).expect("it is one");
    roots.add(root).expect("it is one");
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(one.address()).await.expect("it listens");
    let name = "127.0.0.1".try_into().expect("it is an address");
    // In TLS 1.3 the client hears of it only when it reads.
    let read = async {
        let mut stream = connector.connect(name, stream).await?;
        stream.read_u8().await
    };
    read.await.expect_err("it must be refused");
    until("it is counted", || one.counters().refused_tls == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_dialed_must_bear_the_name_that_was_dialed() {
    let authority = Authority::new();
    let (one, _) = authority.tls("1", &["127.0.0.1"]);
    let (elsewhere, _) = authority.tls("2", &["node-2.example"]);
    let two = TestNode::start(with(&elsewhere, 2)).await;
    let dialing = TestNode::start(with(&one, 1)).await;
    assert!(dialing.net.contact(&two.address()).await.is_err());
    assert_eq!(dialing.counters().refused_tls, 1);
    let named = one.with_name("node-2.example").expect("it is a name");
    let dialing = TestNode::start(with(&named, 3)).await;
    let found = dialing.net.contact(&two.address()).await;
    assert_eq!(found.expect("the name is right"), NodeId(2));
    assert!(matches!(one.with_name("no name"), Err(TlsError::Name(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_changed_while_nodes_talk() {
    let (old, new) = (Authority::new(), Authority::new());
    let (tls_one, home_one) = old.tls("1", &["127.0.0.1"]);
    let (tls_two, home_two) = old.tls("2", &["127.0.0.1"]);
    let (one, two) = pair_of(with(&tls_one, 1), with(&tls_two, 2)).await;
    until_heard(&one, 1, &two, 2).await;
    new.write(&["127.0.0.1"], &home_one);
    new.write(&["127.0.0.1"], &home_two);
    tls_one.reload().expect("they are good");
    tls_two.reload().expect("they are good");
    // The connection of before goes on.
    until_heard(&one, 1, &two, 2).await;
    assert_eq!(one.counters().dials, 1);
    // New ones are made under the new authority, and only under it.
    until_heard(&two, 2, &one, 1).await;
    let (former, _) = old.tls("3", &["127.0.0.1"]);
    let three = TestNode::start(with(&former, 3)).await;
    assert!(three.net.contact(&one.address()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_changes_nothing() {
    let authority = Authority::new();
    let (tls, home) = authority.tls("1", &["127.0.0.1"]);
    let (other, _) = authority.tls("2", &["127.0.0.1"]);
    let check = |file: &str, content: &str, is_it: fn(&TlsError) -> bool| {
        let good = fs::read(home.join(file)).expect("it is there");
        fs::write(home.join(file), content).expect("there is a disk");
        let error = tls.reload().expect_err("it is no good");
        assert!(is_it(&error), "{error}");
        fs::write(home.join(file), good).expect("there is a disk");
    };
    check("node.pem", "", |error| {
        matches!(error, TlsError::Empty { .. })
    });
    check("node.key", "", |error| {
        matches!(error, TlsError::File { .. })
    });
    check("authority.pem", "", |error| {
        matches!(error, TlsError::Empty { .. })
    });
    let foreign = KeyPair::generate().expect("ring can").serialize_pem();
    check("node.key", &foreign, |error| {
        matches!(error, TlsError::Refused(_))
    });
    let (one, two) = pair_of(with(&tls, 1), with(&other, 2)).await;
    one.send(hail(1, 2, 1));
    until("it arrives", || two.kept.count() == 1).await;
}
