//! What a leader sends to one follower, and when (Raft §5.3, §7).
//!
//! Called once a batch of events, so that everything proposed meanwhile travels in one message.
//! This file does not know what is committed or why.

use std::sync::Arc;

use super::progress::{Progress, State};
use super::server::Server;
use crate::entries::Entries;
use crate::event::{Fetch, Observation, Output, Reader};
use crate::message::{AppendEntries, InstallSnapshot, Message};
use crate::types::{Index, NodeId, Position, Round, Time};

/// One follower, and all that is needed to send to it.
pub(super) struct Stream<'a> {
    pub(super) server: &'a mut Server,
    pub(super) id: NodeId,
    pub(super) progress: &'a mut Progress,
    pub(super) round: Round,
    pub(super) now: Time,
}

impl Stream<'_> {
    /// Sends all that the window lets through, and a heartbeat if one is due or a round is to be
    /// confirmed. Any message serves as both.
    pub(super) fn flush(mut self, out: &mut Output) {
        while self.may_send_entries() && self.send_next(out) {}
        if self.heartbeat_due() || self.progress.sent_round < self.round {
            self.send_bare(out);
        }
    }

    fn heartbeat_due(&self) -> bool {
        self.now
            >= self
                .progress
                .sent
                .plus(self.server.config.heartbeat_interval)
    }

    fn may_send_entries(&self) -> bool {
        let something = self.progress.next <= self.server.log.last_index();
        match &self.progress.state {
            State::Probe { asked: None } => true,
            State::Replicate(window) => something && !window.is_full(&self.server.config),
            State::Probe { asked: Some(_) } | State::Snapshot(_) => false,
        }
    }

    /// Sends the next message with entries. Returns whether another may follow.
    fn send_next(&mut self, out: &mut Output) -> bool {
        let from = self.progress.next;
        let Some(prev) = self.prev() else {
            self.offer_snapshot(out);
            return false;
        };
        let last = self.server.log.last_index();
        if from > last {
            self.send_entries(prev, Entries::default(), out);
            return false;
        }
        let bytes_max = self.server.config.append_bytes_max;
        let Some(entries) = self.server.log.slice(from, last, bytes_max) else {
            self.fetch(from, last, out);
            return false;
        };
        self.send_entries(prev, entries, out);
        true
    }

    /// The position before the next entry, if the log reaches back that far.
    fn prev(&self) -> Option<Position> {
        let index = self.progress.next.prev();
        self.server
            .log
            .term(index)
            .map(|term| Position::new(term, index))
    }

    /// Has entries read back that are not in memory any more.
    fn fetch(&mut self, from: Index, to: Index, out: &mut Output) {
        if self.progress.fetching != Some(from) {
            self.progress.fetching = Some(from);
            let bytes_max = self.server.config.append_bytes_max;
            out.fetch.push(Fetch {
                reader: Reader::Follower(self.id),
                from,
                to,
                bytes_max,
            });
        }
    }

    /// Entries were read back. They are sent if they are still the next ones.
    pub(super) fn fetched(mut self, entries: Entries, out: &mut Output) {
        self.progress.fetching = None;
        let next = entries
            .first()
            .is_some_and(|entry| entry.index == self.progress.next);
        if next
            && self.may_send_entries()
            && self.server.holds(&entries)
            && let Some(prev) = self.prev()
        {
            self.send_entries(prev, entries, out);
        }
    }

    fn send_entries(&mut self, prev: Position, entries: Entries, out: &mut Output) {
        let last = entries.last().map(|entry| entry.index);
        match &mut self.progress.state {
            State::Probe { asked } => *asked = Some(last.unwrap_or(prev.index)),
            State::Replicate(window) => {
                if let Some(last) = last {
                    window.sent(last, entries.weight());
                    self.progress.next = last.next();
                }
            }
            State::Snapshot(_) => {}
        }
        let commit = self.server.commit;
        let append = AppendEntries {
            prev,
            commit,
            round: self.round,
            entries,
        };
        self.send(Message::AppendEntries(append), out);
    }

    /// A message without entries: a heartbeat, which asks again whether the logs agree.
    fn send_bare(&mut self, out: &mut Output) {
        if let State::Snapshot(offer) = &self.progress.state {
            let snapshot = Arc::clone(offer);
            let offer = InstallSnapshot {
                snapshot,
                round: self.round,
            };
            self.send(Message::InstallSnapshot(offer), out);
        } else if let Some(prev) = self.prev() {
            let commit = self.server.commit;
            let append = AppendEntries {
                prev,
                commit,
                round: self.round,
                entries: Entries::default(),
            };
            self.send(Message::AppendEntries(append), out);
        } else {
            self.offer_snapshot(out);
        }
    }

    fn offer_snapshot(&mut self, out: &mut Output) {
        self.progress.offer(Arc::clone(&self.server.snapshot));
        observe(self.id, self.progress, out);
        self.send_bare(out);
    }

    fn send(&mut self, message: Message, out: &mut Output) {
        self.progress.sent = self.now;
        self.progress.sent_round = self.round;
        self.server.send(self.id, message, out);
    }
}

pub(super) fn observe(peer: NodeId, progress: &Progress, out: &mut Output) {
    let (state, matched) = (progress.name(), progress.matched);
    out.observations.push(Observation::Progress {
        peer,
        state,
        matched,
    });
}
