//! One follower as its leader sees it (Raft §5.3, §7).
//!
//! ```text
//!            matched                      conflict
//!   Probe ------------> Replicate ------------------> Probe
//!     |                     |
//!     +---- log too short --+----> Snapshot -- matched --> Replicate
//! ```
//!
//! Each follower has its own windows and timers, so a slow one delays nobody. This file does not
//! send anything; `replication` does.

use std::collections::VecDeque;
use std::sync::Arc;

use super::invariants::ensure;
use crate::config::Config;
use crate::entry::SnapshotMeta;
use crate::event::ProgressName;
use crate::types::{Incarnation, Index, Round, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Progress {
    /// The follower's log equals the leader's, durably, up to here. Below `next`.
    pub(super) matched: Index,
    /// The next entry to send. In `Probe` a guess, in `Replicate` right if nothing gets lost.
    pub(super) next: Index,
    pub(super) state: State,
    /// The latest confirmation round that the follower has answered.
    pub(super) acked_round: Round,
    /// The latest round that was sent to it.
    pub(super) sent_round: Round,
    /// When it was last heard from; at first, when the leader came to know it.
    pub(super) heard: Time,
    /// When something was last sent to it; any message stands for a heartbeat.
    pub(super) sent: Time,
    /// In which life of its storage it answered.
    pub(super) incarnation: Option<Incarnation>,
    /// Entries from here on are being read back for it.
    pub(super) fetching: Option<Index>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum State {
    /// Looking for the place where the logs agree, one question at a time.
    Probe {
        /// The question that is out went with entries up to here. It is not repeated, only
        /// heartbeats are, which ask the same without the weight; so a dead follower costs little.
        asked: Option<Index>,
    },
    /// Streaming entries ahead of their acknowledgement.
    Replicate(Window),
    /// The follower fetches this snapshot, which is kept for it.
    Snapshot(Arc<SnapshotMeta>),
}

/// The messages with entries that are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Window {
    /// The last index and the weight of each, ascending.
    messages: VecDeque<(Index, u64)>,
    bytes: u64,
}

impl Window {
    pub(super) fn is_full(&self, config: &Config) -> bool {
        self.messages.len() >= config.inflight_messages_max
            || self.bytes >= config.inflight_bytes_max
    }

    pub(super) fn sent(&mut self, last: Index, weight: u64) {
        self.messages.push_back((last, weight));
        self.bytes += weight;
    }

    /// The window never holds more than one message beyond its limits.
    pub(super) fn check(&self, config: &Config) -> Result<(), String> {
        let largest = self
            .messages
            .iter()
            .map(|(_, weight)| *weight)
            .max()
            .unwrap_or(0);
        ensure(
            self.messages.len() <= config.inflight_messages_max,
            || "too many messages",
        )?;
        ensure(
            self.bytes <= config.inflight_bytes_max + largest,
            || "too many bytes under way",
        )
    }

    fn acknowledged(&mut self, matched: Index) {
        while let Some((last, weight)) = self.messages.front()
            && *last <= matched
        {
            self.bytes -= weight;
            self.messages.pop_front();
        }
    }
}

impl Progress {
    /// A follower of which nothing is known but that the leader's log ends before `next`.
    pub(super) const fn new(next: Index, now: Time) -> Self {
        Self {
            matched: Index(0),
            next,
            state: State::Probe { asked: None },
            acked_round: Round(0),
            sent_round: Round(0),
            heard: now,
            sent: Time(0),
            incarnation: None,
            fetching: None,
        }
    }

    pub(super) const fn name(&self) -> ProgressName {
        match self.state {
            State::Probe { .. } => ProgressName::Probe,
            State::Replicate(_) => ProgressName::Replicate,
            State::Snapshot(_) => ProgressName::Snapshot,
        }
    }

    /// The follower's log equals the leader's up to `matched`, durably. Returns whether that is
    /// further than was known.
    pub(super) fn matched(&mut self, matched: Index) -> bool {
        let advanced = matched > self.matched;
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        match &mut self.state {
            State::Probe { asked } => {
                // What went along with the question is under way.
                self.next = self.next.max(asked.map_or(Index(0), Index::next));
                self.state = State::Replicate(Window::default());
            }
            State::Replicate(window) => window.acknowledged(matched),
            State::Snapshot(offer) if matched >= offer.last.index => {
                self.state = State::Replicate(Window::default());
            }
            State::Snapshot(_) => {}
        }
        advanced
    }

    /// The follower refused entries after `prev`; `agree` is where the logs may agree at the
    /// latest. Returns whether the answer is about what was asked last.
    pub(super) fn conflicted(&mut self, prev: Index, agree: Index) -> bool {
        let to_last_question = prev == self.next.prev();
        let credible = match self.state {
            State::Probe { .. } => to_last_question,
            // Messages under way conflict one after the other; those below what is known to match
            // were overtaken.
            State::Replicate(_) => to_last_question || prev > self.matched,
            State::Snapshot(_) => false,
        };
        if credible {
            // At or below what it had acknowledged: it lost its log. It is believed, so that it can
            // be caught up again; what is committed stays committed.
            if prev <= self.matched {
                self.matched = self.matched.min(agree);
            }
            self.next = agree.max(self.matched).next();
            self.state = State::Probe { asked: None };
            self.fetching = None;
        }
        credible
    }

    pub(super) fn offer(&mut self, snapshot: Arc<SnapshotMeta>) {
        self.fetching = None;
        self.state = State::Snapshot(snapshot);
    }

    /// The last entry of a snapshot that it fetches.
    pub(super) fn fetches_snapshot(&self) -> Option<Index> {
        match &self.state {
            State::Snapshot(offer) => Some(offer.last.index),
            State::Probe { .. } | State::Replicate(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(matched: u64, next: u64) -> Progress {
        let mut progress = Progress::new(Index(next), Time(0));
        progress.matched(Index(matched));
        progress
    }

    #[test]
    fn an_answer_opens_the_stream_and_a_conflict_closes_it() {
        let mut progress = Progress::new(Index(8), Time(0));
        assert_eq!(progress.name(), ProgressName::Probe);
        assert!(progress.conflicted(Index(7), Index(3)));
        assert_eq!(progress.next, Index(4));
        assert!(progress.matched(Index(3)));
        assert_eq!(progress.name(), ProgressName::Replicate);
        assert!(progress.conflicted(Index(6), Index(3)));
        assert_eq!(
            (progress.name(), progress.next),
            (ProgressName::Probe, Index(4))
        );
    }

    #[test]
    fn an_overtaken_conflict_is_ignored() {
        let mut progress = replicating(5, 9);
        assert!(!progress.conflicted(Index(4), Index(2)));
        assert_eq!((progress.matched, progress.next), (Index(5), Index(9)));
        let mut probing = Progress::new(Index(8), Time(0));
        assert!(
            !probing.conflicted(Index(9), Index(2)),
            "not what was asked"
        );
    }

    #[test]
    fn a_follower_that_lost_its_log_is_believed() {
        let mut progress = replicating(5, 6);
        assert!(progress.conflicted(Index(5), Index(2)));
        assert_eq!((progress.matched, progress.next), (Index(2), Index(3)));
    }

    #[test]
    fn the_window_counts_messages_and_bytes() {
        let config = Config {
            inflight_messages_max: 2,
            inflight_bytes_max: 100,
            ..Config::default()
        };
        let mut window = Window::default();
        window.sent(Index(1), 10);
        assert!(!window.is_full(&config));
        window.sent(Index(2), 10);
        assert!(window.is_full(&config), "two messages");
        window.acknowledged(Index(1));
        assert!(!window.is_full(&config));
        window.sent(Index(3), 95);
        window.acknowledged(Index(2));
        assert!(!window.is_full(&config));
        window.sent(Index(4), 5);
        assert!(window.is_full(&config), "a hundred bytes");
    }
}
