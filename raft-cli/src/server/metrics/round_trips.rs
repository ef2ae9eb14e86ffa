//! How long members take to answer each other: from a leader's append request to the answer that
//! covers it, the follower's disk included where it brought entries. One request a peer is timed at
//! a time. It passes everything on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use raft_core::message::AppendOutcome;
use raft_core::port::{Inbox, Parcel, PortError, SnapshotSource, Transport};
use raft_core::{Index, Membership, Message, NodeId, Position};

use super::Metrics;
use crate::server::home::hex;

/// A request that is not answered by then was lost; the next one is timed.
const PATIENCE: Duration = Duration::from_secs(5);

type To = [(&'static str, String); 1];

/// How long answers took, by peer.
#[derive(Clone)]
pub(super) struct RoundTrips {
    durations: Family<To, Histogram, Buckets>,
    /// What is timed now. As many as there are peers.
    asked: Arc<Mutex<BTreeMap<NodeId, Asked>>>,
}

/// etcd's buckets: from a tenth of a millisecond to some seconds.
#[derive(Clone, Copy)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.0001, 2.0, 16))
    }
}

/// A request under way.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// An answer that the logs are equal up to here is an answer to it.
    last: Index,
}

impl RoundTrips {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let durations = Family::<To, Histogram, Buckets>::new_with_constructor(Buckets);
        registry.register(
            "etcd_network_peer_round_trip_time_seconds",
            "From a leader's append request to the answer, the peer's disk included",
            durations.clone(),
        );
        Self {
            durations,
            asked: Arc::default(),
        }
    }

    fn sent(&self, parcel: &Parcel, now: Instant) {
        let Parcel::Consensus(envelope) = parcel else {
            return;
        };
        let Message::AppendEntries(append) = &envelope.message else {
            return;
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |asked: &Asked| now.duration_since(asked.at) < PATIENCE;
        if asked.get(&envelope.to).is_some_and(is_open) {
            return;
        }
        let last = append.entries.last().map(|entry| entry.index);
        let last = last.unwrap_or(append.prev.index);
        asked.insert(envelope.to, Asked { at: now, last });
    }

    fn came(&self, parcel: &Parcel, now: Instant) {
        let Parcel::Consensus(envelope) = parcel else {
            return;
        };
        let Message::AppendEntriesReply(reply) = &envelope.message else {
            return;
        };
        let AppendOutcome::Matched(matched) = reply.outcome else {
            return;
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = asked.get(&envelope.from).copied();
        let Some(answered) = answered.filter(|asked| asked.last <= matched) else {
            return;
        };
        asked.remove(&envelope.from);
        drop(asked);
        let took = now.duration_since(answered.at).as_secs_f64();
        let to = [("To", hex(envelope.from.0))];
        self.durations.get_or_create(&to).observe(took);
    }
}

/// A transport whose round trips are timed.
pub(crate) struct TimedTransport<T> {
    transport: T,
    round_trips: RoundTrips,
}

impl<T> TimedTransport<T> {
    pub(crate) fn new(transport: T, metrics: &Metrics) -> Self {
        Self {
            transport,
            round_trips: metrics.round_trips.clone(),
        }
    }
}

impl<T: Transport> Transport for TimedTransport<T> {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), PortError> {
        self.transport.start(Arc::new(TimedInbox {
            inbox,
            round_trips: self.round_trips.clone(),
        }))
    }

    fn stop(&self) {
        self.transport.stop();
    }

    fn members(&self, members: &Membership) {
        self.transport.members(members);
    }

    fn send(&self, parcel: Parcel) {
        self.round_trips.sent(&parcel, Instant::now());
        self.transport.send(parcel);
    }

    fn open_snapshot(
        &self,
        from: NodeId,
        last: Position,
    ) -> Result<Box<dyn SnapshotSource>, PortError> {
        self.transport.open_snapshot(from, last)
    }
}

/// Where a timed transport delivers.
struct TimedInbox {
    inbox: Arc<dyn Inbox>,
    round_trips: RoundTrips,
}

impl Inbox for TimedInbox {
    fn deliver(&self, parcel: Parcel) {
        self.round_trips.came(&parcel, Instant::now());
        self.inbox.deliver(parcel);
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        self.inbox.open_snapshot()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode_registry;
    use raft_core::message::{AppendEntries, AppendEntriesReply};
    use raft_core::{Entries, Envelope, Incarnation, Round, Term};

    use super::*;

    fn parcel(from: u64, to: u64, message: Message) -> Parcel {
        Parcel::Consensus(Envelope {
            from: NodeId(from),
            incarnation: Incarnation(1),
            to: NodeId(to),
            term: Term(1),
            message,
        })
    }

    fn append(prev: u64) -> Parcel {
        let message = Message::AppendEntries(AppendEntries {
            prev: Position::new(Term(1), Index(prev)),
            commit: Index(0),
            round: Round(0),
            entries: Entries::default(),
        });
        parcel(1, 2, message)
    }

    fn matched(index: u64) -> Parcel {
        let outcome = AppendOutcome::Matched(Index(index));
        let round = Round(0);
        let message = Message::AppendEntriesReply(AppendEntriesReply { round, outcome });
        parcel(2, 1, message)
    }

    /// How many were at most so long, and how many there were.
    fn counted(registry: &Registry, le: f64) -> [u64; 2] {
        let mut text = String::new();
        encode_registry(&mut text, registry).expect("written");
        let count = |of: &str| {
            let line = text.lines().find(|line| line.contains(of)).expect("a line");
            line.rsplit_once(' ')
                .expect("a value")
                .1
                .parse()
                .expect("a count")
        };
        [count(&format!("le=\"{le}\"")), count("_count{")]
    }

    #[test]
    fn a_round_trip_ends_with_the_answer_that_covers_it() {
        let mut registry = Registry::default();
        let trips = RoundTrips::new(&mut registry);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        trips.sent(&append(5), at(0));
        trips.sent(&append(6), at(1));
        trips.came(&matched(4), at(2));
        trips.came(&matched(5), at(4));
        trips.came(&matched(6), at(5));
        assert_eq!(counted(&registry, 0.0064), [1, 1], "4 ms");
        trips.sent(&append(9), at(10));
        trips.sent(&append(9), at(6000));
        trips.came(&matched(9), at(6008));
        let expected = [1, 2];
        assert_eq!(
            counted(&registry, 0.0064),
            expected,
            "the lost one was given up, then 8 ms"
        );
    }
}
