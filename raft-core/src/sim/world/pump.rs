//! Clients that speak any language: they send the commands they are given, and look on.
//!
//! They have no opinion on what an answer should be, only that every replica gives the same at the
//! same place of the log. Commands are sent once: one without an answer is left in doubt.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Clients;
use crate::event::Refusal;
use crate::sim::ghost::Violation;
use crate::sim::marks::Marks;
use crate::sim::rng::{Rng, fold};
use crate::sim::workload::{Answer, ClientId, Request, RequestId, RequestKind, Stats};
use crate::types::{Index, NodeId};

/// Clients that send commands from a source, one after another each.
pub struct Pump {
    source: Box<dyn FnMut(&mut Rng) -> Bytes>,
    rng: Rng,
    nodes: u64,
    patience: u64,
    think: u64,
    clients: Vec<Client>,
    requests: u64,
    draining: bool,
    /// What every machine must have answered at an index, as a hash.
    answers: BTreeMap<Index, u64>,
    stats: Stats,
    marks: Marks,
}

struct Client {
    /// When it does something next.
    due: u64,
    /// The attempt that is under way.
    waits_for: Option<RequestId>,
    target: NodeId,
}

impl Pump {
    /// So many clients of the nodes `1..=nodes`, that think for up to `think` nanoseconds and wait
    /// for an answer for `patience`.
    #[must_use]
    pub fn new(
        seed: u64,
        nodes: u64,
        clients: u32,
        (think, patience): (u64, u64),
        source: Box<dyn FnMut(&mut Rng) -> Bytes>,
    ) -> Self {
        let idle = |_| Client {
            due: 0,
            waits_for: None,
            target: NodeId(1),
        };
        Self {
            source,
            rng: Rng::new(seed),
            nodes,
            patience,
            think,
            clients: (0..clients).map(idle).collect(),
            requests: 0,
            draining: false,
            answers: BTreeMap::new(),
            stats: Stats::default(),
            marks: Marks::default(),
        }
    }
}

impl Clients for Pump {
    fn next_wake(&self) -> Option<(u64, ClientId)> {
        let wishes = self
            .clients
            .iter()
            .zip(0..)
            .map(|(client, id)| (client.due, ClientId(id)));
        wishes.min().filter(|(due, _)| *due < u64::MAX)
    }

    fn wake(&mut self, id: ClientId, now: u64) -> Option<Request> {
        let client = self.clients.get_mut(id.0 as usize)?;
        if client.waits_for.take().is_some() {
            self.stats.unknown += 1;
            self.stats.timeouts += 1;
            client.target = NodeId(1 + self.rng.below(self.nodes));
        }
        if self.draining {
            client.due = u64::MAX;
            return None;
        }
        let request = RequestId(self.requests);
        self.requests += 1;
        self.stats.operations += 1;
        self.stats.attempts += 1;
        client.waits_for = Some(request);
        client.due = now + self.patience.max(1);
        let kind = RequestKind::Command((self.source)(&mut self.rng));
        Some(Request {
            id: request,
            client: id,
            node: client.target,
            kind,
        })
    }

    fn answered(
        &mut self,
        id: RequestId,
        answer: Answer,
        _index: Index,
        now: u64,
    ) -> Result<(), Violation> {
        let think = self.rng.below(self.think + 1);
        let elsewhere = NodeId(1 + self.rng.below(self.nodes));
        let mut clients = self.clients.iter_mut();
        let Some(client) = clients.find(|client| client.waits_for == Some(id)) else {
            return Ok(());
        };
        client.waits_for = None;
        client.due = now + 1 + think;
        match answer {
            Answer::Done(_) => self.stats.ok += 1,
            Answer::Refused(reason) => {
                self.stats.failed += 1;
                self.stats.refused += 1;
                let known = if let Refusal::NotLeader(leader) = reason {
                    leader
                } else {
                    None
                };
                client.target = known.unwrap_or(elsewhere);
            }
            Answer::Unknown => self.stats.unknown += 1,
        }
        Ok(())
    }

    fn applied(
        &mut self,
        node: NodeId,
        index: Index,
        command: &[u8],
        answer: &[u8],
    ) -> Result<(), Violation> {
        let bytes = command.iter().chain(answer);
        let hash = bytes.fold(command.len() as u64, |hash, byte| {
            fold(hash, u64::from(*byte))
        });
        let first = *self.answers.entry(index).or_insert(hash);
        if first == hash {
            return Ok(());
        }
        let detail = format!("{node} applied {index} otherwise than the node that was first");
        Err(Violation {
            invariant: "10: machines answer alike",
            detail,
        })
    }

    fn drain(&mut self, _now: u64) {
        self.draining = true;
    }

    fn outstanding(&self) -> usize {
        self.clients
            .iter()
            .filter(|client| client.waits_for.is_some())
            .count()
    }

    fn verdict(&self, _now: u64) -> Result<Stats, Violation> {
        Ok(self.stats)
    }

    fn stats(&self) -> Stats {
        self.stats
    }

    fn marks(&self) -> &Marks {
        &self.marks
    }
}
