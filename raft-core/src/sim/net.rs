//! The network between the nodes: it loses, delays, doubles, reorders and replays messages, and
//! cuts links one way or both.
//!
//! It decides when a message arrives; whether anybody is there then, it does not know. It never
//! alters a message: what was altered on its way dies at a checksum, and counts as lost.

use super::faults::{Fault, FaultCounts, Knobs};
use super::rng::Rng;
use crate::message::{Envelope, Message};
use crate::types::NodeId;

/// So many old messages are kept to be replayed.
const OLD_KEPT: usize = 64;
/// One message in so many is kept.
const OLD_EVERY: u64 = 16;

/// Which links are cut, as a bit set of receivers a sender.
pub type Cut = Vec<u32>;

/// The network.
#[derive(Debug)]
pub struct Net {
    rng: Rng,
    nodes: usize,
    /// Cuts in force, each under the name by which it is healed.
    cuts: Vec<(u64, Cut)>,
    /// All cuts in force taken together.
    blocked: Cut,
    /// Kinds of messages that are lost, as a bit set a sender, by the name of the fault.
    drops: Vec<(u64, Cut)>,
    dropped: Cut,
    /// When the latest message on each link arrives, for links that keep the order.
    latest: Vec<u64>,
    old: Vec<Envelope>,
}

impl Net {
    /// A network of so many nodes, whole.
    #[must_use]
    pub fn new(nodes: usize, rng: Rng) -> Self {
        Self {
            rng,
            nodes,
            cuts: Vec::new(),
            blocked: vec![0; nodes],
            drops: Vec::new(),
            dropped: vec![0; nodes],
            latest: vec![0; nodes * nodes],
            old: Vec::new(),
        }
    }

    /// Cuts links until [`Net::heal`] is told the same name.
    pub fn cut(&mut self, name: u64, cut: Cut) {
        self.cuts.push((name, cut));
        self.blocked = union(&self.cuts, self.nodes);
    }

    /// From now on these kinds of messages are lost, until [`Net::heal`] is told the same name.
    pub fn drop_kinds(&mut self, name: u64, kinds: Cut) {
        self.drops.push((name, kinds));
        self.dropped = union(&self.drops, self.nodes);
    }

    /// Ends the faults of this name.
    pub fn heal(&mut self, name: u64) {
        self.cuts.retain(|(known, _)| *known != name);
        self.drops.retain(|(known, _)| *known != name);
        self.blocked = union(&self.cuts, self.nodes);
        self.dropped = union(&self.drops, self.nodes);
    }

    /// Ends all faults that have a name, and forgets what could be replayed.
    pub fn heal_all(&mut self) {
        self.cuts.clear();
        self.drops.clear();
        self.old.clear();
        self.blocked.fill(0);
        self.dropped.fill(0);
    }

    /// Whether the second hears the first.
    #[must_use]
    pub fn connects(&self, from: usize, to: usize) -> bool {
        self.blocked
            .get(from)
            .is_some_and(|receivers| receivers & (1 << to) == 0)
    }

    /// Sends a message: `arrive` is told when which copy of it arrives, if any does.
    pub fn send(
        &mut self,
        now: u64,
        envelope: Envelope,
        knobs: &Knobs,
        counts: &mut FaultCounts,
        mut arrive: impl FnMut(u64, Envelope),
    ) {
        let Some((from, to)) = self.link(&envelope) else {
            return;
        };
        let kind = 1 << kind_of(&envelope.message);
        if !self.connects(from, to) || self.dropped[from] & kind != 0 {
            return;
        }
        if self.rng.chance(knobs.loss_ppm) {
            counts.count(Fault::Loss);
            return;
        }
        if knobs.replay_ppm > 0 {
            self.remember(&envelope);
            if self.rng.chance(knobs.replay_ppm) {
                self.replay(now, knobs, counts, &mut arrive);
            }
        }
        if self.rng.chance(knobs.duplicate_ppm) {
            counts.count(Fault::Duplicate);
            let at = self.arrival(now, from, to, knobs, counts);
            arrive(at, envelope.clone());
        }
        arrive(self.arrival(now, from, to, knobs, counts), envelope);
    }

    /// The places of sender and receiver, if both exist.
    fn link(&self, envelope: &Envelope) -> Option<(usize, usize)> {
        let (from, to) = (place(envelope.from), place(envelope.to));
        (from < self.nodes && to < self.nodes).then_some((from, to))
    }

    fn arrival(
        &mut self,
        now: u64,
        from: usize,
        to: usize,
        knobs: &Knobs,
        counts: &mut FaultCounts,
    ) -> u64 {
        let mut at = now + knobs.delay_ns + self.rng.below(knobs.jitter_ns + 1);
        if self.rng.chance(knobs.tail_ppm) {
            counts.count(Fault::LongDelay);
            at += self.rng.magnitude(1, knobs.tail_ns.max(1));
        }
        if knobs.ordered == 1 {
            let latest = &mut self.latest[from * self.nodes + to];
            at = at.max(*latest + 1);
            *latest = at;
        }
        at
    }

    fn remember(&mut self, envelope: &Envelope) {
        if self.rng.below(OLD_EVERY) > 0 {
            return;
        }
        if self.old.len() < OLD_KEPT {
            self.old.push(envelope.clone());
        } else {
            let place = self.rng.place(OLD_KEPT);
            self.old[place] = envelope.clone();
        }
    }

    fn replay(
        &mut self,
        now: u64,
        knobs: &Knobs,
        counts: &mut FaultCounts,
        arrive: &mut impl FnMut(u64, Envelope),
    ) {
        let Some(old) = self.rng.pick(&self.old).cloned() else {
            return;
        };
        let Some((from, to)) = self.link(&old) else {
            return;
        };
        if self.connects(from, to) {
            counts.count(Fault::Replay);
            arrive(
                now + knobs.delay_ns + self.rng.below(knobs.jitter_ns + 1),
                old,
            );
        }
    }
}

fn union(faults: &[(u64, Cut)], nodes: usize) -> Cut {
    let mut all = vec![0; nodes];
    for (_, cut) in faults {
        for (sum, bits) in all.iter_mut().zip(cut) {
            *sum |= bits;
        }
    }
    all
}

/// The place of a node in all lists of the world: ids count from 1.
#[must_use]
pub fn place(id: NodeId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX).wrapping_sub(1)
}

/// The id of the node at a place.
#[must_use]
pub const fn id_at(place: usize) -> NodeId {
    NodeId(place as u64 + 1)
}

/// So many kinds of messages there are.
pub const KINDS: u64 = 13;

/// The number of a message's kind.
#[must_use]
pub const fn kind_of(message: &Message) -> u32 {
    match message {
        Message::PreVote(_) => 0,
        Message::PreVoteReply(_) => 1,
        Message::RequestVote(_) => 2,
        Message::RequestVoteReply(_) => 3,
        Message::AppendEntries(_) => 4,
        Message::AppendEntriesReply(_) => 5,
        Message::InstallSnapshot(_) => 6,
        Message::InstallSnapshotReply(_) => 7,
        Message::TimeoutNow => 8,
        Message::ReadIndex(_) => 9,
        Message::ReadIndexReply(_) => 10,
        Message::StaleTerm => 11,
        Message::WrongIncarnation => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Incarnation, Term};

    fn envelope(from: u64, to: u64) -> Envelope {
        Envelope {
            from: NodeId(from),
            incarnation: Incarnation(1),
            to: NodeId(to),
            term: Term(1),
            message: Message::TimeoutNow,
        }
    }

    fn arrivals(net: &mut Net, knobs: &Knobs, from: u64, to: u64) -> Vec<u64> {
        let mut times = Vec::new();
        let mut counts = FaultCounts::default();
        net.send(10, envelope(from, to), knobs, &mut counts, |at, _| {
            times.push(at);
        });
        times
    }

    #[test]
    fn a_cut_is_one_way_and_ends_under_its_name() {
        let knobs = Knobs::CALM;
        let mut net = Net::new(3, Rng::new(1));
        net.cut(7, vec![0b010, 0, 0]);
        net.cut(8, vec![0b110, 0, 0]);
        assert_eq!(arrivals(&mut net, &knobs, 1, 2).len(), 0);
        assert_eq!(arrivals(&mut net, &knobs, 2, 1).len(), 1);
        net.heal(8);
        assert_eq!(arrivals(&mut net, &knobs, 1, 2).len(), 0);
        assert_eq!(arrivals(&mut net, &knobs, 1, 3).len(), 1);
        net.heal(7);
        assert_eq!(arrivals(&mut net, &knobs, 1, 2).len(), 1);
    }

    #[test]
    fn only_the_kind_named_is_dropped() {
        let mut net = Net::new(2, Rng::new(1));
        net.drop_kinds(1, vec![1 << kind_of(&Message::StaleTerm), 0]);
        assert_eq!(arrivals(&mut net, &Knobs::CALM, 1, 2).len(), 1);
        net.drop_kinds(2, vec![1 << kind_of(&Message::TimeoutNow), 0]);
        assert_eq!(arrivals(&mut net, &Knobs::CALM, 1, 2).len(), 0);
        assert_eq!(arrivals(&mut net, &Knobs::CALM, 2, 1).len(), 1);
    }

    #[test]
    fn an_ordered_link_keeps_the_order() {
        let knobs = Knobs {
            jitter_ns: 1000,
            ordered: 1,
            ..Knobs::CALM
        };
        let mut net = Net::new(2, Rng::new(5));
        let times: Vec<u64> = (0..50)
            .flat_map(|_| arrivals(&mut net, &knobs, 1, 2))
            .collect();
        assert!(times.is_sorted() && times.len() == 50);
    }

    #[test]
    fn everything_may_arrive_twice_or_never() {
        let always = Knobs {
            duplicate_ppm: 1_000_000,
            ..Knobs::CALM
        };
        let never = Knobs {
            loss_ppm: 1_000_000,
            ..Knobs::CALM
        };
        let mut net = Net::new(2, Rng::new(1));
        assert_eq!(arrivals(&mut net, &always, 1, 2).len(), 2);
        assert_eq!(arrivals(&mut net, &never, 1, 2).len(), 0);
        assert_eq!(
            arrivals(&mut net, &always, 1, 9).len(),
            0,
            "nobody is there"
        );
    }
}
