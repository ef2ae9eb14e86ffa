//! SKELETON, signatures final (bodies follow): the clients of a simulated world.
//!
//! How the world uses it:
//! 1. `next_wake()` says when which client wants to run; at that time `wake(client, now)`, as often
//!    as `next_wake()` is due. A `Some(request)` goes to `request.node`; a node that is down or cut
//!    off may just swallow it (the client times out by itself).
//! 2. Command: `Event::Propose`; on `Accepted { position }` wait until that node has applied
//!    `position.index`. Entry of that term there: `Answer::Done(bytes of the machine)`. Another
//!    one: `Answer::Unknown`. `Refused`: `Answer::Refused(reason)`. Crash: nothing, or `Unknown`.
//! 3. Read: `Event::Read`; on `ReadReady { index }` wait until the node applied `index`, then
//!    `machine.query(&query)`: `Answer::Done(bytes)`, `index` = what the node has applied then.
//! 4. `applied(node, index, command, answer)` for EVERY command that a machine applied, on every
//!    node, in order: that is where exactly-once and equal answers are checked.
//! 5. After the faults: `drain(now)`, go on as before until `outstanding() == 0`; `verdict(now)`.

use std::time::Duration;

use bytes::Bytes;

use crate::event::{Consistency, Refusal};
use crate::sim::ghost::Violation;
use crate::sim::marks::Marks;
use crate::types::{Index, NodeId};

/// Names a client: 0, 1, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// Names one attempt; unique in a world, so it does well as the `Ticket`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

#[derive(Clone, Debug)]
pub struct WorkloadConfig {
    pub seed: u64,
    /// Targets are the nodes 1..=nodes.
    pub nodes: u64,
    pub clients: u32,
    /// Keys for each group of at most 8 clients.
    pub keys_per_group: u64,
    /// Every third client pipelines up to this many operations; the others have one.
    pub pipeline_max: u32,
    /// Between an answer and the next operation, at most.
    pub think_max: Duration,
    pub timeout: Duration,
    /// No operation is begun after this many.
    pub operations_max: usize,
    /// The bound of reads with bounded staleness.
    pub staleness_max: Duration,
    pub mix: Mix,
}

/// In per cent; what is left of 100 are linearizable reads.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub put: u8,
    pub compare_and_set: u8,
    /// Reads through the log.
    pub get: u8,
    pub read_bounded: u8,
    pub read_local: u8,
    /// Of the commands: sent to a second node at once.
    pub duplicate: u8,
    /// Of the timeouts: given up instead of retried.
    pub abandon: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: RequestId,
    pub client: ClientId,
    pub node: NodeId,
    pub kind: RequestKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    Command(Bytes),
    Read { query: Bytes, consistency: Consistency },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the machine said.
    Done(Bytes),
    /// This attempt did nothing and never will.
    Refused(Refusal),
    /// This attempt may or may not have an effect.
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub operations: u64,
    pub ok: u64,
    pub failed: u64,
    pub unknown: u64,
    pub attempts: u64,
    pub refused: u64,
    pub timeouts: u64,
    pub duplicates: u64,
    pub abandoned: u64,
    pub commands: u64,
    pub reads_linearizable: u64,
    pub reads_bounded: u64,
    pub reads_local: u64,
}

pub struct Workload;

impl Workload {
    pub fn new(config: WorkloadConfig, now: u64) -> Self;
    /// The earliest wish of any client.
    pub fn next_wake(&self) -> Option<(u64, ClientId)>;
    /// At most one request a call.
    pub fn wake(&mut self, client: ClientId, now: u64) -> Option<Request>;
    /// How an attempt ended; `index`: command: ignored, read: what the node had applied.
    pub fn answered(&mut self, id: RequestId, answer: Answer, index: Index, now: u64) -> Result<(), Violation>;
    /// A machine applied a command and gave this answer (invariants 10, 16).
    pub fn applied(&mut self, node: NodeId, index: Index, command: &[u8], answer: &[u8]) -> Result<(), Violation>;
    /// From now on nothing new is begun and nothing is given up.
    pub fn drain(&mut self, now: u64);
    /// Operations that are neither answered nor given up.
    pub fn outstanding(&self) -> usize;
    pub fn verdict(&self, now: u64) -> Result<Stats, Violation>;
    pub fn stats(&self) -> &Stats;
    pub fn marks(&self) -> &Marks;
}
