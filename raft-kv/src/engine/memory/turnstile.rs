//! A lock that is held often and briefly, and lets those in that wait.
//!
//! A plain one lets its holder release it and take it again before who waits has woken up. Here
//! everyone passes a turnstile first, and who waits for the lock stands in it: so the one that
//! comes back finds it taken. It does not know what is guarded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// A fair lock.
#[derive(Default)]
pub(super) struct Turnstile<T> {
    queue: Mutex<()>,
    guarded: Mutex<T>,
    /// How many wait, or are about to find out that they need not.
    waiting: AtomicUsize,
}

impl<T> Turnstile<T> {
    /// Waits until it is free.
    pub(super) fn enter(&self) -> LockResult<MutexGuard<'_, T>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Nothing happens under this one that could panic.
        let queued = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self.guarded.lock();
        drop(queued);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Whether its holder should let others in, if it can. Only a hint: late at the most.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}
