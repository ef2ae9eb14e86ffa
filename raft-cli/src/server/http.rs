//! What is served over plain HTTP beside gRPC, on the same port: etcd's JSON gateway, probes,
//! versions, metrics, and a member's report. It does not know how connections come.

mod gateway;
mod health;
mod lines;
mod method;
mod objects;
mod refused;
mod routes;
mod session;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tonic::Status;

use super::member::Shared;
use super::metrics::Handled;
use super::report::{self, gather};

/// All that a client port serves: gRPC, each call of which is counted, and what is beside it.
pub(crate) fn all(member: &Shared, grpc: Router) -> Router {
    let grpc = grpc.reset_fallback().layer(Handled::layer(&member.metrics));
    let gateway = gateway::router(&grpc, member.config.limits.request_bytes);
    let beside = gateway.merge(session::router(member)).merge(looks(member));
    grpc.merge(beside).fallback(not_found)
}

/// What people and their instruments look at; a port for metrics serves no more than this.
pub(crate) fn looks(member: &Shared) -> Router {
    Router::new()
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route(report::PATH, get(member_report))
        .merge(health::router())
        .with_state(member.clone())
}

/// etcd's two versions, and that of this program.
async fn version(State(member): State<Shared>) -> Response {
    let advertised = &member.config.advertised_version;
    let mut parts = advertised.split('.');
    let minor = [parts.next(), parts.next()].map(Option::unwrap_or_default);
    let body = json!({
        "etcdserver": advertised,
        "etcdcluster": format!("{}.0", minor.join(".")),
        "raft-cli": env!("CARGO_PKG_VERSION"),
    });
    as_json(body.to_string())
}

async fn member_report(State(member): State<Shared>) -> Response {
    match serde_json::to_string(&gather(&member)) {
        Ok(body) => as_json(body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn metrics(State(member): State<Shared>) -> Response {
    let text = member.metrics.text(&gather(&member));
    ([(CONTENT_TYPE, super::metrics::CONTENT)], text).into_response()
}

fn as_json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// A call of gRPC that nobody serves is answered as gRPC has it.
async fn not_found(headers: HeaderMap, request: Request) -> Response {
    let content = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content.is_some_and(|content| content.starts_with(b"application/grpc")) {
        let path = request.uri().path();
        return Status::unimplemented(format!("unknown method {path}")).into_http();
    }
    refused::response(&Status::not_found("Not Found"))
}

#[cfg(test)]
mod tests;
