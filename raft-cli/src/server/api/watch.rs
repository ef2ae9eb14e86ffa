//! The service of watches: many of them on one stream. It does not know how a watch is kept: see
//! [`raft_kv::watch`].

mod batch;
mod create;
mod ready;
mod session;
mod survey;
#[cfg(test)]
mod tests;
mod watchers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming, async_trait};

use self::session::Session;
use super::unfold::Answers;
use crate::pb::etcdserverpb as pb;
use crate::server::auth::Shown;
use crate::server::member::Shared;

/// An answer may be longer than a request by this much, as etcd has it.
const OVERHEAD_BYTES: usize = 512 << 10;
/// So often a watcher to which nothing happens is told how far it is, if it wants that; etcd's.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_mins(10);

/// The service of watches.
#[derive(Clone)]
pub(crate) struct WatchService {
    member: Shared,
    progress_every: Duration,
    /// The streams that there are.
    open: Arc<AtomicUsize>,
    /// How many there were, by which they are spread in time.
    opened: Arc<AtomicU32>,
}

impl WatchService {
    pub(crate) fn new(member: Shared, progress_every: Duration) -> Self {
        Self {
            member,
            progress_every,
            open: Arc::default(),
            opened: Arc::default(),
        }
    }

    /// Answers a stream of requests, whatever way it came.
    ///
    /// # Errors
    /// When there is nobody to answer.
    pub(crate) fn answer<R>(
        &self,
        shown: Shown,
        metadata: &MetadataMap,
        requests: R,
    ) -> Result<Answers<pb::WatchResponse>, Status>
    where
        R: Stream<Item = Result<pb::WatchRequest, Status>> + Send + Unpin + 'static,
    {
        let limits = &self.member.config.limits;
        let Some(seat) = Seat::take(&self.open, limits.watchers) else {
            return Err(Status::resource_exhausted("etcdserver: too many requests"));
        };
        let session = Session::new(
            (self.member.clone(), shown),
            seat,
            requests,
            limits.request_bytes + OVERHEAD_BYTES,
            self.next_progress_every(),
        );
        let guarded = self.member.leadership.guard(metadata, session)?;
        Ok(Box::pin(guarded))
    }

    /// Up to a tenth longer for one stream than for another: those that came at the same time, when
    /// a client started, are not all due at the same time.
    fn next_progress_every(&self) -> Duration {
        /// The golden ratio in 32 bits: multiples of it lie far apart.
        const STRIDE: u32 = 0x9E37_79B9;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let part = f64::from(number.wrapping_mul(STRIDE)) / f64::from(u32::MAX);
        self.progress_every + (self.progress_every / 10).mul_f64(part)
    }
}

/// One of as many streams as there may be watchers. It is not one of the requests under way, of
/// which there may be fewer: a client that watches much must be able to put.
#[derive(Debug)]
struct Seat {
    open: Arc<AtomicUsize>,
}

impl Seat {
    fn take(open: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let open = Arc::clone(open);
        let others = open.fetch_add(1, Ordering::Relaxed);
        // When this is dropped, what was taken is given back.
        let seat = Self { open };
        (others < most).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl pb::watch_server::Watch for WatchService {
    type WatchStream = Answers<pb::WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_anybody(&request)?;
        let shown = Shown::by(&request);
        let (metadata, _, requests) = request.into_parts();
        Ok(Response::new(self.answer(shown, &metadata, requests)?))
    }
}
