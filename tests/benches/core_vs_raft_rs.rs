//! The core beside `raft` (raft-rs) in the same loop, in one run: what counts are the ratios.
//!
//! Equal: three nodes in one thread; messages moved by hand, not encoded; no I/O;
//! 256-byte commands, each a fresh `Vec` that becomes `Bytes`; one call a command, and a batch is
//! proposed whole before the leader's turn; a write counts as durable and entries as applied at
//! once; the commands that reach the leader's state machine are counted; followers learn of a
//! commit with the next message; pre-vote and check-quorum; 256 messages of up to 1 MiB under way;
//! some 4000 entries kept; release build; time stands still.
//!
//! Not equal, because the two are cut differently: `MemStorage` is part of raft-rs's loop, since it
//! reads back from there what it sends and applies, while our core keeps the newest entries itself
//! and the shell's write is dropped; ours looks at its timers at the end of every batch, raft-rs
//! would only in `tick`; ours checks who sent a message in which life of its storage, and answers
//! each proposal. raft-rs gets the settings that are best for it here: `batch_append`, which joins
//! messages, and no broadcast of commits. It would be faster if a batch were one `MsgPropose`,
//! which `RawNode::propose` does not offer.
//!
//! Entries in a message have memory of their own, as if a decoder had made them: raft-rs copies
//! them when it sends; our core shares them with its log, so our loop copies them at each delivery.
//!
//! It deliberately knows nothing of encodings, disks and networks: those have benchmarks elsewhere.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Where the leader stands among the nodes.
const LEADER: usize = 0;
const NODES: usize = 3;
const COMMAND_BYTES: usize = 256;
/// How many entries both keep in memory, more or less.
const ENTRIES_KEPT: u64 = 4096;
const APPEND_BYTES_MAX: u64 = 1 << 20;
const MESSAGES_UNDER_WAY_MAX: usize = 256;
/// Nothing in here takes more passes over the nodes than this.
const PASSES_MAX: u32 = 16;

const BATCHES: [u64; 3] = [1, 16, 256];
/// Each round times one, then the other, so that a busy machine meets both.
const ROUNDS: usize = 21;
const SPAN: Duration = Duration::from_millis(200);

fn main() {
    // Without `--bench` this runs as a test: that the loops work is enough then.
    let bench = std::env::args().any(|argument| argument == "--bench");
    let (rounds, span) = if bench {
        (ROUNDS, SPAN)
    } else {
        (1, Duration::ZERO)
    };
    println!(
        "propose -> commit, {NODES} nodes, {COMMAND_BYTES}-byte commands, medians of {rounds}"
    );
    println!("batch  ours, commands/s  raft-rs, commands/s  ours / raft-rs");
    for batch in BATCHES {
        let (mut ours, mut theirs) = (ours::Trio::with_leader(), theirs::Trio::with_leader());
        // Fills what is kept, so that no round is cheaper than the others.
        fill(&mut ours);
        fill(&mut theirs);
        let pairs: Vec<(f64, f64)> = (0..rounds)
            .map(|_| (rate(&mut ours, batch, span), rate(&mut theirs, batch, span)))
            .collect();
        let a = median(pairs.iter().map(|(ours, _)| *ours));
        let b = median(pairs.iter().map(|(_, theirs)| *theirs));
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs));
        println!("{batch:>5}  {a:>16.0}  {b:>19.0}  {ratio:>14.2}");
    }
}

/// Three nodes, one of them the leader: the loop that both implementations run.
trait Cluster {
    /// Hands a command to the leader.
    fn propose(&mut self, command: Vec<u8>);

    /// A node takes in what has arrived, and what it asks for is done at once.
    fn turn(&mut self, at: usize);

    /// How many commands reached the leader's state machine.
    fn commands(&self) -> u64;
}

fn commit(cluster: &mut impl Cluster, batch: u64) {
    let goal = cluster.commands() + batch;
    (0..batch).for_each(|_| cluster.propose(vec![7; COMMAND_BYTES]));
    for _ in 0..PASSES_MAX {
        cluster.turn(LEADER);
        if cluster.commands() >= goal {
            return;
        }
        (LEADER + 1..NODES).for_each(|at| cluster.turn(at));
    }
    panic!("{} of {goal} commands committed", cluster.commands());
}

/// An election: more passes than it takes.
fn elect(cluster: &mut impl Cluster) {
    for _ in 0..PASSES_MAX {
        (0..NODES).for_each(|at| cluster.turn(at));
    }
}

fn fill(cluster: &mut impl Cluster) {
    let batch = 64;
    (0..2 * ENTRIES_KEPT / batch).for_each(|_| commit(cluster, batch));
}

/// Commands a second, over at least `span`.
fn rate(cluster: &mut impl Cluster, batch: u64, span: Duration) -> f64 {
    // The clock is read so seldom that it costs nothing.
    let batches = (1024 / batch).max(1);
    let (start, before) = (Instant::now(), cluster.commands());
    loop {
        (0..batches).for_each(|_| commit(cluster, batch));
        let elapsed = start.elapsed();
        if elapsed >= span {
            let count = u32::try_from(cluster.commands() - before).expect("a short run");
            return f64::from(count) / elapsed.as_secs_f64();
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Our core, driven as `raft_core::event` says.
mod ours {
    use raft_core::event::Apply;
    use raft_core::{
        Config, Entry, Envelope, Event, Incarnation, Member, Membership, Message, NodeId, Output,
        Payload, Raft, Recovered, Ticket, Time,
    };

    use super::{
        APPEND_BYTES_MAX, COMMAND_BYTES, Cluster, ENTRIES_KEPT, LEADER, MESSAGES_UNDER_WAY_MAX,
        NODES, black_box, elect,
    };

    const NOW: Time = Time(0);

    pub(super) struct Trio {
        nodes: Vec<Node>,
        inboxes: [Vec<Envelope>; NODES],
    }

    struct Node {
        raft: Raft,
        out: Output,
        /// How many commands reached its state machine.
        commands: u64,
    }

    impl Trio {
        pub(super) fn with_leader() -> Self {
            let mut trio = Self {
                nodes: (0..NODES).map(Node::new).collect(),
                inboxes: Default::default(),
            };
            let Node { raft, out, .. } = &mut trio.nodes[LEADER];
            raft.step(NOW, Event::Campaign, out);
            elect(&mut trio);
            trio
        }
    }

    impl Cluster for Trio {
        fn propose(&mut self, command: Vec<u8>) {
            let Node { raft, out, .. } = &mut self.nodes[LEADER];
            let propose = Event::Propose {
                ticket: Ticket(0),
                command: command.into(),
            };
            raft.step(NOW, propose, out);
        }

        fn turn(&mut self, at: usize) {
            let node = &mut self.nodes[at];
            let mut inbox = std::mem::take(&mut self.inboxes[at]);
            for envelope in inbox.drain(..) {
                node.raft
                    .step(NOW, Event::Received(envelope), &mut node.out);
            }
            // Handed back, so that it keeps its room.
            self.inboxes[at] = inbox;
            while node.flush(&mut self.inboxes) {}
        }

        fn commands(&self) -> u64 {
            self.nodes[LEADER].commands
        }
    }

    impl Node {
        fn new(at: usize) -> Self {
            let config = Config {
                seed: at as u64,
                append_bytes_max: APPEND_BYTES_MAX,
                inflight_messages_max: MESSAGES_UNDER_WAY_MAX,
                tail_bytes_max: ENTRIES_KEPT * (COMMAND_BYTES as u64 + Entry::OVERHEAD),
                ..Config::default()
            };
            let member = |at| {
                let mut member = Member::at("");
                member.incarnation = Incarnation(1);
                (id(at), member)
            };
            let membership = Membership::of_voters((0..NODES).map(member));
            let recovered = Recovered::bootstrap(Incarnation(1), membership);
            let mut out = Output::default();
            let raft = Raft::new(id(at), config, recovered, NOW, &mut out).expect("it can work");
            Self {
                raft,
                out,
                commands: 0,
            }
        }

        /// Ends a batch of events and does what the core asks for. Returns whether a write became
        /// durable, from which more may follow; what was applied is told to the core with that, or
        /// with the next batch.
        fn flush(&mut self, inboxes: &mut [Vec<Envelope>; NODES]) -> bool {
            let Self { raft, out, .. } = self;
            raft.flush(NOW, out);
            for mut envelope in out.messages.drain(..) {
                if let Message::AppendEntries(append) = &mut envelope.message {
                    append.entries = append.entries.iter().cloned().collect();
                }
                inboxes[slot(envelope.to)].push(envelope);
            }
            out.observations.clear();
            out.replies.clear();
            let write = black_box(out.write.take());
            let mut applied = None;
            for apply in out.apply.drain(..) {
                let Apply::Entries(entries) = black_box(apply) else {
                    panic!("nobody takes snapshots");
                };
                let is_command = |entry: &&Entry| matches!(entry.payload, Payload::Command(_));
                self.commands += entries.iter().filter(is_command).count() as u64;
                applied = entries.last().map(|entry| entry.index);
            }
            if let Some(index) = applied {
                raft.step(NOW, Event::Applied(index), out);
            }
            if let Some(write) = &write {
                raft.step(NOW, Event::Persisted(write.id), out);
            }
            write.is_some()
        }
    }

    const fn id(at: usize) -> NodeId {
        NodeId(at as u64 + 1)
    }

    fn slot(id: NodeId) -> usize {
        usize::try_from(id.0 - 1).expect("a small id")
    }
}

/// raft-rs, driven as its own example `five_mem_node` does.
mod theirs {
    use raft::prelude::{Config, Entry, Message};
    use raft::storage::MemStorage;
    use raft::{RawNode, StateRole};
    use slog::{Discard, Logger, o};

    use super::{
        APPEND_BYTES_MAX, Cluster, ENTRIES_KEPT, LEADER, MESSAGES_UNDER_WAY_MAX, NODES, black_box,
        elect,
    };

    pub(super) struct Trio {
        nodes: Vec<Node>,
        inboxes: [Vec<Message>; NODES],
    }

    struct Node {
        raw: RawNode<MemStorage>,
        /// How many commands reached its state machine.
        commands: u64,
        /// The last of them.
        applied: u64,
        /// `MemStorage` holds what is above this index.
        compacted: u64,
    }

    impl Trio {
        pub(super) fn with_leader() -> Self {
            let mut trio = Self {
                nodes: (0..NODES).map(Node::new).collect(),
                inboxes: Default::default(),
            };
            trio.nodes[LEADER].raw.campaign().expect("it may");
            elect(&mut trio);
            assert!(trio.nodes[LEADER].raw.raft.state == StateRole::Leader);
            trio
        }
    }

    impl Cluster for Trio {
        fn propose(&mut self, command: Vec<u8>) {
            let leader = &mut self.nodes[LEADER].raw;
            leader.propose(Vec::new(), command).expect("it leads");
        }

        fn turn(&mut self, at: usize) {
            let node = &mut self.nodes[at];
            let mut inbox = std::mem::take(&mut self.inboxes[at]);
            for message in inbox.drain(..) {
                node.raw.step(message).expect("a member sent it");
            }
            // Handed back, so that it keeps its room.
            self.inboxes[at] = inbox;
            if node.raw.has_ready() {
                node.ready(&mut self.inboxes);
                node.compact();
            }
        }

        fn commands(&self) -> u64 {
            self.nodes[LEADER].commands
        }
    }

    impl Node {
        fn new(at: usize) -> Self {
            let config = Config {
                id: at as u64 + 1,
                pre_vote: true,
                check_quorum: true,
                max_size_per_msg: APPEND_BYTES_MAX,
                max_inflight_msgs: MESSAGES_UNDER_WAY_MAX,
                batch_append: true,
                skip_bcast_commit: true,
                ..Config::default()
            };
            let voters: Vec<u64> = (1..=NODES as u64).collect();
            let storage = MemStorage::new_with_conf_state((voters, Vec::new()));
            let logger = Logger::root(Discard, o!());
            Self {
                raw: RawNode::new(&config, storage, &logger).expect("it can work"),
                commands: 0,
                applied: 0,
                compacted: 0,
            }
        }

        fn ready(&mut self, inboxes: &mut [Vec<Message>; NODES]) {
            let mut ready = self.raw.ready();
            deliver(ready.take_messages(), inboxes);
            self.apply(ready.take_committed_entries());
            let storage = self.raw.store();
            storage.wl().append(ready.entries()).expect("no gaps");
            if let Some(hard_state) = ready.hs() {
                storage.wl().set_hardstate(hard_state.clone());
            }
            deliver(ready.take_persisted_messages(), inboxes);
            let mut light = self.raw.advance(ready);
            if let Some(commit) = light.commit_index() {
                let storage = self.raw.store();
                storage.wl().mut_hard_state().set_commit(commit);
            }
            deliver(light.take_messages(), inboxes);
            self.apply(light.take_committed_entries());
            self.raw.advance_apply();
        }

        fn apply(&mut self, entries: Vec<Entry>) {
            let entries = black_box(entries);
            let is_command = |entry: &&Entry| !entry.data.is_empty();
            self.commands += entries.iter().filter(is_command).count() as u64;
            self.applied = entries.last().map_or(self.applied, |entry| entry.index);
        }

        /// Seldom, since it moves all that is kept.
        fn compact(&mut self) {
            if self.applied > self.compacted + 2 * ENTRIES_KEPT {
                self.compacted = self.applied - ENTRIES_KEPT;
                let storage = self.raw.store();
                storage.wl().compact(self.compacted).expect("it is there");
            }
        }
    }

    fn deliver(messages: Vec<Message>, inboxes: &mut [Vec<Message>; NODES]) {
        for message in messages {
            inboxes[slot(message.to)].push(message);
        }
    }

    fn slot(id: u64) -> usize {
        usize::try_from(id - 1).expect("a small id")
    }
}
