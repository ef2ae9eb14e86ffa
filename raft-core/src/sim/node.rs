//! One simulated server: the shell around a [`Raft`], with its disk, its clock and its lanes.
//!
//! A node keeps what a real shell keeps: an inbox, what its disk was told to write, what waits to
//! be applied, and who waits for an answer. A crash takes all of it but the disk and the clock.
//! This file does not know the other nodes, the network, or when anything happens.

mod clock;

pub(super) use clock::Clock;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, Image};
use crate::Raft;
use crate::entry::SnapshotMeta;
use crate::event::{Apply, Event};
use crate::port::StateMachine;
use crate::types::{Index, NodeId, Position, Ticket};

/// So many events wait at most at a node; what comes on top of it is lost, as if on the network.
const INBOX_MAX: usize = 4096;

/// A server, running or not.
pub(super) struct Node {
    pub(super) id: NodeId,
    /// `None` while the process does not run.
    pub(super) raft: Option<Raft>,
    /// Counts the lives of the process: what was begun in an earlier one never ends.
    pub(super) epoch: u32,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    pub(super) standing: Standing,
    /// The process stands still until then.
    pub(super) frozen_until: Option<u64>,
    /// The disk answers no sync before then.
    pub(super) stalled_until: u64,
    /// The earliest tick that is scheduled; any other that comes is out of date.
    pub(super) tick_at: Option<u64>,
    pub(super) doom: Doom,
    pub(super) inbox: Inbox,
    pub(super) machine: Machine,
    pub(super) waiting: Waiting,
    /// The snapshot that is being taken.
    pub(super) taking: Option<Arc<Image>>,
    pub(super) transfer: Option<Transfer>,
    /// Which snapshot was partly fetched, and how many chunks of it lie on the disk.
    pub(super) partial: Option<(Position, u64)>,
}

/// Whether a node's disk holds all that the node ever acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Sound,
    /// It was wiped; it is no use before the configuration names its new life.
    Wiped,
    /// It lost its tail; it does not vote before it has caught up.
    TailLost,
}

/// A crash that waits for its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doom {
    /// None.
    Spared,
    /// When the next write was issued, before it is durable.
    InWrite {
        /// For how long the process is gone.
        down: u64,
    },
    /// In the next output that has so many effects, after this many.
    InEffects {
        /// How many are still carried out.
        left: u64,
        /// For how long the process is gone.
        down: u64,
    },
}

/// Events that arrived and were not yet stepped.
#[derive(Default)]
pub(super) struct Inbox {
    events: VecDeque<Event>,
    /// The node is going to look at it; no need to wake it.
    pub(super) awaited: bool,
}

impl Inbox {
    pub(super) fn push(&mut self, event: Event) {
        // Only messages and requests may be lost; what the node itself asked for always comes.
        let lossy = matches!(
            event,
            Event::Received(_) | Event::Propose { .. } | Event::Read { .. }
        );
        if !lossy || self.events.len() < INBOX_MAX {
            self.events.push_back(event);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.awaited = false;
    }
}

/// The state machine with the lane that leads to it.
#[derive(Default)]
pub(super) struct Machine {
    /// `None` while the process does not run.
    pub(super) service: Option<Box<dyn StateMachine>>,
    pub(super) queue: VecDeque<Apply>,
    /// Something is being applied.
    pub(super) busy: bool,
    pub(super) applied: Index,
    /// The machine's own durable state, if it has a disk of its own. Survives crashes.
    pub(super) own: Option<Arc<Image>>,
}

/// Who waits at this node for an answer.
#[derive(Default)]
pub(super) struct Waiting {
    /// Commands by their position in the log, ascending in index.
    pub(super) commands: VecDeque<(Position, Ticket)>,
    /// Reads that were handed to the core.
    pub(super) asked: Vec<(Ticket, Bytes)>,
    /// Reads that wait for the machine, with their barrier.
    pub(super) ready: Vec<(Index, Ticket, Bytes)>,
}

/// A snapshot on its way here.
pub(super) struct Transfer {
    pub(super) meta: Arc<SnapshotMeta>,
    /// The place of the node that it comes from.
    pub(super) from: usize,
    /// The next chunk.
    pub(super) next: u64,
    /// How many chunks were lost in a row.
    pub(super) failures: u64,
    /// Tells this transfer from an earlier one.
    pub(super) serial: u64,
}

impl Node {
    pub(super) fn new(id: NodeId, disk: Disk, clock: Clock) -> Self {
        Self {
            id,
            raft: None,
            epoch: 0,
            disk,
            clock,
            standing: Standing::Sound,
            frozen_until: None,
            stalled_until: 0,
            tick_at: None,
            doom: Doom::Spared,
            inbox: Inbox::default(),
            machine: Machine::default(),
            waiting: Waiting::default(),
            taking: None,
            transfer: None,
            partial: None,
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.raft.is_some()
    }

    /// The process is gone. The disk loses its part by itself.
    pub(super) fn die(&mut self) {
        self.raft = None;
        self.epoch += 1;
        self.frozen_until = None;
        self.tick_at = None;
        self.doom = Doom::Spared;
        self.inbox.clear();
        self.machine = Machine {
            own: self.machine.own.take(),
            ..Machine::default()
        };
        self.waiting = Waiting::default();
        self.taking = None;
        self.transfer = None;
    }

    /// The process runs, and is not standing still.
    pub(super) const fn is_awake(&self) -> bool {
        self.raft.is_some() && self.frozen_until.is_none()
    }
}

impl Waiting {
    /// A command stands in the log here. Those that stood at its place or above it stand there no
    /// more; their tickets are handed back.
    pub(super) fn accepted(&mut self, position: Position, ticket: Ticket) -> Vec<Ticket> {
        let mut displaced = Vec::new();
        while let Some((last, ticket)) = self.commands.back()
            && last.index >= position.index
        {
            displaced.push(*ticket);
            self.commands.pop_back();
        }
        self.commands.push_back((position, ticket));
        displaced
    }

    /// The next command that waits at or below this index, and whether it stands exactly there.
    pub(super) fn take_command(&mut self, up_to: Index) -> Option<(Position, Ticket)> {
        let (position, _) = self.commands.front()?;
        if position.index <= up_to {
            self.commands.pop_front()
        } else {
            None
        }
    }

    /// A read need not be asked about any more; its query.
    pub(super) fn take_asked(&mut self, ticket: Ticket) -> Option<Bytes> {
        let place = self.asked.iter().position(|(known, _)| *known == ticket)?;
        Some(self.asked.swap_remove(place).1)
    }

    /// A read that may be answered now.
    pub(super) fn take_ready(&mut self, applied: Index) -> Option<(Ticket, Bytes)> {
        let place = self
            .ready
            .iter()
            .position(|(index, _, _)| *index <= applied)?;
        let (_, ticket, query) = self.ready.swap_remove(place);
        Some((ticket, query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Term;

    fn at(term: u64, index: u64) -> Position {
        Position::new(Term(term), Index(index))
    }

    #[test]
    fn a_command_at_the_same_place_displaces_the_older_ones() {
        let mut waiting = Waiting::default();
        assert!(waiting.accepted(at(1, 4), Ticket(1)).is_empty());
        assert!(waiting.accepted(at(1, 5), Ticket(2)).is_empty());
        assert!(waiting.accepted(at(1, 6), Ticket(3)).is_empty());
        assert_eq!(
            waiting.accepted(at(3, 5), Ticket(4)),
            [Ticket(3), Ticket(2)]
        );
        assert_eq!(waiting.take_command(Index(3)), None);
        assert_eq!(waiting.take_command(Index(5)), Some((at(1, 4), Ticket(1))));
        assert_eq!(waiting.take_command(Index(5)), Some((at(3, 5), Ticket(4))));
        assert_eq!(waiting.take_command(Index(5)), None);
    }

    #[test]
    fn a_read_is_ready_when_its_barrier_is_applied() {
        let mut waiting = Waiting::default();
        waiting.asked.push((Ticket(1), Bytes::from_static(b"q")));
        let query = waiting.take_asked(Ticket(1)).expect("asked");
        assert_eq!(waiting.take_asked(Ticket(1)), None);
        waiting.ready.push((Index(5), Ticket(1), query));
        assert_eq!(waiting.take_ready(Index(4)), None);
        assert!(waiting.take_ready(Index(5)).is_some());
    }
}
