//! Counts calls where they come in and where their last word leaves. It does not know what they do.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::Metrics;
use super::calls::RowId;

/// A service whose calls are counted.
#[derive(Clone)]
pub(crate) struct Handled<S> {
    service: S,
    metrics: Arc<Metrics>,
}

/// Makes [`Handled`] of a service.
#[derive(Clone)]
pub(crate) struct HandledLayer {
    metrics: Arc<Metrics>,
}

impl Handled<()> {
    /// Has calls counted here.
    pub(crate) fn layer(metrics: &Arc<Metrics>) -> HandledLayer {
        HandledLayer {
            metrics: Arc::clone(metrics),
        }
    }
}

impl<S> Layer<S> for HandledLayer {
    type Service = Handled<S>;

    fn layer(&self, service: S) -> Handled<S> {
        Handled {
            service,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<S> Service<Request> for Handled<S>
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let row = self.metrics.calls.started(request.uri().path());
        let metrics = Arc::clone(&self.metrics);
        let pending = row.map(|row| Pending {
            row,
            metrics,
            code: None,
        });
        let answer = self.service.call(request);
        Box::pin(async move {
            let response = answer.await?.into_response();
            Ok(match pending {
                Some(pending) => watched(response, pending),
                None => response,
            })
        })
    }
}

/// The last word is among the headers if there is nothing else to say, else behind the body.
fn watched(response: Response, mut pending: Pending) -> Response {
    if pending.hear(response.headers()) {
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(trailers) = frame.trailers_ref() {
                pending.hear(trailers);
            }
            frame
        }))
    })
}

/// A call that has not ended. Dropped without a last word, its client has gone away.
struct Pending {
    row: RowId,
    metrics: Arc<Metrics>,
    code: Option<Code>,
}

impl Pending {
    /// Whether these headers are the last word.
    fn hear(&mut self, headers: &HeaderMap) -> bool {
        self.code = Status::from_header_map(headers).map(|status| status.code());
        self.code.is_some()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        self.metrics.calls.ended(self.row, code);
    }
}
