//! What all parts of a node's network have in common: its limits, counters, groups and links.
//!
//! Nothing here waits, and no lock is held while anything else is called, save an inbox.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use raft_core::membership::Membership;
use raft_core::port::{Inbox, Outcome, Parcel};
use raft_core::{GroupId, NodeId, Ticket};
use tokio::sync::{Semaphore, oneshot};

use crate::addresses::Addresses;
use crate::bulk::Throttle;
use crate::config::TcpConfig;
use crate::counters::Tally;
use crate::link::{self, Link};
use crate::listener::Door;
use crate::tasks::Tasks;

/// What all parts of a node's network have in common.
pub(crate) struct Shared {
    pub(crate) config: TcpConfig,
    pub(crate) local_address: SocketAddr,
    pub(crate) tally: Arc<Tally>,
    pub(crate) tasks: Tasks,
    /// How many more connections are taken.
    pub(crate) connections: Arc<Semaphore>,
    /// Who is connected.
    pub(crate) door: Arc<Door>,
    /// How many more snapshots may be read by others.
    pub(crate) bulk_sessions: Arc<Semaphore>,
    /// How fast they may.
    pub(crate) throttle: Throttle,
    addresses: Mutex<Addresses>,
    groups: RwLock<BTreeMap<GroupId, Arc<Group>>>,
    /// A link for each peer that something was sent to of late.
    links: RwLock<BTreeMap<NodeId, Arc<Link>>>,
}

/// What one group has of its own.
#[derive(Default)]
pub(crate) struct Group {
    /// Where its parcels go. Held while one is delivered, so that none is once it is taken away.
    inbox: RwLock<Option<Arc<dyn Inbox>>>,
    /// Who waits for an answer without being the group's node: whom was asked, and where to put it.
    guests: Mutex<BTreeMap<Ticket, (NodeId, oneshot::Sender<Outcome>)>>,
}

impl Shared {
    /// Without groups and links.
    pub(crate) fn new(config: TcpConfig, local_address: SocketAddr, tasks: Tasks) -> Self {
        Self {
            tally: tasks.tally(),
            connections: Arc::new(Semaphore::new(config.connections_max)),
            door: Arc::default(),
            bulk_sessions: Arc::new(Semaphore::new(config.bulk_sessions_max)),
            throttle: Throttle::new(config.bulk_bytes_per_second),
            config,
            local_address,
            tasks,
            addresses: Mutex::default(),
            groups: RwLock::default(),
            links: RwLock::default(),
        }
    }

    /// The address that peers are told. Empty if there is none that would be of use to them.
    pub(crate) fn advertised(&self) -> String {
        match &self.config.advertised {
            Some(address) => address.clone(),
            None if self.local_address.ip().is_unspecified() => String::new(),
            None => self.local_address.to_string(),
        }
    }

    /// The group, known from now on.
    pub(crate) fn group(&self, id: GroupId) -> Arc<Group> {
        write(&self.groups).entry(id).or_default().clone()
    }

    /// The group, if it is known.
    pub(crate) fn find_group(&self, id: GroupId) -> Option<Arc<Group>> {
        read(&self.groups).get(&id).cloned()
    }

    /// Where to try to reach the node.
    pub(crate) fn addresses_of(&self, node: NodeId) -> Vec<String> {
        lock(&self.addresses).of(node)
    }

    /// The node said where it is reached. If it was lost, it may be back.
    pub(crate) fn learn(&self, node: NodeId, address: String) {
        if !address.is_empty() && node != self.config.node {
            lock(&self.addresses).learn(node, address);
        }
        self.nudge(node);
    }

    /// The group's members are reached there from now on.
    pub(crate) fn set_members(&self, group: GroupId, membership: &Membership) {
        let moved = lock(&self.addresses).set_members(group, membership);
        for node in moved {
            self.nudge(node);
        }
    }

    /// Lets the link to the node, if there is one, try again at once.
    fn nudge(&self, node: NodeId) {
        if let Some(link) = read(&self.links).get(&node) {
            link.nudge();
        }
    }

    /// Queues a parcel for its receiver.
    pub(crate) fn send(self: &Arc<Self>, group: GroupId, parcel: Parcel) {
        let (_, to) = parcel.ends();
        {
            let links = read(&self.links);
            if let Some(link) = links.get(&to) {
                let pushed = link.push(group, parcel, &self.config, &self.tally);
                drop(links);
                if let Err(parcel) = pushed {
                    self.tell_asker(group, &parcel);
                }
                return;
            }
        }
        self.send_first(group, to, parcel);
    }

    /// Queues a parcel for a node that there is no link to, if one can be made.
    fn send_first(self: &Arc<Self>, group: GroupId, to: NodeId, parcel: Parcel) {
        let (is_known, is_member) = {
            let addresses = lock(&self.addresses);
            (!addresses.of(to).is_empty(), addresses.is_member(to))
        };
        let mut links = write(&self.links);
        let strangers_max = self.config.strangers_max;
        let is_refused = to == self.config.node
            || !is_known
            || self.tasks.is_closed()
            || !is_member && self.strangers(&links) >= strangers_max;
        if is_refused {
            drop(links);
            return self.unreachable(vec![(group, parcel)]);
        }
        let link = links.entry(to).or_insert_with(|| {
            let link = Arc::new(Link::new(to));
            let task = link::run(self.clone(), link.clone());
            self.tasks.spawn("link", task);
            link
        });
        let pushed = link.push(group, parcel, &self.config, &self.tally);
        drop(links);
        if let Err(parcel) = pushed {
            self.tell_asker(group, &parcel);
        }
    }

    /// What waited for a node that can't be reached is not sent.
    pub(crate) fn unreachable(&self, parcels: Vec<(GroupId, Parcel)>) {
        self.tally.dropped_unreachable.add(parcels.len());
        for (group, parcel) in parcels {
            self.tell_asker(group, &parcel);
        }
    }

    /// Whoever asked a question that never left need not wait for the answer.
    fn tell_asker(&self, group: GroupId, parcel: &Parcel) {
        if let Parcel::Ask(ask) = parcel
            && let Some(group) = self.find_group(group)
        {
            group.deliver(Parcel::Answer(ask.unsent()));
        }
    }

    /// Drops what waits for anybody: no task is left to send it.
    pub(crate) fn drop_links(&self) {
        let links = std::mem::take(&mut *write(&self.links));
        for link in links.values() {
            self.unreachable(link.give_up());
        }
    }

    /// How many links lead to nodes that no group names.
    fn strangers(&self, links: &BTreeMap<NodeId, Arc<Link>>) -> usize {
        let addresses = lock(&self.addresses);
        links.keys().filter(|id| !addresses.is_member(**id)).count()
    }

    /// Takes the link out if no group names its peer and nothing waits there. Says whether it did.
    pub(crate) fn retire(&self, link: &Link) -> bool {
        if lock(&self.addresses).is_member(link.peer) {
            return false;
        }
        // Parcels are pushed under the same lock: none can come in between.
        let mut links = write(&self.links);
        let is_idle = link.is_empty();
        if is_idle {
            links.remove(&link.peer);
        }
        is_idle
    }
}

impl Group {
    /// So many guests wait for an answer at most.
    const GUESTS_MAX: usize = 1024;

    /// Delivers there from now on; nowhere if `None`.
    pub(crate) fn set_inbox(&self, inbox: Option<Arc<dyn Inbox>>) {
        let former = std::mem::replace(&mut *write(&self.inbox), inbox);
        // Dropped without the lock: an inbox may be the last to hold on to a whole node.
        drop(former);
    }

    /// Where the group's parcels go.
    pub(crate) fn inbox(&self) -> Option<Arc<dyn Inbox>> {
        read(&self.inbox).clone()
    }

    /// The node's answer under that ticket is not for the inbox. False if too many wait for one.
    pub(crate) fn expect_for_guest(
        &self,
        ticket: Ticket,
        from: NodeId,
        sender: oneshot::Sender<Outcome>,
    ) -> bool {
        let mut guests = lock(&self.guests);
        if guests.len() >= Self::GUESTS_MAX {
            return false;
        }
        guests.insert(ticket, (from, sender));
        true
    }

    /// Nobody waits for the answer under that ticket any more.
    pub(crate) fn forget_guest(&self, ticket: Ticket) {
        lock(&self.guests).remove(&ticket);
    }

    /// Delivers the parcel, if there is anybody to take it. Says whether there was.
    pub(crate) fn deliver(&self, parcel: Parcel) -> bool {
        let Some(parcel) = self.deliver_to_guest(parcel) else {
            return true;
        };
        let inbox = read(&self.inbox);
        let Some(inbox) = inbox.as_ref() else {
            return false;
        };
        inbox.deliver(parcel);
        true
    }

    /// Gives the parcel back if it is for no guest.
    fn deliver_to_guest(&self, parcel: Parcel) -> Option<Parcel> {
        let Parcel::Answer(answer) = parcel else {
            return Some(parcel);
        };
        let mut guests = lock(&self.guests);
        match guests.remove(&answer.ticket) {
            Some((from, sender)) if from == answer.from => {
                // A guest that has just left wants no answer.
                drop(sender.send(answer.outcome));
                None
            }
            Some(other) => {
                guests.insert(answer.ticket, other);
                Some(Parcel::Answer(answer))
            }
            None => Some(Parcel::Answer(answer)),
        }
    }
}

/// What the locks guard is whole at any time, also where a thread panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(rwlock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    rwlock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(rwlock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    rwlock.write().unwrap_or_else(PoisonError::into_inner)
}
