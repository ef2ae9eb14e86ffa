//! Watchers of a store, and what the reference says that each must be told next.
//!
//! A watcher sleeps when it pleases: it is asked now and then, by a poll that never waits.

use raft_kv::watch::{CancelReason, WatchItem, WatchRequest, Watcher};
use raft_kv::{Event, Revision};
use raft_tests::kv::{Reference, Tally};

/// What watchers can meet with: each must be met by some.
pub(crate) const OF_WATCHES: &[&str] = &[
    "watch begun in the future",
    "watch begun in the past",
    "watch begun now",
    "watch begun too far in the past",
    "watch refused: an empty range",
    "watch told nothing",
    "watch told of a deletion",
    "watch told of a put",
    "watch told of some revisions at once",
    "watch told of what was before",
    "watch overtaken by a compaction",
];

/// A watcher, and where it stands.
pub(crate) struct Watch {
    request: WatchRequest,
    watcher: Watcher,
    /// All before this revision was told.
    next: Revision,
    /// Whether it began before the compaction, so that it can only end.
    is_doomed: bool,
}

impl Watch {
    /// A watcher of a store that stands at revision `now`, and at this compaction.
    pub(crate) fn new(
        request: WatchRequest,
        watcher: Watcher,
        now: Revision,
        compacted: Revision,
        tally: &mut Tally,
    ) -> Self {
        let next = match request.start {
            Revision::NONE => now.next(),
            start => start,
        };
        tally.see(match request.start {
            Revision::NONE => "watch begun now",
            start if start > now => "watch begun in the future",
            start if start < compacted => "watch begun too far in the past",
            _ => "watch begun in the past",
        });
        Self {
            request,
            watcher,
            next,
            is_doomed: next < compacted,
        }
    }

    /// What to ask for so that nothing is missed when the watcher is lost.
    pub(crate) fn resumed(&self) -> WatchRequest {
        WatchRequest {
            start: self.next,
            ..self.request.clone()
        }
    }

    /// Asks it for all that there is, in a store that has come to `now` and has compacted up to
    /// `compacted`. Whether it goes on.
    pub(crate) fn poll(
        &mut self,
        reference: &Reference,
        now: Revision,
        compacted: Revision,
        tally: &mut Tally,
    ) -> Result<bool, String> {
        let mut expected = told(reference, &self.request, self.next, now);
        expected.reverse();
        if expected.is_empty() {
            tally.see("watch told nothing");
        }
        while let Some(item) = self.watcher.poll_now() {
            match item {
                WatchItem::Events { revision, events } => {
                    if self.is_doomed {
                        return Err(format!("{self}: began before {compacted}, yet goes on"));
                    }
                    self.told(revision, &events, &mut expected, compacted, tally)?;
                }
                WatchItem::Cancelled(CancelReason::Compacted { compacted: at }) => {
                    // What it began at may have been compacted before, and more since.
                    if at <= self.next || at > compacted {
                        return Err(format!("{self}: cancelled at {at}, not up to {compacted}"));
                    }
                    if !self.is_doomed {
                        tally.see("watch overtaken by a compaction");
                    }
                    return Ok(false);
                }
                WatchItem::Cancelled(reason) => return Err(format!("{self}: {reason}")),
            }
        }
        if let Some(event) = expected.last() {
            return Err(format!("{self}: is not told {event:?}"));
        }
        if self.is_doomed {
            return Err(format!("{self}: began before {compacted}, yet waits"));
        }
        self.next = self.next.max(now.next());
        Ok(true)
    }

    /// It is told these, which are all up to a revision.
    fn told(
        &mut self,
        revision: Revision,
        events: &[Event],
        expected: &mut Vec<Event>,
        compacted: Revision,
        tally: &mut Tally,
    ) -> Result<(), String> {
        if events.is_empty() {
            return Err(format!("{self}: told of no event, up to {revision}"));
        }
        for event in events {
            let wanted = expected.pop();
            // What was before the compaction may be there, or not; and so if it is not wanted.
            let may_lack = !self.request.wants_prev || event.revision().0 <= compacted.0;
            let bare = |event: &Event| Event {
                prev: None,
                ..event.clone()
            };
            let is_right = wanted.as_ref().is_some_and(|wanted| {
                wanted == event || may_lack && event.prev.is_none() && bare(wanted) == *event
            });
            if !is_right {
                return Err(format!("{self}: told {event:?}, not {wanted:?}"));
            }
            tally.see(match event.kind {
                raft_kv::EventKind::Put => "watch told of a put",
                raft_kv::EventKind::Delete => "watch told of a deletion",
            });
            if event.prev.is_some() {
                tally.see("watch told of what was before");
            }
        }
        let is_split = expected
            .last()
            .is_some_and(|next| next.revision() <= revision);
        if is_split || events.iter().any(|event| event.revision() > revision) {
            return Err(format!(
                "{self}: told that up to {revision} this is all: {events:?}"
            ));
        }
        if events.first().map(Event::revision) != events.last().map(Event::revision) {
            tally.see("watch told of some revisions at once");
        }
        self.next = revision.next();
        Ok(())
    }
}

impl std::fmt::Display for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "watcher at {} of {:?}", self.next, self.request)
    }
}

/// What happened from one revision to another, as far as it was asked for.
fn told(reference: &Reference, request: &WatchRequest, from: Revision, to: Revision) -> Vec<Event> {
    let all = reference.events.iter();
    let told = all.filter(|event| {
        (from..=to).contains(&event.revision())
            && request.keys.contains(&event.kv.key)
            && request.wanted.includes(event.kind)
    });
    told.cloned().collect()
}
