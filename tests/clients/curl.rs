//! `curl`, through the gateway that speaks JSON.

use std::process::Command;

use crate::cluster;
use crate::tool::{Talking, is_installed, run};

fn curl(url: &str, body: Option<&str>) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "-N", "-L", url]);
    if let Some(body) = body {
        command.args(["-d", body]);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_put_and_got_and_watched_as_json() {
    if !is_installed("curl", "--version") {
        return;
    }
    let mut cluster = cluster(3).await;
    let base = cluster.client_url(1);
    let post = |path: &str, body: &str| {
        let said = run(&mut curl(&format!("{base}{path}"), Some(body)), "");
        assert!(said.is_success, "{path}: {said:?}");
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
    };
    let watch = r#"{"create_request": {"key": "Zm9v"}}"#;
    let watch = Talking::start(&mut curl(&format!("{base}/v3/watch"), Some(watch)));
    let created: serde_json::Value = serde_json::from_str(&watch.line()).expect("JSON");
    assert_eq!(created["result"]["created"], true, "{created}");
    let put = post("/v3/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#);
    assert_eq!(put["header"]["revision"], "2", "{put}");
    let event: serde_json::Value = serde_json::from_str(&watch.line()).expect("JSON");
    assert_eq!(
        event["result"]["events"][0]["kv"]["value"], "YmFy",
        "{event}"
    );
    let range = post("/v3/kv/range", r#"{"key": "Zm9v"}"#);
    assert_eq!(range["kvs"][0]["value"], "YmFy", "{range}");
    assert_eq!(range["count"], "1", "{range}");
    let txn = r#"{"compare": [{"key": "Zm9v", "target": "CREATE", "createRevision": "2"}],
        "success": [{"requestPut": {"key": "Zm9v", "value": "YmF6"}}]}"#;
    assert_eq!(post("/v3/kv/txn", txn)["succeeded"], true);
    let lease = post("/v3/lease/grant", r#"{"TTL": "60"}"#);
    assert!(
        lease["ID"]
            .as_str()
            .is_some_and(|id| id.parse::<i64>().is_ok()),
        "{lease}"
    );
    let bad = post("/v3/kv/range", r#"{"key": ""}"#);
    assert!(
        bad["error"]
            .as_str()
            .is_some_and(|text| text.contains("key is not provided")),
        "{bad}"
    );
    let deleted = post("/v3/kv/deleterange", r#"{"key": "Zm9v"}"#);
    assert_eq!(deleted["deleted"], "1", "{deleted}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_under_a_session_is_done_once() {
    if !is_installed("curl", "--version") {
        return;
    }
    let mut cluster = cluster(3).await;
    let post = |member: u64, path: &str, headers: &[String], body: &str| {
        let url = format!("{}{path}", cluster.client_url(member));
        let mut command = curl(&url, Some(body));
        for header in headers {
            command.args(["-H", header]);
        }
        let said = run(&mut command, "");
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
    };
    let opened = post(1, "/raft/v1/session", &[], "");
    let client = opened["client_id"].as_str().expect("a number").to_owned();
    let session = [
        format!("Grpc-Metadata-raft-client-id: {client}"),
        "Grpc-Metadata-raft-sequence: 1".to_owned(),
    ];
    let put = r#"{"key": "Zm9v", "value": "YmFy"}"#;
    let first = post(1, "/v3/kv/put", &session, put);
    let again = post(2, "/v3/kv/put", &session, put);
    assert_eq!(
        first["header"]["revision"], again["header"]["revision"],
        "{again}"
    );
    let range = post(3, "/v3/kv/range", &[], r#"{"key": "Zm9v"}"#);
    assert_eq!(range["kvs"][0]["version"], "1", "{range}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_after_a_member_is_answered() {
    if !is_installed("curl", "--version") {
        return;
    }
    let mut cluster = cluster(1).await;
    let base = cluster.client_url(1);
    let get = |path: &str| run(&mut curl(&format!("{base}{path}"), None), "").out;
    assert!(
        get("/health").contains(r#""health":"true""#),
        "{}",
        get("/health")
    );
    assert!(get("/version").contains("etcdserver"));
    assert!(get("/livez").contains("ok"));
    assert!(
        get("/readyz?verbose").contains("[+]"),
        "{}",
        get("/readyz?verbose")
    );
    let metrics = get("/metrics");
    for name in [
        "etcd_server_has_leader 1",
        "etcd_server_leader_changes_seen_total",
        "etcd_server_proposals_committed_total",
        "etcd_disk_wal_fsync_duration_seconds_bucket",
        "etcd_disk_backend_commit_duration_seconds_bucket",
        "etcd_mvcc_db_total_size_in_bytes",
        "etcd_server_quota_backend_bytes",
        "grpc_server_handled_total",
        "raft_",
    ] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    cluster.end().await;
}
