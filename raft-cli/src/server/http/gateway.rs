//! etcd's JSON gateway: a POST is the gRPC call that its path stands for, made within the process.
//!
//! Nothing here knows any call: what their messages are like is in the definitions, and what they
//! do is the services', which see a gateway's call as one of gRPC, limits and users included.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method as Verb, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use prost_reflect::DescriptorPool;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::lines::{Lines, Requests};
use super::method::{Malformed, Method, next_message};
use super::refused;
use super::routes::ROUTES;
use crate::pb::DESCRIPTORS;

/// What JSON may take beside the keys and values of a request.
const SYNTAX_BYTES_MAX: usize = 64 << 10;
/// Longer answers are written as JSON where a thread may be busy for long.
const QUICK_BYTES_MAX: usize = 256 << 10;
/// Headers with this before their name are the call's metadata.
const METADATA_PREFIX: &str = "grpc-metadata-";
/// Headers that are the call's metadata as they are.
const METADATA: [&str; 4] = ["grpc-timeout", "token", "raft-client-id", "raft-sequence"];
/// Where services look for who is calling.
const TOKEN: HeaderName = HeaderName::from_static("token");

/// The gateway to the services that `grpc` routes to. A request may be so long as gRPC has it.
pub(super) fn router(grpc: &Router, request_bytes_max: usize) -> Router {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("a test reads them, and they never vary");
    let mut router = Router::new();
    for route in ROUTES {
        let method = Method::of(&pool, *route).expect("a test looks each of them up");
        let call = Arc::new(Call {
            grpc: grpc.clone(),
            method,
            // Four characters stand for three bytes.
            body_bytes_max: request_bytes_max / 3 * 4 + SYNTAX_BYTES_MAX,
        });
        let answer = move |request: Request| {
            let call = Arc::clone(&call);
            async move { call.answer(request).await }
        };
        router = router.route(route.0, post(answer));
    }
    router
}

/// What stands behind one path.
struct Call {
    grpc: Router,
    method: Method,
    body_bytes_max: usize,
}

impl Call {
    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = match self.requests(body).await {
            Ok(body) => body,
            Err(status) => return refused::response(&status),
        };
        let asked = self.request(&parts.headers, parts.extensions, body);
        let Ok(answered) = self.grpc.clone().oneshot(asked).await;
        let answer = if self.method.gives_many {
            self.many(answered)
        } else {
            self.one(answered).await
        };
        answer.unwrap_or_else(|status| refused::response(&status))
    }

    /// What is asked, framed. The first request is looked at before anything is called, so that
    /// nonsense is refused as such.
    async fn requests(&self, body: Body) -> Result<Body, Status> {
        if self.method.takes_many {
            let method = self.method.clone();
            let requests = Requests::begin(method, body, self.body_bytes_max).await?;
            return Ok(Body::from_stream(requests));
        }
        let json = to_bytes(body, self.body_bytes_max)
            .await
            .map_err(|_| Status::invalid_argument("etcdserver: request is too large"))?;
        let frame = self.method.encode(&json).map_err(invalid)?;
        Ok(Body::from(frame))
    }

    /// The call as gRPC makes it. What the listener noted of the client goes with it.
    fn request(&self, headers: &HeaderMap, extensions: Extensions, body: Body) -> Request {
        let mut request = Request::new(body);
        *request.method_mut() = Verb::POST;
        *request.uri_mut() = self.method.path.clone().into();
        *request.version_mut() = Version::HTTP_2;
        *request.extensions_mut() = extensions;
        let metadata = request.headers_mut();
        metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        metadata.insert(TE, HeaderValue::from_static("trailers"));
        copy_metadata(headers, metadata);
        request
    }

    async fn one(&self, answered: Response) -> Result<Response, Status> {
        let (parts, body) = answered.into_parts();
        check(&parts.headers)?;
        let whole = body.collect().await;
        let whole = whole.map_err(|error| Status::internal(error.to_string()))?;
        if let Some(trailers) = whole.trailers() {
            check(trailers)?;
        }
        let message = next_message(&mut BytesMut::from(whole.to_bytes()))
            .ok_or_else(|| Status::internal("a call ended without an answer"))?;
        let json = self.decoded(message).await?;
        Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
    }

    async fn decoded(&self, message: Bytes) -> Result<Vec<u8>, Status> {
        if message.len() <= QUICK_BYTES_MAX {
            return self
                .method
                .decode(message)
                .map_err(|error| internal(&error));
        }
        let method = self.method.clone();
        let decoding = tokio::task::spawn_blocking(move || method.decode(message));
        let decoded = decoding
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        decoded.map_err(|error| internal(&error))
    }

    fn many(&self, answered: Response) -> Result<Response, Status> {
        let (parts, body) = answered.into_parts();
        check(&parts.headers)?;
        let lines = Body::from_stream(Lines::new(self.method.clone(), body));
        Ok(([(CONTENT_TYPE, "application/json")], lines).into_response())
    }
}

/// An error of the call, if these are its last words and say one.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn invalid(error: Malformed) -> Status {
    Status::invalid_argument(error.0)
}

pub(super) fn internal(error: &Malformed) -> Status {
    Status::internal(error.to_string())
}

/// The metadata among the headers. Who calls is named in `Authorization`, where etcd has it.
fn copy_metadata(headers: &HeaderMap, metadata: &mut HeaderMap) {
    for (name, value) in headers {
        let name = name.as_str();
        let plain = METADATA.contains(&name).then_some(name);
        let named = name.strip_prefix(METADATA_PREFIX).or(plain);
        if let Some(name) = named.and_then(|name| HeaderName::try_from(name).ok()) {
            metadata.append(name, value.clone());
        }
    }
    if let Some(token) = headers.get(AUTHORIZATION) {
        metadata.insert(AUTHORIZATION, token.clone());
        metadata.insert(TOKEN, bare(token));
    }
}

/// A token without the word that HTTP has before it.
fn bare(token: &HeaderValue) -> HeaderValue {
    let stripped = token
        .to_str()
        .ok()
        .and_then(|token| token.strip_prefix("Bearer "));
    stripped
        .and_then(|token| HeaderValue::from_str(token).ok())
        .unwrap_or_else(|| token.clone())
}

#[cfg(test)]
mod tests;
