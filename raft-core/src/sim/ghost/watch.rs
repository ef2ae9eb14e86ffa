//! Looks for the marks: rare situations that a campaign must have met.
//!
//! Nothing here judges. What only the world or the clients see is marked by them.

use super::commits;
use super::ledger::Ledger;
use super::memberships::Step;
use super::node::{Memory, Node, Nodes, Summary};
use super::reads::Way;
use crate::entry::Recovered;
use crate::event::{
    MembershipCause, Observation, Output, Reader, Refusal, Reply, RoleCause, SnapshotOrder,
};
use crate::message::{AppendOutcome, Message, SnapshotStatus};
use crate::sim::marks::{Mark, Marks};
use crate::types::Index;

pub(super) fn booting(marks: &mut Marks, node: &Node, raft: Summary, recovered: &Recovered) {
    if node.is_new() {
        return;
    }
    if recovered.snapshot.last.index > Index(0) {
        marks.hit(Mark::RestartFromSnapshot);
    }
    if raft.membership_index > raft.commit {
        marks.hit(Mark::RestartWithUncommittedMembership);
    }
    if recovered.incarnation != node.summary.incarnation {
        marks.hit(Mark::Reborn);
    } else if node.memory == Memory::Forgot {
        marks.hit(Mark::DiskForgot);
    }
}

pub(super) fn crashing(marks: &mut Marks, node: &Node) {
    if node.configuration().1.is_joint() {
        marks.hit(Mark::CrashDuringJoint);
    }
    if !node.in_flight.is_empty() {
        marks.hit(Mark::CrashBetweenWriteAndPersist);
    }
    if node.summary.leads() {
        marks.hit(Mark::CrashOfLeader);
    }
}

pub(super) fn proposed(marks: &mut Marks, step: Option<Step>) {
    match step {
        Some(Step::Abort) => marks.hit(Mark::MembershipAborted),
        Some(Step::FinishesAnother) => marks.hit(Mark::JointFinishedByAnother),
        Some(Step::Joint) => marks.hit(Mark::JointProposed),
        Some(Step::Plain) | None => {}
    }
}

pub(super) fn read(marks: &mut Marks, way: Option<Way>) {
    match way {
        Some(Way::Lease) => marks.hit(Mark::LeaseRead),
        Some(Way::Follower) => marks.hit(Mark::FollowerRead),
        Some(Way::WaitedForFirstCommit) => marks.hit(Mark::ReadWaitedForFirstCommit),
        Some(Way::Plain | Way::Relaxed) | None => {}
    }
}

pub(super) fn stepped(
    marks: &mut Marks,
    nodes: &mut Nodes,
    ledger: &Ledger,
    before: &Summary,
    after: &Summary,
    out: &Output,
) {
    for observation in &out.observations {
        observed(marks, nodes.slot(after.node), before, observation);
    }
    out.replies.iter().for_each(|reply| replied(marks, reply));
    out.messages
        .iter()
        .for_each(|envelope| sent(marks, after, &envelope.message));
    for fetch in &out.fetch {
        marks.hit(match fetch.reader {
            Reader::Follower(_) => Mark::FetchedForFollower,
            Reader::Machine => Mark::FetchedForMachine,
        });
    }
    for order in &out.snapshot {
        match order {
            SnapshotOrder::Cancel(_) => marks.hit(Mark::SnapshotCancelled),
            SnapshotOrder::Fetch { .. } => {}
        }
    }
    if commits::is_figure_8(nodes, after) {
        marks.hit(Mark::Figure8);
    }
    if after.commit > before.commit
        && after.commit == ledger.commit_last()
        && after.leads()
        && ledger
            .newest_leader()
            .is_some_and(|(term, _)| term > after.term)
    {
        marks.hit(Mark::CommitByDeposedLeader);
    }
}

fn observed(marks: &mut Marks, node: &mut Node, before: &Summary, observation: &Observation) {
    match observation {
        Observation::Role { cause, .. } => changed_role(marks, before, *cause),
        Observation::Membership { cause, .. } => match cause {
            MembershipCause::RolledBack => marks.hit(Mark::MembershipRolledBack),
            MembershipCause::Appended | MembershipCause::Committed | MembershipCause::Snapshot => {}
        },
        Observation::Truncated { .. } => marks.hit(Mark::Truncated),
        Observation::TransferAborted { .. } => marks.hit(Mark::TransferAborted),
        Observation::Quarantined { .. } => marks.hit(Mark::Quarantined),
        Observation::Released => {
            marks.hit(Mark::QuarantineReleased);
            // What it had lost it has again, so that the old image has nothing to add.
            let life = node.summary.incarnation;
            node.lost.retain(|lost| lost.incarnation != life);
        }
        Observation::WrongIncarnation { .. } => marks.hit(Mark::WrongIncarnationRefused),
        Observation::Installed { .. } => {
            marks.hit(Mark::SnapshotInstalled);
            // The write of this step is the newest; those before it are still on their way.
            let earlier = node.in_flight.iter().rev().skip(1);
            if earlier.clone().any(|write| write.last.is_some()) {
                marks.hit(Mark::SnapshotWhileAppending);
            }
        }
        Observation::Leader { .. }
        | Observation::Committed(_)
        | Observation::Progress { .. }
        | Observation::TransferStarted { .. }
        | Observation::DiskStalled { .. } => {}
    }
}

fn changed_role(marks: &mut Marks, before: &Summary, cause: RoleCause) {
    match cause {
        RoleCause::VotesLost => marks.hit(Mark::ElectionLost),
        RoleCause::VotedFor(_) => {}
        RoleCause::HigherTerm(_) => marks.hit(Mark::HigherTermMet),
        RoleCause::QuorumLost => marks.hit(Mark::QuorumLost),
        RoleCause::DiskStalled => marks.hit(Mark::DiskStallHandover),
        RoleCause::Removed if before.leads() => marks.hit(Mark::LeaderRemovedItself),
        RoleCause::Removed
        | RoleCause::Started
        | RoleCause::ElectionTimeout
        | RoleCause::TransferRequested
        | RoleCause::Told
        | RoleCause::PreVotesWon
        | RoleCause::VotesWon
        | RoleCause::LeaderHeard(_) => {}
    }
}

fn replied(marks: &mut Marks, reply: &Reply) {
    match reply {
        Reply::Transferred { .. } => marks.hit(Mark::TransferCompleted),
        Reply::Refused { reason, .. } => match reason {
            Refusal::Overloaded => marks.hit(Mark::Overloaded),
            Refusal::Transferring => marks.hit(Mark::RefusedInTransfer),
            Refusal::Change(_) => marks.hit(Mark::MembershipRefused),
            Refusal::NotLeader(_) | Refusal::Aborted | Refusal::BadTarget | Refusal::TimedOut => {}
        },
        Reply::Accepted { .. }
        | Reply::ReadReady { .. }
        | Reply::MembershipChanged { .. }
        | Reply::Unknown { .. } => {}
    }
}

fn sent(marks: &mut Marks, after: &Summary, message: &Message) {
    match message {
        Message::PreVoteReply(reply) if !reply.granted && after.leader.is_some() => {
            marks.hit(Mark::PreVoteRefused);
        }
        Message::RequestVoteReply(reply) if !reply.granted => marks.hit(Mark::VoteRefused),
        Message::AppendEntriesReply(reply) => match reply.outcome {
            AppendOutcome::Conflict { prev, hint } if hint.index.next() < prev => {
                marks.hit(Mark::ConflictHintSkipped);
            }
            AppendOutcome::Conflict { .. } | AppendOutcome::Matched(_) => {}
        },
        Message::InstallSnapshot(_) => marks.hit(Mark::SnapshotOffered),
        Message::InstallSnapshotReply(reply) => match reply.status {
            SnapshotStatus::Failed => marks.hit(Mark::SnapshotFailed),
            SnapshotStatus::Matched(_) => marks.hit(Mark::SnapshotNotNeeded),
            SnapshotStatus::Receiving => {}
        },
        Message::StaleTerm => marks.hit(Mark::StaleTermTold),
        Message::PreVoteReply(_)
        | Message::RequestVoteReply(_)
        | Message::PreVote(_)
        | Message::RequestVote(_)
        | Message::AppendEntries(_)
        | Message::TimeoutNow
        | Message::ReadIndex(_)
        | Message::ReadIndexReply(_)
        | Message::WrongIncarnation => {}
    }
}
