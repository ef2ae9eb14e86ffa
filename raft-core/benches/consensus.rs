//! How fast the core decides: three servers in one thread, messages moved by hand, no I/O.
//!
//! Every write is durable and every entry applied as soon as the core asks for it. It deliberately
//! knows nothing of other implementations; `tests/benches/core_vs_raft_rs.rs` compares with one.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use raft_core::event::Apply;
use raft_core::{
    Config, Consistency, Envelope, Event, Incarnation, Member, Membership, NodeId, Output, Payload,
    Raft, Recovered, Reply, Ticket, Time,
};

const NODES: usize = 3;
/// Where the leader stands among the nodes.
const LEADER: usize = 0;
const COMMAND_BYTES: usize = 256;
const READS: u64 = 64;
/// As much of the log stays in memory, so that runs of any length cost the same an entry.
const TAIL_BYTES_MAX: u64 = 1 << 20;
/// Nothing in here takes more passes over the nodes than this.
const PASSES_MAX: u32 = 16;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    commits(&mut criterion);
    heartbeats(&mut criterion);
    reads(&mut criterion);
    criterion.final_summary();
}

/// From the proposals of a batch to the leader's state machine.
fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    for batch in [1, 16, 256] {
        let mut trio = Trio::with_leader();
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("batch-{batch}"), |bencher| {
            bencher.iter(|| trio.commit(batch));
        });
    }
    group.finish();
}

/// An idle leader asserts itself, and its followers answer.
fn heartbeats(criterion: &mut Criterion) {
    let mut trio = Trio::with_leader();
    criterion.bench_function("heartbeat-round", |bencher| {
        bencher.iter(|| trio.heartbeat());
    });
}

/// Reads that arrive together share one confirmation round.
fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read-index");
    let mut trio = Trio::with_leader();
    group.throughput(Throughput::Elements(READS));
    group.bench_function(format!("batch-{READS}"), |bencher| {
        bencher.iter(|| trio.read(READS));
    });
    group.finish();
}

/// Three servers, and what is on its way between them.
struct Trio {
    nodes: Vec<Node>,
    inboxes: [Vec<Envelope>; NODES],
    now: Time,
}

struct Node {
    raft: Raft,
    out: Output,
    /// How many commands reached its state machine.
    commands: u64,
    /// How many reads it may answer.
    reads: u64,
}

impl Trio {
    fn with_leader() -> Self {
        let now = Time(0);
        let nodes = (0..NODES).map(|at| Node::new(at, now)).collect();
        let mut trio = Self {
            nodes,
            inboxes: Default::default(),
            now,
        };
        let Node { raft, out, .. } = &mut trio.nodes[LEADER];
        raft.step(now, Event::Campaign, out);
        // It may take proposals as soon as it leads; the first one shows that it does.
        for _ in 0..PASSES_MAX {
            trio.pass();
        }
        trio.commit(1);
        trio
    }

    fn commit(&mut self, count: u64) {
        let leader = &mut self.nodes[LEADER];
        let goal = leader.commands + count;
        for _ in 0..count {
            let command = Bytes::from(vec![7; COMMAND_BYTES]);
            let ticket = Ticket(0);
            leader.raft.step(
                self.now,
                Event::Propose { ticket, command },
                &mut leader.out,
            );
        }
        self.until(|leader| leader.commands >= goal);
    }

    fn read(&mut self, count: u64) {
        let leader = &mut self.nodes[LEADER];
        let goal = leader.reads + count;
        for _ in 0..count {
            let read = Event::Read {
                ticket: Ticket(0),
                consistency: Consistency::Linearizable,
            };
            leader.raft.step(self.now, read, &mut leader.out);
        }
        self.until(|leader| leader.reads >= goal);
    }

    fn heartbeat(&mut self) {
        self.now = self.now.plus(Config::default().heartbeat_interval);
        let leader = &mut self.nodes[LEADER];
        leader.raft.step(self.now, Event::Tick, &mut leader.out);
        self.pass();
        self.turn(LEADER);
    }

    /// Lets the nodes talk until `done`, which is looked at whenever the leader had its turn.
    fn until(&mut self, done: impl Fn(&Node) -> bool) {
        for _ in 0..PASSES_MAX {
            self.turn(LEADER);
            if done(&self.nodes[LEADER]) {
                return;
            }
            (LEADER + 1..NODES).for_each(|at| self.turn(at));
        }
        panic!(
            "no progress: {:?}",
            self.nodes[LEADER].raft.status(self.now)
        );
    }

    fn pass(&mut self) {
        (0..NODES).for_each(|at| self.turn(at));
    }

    /// A node takes in what has arrived, and what it asks for is done at once.
    fn turn(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let mut inbox = std::mem::take(&mut self.inboxes[at]);
        for envelope in inbox.drain(..) {
            node.raft
                .step(self.now, Event::Received(envelope), &mut node.out);
        }
        // Handed back, so that it keeps its room.
        self.inboxes[at] = inbox;
        while node.flush(self.now, &mut self.inboxes) {}
    }
}

impl Node {
    fn new(at: usize, now: Time) -> Self {
        let config = Config {
            seed: at as u64,
            tail_bytes_max: TAIL_BYTES_MAX,
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
        let raft = Raft::new(id(at), config, recovered, now, &mut out).expect("defaults work");
        Self {
            raft,
            out,
            commands: 0,
            reads: 0,
        }
    }

    /// Ends a batch of events and does what the core asks for. Returns whether a write became
    /// durable, from which more may follow; what was applied is told to the core with that, or
    /// with the next batch.
    fn flush(&mut self, now: Time, inboxes: &mut [Vec<Envelope>; NODES]) -> bool {
        let Self { raft, out, .. } = self;
        raft.flush(now, out);
        for envelope in out.messages.drain(..) {
            inboxes[slot(envelope.to)].push(envelope);
        }
        out.observations.clear();
        let ready = |reply: &Reply| matches!(reply, Reply::ReadReady { .. });
        self.reads += out.replies.drain(..).filter(ready).count() as u64;
        let write = black_box(out.write.take());
        let mut applied = None;
        for apply in out.apply.drain(..) {
            let Apply::Entries(entries) = black_box(apply) else {
                panic!("nobody takes snapshots");
            };
            let command = |entry: &&_| matches!(payload(entry), Payload::Command(_));
            self.commands += entries.iter().filter(command).count() as u64;
            applied = entries.last().map(|entry| entry.index);
        }
        if let Some(index) = applied {
            raft.step(now, Event::Applied(index), out);
        }
        if let Some(write) = &write {
            raft.step(now, Event::Persisted(write.id), out);
        }
        write.is_some()
    }
}

const fn payload(entry: &raft_core::Entry) -> &Payload {
    &entry.payload
}

const fn id(at: usize) -> NodeId {
    NodeId(at as u64 + 1)
}

fn slot(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).expect("a small id")
}
