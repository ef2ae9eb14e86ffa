//! One stream of keep-alives. Those that have come together are confirmed together, so that a
//! client with many leases does not wait for a quorum as many times; they are answered in the order
//! in which they came. It does not know who leads.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio_stream::Stream;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::LeaseService;
use crate::pb::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};

/// So many are under way at one time.
const TOGETHER_MAX: usize = 64;

/// A stream of keep-alives, and of the answers to them.
pub(super) struct Renewals<R> {
    service: LeaseService,
    metadata: MetadataMap,
    requests: R,
    /// Those that have an answer; no more than are taken together.
    answered: VecDeque<LeaseKeepAliveResponse>,
}

impl<R> Renewals<R>
where
    R: Stream<Item = Result<LeaseKeepAliveRequest, Status>> + Unpin,
{
    pub(super) fn new(service: LeaseService, metadata: MetadataMap, requests: R) -> Self {
        Self {
            service,
            metadata,
            requests,
            answered: VecDeque::new(),
        }
    }

    /// The next answer.
    pub(super) async fn next(mut self) -> Result<Option<(LeaseKeepAliveResponse, Self)>, Status> {
        if self.answered.is_empty() {
            let ids = self.requested().await?;
            // Before they are renewed: a client that is told of a later revision than that of the
            // end of its lease would take it for alive.
            let header = self.service.member.header_now();
            let (service, metadata) = (&self.service, &self.metadata);
            let renewed = all(ids.iter().map(|id| service.renew(metadata, *id))).await;
            for (id, ttl) in ids.into_iter().zip(renewed) {
                self.answered.push_back(LeaseKeepAliveResponse {
                    header: Some(header),
                    id,
                    ttl: ttl?,
                });
            }
        }
        Ok(self.answered.pop_front().map(|answer| (answer, self)))
    }

    /// Which leases the client wants to live, as far as it has said by now; none if it has nothing
    /// more to say.
    async fn requested(&mut self) -> Result<Vec<i64>, Status> {
        let mut ids = Vec::new();
        poll_fn(|context| {
            while ids.len() < TOGETHER_MAX {
                match Pin::new(&mut self.requests).poll_next(context) {
                    Poll::Ready(Some(Ok(request))) => ids.push(request.id),
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Err(status)),
                    Poll::Pending if ids.is_empty() => return Poll::Pending,
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        Ok(ids)
    }
}

/// What all of these come to, in their order. Each is polled whenever one is woken: they are few.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    futures
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}
