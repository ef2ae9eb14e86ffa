//! The network of a hand-made scenario: a queue that loses only what the test says.
//!
//! It delivers in the order of sending. Everything sent is remembered, for tests that look at it.

use std::collections::{BTreeSet, VecDeque};

use raft_core::{Envelope, Event, Message, NodeId, Term};

use super::{Cluster, words};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Deliver,
    /// It waits until the test lets it go.
    Hold,
    /// It is lost.
    Drop,
}

type Rule = Box<dyn Fn(&Envelope) -> Fate>;

#[derive(Default)]
pub(super) struct Net {
    pub(super) queue: VecDeque<Envelope>,
    pub(super) held: Vec<Envelope>,
    pub(super) sent: Vec<Envelope>,
    /// Directed links that are cut.
    pub(super) cut: BTreeSet<(u64, u64)>,
    pub(super) rule: Option<Rule>,
}

impl Net {
    pub(super) fn send(&mut self, envelope: Envelope) {
        self.sent.push(envelope.clone());
        if self.cut.contains(&(envelope.from.0, envelope.to.0)) {
            return;
        }
        match self
            .rule
            .as_ref()
            .map_or(Fate::Deliver, |rule| rule(&envelope))
        {
            Fate::Deliver => self.queue.push_back(envelope),
            Fate::Hold => self.held.push(envelope),
            Fate::Drop => {}
        }
    }
}

/// How messages travel.
impl Cluster {
    /// Nothing passes between `a` and `b`.
    pub fn cut(&mut self, a: u64, b: u64) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Nothing passes from `a` to `b`.
    pub fn cut_one_way(&mut self, a: u64, b: u64) {
        self.net.cut.insert((a, b));
    }

    /// Nothing passes between `id` and the others.
    pub fn isolate(&mut self, id: u64) {
        let others: Vec<u64> = self
            .nodes
            .keys()
            .copied()
            .filter(|other| *other != id)
            .collect();
        others.into_iter().for_each(|other| self.cut(id, other));
    }

    /// Nothing passes between these and the others.
    pub fn split(&mut self, side: &[u64]) {
        let others: Vec<u64> = self
            .nodes
            .keys()
            .copied()
            .filter(|id| !side.contains(id))
            .collect();
        for a in side {
            others.iter().for_each(|b| self.cut(*a, *b));
        }
    }

    /// Messages pass between `a` and `b` again.
    pub fn join(&mut self, a: u64, b: u64) {
        self.net.cut.remove(&(a, b));
        self.net.cut.remove(&(b, a));
    }

    /// Messages pass everywhere again.
    pub fn heal(&mut self) {
        self.net.cut.clear();
        self.net.rule = None;
    }

    /// From now on `rule` decides on every message that no cut stops.
    pub fn rule(&mut self, rule: impl Fn(&Envelope) -> Fate + 'static) {
        self.net.rule = Some(Box::new(rule));
    }

    /// Messages that `which` picks are held until they are taken; all others pass.
    pub fn hold(&mut self, which: impl Fn(&Envelope) -> bool + 'static) {
        self.rule(move |envelope| {
            if which(envelope) {
                Fate::Hold
            } else {
                Fate::Deliver
            }
        });
    }

    /// Messages that `which` picks are lost; all others pass.
    pub fn lose(&mut self, which: impl Fn(&Envelope) -> bool + 'static) {
        self.rule(move |envelope| {
            if which(envelope) {
                Fate::Drop
            } else {
                Fate::Deliver
            }
        });
    }

    /// The messages that were held, in the order in which they were sent.
    pub fn take_held(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.net.held)
    }

    /// A message arrives, whatever was cut; what follows is left to [`Cluster::settle`].
    pub fn deliver(&mut self, envelope: Envelope) {
        let to = envelope.to.0;
        if self.paused.contains(&to) {
            self.net.held.push(envelope);
        } else {
            self.step(to, vec![Event::Received(envelope)]);
        }
    }

    /// A message arrives at `to` that the test made up, and all that follows happens.
    pub fn forge(&mut self, from: u64, to: u64, term: u64, message: Message) {
        let envelope = Envelope {
            from: NodeId(from),
            incarnation: words::first_life(from),
            to: NodeId(to),
            term: Term(term),
            message,
        };
        self.deliver(envelope);
        self.settle();
    }

    /// `id` stands still: no timer fires, and messages wait.
    pub fn pause(&mut self, id: u64) {
        self.paused.insert(id);
    }

    /// `id` goes on, and the first it learns is that time has passed.
    pub fn resume(&mut self, id: u64) {
        self.paused.remove(&id);
        self.step(id, vec![Event::Tick]);
    }
}
