//! What the commands did, by the word of the machines: once each, and everywhere the same.
//!
//! From the effects follows the value of each register at each index, and so what any read must
//! have returned. This file does not know when anything happened.

use std::collections::BTreeMap;

use super::{ClientId, ONCE, place};
use crate::sim::by_index::Applied;
use crate::sim::ghost::Violation;
use crate::sim::history::{INITIAL_VALUE, OperationId, Returned};
use crate::sim::machine::{Action, Command, Response};
use crate::sim::rng::fold;
use crate::types::{Index, NodeId};

const SAME_ANSWER: &str = "10: equal answers at equal index";
const READ: &str = "15: a read returns the value at its index";

#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    /// By index: a sum of the command and the answer there, 0 where none is known.
    answers: Vec<u64>,
    /// By client and number: the operation, and what became of it.
    commands: Vec<Vec<Recorded>>,
    /// All that took effect, in the order in which it was heard of.
    all: Vec<Applied>,
    /// By register: each value and from which index on it was there, ascending.
    values: BTreeMap<u64, Vec<(Index, u64)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Recorded {
    operation: Option<OperationId>,
    response: Option<Response>,
}

impl Effects {
    /// A client begins a command. Numbers are given one by one, from 1 on.
    pub(super) fn begun(&mut self, id: ClientId, sequence: u64, operation: Option<OperationId>) {
        let Some(slot) = self.slot(id, sequence) else {
            return;
        };
        slot.operation = operation;
    }

    fn slot(&mut self, id: ClientId, sequence: u64) -> Option<&mut Recorded> {
        let client = place(id);
        if self.commands.len() <= client {
            self.commands.resize_with(client + 1, Vec::new);
        }
        let commands = self.commands.get_mut(client)?;
        let number = usize::try_from(sequence).ok()?;
        if commands.len() <= number {
            commands.resize(number + 1, Recorded::default());
        }
        commands.get_mut(number)
    }

    /// Compares a machine's answer with those of the others; whether it is the first.
    pub(super) fn is_news(
        &mut self,
        node: NodeId,
        index: Index,
        command: &[u8],
        answer: &[u8],
    ) -> Result<bool, Violation> {
        let number = usize::try_from(index.0).expect("a simulated log fits into memory");
        if self.answers.len() <= number {
            self.answers.resize(number + 1, 0);
        }
        let sum = sum(sum(1, command), answer).max(1);
        let known = &mut self.answers[number];
        if *known == 0 {
            *known = sum;
            return Ok(true);
        }
        if *known != sum {
            let detail = format!("{node} at {index}: {command:?} answered by {answer:?}");
            return Err(Violation::new(SAME_ANSWER, detail));
        }
        Ok(false)
    }

    /// A command stands at `index`, and its answer says that it took effect, there or before.
    /// Returns whose effect it is, if this is the first that is heard of it.
    pub(super) fn record(
        &mut self,
        node: NodeId,
        index: Index,
        command: Command,
        response: Response,
    ) -> Result<Option<OperationId>, Violation> {
        let Response::Done {
            index: at,
            returned,
        } = response
        else {
            return Ok(None);
        };
        let Ok(client) = u32::try_from(command.client) else {
            return Ok(None);
        };
        let Some(slot) = self.slot(ClientId(client), command.sequence) else {
            return Ok(None);
        };
        let operation = slot.operation;
        match slot.response {
            // The answer to a duplicate is the first answer, to the letter.
            Some(known) if known != response => {
                let detail =
                    format!("{node} at {index}, {command:?}: {known:?}, then {response:?}");
                return Err(Violation::new(ONCE, detail));
            }
            Some(_) if at == index => {
                let detail = format!("{node} at {index}, {command:?}: {response:?} again");
                return Err(Violation::new(ONCE, detail));
            }
            Some(_) => return Ok(None),
            None if at != index => {
                let detail = format!("{node} at {index}, {command:?}: {response:?} never happened");
                return Err(Violation::new(ONCE, detail));
            }
            None => slot.response = Some(response),
        }
        let Command {
            client,
            sequence,
            key,
            ..
        } = command;
        self.all.push(Applied {
            client,
            sequence,
            index: at.0,
        });
        let stored = match (command.action, returned) {
            (Action::Put(value), Returned::Written) => Some(value),
            (Action::CompareAndSet { new, .. }, Returned::Swapped) => Some(new),
            (Action::Get | Action::Put(_) | Action::CompareAndSet { .. }, _) => None,
        };
        if let Some(value) = stored {
            self.values.entry(key).or_default().push((at, value));
        }
        Ok(operation)
    }

    /// What a client is told of its command is what the machines say of it.
    pub(super) fn check_answer(
        &self,
        id: ClientId,
        sequence: u64,
        response: Response,
    ) -> Result<Returned, Violation> {
        let number = usize::try_from(sequence).ok();
        let commands = self.commands.get(place(id));
        let recorded = number.and_then(|number| commands?.get(number));
        let known = recorded.and_then(|recorded| recorded.response);
        match response {
            Response::Done { returned, .. } if known == Some(response) => Ok(returned),
            Response::Done { .. } | Response::Stale | Response::Full | Response::Malformed => {
                let detail = format!(
                    "client {} command {sequence}: told {response:?}, applied {known:?}",
                    id.0
                );
                Err(Violation::new(ONCE, detail))
            }
        }
    }

    /// What a read returned is what the register held at the index that it was served from.
    pub(super) fn check_read(&self, key: u64, value: u64, index: Index) -> Result<(), Violation> {
        let values = self.values.get(&key).map_or(&[][..], Vec::as_slice);
        // Nearly all reads are of the newest values.
        let held = values.iter().rev().find(|(from, _)| *from <= index);
        let held = held.map_or(INITIAL_VALUE, |(_, value)| *value);
        if held == value {
            return Ok(());
        }
        let detail = format!("key {key} at {index}: {value}, but it was {held}");
        Err(Violation::new(READ, detail))
    }

    /// All that took effect.
    pub(super) fn all(&self) -> &[Applied] {
        &self.all
    }
}

fn sum(start: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = fold(start, bytes.len() as u64);
    for word in words {
        sum = fold(sum, u64::from_le_bytes(*word));
    }
    rest.iter()
        .fold(sum, |sum, byte| fold(sum, u64::from(*byte)))
}
