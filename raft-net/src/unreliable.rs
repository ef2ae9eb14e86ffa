//! The network in memory, as bad as a test wants it: it loses, delays, doubles and reorders what it
//! carries, and can be cut by the names of its endpoints.
//!
//! As long as nothing bad was asked for, a parcel is delivered within the call that sends it. This
//! file knows no bytes and no sockets.

mod faults;
mod links;
mod on_the_way;
mod source;
mod state;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use raft_core::port::{Inbox, Parcel, PortError, SnapshotSource, Transport};
use raft_core::{Membership, NodeId, Position};
use tokio::sync::Notify;

pub use faults::{Faults, NetCounters};

use faults::Tallies;
use source::Source;
use state::{Fate, Routes, State};

/// A network in memory. A clone is the same network.
#[derive(Clone)]
pub struct UnreliableNet(Arc<Shared>);

/// The way of one node into an [`UnreliableNet`].
///
/// Other nodes are found by their ids, wherever a configuration says that they are.
pub struct UnreliableTransport {
    net: Arc<Shared>,
    id: NodeId,
    /// Tells this endpoint from an earlier or later one of the same node.
    registration: u64,
    /// What was true at some epoch.
    routes: Mutex<Routes>,
}

struct Shared {
    /// Grows with every change of what [`Routes`] say, so that a sender need not look at the state.
    epoch: AtomicU64,
    state: Mutex<State>,
    tallies: Tallies,
    /// Something is on its way that may be due before what the courier waits for.
    wake: Arc<Notify>,
}

impl Shared {
    /// Every change is whole before the lock is let go. No inbox is called under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = change(&mut state);
        self.epoch.fetch_add(1, Ordering::Release);
        done
    }

    fn deliver(&self, inbox: &Arc<dyn Inbox>, parcel: Parcel) {
        inbox.deliver(parcel);
        Tallies::count(&self.tallies.delivered);
    }
}

impl Drop for Shared {
    /// The courier ends when it finds that the network is gone.
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl UnreliableNet {
    /// A network that is perfect until told otherwise. All that it ever draws comes from the seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            epoch: AtomicU64::new(1),
            state: Mutex::new(State::new(seed)),
            tallies: Tallies::default(),
            wake: Arc::default(),
        }))
    }

    /// The endpoint of a node. It can be reached once it was started. Several nodes may share a
    /// name: a cut never comes between them. The same id once more is the node started again: its
    /// earlier endpoint is dead, and what was on its way to it is lost.
    #[must_use]
    pub fn endpoint(&self, name: impl Into<String>, id: NodeId) -> UnreliableTransport {
        let name = name.into();
        let (registration, former) = self.0.change(|state| state.register(id, name));
        drop(former);
        UnreliableTransport {
            net: Arc::clone(&self.0),
            id,
            registration,
            routes: Mutex::default(),
        }
    }

    /// What befalls parcels from now on. Once any of them took time, the network belongs to the
    /// runtime that this was first called in, and what takes time arrives only while that runs.
    ///
    /// # Panics
    /// When parcels are to take time, and this is called outside of a tokio runtime: its clock
    /// measures that time, and one of its tasks delivers.
    pub fn set_faults(&self, faults: Faults) {
        if faults.take_time() && self.0.lock().set_runtime() {
            tokio::spawn(courier(Arc::downgrade(&self.0), Arc::clone(&self.0.wake)));
        }
        self.0.change(|state| state.faults = faults);
    }

    /// Nothing goes from one name to another any more; the way back stays as it is. What was on its
    /// way is lost.
    pub fn cut(&self, from: &str, to: &str) {
        self.0.change(|state| state.links.cut(from, to));
    }

    /// Takes back [`UnreliableNet::cut`] of the same names.
    pub fn mend(&self, from: &str, to: &str) {
        self.0.change(|state| state.links.mend(from, to));
    }

    /// Names reach each other only within a side. Who is in no side is alone. It takes the place of
    /// an earlier partition.
    pub fn partition(&self, sides: &[&[&str]]) {
        self.0.change(|state| state.links.partition(sides));
    }

    /// This name is alone, until [`UnreliableNet::heal`].
    pub fn isolate(&self, name: &str) {
        self.0.change(|state| state.links.isolate(name));
    }

    /// Takes back every cut, partition and isolation. Faults stay.
    pub fn heal(&self) {
        self.0.change(|state| state.links.heal());
    }

    /// What became of the parcels so far.
    #[must_use]
    pub fn counters(&self) -> NetCounters {
        self.0.tallies.read()
    }
}

impl UnreliableTransport {
    /// The inbox of `to`, if a parcel may go there at once, untouched.
    fn route(&self, to: NodeId) -> Route {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.epoch != self.net.epoch.load(Ordering::Acquire) {
            let state = self.net.lock();
            *routes = state.routes(self.id, self.registration);
            // Read under the lock under which it is changed.
            routes.epoch = self.net.epoch.load(Ordering::Acquire);
        }
        match &routes.direct {
            None => Route::Careful,
            Some(direct) => match direct.get(&to).and_then(Weak::upgrade) {
                Some(inbox) => Route::Direct(inbox),
                None => Route::None,
            },
        }
    }

    fn send_carefully(&self, to: NodeId, parcel: Parcel) {
        let tallies = &self.net.tallies;
        let (inbox, parcels) = {
            let mut state = self.net.lock();
            let Some(target) = state.target(self.id, self.registration, to) else {
                drop(state);
                return self.give_up(&parcel);
            };
            let mut at_once = Vec::new();
            for parcel in state.copies(parcel, tallies) {
                match state.fate(self.id, to, target.session, parcel, tallies) {
                    Fate::AtOnce(parcel) => at_once.push(parcel),
                    Fate::OnTheWay => self.net.wake.notify_one(),
                    Fate::Lost => Tallies::count(&tallies.lost),
                }
            }
            (target.inbox, at_once)
        };
        for parcel in parcels {
            self.net.deliver(&inbox, parcel);
        }
    }

    /// The parcel goes nowhere. Where nobody listens a question is refused, as a connection would
    /// be; where the way is cut, nobody knows.
    fn give_up(&self, parcel: &Parcel) {
        Tallies::count(&self.net.tallies.unreachable);
        if let Parcel::Ask(ask) = parcel {
            let asker = {
                let state = self.net.lock();
                let may_know = !state.listens(ask.to);
                state.inbox(self.id, self.registration).filter(|_| may_know)
            };
            if let Some(inbox) = asker {
                inbox.deliver(Parcel::Answer(ask.unsent()));
            }
        }
    }
}

enum Route {
    Direct(Arc<dyn Inbox>),
    /// Whether and when it arrives is to be drawn.
    Careful,
    None,
}

impl Transport for UnreliableTransport {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), PortError> {
        let change = |state: &mut State| state.start(self.id, self.registration, inbox);
        match self.net.change(change) {
            Ok(_) => Ok(()),
            Err(_) => Err(PortError::misused(format!(
                "node {} has another endpoint since",
                self.id
            ))),
        }
    }

    fn stop(&self) {
        // Dropped outside of the lock: an inbox may do anything when it goes.
        let inbox = self
            .net
            .change(|state| state.stop(self.id, self.registration));
        drop(inbox);
    }

    fn members(&self, _: &Membership) {}

    fn send(&self, parcel: Parcel) {
        let (_, to) = parcel.ends();
        match self.route(to) {
            Route::Direct(inbox) => self.net.deliver(&inbox, parcel),
            Route::Careful => self.send_carefully(to, parcel),
            Route::None => self.give_up(&parcel),
        }
    }

    fn open_snapshot(
        &self,
        from: NodeId,
        last: Position,
    ) -> Result<Box<dyn SnapshotSource>, PortError> {
        let connection = source::Connection::open(&self.net, (self.id, self.registration), from)?;
        let source = connection.inbox()?.open_snapshot()?;
        let newest = source.manifest().meta.last;
        if newest < last {
            let why = format!("the newest snapshot of node {from} ends at {newest}, not at {last}");
            return Err(PortError::io(why, io::ErrorKind::NotFound.into()));
        }
        Ok(Box::new(Source::new(source, connection)))
    }
}

impl Drop for UnreliableTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Delivers what takes time, each parcel when it is due, until the network is gone.
async fn courier(net: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        let next_due = {
            let Some(net) = net.upgrade() else {
                return;
            };
            net.deliver_due()
        };
        match next_due {
            Some(due) => tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = wake.notified() => {}
            },
            None => wake.notified().await,
        }
    }
}

impl Shared {
    /// Delivers what is due. When the next is.
    fn deliver_due(&self) -> Option<tokio::time::Instant> {
        loop {
            let now = tokio::time::Instant::now();
            let mut state = self.lock();
            let Some(flight) = state.on_the_way.pop_due(now) else {
                return state.on_the_way.next_due();
            };
            let (parcel, ticket) = flight.open();
            let inbox = state.inbox_of(&ticket);
            drop(state);
            match inbox {
                Some(inbox) => self.deliver(&inbox, parcel),
                None => Tallies::count(&self.tallies.unreachable),
            }
            // Only now may the next one of the same link go at once.
            let mut state = self.lock();
            state.on_the_way.arrived(&ticket);
            if state.is_calm() {
                self.epoch.fetch_add(1, Ordering::Release);
            }
        }
    }
}

/// Who can be reached, by id.
type Direct = BTreeMap<NodeId, Weak<dyn Inbox>>;
