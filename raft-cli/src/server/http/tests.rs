//! What a member in memory says of itself, led and leaderless.

use axum::body::{Body, to_bytes};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::server::report::{MemberReport, Role};
use crate::server::{api, testing};

async fn get_from(member: &Shared, path: &str) -> (u16, String) {
    let router = all(member, api::routes(member).into_axum_router());
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("never fails");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await;
    let text = String::from_utf8(body.expect("a body").to_vec());
    (status, text.expect("text"))
}

#[tokio::test]
async fn a_member_that_leads_is_well() {
    let member = testing::alone().await;
    let check = async |path: &str, expected: &str| {
        let answer = get_from(&member, path).await;
        assert_eq!(answer, (200, expected.to_owned()), "{path}");
    };
    check("/health", r#"{"health":"true","reason":""}"#).await;
    check(
        "/health?serializable=true",
        r#"{"health":"true","reason":""}"#,
    )
    .await;
    check("/livez", "ok\n").await;
    check("/livez?verbose", "[+]serializable_read ok\nok\n").await;
    check("/readyz", "ok\n").await;
    check("/readyz/read_index", "ok\n").await;
    let all = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n\
               [+]non_learner ok\nok\n";
    check("/readyz?verbose", all).await;
    let some = "[+]data_corruption ok\n[+]serializable_read ok\nok\n";
    let path = "/readyz?verbose&exclude=linearizable_read&exclude=non_learner";
    check(path, some).await;
}

#[tokio::test]
async fn a_member_without_a_leader_is_alive_but_not_ready() {
    let member = testing::leaderless().await;
    let (status, text) = get_from(&member, "/health").await;
    assert_eq!(status, 503);
    assert_eq!(
        text,
        "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n"
    );
    let (status, _) = get_from(&member, "/health?serializable=true").await;
    assert_eq!(status, 200);
    let (status, text) = get_from(&member, "/readyz").await;
    assert_eq!(status, 503);
    assert!(
        text.contains("[+]serializable_read ok\n[-]linearizable_read failed: "),
        "{text}"
    );
    assert_eq!(get_from(&member, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn alarms_make_a_member_unwell_unless_excluded() {
    let member = testing::alone().await;
    let raised = member
        .kv
        .raise(member.id, raft_kv::AlarmKind::Corrupt)
        .await;
    raised.expect("raised");
    let (status, text) = get_from(&member, "/health").await;
    assert_eq!(status, 503);
    assert_eq!(
        text,
        "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}\n"
    );
    assert_eq!(get_from(&member, "/health?exclude=CORRUPT").await.0, 200);
    let (status, text) = get_from(&member, "/readyz/data_corruption").await;
    assert_eq!(status, 503);
    assert_eq!(
        text,
        "[-]data_corruption failed: alarm activated: CORRUPT\n\n"
    );
    assert_eq!(
        get_from(&member, "/readyz?exclude=data_corruption").await.0,
        200
    );
}

#[tokio::test]
async fn a_report_and_metrics_say_where_a_member_stands() {
    let member = testing::alone().await;
    testing::put(&member, "a", "b").await;
    let (status, text) = get_from(&member, report::PATH).await;
    assert_eq!(status, 200);
    let report: MemberReport = serde_json::from_str(&text).expect("a report");
    assert_eq!((report.role, report.store.keys), (Role::Leader, 1));
    assert_eq!(report.leader.as_deref(), Some(&*report.id));
    let change = report.leader_change.expect("it was elected");
    assert_eq!((change.from, change.to), (None, Some(report.id)));
    let (status, text) = get_from(&member, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("\netcd_server_has_leader 1\n"), "{text}");
    let (status, text) = get_from(&member, "/version").await;
    let version: Value = serde_json::from_str(&text).expect("json");
    assert_eq!(status, 200);
    assert_eq!(version["etcdserver"], *member.config.advertised_version);
}

#[tokio::test]
async fn what_nobody_serves_is_said_in_the_callers_words() {
    let member = testing::alone().await;
    let (status, text) = get_from(&member, "/v3/nothing").await;
    assert_eq!(status, 404);
    assert_eq!(
        text,
        r#"{"code":5,"error":"Not Found","message":"Not Found"}"#
    );
    let router = all(&member, api::routes(&member).into_axum_router());
    let request = Request::post("/a.Service/Method")
        .header(CONTENT_TYPE, "application/grpc")
        .body(Body::empty());
    let response = router.oneshot(request.expect("a request")).await;
    let response = response.expect("never fails");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn the_gateway_reaches_the_services() {
    let member = testing::alone().await;
    let router = all(&member, api::routes(&member).into_axum_router());
    let request = Request::post("/v3/kv/put").body(Body::from(r#"{"key":"YQ==","value":"Yg=="}"#));
    let response = router.oneshot(request.expect("a request")).await;
    assert_eq!(response.expect("never fails").status(), 200);
    let (_, text) = get_from(&member, "/metrics").await;
    let counted = text.lines().find(|line| {
        line.starts_with("grpc_server_handled_total") && line.contains("grpc_method=\"Put\"")
    });
    assert!(
        counted.expect("a row").ends_with("grpc_code=\"OK\"} 1"),
        "{counted:?}"
    );
}
