//! One server of a hand-made scenario: the core, and the shell around it with lanes that can stall.
//!
//! It knows no other server; what it sends is handed back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use raft_core::event::{Apply, Fetch, Observation, SnapshotOrder};
use raft_core::{
    Config, Entry, Envelope, Event, Index, NodeId, Output, Raft, Recovered, Reply, SnapshotMeta,
    Ticket, Time,
};

use super::disk::{Disk, Machine, Saved};
use super::tape::Tape;

/// What a shell does for its core; each can be made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Syncing writes.
    Disk,
    /// Applying commands.
    Apply,
    /// Reading entries back.
    Fetch,
    /// Bringing snapshots here.
    Snapshot,
}

pub(super) struct Node {
    pub(super) id: NodeId,
    config: Config,
    starts: u64,
    /// `None` while it is down.
    pub(super) raft: Option<Raft>,
    pub(super) disk: Disk,
    pub(super) machine: Machine,
    pub(super) stalled: BTreeSet<Lane>,
    applies: VecDeque<Apply>,
    fetches: VecDeque<Fetch>,
    /// Snapshots to be brought here, and from whom.
    pub(super) wanted: VecDeque<(NodeId, Arc<SnapshotMeta>)>,
    pub(super) cancelled: Vec<Index>,
    pub(super) replies: BTreeMap<Ticket, Reply>,
    pub(super) observations: Vec<Observation>,
    /// How many writes were asked for.
    pub(super) writes: usize,
    /// If it is recorded.
    pub(super) tape: Option<Tape>,
}

impl Node {
    pub(super) fn new(id: u64, config: Config, disk: Disk) -> Self {
        Self {
            id: NodeId(id),
            config,
            starts: 0,
            raft: None,
            disk,
            machine: Machine::default(),
            stalled: BTreeSet::new(),
            applies: VecDeque::new(),
            fetches: VecDeque::new(),
            wanted: VecDeque::new(),
            cancelled: Vec::new(),
            replies: BTreeMap::new(),
            observations: Vec::new(),
            writes: 0,
            tape: None,
        }
    }

    /// Starts from what is on the disk, as `change` would have it.
    pub(super) fn start(&mut self, now: Time, change: impl FnOnce(&mut Recovered)) {
        self.starts += 1;
        let mut recovered = self.disk.recovered();
        change(&mut recovered);
        let config = Config {
            seed: self.id.0 * 1000 + self.starts,
            ..self.config.clone()
        };
        self.machine = self.disk.newest().machine.clone();
        let mut out = Output::default();
        let mut raft =
            Raft::new(self.id, config, recovered, now, &mut out).expect("the settings work");
        raft.flush(now, &mut out);
        if let Some(tape) = &mut self.tape {
            tape.begin(now, &raft);
        }
        self.raft = Some(raft);
        let messages = self.carry_out(out);
        assert!(messages.is_empty(), "nothing is sent before the first tick");
    }

    /// The power fails: what was not synced is gone.
    pub(super) fn stop(&mut self) {
        self.raft = None;
        self.disk.pending.clear();
        self.applies.clear();
        self.fetches.clear();
        self.wanted.clear();
    }

    /// One batch of events; returns what is sent.
    pub(super) fn step(&mut self, now: Time, events: Vec<Event>) -> Vec<Envelope> {
        let Some(raft) = &mut self.raft else {
            return Vec::new();
        };
        let mut out = Output::default();
        for event in events {
            if let Some(tape) = &mut self.tape {
                tape.event(now, &event);
            }
            raft.step(now, event, &mut out);
        }
        raft.flush(now, &mut out);
        if let Some(tape) = &mut self.tape {
            tape.flushed(now, &out, raft);
        }
        if let Err(broken) = raft.check() {
            panic!("server {}: {broken}", self.id);
        }
        self.carry_out(out)
    }

    fn carry_out(&mut self, out: Output) -> Vec<Envelope> {
        self.writes += usize::from(out.write.is_some());
        self.disk.pending.extend(out.write);
        self.applies.extend(out.apply);
        self.fetches.extend(out.fetch);
        for order in out.snapshot {
            match order {
                SnapshotOrder::Fetch { from, snapshot } => self.wanted.push_back((from, snapshot)),
                SnapshotOrder::Cancel(last) => {
                    self.wanted.retain(|(_, meta)| meta.last.index != last);
                    self.cancelled.push(last);
                }
            }
        }
        if let Some(up_to) = out.purge {
            self.disk.purge(up_to);
        }
        for reply in out.replies {
            let before = self.replies.insert(ticket_of(&reply), reply);
            assert_eq!(before, None, "a request is answered once");
        }
        self.observations.extend(out.observations);
        out.messages
    }

    fn runs(&self, lane: Lane) -> bool {
        self.raft.is_some() && !self.stalled.contains(&lane)
    }

    /// What the shell has to tell next; `applied` are the entries that it applied for it.
    pub(super) fn next_event(&mut self, applied: &mut Vec<Entry>) -> Option<Event> {
        if self.runs(Lane::Disk)
            && let Some(id) = self.disk.sync_one()
        {
            return Some(Event::Persisted(id));
        }
        if self.runs(Lane::Apply)
            && let Some(apply) = self.applies.pop_front()
        {
            self.apply(apply, applied);
            return Some(Event::Applied(self.machine.applied));
        }
        if self.runs(Lane::Fetch)
            && let Some(fetch) = self.fetches.pop_front()
        {
            let entries = self.disk.read(fetch.from, fetch.to, fetch.bytes_max);
            return Some(Event::Fetched {
                reader: fetch.reader,
                entries: entries.into(),
            });
        }
        None
    }

    fn apply(&mut self, apply: Apply, applied: &mut Vec<Entry>) {
        match apply {
            Apply::Entries(entries) => {
                entries.iter().for_each(|entry| self.machine.apply(entry));
                applied.extend_from_slice(&entries);
            }
            Apply::Restore(meta) => {
                let same = |saved: &&Saved| saved.meta.last == meta.last;
                let saved = self.disk.snapshots.iter().find(same);
                self.machine = saved
                    .expect("restored only from what is here")
                    .machine
                    .clone();
            }
        }
    }
}

fn ticket_of(reply: &Reply) -> Ticket {
    match reply {
        Reply::Accepted { ticket, .. }
        | Reply::ReadReady { ticket, .. }
        | Reply::MembershipChanged { ticket, .. }
        | Reply::Transferred { ticket }
        | Reply::Refused { ticket, .. }
        | Reply::Unknown { ticket } => *ticket,
    }
}
