//! Each fault alone, and all of them twice: the same seed makes the same network.

mod faults;
mod snapshots;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use raft_core::event::Refusal;
use raft_core::port::{
    Answer, Ask, Inbox, Outcome, Parcel, PortError, Question, SnapshotSource, Transport,
};
use raft_core::{Envelope, Incarnation, Message, NodeId, Term, Ticket};
use tokio::time::Instant;

use super::*;

/// Remembers what arrived, and when.
#[derive(Default)]
struct Record {
    arrived: Mutex<Vec<(Duration, Parcel)>>,
    began: Option<Instant>,
}

impl Record {
    fn timed() -> Arc<Self> {
        Arc::new(Self {
            began: Some(Instant::now()),
            ..Self::default()
        })
    }

    fn count(&self) -> usize {
        self.arrived.lock().expect("no panic").len()
    }

    fn arrived(&self) -> Vec<(Duration, Parcel)> {
        self.arrived.lock().expect("no panic").clone()
    }

    /// The numbers of the parcels, in the order in which they arrived.
    fn numbers(&self) -> Vec<u64> {
        let number = |(_, parcel): (Duration, Parcel)| match parcel {
            Parcel::Consensus(envelope) => envelope.term.0,
            Parcel::Ask(ask) => ask.ticket.0,
            Parcel::Answer(answer) => answer.ticket.0,
        };
        self.arrived().into_iter().map(number).collect()
    }
}

impl Inbox for Record {
    fn deliver(&self, parcel: Parcel) {
        let at = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.arrived.lock().expect("no panic").push((at, parcel));
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        Err(PortError::misused("there is none"))
    }
}

/// A message with this number in it.
fn message(from: u64, to: u64, number: u64) -> Parcel {
    Parcel::Consensus(Envelope {
        from: NodeId(from),
        incarnation: Incarnation(1),
        to: NodeId(to),
        term: Term(number),
        message: Message::TimeoutNow,
    })
}

fn ask(from: u64, to: u64, number: u64) -> Parcel {
    Parcel::Ask(Ask {
        from: NodeId(from),
        to: NodeId(to),
        ticket: Ticket(number),
        question: Question::Write {
            session: None,
            command: Bytes::from_static(b"command"),
        },
    })
}

fn answer(from: u64, to: u64, number: u64) -> Parcel {
    Parcel::Answer(Answer {
        from: NodeId(from),
        to: NodeId(to),
        ticket: Ticket(number),
        outcome: Outcome::Refused(Refusal::Overloaded),
    })
}

struct Node {
    transport: UnreliableTransport,
    record: Arc<Record>,
}

/// A node that is started.
fn node(net: &UnreliableNet, name: &str, id: u64) -> Node {
    listening(net, name, id, Arc::default())
}

fn listening(net: &UnreliableNet, name: &str, id: u64, record: Arc<Record>) -> Node {
    let transport = net.endpoint(name, NodeId(id));
    let inbox = Arc::clone(&record);
    transport.start(inbox).expect("it is new");
    Node { transport, record }
}

/// Two nodes, the second of which says when what arrived.
fn timed_pair(net: &UnreliableNet) -> (Node, Node) {
    let first = node(net, "a", 1);
    (first, listening(net, "b", 2, Record::timed()))
}

fn delayed(millis: std::ops::RangeInclusive<u64>) -> Faults {
    Faults {
        delay: Duration::from_millis(*millis.start())..=Duration::from_millis(*millis.end()),
        ..Faults::default()
    }
}

#[test]
fn a_perfect_network_delivers_within_the_call() {
    let net = UnreliableNet::new(1);
    let (a, b) = (node(&net, "a", 1), node(&net, "b", 2));
    let sent = [message(1, 2, 1), ask(1, 2, 2), answer(1, 2, 3)];
    for parcel in sent.clone() {
        a.transport.send(parcel);
    }
    let arrived = b.record.arrived().into_iter().map(|(_, parcel)| parcel);
    assert_eq!(arrived.collect::<Vec<_>>(), sent);
    assert_eq!(a.record.count(), 0);
    assert_eq!(net.counters().delivered, 3);
}

#[test]
fn a_node_is_unreachable_until_it_is_started() {
    let net = UnreliableNet::new(1);
    let a = node(&net, "a", 1);
    a.transport.send(message(1, 2, 1));
    let late = net.endpoint("b", NodeId(2));
    a.transport.send(message(1, 2, 2));
    late.send(message(2, 1, 3));
    let record = Arc::new(Record::default());
    late.start(record.clone()).expect("it is new");
    a.transport.send(message(1, 2, 4));
    assert_eq!((record.numbers(), a.record.numbers()), (vec![4], vec![]));
    assert_eq!(net.counters().unreachable, 3);
}

#[test]
fn a_stopped_node_is_let_go() {
    let net = UnreliableNet::new(1);
    let (a, b) = (node(&net, "a", 1), node(&net, "b", 2));
    a.transport.send(message(1, 2, 1));
    b.transport.stop();
    assert_eq!(Arc::strong_count(&b.record), 1, "the inbox is held");
    a.transport.send(message(1, 2, 2));
    b.transport.send(message(2, 1, 3));
    assert_eq!((b.record.count(), a.record.count()), (1, 0));
    b.transport.start(b.record.clone()).expect("it was stopped");
    a.transport.send(message(1, 2, 4));
    assert_eq!(b.record.numbers(), [1, 4]);
}

#[test]
fn what_is_left_of_a_former_life_neither_sends_nor_stops_the_present_one() {
    let net = UnreliableNet::new(1);
    let (a, before) = (node(&net, "a", 1), node(&net, "b", 2));
    let after = node(&net, "b", 2);
    before.transport.send(message(2, 1, 1));
    before.transport.stop();
    a.transport.send(message(1, 2, 2));
    assert_eq!((a.record.count(), before.record.count()), (0, 0));
    assert_eq!(after.record.numbers(), [2]);
    assert!(before.transport.start(before.record.clone()).is_err());
    drop(before);
    a.transport.send(message(1, 2, 3));
    assert_eq!(after.record.numbers(), [2, 3]);
}

#[test]
fn an_inbox_may_send_while_it_takes_a_parcel() {
    /// Sends everything back.
    struct Echo(UnreliableTransport);
    impl Inbox for Echo {
        fn deliver(&self, _: Parcel) {
            self.0.send(message(2, 1, 7));
        }
        fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
            Err(PortError::misused("there is none"))
        }
    }
    let net = UnreliableNet::new(1);
    let a = node(&net, "a", 1);
    let echo = Arc::new(Echo(net.endpoint("b", NodeId(2))));
    echo.0.start(echo.clone()).expect("it is new");
    a.transport.send(message(1, 2, 1));
    let faults = Faults {
        duplicate_per_mille: 1000,
        ..Faults::default()
    };
    net.set_faults(faults);
    a.transport.send(message(1, 2, 2));
    assert_eq!(a.record.numbers(), [7; 5]);
    echo.0.stop();
}

/// Who of three nodes reaches whom, as `ab` for "a reaches b".
fn reach(nodes: &[(&str, Node)]) -> Vec<String> {
    let mut reached = Vec::new();
    for (from, sender) in nodes {
        for (place, (to, receiver)) in nodes.iter().enumerate() {
            let before = receiver.record.count();
            let id = place as u64 + 1;
            sender.transport.send(message(0, id, 1));
            if receiver.record.count() > before && from != to {
                reached.push(format!("{from}{to}"));
            }
        }
    }
    reached
}

#[test]
fn links_are_cut_by_name() {
    let net = UnreliableNet::new(1);
    let names = ["a", "b", "c"];
    let numbered = names.into_iter().zip(1..);
    let nodes: Vec<_> = numbered
        .map(|(name, id)| (name, node(&net, name, id)))
        .collect();
    let all = ["ab", "ac", "ba", "bc", "ca", "cb"];
    assert_eq!(reach(&nodes), all);
    net.cut("a", "b");
    net.cut("c", "a");
    assert_eq!(reach(&nodes), ["ac", "ba", "bc", "cb"], "one-way cuts");
    net.mend("a", "b");
    assert_eq!(reach(&nodes), ["ab", "ac", "ba", "bc", "cb"], "one mended");
    net.partition(&[&["a", "b"], &["d"]]);
    assert_eq!(reach(&nodes), ["ab", "ba"], "c is on no side");
    net.partition(&[&["a"], &["b", "c"]]);
    assert_eq!(reach(&nodes), ["bc", "cb"], "another partition");
    net.heal();
    assert_eq!(reach(&nodes), all, "healed");
    net.isolate("b");
    assert_eq!(reach(&nodes), ["ac", "ca"], "b is isolated");
    net.heal();
    assert_eq!(reach(&nodes), all, "healed again");
}

#[test]
fn a_name_may_be_cut_before_anybody_bears_it() {
    let net = UnreliableNet::new(1);
    net.cut("a", "b");
    let (a, b) = (node(&net, "a", 1), node(&net, "b", 2));
    a.transport.send(message(1, 2, 1));
    b.transport.send(message(2, 1, 2));
    assert_eq!((a.record.count(), b.record.count()), (1, 0));
}
