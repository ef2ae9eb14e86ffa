//! Puts events and effects into the few words that a line of a trace has room for.
//!
//! This file is never run unless somebody records.

use std::fmt::Write as _;

use crate::entry::Entry;
use crate::event::{Event, Observation, Output, Reply, SnapshotOrder, Write};
use crate::membership::{Member, MemberChange, Membership};
use crate::message::{AppendOutcome, Message, SnapshotStatus};
use crate::sim::trace::Trace;
use crate::sim::workload::Answer;
use crate::types::{Incarnation, NodeId, Ticket};

/// A line for each effect.
pub(super) fn output(trace: &mut Trace, now: u64, node: usize, out: &Output) {
    let mut line = |text| trace.line(now, Some(node), text);
    out.observations
        .iter()
        .for_each(|what| line(format!("* {}", observation(what))));
    for envelope in &out.messages {
        line(format!(
            "> {} t{} {}",
            envelope.to,
            envelope.term,
            message(&envelope.message)
        ));
    }
    out.write.iter().for_each(|what| line(tell_write(what)));
    out.replies
        .iter()
        .for_each(|what| line(format!("= {}", reply(what))));
    for order in &out.snapshot {
        line(match order {
            SnapshotOrder::Fetch { from, snapshot } => {
                format!("get snapshot {} from {from}", snapshot.last)
            }
            SnapshotOrder::Cancel(last) => format!("don't get snapshot {last}"),
        });
    }
    for fetch in &out.fetch {
        line(format!(
            "fetch {}..={} for {:?}",
            fetch.from, fetch.to, fetch.reader
        ));
    }
    out.purge
        .iter()
        .for_each(|up_to| line(format!("purge {up_to}")));
}

/// An event in a few words.
pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Tick => "tick".to_owned(),
        Event::Received(envelope) => {
            format!(
                "< {} t{} {}",
                envelope.from,
                envelope.term,
                message(&envelope.message)
            )
        }
        Event::Persisted(id) => format!("persisted #{id}"),
        Event::Applied(index) => format!("applied {index}"),
        Event::Propose { ticket, .. } => format!("propose #{ticket}"),
        Event::Read {
            ticket,
            consistency,
        } => format!("read #{ticket} {consistency:?}"),
        Event::ChangeMembership {
            based_on, changes, ..
        } => {
            let changes: Vec<String> = changes.iter().map(change).collect();
            format!("change {} based on {based_on:?}", changes.join(", "))
        }
        Event::Fetched { reader, entries } => format!("fetched {} for {reader:?}", entries.len()),
        Event::SnapshotTaken(meta) => format!("snapshot taken {}", meta.last),
        Event::SnapshotReceived(meta) => format!("snapshot received {}", meta.last),
        Event::AbortMembershipChange => "abort change".to_owned(),
        Event::TransferLeadership { target, .. } => format!("transfer to {target:?}"),
        Event::SnapshotFailed(last) => format!("snapshot failed {last}"),
        Event::Compact(up_to) => format!("compact {up_to}"),
        Event::Campaign => "campaign".to_owned(),
    }
}

/// What a client is told.
pub(super) fn answer(ticket: Ticket, answer: &Answer) -> String {
    match answer {
        Answer::Done(bytes) => format!("done #{ticket}: {bytes:?}"),
        Answer::Refused(_) => format!("client #{ticket} is refused"),
        Answer::Unknown => format!("client #{ticket} is left in doubt"),
    }
}

fn message(message: &Message) -> String {
    match message {
        Message::PreVote(ask) => format!("pre-vote? last {}", ask.last),
        Message::PreVoteReply(reply) if reply.granted => format!("pre-vote #{}", reply.request),
        Message::PreVoteReply(reply) => format!("no pre-vote #{}", reply.request),
        Message::RequestVote(ask) if ask.transfer => format!("vote? last {} by transfer", ask.last),
        Message::RequestVote(ask) => format!("vote? last {}", ask.last),
        Message::RequestVoteReply(reply) if reply.granted => "vote".to_owned(),
        Message::RequestVoteReply(_) => "no vote".to_owned(),
        Message::AppendEntries(append) => {
            let last = append.entries.last().map_or(append.prev, Entry::position);
            let (prev, commit, round) = (append.prev, append.commit, append.round);
            format!("append ({prev}..{last}] c{commit} r{round}")
        }
        Message::AppendEntriesReply(reply) => match reply.outcome {
            AppendOutcome::Matched(index) => format!("matched {index} r{}", reply.round),
            AppendOutcome::Conflict { prev, hint } => {
                format!("conflict at {prev}, try {hint} r{}", reply.round)
            }
        },
        Message::InstallSnapshot(offer) => {
            format!("install {} r{}", offer.snapshot.last, offer.round)
        }
        Message::InstallSnapshotReply(reply) => match reply.status {
            SnapshotStatus::Receiving => format!("receiving {} r{}", reply.snapshot, reply.round),
            SnapshotStatus::Matched(index) => format!("has it, matched {index} r{}", reply.round),
            SnapshotStatus::Failed => format!("failed {} r{}", reply.snapshot, reply.round),
        },
        Message::TimeoutNow => "take over".to_owned(),
        Message::ReadIndex(ask) => format!("barrier? #{}", ask.request),
        Message::ReadIndexReply(reply) => format!("barrier {} #{}", reply.index, reply.request),
        Message::StaleTerm => "stale term".to_owned(),
        Message::WrongIncarnation => "wrong incarnation".to_owned(),
    }
}

fn tell_write(write: &Write) -> String {
    let mut text = format!("write #{}", write.id);
    if let Some(meta) = &write.reset {
        let _ = write!(text, " reset {}", meta.last);
    }
    if let Some(state) = &write.hard_state {
        let vote = state.vote.map_or(0, |vote| vote.0);
        let _ = write!(text, " term {} vote {vote}", state.term);
    }
    if let Some(from) = write.truncate {
        let _ = write!(text, " truncate {from}");
    }
    if let (Some(first), Some(last)) = (write.entries.first(), write.entries.last()) {
        let _ = write!(text, " {}..{}", first.position(), last.position());
    }
    text
}

fn observation(observation: &Observation) -> String {
    match observation {
        Observation::Role { role, term, cause } => format!("{role:?} t{term}: {cause:?}"),
        Observation::Leader { leader: None, term } => format!("no leader t{term}"),
        Observation::Leader {
            leader: Some(id),
            term,
        } => format!("leader {id} t{term}"),
        Observation::Committed(index) => format!("committed {index}"),
        Observation::Membership {
            index,
            membership,
            cause,
        } => {
            format!("members {cause:?} at {index}: {}", members(membership))
        }
        Observation::Truncated { from } => format!("truncated from {from}"),
        Observation::Progress {
            peer,
            state,
            matched,
        } => {
            format!("{peer}: {state:?}, matched {matched}")
        }
        Observation::TransferStarted { .. }
        | Observation::TransferAborted { .. }
        | Observation::DiskStalled { .. }
        | Observation::Quarantined { .. }
        | Observation::Released
        | Observation::WrongIncarnation { .. }
        | Observation::Installed { .. } => format!("{observation:?}"),
    }
}

fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Accepted { ticket, position } => format!("accepted #{ticket} at {position}"),
        Reply::ReadReady { ticket, index } => format!("ready #{ticket} at {index}"),
        Reply::MembershipChanged { index, .. } => format!("members changed at {index}"),
        Reply::Transferred { .. } => "transferred".to_owned(),
        Reply::Refused { ticket, reason } => format!("refused #{ticket}: {reason:?}"),
        Reply::Unknown { ticket } => format!("unknown #{ticket}"),
    }
}

fn change(change: &MemberChange) -> String {
    match change {
        MemberChange::Learner(id, known) => format!("learner {}", member(*id, known)),
        MemberChange::Voter(id, known) => format!("voter {}", member(*id, known)),
        MemberChange::Remove(id) => format!("remove {id}"),
        MemberChange::Update(id, known) => format!("update {}", member(*id, known)),
    }
}

/// A configuration: the voters, those of the old half if joint, and the learners.
pub(super) fn members(membership: &Membership) -> String {
    let list = |fits: &dyn Fn(NodeId) -> bool| {
        let members = membership.members().filter(|(id, _)| fits(*id));
        members
            .map(|(id, known)| member(id, known))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut text = format!("[{}]", list(&|id| membership.voters().contains(&id)));
    if membership.is_joint() {
        let _ = write!(
            text,
            " old [{}]",
            list(&|id| membership.outgoing().contains(&id))
        );
    }
    let learners = list(&|id| !membership.is_voter(id));
    if !learners.is_empty() {
        let _ = write!(text, " learners [{learners}]");
    }
    text
}

/// A member with its life, if that is known.
fn member(id: NodeId, known: &Member) -> String {
    if known.incarnation == Incarnation::UNBOUND {
        id.to_string()
    } else {
        format!("{id}/{}", known.incarnation)
    }
}
