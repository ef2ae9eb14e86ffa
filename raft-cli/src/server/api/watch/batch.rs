//! What one item of a watcher becomes on the way: messages that are not too large for those who
//! read them, cut between revisions, and within one only for a client that asked for it. They are
//! made one at a time, so that no more than one is in hand. It does not know who reads.

use raft_kv::watch::{Events, fragments};
use raft_kv::{Event, Revision};

use super::watchers::Wishes;

/// Events that are being sent.
pub(super) struct Batch {
    pub(super) id: i64,
    pub(super) wishes: Wishes,
    /// With all of them, all up to here is delivered.
    revision: Revision,
    events: Events,
    sent: usize,
}

/// A part of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) events: &'a [Event],
    /// With it, all up to here is delivered; or will be, with the fragments that follow.
    pub(super) revision: Revision,
    /// More of the same revision follows.
    pub(super) is_fragment: bool,
}

impl Batch {
    pub(super) fn new(id: i64, wishes: Wishes, revision: Revision, events: Events) -> Self {
        Self {
            id,
            wishes,
            revision,
            events,
            sent: 0,
        }
    }

    /// The next part of about so many bytes at most, unless a revision is larger and may not be
    /// cut, or an event is.
    pub(super) fn next(&mut self, bytes_max: usize) -> Option<Part<'_>> {
        let rest = &self.events[self.sent..];
        let fitting = fragments(rest, bytes_max).next()?.len();
        let (count, is_fragment) = if fitting == rest.len() {
            (fitting, false)
        } else {
            // Where the revision begins that does not fit wholly, and where it ends.
            let torn = rest[fitting].revision();
            let begin = rest.partition_point(|event| event.revision() < torn);
            let end = rest.partition_point(|event| event.revision() <= torn);
            match (begin, self.wishes.fragment) {
                (0, true) => (fitting, fitting < end),
                (0, false) => (end, false),
                (begin, _) => (begin, false),
            }
        };
        let part = &rest[..count];
        self.sent += count;
        let is_last = count == rest.len();
        let revision = match part.last() {
            Some(last) if !is_last => last.revision(),
            Some(_) | None => self.revision,
        };
        Some(Part {
            events: part,
            revision,
            is_fragment,
        })
    }
}

#[cfg(test)]
mod tests {
    use raft_kv::{EventKind, KeyValue};

    use super::*;

    /// An event of a value as long as a quarter of what fits.
    fn event(revision: u64) -> Event {
        let kv = KeyValue {
            value: vec![0; 1000].into(),
            mod_revision: Revision(revision),
            ..KeyValue::default()
        };
        Event {
            kind: EventKind::Put,
            kv,
            prev: None,
        }
    }

    #[test]
    fn cuts_between_revisions_and_within_one_only_if_asked() {
        // How many events each part has, its revision, and whether it is a fragment.
        type Parts = &'static [(usize, u64, bool)];
        let cases: [(&[u64], bool, Parts); 8] = [
            (&[], false, &[]),
            (&[2, 3], false, &[(2, 9, false)]),
            (&[2, 3, 4, 5, 6], false, &[(4, 5, false), (1, 9, false)]),
            (
                &[2, 3, 3, 3, 3, 4],
                false,
                &[(1, 2, false), (4, 3, false), (1, 9, false)],
            ),
            (&[2, 3, 3, 3, 3, 3], false, &[(1, 2, false), (5, 9, false)]),
            (
                &[2, 3, 3, 3, 3, 3],
                true,
                &[(1, 2, false), (4, 3, true), (1, 9, false)],
            ),
            (&[3, 3, 3, 3, 3, 4], true, &[(4, 3, true), (2, 9, false)]),
            (&[3; 9], true, &[(4, 3, true), (4, 3, true), (1, 9, false)]),
        ];
        for (revisions, fragment, expected) in cases {
            let wishes = Wishes {
                fragment,
                ..Wishes::default()
            };
            let events: Vec<_> = revisions.iter().copied().map(event).collect();
            let mut batch = Batch::new(1, wishes, Revision(9), events.into());
            let mut parts = Vec::new();
            while let Some(part) = batch.next(4 * 1300) {
                parts.push((part.events.len(), part.revision.0, part.is_fragment));
            }
            assert_eq!(parts, expected, "{revisions:?}, fragment: {fragment}");
        }
    }
}
