//! Certificates as their users meet them: made into files, accepted by all ends that should, and
//! fetched by a machine that trusts nobody yet. All over loopback.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use clap::Parser;
use raft_core::NodeId;
use raft_net::{TcpConfig, TcpNet, Tls};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;

use super::token::{Pin, Token};
use super::{TlsArgs, Verb, fetch, issue, token, trust};
use crate::exit::Exit;

/// The verb as a program of its own.
#[derive(Parser)]
struct Program {
    #[command(flatten)]
    args: TlsArgs,
}

/// Runs `tls ...`.
fn run(words: &[&str]) -> Result<String, Exit> {
    let words = ["tls"].into_iter().chain(words.iter().copied());
    let program = Program::try_parse_from(words);
    let program = program.map_err(|error| Exit::BadInput(anyhow::Error::msg(error.to_string())))?;
    match program.args.verb {
        Verb::Gen(args) => issue::issue(&args),
        Verb::Token(args) => token::print(&args),
        Verb::Fetch(args) => fetch::fetch(&args),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A directory with certificates of all kinds, for loopback.
fn all_kinds() -> TempDir {
    let dir = TempDir::new().unwrap();
    let out = text(dir.path());
    let hosts = "127.0.0.1,localhost";
    run(&[
        "gen", "--out", out, "--hosts", hosts, "--name", "n1", "--client", "alice",
    ])
    .unwrap();
    dir
}

fn pin_of(dir: &Path) -> Pin {
    let certificate = CertificateDer::from_pem_file(dir.join("ca.crt")).unwrap();
    Pin::of(&certificate)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn all_files_are_made_and_keys_are_for_their_owner() {
    let dir = all_kinds();
    let expected = [
        "ca.crt",
        "ca.key",
        "client.crt",
        "client.key",
        "peer.crt",
        "peer.key",
        "server.crt",
        "server.key",
    ];
    assert_eq!(names(dir.path()), expected);
    for name in expected {
        let is_key = Path::new(name).extension().unwrap() == "key";
        let expected = if is_key { 0o600 } else { 0o644 };
        assert_eq!(mode(&dir.path().join(name)), expected, "{name}");
    }
    for name in ["server.crt", "peer.crt", "client.crt"] {
        let chain = CertificateDer::pem_file_iter(dir.path().join(name)).unwrap();
        let chain: Vec<_> = chain.map(Result::unwrap).collect();
        assert_eq!(chain.len(), 2, "{name}: itself and its authority");
        assert!(Pin::of(&chain[1]) == pin_of(dir.path()), "{name}");
    }
}

#[test]
fn what_is_made_is_what_is_asked_for() {
    let check = |words: &[&str], expected: &[&str]| {
        let dir = TempDir::new().unwrap();
        let all = ["gen", "--out", text(dir.path())].into_iter();
        let all: Vec<&str> = all.chain(words.iter().copied()).collect();
        match run(&all) {
            Ok(told) => {
                assert_eq!(names(dir.path()), expected, "{words:?}");
                assert!(told.contains("ca.crt"), "{told}");
            }
            Err(exit) => {
                assert_eq!(exit.code(), 3, "{exit}");
                assert!(expected.is_empty(), "{words:?}: {exit}");
                assert!(names(dir.path()).is_empty(), "nothing is left behind");
            }
        }
    };
    let server = [
        "ca.crt",
        "ca.key",
        "peer.crt",
        "peer.key",
        "server.crt",
        "server.key",
    ];
    check(&["--hosts", "h1"], &server);
    check(
        &["--client", "alice"],
        &["ca.crt", "ca.key", "client.crt", "client.key"],
    );
    check(&[], &[]);
    check(&["--name", "n1", "--client", "alice"], &[]);
    check(&["--hosts", "h1", "--days", "0"], &[]);
    check(&["--hosts", "h1", "--days", "99999"], &[]);
}

#[test]
fn nothing_is_replaced_unless_it_is_forced_and_an_authority_never_is() {
    let dir = all_kinds();
    let out = text(dir.path());
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let before = (read("server.key"), read("ca.crt"), read("ca.key"));

    let exit = run(&["gen", "--out", out, "--hosts", "h1"]).unwrap_err();
    assert!(exit.to_string().contains("server.crt"), "{exit}");
    assert_eq!(exit.code(), 3);
    assert_eq!(read("server.key"), before.0);

    run(&["gen", "--out", out, "--hosts", "h1", "--force"]).unwrap();
    assert_ne!(read("server.key"), before.0);
    assert_eq!((read("ca.crt"), read("ca.key")), (before.1, before.2));
    assert_eq!(mode(&dir.path().join("server.key")), 0o600);
}

#[test]
fn an_authority_elsewhere_signs_and_keeps_its_key() {
    let (home, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (ca, one, two) = (home.path(), out.path().join("n1"), out.path().join("n2"));
    let make = |out: &Path| {
        run(&[
            "gen",
            "--out",
            text(out),
            "--ca",
            text(ca),
            "--hosts",
            "127.0.0.1",
        ])
        .unwrap();
    };
    make(&one);
    make(&two);
    assert_eq!(names(ca), ["ca.crt", "ca.key"]);
    for out in [&one, &two] {
        assert!(!out.join("ca.key").exists());
        assert!(pin_of(out) == pin_of(ca));
    }
}

#[test]
fn authorities_that_are_trusted_stay_while_they_change() {
    let (old, new, out) = (all_kinds(), all_kinds(), TempDir::new().unwrap());
    let make = |ca: &Path, more: &[&str]| {
        let line = [
            "gen",
            "--out",
            text(out.path()),
            "--ca",
            text(ca),
            "--client",
            "alice",
        ];
        run(&[&line[..], more].concat())
    };
    let read = |dir: &Path| fs::read_to_string(dir.join("ca.crt")).unwrap();
    make(old.path(), &[]).unwrap();
    fs::remove_file(out.path().join("client.crt")).unwrap();
    fs::remove_file(out.path().join("client.key")).unwrap();

    let exit = make(new.path(), &[]).unwrap_err();
    assert!(exit.to_string().contains("append ca.crt to it"), "{exit}");
    assert_eq!(names(out.path()), ["ca.crt"], "nothing was written");

    let both = read(old.path()) + &read(new.path());
    fs::write(out.path().join("ca.crt"), &both).unwrap();
    make(new.path(), &["--force"]).unwrap();
    assert_eq!(read(out.path()), both);
    make(all_kinds().path(), &["--force"]).unwrap();
    assert!(read(out.path()) != both);
}

#[test]
fn half_an_authority_or_a_foreign_one_signs_nothing() {
    let (dir, other) = (all_kinds(), all_kinds());
    let again = || run(&["gen", "--out", text(dir.path()), "--hosts", "h1", "--force"]);
    let server = fs::read(dir.path().join("server.crt")).unwrap();

    fs::copy(other.path().join("ca.crt"), dir.path().join("ca.crt")).unwrap();
    let exit = again().unwrap_err();
    assert!(
        exit.to_string().contains("ca.crt does not go with ca.key"),
        "{exit}"
    );

    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    let exit = again().unwrap_err();
    assert!(exit.to_string().contains("ca.crt: missing"), "{exit}");

    fs::copy(other.path().join("ca.crt"), dir.path().join("ca.crt")).unwrap();
    fs::remove_file(dir.path().join("ca.key")).unwrap();
    let exit = again().unwrap_err();
    assert!(exit.to_string().contains("ca.key: missing"), "{exit}");
    assert_eq!(fs::read(dir.path().join("server.crt")).unwrap(), server);
}

#[test]
fn a_token_survives_being_written_down() {
    let dir = all_kinds();
    let ca = text(dir.path());
    let check = |words: &[&str], endpoint: Option<&str>| {
        let all = ["token", "--ca", ca]
            .into_iter()
            .chain(words.iter().copied());
        let told = run(&all.collect::<Vec<_>>()).unwrap();
        assert!(told.starts_with("raft-join:v1:"), "{told}");
        let token: Token = told.parse().unwrap();
        assert!(token.pin == pin_of(dir.path()));
        let found = token.endpoint.as_ref().map(ToString::to_string);
        assert_eq!(found.as_deref(), endpoint);
        assert_eq!(format!("{token}\n"), told);
    };
    check(&[], None);
    check(&["--endpoint", "https://h1:2379"], Some("https://h1:2379"));
    check(
        &["--endpoint", "https://[::1]:2379"],
        Some("https://[::1]:2379"),
    );
    run(&["token", "--ca", ca, "--endpoint", "http://h1:2379"]).unwrap_err();
    run(&["token", "--ca", "/nowhere"]).unwrap_err();
    for bad in [
        "",
        "raft-join:v2:AAAA",
        "raft-join:v1:",
        "raft-join:v1:AAAA",
    ] {
        bad.parse::<Token>().expect_err(bad);
    }
}

/// Who listens, once, with the certificate `name` of a directory, and echoes a byte.
fn serve(dir: &Path, name: &str, wants_certificate: bool) -> (SocketAddr, JoinHandle<bool>) {
    let chain = CertificateDer::pem_file_iter(dir.join(format!("{name}.crt"))).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_certificate {
        let roots = Arc::new(roots(dir));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(config).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut stream);
        let mut byte = [0];
        let read = stream.read_exact(&mut byte);
        read.and_then(|()| stream.write_all(&byte)).is_ok()
    });
    (address, served)
}

fn roots(dir: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(dir.join("ca.crt")).unwrap();
    roots.add(authority).unwrap();
    roots
}

/// Whether a client that trusts the authority of one directory, and shows the certificate `name`
/// of it, is echoed a byte.
fn talks(dir: &Path, name: Option<&str>, address: SocketAddr) -> bool {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(dir));
    let config = match name {
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(dir.join(format!("{name}.crt"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
            let chain = chain.map(Result::unwrap).collect();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    let name = "127.0.0.1".try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut stream);
    let mut byte = [0];
    let talked = stream.write_all(&[7]);
    let talked = talked.and_then(|()| stream.read_exact(&mut byte));
    talked.is_ok() && byte == [7]
}

#[test]
fn a_server_that_wants_certificates_takes_those_of_its_authority_and_no_others() {
    let (dir, stranger) = (all_kinds(), all_kinds());
    let check = |server, client: Option<&str>, expected| {
        let (address, served) = serve(dir.path(), server, true);
        assert_eq!(talks(dir.path(), client, address), expected, "{client:?}");
        assert_eq!(served.join().unwrap(), expected, "{client:?}");
    };
    check("server", Some("client"), true);
    check("server", Some("peer"), true);
    // Another member, which passes on what only this one can answer.
    check("server", Some("server"), true);
    check("server", None, false);

    let (address, served) = serve(dir.path(), "server", true);
    assert!(!talks(stranger.path(), Some("client"), address));
    assert!(!served.join().unwrap());
    // Who shows a client's certificate is no server.
    let (address, served) = serve(dir.path(), "client", false);
    assert!(!talks(dir.path(), None, address));
    assert!(!served.join().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_one_authority_talk_both_ways_and_those_of_another_do_not() {
    let home = TempDir::new().unwrap();
    let (ca, other) = (home.path().join("ca"), home.path().join("other"));
    let bind = async |name: &str, ca: &Path, id: u64| {
        let out = home.path().join(name);
        run(&[
            "gen",
            "--out",
            text(&out),
            "--ca",
            text(ca),
            "--hosts",
            "127.0.0.1",
        ])
        .unwrap();
        let file = |name: &str| out.join(name);
        let tls = Tls::from_files(file("peer.crt"), file("peer.key"), file("ca.crt")).unwrap();
        let config = TcpConfig {
            tls: Some(tls),
            ..TcpConfig::new(7, NodeId(id), "127.0.0.1:0")
        };
        TcpNet::bind(config).await.unwrap()
    };
    let one = bind("n1", &ca, 1).await;
    let two = bind("n2", &ca, 2).await;
    let stranger = bind("n3", &other, 3).await;
    let address = |net: &TcpNet| net.local_address().to_string();
    assert_eq!(one.contact(&address(&two)).await.unwrap(), NodeId(2));
    assert_eq!(two.contact(&address(&one)).await.unwrap(), NodeId(1));
    one.contact(&address(&stranger)).await.unwrap_err();
    stranger.contact(&address(&one)).await.unwrap_err();
    for net in [one, two, stranger] {
        net.shutdown().await;
    }
}

/// What comes of fetching from a server of one directory with a token of another.
fn fetched(
    server: &Path,
    name: &str,
    wants_certificate: bool,
    pinned: &Path,
) -> Result<String, Exit> {
    let (address, served) = serve(server, name, wants_certificate);
    let out = TempDir::new().unwrap();
    let endpoint = format!("https://{address}");
    let told = run(&["token", "--ca", text(pinned), "--endpoint", &endpoint]).unwrap();
    let done = run(&["fetch", "--token", told.trim(), "--out", text(out.path())]);
    served.join().unwrap();
    match done {
        Ok(_) => Ok(fs::read_to_string(out.path().join("ca.crt")).unwrap()),
        Err(exit) => {
            assert!(!out.path().join("ca.crt").exists(), "nothing is written");
            Err(exit)
        }
    }
}

#[test]
fn a_pinned_authority_is_fetched_and_it_is_the_same_file() {
    let dir = all_kinds();
    let expected = fs::read_to_string(dir.path().join("ca.crt")).unwrap();
    for wants_certificate in [false, true] {
        let found = fetched(dir.path(), "server", wants_certificate, dir.path()).unwrap();
        let found = trust::first_certificate(&found).unwrap();
        assert_eq!(found, trust::first_certificate(&expected).unwrap());
    }
}

#[test]
fn a_server_of_another_authority_is_refused() {
    let (dir, other) = (all_kinds(), all_kinds());
    let exit = fetched(other.path(), "server", false, dir.path()).unwrap_err();
    assert!(
        exit.to_string()
            .contains("the authority that the token pins"),
        "{exit}"
    );
    assert_eq!(exit.code(), 4);
}

#[test]
fn a_server_that_shows_the_authority_but_is_not_of_it_is_refused() {
    let (dir, other) = (all_kinds(), all_kinds());
    let leaf = CertificateDer::from_pem_file(other.path().join("server.crt")).unwrap();
    let own = fs::read_to_string(other.path().join("server.crt")).unwrap();
    let end = "-----END CERTIFICATE-----";
    let leaf_text = &own[..own.find(end).unwrap() + end.len()];
    assert_eq!(trust::first_certificate(leaf_text).unwrap(), leaf);
    let authority = fs::read_to_string(dir.path().join("ca.crt")).unwrap();
    let mixed = format!("{leaf_text}\n{authority}");
    fs::write(other.path().join("server.crt"), mixed).unwrap();
    let exit = fetched(other.path(), "server", false, dir.path()).unwrap_err();
    assert_eq!(exit.code(), 4, "{exit}");
}

#[test]
fn a_server_of_another_name_or_without_its_authority_is_refused() {
    let dir = all_kinds();
    let out = text(dir.path());
    run(&[
        "gen",
        "--out",
        out,
        "--hosts",
        "elsewhere.example",
        "--force",
    ])
    .unwrap();
    let exit = fetched(dir.path(), "server", false, dir.path()).unwrap_err();
    assert_eq!(exit.code(), 4, "{exit}");

    run(&["gen", "--out", out, "--hosts", "127.0.0.1", "--force"]).unwrap();
    let path = dir.path().join("server.crt");
    let chain = fs::read_to_string(&path).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    fs::write(&path, &chain[..chain.find(end).unwrap() + end.len()]).unwrap();
    let exit = fetched(dir.path(), "server", false, dir.path()).unwrap_err();
    assert!(
        exit.to_string()
            .contains("lacks the authority's certificate"),
        "{exit}"
    );
}

#[test]
fn a_certificate_that_is_there_is_not_replaced_by_another() {
    let (dir, other) = (all_kinds(), all_kinds());
    let (address, served) = serve(dir.path(), "server", false);
    let told = run(&["token", "--ca", text(dir.path())]).unwrap();
    let endpoint = format!("https://{address}");
    let line = [
        "fetch",
        "--token",
        told.trim(),
        "--endpoint",
        &endpoint,
        "--out",
    ];
    let exit = run(&[&line[..], &[text(other.path())]].concat()).unwrap_err();
    served.join().unwrap();
    assert!(
        exit.to_string().contains("there already, and another"),
        "{exit}"
    );
    assert!(pin_of(other.path()) != pin_of(dir.path()));
}

#[test]
fn a_server_that_is_not_there_can_not_be_reached() {
    let dir = all_kinds();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let told = run(&["token", "--ca", text(dir.path()), "--endpoint", &endpoint]).unwrap();
    let line = ["fetch", "--token", told.trim(), "--out", text(dir.path())];
    assert_eq!(run(&line).unwrap_err().code(), 2);
}
