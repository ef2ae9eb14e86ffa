//! Calls with many requests or answers: JSON objects in, a line for each answer out.
//!
//! Nothing waits here: each request is translated when the service asks for it, and each answer
//! when the client has room for it. So a slow client slows its own call down, and no other. It does
//! not know what is called.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use tokio_stream::Stream;
use tonic::Status;

use super::gateway::{check, internal, invalid};
use super::method::{Malformed, Method, next_message};
use super::objects::Objects;
use super::refused;

/// The requests of a call, as gRPC frames them.
pub(super) struct Requests {
    method: Method,
    body: Body,
    objects: Objects,
    /// The client sends no more.
    is_ended: bool,
    /// Translated, and not taken yet.
    first: Option<Bytes>,
}

impl Requests {
    /// Waits for the first of them, each of which may be so long.
    pub(super) async fn begin(
        method: Method,
        body: Body,
        bytes_max: usize,
    ) -> Result<Self, Status> {
        let mut requests = Self {
            method,
            body,
            objects: Objects::new(bytes_max),
            is_ended: false,
            first: None,
        };
        let first = poll_fn(|context| requests.poll_request(context)).await;
        requests.first = first.transpose().map_err(invalid)?;
        Ok(requests)
    }

    fn poll_request(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Malformed>>> {
        loop {
            match self.objects.take() {
                Ok(Some(json)) => return Poll::Ready(Some(self.method.encode(&json))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if self.is_ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.objects.push(data);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(Malformed(error.to_string())))),
                None => {
                    self.is_ended = true;
                    if self.objects.is_torn() {
                        let error = Malformed("a request ends half-way".to_owned());
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

impl Stream for Requests {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let requests = self.get_mut();
        if let Some(first) = requests.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match ready!(requests.poll_request(context)) {
            Some(request) => Poll::Ready(Some(request.map_err(invalid))),
            // Nobody wakes this up: it is dropped with the call, when the client goes.
            None if requests.method.is_ended_by_reader => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

/// The answers to a call: one line for each, and one for the error that ends it.
pub(super) struct Lines {
    method: Method,
    body: Body,
    /// What has come of the next answer.
    answer: BytesMut,
    is_ended: bool,
}

impl Lines {
    pub(super) fn new(method: Method, body: Body) -> Self {
        Self {
            method,
            body,
            answer: BytesMut::new(),
            is_ended: false,
        }
    }

    fn line(&mut self, message: Bytes) -> Bytes {
        let json = match self.method.decode(message) {
            Ok(json) => json,
            Err(error) => return self.last_line(&internal(&error)),
        };
        let mut line = Vec::with_capacity(json.len() + 16);
        line.extend_from_slice(b"{\"result\":");
        line.extend_from_slice(&json);
        line.extend_from_slice(b"}\n");
        line.into()
    }

    fn last_line(&mut self, status: &Status) -> Bytes {
        self.is_ended = true;
        format!("{}\n", refused::line(status)).into()
    }
}

impl Stream for Lines {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let lines = self.get_mut();
        loop {
            if lines.is_ended {
                return Poll::Ready(None);
            }
            if let Some(message) = next_message(&mut lines.answer) {
                return Poll::Ready(Some(Ok(lines.line(message))));
            }
            let status = match ready!(Pin::new(&mut lines.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        lines.answer.extend_from_slice(&data);
                        continue;
                    }
                    Err(frame) => frame.trailers_ref().map_or(Ok(()), check),
                },
                Some(Err(error)) => Err(Status::unavailable(error.to_string())),
                None => Ok(()),
            };
            match status {
                Ok(()) => lines.is_ended = true,
                Err(status) => return Poll::Ready(Some(Ok(lines.last_line(&status)))),
            }
        }
    }
}
