//! Turns a server's clock and counters back, so that a model checker knows equal situations as
//! equal.
//!
//! Only differences of time count within one server, and only the order of its outstanding writes.
//! A server that is shifted as a whole therefore behaves as before. Not part of the algorithm:
//! nothing in the core calls this.

use super::raft::{Raft, Role};
use crate::types::{Round, Time};

impl Raft {
    /// Shifts every point in time that the server remembers so that `now` becomes `to`.
    ///
    /// What lies further back than `to` reaches becomes the origin. That changes nothing if no
    /// interval of the configuration is longer than `to`, except those that never end; the end of
    /// time stays where it is.
    pub fn rebase(&mut self, now: Time, to: Time) {
        self.for_each_time(&mut |time| {
            *time = if time.0 == u64::MAX {
                *time
            } else if *time >= now {
                Time((time.0 - now.0).saturating_add(to.0))
            } else {
                Time(to.0.saturating_sub(now.0 - time.0))
            };
        });
    }

    /// Numbers the outstanding writes from 1. The shell, which knows them in the same order, has to
    /// do the same with its own.
    pub fn renumber_writes(&mut self) {
        self.server.writes.renumber();
    }

    /// Lets the next question of a pre-vote or for a read barrier have the number after `asked`. It
    /// must not be that of an earlier one to which an answer may still come.
    pub fn recount_questions(&mut self, asked: Round) {
        self.server.asked = asked;
    }

    /// Forgets repetitions among the messages that are held back: to a network that may double each
    /// of them it is all the same.
    pub fn merge_held(&mut self) {
        let held = std::mem::take(&mut self.server.held);
        for envelope in held {
            if !self.server.held.contains(&envelope) {
                self.server.held.push(envelope);
            }
        }
    }

    fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        self.server.heard_leader.iter_mut().for_each(&mut *change);
        self.server.writes.for_each_time(change);
        match &mut self.role {
            Role::Follower(follower) => follower.for_each_time(change),
            Role::Candidate(candidate) => candidate.for_each_time(change),
            Role::Leader(leader) => leader.for_each_time(change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::entry::Recovered;
    use crate::event::{Event, Output, RoleName};
    use crate::membership::{Member, Membership};
    use crate::types::{Incarnation, NodeId, WriteId};

    /// The only voter at `start`, told to tick at its deadlines until it leads.
    fn lone_leader(start: Time) -> (Raft, Time) {
        let members = [(NodeId(1), Member::at("")), (NodeId(2), Member::at(""))];
        let [only, learner] = members;
        let membership = Membership::of_voters([only])
            .changed(&[crate::membership::MemberChange::Learner(
                learner.0, learner.1,
            )])
            .expect("legal");
        let recovered = Recovered::bootstrap(Incarnation(1), membership);
        let mut out = Output::default();
        let mut raft = Raft::new(NodeId(1), Config::default(), recovered, start, &mut out)
            .expect("the defaults work");
        raft.step(start, Event::Tick, &mut out);
        raft.flush(start, &mut out);
        let write = out.write.take().expect("term and vote");
        raft.step(start, Event::Persisted(write.id), &mut out);
        raft.flush(start, &mut out);
        assert_eq!(raft.role(), RoleName::Leader);
        (raft, start)
    }

    #[test]
    fn a_shifted_server_is_the_one_that_started_later() {
        let (mut early, now) = lone_leader(Time(7_000_000_000));
        let (late, then) = lone_leader(Time(9_000_000_000));
        assert_ne!(early, late);
        early.rebase(now, then);
        assert_eq!(early, late);
    }

    #[test]
    fn what_is_too_far_back_becomes_the_origin() {
        let (mut one, now) = lone_leader(Time(7_000_000_000));
        let mut other = one.clone();
        one.rebase(Time(now.0 + 500), Time(100));
        other.rebase(Time(now.0 + 900), Time(100));
        assert_eq!(one, other);
    }

    #[test]
    fn outstanding_writes_are_numbered_from_one() {
        let (mut raft, now) = lone_leader(Time(7_000_000_000));
        let mut out = Output::default();
        raft.renumber_writes();
        raft.step(now, Event::Persisted(WriteId(1)), &mut out);
        assert_eq!(
            raft.durable(),
            raft.last().index,
            "its first entry was the outstanding one"
        );
    }
}
