//! Records, slots and states in words: one line each.
//!
//! This file reads nothing.

use std::fmt::Write;

use raft_core::types::NodeId;
use raft_core::{Entry, Membership, Payload, Watermark};

use crate::format::{Checkpoint, Placed, Record, Slot};

/// A record.
pub(super) fn record(placed: &Placed, preview_bytes: usize) -> String {
    let said = match &placed.record {
        Record::HardState(state) => format!("term {} {}", state.term, vote(state.vote)),
        Record::Truncate(from) => format!("truncate from {from}"),
        Record::Entry(written) => entry(written, placed.length, preview_bytes),
        Record::Reset(last) => format!("reset: the log begins after {last}"),
        Record::Purge(last) => format!("purge up to {last}"),
        Record::Checkpoint(state) => checkpoint(state),
    };
    format!("group {} {said}", placed.group)
}

fn entry(entry: &Entry, length: u32, preview_bytes: usize) -> String {
    let (term, index) = (entry.term, entry.index);
    let said = match &entry.payload {
        Payload::Noop => "noop".to_owned(),
        Payload::Command(command) => {
            let shown = &command[..preview_bytes.min(command.len())];
            let more = if shown.len() < command.len() {
                ".."
            } else {
                ""
            };
            let shown = shown.escape_ascii();
            format!("command {length} bytes \"{shown}\"{more}")
        }
        Payload::Membership(members) => {
            format!("membership {length} bytes {}", membership(members))
        }
    };
    format!("term {term} index {index} {said}")
}

fn checkpoint(state: &Checkpoint) -> String {
    format!(
        "checkpoint: incarnation {:x}, term {} {}, entries after {} up to {}, founded with {}",
        state.incarnation.0,
        state.hard_state.term,
        vote(state.hard_state.vote),
        state.base,
        state.last,
        membership(&state.founding.membership)
    )
}

/// The members of a configuration, each with its part in it.
pub(super) fn membership(membership: &Membership) -> String {
    let mut said = String::from("[");
    for (place, (id, member)) in membership.members().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        let is_voter = membership.voters().contains(&id);
        let is_outgoing = membership.outgoing().contains(&id);
        let part = match (is_voter, is_outgoing) {
            (true, _) => "",
            (false, true) => " outgoing",
            (false, false) => " learner",
        };
        // Writing to a string can't fail.
        let _ = write!(said, "{comma}{id}{part} at {:?}", member.address);
    }
    said + "]"
}

pub(super) fn slot(slot: &Slot) -> String {
    let lost = if slot.lost { ", lost" } else { "" };
    format!(
        "group {}: {}, after batch {}, stamp {}{lost}",
        slot.group,
        watermark(slot.watermark),
        slot.sequence,
        slot.stamp
    )
}

/// What others rely on.
pub(super) fn watermark(watermark: Watermark) -> String {
    let Watermark { term, index, .. } = watermark;
    format!("term {term} {} index {index}", vote(watermark.vote))
}

pub(super) fn vote(vote: Option<NodeId>) -> String {
    match vote {
        Some(node) => format!("vote {node}"),
        None => "no vote".to_owned(),
    }
}
