//! News of leases, from the machine to whoever keeps their time.
//!
//! The machine pushes news after the batch can be read, and before its clients are answered. So a
//! listener that finds news missing, and then reads all leases, misses none; and whoever was told
//! that a lease is there finds it in the news. It does not know when a lease ends.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::types::LeaseId;

/// So much news waits at most; beyond it is all replaced by [`LeaseNews::Reset`].
pub const LEASE_NEWS_MAX: usize = 1 << 16;

/// What happened to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseNews {
    /// It was granted.
    Granted {
        /// Which.
        id: LeaseId,
        /// How long it lives without being kept alive, in seconds.
        ttl_s: u64,
    },
    /// It was revoked, or has expired.
    Ended(LeaseId),
    /// Anything may have happened to any: all of them are to be read anew.
    Reset,
}

/// Where the news is pushed. While nobody listens, that costs next to nothing.
#[derive(Clone, Debug, Default)]
pub struct LeaseFeed {
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    /// Who listens is the one that came last; this tells it from those before.
    listener: u64,
    /// What it has not taken yet; `None` while nobody listens.
    news: Option<Vec<LeaseNews>>,
}

impl LeaseFeed {
    /// Tells who listens.
    pub fn push(&self, news: LeaseNews) {
        let mut board = self.lock();
        let Some(waiting) = &mut board.news else {
            return;
        };
        if waiting.last() == Some(&LeaseNews::Reset) {
            return;
        }
        if news == LeaseNews::Reset || waiting.len() >= LEASE_NEWS_MAX {
            *waiting = vec![LeaseNews::Reset];
        } else {
            waiting.push(news);
        }
    }

    /// Listens from now on, in place of whoever did before.
    #[must_use]
    pub fn listen(&self) -> LeaseListener {
        let mut board = self.lock();
        board.listener += 1;
        board.news = Some(Vec::new());
        LeaseListener {
            listener: board.listener,
            feed: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        // Nothing is left half done where a panic is possible.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct LeaseListener {
    feed: LeaseFeed,
    listener: u64,
}

impl LeaseListener {
    /// All news since the last call, in the order in which it happened. After a
    /// [`LeaseNews::Reset`] nothing comes before it is taken, since what is read then is newer.
    #[must_use]
    pub fn take(&self) -> Vec<LeaseNews> {
        let mut board = self.feed.lock();
        if board.listener != self.listener {
            return Vec::new();
        }
        board.news.as_mut().map(mem::take).unwrap_or_default()
    }
}

impl Drop for LeaseListener {
    fn drop(&mut self) {
        let mut board = self.feed.lock();
        if board.listener == self.listener {
            board.news = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(id: i64) -> LeaseNews {
        LeaseNews::Ended(LeaseId(id))
    }

    #[test]
    fn only_a_listener_is_told_and_only_since_it_listens() {
        let feed = LeaseFeed::default();
        feed.push(ended(1));
        let listener = feed.listen();
        feed.push(ended(2));
        let granted = LeaseNews::Granted {
            id: LeaseId(3),
            ttl_s: 5,
        };
        feed.push(granted);
        assert_eq!(listener.take(), [ended(2), granted]);
        assert_eq!(listener.take(), []);
        drop(listener);
        feed.push(ended(4));
        assert_eq!(feed.listen().take(), []);
    }

    #[test]
    fn who_listens_is_the_one_that_came_last() {
        let feed = LeaseFeed::default();
        let first = feed.listen();
        let second = feed.listen();
        feed.push(ended(1));
        assert_eq!(first.take(), []);
        drop(first);
        feed.push(ended(2));
        assert_eq!(second.take(), [ended(1), ended(2)]);
    }

    #[test]
    fn too_much_news_becomes_one_and_so_does_what_follows() {
        let feed = LeaseFeed::default();
        let listener = feed.listen();
        for _ in 0..LEASE_NEWS_MAX {
            feed.push(ended(1));
        }
        assert_eq!(listener.take().len(), LEASE_NEWS_MAX);
        for _ in 0..LEASE_NEWS_MAX + 2 {
            feed.push(ended(1));
        }
        assert_eq!(listener.take(), [LeaseNews::Reset]);
        feed.push(ended(2));
        feed.push(LeaseNews::Reset);
        feed.push(ended(3));
        assert_eq!(listener.take(), [LeaseNews::Reset]);
        feed.push(ended(4));
        assert_eq!(listener.take(), [ended(4)]);
    }
}
