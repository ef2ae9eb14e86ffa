//! One stream of watches, as the stream of its answers: it reads a request, or takes an item of a
//! watcher, when the client has taken the answer before. So a client that reads slowly holds up
//! nobody and costs nothing: what it has not been told stays where it is, in the rings and in the
//! history. It does not know how answers travel.
//!
//! A page of the history is read in the task that asks for the answer. It is bounded, others come
//! between two pages, and no more pages are read at once than there are threads; in tasks of their
//! own there would be as many as there are watchers behind.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use raft_kv::Revision;
use raft_kv::watch::{CancelReason, WatchItem};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_stream::Stream;
use tonic::Status;

use super::Seat;
use super::batch::Batch;
use super::create::{self, Created};
use super::survey::{Found, Survey};
use super::watchers::Watchers;
use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use crate::server::api::convert::{self, signed};
use crate::server::api::error;
use crate::server::auth::Shown;
use crate::server::leadership::stopped;
use crate::server::member::Shared;

/// The id of answers that concern no watcher, or all.
pub(super) const NO_WATCH: i64 = -1;
/// So many steps without an answer are made in one go.
const STEPS_MAX: usize = 64;

/// A stream of requests, and of the answers to them.
pub(super) struct Session<R> {
    member: Shared,
    /// Who asks.
    shown: Shown,
    _seat: Seat,
    /// `None` once the client has nothing more to ask.
    requests: Option<R>,
    /// Whether a request is looked for before an item: they take turns.
    is_requests_turn: bool,
    watchers: Watchers,
    /// The item in hand.
    batch: Option<Batch>,
    /// So long may an answer be.
    bytes_max: usize,
    survey: Option<Survey>,
    /// When to say how far watchers are; there once one wants to know.
    tick: Option<Interval>,
    progress_every: Duration,
    is_over: bool,
}

/// What one step came to.
enum Step {
    Answer(WatchResponse),
    Again,
    End(Option<Status>),
}

impl<R> Session<R> {
    pub(super) fn new(
        (member, shown): (Shared, Shown),
        seat: Seat,
        requests: R,
        bytes_max: usize,
        progress_every: Duration,
    ) -> Self {
        Self {
            member,
            shown,
            _seat: seat,
            requests: Some(requests),
            is_requests_turn: true,
            watchers: Watchers::new(),
            batch: None,
            bytes_max,
            survey: None,
            tick: None,
            progress_every,
            is_over: false,
        }
    }
}

impl<R> Stream for Session<R>
where
    R: Stream<Item = Result<WatchRequest, Status>> + Unpin,
{
    type Item = Result<WatchResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        for _ in 0..STEPS_MAX {
            match ready!(this.step(context)) {
                Step::Answer(answer) => return Poll::Ready(Some(Ok(answer))),
                Step::Again => {}
                Step::End(status) => {
                    this.is_over = true;
                    return Poll::Ready(status.map(Err));
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R> Session<R>
where
    R: Stream<Item = Result<WatchRequest, Status>> + Unpin,
{
    fn step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(answer) = self.next_part() {
            return Poll::Ready(Step::Answer(answer));
        }
        if self.survey.is_some() {
            return self.poll_survey(context);
        }
        if let Some(tick) = &mut self.tick
            && tick.poll_tick(context).is_ready()
        {
            self.survey = Some(Survey::of_quiet(self.watchers.quiet()));
            return Poll::Ready(Step::Again);
        }
        self.is_requests_turn = !self.is_requests_turn;
        if self.is_requests_turn {
            let step = self.poll_request(context);
            if step.is_ready() {
                step
            } else {
                self.poll_item(context)
            }
        } else {
            let step = self.poll_item(context);
            if step.is_ready() {
                step
            } else {
                self.poll_request(context)
            }
        }
    }

    // --- What the client asks ---

    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        let Some(requests) = &mut self.requests else {
            return Poll::Pending;
        };
        let request = match ready!(Pin::new(requests).poll_next(context)) {
            Some(Ok(request)) => request,
            Some(Err(status)) => return Poll::Ready(Step::End(Some(status))),
            None => {
                self.requests = None;
                // Without watchers there is nothing to be heard any more.
                let is_idle = self.watchers.is_empty();
                let step = if is_idle {
                    Step::End(None)
                } else {
                    Step::Again
                };
                return Poll::Ready(step);
            }
        };
        let answer = match request.request_union {
            Some(RequestUnion::CreateRequest(wish)) => self.create(wish),
            Some(RequestUnion::CancelRequest(wish)) => self.cancel(wish.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => {
                self.survey = Some(Survey::of_all(&self.watchers));
                Ok(None)
            }
            // Of a later version: not worth ending all watches for.
            None => Ok(None),
        };
        Poll::Ready(match answer {
            Ok(Some(answer)) => Step::Answer(answer),
            Ok(None) => Step::Again,
            Err(status) => Step::End(Some(status)),
        })
    }

    fn create(&mut self, wish: WatchCreateRequest) -> Result<Option<WatchResponse>, Status> {
        let created = create::create(&self.member, &self.shown, &mut self.watchers, wish);
        let answer = match created {
            Ok(Created {
                id,
                since,
                wants_progress,
            }) => {
                if wants_progress && self.tick.is_none() {
                    self.tick = Some(ticking(self.progress_every));
                }
                WatchResponse {
                    created: true,
                    ..self.answer(id, since.map_or_else(|| self.revision(), Ok)?)
                }
            }
            Err(reason) => WatchResponse {
                created: true,
                canceled: true,
                cancel_reason: reason,
                ..self.answer(NO_WATCH, self.revision()?)
            },
        };
        Ok(Some(answer))
    }

    fn cancel(&mut self, id: i64) -> Result<Option<WatchResponse>, Status> {
        if !self.watchers.remove(id) {
            return Ok(None);
        }
        Ok(Some(WatchResponse {
            canceled: true,
            ..self.answer(id, self.revision()?)
        }))
    }

    // --- What watchers have to say ---

    fn poll_item(&mut self, context: &Context<'_>) -> Poll<Step> {
        if self.watchers.is_empty() && self.requests.is_none() {
            return Poll::Ready(Step::End(None));
        }
        let (id, wishes, item) = ready!(self.watchers.poll_item(context));
        Poll::Ready(match item {
            WatchItem::Events { revision, events } => {
                self.watchers.told(id);
                self.batch = Some(Batch::new(id, wishes, revision, events));
                Step::Again
            }
            WatchItem::Cancelled(reason) => self.cancelled(id, &reason),
        })
    }

    fn cancelled(&self, id: i64, reason: &CancelReason) -> Step {
        let compacted = match reason {
            CancelReason::Compacted { compacted } => *compacted,
            // The client goes on with all its watches at another member.
            CancelReason::Closed(_) => return Step::End(Some(stopped())),
            CancelReason::Failed(_) => {
                return Step::End(Some(Status::unavailable(reason.to_string())));
            }
        };
        match self.revision() {
            Ok(revision) => Step::Answer(WatchResponse {
                canceled: true,
                compact_revision: signed(compacted.0),
                cancel_reason: reason.to_string(),
                ..self.answer(id, revision)
            }),
            Err(status) => Step::End(Some(status)),
        }
    }

    /// The next part of the item in hand.
    fn next_part(&mut self) -> Option<WatchResponse> {
        let batch = self.batch.as_mut()?;
        let (id, wishes) = (batch.id, batch.wishes);
        let Some(part) = batch.next(self.bytes_max) else {
            self.batch = None;
            return None;
        };
        let events = part.events.iter().map(|event| {
            let mut event = convert::event(event);
            // It may be there on behalf of others who watch the same.
            event.prev_kv = event.prev_kv.filter(|_| wishes.prev);
            event
        });
        let (events, fragment, revision) = (events.collect(), part.is_fragment, part.revision);
        Some(WatchResponse {
            events,
            fragment,
            ..self.answer(id, revision)
        })
    }

    // --- How far watchers are ---

    fn poll_survey(&mut self, context: &Context<'_>) -> Poll<Step> {
        let Some(survey) = &mut self.survey else {
            return Poll::Ready(Step::Again);
        };
        let (id, revision) = match survey.look(&mut self.watchers) {
            Found::All(revision) => {
                self.survey = None;
                (NO_WATCH, revision)
            }
            Found::One(id, revision) => (id, revision),
            Found::Nothing => {
                self.survey = None;
                return Poll::Ready(Step::Again);
            }
            Found::Busy => {
                let step = self.poll_item(context);
                if step.is_pending() {
                    // It is about to be woken.
                    context.waker().wake_by_ref();
                }
                return step;
            }
            Found::More => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        Poll::Ready(Step::Answer(self.answer(id, revision)))
    }

    // --- Answers ---

    fn answer(&self, watch_id: i64, revision: Revision) -> WatchResponse {
        WatchResponse {
            header: Some(self.member.header(revision)),
            watch_id,
            ..WatchResponse::default()
        }
    }

    fn revision(&self) -> Result<Revision, Status> {
        let state = self.member.store().state();
        Ok(state.map_err(|broken| error::broken(&broken))?.revision)
    }
}

fn ticking(every: Duration) -> Interval {
    let mut tick = interval_at(Instant::now() + every, every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
