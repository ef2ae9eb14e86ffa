//! What comes back: answers to the clients, and word of what the machines did.
//!
//! This file does not know when anything is asked again; it only says that it should be.

use super::client::{Next, What};
use super::{Answer, ClientId, ONCE, RequestId, Workload, place};
use crate::event::{Consistency, Refusal};
use crate::sim::ghost::Violation;
use crate::sim::history::{Outcome, Returned};
use crate::sim::machine::{self, Command, Response};
use crate::sim::marks::Mark;
use crate::types::{Index, NodeId, nanos};

const WELL_FORMED: &str = "16: a command is answered as it was asked";

impl Workload {
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
}
