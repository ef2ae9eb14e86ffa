//! One watch: a cursor over what happened. It does not know of other watches, nor who reads it.
//!
//! Why there is neither a gap nor a repetition between the history and the ring:
//!
//! 1. The cursor is the only thing that says what was delivered: all before it, nothing at or
//!    behind it. It moves only together with an item that is given out, or over revisions in which
//!    nothing happened to the keys.
//! 2. A ring holds all that was published at `since` or later. What was not published when the
//!    ring began, or is not in it any more, is before `since`, and the engine has taken it before
//!    `since` came to be what it is: batches are written first and published then.
//! 3. So a cursor before `since` finds all up to `since` in a view of the engine that is taken
//!    after it has looked at the ring. A page may reach beyond what is published by then; the
//!    cursor then stands inside of, or behind, what the ring will hold, and the part of a slice
//!    before the cursor is left out.
//! 4. While it reads, the ring may move on, and `since` may overtake the cursor again: then it
//!    reads a further page, by the same argument.
//!
//! Nothing may be gone from the history that a page should hold: the view that the page is read
//! from says itself up to where it was compacted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::group::{Group, Taken};
use super::history::{self, Page};
use super::hub::Shared;
use super::{CancelReason, CloseReason, Events, WatchItem, WatchRequest};
use crate::types::Revision;

/// Follows what happens to some keys. Dropping it ends the watch.
pub struct Watcher {
    place: Place,
    /// What was asked for and is not delivered yet: its `start` is the cursor.
    rest: WatchRequest,
}

enum Place {
    Seated(Seat),
    Ended(CancelReason),
}

/// A place in a group, which is left when this is dropped.
struct Seat {
    shared: Arc<Shared>,
    group: Arc<Group>,
    pace: Pace,
}

/// Where it reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// In the ring.
    Recent,
    /// In the history.
    Behind,
}

/// What came of one look.
enum Step {
    Item(WatchItem),
    /// There was nothing in this page of the history, but there are others.
    Again,
    /// There is nothing until the group is woken.
    Idle,
}

impl Watcher {
    /// `rest` says where it starts.
    pub(super) const fn new(shared: Arc<Shared>, group: Arc<Group>, rest: WatchRequest) -> Self {
        let pace = Pace::Recent;
        let place = Place::Seated(Seat {
            shared,
            group,
            pace,
        });
        Self { place, rest }
    }

    /// One that ends with its first item.
    pub(super) const fn cancelled(rest: WatchRequest, reason: CancelReason) -> Self {
        let place = Place::Ended(reason);
        Self { place, rest }
    }

    /// The next item, when there is one. Dropping the future loses nothing. What it has to read
    /// from the engine it reads in the calling thread, a bounded page at a time.
    pub async fn next(&mut self) -> WatchItem {
        loop {
            let group = match &self.place {
                Place::Seated(seat) => Arc::clone(&seat.group),
                Place::Ended(reason) => return WatchItem::Cancelled(reason.clone()),
            };
            // Made before looking, it also ends by what is published after the look.
            let woken = group.woken.notified();
            match self.step() {
                Step::Item(item) => return item,
                Step::Again => tokio::task::yield_now().await,
                Step::Idle => woken.await,
            }
        }
    }

    /// The next item, if there is one now.
    pub fn poll_now(&mut self) -> Option<WatchItem> {
        loop {
            match self.step() {
                Step::Item(item) => return Some(item),
                Step::Again => {}
                Step::Idle => return None,
            }
        }
    }

    /// The newest revision, if all events up to it are delivered; whoever is told may start
    /// another watch behind it. `None` while there is something to deliver, or when the watch
    /// starts at a revision that is not there yet.
    #[must_use]
    pub fn progress(&self) -> Option<Revision> {
        let Place::Seated(seat) = &self.place else {
            return None;
        };
        // In this order: all up to this revision is in the ring by now, or is before it.
        let newest = seat.shared.revision();
        let is_due = self.rest.start <= newest.next() && seat.shared.closed.get().is_none();
        (is_due && seat.group.is_drained(self.rest.start)).then_some(newest)
    }

    /// What is not delivered yet: the request, except that `start` goes on with what is.
    #[must_use]
    pub const fn rest(&self) -> &WatchRequest {
        &self.rest
    }

    fn step(&mut self) -> Step {
        let step = match &mut self.place {
            Place::Seated(seat) => seat.step(&mut self.rest),
            Place::Ended(reason) => Err(reason.clone()),
        };
        step.unwrap_or_else(|reason| {
            self.place = Place::Ended(reason.clone());
            Step::Item(WatchItem::Cancelled(reason))
        })
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

impl Seat {
    fn step(&mut self, rest: &mut WatchRequest) -> Result<Step, CancelReason> {
        if let Some(reason) = self.shared.closed.get() {
            return Err(CancelReason::Closed(*reason));
        }
        match self.group.take(rest.start) {
            Taken::Events(revision, events) => {
                self.is_at(Pace::Recent);
                Ok(self.deliver(rest, revision, events))
            }
            Taken::Nothing => {
                self.is_at(Pace::Recent);
                Ok(Step::Idle)
            }
            Taken::Behind(next) => {
                self.is_at(Pace::Behind);
                rest.start = next;
                self.read_on(rest)
            }
            Taken::Broken => Err(CancelReason::Closed(CloseReason::Failed)),
        }
    }

    /// Reads a page of the history.
    fn read_on(&self, rest: &mut WatchRequest) -> Result<Step, CancelReason> {
        let page = history::read(&*self.shared.engine, rest);
        match page.map_err(|error| CancelReason::Failed(Arc::new(error)))? {
            Page::Compacted(compacted) => Err(CancelReason::Compacted { compacted }),
            Page::Changes { through, events } if events.is_empty() => {
                rest.start = rest.start.max(through.next());
                Ok(Step::Again)
            }
            Page::Changes { through, events } => Ok(self.deliver(rest, through, events.into())),
        }
    }

    fn deliver(&self, rest: &mut WatchRequest, revision: Revision, events: Events) -> Step {
        rest.start = revision.next();
        let count = events.len() as u64;
        self.shared.delivered.fetch_add(count, Ordering::Relaxed);
        Step::Item(WatchItem::Events { revision, events })
    }

    fn is_at(&mut self, pace: Pace) {
        let behind = &self.shared.behind;
        match (self.pace, pace) {
            (Pace::Recent, Pace::Behind) => behind.fetch_add(1, Ordering::Relaxed),
            (Pace::Behind, Pace::Recent) => behind.fetch_sub(1, Ordering::Relaxed),
            (Pace::Recent, Pace::Recent) | (Pace::Behind, Pace::Behind) => return,
        };
        self.pace = pace;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.is_at(Pace::Recent);
        self.shared.leave(&self.group);
    }
}
