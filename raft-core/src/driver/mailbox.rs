//! The bounded queue in front of the loop: all that happens to a node comes through here.
//!
//! What the node's own lanes have done always gets in: it is bounded by what they were given.
//! Parcels of other nodes and requests of clients each have limits of their own, so that neither
//! takes the other's room; what comes on top is dropped, or refused. The loop takes out all that
//! waits at once: one short lock, no copy. This file does not know what anything means.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::config::NodeConfig;
use super::done::Done;
use super::request::Request;
use crate::port::Parcel;

/// What the loop takes out at once, in the order in which it is looked at.
#[derive(Default)]
pub(super) struct Batch {
    /// What the lanes have done.
    pub(super) done: Vec<Done>,
    /// What other nodes sent.
    pub(super) parcels: Vec<Parcel>,
    /// What clients want. The loop may leave some of it for its next round.
    pub(super) requests: VecDeque<Request>,
}

/// The queue. Shared by all who put something in, and the one loop that takes it out.
pub(super) struct Mailbox {
    limits: Limits,
    state: Mutex<State>,
}

struct Limits {
    requests_max: usize,
    requests_bytes_max: usize,
    parcels_bytes_max: usize,
}

#[derive(Default)]
struct State {
    waiting: Batch,
    requests_bytes: usize,
    parcels_bytes: usize,
    parcels_dropped: u64,
    /// That of the loop, while it sleeps.
    sleeper: Option<Waker>,
    is_closed: bool,
}

/// Why a request did not get in. Whoever waits for its answer is told by whoever gave it.
pub(super) enum TurnedAway {
    Overloaded,
    Stopped,
}

/// What a request weighs beside its payload.
const OVERHEAD: usize = 128;

impl Mailbox {
    pub(super) fn new(config: &NodeConfig) -> Self {
        Self {
            limits: Limits {
                requests_max: config.requests_max,
                requests_bytes_max: config.requests_bytes_max,
                parcels_bytes_max: config.parcels_bytes_max,
            },
            state: Mutex::default(),
        }
    }

    pub(super) fn done(&self, done: Done) {
        let mut state = self.state();
        state.waiting.done.push(done);
        wake(state);
    }

    /// Takes a parcel, or drops it.
    pub(super) fn parcel(&self, parcel: Parcel) {
        let mut state = self.state();
        let bytes = parcel.weight();
        // One that is larger than the limit gets in alone, or it never would.
        let is_full = state.parcels_bytes + bytes > self.limits.parcels_bytes_max;
        if state.is_closed || is_full && state.parcels_bytes > 0 {
            state.parcels_dropped += 1;
            return;
        }
        state.parcels_bytes += bytes;
        state.waiting.parcels.push(parcel);
        wake(state);
    }

    /// Takes a request, or turns it away.
    pub(super) fn request(&self, request: Request) -> Result<(), TurnedAway> {
        let mut state = self.state();
        if state.is_closed {
            return Err(TurnedAway::Stopped);
        }
        let bytes = request.weight() + OVERHEAD;
        let count = state.waiting.requests.len();
        let is_full = count >= self.limits.requests_max
            || state.requests_bytes + bytes > self.limits.requests_bytes_max && count > 0;
        if is_full && request.is_refusable() {
            return Err(TurnedAway::Overloaded);
        }
        state.requests_bytes += bytes;
        state.waiting.requests.push_back(request);
        wake(state);
        Ok(())
    }

    /// Fills `batch` with all that waits; with requests only once those of before are taken.
    pub(super) fn poll_fill(&self, batch: &mut Batch, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !batch.requests.is_empty() {
            mem::swap(&mut batch.done, &mut state.waiting.done);
            mem::swap(&mut batch.parcels, &mut state.waiting.parcels);
            state.parcels_bytes = 0;
            return Poll::Ready(());
        }
        if state.waiting.is_empty() {
            match &mut state.sleeper {
                Some(sleeper) => sleeper.clone_from(context.waker()),
                None => state.sleeper = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        mem::swap(batch, &mut state.waiting);
        state.requests_bytes = 0;
        state.parcels_bytes = 0;
        Poll::Ready(())
    }

    /// Nothing gets in any more; what still waits is handed out.
    pub(super) fn close(&self) -> Batch {
        let mut state = self.state();
        state.is_closed = true;
        mem::take(&mut state.waiting)
    }

    /// How many parcels were dropped so far.
    pub(super) fn parcels_dropped(&self) -> u64 {
        self.state().parcels_dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked here held the lock for a push that did not happen: the state is sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the loop if it sleeps; it is not to find the lock taken when it comes.
fn wake(mut state: MutexGuard<'_, State>) {
    let sleeper = state.sleeper.take();
    drop(state);
    if let Some(sleeper) = sleeper {
        sleeper.wake();
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.parcels.is_empty() && self.requests.is_empty()
    }
}
