//! Events that many hold and nobody owns. It does not know where they come from.

use std::fmt;
use std::iter;
use std::ops::Deref;
use std::sync::Arc;

use crate::types::{Event, KeyValue, Revision};

/// Some events, ascending by revision. Cheap to clone: all who are told of the same share them.
#[derive(Clone)]
pub struct Events {
    shared: Arc<[Event]>,
    /// Those before it are not among them.
    first: usize,
}

impl Events {
    pub(super) fn shared(shared: Arc<[Event]>) -> Self {
        Self { shared, first: 0 }
    }

    /// Those that happened at this revision or later.
    pub(super) fn since(&self, revision: Revision) -> Self {
        let skipped = self.partition_point(|event| event.revision() < revision);
        Self {
            shared: Arc::clone(&self.shared),
            first: self.first + skipped,
        }
    }

    /// Whether these are the same in memory.
    #[cfg(test)]
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl From<Vec<Event>> for Events {
    fn from(events: Vec<Event>) -> Self {
        Self::shared(events.into())
    }
}

impl Deref for Events {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.shared[self.first..]
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// About what an event takes, in memory or on the way, beside its keys and values.
const EVENT_BYTES: usize = size_of::<Event>();

/// About what an event takes, in memory or on the way.
pub(super) fn weight(event: &Event) -> usize {
    let of = |kv: &KeyValue| kv.key.len() + kv.value.len();
    EVENT_BYTES + of(&event.kv) + event.prev.as_ref().map_or(0, of)
}

/// Splits events into as many parts as needed for none to weigh more than `bytes_max`, except for
/// an event that does so alone.
pub fn fragments(events: &[Event], bytes_max: usize) -> impl Iterator<Item = &[Event]> {
    let mut rest = events;
    iter::from_fn(move || {
        let mut bytes = weight(rest.first()?);
        let fitting = rest[1..].iter().take_while(|event| {
            bytes = bytes.saturating_add(weight(event));
            bytes <= bytes_max
        });
        let (fragment, behind) = rest.split_at(1 + fitting.count());
        rest = behind;
        Some(fragment)
    })
}
