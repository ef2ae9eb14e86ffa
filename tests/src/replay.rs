//! A replay as a story: a line for each event and each effect, in the terms of the paper.
//!
//! It deliberately decides nothing and compares nothing: `raft_core::recorder` does. Two replays of
//! one recording tell the same story, byte for byte.

use raft_core::event::{Apply, Reader};
use raft_core::membership::{Member, MemberChange};
use raft_core::recorder::{Moment, ReplaySummary};
use raft_core::{Event, Incarnation, NodeId, Output, Raft, Time};

use crate::transcript::render::{self, Names};

/// A line is cut after so many characters, unless it is wanted whole.
const COLUMNS_MAX: usize = 200;

/// Tells moment after moment.
pub struct Story {
    names: Names,
    /// When the first checkpoint was taken; times count from there.
    began: Option<Time>,
    is_wide: bool,
    /// The record that was told last, and when it was written.
    last: (u64, Time),
}

impl Story {
    /// The beginning of a story; of whole lines, however long, if it `is_wide`.
    #[must_use]
    pub fn new(is_wide: bool) -> Self {
        Self {
            names: Names::plain(),
            began: None,
            is_wide,
            last: (0, Time::default()),
        }
    }

    /// The record that was told last, and its time since the beginning.
    #[must_use]
    pub fn last(&self) -> String {
        let (record, now) = self.last;
        format!("record {record}, at {}", self.time(now).trim_start())
    }

    /// The lines for a moment.
    pub fn tell(&mut self, moment: &Moment<'_>) -> Vec<String> {
        let (record, now) = match moment {
            Moment::Checkpoint { record, now, .. }
            | Moment::Event { record, now, .. }
            | Moment::Output { record, now, .. } => (*record, *now),
        };
        self.last = (record, now);
        self.began.get_or_insert(now);
        let told = match moment {
            Moment::Checkpoint { raft, .. } => vec![checkpoint(raft)],
            Moment::Event { event, .. } => vec![format!("< {}", self.event(event))],
            Moment::Output { output, .. } => self.output(output),
        };
        let time = self.time(now);
        let lines = told.into_iter().map(|text| format!("{time}  {text}"));
        lines.map(|line| self.cut(line)).collect()
    }

    fn time(&self, now: Time) -> String {
        let since = now.since(self.began.unwrap_or(now));
        format!("{:>5}.{:06}", since.as_secs(), since.subsec_micros())
    }

    fn cut(&self, line: String) -> String {
        match line.char_indices().nth(COLUMNS_MAX) {
            Some((at, _)) if !self.is_wide => format!("{}…", &line[..at]),
            Some(_) | None => line,
        }
    }

    fn event(&mut self, event: &Event) -> String {
        match event {
            Event::Tick => "tick".to_owned(),
            Event::Received(envelope) => {
                format!("from {}  {}", envelope.from, self.names.message(envelope))
            }
            Event::Persisted(id) => format!("write #{id} is durable"),
            Event::Applied(index) => format!("applied up to {index}"),
            Event::Propose { ticket, command } => {
                let command = String::from_utf8_lossy(command);
                format!("{} wants {command:?}", self.names.request(*ticket))
            }
            Event::Read {
                ticket,
                consistency,
            } => format!("{} reads, {consistency:?}", self.names.request(*ticket)),
            Event::ChangeMembership {
                ticket,
                based_on,
                changes,
            } => {
                let changes: Vec<String> = changes.iter().map(change).collect();
                let based = based_on.map_or(String::new(), |index| format!(" based on {index}"));
                let (request, changes) = (self.names.request(*ticket), changes.join(", "));
                format!("{request} changes members{based}: {changes}")
            }
            Event::AbortMembershipChange => "the change of members is to be undone".to_owned(),
            Event::TransferLeadership { ticket, target } => {
                let target = target.map_or("anybody".to_owned(), |id| id.to_string());
                let request = self.names.request(*ticket);
                format!("{request} wants leadership moved to {target}")
            }
            Event::Fetched { reader, entries } => {
                let (whom, entries) = (reader_name(*reader), render::entries(entries));
                format!("read back for {whom}: [{entries}]")
            }
            Event::SnapshotTaken(meta) => format!("snapshot {} is taken", meta.last),
            Event::SnapshotReceived(meta) => format!("snapshot {} is received", meta.last),
            Event::SnapshotFailed(last) => format!("the snapshot up to {last} did not arrive"),
            Event::Compact(up_to) => format!("the log is to go up to {up_to}"),
            Event::Campaign => "told to campaign".to_owned(),
        }
    }

    /// Inner events first, as they cause the rest.
    fn output(&mut self, output: &Output) -> Vec<String> {
        let mut lines: Vec<String> = output
            .observations
            .iter()
            .map(|what| format!("* {}", render::observation(what)))
            .collect();
        let write = output.write.iter();
        lines.extend(write.map(|write| format!("> {}", render::write(write))));
        for envelope in &output.messages {
            let says = self.names.message(envelope);
            lines.push(format!("> to {}  {says}", envelope.to));
        }
        for apply in &output.apply {
            lines.push(match apply {
                Apply::Entries(entries) => format!("> applies [{}]", render::entries(entries)),
                Apply::Restore(meta) => format!("> restores snapshot {}", meta.last),
            });
        }
        for fetch in &output.fetch {
            let whom = reader_name(fetch.reader);
            let (from, to) = (fetch.from, fetch.to);
            lines.push(format!("> reads back {from} to {to} for {whom}"));
        }
        let orders = output.snapshot.iter();
        lines.extend(orders.map(|order| format!("> {}", render::snapshot_order(order))));
        let purge = output.purge.iter();
        lines.extend(purge.map(|up_to| format!("> drops its log up to {up_to}")));
        let replies = output.replies.iter();
        lines.extend(replies.map(|reply| format!("> {}", self.names.reply(reply))));
        lines
    }
}

fn checkpoint(raft: &Raft) -> String {
    let (id, role, term) = (raft.id(), render::role(raft.role()), raft.term());
    let (commit, members) = (raft.commit(), render::members(raft.membership()));
    format!("= server {id} is {role} in term {term}, committed {commit}, <{members}>")
}

fn reader_name(reader: Reader) -> String {
    match reader {
        Reader::Follower(id) => id.to_string(),
        Reader::Machine => "the state machine".to_owned(),
    }
}

fn change(change: &MemberChange) -> String {
    let member = |id: &NodeId, known: &Member| {
        let life = match known.incarnation {
            Incarnation::UNBOUND => String::new(),
            life => format!(" of storage {life}"),
        };
        format!("{id} at {:?}{life}", known.address)
    };
    match change {
        MemberChange::Learner(id, known) => format!("learner {}", member(id, known)),
        MemberChange::Voter(id, known) => format!("voter {}", member(id, known)),
        MemberChange::Remove(id) => format!("remove {id}"),
        MemberChange::Update(id, known) => format!("update {}", member(id, known)),
    }
}

/// What was replayed without a difference, in a few words.
#[must_use]
pub fn summary(summary: &ReplaySummary) -> String {
    let mut text = format!(
        "server {}: {} events in {} batches over {:?}, {} checkpoints; all outputs are the same",
        summary.node,
        summary.events,
        summary.flushes,
        summary.ended.since(summary.began),
        summary.checkpoints,
    );
    if summary.unflushed > 0 {
        let count = summary.unflushed;
        text += &format!("; it ends within a batch, after {count} of its events");
    }
    if summary.torn_bytes > 0 {
        let bytes = summary.torn_bytes;
        text += &format!("; the last record is torn, {bytes} bytes were passed over");
    }
    text
}
