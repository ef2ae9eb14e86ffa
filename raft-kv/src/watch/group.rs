//! Those who watch the same: the ring of what happened lately to their keys. It does not know who
//! they are, nor what happened before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::{Events, Wanted};
use crate::keys::Keys;
use crate::types::{Event, Revision};

/// As many stretches in which nothing happened are remembered behind the ring.
const QUIET_MAX: usize = 64;

/// Those who watch the same keys for the same kinds of events.
///
/// Its lock is the innermost one: nothing is locked, and nothing is read, while it is held.
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) keys: Keys,
    pub(super) wanted: Wanted,
    ring: Mutex<Ring>,
    /// Tells those who wait that the ring has changed, or that all is over.
    pub(super) woken: Notify,
}

/// What happened lately.
struct Ring {
    /// All that happened to the keys at this revision or later, and was published, is in `slices`.
    since: Revision,
    /// Ascending; none is empty.
    slices: VecDeque<Slice>,
    /// Ascending stretches `[from, to)` before `since` in which nothing happened to the keys.
    ///
    /// A watcher to whom nothing happens sleeps, and its cursor stays where it is. Were it behind
    /// the ring when it wakes, a compaction might have passed the cursor, though nothing that it
    /// has to deliver. These bring the cursor over the stretch in which it slept.
    quiet: VecDeque<(Revision, Revision)>,
}

/// What one publication holds for a group.
struct Slice {
    /// The newest revision of the publication: for the group, all up to here is in this slice or
    /// in those before.
    through: Revision,
    events: Events,
}

/// What a ring has for a cursor.
pub(super) enum Taken {
    /// The next events, and the revision up to which they are all.
    Events(Revision, Events),
    /// Nothing yet.
    Nothing,
    /// The ring begins later. Nothing happened before this revision that was not delivered.
    Behind(Revision),
    /// A thread has panicked while it changed the ring.
    Broken,
}

/// A thread has panicked while it changed the ring.
pub(super) struct Broken;

impl Group {
    /// One to which all that happens at `since` or later will be published.
    pub(super) fn new(id: u64, keys: Keys, wanted: Wanted, since: Revision) -> Arc<Self> {
        let ring = Ring {
            since,
            slices: VecDeque::new(),
            quiet: VecDeque::new(),
        };
        Arc::new(Self {
            id,
            keys,
            wanted,
            ring: Mutex::new(ring),
            woken: Notify::new(),
        })
    }

    /// What a cursor delivers next that stands at `next`.
    pub(super) fn take(&self, next: Revision) -> Taken {
        let Ok(ring) = self.ring() else {
            return Taken::Broken;
        };
        let next = ring.over_quiet(next);
        if next < ring.since {
            return Taken::Behind(next);
        }
        match ring.first_for(next) {
            Some(slice) => Taken::Events(slice.through, slice.events.since(next)),
            None => Taken::Nothing,
        }
    }

    /// Whether a cursor that stands at `next` has delivered all that was published.
    pub(super) fn is_drained(&self, next: Revision) -> bool {
        self.ring().is_ok_and(|ring| {
            let next = ring.over_quiet(next);
            next >= ring.since && ring.first_for(next).is_none()
        })
    }

    /// Adds what happened up to `through`.
    pub(super) fn push(&self, through: Revision, events: Vec<Event>) -> Result<(), Broken> {
        let events = Events::from(events);
        self.ring()?.slices.push_back(Slice { through, events });
        Ok(())
    }

    /// Forgets what happened up to a revision.
    pub(super) fn forget(&self, through: Revision) -> Result<(), Broken> {
        let mut ring = self.ring()?;
        while ring
            .slices
            .front()
            .is_some_and(|slice| slice.through <= through)
        {
            ring.forget_first();
        }
        Ok(())
    }

    /// Forgets all: what happened after `published` and before `since` was never published.
    pub(super) fn restart(&self, published: Revision, since: Revision) -> Result<(), Broken> {
        let mut ring = self.ring()?;
        while !ring.slices.is_empty() {
            ring.forget_first();
        }
        let from = ring.since;
        ring.remember_quiet(from, published.next());
        ring.since = since;
        Ok(())
    }

    fn ring(&self) -> Result<MutexGuard<'_, Ring>, Broken> {
        self.ring.lock().map_err(|_| Broken)
    }
}

impl Ring {
    /// The first slice with something for a cursor. A slice may reach over the cursor and have
    /// nothing behind it, when the cursor came here by the history.
    fn first_for(&self, next: Revision) -> Option<&Slice> {
        let skipped = self.slices.partition_point(|slice| slice.last() < next);
        self.slices.get(skipped)
    }

    fn forget_first(&mut self) {
        if let Some(slice) = self.slices.pop_front() {
            self.remember_quiet(self.since, slice.first());
            self.since = slice.through.next();
            self.remember_quiet(slice.last().next(), self.since);
        }
    }

    fn remember_quiet(&mut self, from: Revision, to: Revision) {
        if from >= to {
            return;
        }
        if let Some((_, end)) = self.quiet.back_mut()
            && *end == from
        {
            *end = to;
            return;
        }
        self.quiet.push_back((from, to));
        if self.quiet.len() > QUIET_MAX {
            self.quiet.pop_front();
        }
    }

    /// The first revision at or behind a cursor at which something may have happened.
    fn over_quiet(&self, mut next: Revision) -> Revision {
        if next < self.since {
            for (from, to) in &self.quiet {
                if (*from..*to).contains(&next) {
                    next = *to;
                }
            }
        }
        next
    }
}

impl Slice {
    fn first(&self) -> Revision {
        self.events.first().map_or(self.through, Event::revision)
    }

    fn last(&self) -> Revision {
        self.events.last().map_or(self.through, Event::revision)
    }
}
