//! Between the clients and the servers: requests on their way there, answers on their way back.
//!
//! This file does not know what the clients ask, or what they make of an answer.

use std::time::Duration;

use bytes::Bytes;

use super::{Happening, World};
use crate::event::Event;
use crate::port::StateMachine;
use crate::sim::faults::Plan;
use crate::sim::ghost::Violation;
use crate::sim::machine::{self, Registers};
use crate::sim::marks::Marks;
use crate::sim::net::place;
use crate::sim::workload::{
    Answer, ClientId, Mix, Request, RequestId, RequestKind, Stats, Workload, WorkloadConfig,
};
use crate::types::{Index, NodeId, Ticket};

/// What runs in the simulated cluster, and who uses it.
pub struct Service {
    /// Makes the machine of a node, empty.
    pub machine: Box<dyn Fn(NodeId) -> Box<dyn StateMachine>>,
    /// A number that two machines share only if they hold the same.
    pub digest: fn(&dyn StateMachine) -> u64,
    /// The clients.
    pub clients: Box<dyn Clients>,
}

/// Who uses a simulated cluster. [`Workload`] uses the register machine; a machine of another kind
/// wants clients that speak its language.
pub trait Clients {
    /// The earliest wish of any client, and when.
    fn next_wake(&self) -> Option<(u64, ClientId)>;

    /// A client gets its turn; at most one request a call. When a wish was due, this must move it
    /// into the future or fulfil it.
    fn wake(&mut self, client: ClientId, now: u64) -> Option<Request>;

    /// How an attempt ended. For a read, `index` is what the node had applied when it answered.
    ///
    /// # Errors
    /// When the answer is wrong.
    fn answered(
        &mut self,
        id: RequestId,
        answer: Answer,
        index: Index,
        now: u64,
    ) -> Result<(), Violation>;

    /// The machine of a node applied a command and gave this answer.
    ///
    /// # Errors
    /// When it must not have, or must have answered otherwise.
    fn applied(
        &mut self,
        node: NodeId,
        index: Index,
        command: &[u8],
        answer: &[u8],
    ) -> Result<(), Violation>;

    /// From now on nothing new is begun and nothing is given up.
    fn drain(&mut self, now: u64);

    /// Operations that are neither answered nor given up.
    fn outstanding(&self) -> usize;

    /// What can be said at the end.
    ///
    /// # Errors
    /// When what was observed can't be explained.
    fn verdict(&self, now: u64) -> Result<Stats, Violation>;

    /// What was done so far.
    fn stats(&self) -> Stats;

    /// What the clients came across.
    fn marks(&self) -> &Marks;
}

impl Clients for Workload {
    fn next_wake(&self) -> Option<(u64, ClientId)> {
        self.next_wake()
    }

    fn wake(&mut self, client: ClientId, now: u64) -> Option<Request> {
        self.wake(client, now)
    }

    fn answered(
        &mut self,
        id: RequestId,
        answer: Answer,
        index: Index,
        now: u64,
    ) -> Result<(), Violation> {
        self.answered(id, answer, index, now)
    }

    fn applied(
        &mut self,
        node: NodeId,
        index: Index,
        command: &[u8],
        answer: &[u8],
    ) -> Result<(), Violation> {
        self.applied(node, index, command, answer)
    }

    fn drain(&mut self, now: u64) {
        self.drain(now);
    }

    fn outstanding(&self) -> usize {
        self.outstanding()
    }

    fn verdict(&self, now: u64) -> Result<Stats, Violation> {
        self.verdict(now)
    }

    fn stats(&self) -> Stats {
        *self.stats()
    }

    fn marks(&self) -> &Marks {
        self.marks()
    }
}

impl World {
    /// Schedules the next look at the clients, unless an earlier one is scheduled anyway.
    pub(super) fn arm_clients(&mut self) {
        if let Some((at, _)) = self.service.clients.next_wake()
            && at.max(self.now) < self.clients_at
        {
            self.clients_at = at.max(self.now);
            self.schedule.push(self.clients_at, Happening::Clients);
        }
    }

    pub(super) fn wake_clients(&mut self) -> Result<(), Violation> {
        if self.now != self.clients_at {
            return Ok(());
        }
        self.clients_at = u64::MAX;
        while let Some((at, client)) = self.service.clients.next_wake()
            && at <= self.now
        {
            if let Some(request) = self.service.clients.wake(client, self.now) {
                let at = self.now + self.client_delay();
                if !self.rng.chance(self.knobs.loss_ppm) {
                    self.schedule.push(at, Happening::Request(request));
                }
            }
        }
        self.arm_clients();
        Ok(())
    }

    fn client_delay(&mut self) -> u64 {
        self.knobs.delay_ns + self.rng.below(self.knobs.jitter_ns + 1)
    }

    /// A request arrives at a server.
    pub(super) fn request(&mut self, request: Request) -> Result<(), Violation> {
        let (target, ticket) = (place(request.node), Ticket(request.id.0));
        let Some(node) = self.nodes.get_mut(target).filter(|node| node.is_up()) else {
            return Ok(());
        };
        let event = match request.kind {
            RequestKind::Command(command) => Event::Propose { ticket, command },
            RequestKind::Read { query, consistency } => {
                node.waiting.asked.push((ticket, query));
                Event::Read {
                    ticket,
                    consistency,
                }
            }
        };
        self.receive(target, event)
    }

    /// An answer leaves a server.
    pub(super) fn answer(&mut self, node: usize, ticket: Ticket, answer: Answer, index: Index) {
        if let Some(trace) = &mut self.trace {
            trace.line(
                self.now,
                Some(node),
                super::telling::answer(ticket, &answer),
            );
        }
        if self.rng.chance(self.knobs.loss_ppm) {
            return;
        }
        let at = self.now + self.client_delay();
        self.schedule
            .push(at, Happening::Answer(RequestId(ticket.0), answer, index));
    }

    /// A read is answered from what the machine holds.
    pub(super) fn answer_read(
        &mut self,
        node: usize,
        ticket: Ticket,
        query: &Bytes,
    ) -> Result<(), Violation> {
        let machine = &self.nodes[node].machine;
        let Some(service) = &machine.service else {
            return Ok(());
        };
        let index = machine.applied;
        let answer = service.query(query)?;
        self.answer(node, ticket, Answer::Done(answer), index);
        Ok(())
    }

    pub(super) fn answer_arrives(
        &mut self,
        id: RequestId,
        answer: Answer,
        index: Index,
    ) -> Result<(), Violation> {
        self.service.clients.answered(id, answer, index, self.now)?;
        self.arm_clients();
        Ok(())
    }
}

impl Service {
    /// Registers, and the clients that the plan describes.
    #[must_use]
    pub fn registers(plan: &Plan) -> Self {
        Self {
            machine: Box::new(|_| Box::new(Registers::default())),
            digest: machine::digest,
            clients: Box::new(Workload::new(config(plan), 0)),
        }
    }
}

fn config(plan: &Plan) -> WorkloadConfig {
    let knobs = &plan.knobs;
    let percent = |knob| u8::try_from(knob).unwrap_or(100);
    WorkloadConfig {
        seed: plan.seed,
        nodes: knobs.nodes,
        clients: u32::try_from(knobs.clients).unwrap_or(1),
        keys_per_group: knobs.keys.max(1),
        pipeline_max: usize::try_from(knobs.pipeline).unwrap_or(1).max(1),
        think_max: Duration::from_nanos(knobs.think_ns),
        timeout: Duration::from_nanos(knobs.patience_ns),
        operations_max: usize::try_from(knobs.operations).unwrap_or(usize::MAX),
        staleness_max: Duration::from_nanos(knobs.staleness_ns),
        mix: Mix {
            put: percent(knobs.put_percent),
            compare_and_set: percent(knobs.cas_percent),
            get: percent(knobs.get_percent),
            read_bounded: percent(knobs.bounded_percent),
            read_local: percent(knobs.local_percent),
            duplicate: percent(knobs.twice_percent),
            abandon: percent(knobs.abandon_percent),
        },
    }
}
