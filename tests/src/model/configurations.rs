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
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
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
    /// Whether messages get lost that tell what their receiver knows. Where what is known can be
    /// forgotten, or taken back, that would hide something.
    pub(super) loses_echoes: bool,
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
    loses_echoes: true,
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
        four_voters(),
        durability(),
        late_writes(),
        figure_8(),
        growth(),
        replacement(),
        removed_leader(),
        abort(),
        two_changes(),
        snapshots(),
        slow_snapshots(),
        late_offer(),
        reads(),
        follower_reads(),
        transfer(),
        lost_tail(),
        two_voters(),
        wiped(),
    ]
}

/// What is known to break a law, and why it may: looked at only when asked for by name. A founder
/// that is wiped before the leader has written down its incarnation can vote twice in a term, once
/// in each life; the book says how long that window is open.
#[must_use]
pub fn known_limits() -> Vec<Configuration> {
    vec![wiped_unbound()]
}

/// Three servers that start, vote, and crash while their votes are on their way to the disk.
fn elections() -> Configuration {
    Configuration {
        name: "elections",
        about: "3 voters from their first start, writes and pre-votes under way, crashes",
        disks: Disks::Slow,
        pre_votes: PreVotes::Messages,
        loses_refusals: false,
        loses_echoes: false,
        term_max: 2,
        log_max: 2,
        bounds: &[
            (Bound::Timeouts, 2),
            (Bound::Crashes, 1),
            (Bound::Repeats, 1),
        ],
        twins: Some((1, 2)),
        setup: &[Scene::Timeout(0)],
        marks: &[Mark::Elected, Mark::WritesLost, Mark::Repeated],
        ..PLAIN
    }
}

/// A leader, a proposal, and disks that take their time.
fn durability() -> Configuration {
    Configuration {
        name: "durability",
        about: "3 voters with a leader, writes under way, a crash",
        disks: Disks::Slow,
        term_max: 3,
        log_max: 3,
        messages_max: 6,
        bounds: &[
            (Bound::Timeouts, 3),
            (Bound::Crashes, 2),
            (Bound::Proposals, 1),
            (Bound::Heartbeats, 1),
        ],
        twins: Some((1, 2)),
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[
            Mark::Elected,
            Mark::Committed,
            Mark::WritesLost,
            Mark::TwoLeaders,
        ],
        ..PLAIN
    }
}

/// A write is under way while what it writes is replaced.
fn late_writes() -> Configuration {
    Configuration {
        name: "late-writes",
        about: "3 voters, the old leader's last write not durable when the new one overwrites it",
        disks: Disks::Slow,
        machines: Machines::Durable,
        term_max: 3,
        log_max: 3,
        messages_max: 6,
        bounds: &[
            (Bound::Timeouts, 2),
            (Bound::Crashes, 1),
            (Bound::Heartbeats, 1),
        ],
        setup: &[
            Scene::Elect(0, &[1, 2]),
            Scene::Accept(0),
            Scene::Lead(1, &[2]),
        ],
        marks: &[
            Mark::Elected,
            Mark::Committed,
            Mark::Truncated,
            Mark::StalePersisted,
            Mark::WritesLost,
        ],
        ..PLAIN
    }
}

/// Figure 8 of the paper: two logs that conflict, and an entry of an old term on a majority.
fn figure_8() -> Configuration {
    Configuration {
        name: "figure-8",
        about: "3 voters, a longer log of term 1 and a shorter one of term 2, one entry a message",
        single_entries: true,
        term_max: 4,
        log_max: 4,
        bounds: &[(Bound::Crashes, 1), (Bound::Proposals, 1)],
        setup: &[
            Scene::Lead(0, &[1]),
            Scene::Propose(0, &[]),
            Scene::Lead(1, &[2]),
        ],
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

/// Two voters become three, by way of a learner and a joint configuration.
fn growth() -> Configuration {
    Configuration {
        name: "growth",
        about: "2 voters become 3: learner, joint configuration, crashes, other leaders",
        voters: &[0, 1],
        term_max: 2,
        log_max: 5,
        bounds: &[(Bound::Crashes, 1), (Bound::Heartbeats, 1)],
        wishes: &[&[Wish::Voter(2)]],
        setup: &[Scene::Elect(0, &[1])],
        marks: &[
            Mark::Elected,
            Mark::Committed,
            Mark::Joint,
            Mark::JointLeft,
            Mark::Changed,
            Mark::CrashInJoint,
            Mark::RolledBack,
            Mark::Inherited,
        ],
        ..PLAIN
    }
}

/// One of two voters gives way to a third server.
fn replacement() -> Configuration {
    Configuration {
        name: "replacement",
        about: "2 voters, one of which is replaced: all three must agree in between",
        voters: &[0, 1],
        term_max: 2,
        log_max: 5,
        bounds: &[
            (Bound::Crashes, 1),
            (Bound::Heartbeats, 1),
            (Bound::Aborts, 1),
        ],
        wishes: &[&[Wish::Voter(2), Wish::Remove(1)]],
        setup: &[Scene::Elect(0, &[1])],
        marks: &[
            Mark::Joint,
            Mark::JointLeft,
            Mark::Changed,
            Mark::Aborted,
            Mark::Inherited,
        ],
        ..PLAIN
    }
}

/// A leader removes itself.
fn removed_leader() -> Configuration {
    Configuration {
        name: "removed-leader",
        about: "3 voters, of which the leader removes itself",
        term_max: 2,
        log_max: 4,
        bounds: &[
            (Bound::Crashes, 1),
            (Bound::Heartbeats, 1),
            (Bound::Compactions, 1),
        ],
        wishes: &[&[Wish::Remove(0)]],
        twins: Some((1, 2)),
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[
            Mark::Elected,
            Mark::Joint,
            Mark::JointLeft,
            Mark::LeftOffice,
            Mark::RolledBack,
            Mark::Inherited,
        ],
        ..PLAIN
    }
}

/// A joint configuration is taken back while another server may finish it.
fn abort() -> Configuration {
    Configuration {
        name: "abort",
        about: "3 voters that are to become 1, and the change taken back half-way",
        term_max: 2,
        log_max: 5,
        bounds: &[(Bound::Crashes, 1), (Bound::Aborts, 1)],
        wishes: &[&[Wish::Remove(0), Wish::Remove(1)]],
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[
            Mark::Joint,
            Mark::JointLeft,
            Mark::Aborted,
            Mark::RolledBack,
            Mark::Inherited,
            Mark::LeftOffice,
        ],
        ..PLAIN
    }
}

/// The bug of 2015: changes begun by leaders of different terms.
fn two_changes() -> Configuration {
    Configuration {
        name: "two-changes",
        about: "3 voters, one to be added and one removed by leaders of different terms",
        nodes: 4,
        term_max: 2,
        log_max: 4,
        wishes: &[&[Wish::Voter(3)], &[Wish::Remove(0)]],
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[Mark::Joint, Mark::RolledBack, Mark::Inherited],
        ..PLAIN
    }
}

/// A server that is behind, with entries of its own, gets a snapshot.
fn snapshots() -> Configuration {
    Configuration {
        name: "snapshots",
        about: "3 voters, one with a conflicting log that the others' logs don't reach back to",
        term_max: 3,
        log_max: 3,
        bounds: &[
            (Bound::Crashes, 1),
            (Bound::Heartbeats, 1),
            (Bound::Compactions, 2),
            (Bound::FetchFailures, 1),
        ],
        setup: &[
            Scene::Lead(2, &[1]),
            Scene::Propose(2, &[]),
            Scene::Elect(0, &[1]),
            Scene::Propose(0, &[1]),
            Scene::Heartbeat(0, &[1]),
        ],
        marks: &[
            Mark::Compacted,
            Mark::Installed,
            Mark::FetchFailed,
            Mark::ReadBack,
            Mark::Truncated,
            Mark::Elected,
        ],
        ..PLAIN
    }
}

/// The same with disks that take their time.
fn slow_snapshots() -> Configuration {
    Configuration {
        name: "slow-snapshots",
        about: "3 voters, a snapshot replaces a log while writes are under way",
        disks: Disks::Slow,
        term_max: 3,
        log_max: 3,
        messages_max: 6,
        bounds: &[
            (Bound::Timeouts, 2),
            (Bound::Crashes, 1),
            (Bound::Heartbeats, 2),
            (Bound::Compactions, 1),
        ],
        setup: &[
            Scene::Lead(2, &[1]),
            Scene::Accept(2),
            Scene::Elect(0, &[1]),
            Scene::Propose(0, &[1]),
        ],
        marks: &[
            Mark::Compacted,
            Mark::Installed,
            Mark::StalePersisted,
            Mark::WritesLost,
        ],
        ..PLAIN
    }
}

/// A snapshot is offered to a server that meanwhile got, and acknowledged, more than that.
fn late_offer() -> Configuration {
    Configuration {
        name: "late-offer",
        about: "3 voters, entries and a snapshot on their way to the one that is behind",
        term_max: 2,
        log_max: 4,
        messages_max: 6,
        bounds: &[
            (Bound::Timeouts, 1),
            (Bound::Heartbeats, 2),
            (Bound::Compactions, 1),
            (Bound::Proposals, 1),
        ],
        setup: &[Scene::Elect(0, &[1, 2]), Scene::Propose(0, &[1])],
        marks: &[Mark::Compacted, Mark::Installed, Mark::Committed],
        ..PLAIN
    }
}

/// Linearizable reads at a leader that may have been replaced.
fn reads() -> Configuration {
    Configuration {
        name: "reads",
        about: "3 voters, reads asked of an old leader while a new one commits",
        term_max: 2,
        log_max: 2,
        messages_max: 6,
        bounds: &[(Bound::Reads, 2)],
        readers: &[0],
        setup: &[Scene::Elect(0, &[1, 2])],
        twins: Some((1, 2)),
        marks: &[
            Mark::ReadAtLeader,
            Mark::ReadAtOldLeader,
            Mark::Committed,
            Mark::TwoLeaders,
        ],
        ..PLAIN
    }
}

/// Linearizable reads at a follower.
fn follower_reads() -> Configuration {
    Configuration {
        name: "follower-reads",
        about: "3 voters, reads asked of a follower, who asks again, while the leader commits",
        term_max: 2,
        log_max: 3,
        messages_max: 6,
        bounds: &[
            (Bound::Reads, 2),
            (Bound::Proposals, 1),
            (Bound::Timeouts, 3),
        ],
        readers: &[1],
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[Mark::ReadAtFollower, Mark::Committed],
        ..PLAIN
    }
}

/// Leadership moves on request.
fn transfer() -> Configuration {
    Configuration {
        name: "transfer",
        about: "3 voters, leadership transferred among proposals and crashes",
        term_max: 3,
        log_max: 4,
        bounds: &[
            (Bound::Transfers, 1),
            (Bound::Proposals, 1),
            (Bound::Heartbeats, 2),
            (Bound::Crashes, 1),
        ],
        setup: &[Scene::Elect(0, &[1, 2])],
        marks: &[
            Mark::Transferred,
            Mark::TransferAborted,
            Mark::Elected,
            Mark::TwoLeaders,
        ],
        ..PLAIN
    }
}

/// A disk loses what it had acknowledged.
fn lost_tail() -> Configuration {
    Configuration {
        name: "lost-tail",
        about: "3 voters, one of which loses its last durable write",
        term_max: 3,
        log_max: 4,
        bounds: &[(Bound::Losses, 1), (Bound::Proposals, 1)],
        twins: Some((1, 2)),
        setup: &[Scene::Elect(0, &[1, 2])],
        loses_echoes: false,
        marks: &[
            Mark::Quarantined,
            Mark::Released,
            Mark::Elected,
            Mark::Committed,
        ],
        ..PLAIN
    }
}

/// The same with two servers, neither of which can do without the other.
fn two_voters() -> Configuration {
    Configuration {
        name: "two-voters",
        about: "2 voters with slow disks, one of which crashes or loses a durable write",
        nodes: 2,
        voters: &[0, 1],
        disks: Disks::Slow,
        term_max: 3,
        log_max: 3,
        messages_max: 6,
        bounds: &[
            (Bound::Losses, 1),
            (Bound::Crashes, 1),
            (Bound::Proposals, 1),
            (Bound::Timeouts, 3),
            (Bound::Heartbeats, 1),
        ],
        setup: &[Scene::Elect(0, &[1])],
        loses_echoes: false,
        marks: &[
            Mark::Quarantined,
            Mark::Released,
            Mark::Elected,
            Mark::WritesLost,
        ],
        ..PLAIN
    }
}

/// An even number of voters: half of them is no majority.
fn four_voters() -> Configuration {
    Configuration {
        name: "four-voters",
        about: "4 voters from their first start",
        nodes: 4,
        voters: &[0, 1, 2, 3],
        term_max: 2,
        log_max: 2,
        messages_max: 6,
        setup: &[Scene::Timeout(0)],
        marks: &[Mark::Elected, Mark::Committed, Mark::TwoLeaders],
        ..PLAIN
    }
}

/// A server comes back under its name with an empty disk.
fn wiped() -> Configuration {
    Configuration {
        name: "wiped",
        about: "3 voters of known incarnations, one of which comes back wiped",
        term_max: 3,
        log_max: 3,
        bounds: &[(Bound::Wipes, 1), (Bound::Proposals, 1)],
        wiped: &[1],
        setup: &[Scene::Elect(0, &[1, 2])],
        loses_echoes: false,
        marks: &[Mark::OtherLife, Mark::Elected, Mark::Committed],
        ..PLAIN
    }
}

/// The same before the leader has written down which lives belong to the cluster.
fn wiped_unbound() -> Configuration {
    Configuration {
        name: "wiped-unbound",
        about: "3 voters of unknown incarnations, one of which comes back wiped",
        unbound: true,
        term_max: 3,
        log_max: 6,
        bounds: &[(Bound::Wipes, 1), (Bound::Heartbeats, 1)],
        wiped: &[1],
        setup: &[Scene::Lead(0, &[1])],
        loses_echoes: false,
        marks: &[Mark::Elected, Mark::Committed],
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
        let incarnation = if self.unbound {
            Incarnation::UNBOUND
        } else {
            first_life_of(at)
        };
        Member {
            incarnation,
            ..Member::at("")
        }
    }
}

pub(super) const fn id_of(at: usize) -> NodeId {
    NodeId(at as u64 + 1)
}

pub(super) const fn first_life_of(at: usize) -> Incarnation {
    Incarnation(at as u64 + 1)
}
