//! The clients of a simulated world, and the last word on what they saw.
//!
//! How a world uses them:
//!
//! 1. [`Workload::next_wake`] says when which client wants to run; then [`Workload::wake`], as
//!    often as somebody is due. A request goes to `request.node`; a node that is down or cut off
//!    may swallow it, the client times out by itself.
//! 2. A command is proposed. Once the node that accepted it has applied the entry at that position:
//!    [`Answer::Done`] with what the machine said; if another term's entry stands there,
//!    [`Answer::Unknown`].
//! 3. A read is read: when its barrier is ready and applied, the machine is asked `query`, and
//!    `index` is what the node had applied by then.
//! 4. [`Workload::applied`] hears of every command that any machine applied, in order.
//! 5. After the faults [`Workload::drain`], until nothing is [`Workload::outstanding`]; then the
//!    [`Workload::verdict`].
//!
//! It deliberately does not know Raft, nor why an answer does not come.

mod answers;
mod begin;
mod client;
mod config;
mod effects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::client::{Client, Next};
pub use self::config::{Mix, WorkloadConfig};
use self::effects::Effects;
use crate::event::{Consistency, Refusal};
use crate::sim::ghost::Violation;
use crate::sim::history::{History, INITIAL_VALUE, Outcome};
use crate::sim::marks::{Mark, Marks};
use crate::sim::rng::Rng;
use crate::sim::{by_index, wgl};
use crate::types::{NodeId, nanos};

const LINEARIZABLE: &str = "15: linearizability";
const ONCE: &str = "16: a command takes effect once";

/// A client that gives up does so after about this many refusals, or one timeout.
const REFUSALS_BORNE: u64 = 16;

/// Names a client: 0, 1, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// Names one attempt at an operation; unique in a world, so it does well as its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One attempt at an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// Who asks.
    pub client: ClientId,
    /// Which node is asked.
    pub node: NodeId,
    /// What is asked.
    pub kind: RequestKind,
}

/// What a client asks of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// To put this into the log.
    Command(Bytes),
    /// To put this question to its machine, once its state is good enough.
    Read {
        /// For the machine.
        query: Bytes,
        /// How good that is.
        consistency: Consistency,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The machine said this.
    Done(Bytes),
    /// This attempt did nothing and never will.
    Refused(Refusal),
    /// This attempt may or may not have an effect.
    Unknown,
}

/// What the clients did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Begun.
    pub operations: u64,
    /// Ended with an answer.
    pub ok: u64,
    /// Given up, and surely without effect.
    pub failed: u64,
    /// Given up, perhaps with an effect; and those still under way.
    pub unknown: u64,
    /// Requests sent.
    pub attempts: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Commands sent to two nodes at once.
    pub duplicates: u64,
    /// Commands answered.
    pub commands: u64,
    /// Linearizable reads answered.
    pub reads_linearizable: u64,
    /// Bounded reads answered.
    pub reads_bounded: u64,
    /// Local reads answered.
    pub reads_local: u64,
}

/// All clients of a world.
#[derive(Clone, Debug)]
pub struct Workload {
    config: WorkloadConfig,
    rng: Rng,
    clients: Vec<Client>,
    /// When each client wants to run.
    wakes: Vec<u64>,
    /// Whose attempt each request was.
    requests: Vec<(ClientId, u64)>,
    history: History,
    effects: Effects,
    /// The value that somebody saw last in each register.
    seen: BTreeMap<u64, u64>,
    /// The value written last; each is written once.
    written: u64,
    phase: Phase,
    stats: Stats,
    marks: Marks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Draining,
}

impl Workload {
    /// Clients that begin to run at `now`.
    #[must_use]
    pub fn new(config: WorkloadConfig, now: u64) -> Self {
        let mut rng = Rng::new(config.seed);
        let think = nanos(config.think_max);
        let ready: Vec<u64> = (0..config.clients)
            .map(|_| now.saturating_add(rng.below(think)))
            .collect();
        let client = |(id, ready): (u32, &u64)| {
            let window = if id % 3 == 2 {
                config.pipeline_max.max(1)
            } else {
                1
            };
            Client::new(
                *ready,
                window,
                NodeId(1 + u64::from(id) % config.nodes.max(1)),
            )
        };
        Self {
            clients: (0..config.clients).zip(&ready).map(client).collect(),
            wakes: ready,
            requests: Vec::new(),
            history: History::new(config.operations_max),
            effects: Effects::default(),
            seen: BTreeMap::new(),
            written: INITIAL_VALUE,
            phase: Phase::Open,
            stats: Stats::default(),
            marks: Marks::default(),
            rng,
            config,
        }
    }

    /// The earliest wish of any client, and when.
    #[must_use]
    pub fn next_wake(&self) -> Option<(u64, ClientId)> {
        let wakes = self.wakes.iter().zip(0..);
        let (at, client) = wakes.min_by_key(|(at, _)| **at)?;
        (*at < u64::MAX).then_some((*at, ClientId(client)))
    }

    /// A client gets its turn; at most one request a call.
    pub fn wake(&mut self, client: ClientId, now: u64) -> Option<Request> {
        let request = self.run(client, now);
        self.rearm(client);
        request
    }

    fn run(&mut self, id: ClientId, now: u64) -> Option<Request> {
        while let Some(place) = self.clients.get(place(id))?.due(now) {
            if let Some(request) = self.again(id, place, now) {
                return Some(request);
            }
        }
        if self.phase == Phase::Draining || !self.clients.get(place(id))?.may_begin(now) {
            return None;
        }
        self.begin(id, now)
    }

    /// An operation is due: it begins, it timed out, or it is to be tried again.
    fn again(&mut self, id: ClientId, place_open: usize, now: u64) -> Option<Request> {
        let next = self.clients.get(place(id))?.open.get(place_open)?.next;
        match next {
            Next::Send | Next::Duplicate => {}
            Next::Timeout => {
                self.stats.timeouts += 1;
                if self.phase == Phase::Open && self.draws(self.config.mix.abandon) {
                    self.give_up(id, place_open, now);
                    return None;
                }
                self.elsewhere(id);
            }
            Next::Retry => {
                // Refusals come quickly and in numbers; most clients have more patience than that.
                let tired = self.rng.below(REFUSALS_BORNE) == 0;
                if tired && self.phase == Phase::Open && self.draws(self.config.mix.abandon) {
                    self.give_up(id, place_open, now);
                    return None;
                }
                self.elsewhere(id);
            }
        }
        Some(self.send(id, place_open, now))
    }

    fn send(&mut self, id: ClientId, place_open: usize, now: u64) -> Request {
        let duplicate = self.draws(self.config.mix.duplicate);
        let node = match self.clients[place(id)].open[place_open].next {
            Next::Duplicate => self.any_node(),
            Next::Send | Next::Timeout | Next::Retry => self.clients[place(id)].target,
        };
        let request = RequestId(self.requests.len() as u64);
        let timeout = nanos(self.config.timeout);
        let open = &mut self.clients[place(id)].open[place_open];
        open.attempts += 1;
        if open.attempts > 1 && open.is_command() {
            self.marks.hit(Mark::CommandRetried);
        }
        if open.attempts == 1 && duplicate && open.is_command() {
            self.stats.duplicates += 1;
            (open.next, open.due) = (Next::Duplicate, now);
        } else {
            (open.next, open.due) = (Next::Timeout, now.saturating_add(timeout));
        }
        self.stats.attempts += 1;
        self.requests.push((id, open.serial));
        Request {
            id: request,
            client: id,
            node,
            kind: open.request(),
        }
    }

    fn give_up(&mut self, id: ClientId, place_open: usize, now: u64) {
        let think = self.rng.below(nanos(self.config.think_max));
        let open = self.clients[place(id)].close(place_open, now.saturating_add(think));
        self.marks.hit(Mark::RequestAbandoned);
        if open.refused == open.attempts {
            self.stats.failed += 1;
            if let Some(operation) = open.operation {
                self.history.complete(operation, Outcome::Failed, now);
            }
        } else {
            self.stats.unknown += 1;
        }
    }

    // --- The end ---

    /// From now on nothing new is begun, and nothing is given up.
    pub fn drain(&mut self, now: u64) {
        self.phase = Phase::Draining;
        for id in 0..self.config.clients {
            for open in &mut self.clients[place(ClientId(id))].open {
                open.due = open.due.min(now.saturating_add(nanos(self.config.timeout)));
            }
            self.rearm(ClientId(id));
        }
    }

    /// Operations that are neither answered nor given up.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.clients.iter().map(|client| client.open.len()).sum()
    }

    /// Judges all that was seen: by the indexes, by the search for a legal order that ignores
    /// them, and by the number of times that each command took effect.
    ///
    /// # Errors
    /// When no register could have answered so, or a command took effect twice.
    pub fn verdict(&self, _now: u64) -> Result<Stats, Violation> {
        let broken = |error: &dyn ToString| Violation::new(LINEARIZABLE, error.to_string());
        by_index::check(&self.history).map_err(|error| broken(&error))?;
        wgl::check(&self.history).map_err(|error| broken(&error))?;
        by_index::check_exactly_once(self.effects.all())
            .map_err(|error| Violation::new(ONCE, error.to_string()))?;
        let mut stats = self.stats;
        stats.unknown += self.outstanding() as u64;
        Ok(stats)
    }

    /// What was done so far.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What the clients came across.
    #[must_use]
    pub const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// What the clients saw.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    // --- Small things ---

    fn rearm(&mut self, id: ClientId) {
        let draining = self.phase == Phase::Draining;
        if let (Some(client), Some(wake)) =
            (self.clients.get(place(id)), self.wakes.get_mut(place(id)))
        {
            let begins = if draining { u64::MAX } else { client.begins() };
            *wake = client.earliest_due().min(begins);
        }
    }

    /// The client turns to the node that it was told of, or to any.
    fn elsewhere(&mut self, id: ClientId) {
        let any = self.any_node();
        let client = &mut self.clients[place(id)];
        client.target = client.hint.take().unwrap_or(any);
    }

    fn any_node(&mut self) -> NodeId {
        NodeId(1 + self.rng.below(self.config.nodes))
    }

    fn draws(&mut self, per_cent: u8) -> bool {
        self.rng.below(100) < u64::from(per_cent)
    }
}

fn place(id: ClientId) -> usize {
    usize::try_from(id.0).expect("a client's number fits into memory")
}
