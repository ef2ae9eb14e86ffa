//! Cases: what arrives, where, how often, and what becomes of the sender.

use std::collections::BTreeSet;

use super::Case;
use super::samples::Numbered;
use super::stand::{A, B, C, Stand};
use crate::message::Message;
use crate::port::{Parcel, Question};
use crate::types::{NodeId, Ticket};

pub(super) const CASES: &[Case] = &[
    ("every kind of parcel arrives intact", intact),
    ("nothing arrives at the wrong node", right_node),
    ("no question arrives twice", asks_once),
    ("a send to an unknown node is harmless", unknown_node),
    ("a send does not wait for the receiver", busy_receiver),
    ("no more arrives than was sent", no_more_than_sent),
];

/// So many attempts are made at sending all samples.
const ATTEMPTS_MAX: usize = 20;

fn intact(stand: &mut Stand) {
    let [_, inbox, _] = stand.start_all();
    let mut sent: Vec<Vec<Parcel>> = Vec::new();
    for _ in 0..ATTEMPTS_MAX {
        // Each time with other numbers: a question must not be sent twice.
        let samples = stand.make((A, B), Numbered::all);
        sent.resize_with(samples.len(), Vec::new);
        let missing = |kind: &Vec<Parcel>| !kind.iter().any(|parcel| inbox.holds(parcel));
        for (kind, sample) in sent.iter_mut().zip(samples) {
            if missing(kind) {
                kind.push(sample.clone());
                stand.transport(A).send(sample);
            }
        }
        if stand.fixture.settle(&mut || !sent.iter().any(missing)) {
            break;
        }
    }
    for kind in &sent {
        if !kind.iter().any(|parcel| inbox.holds(parcel)) {
            stand.fail(&format!("{} did not arrive", brief(&kind[0])));
        }
    }
    for parcel in inbox.parcels() {
        if !sent.iter().flatten().any(|sent| *sent == parcel) {
            stand.fail(&format!("{} was altered", brief(&parcel)));
        }
    }
}

/// Large commands are not worth printing.
fn brief(parcel: &Parcel) -> String {
    format!("{parcel:?}").chars().take(300).collect()
}

fn right_node(stand: &mut Stand) {
    let inboxes = [A, B, C].into_iter().zip(stand.start_all());
    let inboxes: Vec<_> = inboxes.collect();
    let pairs = [(A, B), (A, C), (B, A), (B, C), (C, A), (C, B)];
    for _ in 0..50 {
        for (from, to) in pairs {
            stand.send(from, to);
        }
    }
    for (from, to) in pairs {
        let inbox = inboxes.iter().find(|(id, _)| *id == to);
        let (_, inbox) = inbox.expect("there is one for each");
        stand.reach(from, to, inbox);
    }
    stand.fixture.calm();
    for (id, inbox) in &inboxes {
        for parcel in inbox.parcels() {
            let to = receiver(&parcel);
            stand.check(to == *id, &format!("{id} was given {parcel:?}"));
        }
    }
}

fn receiver(parcel: &Parcel) -> NodeId {
    match parcel {
        Parcel::Consensus(envelope) => envelope.to,
        Parcel::Ask(ask) => ask.to,
        Parcel::Answer(answer) => answer.to,
    }
}

fn asks_once(stand: &mut Stand) {
    let [_, inbox, _] = stand.start_all();
    for _ in 0..1000 {
        let ask = stand.make((A, B), |made| made.ask(Question::Cluster));
        stand.transport(A).send(ask);
    }
    stand.reach(A, B, &inbox);
    stand.fixture.calm();
    let parcels = inbox.parcels();
    let tickets = parcels.iter().filter_map(|parcel| match parcel {
        Parcel::Ask(ask) => Some(ask.ticket),
        Parcel::Consensus(_) | Parcel::Answer(_) => None,
    });
    let tickets: Vec<Ticket> = tickets.collect();
    let different: BTreeSet<Ticket> = tickets.iter().copied().collect();
    stand.check(!tickets.is_empty(), "of a thousand questions none arrived");
    let doubled = tickets.len() - different.len();
    stand.check(doubled == 0, &format!("{doubled} questions came twice"));
}

fn unknown_node(stand: &mut Stand) {
    let [_, inbox, _] = stand.start_all();
    let nobody = NodeId(77);
    for parcel in stand.make((A, nobody), Numbered::all) {
        stand.transport(A).send(parcel);
    }
    stand.reach(A, B, &inbox);
    let strays = inbox.parcels();
    let strays = strays.iter().filter(|parcel| receiver(parcel) != B);
    stand.check(strays.count() == 0, "it was given to somebody else");
}

/// A receiver that blocks breaks the contract, but must not take its peers with it.
fn busy_receiver(stand: &mut Stand) {
    if stand.fixture.delivers_within_send() {
        return;
    }
    let [_, busy, other] = stand.start_all();
    stand.reach(A, B, &busy);
    stand.reach(A, C, &other);
    busy.close();
    for _ in 0..20_000 {
        stand.send(A, B);
    }
    let was_closed = busy.open();
    stand.check(was_closed, "a send waited until the receiver was free");
    stand.reach(A, B, &busy);
    stand.reach(A, C, &other);
}

fn no_more_than_sent(stand: &mut Stand) {
    let [_, inbox, _] = stand.start_all();
    let answers: Vec<Parcel> = (0..1000)
        .map(|_| stand.make((A, B), Numbered::answer_unknown))
        .collect();
    for answer in &answers {
        stand.transport(A).send(answer.clone());
    }
    stand.reach(A, B, &inbox);
    stand.fixture.calm();
    let is_control = |parcel: &Parcel| {
        let small = Message::TimeoutNow;
        matches!(parcel, Parcel::Consensus(envelope) if envelope.message == small)
    };
    let arrived = inbox.parcels();
    let arrived: Vec<_> = arrived
        .iter()
        .filter(|parcel| !is_control(parcel))
        .collect();
    let known = arrived.iter().all(|parcel| answers.contains(parcel));
    stand.check(known, "something arrived that was never sent");
    stand.check(!arrived.is_empty(), "of a thousand answers none arrived");
    let count = arrived.len();
    stand.check(count <= 1000, &format!("{count} answers of 1000 arrived"));
}
