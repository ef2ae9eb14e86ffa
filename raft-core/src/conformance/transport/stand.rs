//! The test stand: the nodes of one network, each with an inbox that remembers.
//!
//! It does not know the cases. Its panics name the case it stands for.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use super::TransportFixture;
use super::record::Record;
use super::samples::Numbered;
use crate::membership::{Member, Membership};
use crate::message::Message;
use crate::port::{Parcel, PortError, Transport};
use crate::types::NodeId;

/// So often something is sent or asked again before it counts as never arriving.
const ATTEMPTS_MAX: usize = 50;

pub(super) const A: NodeId = NodeId(1);
pub(super) const B: NodeId = NodeId(2);
pub(super) const C: NodeId = NodeId(3);

pub(super) struct Stand<'a> {
    name: &'static str,
    pub(super) fixture: &'a mut dyn TransportFixture,
    transports: BTreeMap<NodeId, Box<dyn Transport>>,
    /// The latest number of a parcel.
    number: u64,
}

impl<'a> Stand<'a> {
    /// Three nodes that know of each other, none of them started.
    pub(super) fn new(name: &'static str, fixture: &'a mut dyn TransportFixture) -> Self {
        let ids = [A, B, C];
        let transports = ids.into_iter().zip(fixture.fresh(&ids)).collect();
        let stand = Self {
            name,
            fixture,
            transports,
            number: 0,
        };
        stand.tell_members();
        stand
    }

    /// Tells every node where all are.
    pub(super) fn tell_members(&self) {
        let members = [A, B, C].map(|id| (id, Member::at(self.fixture.address(id))));
        let members = Membership::of_voters(members);
        for transport in self.transports.values() {
            transport.members(&members);
        }
    }

    pub(super) fn transport(&self, id: NodeId) -> &dyn Transport {
        match self.transports.get(&id) {
            Some(transport) => &**transport,
            None => self.fail(&format!("the fixture made no endpoint of node {id}")),
        }
    }

    /// Starts the node with an inbox of its own.
    pub(super) fn start(&self, id: NodeId) -> Arc<Record> {
        let record = Arc::new(Record::default());
        let inbox = Arc::clone(&record);
        let started = self.transport(id).start(inbox);
        self.ok("start", started);
        record
    }

    pub(super) fn start_all(&self) -> [Arc<Record>; 3] {
        [A, B, C].map(|id| self.start(id))
    }

    /// The node starts again elsewhere; its new endpoint is not started.
    pub(super) fn relocate(&mut self, id: NodeId) {
        self.transports.remove(&id);
        let transport = self.fixture.relocate(id);
        self.transports.insert(id, transport);
    }

    /// Makes parcels from one node to another that no other parcel equals.
    pub(super) fn make<T>(
        &mut self,
        (from, to): (NodeId, NodeId),
        make: impl FnOnce(&mut Numbered) -> T,
    ) -> T {
        let mut numbered = Numbered {
            from,
            to,
            next: self.number,
        };
        let made = make(&mut numbered);
        self.number = numbered.next;
        made
    }

    /// Sends a small message. What was sent.
    pub(super) fn send(&mut self, from: NodeId, to: NodeId) -> Parcel {
        let parcel = self.make((from, to), |made| made.message(Message::TimeoutNow));
        self.transport(from).send(parcel.clone());
        parcel
    }

    /// Sends until something of it arrives.
    pub(super) fn reach(&mut self, from: NodeId, to: NodeId, inbox: &Record) {
        let arrived = (0..ATTEMPTS_MAX).any(|_| {
            let parcel = self.send(from, to);
            self.fixture.settle(&mut || inbox.holds(&parcel))
        });
        self.check(arrived, &format!("node {to} can't be reached from {from}"));
    }

    /// Waits until that holds.
    pub(super) fn wait(&mut self, what: &str, mut until: impl FnMut() -> bool) {
        let held = self.fixture.settle(&mut until);
        self.check(held, &format!("{what} did not happen"));
    }

    /// Tries until it works: what is asked over a network may get lost.
    pub(super) fn retry<T>(&self, what: &str, mut once: impl FnMut() -> Result<T, PortError>) -> T {
        for _ in 1..ATTEMPTS_MAX {
            if let Ok(done) = once() {
                return done;
            }
        }
        self.ok(what, once())
    }

    pub(super) fn ok<T>(&self, what: &str, result: Result<T, PortError>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.fail(&format!("{what}: {:?}: {error}", error.kind)),
        }
    }

    pub(super) fn check(&self, condition: bool, otherwise: &str) {
        if !condition {
            self.fail(&otherwise);
        }
    }

    pub(super) fn fail(&self, why: &dyn Display) -> ! {
        panic!("transport, {}: {why}", self.name)
    }
}
