//! How a client begins an operation: which key, what to ask of it, and under which number.
//!
//! This file does not know how operations end.

use super::client::{Next, Open, What};
use super::{ClientId, Mix, Request, Workload, place};
use crate::event::Consistency;
use crate::sim::history::INITIAL_VALUE;
use crate::sim::machine::{self, Action, Command};
use crate::types::nanos;

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

impl Workload {
    pub(super) fn begin(&mut self, id: ClientId, now: u64) -> Option<Request> {
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
}
