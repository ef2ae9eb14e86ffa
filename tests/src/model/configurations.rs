//! What is explored: a handful of small clusters, each with a beginning that leads to where it gets
//! interesting, and with bounds that let it be explored to the end.
//!
//! It deliberately holds no logic: a new configuration is a new table.

use raft_core::{Incarnation, Member, MemberChange, NodeId};

use super::laws::Mark;
use super::node::Rules;
use super::setup::Scene;

/// An action that a configuration allows a limited number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each bounds the action of the same name")]
pub enum Bound {
    Crashes,
    Repeats,
    Batches,
    Timeouts,
    Heartbeats,
    Proposals,
    Changes,
    Aborts,
    Transfers,
    Reads,
    Compactions,
    FetchFailures,
    Losses,
    Wipes,
}

impl Bound {
    pub(super) const COUNT: usize = Self::Wipes as usize + 1;
}

/// When a write is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disks {
    /// As soon as it is asked for.
    Prompt,
    /// When the model gets round to it.
    Slow,
}

/// How pre-votes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreVotes {
    /// Like all messages.
    Messages,
    /// Question and answers take no time; who hears the question is still open.
    AtOnce,
}

/// What a state machine remembers across a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machines {
    /// Its snapshot.
    Volatile,
    /// All that it has applied.
    Durable,
}

/// A cluster, and what may happen to it. Nodes are counted from 0 here, from 1 in what is printed.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// By which it is asked for.
    pub name: &'static str,
    /// What it is there for.
    pub about: &'static str,
    pub(super) nodes: usize,
    pub(super) voters: &'static [usize],
    /// Whether the members' incarnations are known from the beginning.
    pub(super) unbound: bool,
    pub(super) disks: Disks,
    pub(super) pre_votes: PreVotes,
    pub(super) machines: Machines,
    pub(super) loses_refusals: bool,
    /// One entry a message, so that what a message says can be told from what the next one says.
    pub(super) single_entries: bool,
    pub(super) term_max: u64,
    pub(super) log_max: u64,
    pub(super) messages_max: usize,
    pub(super) bounds: &'static [(Bound, u8)],
    pub(super) wishes: &'static [&'static [Wish]],
    pub(super) readers: &'static [usize],
    pub(super) wiped: &'static [usize],
    /// Two nodes that the setup leaves in the same situation, but for their names.
    pub(super) twins: Option<(usize, usize)>,
    pub(super) setup: &'static [Scene],
    /// What has to be seen.
    pub(super) marks: &'static [Mark],
}

/// A change of one member.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// It becomes a voter.
    Voter(usize),
    /// It is removed.
    Remove(usize),
}

/// What most configurations have in common.
const PLAIN: Configuration = Configuration {
    name: "",
    about: "",
    nodes: 3,
    voters: &[0, 1, 2],
    unbound: false,
    disks: Disks::Prompt,
    pre_votes: PreVotes::AtOnce,
    machines: Machines::Volatile,
    loses_refusals: true,
    single_entries: false,
    term_max: 3,
    log_max: 4,
    messages_max: 8,
    bounds: &[],
    wishes: &[],
    readers: &[],
    wiped: &[],
    twins: None,
    setup: &[],
    marks: &[],
};

/// All of them, by name.
#[must_use]
pub fn all() -> Vec<Configuration> {
    vec![
        elections(),
        durability(),
        figure_8(),
    ]
}

/// Three servers that start, vote, and crash while their votes are on their way to the disk.
fn elections() -> Configuration {
    Configuration {
        name: "elections",
        about: "3 voters from their first start, writes and pre-votes under way, crashes",
        disks: Disks::Slow,
        pre_votes: PreVotes::Messages,
        loses_refusals: false,
        term_max: 2,
        log_max: 2,
        bounds: &[(Bound::Crashes, 1), (Bound::Repeats, 1), (Bound::Batches, 1)],
        twins: Some((1, 2)),
        setup: &[Scene::Timeout(0)],
        marks: &[Mark::Elected, Mark::TwoLeaders, Mark::WritesLost, Mark::Repeated, Mark::Batched],
        ..PLAIN
    }
}

/// A leader, a proposal, and disks that take their time.
fn durability() -> Configuration {
    Configuration {
        name: "durability",
        about: "3 voters with a leader, writes under way, crashes, conflicting suffixes",
        disks: Disks::Slow,
        term_max: 2,
        log_max: 3,
        bounds: &[(Bound::Crashes, 1), (Bound::Proposals, 1), (Bound::Heartbeats, 1)],
        twins: Some((1, 2)),
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[
            Mark::Elected,
            Mark::Committed,
            Mark::Truncated,
            Mark::StalePersisted,
            Mark::WritesLost,
            Mark::TwoLeaders,
        ],
        ..PLAIN
    }
}

/// Figure 8 of the paper: two logs that conflict, and an entry of an old term on a majority.
fn figure_8() -> Configuration {
    Configuration {
        name: "figure-8",
        about: "3 voters, conflicting first entries of terms 1 and 2, one entry a message",
        single_entries: true,
        term_max: 4,
        log_max: 3,
        bounds: &[(Bound::Crashes, 1), (Bound::Proposals, 1)],
        setup: &[Scene::Lead(0, &[1]), Scene::Lead(1, &[2])],
        marks: &[
            Mark::Elected,
            Mark::Committed,
            Mark::Truncated,
            Mark::OldTermOnMajority,
            Mark::TwoLeaders,
        ],
        ..PLAIN
    }
}

impl Configuration {
    pub(super) fn limits(&self) -> [u8; Bound::COUNT] {
        let mut limits = [0; Bound::COUNT];
        limits[Bound::Timeouts as usize] = u8::MAX;
        for (bound, limit) in self.bounds {
            limits[*bound as usize] = *limit;
        }
        limits
    }

    pub(super) fn rules(&self) -> Rules {
        let change = |wish: &Wish| match *wish {
            Wish::Voter(at) => MemberChange::Voter(id_of(at), self.member(at)),
            Wish::Remove(at) => MemberChange::Remove(id_of(at)),
        };
        let wish = |wishes: &&[Wish]| wishes.iter().map(change).collect();
        Rules {
            config: Rules::config(if self.single_entries { 1 } else { u64::MAX }),
            slow_disk: self.disks == Disks::Slow,
            durable_machine: self.machines == Machines::Durable,
            loses_writes: self.limits()[Bound::Losses as usize] > 0,
            wishes: self.wishes.iter().map(wish).collect(),
        }
    }

    pub(super) fn member(&self, at: usize) -> Member {
        let incarnation = if self.unbound { Incarnation::UNBOUND } else { first_life_of(at) };
        Member { incarnation, ..Member::at("") }
    }
}

pub(super) const fn id_of(at: usize) -> NodeId {
    NodeId(at as u64 + 1)
}

pub(super) const fn first_life_of(at: usize) -> Incarnation {
    Incarnation(at as u64 + 1)
}
