//! A watch that outlives its connection: it goes on where it was. It does not know what events are
//! for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Streaming};

use super::caller::{Client, said};
use super::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};

/// A watch.
pub(crate) struct Watcher {
    client: Arc<Client>,
    /// What to ask for; the start moves on with what was heard.
    create: WatchCreateRequest,
    stream: Option<Stream>,
    /// Connections in a row that came to nothing.
    failures: u32,
    /// Whether there ever was an answer. Before that the user wants to know rather than to wait.
    has_heard: bool,
}

type Stream = (mpsc::Sender<WatchRequest>, Streaming<WatchResponse>);

/// Between two connections.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// After as many connections in a row that come to nothing, that is the answer: half a minute.
const FAILURES_MAX: u32 = 60;
/// Requests on their way to a stream: the watch itself, and a question for progress.
const REQUESTS_MAX: usize = 8;

impl Watcher {
    pub(crate) const fn new(client: Arc<Client>, create: WatchCreateRequest) -> Self {
        Self {
            client,
            create,
            stream: None,
            failures: 0,
            has_heard: false,
        }
    }

    /// Asks how far the server's events are delivered; the answer is one of the next ones. Nothing
    /// happens while there is no connection.
    pub(crate) fn ask_progress(&self) {
        if let Some((sender, _)) = &self.stream {
            let request = RequestUnion::ProgressRequest(WatchProgressRequest {});
            // Whoever asks faster than the connection is has answers enough on the way.
            let _ = sender.try_send(WatchRequest {
                request_union: Some(request),
            });
        }
    }

    /// The next thing that the server says, but for the confirmation of the watch itself. Nothing
    /// follows what is `canceled`.
    pub(crate) async fn next(&mut self) -> Result<WatchResponse, Exit> {
        loop {
            let answer = match &mut self.stream {
                None => match self.open().await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        continue;
                    }
                    Err(exit) => Err(exit),
                },
                Some((_, answers)) => match answers.message().await {
                    Ok(answer) => Ok(answer),
                    Err(status) => Err(said(&status)),
                },
            };
            match answer {
                Ok(Some(answer)) => {
                    self.failures = 0;
                    self.has_heard = true;
                    self.create.start_revision = next_start(self.create.start_revision, &answer);
                    if !answer.created || answer.canceled {
                        return Ok(answer);
                    }
                }
                Ok(None) => self.retry_after(None).await?,
                Err(exit @ (Exit::Unreachable(_) | Exit::Unwell(_))) => {
                    self.retry_after(Some(exit)).await?;
                }
                Err(exit) => return Err(exit),
            }
        }
    }

    async fn retry_after(&mut self, failure: Option<Exit>) -> Result<(), Exit> {
        self.stream = None;
        self.failures += 1;
        match failure {
            Some(exit) if self.failures > FAILURES_MAX || !self.has_heard => Err(exit),
            Some(_) | None => {
                sleep(RETRY_PAUSE).await;
                Ok(())
            }
        }
    }

    async fn open(&self) -> Result<Stream, Exit> {
        let create = RequestUnion::CreateRequest(self.create.clone());
        let first = WatchRequest {
            request_union: Some(create),
        };
        self.client
            .call(first, |channel, request: Request<_>| async move {
                let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
                let mut request = request.map(|first| {
                    sender.try_send(first).expect("it is empty");
                    ReceiverStream::new(receiver)
                });
                // Who watches wants to know when nothing can happen any more.
                let yes = MetadataValue::from_static("true");
                request.metadata_mut().insert("hasleader", yes);
                let answers = services::watch(channel).watch(request).await?;
                Ok(Response::new((sender, answers.into_inner())))
            })
            .await
    }
}

/// Where a watch goes on that began at `start` and heard `answer`.
fn next_start(start: i64, answer: &WatchResponse) -> i64 {
    let now = answer.header.map_or(0, |header| header.revision);
    let last = answer.events.last().and_then(|event| event.kv.as_ref());
    match last {
        // A part of a revision: the rest of it is still to come.
        Some(pair) if answer.fragment => pair.mod_revision,
        Some(pair) => pair.mod_revision + 1,
        // Its past is not delivered yet.
        None if answer.created && start > 0 => start,
        // It begins now; or all up to now is delivered.
        None => start.max(now + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::etcdserverpb::ResponseHeader;
    use crate::pb::mvccpb::{Event, KeyValue};

    #[test]
    fn a_watch_goes_on_behind_what_was_delivered() {
        let check = |start: i64, answer: WatchResponse, expected: i64| {
            assert_eq!(next_start(start, &answer), expected, "{start} {answer:?}");
        };
        let at = |revision| WatchResponse {
            header: Some(ResponseHeader {
                revision,
                ..ResponseHeader::default()
            }),
            ..WatchResponse::default()
        };
        let created = |answer| WatchResponse {
            created: true,
            ..answer
        };
        let changed = |mod_revision, fragment| WatchResponse {
            events: vec![Event {
                kv: Some(KeyValue {
                    mod_revision,
                    ..KeyValue::default()
                }),
                ..Event::default()
            }],
            fragment,
            ..at(20)
        };
        check(0, created(at(7)), 8);
        check(3, created(at(7)), 3);
        check(30, created(at(7)), 30);
        check(8, at(9), 10);
        check(30, at(9), 30);
        check(8, changed(12, false), 13);
        check(8, changed(12, true), 12);
    }
}
