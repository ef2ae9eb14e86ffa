//! A look at how far the watchers of a stream are, on behalf of a client that wants to know. It
//! does not know what they watch.
//!
//! To say that *all* watchers have delivered what happened up to a revision, nothing may be sent
//! between the look at the first of them and the word to the client: else that word would name an
//! earlier revision than an event before it did. So it is said only if all of them had nothing left
//! when they were looked at one after another; while something happens all the time to many
//! watchers, it may never be said, as with etcd.

use raft_kv::Revision;

use super::watchers::Watchers;

/// So many watchers are looked at in one go.
const LOOKS_MAX: usize = 256;
/// So often one begins anew that found a watcher with something to deliver.
const ATTEMPTS_MAX: usize = 8;

/// Watchers that are yet to be looked at, the first one last.
pub(super) enum Survey {
    /// The client asked how far all are.
    All {
        left: Vec<i64>,
        /// The earliest of their revisions so far.
        floor: Option<Revision>,
        attempts: usize,
    },
    /// It is time to say how far those are to whom nothing happened.
    Quiet { left: Vec<i64> },
}

/// What came of some looks.
pub(super) enum Found {
    /// All watchers are so far.
    All(Revision),
    /// This one is.
    One(i64, Revision),
    /// There are others to be looked at.
    More,
    /// A watcher has something to deliver first.
    Busy,
    /// It is over, and nothing is to be said.
    Nothing,
}

impl Survey {
    pub(super) fn of_all(watchers: &Watchers) -> Self {
        Self::All {
            left: watchers.ids(),
            floor: None,
            attempts: 1,
        }
    }

    pub(super) const fn of_quiet(quiet: Vec<i64>) -> Self {
        Self::Quiet { left: quiet }
    }

    pub(super) fn look(&mut self, watchers: &mut Watchers) -> Found {
        match self {
            Self::All {
                left,
                floor,
                attempts,
            } => {
                for _ in 0..LOOKS_MAX {
                    let Some(id) = left.pop() else {
                        return floor.map_or(Found::Nothing, Found::All);
                    };
                    let Some(revision) = watchers.progress(id) else {
                        *attempts += 1;
                        *floor = None;
                        *left = watchers.ids();
                        let is_over = *attempts > ATTEMPTS_MAX;
                        return if is_over { Found::Nothing } else { Found::Busy };
                    };
                    *floor = Some(floor.map_or(revision, |floor| floor.min(revision)));
                }
                Found::More
            }
            Self::Quiet { left } => {
                for _ in 0..LOOKS_MAX.min(left.len()) {
                    let id = left.pop();
                    if let Some((id, revision)) = id.zip(id.and_then(|id| watchers.progress(id))) {
                        return Found::One(id, revision);
                    }
                }
                if left.is_empty() {
                    Found::Nothing
                } else {
                    Found::More
                }
            }
        }
    }
}
