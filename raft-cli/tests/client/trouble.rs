//! What goes wrong, and how scripts can tell.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use super::etcd::{Etcd, ours, refused, stdout, text};

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn exit_codes_tell_what_went_wrong() {
    let said = refused(&mut ours(&["--endpoints", NOWHERE, "get", "a"]), 2);
    assert!(said.contains("--endpoints"), "{said}");
    let check = |command: &str, code: i32| {
        let words: Vec<&str> = command.split(' ').collect();
        refused(&mut ours(&words), code);
    };
    check("get", 3);
    check("get a --endpoints ftp://a:1", 3);
    check("get a -w yaml", 3);
    check("get a -w table", 3);
    check("get a --prefix --from-key", 3);
    check("put a b --lease xyz", 3);
    check("unknown", 3);
    check("endpoint health --endpoints 127.0.0.1:1", 5);
    check("endpoint status --endpoints 127.0.0.1:1", 2);
    check("snapshot save x --endpoints a:1,b:1", 3);
}

#[test]
fn the_next_endpoint_is_asked_if_one_is_not_there() {
    let Some(etcd) = Etcd::start() else { return };
    let endpoints = format!("--endpoints={NOWHERE},{}", etcd.endpoint);
    assert_eq!(stdout(&mut ours(&[&endpoints, "put", "a", "1"])), "OK\n");
    assert_eq!(stdout(&mut ours(&["get", "a", &endpoints])), "a\n1\n");
    let output = ours(&["endpoint", "health", &endpoints]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stdout).contains("is healthy"));
    assert!(text(&output.stderr).contains("127.0.0.1:1 is unhealthy"));
}

#[test]
fn the_server_is_quoted_when_it_refuses() {
    let Some(etcd) = Etcd::start() else { return };
    let said = refused(&mut etcd.ours(&["get", "a", "--rev", "9"]), 4);
    assert!(
        said.contains("etcdserver: mvcc: required revision is a future revision"),
        "{said}"
    );
}

#[test]
fn a_snapshot_is_one_that_etcdctl_can_read() {
    let Some(etcd) = Etcd::start() else { return };
    stdout(&mut etcd.ours(&["put", "a", "1"]));
    let path = etcd.directory.path().join("backup.db");
    let path = path.to_str().unwrap();
    let said = stdout(&mut etcd.ours(&["snapshot", "save", path]));
    assert_eq!(said, format!("Snapshot saved at {path}\n"));
    assert!(!fs::exists(format!("{path}.part")).unwrap());
    stdout(&mut etcd.theirs(&["snapshot", "status", path]));
    let nowhere = etcd.directory.path().join("missing/backup.db");
    let nowhere = nowhere.to_str().unwrap();
    refused(&mut etcd.ours(&["snapshot", "save", nowhere]), 1);
}

#[test]
fn a_watch_goes_on_when_the_server_is_back() {
    let Some(mut etcd) = Etcd::start() else {
        return;
    };
    stdout(&mut etcd.ours(&["put", "a", "1"]));
    let mut watch = etcd.ours(&["watch", "a", "--rev", "1"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut event = || -> Vec<String> { lines.by_ref().take(3).map(Result::unwrap).collect() };
    assert_eq!(event(), ["PUT", "a", "1"]);
    etcd.restart();
    stdout(&mut etcd.ours(&["put", "a", "2"]));
    assert_eq!(event(), ["PUT", "a", "2"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_mirror_has_what_was_there_and_what_happens_later() {
    let (Some(from), Some(to)) = (Etcd::start(), Etcd::start()) else {
        return;
    };
    for (key, value) in [("p/a", "1"), ("p/b", "2"), ("q", "3")] {
        stdout(&mut from.ours(&["put", key, value]));
    }
    let flags = [
        "--prefix",
        "p/",
        "--dest-prefix",
        "m/",
        "--max-txn-ops",
        "1",
    ];
    let mut mirror = from.ours(&[&["make-mirror", &to.endpoint], &flags[..]].concat());
    let mut mirror = mirror.spawn().unwrap();
    let mut until = |expected: &str| {
        while stdout(&mut to.ours(&["get", "", "--prefix"])) != expected {
            assert!(
                mirror_runs(&mut mirror),
                "the mirror ended without {expected:?}"
            );
        }
    };
    until("m/a\n1\nm/b\n2\n");
    let mut txn = from.ours(&["txn"]);
    let mut txn = txn.stdin(Stdio::piped()).spawn().unwrap();
    let lists = b"\nput p/c 4\nput q 5\ndel p/a\n\n\n";
    txn.stdin.take().unwrap().write_all(lists).unwrap();
    assert!(txn.wait().unwrap().success());
    until("m/b\n2\nm/c\n4\n");
    mirror.kill().unwrap();
    mirror.wait().unwrap();
}

fn mirror_runs(mirror: &mut Child) -> bool {
    mirror.try_wait().unwrap().is_none()
}

#[test]
fn a_lease_is_kept_alive_until_it_is_revoked() {
    let Some(etcd) = Etcd::start() else { return };
    let granted = stdout(&mut etcd.ours(&["lease", "grant", "60"]));
    let id = granted.split(' ').nth(1).unwrap();
    stdout(&mut etcd.ours(&["put", "a", "1", "--lease", id]));
    let kept = stdout(&mut etcd.ours(&["lease", "keep-alive", "--once", id]));
    assert_eq!(kept, format!("lease {id} keepalived with TTL(60)\n"));
    let keys = stdout(&mut etcd.ours(&["lease", "timetolive", id, "--keys"]));
    assert!(keys.ends_with(", attached keys([a])\n"), "{keys}");
    let revoked = stdout(&mut etcd.ours(&["lease", "revoke", id]));
    assert_eq!(revoked, format!("lease {id} revoked\n"));
    assert_eq!(etcd.count("a"), 0);
    let ended = stdout(&mut etcd.ours(&["lease", "keep-alive", id]));
    assert_eq!(ended, format!("lease {id} expired or revoked.\n"));
}

#[test]
fn completions_and_the_version_need_no_server() {
    assert!(stdout(&mut ours(&["version"])).starts_with("raft-cli version: "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            stdout(&mut ours(&["completion", shell])).contains("move-leader"),
            "{shell}"
        );
    }
}
