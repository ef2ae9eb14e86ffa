//! Who has something to say: each watcher of a stream has a bell of its own, and those that rang
//! stand in a queue. So an event costs what it concerns, however many watchers there are. It does
//! not know what they say.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Those that rang, the first one first.
#[derive(Default)]
pub(super) struct Ready {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Each bell is here once at most.
    rang: VecDeque<i64>,
    /// Whoever found the queue empty.
    waiting: Option<Waker>,
}

impl Ready {
    /// The one that rang first. If none did, the next one wakes whoever asks.
    pub(super) fn next(&self, waker: &Waker) -> Option<i64> {
        let mut queue = self.lock();
        let first = queue.rang.pop_front();
        if first.is_none() {
            queue.waiting = Some(waker.clone());
        }
        first
    }

    fn push(&self, id: i64) {
        let waiting = {
            let mut queue = self.lock();
            queue.rang.push_back(id);
            queue.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done where a panic is possible.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a watcher into the queue when it is woken.
pub(super) struct Bell {
    id: i64,
    ready: Arc<Ready>,
    /// It stands in the queue.
    is_rung: AtomicBool,
}

impl Bell {
    pub(super) fn new(id: i64, ready: Arc<Ready>) -> Arc<Self> {
        let is_rung = AtomicBool::new(false);
        Arc::new(Self { id, ready, is_rung })
    }

    /// It has left the queue. To be called before its watcher is looked at: what comes after that
    /// rings again.
    pub(super) fn heard(&self) {
        self.is_rung.store(false, Ordering::Release);
    }

    pub(super) fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.ready.push(self.id);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
