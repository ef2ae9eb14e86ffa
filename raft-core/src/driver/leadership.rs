//! When leadership moved last, and why, as far as this node saw it.
//!
//! Each node knows its own part: the one that led knows why it stopped to, the one that leads why
//! it campaigned. Whoever asks both has the whole story. Only the last move is kept. This file
//! decides nothing; it is told what the core observes.

use std::time::Duration;

use crate::event::{Observation, RoleCause, RoleName};
use crate::types::{NodeId, Term, Time};

/// The last time that leadership began, moved or was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderChange {
    /// The term of the leader now; before there is one, the term in which the last was lost.
    pub term: Term,
    /// Who led before, if this node knew of anybody.
    pub from: Option<NodeId>,
    /// Who leads since; `None` as long as this node knows of nobody.
    pub to: Option<NodeId>,
    /// Why this node gave up, if it is the one that led before.
    pub resigned: Option<Resigned>,
    /// Why this node campaigned, if it is the one that leads now.
    pub campaigned: Option<RoleCause>,
    /// For how long this node knew of no leader, so far if it still does not.
    pub gap: Duration,
    /// How long ago the leader became known, or, as long as there is none, the last one was lost.
    pub ago: Duration,
}

/// Why a leader gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resigned {
    /// What ended its leadership in the end.
    pub cause: RoleCause,
    /// It was handing leadership over then, because somebody wished so or its disk was sick.
    pub handing_over_to: Option<NodeId>,
    /// A write of its own had been outstanding for too long while it led.
    pub disk_stalled: Option<Duration>,
}

/// Follows what the core observes.
#[derive(Debug, Default)]
pub(super) struct Leadership {
    /// Who leads, as far as is known.
    leader: Option<NodeId>,
    role: Option<RoleName>,
    /// Why the node has its role.
    pub(super) cause: Option<RoleCause>,
    /// So many times another leader, or one again, became known.
    pub(super) changes: u64,
    /// What began the present campaign.
    campaigned: Option<RoleCause>,
    handing_over_to: Option<NodeId>,
    disk_stalled: Option<Duration>,
    last: Option<Move>,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    term: Term,
    from: Option<NodeId>,
    to: Option<NodeId>,
    resigned: Option<Resigned>,
    campaigned: Option<RoleCause>,
    lost_at: Time,
    found_at: Option<Time>,
}

impl Leadership {
    /// What `node` has observed.
    pub(super) fn observe(&mut self, now: Time, node: NodeId, observation: &Observation) {
        match observation {
            Observation::Leader { leader, term } => self.led(now, node, *leader, *term),
            Observation::Role { role, cause, .. } => self.turned(node, *role, *cause),
            Observation::TransferStarted { target } => self.handing_over_to = Some(*target),
            Observation::TransferAborted { .. } => self.handing_over_to = None,
            Observation::DiskStalled { outstanding } => self.disk_stalled = Some(*outstanding),
            Observation::Committed(_)
            | Observation::Membership { .. }
            | Observation::Truncated { .. }
            | Observation::Progress { .. }
            | Observation::Quarantined { .. }
            | Observation::Released
            | Observation::WrongIncarnation { .. }
            | Observation::Installed { .. } => {}
        }
    }

    fn led(&mut self, now: Time, node: NodeId, leader: Option<NodeId>, term: Term) {
        let before = self.leader;
        self.leader = leader;
        let mut last = match self.last {
            // The loss is on record; this is who came after, if anybody did.
            Some(last) if last.to.is_none() => last,
            Some(_) | None => Move {
                term,
                from: before,
                to: None,
                resigned: None,
                campaigned: None,
                lost_at: now,
                found_at: None,
            },
        };
        last.term = term;
        if leader.is_some() {
            self.changes += 1;
            last.to = leader;
            last.found_at = Some(now);
            last.campaigned = self.campaigned.filter(|_| leader == Some(node));
        }
        self.last = Some(last);
    }

    /// A leader that gives up is told first that there is no leader, then what it is now.
    fn turned(&mut self, node: NodeId, role: RoleName, cause: RoleCause) {
        let did_lead = self.role == Some(RoleName::Leader);
        if did_lead && role != RoleName::Leader {
            let resigned = Resigned {
                cause,
                handing_over_to: self.handing_over_to.take(),
                disk_stalled: self.disk_stalled.take(),
            };
            if let Some(last) = &mut self.last
                && last.from == Some(node)
            {
                last.resigned = Some(resigned);
            }
        }
        match role {
            RoleName::PreCandidate => self.campaigned = Some(cause),
            RoleName::Candidate if cause != RoleCause::PreVotesWon => self.campaigned = Some(cause),
            RoleName::Candidate => {}
            // What this node did before it led has nothing to do with how that will end.
            RoleName::Leader => {
                self.handing_over_to = None;
                self.disk_stalled = None;
            }
            RoleName::Follower => self.campaigned = None,
        }
        self.role = Some(role);
        self.cause = Some(cause);
    }

    /// The last move.
    pub(super) fn last(&self, now: Time) -> Option<LeaderChange> {
        let last = self.last?;
        Some(LeaderChange {
            term: last.term,
            from: last.from,
            to: last.to,
            resigned: last.resigned,
            campaigned: last.campaigned,
            gap: last.found_at.unwrap_or(now).since(last.lost_at),
            ago: now.since(last.found_at.unwrap_or(last.lost_at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn role(role: RoleName, cause: RoleCause) -> Observation {
        Observation::Role {
            role,
            term: Term(0),
            cause,
        }
    }

    const fn leader(leader: Option<NodeId>, term: u64) -> Observation {
        Observation::Leader {
            leader,
            term: Term(term),
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Each observation comes a second after the one before; then it is asked for.
    fn told(observations: &[Observation]) -> (Option<LeaderChange>, u64) {
        let mut leadership = Leadership::default();
        let mut now = Time(0);
        for observation in observations {
            now = now.plus(seconds(1));
            leadership.observe(now, ME, observation);
        }
        (leadership.last(now), leadership.changes)
    }

    fn elected(term: u64, cause: RoleCause) -> Vec<Observation> {
        vec![
            role(RoleName::PreCandidate, cause),
            role(RoleName::Candidate, RoleCause::PreVotesWon),
            role(RoleName::Leader, RoleCause::VotesWon),
            leader(Some(ME), term),
        ]
    }

    #[test]
    fn the_one_that_leads_knows_why_it_campaigned() {
        let mut story = vec![leader(Some(OTHER), 1), leader(None, 1)];
        story.extend(elected(2, RoleCause::ElectionTimeout));
        let expected = LeaderChange {
            term: Term(2),
            from: Some(OTHER),
            to: Some(ME),
            resigned: None,
            campaigned: Some(RoleCause::ElectionTimeout),
            gap: seconds(4),
            ago: seconds(0),
        };
        assert_eq!(told(&story), (Some(expected), 2));
    }

    #[test]
    fn the_one_that_led_knows_why_it_gave_up() {
        let stalled = Observation::DiskStalled {
            outstanding: seconds(3),
        };
        let mut story = vec![role(RoleName::Candidate, RoleCause::TransferRequested)];
        story.extend(elected(1, RoleCause::Told));
        story.extend([
            stalled,
            Observation::TransferStarted { target: OTHER },
            leader(None, 2),
            role(RoleName::Follower, RoleCause::HigherTerm(OTHER)),
            leader(Some(OTHER), 2),
        ]);
        let expected = LeaderChange {
            term: Term(2),
            from: Some(ME),
            to: Some(OTHER),
            resigned: Some(Resigned {
                cause: RoleCause::HigherTerm(OTHER),
                handing_over_to: Some(OTHER),
                disk_stalled: Some(seconds(3)),
            }),
            campaigned: None,
            gap: seconds(2),
            ago: seconds(0),
        };
        assert_eq!(told(&story), (Some(expected), 2));
    }

    #[test]
    fn a_transfer_that_came_to_nothing_is_not_blamed() {
        let mut story = elected(1, RoleCause::ElectionTimeout);
        story.extend([
            Observation::TransferStarted { target: OTHER },
            Observation::TransferAborted { target: OTHER },
            leader(None, 1),
            role(RoleName::Follower, RoleCause::QuorumLost),
            role(RoleName::PreCandidate, RoleCause::ElectionTimeout),
        ]);
        let expected = LeaderChange {
            term: Term(1),
            from: Some(ME),
            to: None,
            resigned: Some(Resigned {
                cause: RoleCause::QuorumLost,
                handing_over_to: None,
                disk_stalled: None,
            }),
            campaigned: None,
            gap: seconds(2),
            ago: seconds(2),
        };
        assert_eq!(told(&story), (Some(expected), 1));
    }

    #[test]
    fn before_anybody_led_there_is_nothing_to_tell() {
        assert_eq!(
            told(&[role(RoleName::Follower, RoleCause::Started)]),
            (None, 0)
        );
    }
}
