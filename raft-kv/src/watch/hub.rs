//! Where the apply path says what happened, and watchers begin. It does not know what a watcher has
//! delivered.
//!
//! Locks, outermost first: the registry of the hub, then the ring of one group. Neither is held
//! across a read of the engine, nor while watchers are woken.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::events::weight;
use super::group::{Broken, Group};
use super::index::Index;
use super::{CancelReason, CloseReason, WatchRefused, WatchRequest, Watcher};
use crate::engine::Engine;
use crate::types::{Event, Revision};

/// About what it takes to keep a publication for one group, beside its events.
const SLICE_BYTES: usize = 256;

/// The limits of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubConfig {
    /// No more watchers than these.
    pub watchers_max: usize,
    /// No more spans than these are watched that are no prefixes: each event is compared with all.
    pub spans_max: usize,
    /// The rings of all groups together take about this much memory. A watcher that is behind them
    /// reads the history.
    pub recent_bytes_max: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            watchers_max: 100_000,
            spans_max: 1_024,
            recent_bytes_max: 64 << 20,
        }
    }
}

/// What a hub has to do just now, and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubStats {
    /// The watchers there are.
    pub watchers: usize,
    /// The groups that they are in.
    pub groups: usize,
    /// How many of them were behind the rings when they looked last.
    pub behind: u64,
    /// How many events were delivered so far; once for each watcher.
    pub delivered: u64,
    /// About what the rings take.
    pub recent_bytes: usize,
}

/// Brings together what happens and those who watch. Clones are the same hub.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

/// What a hub and its watchers share.
pub(super) struct Shared {
    pub(super) engine: Arc<dyn Engine>,
    config: HubConfig,
    registry: Mutex<Registry>,
    /// The newest revision. All events up to it are in the rings before it is here.
    revision: AtomicU64,
    pub(super) closed: OnceLock<CloseReason>,
    pub(super) behind: AtomicU64,
    pub(super) delivered: AtomicU64,
}

struct Registry {
    index: Index,
    watchers: usize,
    /// The groups so far: each has a number of its own.
    groups_made: u64,
    compacted: Revision,
    /// What the rings hold, the oldest first.
    recent: VecDeque<Publication>,
    /// The sum over `recent`.
    recent_bytes: usize,
}

/// What was published at once.
struct Publication {
    through: Revision,
    bytes: usize,
    /// Those that were told.
    groups: Arc<[Arc<Group>]>,
}

impl Hub {
    /// A hub without watchers. The engine is at `revision`, and compacted at `compacted`.
    #[must_use]
    pub fn new(
        engine: Arc<dyn Engine>,
        revision: Revision,
        compacted: Revision,
        config: HubConfig,
    ) -> Self {
        let registry = Registry {
            index: Index::default(),
            watchers: 0,
            groups_made: 0,
            compacted,
            recent: VecDeque::new(),
            recent_bytes: 0,
        };
        let shared = Arc::new(Shared {
            engine,
            config,
            registry: Mutex::new(registry),
            revision: AtomicU64::new(revision.0),
            closed: OnceLock::new(),
            behind: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
        });
        Self { shared }
    }

    /// Begins a watch. One that starts below the compaction ends with its first item.
    ///
    /// # Errors
    /// When there can be none.
    pub fn watch(&self, mut request: WatchRequest) -> Result<Watcher, WatchRefused> {
        let shared = &self.shared;
        if request.keys.span().is_empty() {
            return Err(WatchRefused::EmptyRange);
        }
        let mut registry = shared.open_registry().map_err(WatchRefused::Closed)?;
        if registry.watchers >= shared.config.watchers_max {
            return Err(WatchRefused::TooManyWatchers);
        }
        let is_full = registry.index.spans() >= shared.config.spans_max;
        if is_full && registry.index.is_new_span(&request.keys) {
            return Err(WatchRefused::TooManySpans);
        }
        // Nothing is published while the registry is locked: the group will be told of all that
        // comes after this revision, and the engine has taken all up to it.
        let since = shared.revision().next();
        let compacted = registry.compacted;
        if request.start == Revision::NONE {
            // Never compacted, although a compaction may be known before what it is behind.
            request.start = since;
        } else if request.start < compacted {
            let reason = CancelReason::Compacted { compacted };
            return Ok(Watcher::cancelled(request, reason));
        }
        let Registry {
            index, groups_made, ..
        } = &mut *registry;
        let group = index.join(&request.keys, request.wanted, || {
            *groups_made += 1;
            Group::new(*groups_made, request.keys.clone(), request.wanted, since)
        });
        registry.watchers += 1;
        drop(registry);
        Ok(Watcher::new(Arc::clone(shared), group, request))
    }

    /// The engine has taken all batches up to `revision`, and this is what they did since the last
    /// call: all events, ascending. Called by one thread at a time.
    ///
    /// # Panics
    /// If the revisions go back: watchers would miss what happened in between.
    pub fn publish(&self, revision: Revision, events: &[Event]) {
        let shared = &self.shared;
        let published = shared.revision();
        assert!(revision >= published, "{revision} after {published}");
        let first = events.first().map(Event::revision);
        assert!(
            first.is_none_or(|first| first > published),
            "{first:?} after {published}"
        );
        let last = events.last().map(Event::revision);
        assert!(
            last.is_none_or(|last| last <= revision),
            "{last:?} in {revision}"
        );
        debug_assert!(events.is_sorted_by_key(Event::revision));

        let Ok(mut registry) = shared.open_registry() else {
            return;
        };
        let told = registry.tell(revision, events, shared.config.recent_bytes_max);
        // Now that the rings have it all.
        shared.revision.store(revision.0, Ordering::Release);
        drop(registry);
        match told {
            Ok(groups) => groups.iter().for_each(|group| group.woken.notify_waiters()),
            Err(Broken) => self.close(CloseReason::Failed),
        }
    }

    /// What happened before this revision may vanish from the engine. Those who have yet to deliver
    /// it from there end when they come to it.
    pub fn compacted(&self, compacted: Revision) {
        if let Ok(mut registry) = self.shared.open_registry() {
            registry.compacted = registry.compacted.max(compacted);
        }
    }

    /// Whether anybody watches. If nobody does, what happens need not be collected: see
    /// [`Hub::publish_unseen`].
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.shared.any_registry().index.is_empty()
    }

    /// In place of [`Hub::publish`], when what happened was not collected because nobody watched.
    /// Whoever has begun to watch since reads it in the history.
    pub fn publish_unseen(&self, revision: Revision) {
        self.skip_to(revision, |_| {});
    }

    /// The engine has other rows: those of a snapshot. What happened up to `revision` is for all to
    /// read there.
    pub fn reset(&self, revision: Revision, compacted: Revision) {
        self.skip_to(revision, |registry| registry.compacted = compacted);
    }

    fn skip_to(&self, revision: Revision, change: impl FnOnce(&mut Registry)) {
        let shared = &self.shared;
        let Ok(mut registry) = shared.open_registry() else {
            return;
        };
        change(&mut registry);
        registry.forget_recent();
        let groups: Vec<_> = registry.index.all().cloned().collect();
        let published = shared.revision();
        let restarted = groups
            .iter()
            .try_for_each(|group| group.restart(published, revision.next()));
        shared.revision.store(revision.0, Ordering::Release);
        drop(registry);
        match restarted {
            Ok(()) => groups.iter().for_each(|group| group.woken.notify_waiters()),
            Err(Broken) => self.close(CloseReason::Failed),
        }
    }

    /// Ends all watches, and lets none begin. Only the first reason counts.
    pub fn close(&self, reason: CloseReason) {
        // The rings stay as they are: each watcher sees this first, and leaves.
        let _ = self.shared.closed.set(reason);
        let groups: Vec<_> = self.shared.any_registry().index.all().cloned().collect();
        groups.iter().for_each(|group| group.woken.notify_waiters());
    }

    /// How it is.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let registry = self.shared.any_registry();
        HubStats {
            watchers: registry.watchers,
            groups: registry.index.groups(),
            behind: self.shared.behind.load(Ordering::Relaxed),
            delivered: self.shared.delivered.load(Ordering::Relaxed),
            recent_bytes: registry.recent_bytes,
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("revision", &self.shared.revision())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The newest revision that was published.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// A watcher has left its group.
    pub(super) fn leave(&self, group: &Group) {
        let mut registry = self.any_registry();
        registry.watchers -= 1;
        registry.index.leave(group);
        if registry.index.is_empty() {
            registry.forget_recent();
        }
    }

    /// The registry, as long as the hub is open. A panic of whoever held it closes the hub: what it
    /// left undone may be what a watcher waits for.
    fn open_registry(&self) -> Result<MutexGuard<'_, Registry>, CloseReason> {
        if self.registry.is_poisoned() {
            let _ = self.closed.set(CloseReason::Failed);
        }
        match self.closed.get() {
            Some(reason) => Err(*reason),
            None => self.registry.lock().map_err(|_| CloseReason::Failed),
        }
    }

    /// The registry of a hub that may be closed: good enough to leave it, or to count.
    fn any_registry(&self) -> MutexGuard<'_, Registry> {
        self.registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Registry {
    /// Adds what happened to the rings of those whom it concerns, and says who they are.
    fn tell(
        &mut self,
        through: Revision,
        events: &[Event],
        bytes_max: usize,
    ) -> Result<Arc<[Arc<Group>]>, Broken> {
        let mut told: BTreeMap<u64, (Arc<Group>, Vec<Event>)> = BTreeMap::new();
        let mut bytes = 0;
        if !self.index.is_empty() {
            for event in events {
                self.index.each_of(event, |group| {
                    let (_, events) = told
                        .entry(group.id)
                        .or_insert_with(|| (Arc::clone(group), Vec::new()));
                    events.push(event.clone());
                    bytes += weight(event);
                });
            }
        }
        if told.is_empty() {
            return Ok(Arc::default());
        }
        let mut groups = Vec::with_capacity(told.len());
        for (group, events) in told.into_values() {
            bytes += SLICE_BYTES;
            group.push(through, events)?;
            groups.push(group);
        }
        let groups: Arc<[Arc<Group>]> = groups.into();
        self.recent_bytes += bytes;
        self.recent.push_back(Publication {
            through,
            bytes,
            groups: Arc::clone(&groups),
        });
        self.forget_beyond(bytes_max)?;
        Ok(groups)
    }

    fn forget_beyond(&mut self, bytes_max: usize) -> Result<(), Broken> {
        while self.recent_bytes > bytes_max
            && let Some(oldest) = self.recent.pop_front()
        {
            self.recent_bytes -= oldest.bytes;
            for group in &*oldest.groups {
                group.forget(oldest.through)?;
            }
        }
        Ok(())
    }

    fn forget_recent(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
    }
}
