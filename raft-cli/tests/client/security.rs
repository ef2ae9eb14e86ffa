//! Certificates, users and passwords.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use super::etcd::{Etcd, refused, stdout};

/// `ca.pem`, and `server` and `client` with `.pem` and `.key`.
fn certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
    fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
    for name in ["server", "client"] {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[test]
fn servers_and_clients_prove_who_they_are() {
    let etcd = Etcd::start_with("https", |directory| {
        certificates(directory.path());
        let file = |name: &str| directory.path().join(name).display().to_string();
        vec![
            "--client-cert-auth".to_owned(),
            format!("--trusted-ca-file={}", file("ca.pem")),
            format!("--cert-file={}", file("server.pem")),
            format!("--key-file={}", file("server.key")),
        ]
    });
    let Some(etcd) = etcd else { return };
    let file = |name: &str| etcd.directory.path().join(name).display().to_string();
    let cacert = format!("--cacert={}", file("ca.pem"));
    let cert = format!("--cert={}", file("client.pem"));
    let key = format!("--key={}", file("client.key"));
    let put = |flags: &[&str]| etcd.ours(&[flags, &["put", "a", "1"]].concat());
    assert_eq!(stdout(&mut put(&[&cacert, &cert, &key])), "OK\n");
    assert_eq!(
        stdout(&mut put(&["--insecure-skip-tls-verify", &cert, &key])),
        "OK\n"
    );
    let https = format!("--endpoints=https://{}", etcd.endpoint);
    assert_eq!(stdout(&mut put(&[&https, &cacert, &cert, &key])), "OK\n");
    // Without our certificate the server hangs up; without its authority we do.
    let code = put(&[&cacert]).status().unwrap().code();
    assert!(matches!(code, Some(2 | 5)), "{code:?}");
    refused(&mut put(&[&https, &cert, &key]), 2);
    refused(&mut put(&[&cacert, &cert]), 3);
    let missing = format!("--cacert={}", file("missing.pem"));
    assert!(refused(&mut put(&[&missing]), 3).contains("missing.pem"));
}

#[test]
fn users_prove_who_they_are_once_that_is_asked_for() {
    let Some(etcd) = Etcd::start() else { return };
    let check = |arguments: &[&str], expected: &str| {
        assert_eq!(stdout(&mut etcd.ours(arguments)), expected);
    };
    // Nobody asks yet, so it does not matter.
    check(&["--user", "root:secret", "put", "a", "1"], "OK\n");
    check(&["user", "add", "root:secret"], "User root created\n");
    check(&["auth", "enable"], "Authentication Enabled\n");
    let anonymous = refused(&mut etcd.ours(&["get", "a"]), 4);
    assert!(anonymous.contains("--user"), "{anonymous}");
    let wrong = refused(&mut etcd.ours(&["--user", "root:wrong", "get", "a"]), 4);
    assert!(
        wrong.contains("authentication failed, invalid user ID or password"),
        "{wrong}"
    );
    check(&["--user", "root:secret", "get", "a"], "a\n1\n");
    check(&["--user=root", "--password=secret", "get", "a"], "a\n1\n");
    let mut by_environment = etcd.ours(&["get", "a"]);
    by_environment.env("ETCDCTL_USER", "root:secret");
    assert_eq!(stdout(&mut by_environment), "a\n1\n");
    let root = ["--user", "root:secret"];
    check(
        &[&root[..], &["user", "add", "u:p"]].concat(),
        "User u created\n",
    );
    let forbidden = refused(&mut etcd.ours(&["--user", "u:p", "get", "a"]), 4);
    assert!(forbidden.contains("permission denied"), "{forbidden}");
    check(
        &[&root[..], &["auth", "disable"]].concat(),
        "Authentication Disabled\n",
    );
}
