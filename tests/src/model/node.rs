//! One node of the model: the core itself, its disk, and a shell as prompt as a shell can be.
//!
//! What an input does to a node depends on nothing but the two, so it is computed once and kept.
//! This file deliberately does not know what other nodes do; what they have to know of a step is
//! told by [`Fact`].

use std::collections::VecDeque;
use std::sync::Arc;

use raft_core::event::{RoleName, Write};
use raft_core::{
    Config, Consistency, Envelope, Event, Index, MemberChange, Membership, Message, NodeId, Output,
    Position, Raft, Round, SnapshotMeta, Term, Ticket, Time,
};

use super::disk::Disk;
use super::laws::{Law, Mark, Marks};
use super::observe::{Seen, ticket_of_read};
use super::shadow::Shadow;

/// How long it is from one tick of a leader to the next. Whatever it is, only its ratio to the
/// other timeouts counts.
const HEARTBEAT_NANOS: u64 = 50;
/// Where the clock of every node stands whenever nothing happens. All timeouts that ever end are
/// this long or shorter, so what lies before the origin is past by any of them.
pub(super) const NOW: Time = Time(2 * HEARTBEAT_NANOS);

/// What holds for every node of a model.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) config: Config,
    /// Writes become durable one at a time, by an action of their own; otherwise at once.
    pub(super) slow_disk: bool,
    /// The state machine remembers what it has applied; otherwise it starts from its snapshot.
    pub(super) durable_machine: bool,
    /// A durable write may get lost.
    pub(super) loses_writes: bool,
    /// What operators wish, one after the other.
    pub(super) wishes: Vec<Vec<MemberChange>>,
}

impl Rules {
    /// Timeouts without a choice, so that no randomness is drawn, and as few as possible different
    /// ones, so that few situations differ by time alone.
    pub(super) fn config(append_bytes_max: u64) -> Config {
        let heartbeat_interval = std::time::Duration::from_nanos(HEARTBEAT_NANOS);
        let never = std::time::Duration::MAX;
        Config {
            election_timeout_min: 2 * heartbeat_interval,
            election_timeout_max: 2 * heartbeat_interval,
            heartbeat_interval,
            transfer_timeout: 2 * heartbeat_interval,
            membership_timeout: never,
            write_stall_max: never,
            catch_up_entries: 0,
            append_bytes_max,
            ..Config::default()
        }
    }
}

/// What can happen to a node.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Deliver(Envelope),
    /// The message is taken in; what follows from it is decided with the next input.
    Stage(Envelope),
    Persist,
    Timeout,
    /// Power cut and restart. A node that comes back later is one that does nothing until then.
    Crash,
    Propose(u8),
    Change(u8),
    Abort,
    Transfer(NodeId),
    Read(u8),
    /// Take a snapshot of all that is applied, and drop the log before it.
    Compact,
    SnapshotArrives,
    SnapshotFails,
    /// A crash after which the last durable write is gone, too.
    LoseWrite,
    /// The node comes back under its name with an empty disk.
    Wipe,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) raft: Raft,
    pub(super) disk: Disk,
    pub(super) log: Shadow,
    /// Issued, not durable.
    pub(super) pending: VecDeque<Write>,
    /// The snapshot that is being fetched.
    pub(super) receiving: Option<Arc<SnapshotMeta>>,
    /// What was taken in but not flushed has led to this so far.
    batch: Option<Box<Output>>,
    pub(super) applied: Index,
    /// The number of the latest question for a read barrier, in whatever life: a server begins each
    /// with a number that it never used, and how it finds one is not what is explored here.
    questions: Round,
}

/// What others have to know of a step, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A vote, or a candidacy, has left the node.
    Voted { term: Term, candidate: NodeId },
    /// It won an election.
    Elected { term: Term },
    /// Something left it that only the leader of the term sends.
    Leads { term: Term },
    /// Its commit index is not what it was.
    Committed,
    /// As a leader it committed all up to here, this configuration being in force.
    LeaderCommitted {
        entry: Position,
        membership: Arc<Membership>,
    },
    /// A read was answered with this barrier.
    ReadReady { ticket: u8, index: Index },
    /// A read won't be answered.
    ReadOver { ticket: u8 },
    /// Whoever asked it for something gets no answer.
    Restarted,
}

/// What an input does.
pub(super) struct Effect {
    pub(super) node: Node,
    pub(super) sent: Vec<Envelope>,
    pub(super) facts: Vec<Fact>,
    pub(super) marks: Marks,
    pub(super) broken: Option<(Law, String)>,
}

impl Node {
    /// A node that starts from its disk.
    pub(super) fn start(rules: &Rules, id: NodeId, disk: Disk, questions: Round) -> Effect {
        let mut batch = Output::default();
        let recovered = disk.recover();
        let applied = recovered.applied.max(disk.snapshot.last.index);
        let raft = Raft::new(id, rules.config.clone(), recovered, NOW, &mut batch)
            .expect("the settings of the model work");
        let node = Self {
            raft,
            log: Shadow::recovered(&disk),
            disk,
            pending: VecDeque::new(),
            receiving: None,
            batch: None,
            applied,
            questions,
        };
        let mut step = Step::new(rules, node);
        step.effect.facts.push(Fact::Restarted);
        step.batch = batch;
        step.flush();
        // All that a node believes to be committed when it starts is compared, too.
        step.effect.facts.push(Fact::Committed);
        step.end()
    }

    pub(super) fn id(&self) -> NodeId {
        self.raft.id()
    }

    pub(super) fn leads(&self) -> bool {
        self.raft.role() == RoleName::Leader
    }

    pub(super) const fn in_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// When time alone makes something happen.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.raft.deadline().filter(|at| *at < Time(u64::MAX))
    }

    pub(super) fn can_compact(&self) -> bool {
        self.applied > self.disk.snapshot.last.index
    }

    /// What `input` does to this node.
    pub(super) fn take(&self, rules: &Rules, input: Input) -> Effect {
        match input {
            Input::Crash => self.restart(rules, self.disk.clone()),
            Input::LoseWrite => {
                let mut disk = self.disk.clone();
                disk.lose_write();
                self.restart(rules, disk)
            }
            Input::Wipe => self.restart(rules, self.disk.replaced()),
            other => {
                let mut step = Step::new(rules, self.clone());
                step.take(other);
                step.end()
            }
        }
    }

    fn restart(&self, rules: &Rules, disk: Disk) -> Effect {
        let mut effect = Self::start(rules, self.id(), disk, self.questions);
        if !self.pending.is_empty() {
            effect.marks.add(Mark::WritesLost);
        }
        if self.raft.membership().is_joint() {
            effect.marks.add(Mark::CrashInJoint);
        }
        effect
    }
}

/// A step under way.
struct Step<'a> {
    rules: &'a Rules,
    now: Time,
    batch: Output,
    seen: Seen,
    before: Node,
    effect: Effect,
}

impl<'a> Step<'a> {
    fn new(rules: &'a Rules, mut node: Node) -> Self {
        let before = node.clone();
        let batch = node.batch.take().map(|batch| *batch).unwrap_or_default();
        Self {
            rules,
            now: NOW,
            batch,
            seen: Seen::of(&node),
            before,
            effect: Effect {
                node,
                sent: Vec::new(),
                facts: Vec::new(),
                marks: Marks::default(),
                broken: None,
            },
        }
    }

    fn take(&mut self, input: Input) {
        let staged = matches!(input, Input::Stage(_));
        if self.batch != Output::default() {
            self.effect.marks.add(Mark::Batched);
        }
        for event in self.events(input) {
            self.effect.node.raft.step(self.now, event, &mut self.batch);
        }
        if staged {
            self.effect.node.batch = Some(Box::new(std::mem::take(&mut self.batch)));
        } else {
            self.flush();
        }
    }

    /// What the input means to the core; what it means to the disk is done here.
    fn events(&mut self, input: Input) -> Vec<Event> {
        let node = &mut self.effect.node;
        let event = match input {
            Input::Deliver(envelope) | Input::Stage(envelope) => Event::Received(envelope),
            Input::Persist => return self.persist_oldest().into_iter().collect(),
            Input::Timeout => {
                self.now = node.deadline().map_or(NOW, |at| at.max(NOW));
                Event::Tick
            }
            Input::Propose(number) => Event::Propose {
                ticket: Ticket(0),
                command: vec![number].into(),
            },
            Input::Change(number) => Event::ChangeMembership {
                ticket: Ticket(u64::from(number)),
                based_on: None,
                changes: self.rules.wishes[usize::from(number)].clone(),
            },
            Input::Abort => Event::AbortMembershipChange,
            Input::Transfer(target) => Event::TransferLeadership {
                ticket: Ticket(0),
                target: Some(target),
            },
            Input::Read(number) => Event::Read {
                ticket: ticket_of_read(number),
                consistency: Consistency::Linearizable,
            },
            Input::Compact => {
                let Some(snapshot) = node.raft.snapshot_meta(node.applied).map(Arc::new) else {
                    self.breaks(
                        Law::Contract,
                        "it has applied what it does not know".to_owned(),
                    );
                    return Vec::new();
                };
                if !node.log.agrees_with(&snapshot) {
                    self.breaks(Law::Contract, format!("a snapshot of {snapshot:?}"));
                }
                self.effect.node.disk.snapshot = Arc::clone(&snapshot);
                // More than may be dropped is asked for.
                return vec![
                    Event::SnapshotTaken(snapshot),
                    Event::Compact(Index(u64::MAX)),
                ];
            }
            Input::SnapshotArrives => return self.receive_snapshot().into_iter().collect(),
            Input::SnapshotFails => {
                self.effect.marks.add(Mark::FetchFailed);
                let failed = self.effect.node.receiving.take();
                return failed
                    .map(|it| Event::SnapshotFailed(it.last.index))
                    .into_iter()
                    .collect();
            }
            // A restart is no step of the node that was.
            Input::Crash | Input::LoseWrite | Input::Wipe => return Vec::new(),
        };
        vec![event]
    }

    /// A fetched snapshot lies on the disk, verified, before the core hears of it.
    fn receive_snapshot(&mut self) -> Option<Event> {
        let node = &mut self.effect.node;
        let snapshot = node.receiving.take()?;
        if snapshot.last.index > node.disk.snapshot.last.index {
            node.disk.snapshot = Arc::clone(&snapshot);
        }
        Some(Event::SnapshotReceived(snapshot))
    }

    fn persist_oldest(&mut self) -> Option<Event> {
        let node = &mut self.effect.node;
        let write = node.pending.pop_front()?;
        let replaced = |later: &Write| {
            later.reset.is_some()
                || later.truncate.is_some_and(|from| {
                    write
                        .entries
                        .last()
                        .is_some_and(|entry| from <= entry.index)
                })
        };
        if node.pending.iter().any(replaced) {
            self.effect.marks.add(Mark::StalePersisted);
        }
        if let Err(why) = node.disk.write(&write, self.rules.loses_writes) {
            self.breaks(Law::Contract, why);
        }
        Some(Event::Persisted(write.id))
    }

    /// Flushes, and carries out what is asked for until nothing is.
    fn flush(&mut self) {
        loop {
            self.effect.node.raft.flush(self.now, &mut self.batch);
            let out = std::mem::take(&mut self.batch);
            let answers = self.carry_out(out);
            if answers.is_empty() {
                break;
            }
            for answer in answers {
                self.effect
                    .node
                    .raft
                    .step(self.now, answer, &mut self.batch);
            }
        }
    }

    fn carry_out(&mut self, out: Output) -> Vec<Event> {
        // Before the write of the same output, which it must not depend on.
        for envelope in out.messages {
            self.send(envelope);
        }
        if let Some(write) = out.write {
            self.effect.node.log.write(&write);
            self.effect.node.pending.push_back(write);
        }
        self.observe(&out.observations, &out.replies);
        let mut answers = Vec::new();
        for apply in out.apply {
            answers.extend(self.apply(&apply));
        }
        for fetch in out.fetch {
            self.effect.marks.add(Mark::ReadBack);
            let entries = self.effect.node.disk.read(fetch.from, fetch.to);
            if entries.is_empty() {
                self.breaks(
                    Law::Contract,
                    format!("reads {fetch:?}, which is not there"),
                );
            }
            answers.push(Event::Fetched {
                reader: fetch.reader,
                entries: entries.into(),
            });
        }
        for order in out.snapshot {
            self.order(order);
        }
        if let Some(up_to) = out.purge {
            self.effect.marks.add(Mark::Compacted);
            self.effect.node.log.purge(up_to);
            if let Err(why) = self.effect.node.disk.purge(up_to) {
                self.breaks(Law::Contract, why);
            }
        }
        while !self.rules.slow_disk && !self.effect.node.pending.is_empty() {
            answers.extend(self.persist_oldest());
        }
        answers
    }

    fn order(&mut self, order: raft_core::event::SnapshotOrder) {
        use raft_core::event::SnapshotOrder::{Cancel, Fetch};
        let receiving = &mut self.effect.node.receiving;
        match order {
            Fetch { snapshot, .. } => *receiving = Some(snapshot),
            Cancel(last) => {
                receiving.take_if(|snapshot| snapshot.last.index == last);
            }
        }
    }

    fn apply(&mut self, apply: &raft_core::event::Apply) -> Option<Event> {
        use raft_core::event::Apply::{Entries, Restore};
        let node = &mut self.effect.node;
        let last = match apply {
            Restore(snapshot) => snapshot.last.index,
            Entries(entries) => {
                let expected = node.applied.next();
                let known = |entry: &raft_core::Entry| {
                    node.log.line(entry.index) == Some(super::shadow::Line::of(entry))
                };
                let follows = entries.first().is_some_and(|entry| entry.index == expected);
                if !follows || !entries.iter().all(known) {
                    let why = format!("applies {entries:?} after {}", node.applied);
                    self.breaks(Law::Contract, why);
                    return None;
                }
                expected.plus(entries.len() as u64 - 1)
            }
        };
        let durable = node.disk.image.term(last).is_some()
            && node.disk.image.term(last) == node.log.term(last);
        if last > node.raft.commit() || last < node.applied || !durable {
            let why = format!("applies up to {last} after {}", node.applied);
            self.breaks(Law::Contract, why);
        }
        let node = &mut self.effect.node;
        node.applied = last;
        if self.rules.durable_machine {
            node.disk.applied = last;
        }
        Some(Event::Applied(last))
    }

    // --- What is sent ---

    /// Checks that all that a message implies would survive a power cut (Figure 2).
    fn send(&mut self, envelope: Envelope) {
        let (id, disk) = (self.effect.node.id(), &self.effect.node.disk);
        let durable = disk.image.hard_state;
        let term = envelope.term;
        let voted = |candidate| {
            durable.term > term || (durable.term == term && durable.vote == Some(candidate))
        };
        let mut holds = durable.term >= term && envelope.from == id;
        if let Some(candidate) = vote_in(&envelope) {
            holds &= voted(candidate);
            self.effect.facts.push(Fact::Voted { term, candidate });
        }
        if let Some(index) = acknowledged_in(&envelope) {
            let log = &self.effect.node.log;
            let same =
                disk.image.term(index).is_some() && disk.image.term(index) == log.term(index);
            holds &= same || index <= log.base().index;
        }
        if let Message::ReadIndex(question) = &envelope.message {
            let questions = &mut self.effect.node.questions;
            *questions = question.request.max(*questions);
        }
        if envelope.message.is_of_leader() {
            self.effect.facts.push(Fact::Leads { term });
        }
        if !holds {
            self.breaks(
                Law::PersistBeforeSend,
                format!("{envelope:?} but durable is {durable:?}"),
            );
        }
        self.effect.sent.push(envelope);
    }

    fn observe(
        &mut self,
        observations: &[raft_core::event::Observation],
        replies: &[raft_core::Reply],
    ) {
        let effect = &mut self.effect;
        for observation in observations {
            if let Err((law, why)) = self.seen.observe(observation, effect) {
                effect.broken.get_or_insert((law, why));
            }
        }
        for reply in replies {
            Seen::reply(reply, effect);
        }
    }

    fn breaks(&mut self, law: Law, why: String) {
        self.effect.broken.get_or_insert((law, why));
    }

    // --- The end of the step ---

    /// Checks what can be told of the node alone, and forgets what makes equal situations differ.
    fn end(mut self) -> Effect {
        // Within a batch the log is ahead of its writes.
        if !self.effect.node.in_batch() {
            self.check();
            let (node, before) = (&self.effect.node, &self.before);
            if before.in_batch() || node.raft.commit() != before.raft.commit() {
                self.effect.facts.push(Fact::Committed);
            }
        }
        let node = &mut self.effect.node;
        // Writes are known by their order alone, so numbering them from 1 merges states that differ
        // only in how many went before.
        node.raft.renumber_writes();
        for (at, write) in node.pending.iter_mut().enumerate() {
            write.id = raft_core::WriteId(at as u64 + 1);
        }
        node.raft.rebase(self.now, NOW);
        // A campaign may have the number of an earlier one, since the network loses what belongs to
        // that one; so the number of campaigns tells no states apart.
        node.raft.recount_questions(node.questions);
        node.raft.merge_held();
        self.effect
    }

    fn check(&mut self) {
        let (node, before) = (&self.effect.node, &self.before);
        if let Err(why) = node.raft.check() {
            self.breaks(Law::SelfCheck, why);
            return;
        }
        let leads_on = node.leads() && before.leads() && node.raft.term() == before.raft.term();
        if leads_on && !node.log.extends(&before.log) {
            self.breaks(Law::LeaderAppendOnly, format!("{:?}", node.log));
        } else if !node.log.is_log_of(&node.raft) {
            self.breaks(Law::Contract, format!("the writes led to {:?}", node.log));
        } else if let Err(why) = super::overlap::check(node.log.configurations()) {
            self.breaks(Law::QuorumOverlap, why);
        }
    }
}

/// For whom a message is a vote.
fn vote_in(envelope: &Envelope) -> Option<NodeId> {
    match &envelope.message {
        Message::RequestVote(_) => Some(envelope.from),
        Message::RequestVoteReply(reply) if reply.granted => Some(envelope.to),
        _ => None,
    }
}

/// Up to where a message acknowledges the log.
fn acknowledged_in(envelope: &Envelope) -> Option<Index> {
    use raft_core::message::{AppendOutcome, SnapshotStatus};
    match &envelope.message {
        Message::AppendEntriesReply(reply) => match reply.outcome {
            AppendOutcome::Matched(index) => Some(index),
            AppendOutcome::Conflict { .. } => None,
        },
        Message::InstallSnapshotReply(reply) => match reply.status {
            SnapshotStatus::Matched(index) => Some(index),
            SnapshotStatus::Receiving | SnapshotStatus::Failed => None,
        },
        _ => None,
    }
}
