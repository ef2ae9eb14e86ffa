//! States and actions in words, for whoever has to understand a path.
//!
//! It deliberately changes nothing.

use std::fmt::Write;

use raft_core::message::{AppendOutcome, SnapshotStatus};
use raft_core::{Entry, Envelope, Message, Payload};

use super::cluster::{Act, Action, Cluster, State};
use super::node::Node;

impl Cluster {
    pub(super) fn print_action(&self, action: Action) -> String {
        let message = |id: u32| print_envelope(self.messages.get(id));
        match action {
            Action::Deliver(id) => format!("deliver {}", message(id)),
            Action::Repeat(id) => format!("deliver, and not for the last time, {}", message(id)),
            Action::Stage(id) => format!("take in, without a flush, {}", message(id)),
            Action::Timeout { node, hearers: 0 } => format!("{}: timeout", node + 1),
            Action::Timeout { node, hearers } => {
                let heard = (0..8).filter(|at| hearers & 1 << at != 0).map(|at| at + 1);
                format!(
                    "{}: timeout, heard by {:?}",
                    node + 1,
                    heard.collect::<Vec<_>>()
                )
            }
            Action::At(node, Act::Transfer(to)) => {
                format!("{}: transfer leadership to {}", node + 1, to + 1)
            }
            Action::At(node, act) => format!("{}: {act:?}", node + 1),
        }
    }

    /// A state in a few lines: a line a node, and what is under way.
    #[must_use]
    pub fn print_state(&self, state: &State) -> String {
        let mut text = String::new();
        for node in self.all_nodes(state) {
            let _ = writeln!(text, "    {}", print_node(node));
        }
        for id in state.network.ids() {
            let _ = writeln!(text, "    ~ {}", print_envelope(self.messages.get(*id)));
        }
        text
    }
}

fn print_node(node: &Node) -> String {
    let durable = &node.disk.image;
    let log: Vec<String> = node
        .log
        .lines()
        .map(|(index, line)| format!("{index}t{}", line.term))
        .collect();
    let mut text = format!(
        "{} {:?} term {} vote {} log {}[{}] commit {} applied {} durable {} t{} vote {}",
        node.id(),
        node.raft.role(),
        node.raft.term(),
        print_option(node.raft.vote()),
        node.log.base(),
        log.join(" "),
        node.raft.commit(),
        node.applied,
        durable.last(),
        durable.hard_state.term,
        print_option(durable.hard_state.vote),
    );
    let membership = node.raft.membership();
    let _ = write!(text, " voters {:?}", membership.voters());
    if membership.is_joint() {
        let _ = write!(text, " joint with {:?}", membership.outgoing());
    }
    if !node.pending.is_empty() {
        let _ = write!(text, " writes {}", node.pending.len());
    }
    if let Some(snapshot) = &node.receiving {
        let _ = write!(text, " fetches {}", snapshot.last);
    }
    if node.raft.is_quarantined() {
        text.push_str(" quarantined");
    }
    if node.in_batch() {
        text.push_str(" in a batch");
    }
    text
}

fn print_option<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn print_envelope(envelope: &Envelope) -> String {
    let what = match &envelope.message {
        Message::AppendEntries(append) => {
            let entries: Vec<String> = append.entries.iter().map(print_entry).collect();
            format!(
                "AppendEntries after {} [{}] commit {} round {}",
                append.prev,
                entries.join(" "),
                append.commit,
                append.round
            )
        }
        Message::AppendEntriesReply(reply) => match reply.outcome {
            AppendOutcome::Matched(index) => format!("Matched {index} round {}", reply.round),
            AppendOutcome::Conflict { prev, hint } => format!("Conflict at {prev}, hint {hint}"),
        },
        Message::InstallSnapshot(offer) => format!("InstallSnapshot {}", offer.snapshot.last),
        Message::InstallSnapshotReply(reply) => match reply.status {
            SnapshotStatus::Matched(index) => format!("SnapshotMatched {index}"),
            SnapshotStatus::Receiving => "SnapshotReceiving".to_owned(),
            SnapshotStatus::Failed => "SnapshotFailed".to_owned(),
        },
        other => format!("{other:?}"),
    };
    format!(
        "{}->{} t{} {what}",
        envelope.from, envelope.to, envelope.term
    )
}

fn print_entry(entry: &Entry) -> String {
    let what = match &entry.payload {
        Payload::Noop => "noop".to_owned(),
        Payload::Command(bytes) => format!("{bytes:?}"),
        Payload::Membership(membership) => {
            format!("{:?}/{:?}", membership.voters(), membership.outgoing())
        }
    };
    format!("{}={what}", entry.position())
}
