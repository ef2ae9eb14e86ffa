//! Debian's `etcdctl`, through every verb that it has for this interface.
//!
//! Left out: `migrate`, which is about files of etcd 2; `snapshot status` and `snapshot restore`,
//! which read etcd's own files; `check datascale`, which fills gigabytes; `completion`, which asks
//! nobody.

use std::process::Command;

use raft_tests::processes::{Cluster, Plan};

use crate::tool::{Said, Talking, is_installed, run};
use crate::{cluster_of, endpoints};

/// A cluster, and `etcdctl` for it.
struct Ctl {
    cluster: Cluster,
    endpoints: String,
    user: Option<&'static str>,
}

impl Ctl {
    async fn start(size: u64) -> Option<Self> {
        Self::of(Plan::of(size)).await
    }

    async fn of(plan: Plan) -> Option<Self> {
        if !is_installed("etcdctl", "version") {
            return None;
        }
        let size = plan.size;
        let cluster = cluster_of(plan).await;
        let endpoints = endpoints(&cluster, size);
        Some(Self {
            cluster,
            endpoints,
            user: None,
        })
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.arg("--endpoints").arg(&self.endpoints);
        if let Some(user) = self.user {
            command.arg("--user").arg(user);
        }
        command.args(words.split_whitespace());
        command
    }

    fn run(&self, words: &str) -> Said {
        run(&mut self.command(words), "")
    }

    /// It succeeds, and prints this.
    fn check(&self, words: &str, expected: &str) {
        let said = self.run(words);
        assert!(said.is_success, "{words}: {said:?}");
        assert_eq!(said.out, expected, "{words}");
    }

    /// It succeeds, and prints something with this in it.
    fn shows(&self, words: &str, part: &str) -> String {
        let said = self.run(words);
        assert!(said.is_success, "{words}: {said:?}");
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains(part), "{words}: {said:?}");
        said.out
    }

    /// It fails, and says this.
    fn refuses(&self, words: &str, part: &str) {
        let said = self.run(words);
        assert!(!said.is_success, "{words}: {said:?}");
        assert!(said.err.contains(part), "{words}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_put_and_got_and_deleted() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    ctl.check("put a 1", "OK\n");
    ctl.check("put a 2 --prev-kv", "OK\na\n1\n");
    ctl.check("put b 3", "OK\n");
    ctl.check("get a", "a\n2\n");
    ctl.check("get a b0", "a\n2\nb\n3\n");
    ctl.check("get --prefix x", "");
    ctl.check("get --from-key a --print-value-only", "2\n3\n");
    ctl.check("get --prefix a --keys-only", "a\n\n");
    ctl.check("get a --rev=2", "a\n1\n");
    ctl.check(
        "get --from-key a --order=DESCEND --sort-by=KEY --limit=1",
        "b\n3\n",
    );
    ctl.check("get a --consistency=s", "a\n2\n");
    ctl.check("get a --hex", "\\x61\n\\x32\n");
    ctl.shows(
        "get a -w json",
        "\"key\":\"YQ==\",\"create_revision\":2,\"mod_revision\":3",
    );
    ctl.shows("get a -w fields", "\"ModRevision\" : 3");
    ctl.check("put a --ignore-lease 4", "OK\n");
    ctl.check("del a --prev-kv", "1\na\n4\n");
    ctl.check("del --prefix x", "0\n");
    ctl.check("del --from-key a", "1\n");
    ctl.refuses("get a --rev=99", "required revision is a future revision");
    ctl.shows("compaction 5", "compacted revision 5");
    ctl.refuses("compaction 5", "required revision has been compacted");
    ctl.refuses("get a --rev=2", "required revision has been compacted");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_one_answer_is_read_in_parts() {
    let Some(mut ctl) = Ctl::of(Plan::of(1).with("max-range-bytes", "1000")).await else {
        return;
    };
    let value = "v".repeat(600);
    ctl.check(&format!("put a {value}"), "OK\n");
    ctl.check(&format!("put b {value}"), "OK\n");
    ctl.refuses("get --from-key a", "the answer is longer than 1000 bytes");
    ctl.check("get --from-key a --keys-only", "a\n\nb\n\n");
    for key in ["a", "b"] {
        let get = format!("get --from-key {key} --limit=1");
        ctl.check(&get, &format!("{key}\n{value}\n"));
    }
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_compare_and_branch() {
    let Some(mut ctl) = Ctl::start(1).await else {
        return;
    };
    ctl.check("put a 1", "OK\n");
    for (input, expected) in [
        (
            "value(\"a\") = \"1\"\n\nput a 2\nget a\n\nput a 3\n\n",
            "SUCCESS\n\nOK\n\na\n2\n",
        ),
        (
            "value(\"a\") = \"1\"\n\nput a 4\n\nget a\ndel a\n\n",
            "FAILURE\n\na\n2\n\n1\n",
        ),
        ("create(\"a\") = \"0\"\n\nput a 5\n\n\n", "SUCCESS\n\nOK\n"),
    ] {
        let said = run(&mut ctl.command("txn"), input);
        assert!(said.is_success, "{said:?}");
        assert_eq!(said.out, expected, "{input}");
    }
    let twice = run(&mut ctl.command("txn"), "\nput a 1\nput a 2\n\n\n");
    assert!(
        twice.err.contains("duplicate key given in txn request"),
        "{twice:?}"
    );
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_what_happened_and_what_happens() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    ctl.check("put a 1", "OK\n");
    ctl.check("put a 2", "OK\n");
    let watch = Talking::start(&mut ctl.command("watch a --rev=2 --prev-kv"));
    let seen: Vec<_> = (0..8).map(|_| watch.line()).collect();
    assert_eq!(seen, ["PUT", "a", "1", "PUT", "a", "1", "a", "2"]);
    ctl.check("del a", "1\n");
    let seen: Vec<_> = (0..5).map(|_| watch.line()).collect();
    assert_eq!(seen, ["DELETE", "a", "2", "a", ""]);
    let ran = Talking::start(&mut ctl.command("watch b --rev=1 -- echo seen"));
    ctl.check("put b 1", "OK\n");
    assert_eq!(ran.line(), "PUT");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_hold_keys_for_as_long_as_they_live() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    let granted = ctl.shows("lease grant 100", "granted with TTL(100s)");
    let id = granted.split_whitespace().nth(1).expect("an id").to_owned();
    ctl.check(&format!("put a 1 --lease={id}"), "OK\n");
    ctl.shows("lease list", &id);
    ctl.shows(
        &format!("lease timetolive {id} --keys"),
        "attached keys([a])",
    );
    ctl.shows(
        &format!("lease keep-alive {id} --once"),
        "keepalived with TTL(100)",
    );
    ctl.shows(&format!("lease revoke {id}"), "revoked");
    ctl.check("get a", "");
    ctl.shows(&format!("lease timetolive {id}"), "already expired");
    ctl.refuses(&format!("lease revoke {id}"), "requested lease not found");
    ctl.refuses("put a 1 --lease=123", "requested lease not found");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_exclude_and_elections_are_won() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    ctl.check("lock name echo held", "held\n");
    let held = Talking::start(&mut ctl.command("lock name"));
    let key = held.line();
    assert!(key.starts_with("name/"), "{key}");
    drop(held);
    // Killed, its lease has to run out.
    ctl.check("del name/ --prefix", "1\n");
    let elected = Talking::start(&mut ctl.command("elect office me"));
    assert!(elected.line().starts_with("office/"));
    assert_eq!(elected.line(), "me");
    let listens = Talking::start(&mut ctl.command("elect --listen office"));
    assert!(listens.line().starts_with("office/"));
    assert_eq!(listens.line(), "me");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    let listed = ctl.shows("member list", "started");
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let added = ctl.shows(
        "member add n9 --peer-urls=http://127.0.0.1:9 --learner",
        "ETCD_INITIAL_CLUSTER_STATE=\"existing\"",
    );
    let id = added.split_whitespace().nth(1).expect("an id").to_owned();
    ctl.shows("member list", "unstarted");
    ctl.refuses(
        "member add n8 --peer-urls=http://127.0.0.1:9",
        "Peer URLs already exists",
    );
    ctl.shows(
        &format!("member update {id} --peer-urls=http://127.0.0.1:10"),
        "updated",
    );
    ctl.shows("member list", "http://127.0.0.1:10");
    ctl.refuses(&format!("member promote {id}"), "in sync with leader");
    ctl.shows(&format!("member remove {id}"), "removed from cluster");
    ctl.refuses("member remove 123", "member not found");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_how_members_are() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    // For these verbs etcdctl 3.4 sends the whole URL as the authority, which is none.
    ctl.endpoints = ctl.endpoints.replace("http://", "");
    ctl.check("put a 1", "OK\n");
    let health = ctl.run("endpoint health");
    assert_eq!(
        health.err.matches("is healthy").count() + health.out.matches("is healthy").count(),
        3
    );
    let status = ctl.shows("endpoint status -w json", "raftAppliedIndex");
    assert_eq!(status.matches("\"leader\":").count(), 3, "{status}");
    ctl.shows("endpoint hashkv", ", ");
    ctl.check("alarm list", "");
    ctl.check("alarm disarm", "");
    ctl.shows("defrag", "Finished defragmenting etcd member");
    let leader = ctl.cluster.leader().await;
    let target = ctl.cluster.follower().await;
    let target = ctl.cluster.id(target).await;
    let old = std::mem::take(&mut ctl.endpoints);
    ctl.endpoints = ctl.cluster.client_url(leader).replace("http://", "");
    ctl.shows(&format!("move-leader {target:x}"), "Leadership transferred");
    ctl.endpoints = old;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("snapshot");
    ctl.endpoints = ctl.cluster.client_url(leader).replace("http://", "");
    ctl.shows(
        &format!("snapshot save {}", file.display()),
        "Snapshot saved",
    );
    let bytes = std::fs::metadata(&file).expect("it was saved").len();
    assert_eq!(bytes % 512, 32);
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_mirrored() {
    let Some(mut ctl) = Ctl::start(1).await else {
        return;
    };
    ctl.check("put a1 before", "OK\n");
    // Onto itself, under another prefix. It takes no scheme before the destination.
    let to = ctl.endpoints.replace("http://", "");
    let mirror = format!("make-mirror --prefix=a --dest-prefix=b {to}");
    let _mirror = Talking::start(&mut ctl.command(&mirror));
    let arrives = |key: &str, value: &str| {
        let expected = format!("{key}\n{value}\n");
        let has_arrived = (0..100).any(|_| ctl.run(&format!("get {key}")).out == expected);
        assert!(has_arrived, "{key} is mirrored");
    };
    arrives("b1", "before");
    ctl.check("put a2 meanwhile", "OK\n");
    arrives("b2", "meanwhile");
    ctl.check("del a1", "1\n");
    let is_gone = (0..100).any(|_| ctl.run("get b1").out.is_empty());
    assert!(is_gone, "deletions are mirrored");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_a_known_size_is_measured() {
    let Some(mut ctl) = Ctl::start(1).await else {
        return;
    };
    // It takes a minute. Whether the machine is fast enough for it is not asked here.
    let said = ctl.run("check perf --load=s");
    assert!(said.out.contains("Throughput"), "{said:?}");
    assert!(said.out.contains("Slowest request took"), "{said:?}");
    ctl.check("get --prefix /etcdctl-check-perf/", "");
    ctl.cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_do_what_their_roles_allow() {
    let Some(mut ctl) = Ctl::start(3).await else {
        return;
    };
    ctl.shows("user add root:secret", "User root created");
    ctl.shows("user grant-role root root", "granted to user root");
    ctl.shows("role add reader", "Role reader created");
    ctl.shows("role grant-permission reader read a", "Role reader updated");
    ctl.shows("user add ann:pass", "User ann created");
    ctl.shows("user grant-role ann reader", "granted to user ann");
    ctl.check("put a 1", "OK\n");
    ctl.shows("auth enable", "Authentication Enabled");
    ctl.refuses("get a", "user name is empty");
    ctl.user = Some("ann:pass");
    ctl.check("get a", "a\n1\n");
    ctl.refuses("get b", "permission denied");
    ctl.refuses("put a 2", "permission denied");
    ctl.refuses("user list", "permission denied");
    ctl.user = Some("ann:wrong");
    ctl.refuses(
        "get a",
        "authentication failed, invalid user ID or password",
    );
    ctl.user = Some("root:secret");
    ctl.check("user list", "ann\nroot\n");
    ctl.shows("role get reader", "KV Read:");
    ctl.check("put a 2", "OK\n");
    ctl.shows(
        "role revoke-permission reader a",
        "Permission of key a is revoked",
    );
    ctl.shows("user revoke-role ann reader", "revoked from user ann");
    ctl.shows("user get ann", "User: ann");
    let changed = &mut ctl.command("user passwd ann --interactive=false");
    let changed = run(changed, "other\n");
    assert!(changed.is_success, "{changed:?}");
    ctl.user = Some("ann:pass");
    ctl.refuses("get a", "authentication failed");
    ctl.user = Some("root:secret");
    ctl.shows("role delete reader", "Role reader deleted");
    ctl.shows("user delete ann", "User ann deleted");
    ctl.check("role list", "");
    ctl.shows("auth disable", "Authentication Disabled");
    ctl.user = None;
    // Each member knows it once it has applied it.
    let knows = (0..100).any(|_| ctl.run("get a").is_success);
    assert!(knows, "nobody is asked any more who they are");
    ctl.check("get a", "a\n2\n");
    ctl.cluster.end().await;
}
