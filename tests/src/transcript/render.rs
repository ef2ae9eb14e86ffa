//! Effects in words: one line each, in the terms of the paper.
//!
//! Entries and positions are written `2t1`, index 2 of term 1. This file decides nothing.

use std::fmt::Write as _;

use raft_core::event::{
    MembershipCause, Observation, ProgressName, Refusal, RoleCause, RoleName, SnapshotOrder, Write,
};
use raft_core::membership::ChangeError;
use raft_core::message::{AppendOutcome, SnapshotStatus};
use raft_core::{
    Entry, Envelope, Index, Membership, Message, NodeId, Payload, Reply, Round, Ticket,
};

/// Names for numbers that mean nothing to a reader.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Questions for read barriers, in the order of their first appearance.
    questions: Vec<Round>,
    /// What clients and operators called their requests, by ticket.
    requests: Vec<String>,
    /// Nothing has a name: numbers are shown as they are.
    is_plain: bool,
}

impl Names {
    /// No names at all, for what really happened: there the numbers are what logs say, too.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            is_plain: true,
            ..Self::default()
        }
    }

    /// A ticket for a request, by whose name its answer is shown.
    pub fn ticket(&mut self, request: &str) -> Ticket {
        self.requests.push(request.to_owned());
        Ticket(self.requests.len() as u64)
    }

    /// How many requests were made of which the name starts like this.
    #[must_use]
    pub fn count(&self, start: &str) -> usize {
        self.requests
            .iter()
            .filter(|name| name.starts_with(start))
            .count()
    }

    /// What a request is called.
    #[must_use]
    pub fn request(&self, ticket: Ticket) -> String {
        if self.is_plain {
            return format!("#{ticket}");
        }
        let at = usize::try_from(ticket.0).unwrap_or(0).wrapping_sub(1);
        self.requests.get(at).map_or("?", String::as_str).to_owned()
    }

    fn question(&mut self, number: Round) -> String {
        if self.is_plain {
            return format!("#{number}");
        }
        let known = self.questions.iter().position(|known| *known == number);
        let at = known.unwrap_or_else(|| {
            self.questions.push(number);
            self.questions.len() - 1
        });
        format!("q{}", at + 1)
    }

    /// What a message says, its term first.
    pub fn message(&mut self, envelope: &Envelope) -> String {
        let round = |round: Round| match round {
            Round(0) => String::new(),
            round => format!(" round={round}"),
        };
        let says = match &envelope.message {
            Message::PreVote(vote) => format!("PreVote last={}", vote.last),
            Message::PreVoteReply(reply) => format!("PreVoteReply {}", verdict(reply.granted)),
            Message::RequestVote(vote) => {
                let blessing = if vote.transfer { " transfer" } else { "" };
                format!("RequestVote last={}{blessing}", vote.last)
            }
            Message::RequestVoteReply(reply) => {
                format!("RequestVoteReply {}", verdict(reply.granted))
            }
            Message::AppendEntries(append) => format!(
                "AppendEntries prev={} commit={}{} [{}]",
                append.prev,
                append.commit,
                round(append.round),
                entries(&append.entries),
            ),
            Message::AppendEntriesReply(reply) => {
                let outcome = match reply.outcome {
                    AppendOutcome::Matched(index) => format!("matched={index}"),
                    AppendOutcome::Conflict { prev, hint } => {
                        format!("conflict prev={prev} hint={hint}")
                    }
                };
                format!("AppendEntriesReply {outcome}{}", round(reply.round))
            }
            Message::InstallSnapshot(offer) => {
                let last = offer.snapshot.last;
                format!("InstallSnapshot last={last}{}", round(offer.round))
            }
            Message::InstallSnapshotReply(reply) => {
                let status = match reply.status {
                    SnapshotStatus::Receiving => "receiving".to_owned(),
                    SnapshotStatus::Matched(index) => format!("matched={index}"),
                    SnapshotStatus::Failed => "failed".to_owned(),
                };
                format!("InstallSnapshotReply {status}{}", round(reply.round))
            }
            Message::TimeoutNow => "TimeoutNow".to_owned(),
            Message::ReadIndex(read) => {
                format!("ReadIndex question={}", self.question(read.request))
            }
            Message::ReadIndexReply(reply) => {
                let question = self.question(reply.request);
                format!("ReadIndexReply question={question} index={}", reply.index)
            }
            Message::StaleTerm => "StaleTerm".to_owned(),
            Message::WrongIncarnation => "WrongIncarnation".to_owned(),
        };
        format!("term {}  {says}", envelope.term)
    }

    /// What a client or operator is told.
    #[must_use]
    pub fn reply(&self, reply: &Reply) -> String {
        let (ticket, says) = match reply {
            Reply::Accepted { ticket, position } => (ticket, format!("accepted at {position}")),
            Reply::ReadReady { ticket, index } => {
                (ticket, format!("ready for whoever has applied {index}"))
            }
            Reply::MembershipChanged { ticket, index } => {
                (ticket, format!("done, by the entry at {index}"))
            }
            Reply::Transferred { ticket } => (ticket, "done".to_owned()),
            Reply::Refused { ticket, reason } => (ticket, format!("refused, {}", refusal(*reason))),
            Reply::Unknown { ticket } => (ticket, "outcome unknown".to_owned()),
        };
        format!("answers {}: {says}", self.request(*ticket))
    }
}

fn verdict(granted: bool) -> &'static str {
    if granted { "granted" } else { "denied" }
}

fn refusal(reason: Refusal) -> String {
    match reason {
        Refusal::NotLeader(Some(leader)) => format!("{leader} leads"),
        Refusal::NotLeader(None) => "no leader is known".to_owned(),
        Refusal::Overloaded => "overloaded".to_owned(),
        Refusal::Transferring => "leadership is moving".to_owned(),
        Refusal::Change(error) => change_error(error),
        Refusal::Aborted => "the change was taken back".to_owned(),
        Refusal::BadTarget => "not a voter that could lead".to_owned(),
        Refusal::TimedOut => "it took too long".to_owned(),
    }
}

fn change_error(error: ChangeError) -> String {
    match error {
        ChangeError::NoVoterLeft => "no voter would be left".to_owned(),
        ChangeError::NotAMember(id) => format!("{id} is no member"),
        ChangeError::NamedTwice(id) => format!("{id} is named twice"),
        ChangeError::Nothing => "it would change nothing".to_owned(),
        ChangeError::NotBasedOn(index) => format!("the configuration is that of {index} now"),
        ChangeError::OtherLife(id) => format!("{id} can't get another life in one step"),
        ChangeError::InProgress => "another change is under way".to_owned(),
    }
}

/// Entries, with commas.
#[must_use]
pub fn entries(entries: &[Entry]) -> String {
    entries.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// An entry: where it stands, and what it says.
#[must_use]
pub fn entry(entry: &Entry) -> String {
    let says = match &entry.payload {
        Payload::Noop => "noop".to_owned(),
        Payload::Command(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Payload::Membership(membership) => format!("<{}>", members(membership)),
    };
    format!("{} {says}", entry.position())
}

/// A configuration: the voters, of both halves if it is joint, and the learners.
#[must_use]
pub fn members(membership: &Membership) -> String {
    let list = |ids: Vec<NodeId>| {
        ids.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let voters = list(membership.voters().iter().copied().collect());
    let mut text = if membership.is_joint() {
        format!(
            "old {} new {voters}",
            list(membership.outgoing().iter().copied().collect())
        )
    } else {
        format!("voters {voters}")
    };
    let learners = membership
        .members()
        .map(|(id, _)| id)
        .filter(|id| !membership.is_voter(*id));
    let learners: Vec<NodeId> = learners.collect();
    if !learners.is_empty() {
        let _ = write!(text, " learners {}", list(learners));
    }
    text
}

/// What goes to the disk.
#[must_use]
pub fn write(write: &Write) -> String {
    let mut parts = Vec::new();
    if let Some(snapshot) = &write.reset {
        parts.push(format!("log := snapshot {}", snapshot.last));
    }
    if let Some(hard_state) = write.hard_state {
        let vote = hard_state
            .vote
            .map_or("nobody".to_owned(), |id| id.to_string());
        parts.push(format!("term={} vote={vote}", hard_state.term));
    }
    if let Some(from) = write.truncate {
        parts.push(format!("cut from {from}"));
    }
    if !write.entries.is_empty() {
        parts.push(format!("append [{}]", entries(&write.entries)));
    }
    format!("writes #{}: {}", write.id, parts.join(", "))
}

/// What is to happen with a snapshot.
#[must_use]
pub fn snapshot_order(order: &SnapshotOrder) -> String {
    match order {
        SnapshotOrder::Fetch { from, snapshot } => {
            format!("fetches snapshot {} from {from}", snapshot.last)
        }
        SnapshotOrder::Cancel(last) => format!("stops fetching the snapshot up to {last}"),
    }
}

/// The name of a role.
#[must_use]
pub const fn role(role: RoleName) -> &'static str {
    match role {
        RoleName::Follower => "follower",
        RoleName::PreCandidate => "pre-candidate",
        RoleName::Candidate => "candidate",
        RoleName::Leader => "leader",
    }
}

/// How a follower is replicated to.
#[must_use]
pub const fn progress(state: ProgressName) -> &'static str {
    match state {
        ProgressName::Probe => "probe",
        ProgressName::Replicate => "replicate",
        ProgressName::Snapshot => "snapshot",
    }
}

/// What happened inside.
#[must_use]
pub fn observation(observation: &Observation) -> String {
    match observation {
        Observation::Role {
            role: name,
            term,
            cause,
        } => {
            format!("is {} in term {term}: {}", role(*name), role_cause(*cause))
        }
        Observation::Leader {
            leader: Some(leader),
            term,
        } => {
            format!("knows the leader of term {term}: {leader}")
        }
        Observation::Leader { leader: None, .. } => "knows no leader".to_owned(),
        Observation::Committed(index) => format!("knows committed: {index}"),
        Observation::Membership {
            index,
            membership,
            cause,
        } => {
            let says = membership_cause(*cause);
            format!(
                "has configuration of {index}, {says}: {}",
                members(membership)
            )
        }
        Observation::Truncated { from } => format!("gives up its entries from {from} on"),
        Observation::Progress {
            peer,
            state,
            matched,
        } => {
            format!("sees {peer}: {}, matched={matched}", progress(*state))
        }
        Observation::TransferStarted { target } => format!("hands over to {target}"),
        Observation::TransferAborted { target } => format!("stops handing over to {target}"),
        Observation::DiskStalled { outstanding } => {
            format!("waits for its disk since {}ms", outstanding.as_millis())
        }
        Observation::Quarantined { until } => {
            format!("is in quarantine: it must have {until} again before it votes")
        }
        Observation::Released => "is out of quarantine".to_owned(),
        Observation::WrongIncarnation { id, incarnation } => {
            format!("sees that storage {incarnation} is not that of member {id}")
        }
        Observation::Installed { last } => format!("replaces its log by snapshot {last}"),
    }
}

fn membership_cause(cause: MembershipCause) -> &'static str {
    match cause {
        MembershipCause::Appended => "appended",
        MembershipCause::Committed => "committed",
        MembershipCause::RolledBack => "back again",
        MembershipCause::Snapshot => "from the snapshot",
    }
}

fn role_cause(cause: RoleCause) -> String {
    match cause {
        RoleCause::Started => "started".to_owned(),
        RoleCause::ElectionTimeout => "election timeout".to_owned(),
        RoleCause::TransferRequested => "the old leader wants it".to_owned(),
        RoleCause::Told => "told to campaign".to_owned(),
        RoleCause::PreVotesWon => "pre-votes won".to_owned(),
        RoleCause::VotesWon => "votes won".to_owned(),
        RoleCause::VotesLost => "votes lost".to_owned(),
        RoleCause::VotedFor(id) => format!("voted for {id}"),
        RoleCause::HigherTerm(id) => format!("higher term of {id}"),
        RoleCause::LeaderHeard(id) => format!("leader {id} heard"),
        RoleCause::QuorumLost => "no quorum answers".to_owned(),
        RoleCause::DiskStalled => "its disk is stuck".to_owned(),
        RoleCause::Removed => "no voter any more".to_owned(),
    }
}

/// A log: what is known to be committed stands before the bar, what is not durable has a star.
#[must_use]
pub fn log(entries: &[Entry], commit: Index, durable: Index) -> String {
    let mut text = String::new();
    let mut bar = false;
    for each in entries {
        if each.index > commit && !bar {
            text.push_str(" |");
            bar = true;
        }
        let star = if each.index > durable { "*" } else { "" };
        let _ = write!(text, " {}{star}", entry(each));
    }
    text + if bar { "" } else { " |" }
}
