//! The watchers of one stream, by their ids, and whose turn it is. A watcher is asked for its next
//! item only when there is room for it, so that one item is in hand at most; those that have
//! something take turns. It does not know how an item travels.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use raft_kv::Revision;
use raft_kv::watch::{WatchItem, Watcher};

use super::ready::{Bell, Ready};

/// So many watchers are looked at in one go at most: then other streams come first.
const LOOKS_MAX: usize = 128;

/// What a client wants of a watcher beside its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// What was there before.
    pub(super) prev: bool,
    /// Large revisions in parts.
    pub(super) fragment: bool,
    /// Now and then how far it is.
    pub(super) progress: bool,
}

/// All watchers of a stream.
pub(super) struct Watchers {
    slots: BTreeMap<i64, Slot>,
    /// Where the search for a free id begins.
    next_id: i64,
    ready: Arc<Ready>,
    /// While it is set, a watcher that is polled comes out of its wait.
    recall: Arc<AtomicBool>,
}

struct Slot {
    turn: Turn,
    wishes: Wishes,
    /// Nothing was sent since progress was last due.
    is_quiet: bool,
    bell: Arc<Bell>,
    waker: Waker,
}

/// A watcher on its way to the next item; it comes back without one if it is recalled.
type Turn = Pin<Box<dyn Future<Output = (Watcher, Option<WatchItem>)> + Send>>;

impl Watchers {
    pub(super) fn new() -> Self {
        Self {
            slots: BTreeMap::new(),
            next_id: 0,
            ready: Arc::default(),
            recall: Arc::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn contains(&self, id: i64) -> bool {
        self.slots.contains_key(&id)
    }

    /// An id that no watcher has, nor had one that was given its id here.
    pub(super) fn free_id(&mut self) -> i64 {
        while self.contains(self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// Adds a watcher, which is first in the queue behind those that have something.
    pub(super) fn add(&mut self, id: i64, watcher: Watcher, wishes: Wishes) {
        let bell = Bell::new(id, Arc::clone(&self.ready));
        let slot = Slot {
            turn: turn(watcher, Arc::clone(&self.recall)),
            wishes,
            is_quiet: true,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        };
        slot.bell.ring();
        self.slots.insert(id, slot);
    }

    /// Ends a watch. Whether there was one.
    pub(super) fn remove(&mut self, id: i64) -> bool {
        self.slots.remove(&id).is_some()
    }

    /// The next item of any of them. One that was cancelled is gone with that.
    pub(super) fn poll_item(&mut self, context: &Context<'_>) -> Poll<(i64, Wishes, WatchItem)> {
        for _ in 0..LOOKS_MAX {
            let Some(id) = self.ready.next(context.waker()) else {
                return Poll::Pending;
            };
            // It may have been removed since it rang.
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            slot.bell.heard();
            let Poll::Ready((watcher, item)) = slot.poll() else {
                continue;
            };
            let wishes = slot.wishes;
            if let Some(WatchItem::Cancelled(_)) = item {
                self.slots.remove(&id);
            } else {
                slot.resume(watcher, &self.recall);
            }
            if let Some(item) = item {
                return Poll::Ready((id, wishes, item));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The newest revision, if a watcher has delivered all up to it.
    pub(super) fn progress(&mut self, id: i64) -> Option<Revision> {
        let slot = self.slots.get_mut(&id)?;
        self.recall.store(true, Ordering::Relaxed);
        let polled = slot.poll();
        self.recall.store(false, Ordering::Relaxed);
        let Poll::Ready((watcher, None)) = polled else {
            unreachable!("a watcher that is recalled comes, with nothing");
        };
        let progress = watcher.progress();
        slot.resume(watcher, &self.recall);
        progress
    }

    /// All ids.
    pub(super) fn ids(&self) -> Vec<i64> {
        self.slots.keys().copied().collect()
    }

    /// Those who want to know how far they are, and were told nothing since this was last called.
    pub(super) fn quiet(&mut self) -> Vec<i64> {
        let mut quiet = Vec::new();
        for (id, slot) in &mut self.slots {
            if slot.wishes.progress && slot.is_quiet {
                quiet.push(*id);
            }
            slot.is_quiet = true;
        }
        quiet
    }

    /// A watcher was told something.
    pub(super) fn told(&mut self, id: i64) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.is_quiet = false;
        }
    }
}

impl Slot {
    fn poll(&mut self) -> Poll<(Watcher, Option<WatchItem>)> {
        let mut context = Context::from_waker(&self.waker);
        self.turn.as_mut().poll(&mut context)
    }

    /// Has it look for the next item when it is its turn again.
    fn resume(&mut self, watcher: Watcher, recall: &Arc<AtomicBool>) {
        self.turn = turn(watcher, Arc::clone(recall));
        self.bell.ring();
    }
}

/// The flag needs no waker: it is set only by whoever polls next.
fn turn(mut watcher: Watcher, recall: Arc<AtomicBool>) -> Turn {
    Box::pin(async move {
        let item = {
            let mut next = pin!(watcher.next());
            poll_fn(|context| {
                if recall.load(Ordering::Relaxed) {
                    return Poll::Ready(None);
                }
                next.as_mut().poll(context).map(Some)
            })
            .await
        };
        (watcher, item)
    })
}
