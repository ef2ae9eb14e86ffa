//! Questions and answers, from the core's types to the frozen ones and back.
//!
//! This file does not know who may ask, nor what is true.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Refusal;
use raft_core::membership::ChangeError;
use raft_core::port::{self, Outcome, Question};
use raft_core::session::Session;
use raft_core::{GroupId, NodeId, Ticket};

use super::{Answer, Ask, ClusterView};
use crate::wire::WireError;
use crate::wire::body::{self, Payloads};

pub(super) fn ask_to_wire(group: GroupId, ask: &port::Ask) -> (Ask, &[u8]) {
    type Wire = super::Question;
    let mut payload: &[u8] = &[];
    let question = match &ask.question {
        Question::Write { session, command } => {
            payload = command;
            Wire::Write {
                session: session
                    .map(|Session { client, sequence }| super::Session { client, sequence }),
                length: body::length(command),
            }
        }
        Question::Change { based_on, changes } => Wire::Change {
            based_on: based_on.map(Into::into),
            changes: changes.iter().map(Into::into).collect(),
        },
        Question::Transfer { target } => Wire::Transfer {
            target: target.map(|node| node.0),
        },
        Question::Cluster => Wire::Cluster,
    };
    let wire = Ask {
        group: group.0,
        from: ask.from.0,
        to: ask.to.0,
        ticket: ask.ticket.0,
        question,
    };
    (wire, payload)
}

pub(super) fn ask_from_wire(
    wire: Ask,
    payloads: &mut Payloads,
) -> Result<(GroupId, port::Ask), WireError> {
    type Wire = super::Question;
    let question = match wire.question {
        Wire::Write { session, length } => Question::Write {
            session: session
                .map(|super::Session { client, sequence }| Session { client, sequence }),
            command: payloads.take(length)?,
        },
        Wire::Change { based_on, changes } => Question::Change {
            based_on: based_on.map(Into::into),
            changes: changes
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        },
        Wire::Transfer { target } => Question::Transfer {
            target: target.map(NodeId),
        },
        Wire::Cluster => Question::Cluster,
    };
    let ask = port::Ask {
        from: NodeId(wire.from),
        to: NodeId(wire.to),
        ticket: Ticket(wire.ticket),
        question,
    };
    Ok((GroupId(wire.group), ask))
}

pub(super) fn answer_to_wire(group: GroupId, answer: &port::Answer) -> (Answer, &[u8]) {
    type Wire = super::Outcome;
    let mut payload: &[u8] = &[];
    let outcome = match &answer.outcome {
        Outcome::Written(response) => {
            payload = response;
            Wire::Written {
                length: body::length(response),
            }
        }
        Outcome::Changed(index) => Wire::Changed((*index).into()),
        Outcome::Transferred => Wire::Transferred,
        Outcome::Cluster(view) => Wire::Cluster(Box::new(view.into())),
        Outcome::Refused(refusal) => Wire::Refused((*refusal).into()),
        Outcome::Unknown => Wire::Unknown,
    };
    let wire = Answer {
        group: group.0,
        from: answer.from.0,
        to: answer.to.0,
        ticket: answer.ticket.0,
        outcome,
    };
    (wire, payload)
}

pub(super) fn answer_from_wire(
    wire: Answer,
    payloads: &mut Payloads,
) -> Result<(GroupId, port::Answer), WireError> {
    type Wire = super::Outcome;
    let outcome = match wire.outcome {
        Wire::Written { length } => {
            let response: Bytes = payloads.take(length)?;
            Outcome::Written(response)
        }
        Wire::Changed(index) => Outcome::Changed(index.into()),
        Wire::Transferred => Outcome::Transferred,
        Wire::Cluster(view) => Outcome::Cluster((*view).try_into()?),
        Wire::Refused(refusal) => Outcome::Refused(refusal.into()),
        Wire::Unknown => Outcome::Unknown,
    };
    let answer = port::Answer {
        from: NodeId(wire.from),
        to: NodeId(wire.to),
        ticket: Ticket(wire.ticket),
        outcome,
    };
    Ok((GroupId(wire.group), answer))
}

impl From<&port::ClusterView> for ClusterView {
    fn from(view: &port::ClusterView) -> Self {
        Self {
            membership: view.membership.as_ref().into(),
            commit: view.commit.into(),
            leader: view.leader.map(|node| node.0),
        }
    }
}

impl TryFrom<ClusterView> for port::ClusterView {
    type Error = WireError;

    fn try_from(wire: ClusterView) -> Result<Self, WireError> {
        Ok(Self {
            membership: Arc::new(wire.membership.try_into()?),
            commit: wire.commit.into(),
            leader: wire.leader.map(NodeId),
        })
    }
}

impl From<Refusal> for super::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader(leader) => Self::NotLeader(leader.map(|node| node.0)),
            Refusal::Overloaded => Self::Overloaded,
            Refusal::Transferring => Self::Transferring,
            Refusal::Change(error) => Self::Change(error.into()),
            Refusal::Aborted => Self::Aborted,
            Refusal::BadTarget => Self::BadTarget,
            Refusal::TimedOut => Self::TimedOut,
        }
    }
}

impl From<super::Refusal> for Refusal {
    fn from(wire: super::Refusal) -> Self {
        type Wire = super::Refusal;
        match wire {
            Wire::NotLeader(leader) => Self::NotLeader(leader.map(NodeId)),
            Wire::Overloaded => Self::Overloaded,
            Wire::Transferring => Self::Transferring,
            Wire::Change(error) => Self::Change(error.into()),
            Wire::Aborted => Self::Aborted,
            Wire::BadTarget => Self::BadTarget,
            Wire::TimedOut => Self::TimedOut,
        }
    }
}

impl From<ChangeError> for super::ChangeError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoVoterLeft => Self::NoVoterLeft,
            ChangeError::NotAMember(node) => Self::NotAMember(node.0),
            ChangeError::NamedTwice(node) => Self::NamedTwice(node.0),
            ChangeError::Nothing => Self::Nothing,
            ChangeError::NotBasedOn(index) => Self::NotBasedOn(index.into()),
            ChangeError::OtherLife(node) => Self::OtherLife(node.0),
            ChangeError::InProgress => Self::InProgress,
        }
    }
}

impl From<super::ChangeError> for ChangeError {
    fn from(wire: super::ChangeError) -> Self {
        type Wire = super::ChangeError;
        match wire {
            Wire::NoVoterLeft => Self::NoVoterLeft,
            Wire::NotAMember(node) => Self::NotAMember(NodeId(node)),
            Wire::NamedTwice(node) => Self::NamedTwice(NodeId(node)),
            Wire::Nothing => Self::Nothing,
            Wire::NotBasedOn(index) => Self::NotBasedOn(index.into()),
            Wire::OtherLife(node) => Self::OtherLife(NodeId(node)),
            Wire::InProgress => Self::InProgress,
        }
    }
}
