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

mod client;
mod effects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use self::client::{Client, Next, Open, What};
use self::effects::Effects;
use crate::event::{Consistency, Refusal};
use crate::sim::ghost::Violation;
use crate::sim::history::{History, INITIAL_VALUE, Outcome, Returned};
use crate::sim::machine::{self, Action, Command, Response};
use crate::sim::marks::{Mark, Marks};
use crate::sim::rng::Rng;
use crate::sim::{by_index, wgl};
use crate::types::{Index, NodeId, nanos};

const LINEARIZABLE: &str = "15: linearizability";
const ONCE: &str = "16: a command takes effect once";
const WELL_FORMED: &str = "16: a command is answered as it was asked";

/// So many clients share their keys.
const GROUP: u32 = 8;
/// So many operations are under way on a key at most, pipelined ones included: with more, the
/// search for a legal order would take too long.
const KEY_OPEN_MAX: usize = 8;

/// A client does not begin a command so many after the oldest that it still waits for: the machine
/// keeps the answers in between, and not without limit.
const AHEAD_MAX: u64 = 64;
const _: () = assert!(
    AHEAD_MAX < machine::ANSWERS_MAX as u64,
    "the machine has room for them"
);
/// A client that gives up does so after about this many refusals, or one timeout.
const REFUSALS_BORNE: u64 = 16;

/// Names a client: 0, 1, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// Names one attempt at an operation; unique in a world, so it does well as its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Who asks what, how often.
#[derive(Clone, Debug)]
pub struct WorkloadConfig {
    /// From this all randomness comes.
    pub seed: u64,
    /// The nodes `1..=nodes` are asked.
    pub nodes: u64,
    /// How many clients there are.
    pub clients: u32,
    /// How many keys each group of 8 clients shares.
    pub keys_per_group: u64,
    /// Every third client has up to this many operations under way; the others have one.
    pub pipeline_max: usize,
    /// How long a client thinks between two operations, at most.
    pub think_max: Duration,
    /// For how long a client waits for an answer.
    pub timeout: Duration,
    /// No operation is begun after this many.
    pub operations_max: usize,
    /// The bound of reads with bounded staleness.
    pub staleness_max: Duration,
    /// What is asked.
    pub mix: Mix,
}

/// How often what is asked, in per cent; what is left of 100 are linearizable reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Store a value.
    pub put: u8,
    /// Store a value if another one is there.
    pub compare_and_set: u8,
    /// Read, as a command in the log.
    pub get: u8,
    /// Read something that is not too old.
    pub read_bounded: u8,
    /// Read whatever a node has.
    pub read_local: u8,
    /// Of the commands: sent to two nodes at once.
    pub duplicate: u8,
    /// Of what timed out: given up instead of tried again.
    pub abandon: u8,
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            nodes: 3,
            clients: 8,
            keys_per_group: 3,
            pipeline_max: 4,
            think_max: Duration::from_millis(20),
            timeout: Duration::from_millis(300),
            operations_max: 10_000,
            staleness_max: Duration::from_millis(500),
            mix: Mix {
                put: 35,
                compare_and_set: 20,
                get: 5,
                read_bounded: 5,
                read_local: 5,
                duplicate: 10,
                abandon: 20,
            },
        }
    }
}

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

    // --- New operations ---

    fn begin(&mut self, id: ClientId, now: u64) -> Option<Request> {
        if self.stats.operations >= self.config.operations_max as u64 {
            self.clients[place(id)].ready = u64::MAX;
            return None;
        }
        let crowded = self.clients[place(id)].ahead() >= AHEAD_MAX;
        let Some(key) = self.choose_key(id).filter(|_| !crowded) else {
            let pause = nanos(self.config.timeout) / 16;
            self.clients[place(id)].ready = now.saturating_add(1 + self.rng.below(pause));
            return None;
        };
        let what = self.choose(id, key);
        let operation = match what.in_history() {
            Some(kind) => Some(self.history.call(u64::from(id.0), key, kind, now)?),
            None => None,
        };
        let client = &mut self.clients[place(id)];
        let serial = client.serials;
        client.serials += 1;
        if let What::Command { sequence, .. } = what {
            self.effects.begun(id, sequence, operation);
        }
        let open = Open {
            serial,
            key,
            what,
            operation,
            attempts: 0,
            refused: 0,
            next: Next::Send,
            due: now,
            called: now,
        };
        client.open.push(open);
        self.stats.operations += 1;
        let place_open = client.open.len() - 1;
        Some(self.send(id, place_open, now))
    }

    /// A key of the client's group that is not too busy.
    fn choose_key(&mut self, id: ClientId) -> Option<u64> {
        let (group, keys) = (id.0 / GROUP, self.config.keys_per_group.max(1));
        let key = u64::from(group) * keys + self.rng.below(keys);
        let of_group = self
            .clients
            .chunks(place(ClientId(GROUP)))
            .nth(place(ClientId(group)))?;
        let open = of_group.iter().flat_map(|client| &client.open);
        (open.filter(|open| open.key == key).count() < KEY_OPEN_MAX).then_some(key)
    }

    fn choose(&mut self, id: ClientId, key: u64) -> What {
        let Mix {
            put,
            compare_and_set,
            get,
            read_bounded,
            read_local,
            ..
        } = self.config.mix;
        let mut dice = self.rng.below(100);
        let mut is = |share: u8| {
            let hit = dice < u64::from(share);
            dice = if hit {
                u64::MAX
            } else {
                dice.saturating_sub(u64::from(share))
            };
            hit
        };
        let (put, swap, get) = (is(put), is(compare_and_set), is(get));
        let (bounded, local) = (is(read_bounded), is(read_local));
        if bounded {
            return What::Read(Consistency::Bounded(self.config.staleness_max));
        }
        if local {
            return What::Read(Consistency::Local);
        }
        if !(put || swap || get) {
            return What::Read(Consistency::Linearizable);
        }
        let action = if get {
            Action::Get
        } else {
            self.written += 1;
            let new = self.written;
            if put {
                Action::Put(new)
            } else {
                self.swap(key, new)
            }
        };
        let client = &mut self.clients[place(id)];
        client.sequence += 1;
        let (sequence, floor) = (client.sequence, client.floor());
        let command = Command {
            client: u64::from(id.0),
            sequence,
            floor,
            key,
            action,
        };
        What::Command {
            sequence,
            action,
            bytes: command.encode(),
        }
    }

    /// A swap that mostly expects what was seen last, so that many succeed and some don't.
    fn swap(&mut self, key: u64, new: u64) -> Action {
        let seen = self.seen.get(&key).copied().unwrap_or(INITIAL_VALUE);
        let expect = if self.rng.below(5) == 0 {
            self.rng.below(new)
        } else {
            seen
        };
        Action::CompareAndSet { expect, new }
    }

    // --- Answers ---

    /// How an attempt ended. For a read, `index` is what the node had applied when its machine was
    /// asked.
    ///
    /// # Errors
    /// When nothing that can have happened explains the answer.
    pub fn answered(
        &mut self,
        id: RequestId,
        answer: Answer,
        index: Index,
        now: u64,
    ) -> Result<(), Violation> {
        let request = usize::try_from(id.0)
            .ok()
            .and_then(|id| self.requests.get(id));
        let Some((client, serial)) = request.copied() else {
            return Ok(());
        };
        let found = self.clients[place(client)].find(serial);
        // An answer to what was answered before, or given up.
        let Some(open) = found else { return Ok(()) };
        match answer {
            Answer::Done(bytes) => self.done(client, open, &bytes, index, now)?,
            Answer::Refused(reason) => self.refused(client, open, reason, now),
            Answer::Unknown => self.retry(client, open, now),
        }
        self.rearm(client);
        Ok(())
    }

    fn done(
        &mut self,
        id: ClientId,
        place_open: usize,
        bytes: &[u8],
        index: Index,
        now: u64,
    ) -> Result<(), Violation> {
        let open = &self.clients[place(id)].open[place_open];
        let key = open.key;
        let returned = match open.what {
            What::Command { sequence, .. } => {
                let Some(response) = Response::decode(bytes) else {
                    return Err(Violation::new(WELL_FORMED, format!("{open:?}: {bytes:?}")));
                };
                match response {
                    Response::Done { .. } => {}
                    Response::Full => {
                        self.retry(id, place_open, now);
                        return Ok(());
                    }
                    Response::Stale | Response::Malformed => {
                        return Err(Violation::new(ONCE, format!("{open:?}: {response:?}")));
                    }
                }
                self.effects.check_answer(id, sequence, response)?
            }
            What::Read(_) => {
                let Some(value) = machine::value(bytes) else {
                    return Err(Violation::new(WELL_FORMED, format!("{open:?}: {bytes:?}")));
                };
                self.effects.check_read(key, value, index)?;
                Returned::Value(value)
            }
        };
        self.complete(id, place_open, returned, index, now);
        Ok(())
    }

    fn complete(
        &mut self,
        id: ClientId,
        place_open: usize,
        returned: Returned,
        index: Index,
        now: u64,
    ) {
        let think = self.rng.below(nanos(self.config.think_max));
        let open = self.clients[place(id)].close(place_open, now.saturating_add(think));
        if let Some(operation) = open.operation {
            self.history
                .complete(operation, Outcome::Ok(returned), now.max(open.called));
            if !open.is_command() {
                self.history.record_index(operation, index.0);
            }
        }
        let shown = match returned {
            Returned::Value(value) | Returned::Mismatch { found: value } => Some(value),
            Returned::Written | Returned::Swapped => open.what.value_new(),
        };
        if let Some(value) = shown {
            self.seen.insert(open.key, value);
        }
        self.stats.ok += 1;
        match open.what {
            What::Command { .. } => self.stats.commands += 1,
            What::Read(Consistency::Linearizable) => self.stats.reads_linearizable += 1,
            What::Read(Consistency::Bounded(_)) => self.stats.reads_bounded += 1,
            What::Read(Consistency::Local) => self.stats.reads_local += 1,
        }
    }

    fn refused(&mut self, id: ClientId, place_open: usize, reason: Refusal, now: u64) {
        self.stats.refused += 1;
        let listens = self.rng.below(10) < 8;
        let client = &mut self.clients[place(id)];
        client.open[place_open].refused += 1;
        if let Refusal::NotLeader(Some(leader)) = reason
            && listens
        {
            client.hint = Some(leader);
        }
        self.retry(id, place_open, now);
    }

    /// Another attempt, after a while; unless one that may still be answered is under way.
    fn retry(&mut self, id: ClientId, place_open: usize, now: u64) {
        let pause = nanos(self.config.timeout) / 16;
        let due = now.saturating_add(pause / 4 + self.rng.below(pause));
        let open = &mut self.clients[place(id)].open[place_open];
        if open.next != Next::Duplicate {
            (open.next, open.due) = (Next::Retry, due);
        }
    }

    // --- What the machines did ---

    /// A machine applied a command and gave this answer. Every machine reports all of them, in the
    /// order of the log.
    ///
    /// # Errors
    /// When another machine answered otherwise, or when a command took effect twice.
    pub fn applied(
        &mut self,
        node: NodeId,
        index: Index,
        command: &[u8],
        answer: &[u8],
    ) -> Result<(), Violation> {
        if !self.effects.is_news(node, index, command, answer)? {
            return Ok(());
        }
        let (Some(command), Some(response)) = (Command::decode(command), Response::decode(answer))
        else {
            return Ok(());
        };
        match response {
            Response::Done { index: at, .. } => {
                let effect = self.effects.record(node, index, command, response)?;
                if at < index {
                    self.marks.hit(Mark::DuplicateSuppressed);
                }
                if let Some(operation) = effect {
                    self.history.record_index(operation, at.0);
                }
            }
            Response::Stale => self.marks.hit(Mark::SessionStale),
            Response::Full | Response::Malformed => {}
        }
        Ok(())
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
