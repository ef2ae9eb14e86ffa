//! The parcels that take time, in the order in which they are due.
//!
//! It does not draw how long, and delivers nothing.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use raft_core::NodeId;
use raft_core::port::Parcel;
use tokio::time::Instant;

/// No more parcels than these are on their way at a time; what comes then is lost.
const IN_FLIGHT_MAX: usize = 1 << 16;

/// Where a parcel goes.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// Of the receiver, when it was sent.
    pub(super) session: u64,
    /// Whether those behind it have to wait for it.
    pub(super) in_order: bool,
}

pub(super) struct Flight {
    due: Instant,
    /// Counts the flights: of two that are due together, the earlier goes first.
    number: u64,
    ticket: Ticket,
    parcel: Parcel,
}

impl Flight {
    pub(super) fn open(self) -> (Parcel, Ticket) {
        (self.parcel, self.ticket)
    }
}

/// From one node to another.
struct Link {
    /// The parcels that keep their order, and have not arrived.
    count: usize,
    /// When the last of them is due.
    latest: Instant,
}

#[derive(Default)]
pub(super) struct OnTheWay {
    flights: BinaryHeap<Reverse<Flight>>,
    /// How many began.
    begun: u64,
    /// How many have not arrived; one may be in no place here while it is being delivered.
    under_way: usize,
    /// Only those that carry something that keeps its order.
    links: BTreeMap<(NodeId, NodeId), Link>,
}

impl OnTheWay {
    pub(super) const fn is_empty(&self) -> bool {
        self.under_way == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.under_way >= IN_FLIGHT_MAX
    }

    /// Whether what is sent now would overtake something that keeps its order.
    pub(super) fn is_busy(&self, from: NodeId, to: NodeId) -> bool {
        self.links.contains_key(&(from, to))
    }

    pub(super) fn push(&mut self, ticket: Ticket, parcel: Parcel, now: Instant, delay: Duration) {
        let mut due = now + delay;
        if ticket.in_order {
            let ends = (ticket.from, ticket.to);
            let none = Link {
                count: 0,
                latest: due,
            };
            let link = self.links.entry(ends).or_insert(none);
            due = due.max(link.latest);
            link.latest = due;
            link.count += 1;
        }
        self.begun += 1;
        self.under_way += 1;
        self.flights.push(Reverse(Flight {
            due,
            number: self.begun,
            ticket,
            parcel,
        }));
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse(flight)| flight.due)
    }

    /// The next parcel that is due. It counts as on its way until [`OnTheWay::arrived`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Flight> {
        if self.next_due()? > now {
            return None;
        }
        self.flights.pop().map(|Reverse(flight)| flight)
    }

    pub(super) fn arrived(&mut self, ticket: &Ticket) {
        self.under_way -= 1;
        let ends = (ticket.from, ticket.to);
        if ticket.in_order
            && let Some(link) = self.links.get_mut(&ends)
        {
            link.count -= 1;
            if link.count == 0 {
                self.links.remove(&ends);
            }
        }
    }
}

impl Flight {
    const fn rank(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Flight {}
