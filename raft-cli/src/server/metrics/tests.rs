//! The text as Prometheus reads it: which names are there, and what they say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tonic::{Code, Status};
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::server::report::{AlarmReport, Indexes, PeerReport, Replication, Role};

/// Samples by name and labels, as they stand in a line. Panics at a line that is none.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("a last line");
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

fn leader() -> MemberReport {
    MemberReport {
        id: "1".to_owned(),
        role: Role::Leader,
        leader: Some("1".to_owned()),
        leader_changes: 3,
        etcd_version: "3.6.0".to_owned(),
        indexes: Indexes {
            last: 12,
            commit: 10,
            applied: 9,
            ..Indexes::default()
        },
        peers: vec![PeerReport {
            id: "2".to_owned(),
            state: Replication::Snapshot,
            matched: 5,
            lag: 7,
            ..PeerReport::default()
        }],
        alarms: vec![AlarmReport {
            member: "2".to_owned(),
            alarm: "NOSPACE".to_owned(),
        }],
        net: BTreeMap::from([("sent_bytes".to_owned(), 77)]),
        ..MemberReport::default()
    }
}

#[test]
fn what_dashboards_for_etcd_read_is_there() {
    let metrics = Metrics::new();
    metrics.wal_fsync.observe(0.003);
    metrics.health_checked(true);
    let samples = samples(&metrics.text(&leader()));
    for (name, expected) in [
        ("etcd_server_has_leader", 1.0),
        ("etcd_server_is_leader", 1.0),
        ("etcd_server_leader_changes_seen_total", 3.0),
        ("etcd_server_proposals_committed_total", 10.0),
        ("etcd_server_proposals_applied_total", 9.0),
        ("etcd_server_proposals_pending", 2.0),
        ("etcd_server_proposals_failed_total", 0.0),
        ("etcd_disk_wal_fsync_duration_seconds_count", 1.0),
        ("etcd_disk_wal_fsync_duration_seconds_sum", 0.003),
        (
            "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"}",
            0.0,
        ),
        (
            "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.004\"}",
            1.0,
        ),
        (
            "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"8.192\"}",
            1.0,
        ),
        ("etcd_disk_backend_commit_duration_seconds_count", 0.0),
        ("etcd_mvcc_db_total_size_in_bytes", 0.0),
        ("etcd_server_quota_backend_bytes", 0.0),
        ("etcd_network_peer_sent_bytes_total", 77.0),
        ("etcd_server_health_success", 1.0),
        ("etcd_server_version{server_version=\"3.6.0\"}", 1.0),
        ("raft_net_sent_bytes_total", 77.0),
        ("raft_peer_lag_entries{To=\"2\"}", 7.0),
        ("raft_peer_fetches_snapshot{To=\"2\"}", 1.0),
        ("raft_alarms{alarm=\"NOSPACE\"}", 1.0),
        ("raft_oldest_unsynced_write_seconds", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&expected), "{name}");
    }
    let of_ours = samples.keys().filter(|name| name.starts_with("raft_"));
    assert!(of_ours.count() > 30);
}

#[test]
fn every_name_is_described_once() {
    let text = Metrics::new().text(&leader());
    let mut described: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let all = described.len();
    described.sort_unstable();
    described.dedup();
    assert_eq!(described.len(), all);
}

fn status(code: Code) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let added = Status::new(code, "why").add_header(&mut headers);
    added.expect("headers");
    headers
}

/// What is counted of one call that a service answers so.
async fn counted(answer: fn() -> Response, reads_to_the_end: bool) -> Vec<(String, f64)> {
    let metrics = Arc::new(Metrics::new());
    let service = service_fn(move |_: Request| async move { Ok::<_, Infallible>(answer()) });
    let service = Handled::layer(&metrics).layer(service);
    let request = Request::post("/etcdserverpb.KV/Put").body(Body::empty());
    let Ok(response) = service.oneshot(request.expect("a request")).await;
    if reads_to_the_end {
        to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("read");
    } else {
        drop(response);
    }
    let samples = samples(&metrics.text(&MemberReport::default())).into_iter();
    let of_grpc = samples.filter(|(name, count)| name.starts_with("grpc_") && *count > 0.0);
    of_grpc.collect()
}

fn trailed() -> Response {
    let body = Body::from("x").with_trailers(async { Some(Ok(status(Code::Ok))) });
    Body::new(body).into_response()
}

fn refused() -> Response {
    (status(Code::Unavailable), ()).into_response()
}

#[tokio::test]
async fn calls_are_counted_by_how_they_end() {
    for (answer, reads_to_the_end, code) in [
        (trailed as fn() -> Response, true, "OK"),
        (trailed, false, "Canceled"),
        (refused, true, "Unavailable"),
    ] {
        let labels = "grpc_type=\"unary\",grpc_service=\"etcdserverpb.KV\",grpc_method=\"Put\"";
        let expected = vec![
            (
                format!("grpc_server_handled_total{{{labels},grpc_code=\"{code}\"}}"),
                1.0,
            ),
            (format!("grpc_server_started_total{{{labels}}}"), 1.0),
        ];
        assert_eq!(counted(answer, reads_to_the_end).await, expected, "{code}");
    }
}
