//! Opens sessions: what etcd's protocol has no call for. Requests that name a session take effect
//! once, however often they are sent.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use tonic::Status;

use super::{as_json, refused};
use crate::server::api::error;
use crate::server::member::Shared;

/// Where a session is opened.
const PATH: &str = "/raft/v1/session";

pub(super) fn router(member: &Shared) -> Router {
    Router::new()
        .route(PATH, post(open))
        .with_state(member.clone())
}

/// A session costs a little memory on every member until it has been idle for long, so it is let in
/// as any other request.
async fn open(State(member): State<Shared>, request: Request) -> Response {
    match open_session(&member, request).await {
        // As the gateway has numbers that may be long.
        Ok(client) => as_json(json!({ "client_id": client.to_string() }).to_string()),
        Err(refused) => refused::response(&refused).into_response(),
    }
}

async fn open_session(member: &Shared, request: Request) -> Result<u64, Status> {
    let (parts, _) = request.into_parts();
    let mut request = tonic::Request::new(());
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(parts.headers);
    *request.extensions_mut() = parts.extensions;
    let _pass = member.gate.enter(&request, 0)?;
    member.permit_anybody(&request)?;
    member.check_sessions()?;
    let opened = member.kv.open_session().await;
    opened.map_err(|refused| error::status(&refused))
}
