//! Watches: what happens to keys, told in order, without a gap and without a repetition.
//!
//! A watcher is a cursor and not a queue. Those of the same keys share a ring of what happened
//! lately, and whoever is behind the ring reads the history of the engine, a page at a time and in
//! its own thread. So a watcher that lags costs nothing, however far it lags; it ends when a
//! compaction has removed what it would have to read next. This module does not know who watches,
//! nor how a watch travels.

mod events;
mod group;
mod history;
mod hub;
mod index;
#[cfg(test)]
mod tests;
mod watcher;

pub use events::{Events, fragments};
pub use hub::{Hub, HubConfig, HubStats};
pub use watcher::Watcher;

use std::sync::Arc;

use raft_core::port::PortError;

use crate::keys::Keys;
use crate::types::{EventKind, Revision};

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// Which keys.
    pub keys: Keys,
    /// From which revision on, which may be past or future; [`Revision::NONE`] is from now on.
    pub start: Revision,
    /// Which events of theirs.
    pub wanted: Wanted,
    /// Whether an event's [`prev`](crate::types::Event::prev) is of use. Without it none is looked
    /// up, but may be there: events are shared with other watchers, so nothing is taken out.
    pub wants_prev: bool,
}

impl WatchRequest {
    /// All that happens to these keys from now on.
    #[must_use]
    pub const fn new(keys: Keys) -> Self {
        Self {
            keys,
            start: Revision::NONE,
            wanted: Wanted::All,
            wants_prev: false,
        }
    }
}

/// Which kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    #[default]
    All,
    /// Puts alone.
    Puts,
    /// Deletions alone.
    Deletes,
    /// None: such a watcher only learns of progress.
    Nothing,
}

impl Wanted {
    /// Whether an event of this kind is among them.
    #[must_use]
    pub const fn includes(self, kind: EventKind) -> bool {
        match self {
            Self::All => true,
            Self::Puts => matches!(kind, EventKind::Put),
            Self::Deletes => matches!(kind, EventKind::Delete),
            Self::Nothing => false,
        }
    }
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum WatchItem {
    /// Something happened.
    Events {
        /// All events up to this revision are now delivered, these among them.
        revision: Revision,
        /// What happened: at least one event, of whole revisions, in their order.
        events: Events,
    },
    /// It is over. Every later item is the same.
    Cancelled(CancelReason),
}

/// Why a watch ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CancelReason {
    /// What would have to be delivered next was compacted away.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The earliest revision that a new watch may start at.
        compacted: Revision,
    },
    /// The hub was closed.
    #[error("the node {0}")]
    Closed(CloseReason),
    /// The history could not be read.
    #[error("the history of a watch could not be read: {0}")]
    Failed(Arc<PortError>),
}

/// Why nothing more will be heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// In good order.
    #[error("stops")]
    Stopped,
    /// Not in good order; what went wrong is said elsewhere.
    #[error("has failed")]
    Failed,
}

/// Why a watch was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchRefused {
    /// No key lies between these ends. The text is etcd's.
    #[error("mvcc: watcher range is empty")]
    EmptyRange,
    /// There are as many watchers as there may be.
    #[error("too many watchers")]
    TooManyWatchers,
    /// There are as many spans watched that are no prefixes as there may be.
    #[error("too many ranges are watched")]
    TooManySpans,
    /// The hub is closed.
    #[error("the node {0}")]
    Closed(CloseReason),
}
