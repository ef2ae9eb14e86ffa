//! The gateway before services that tests made up.

use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};
use tokio_stream::StreamExt;

use super::*;
use crate::pb::{etcdserverpb as pb, mvccpb};

const REQUEST_BYTES_MAX: usize = 1 << 20;

fn frame(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
    [&[0], &length[..], &bytes].concat()
}

fn status_of(code: i32, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    Status::new(Code::from_i32(code), message)
        .add_header(&mut headers)
        .expect("headers");
    headers
}

/// A service that answers a range by what it was asked: the key under itself, with who asked.
async fn range(request: Request) -> Response {
    let token = request.headers().get("token").cloned();
    let session = request.headers().get("raft-client-id").cloned();
    let bytes = to_bytes(request.into_body(), usize::MAX)
        .await
        .expect("body");
    let asked = next_message(&mut BytesMut::from(bytes)).expect("a frame");
    let asked = pb::RangeRequest::decode(asked).expect("a request");
    if asked.key.is_empty() {
        return (status_of(3, "etcdserver: key is not provided"), ()).into_response();
    }
    let said = [token, session].into_iter().flatten();
    let said: Vec<_> = said.map(|value| value.as_bytes().to_vec()).collect();
    let kv = mvccpb::KeyValue {
        key: asked.key,
        value: said.join(&b"+"[..]).into(),
        ..mvccpb::KeyValue::default()
    };
    let answer = pb::RangeResponse {
        kvs: vec![kv],
        ..pb::RangeResponse::default()
    };
    Body::from(frame(&answer)).into_response()
}

/// A service that answers each request of a watch by one answer, and never ends by itself.
async fn watch(request: Request) -> Response {
    let requests = request.into_body().into_data_stream();
    let answers = requests.map(|request| {
        let mut request = BytesMut::from(request.expect("comes"));
        let request = next_message(&mut request).expect("whole");
        let request = pb::WatchRequest::decode(request).expect("a request");
        let answer = pb::WatchResponse {
            watch_id: 7,
            created: request.request_union.is_some(),
            ..pb::WatchResponse::default()
        };
        Ok::<_, Status>(frame(&answer))
    });
    Body::from_stream(answers).into_response()
}

/// A service that says how many requests came, once all have, and ends in an error.
async fn keep_alive(request: Request) -> Response {
    let all = to_bytes(request.into_body(), usize::MAX)
        .await
        .expect("body");
    let mut all = BytesMut::from(all);
    let mut answers = Vec::new();
    while let Some(asked) = next_message(&mut all) {
        let asked = pb::LeaseKeepAliveRequest::decode(asked).expect("a request");
        let answer = pb::LeaseKeepAliveResponse {
            id: asked.id,
            ttl: 9,
            ..pb::LeaseKeepAliveResponse::default()
        };
        answers.extend(frame(&answer));
    }
    let trailers = status_of(14, "etcdserver: no leader");
    let body = http_body_util::Full::new(Bytes::from(answers));
    Body::new(body.with_trailers(async move { Some(Ok(trailers)) })).into_response()
}

fn gateway() -> Router {
    let grpc = Router::new()
        .route("/etcdserverpb.KV/Range", post(range))
        .route("/etcdserverpb.Watch/Watch", post(watch))
        .route("/etcdserverpb.Lease/LeaseKeepAlive", post(keep_alive));
    router(&grpc, REQUEST_BYTES_MAX)
}

async fn asked(path: &str, body: impl Into<Body>) -> Response {
    let request = Request::post(path)
        .header("authorization", "Bearer me.7")
        .header("grpc-metadata-raft-client-id", "12")
        .body(body.into())
        .expect("a request");
    gateway().oneshot(request).await.expect("never fails")
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), usize::MAX).await;
    String::from_utf8(bytes.expect("body").to_vec()).expect("text")
}

#[tokio::test]
async fn a_post_is_the_call_with_its_metadata() {
    let response = asked("/v3/kv/range", r#"{"key":"Zm9v"}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    // me.7+12
    assert_eq!(
        text(response).await,
        r#"{"kvs":[{"key":"Zm9v","value":"bWUuNysxMg=="}]}"#
    );
}

#[tokio::test]
async fn calls_that_fail_say_so_as_etcds_gateway_does() {
    let too_long = format!(
        r#"{{"key":"{}"}}"#,
        "a".repeat(REQUEST_BYTES_MAX / 3 * 4 + (65 << 10))
    );
    let cases = [
        ("{}", 400, 3, "etcdserver: key is not provided"),
        ("", 400, 3, "etcdserver: key is not provided"),
        (
            "{",
            400,
            3,
            "EOF while parsing an object at line 1 column 1",
        ),
        (&too_long, 400, 3, "etcdserver: request is too large"),
    ];
    for (body, http, code, message) in cases {
        let response = asked("/v3/kv/range", body.to_owned()).await;
        assert_eq!(response.status(), http, "{message}");
        let said: Value = serde_json::from_str(&text(response).await).expect("json");
        let expected = json!({"error": message, "code": code, "message": message});
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_watch_goes_on_after_the_last_request() {
    let two = r#"{"create_request":{"key":"Zm9v"}} {}"#;
    let mut lines = asked("/v3/watch", two).await.into_body().into_data_stream();
    let mut said = Vec::new();
    for _ in 0..2 {
        said.push(lines.next().await.expect("goes on").expect("a line"));
    }
    assert_eq!(
        said[0],
        "{\"result\":{\"watch_id\":\"7\",\"created\":true}}\n"
    );
    assert_eq!(said[1], "{\"result\":{\"watch_id\":\"7\"}}\n");
    let more = tokio::time::timeout(Duration::from_millis(10), lines.next()).await;
    assert!(more.is_err(), "nothing more, and no end");
}

#[tokio::test]
async fn keep_alives_end_with_their_requests_and_an_error_is_the_last_line() {
    let body = Body::from_stream(tokio_stream::iter(
        [r#"{"ID":"1"#, r#"5"}{"I"#, r#"D":16}"#].map(Ok::<_, Status>),
    ));
    let said = text(asked("/v3/lease/keepalive", body).await).await;
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some(r#"{"result":{"ID":"15","TTL":"9"}}"#));
    assert_eq!(lines.next(), Some(r#"{"result":{"ID":"16","TTL":"9"}}"#));
    let last: Value = serde_json::from_str(lines.next().expect("an error")).expect("json");
    assert_eq!(last["error"]["code"], 14);
    assert_eq!(last["error"]["http_code"], 503);
    assert_eq!(last["error"]["message"], "etcdserver: no leader");
    assert_eq!(lines.next(), None);
}

#[tokio::test]
async fn nonsense_among_requests_is_refused() {
    let response = asked("/v3/watch", "{]").await;
    assert_eq!(response.status(), 400);
    let response = asked("/v3/watch", "{\"create_request\":").await;
    assert_eq!(response.status(), 400, "half-way");
}
