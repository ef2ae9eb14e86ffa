//! All that the network knows: its nodes, its links, what it does to parcels.
//!
//! It decides and delivers nothing: no inbox is called here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft_core::NodeId;
use raft_core::port::{Inbox, Parcel};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Direct;
use super::faults::{Faults, Tallies};
use super::links::Links;
use super::on_the_way::{OnTheWay, Ticket};
use crate::dice::Dice;

pub(super) struct State {
    nodes: BTreeMap<NodeId, Node>,
    pub(super) links: Links,
    pub(super) faults: Faults,
    pub(super) dice: Dice,
    pub(super) on_the_way: OnTheWay,
    /// Whose clock counts, once parcels take time.
    runtime: Option<Handle>,
    /// The last number given to a registration or a session.
    number: u64,
}

struct Node {
    name: String,
    registration: u64,
    /// While it is started.
    listening: Option<Listening>,
}

#[derive(Clone)]
pub(super) struct Listening {
    pub(super) inbox: Arc<dyn Inbox>,
    /// Ends with a stop: what was sent before arrives at nobody after it.
    pub(super) session: u64,
}

/// What a sender may remember.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) epoch: u64,
    /// Who is reached at once; `None` if that is to be decided for each parcel. Weak, so that a
    /// node that has stopped is let go.
    pub(super) direct: Option<Direct>,
}

/// What becomes of a parcel.
pub(super) enum Fate {
    AtOnce(Parcel),
    OnTheWay,
    Lost,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            links: Links::default(),
            faults: Faults::default(),
            dice: Dice::new(seed),
            on_the_way: OnTheWay::default(),
            runtime: None,
            number: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Remembers the runtime that this is called in. False if one is known already.
    pub(super) fn set_runtime(&mut self) -> bool {
        let is_new = self.runtime.is_none();
        self.runtime.get_or_insert_with(Handle::current);
        is_new
    }

    // An inbox may do anything when it is dropped: those that go are handed out, to be dropped
    // outside of the lock.

    /// The number of the new registration, and where its predecessor listened.
    pub(super) fn register(&mut self, id: NodeId, name: String) -> (u64, Option<Listening>) {
        let registration = self.number();
        let node = Node {
            name,
            registration,
            listening: None,
        };
        let former = self.nodes.insert(id, node);
        (registration, former.and_then(|former| former.listening))
    }

    /// What listened before. The inbox comes back if this registration is an old one.
    pub(super) fn start(
        &mut self,
        id: NodeId,
        registration: u64,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Option<Listening>, Arc<dyn Inbox>> {
        let number = self.number();
        let Some(node) = self.node_mut(id, registration) else {
            return Err(inbox);
        };
        let session = node.listening.as_ref().map_or(number, |old| old.session);
        Ok(node.listening.replace(Listening { inbox, session }))
    }

    pub(super) fn stop(&mut self, id: NodeId, registration: u64) -> Option<Listening> {
        self.node_mut(id, registration)?.listening.take()
    }

    fn node_mut(&mut self, id: NodeId, registration: u64) -> Option<&mut Node> {
        let node = self.nodes.get_mut(&id);
        node.filter(|node| node.registration == registration)
    }

    /// The sender, if it is started and no other took its place.
    fn sender(&self, id: NodeId, registration: u64) -> Option<&Node> {
        let node = self.nodes.get(&id)?;
        (node.registration == registration && node.listening.is_some()).then_some(node)
    }

    /// Whether parcels go at once, none of them touched.
    pub(super) fn is_calm(&self) -> bool {
        self.faults.are_none() && self.on_the_way.is_empty()
    }

    pub(super) fn routes(&self, id: NodeId, registration: u64) -> Routes {
        if !self.is_calm() {
            return Routes::default();
        }
        let targets = self.nodes.keys().filter_map(|to| {
            let target = self.target(id, registration, *to)?;
            Some((*to, Arc::downgrade(&target.inbox)))
        });
        Routes {
            direct: Some(targets.collect()),
            ..Routes::default()
        }
    }

    /// Whether there is such a node, and it is started.
    pub(super) fn listens(&self, id: NodeId) -> bool {
        let node = self.nodes.get(&id);
        node.is_some_and(|node| node.listening.is_some())
    }

    /// The sender's own inbox.
    pub(super) fn inbox(&self, id: NodeId, registration: u64) -> Option<Arc<dyn Inbox>> {
        let listening = self.sender(id, registration)?.listening.as_ref()?;
        Some(Arc::clone(&listening.inbox))
    }

    /// Where a parcel goes, if it can go there.
    pub(super) fn target(&self, id: NodeId, registration: u64, to: NodeId) -> Option<Listening> {
        let sender = self.sender(id, registration)?;
        let target = self.nodes.get(&to)?;
        if !self.links.reach(&sender.name, &target.name) {
            return None;
        }
        target.listening.clone()
    }

    /// Whether anything can come back from `from`, whatever becomes of its endpoint.
    pub(super) fn may_answer(&self, from: NodeId, to: NodeId) -> bool {
        let name = |id| self.nodes.get(&id).map(|node| node.name.as_str());
        name(from)
            .zip(name(to))
            .is_some_and(|(from, to)| self.links.reach(from, to))
    }

    /// Where a parcel arrives that was on its way, unless the way is cut or its receiver has gone.
    pub(super) fn inbox_of(&self, ticket: &Ticket) -> Option<Arc<dyn Inbox>> {
        let sender = self.nodes.get(&ticket.from)?;
        let target = self.nodes.get(&ticket.to)?;
        let listening = target.listening.as_ref()?;
        let arrives =
            listening.session == ticket.session && self.links.reach(&sender.name, &target.name);
        arrives.then(|| Arc::clone(&listening.inbox))
    }

    /// The parcel, perhaps twice.
    pub(super) fn copies(&mut self, parcel: Parcel, tallies: &Tallies) -> Vec<Parcel> {
        let may_be_doubled = matches!(parcel, Parcel::Consensus(_));
        if may_be_doubled && self.dice.hits(self.faults.duplicate_per_mille) {
            Tallies::count(&tallies.duplicated);
            return vec![parcel.clone(), parcel];
        }
        vec![parcel]
    }

    pub(super) fn fate(
        &mut self,
        from: NodeId,
        to: NodeId,
        session: u64,
        parcel: Parcel,
        tallies: &Tallies,
    ) -> Fate {
        if self.dice.hits(self.faults.loss_per_mille) {
            return Fate::Lost;
        }
        let mut delay = self.dice.within(&self.faults.delay);
        let in_order = !self.dice.hits(self.faults.reorder_per_mille);
        if !in_order {
            Tallies::count(&tallies.reordered);
            let held_back = Duration::ZERO..=self.faults.held_back_max;
            delay += self.dice.within(&held_back);
        }
        let must_wait = in_order && self.on_the_way.is_busy(from, to);
        let Some(runtime) = &self.runtime else {
            return Fate::AtOnce(parcel);
        };
        if delay.is_zero() && !must_wait {
            return Fate::AtOnce(parcel);
        }
        if self.on_the_way.is_full() {
            return Fate::Lost;
        }
        // The sender may be a thread that knows nothing of the runtime and its clock.
        let in_runtime = runtime.enter();
        let now = Instant::now();
        drop(in_runtime);
        let ticket = Ticket {
            from,
            to,
            session,
            in_order,
        };
        self.on_the_way.push(ticket, parcel, now, delay);
        Fate::OnTheWay
    }
}
