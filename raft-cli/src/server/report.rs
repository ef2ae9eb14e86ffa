//! A member at a glance, as JSON: what `explain` and `top` go by, and metrics are taken from.
//!
//! Everything is what this one member knows; ids are written as etcd prints them. It does not know
//! what any of it means for the cluster.

mod expiry;
mod gather;

pub(crate) use gather::{alarm_name, gather};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where it is served.
pub const PATH: &str = "/raft/v1/report";

/// A member at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberReport {
    /// Its id.
    pub id: String,
    /// How people call it.
    pub name: String,
    /// The cluster's id.
    pub cluster: String,
    /// The version of this program.
    pub version: String,
    /// The version of etcd whose interface it has.
    pub etcd_version: String,
    /// For how long it runs, in seconds.
    pub uptime_s: u64,
    /// Its role.
    pub role: Role,
    /// Why it has it.
    pub role_cause: Option<Cause>,
    /// Its term.
    pub term: u64,
    /// The leader that it knows.
    pub leader: Option<String>,
    /// How far its log and its store are.
    pub indexes: Indexes,
    /// The configuration in force here.
    pub membership: MembershipReport,
    /// For a leader, the others as it sees them.
    pub peers: Vec<PeerReport>,
    /// For a leader, what the change of members under way waits for.
    pub change: Option<Change>,
    /// For a leader, to whom leadership is being handed over.
    pub transfer: Option<String>,
    /// When leadership moved last, and why, as far as this member knows.
    pub leader_change: Option<LeaderChangeReport>,
    /// How often since its start it came to know a leader.
    pub leader_changes: u64,
    /// It lost acknowledged state, and does not vote before it has it again.
    pub is_quarantined: bool,
    /// The cluster names another life of its storage: it has to be removed and added anew.
    pub is_other_life: bool,
    /// Why the newest snapshot could not be taken or fetched, if it could not.
    pub snapshot_trouble: Option<String>,
    /// Why its node has stopped, if it has.
    pub stopped: Option<String>,
    /// For how long the oldest write that is not durable yet has been outstanding.
    pub write_outstanding_ms: Option<u64>,
    /// Parcels of other members that were dropped because too much waited.
    pub parcels_dropped: u64,
    /// What is wrong, with whom.
    pub alarms: Vec<AlarmReport>,
    /// Its store.
    pub store: StoreReport,
    /// Its log.
    pub log: LogReport,
    /// What its clients have under way.
    pub clients: ClientsReport,
    /// What its network counts.
    pub net: BTreeMap<String, u64>,
    /// What it waits for at most.
    pub timing: TimingReport,
    /// Its certificates.
    pub certificates: Vec<CertificateReport>,
}

/// A role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Follows, votes.
    #[default]
    Follower,
    /// Follows, and does not vote.
    Learner,
    /// Asks whether it could win.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// Why a member has its role, or had to give it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It started.
    Started,
    /// It heard from no leader for an election timeout.
    ElectionTimeout,
    /// The old leader asked it to take over.
    TransferRequested,
    /// It was told to campaign.
    Told,
    /// Enough members would vote for it.
    PreVotesWon,
    /// Enough members voted for it.
    VotesWon,
    /// Too many members would not, or did not.
    VotesLost,
    /// It voted for this member.
    VotedFor(String),
    /// This member was in a higher term.
    HigherTerm(String),
    /// This member leads.
    LeaderHeard(String),
    /// No quorum answered for an election timeout.
    QuorumLost,
    /// Its own write took too long.
    DiskStalled,
    /// The configuration without it is committed.
    Removed,
}

/// How far a log and a store are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Indexes {
    /// The end of the log.
    pub last: u64,
    /// The term of the last entry.
    pub last_term: u64,
    /// What is known to be committed.
    pub commit: u64,
    /// What the store has applied.
    pub applied: u64,
    /// How far the log is durable.
    pub durable: u64,
    /// Where the newest snapshot ends.
    pub snapshot: u64,
}

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MembershipReport {
    /// The index of its entry.
    pub index: u64,
    /// That entry is committed, as far as the member knows.
    pub is_committed: bool,
    /// Both an old and a new majority must agree.
    pub is_joint: bool,
    /// All members.
    pub members: Vec<MemberSeen>,
}

/// A member as the configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberSeen {
    /// Its id.
    pub id: String,
    /// How it calls itself; empty before it has said so.
    pub name: String,
    /// Where other members reach it.
    pub peer_address: String,
    /// Where clients reach it, as it says.
    pub client_urls: Vec<String>,
    /// It counts in the majority; in a joint configuration, in the new one.
    pub is_voter: bool,
    /// It counts in the old majority of a joint configuration.
    pub is_outgoing: bool,
    /// The life of its storage is known: it was heard from since it was added.
    pub is_bound: bool,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerReport {
    /// Who.
    pub id: String,
    /// How it is replicated to.
    pub state: Replication,
    /// What it is known to hold.
    pub matched: u64,
    /// What is sent next.
    pub next: u64,
    /// So many entries of the leader's log it is not known to hold.
    pub lag: u64,
    /// How long ago it was heard from.
    pub silent_ms: u64,
}

/// How a leader replicates to a follower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// It looks for the place where the logs agree.
    #[default]
    Probe,
    /// It streams.
    Replicate,
    /// The follower fetches a snapshot.
    Snapshot,
}

/// What a change of members waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The new voters become learners.
    Learning,
    /// The learners get the log.
    CatchingUp,
    /// Both majorities agree to the joint configuration.
    Joint,
    /// The configuration wished for.
    Settling,
    /// The configuration is turned back.
    Undoing,
}

/// The last time that leadership began, moved or was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaderChangeReport {
    /// The term of the leader now.
    pub term: u64,
    /// Who led before.
    pub from: Option<String>,
    /// Who leads since.
    pub to: Option<String>,
    /// Why this member gave up, if it is the one that led before.
    pub resigned: Option<Cause>,
    /// To whom it was handing leadership over then.
    pub handing_over_to: Option<String>,
    /// For how long a write of its own had been outstanding while it led.
    pub disk_stalled_ms: Option<u64>,
    /// Why this member campaigned, if it is the one that leads now.
    pub campaigned: Option<Cause>,
    /// For how long it knew of no leader.
    pub gap_ms: u64,
    /// How long ago that was.
    pub ago_ms: u64,
}

/// An alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlarmReport {
    /// The member it is about.
    pub member: String,
    /// etcd's name of it.
    pub alarm: String,
}

/// A store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreReport {
    /// The latest revision.
    pub revision: u64,
    /// What was before it can't be read any more.
    pub compacted: u64,
    /// How many keys there are.
    pub keys: u64,
    /// How many leases there are.
    pub leases: u64,
    /// How many watchers there are.
    pub watchers: u64,
    /// What it takes.
    pub bytes: u64,
    /// What it may take.
    pub quota_bytes: u64,
    /// What is left on the disk, if that is known.
    pub free_bytes: Option<u64>,
    /// It takes no changes for now: its background work is behind.
    pub is_stalled: bool,
    /// Errors of its background work.
    pub background_errors: u64,
    /// Why it can't be read, if it can't.
    pub trouble: Option<String>,
}

/// A log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogReport {
    /// The entries it retains.
    pub entries: u64,
    /// What they take.
    pub bytes: u64,
}

/// What clients have under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientsReport {
    /// Their connections.
    pub connections: u64,
    /// So many there may be.
    pub connections_max: u64,
    /// Their requests.
    pub requests: u64,
    /// So many there may be.
    pub requests_max: u64,
    /// Requests refused because there were too many.
    pub refused: u64,
    /// So many watchers there may be.
    pub watchers_max: u64,
}

/// What a member waits for at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimingReport {
    /// How often a leader is heard of.
    pub heartbeat_ms: u64,
    /// After how long without a leader there is an election, at the earliest.
    pub election_timeout_ms: u64,
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateReport {
    /// Its file.
    pub file: String,
    /// For how many seconds it is still good; negative if it is not any more. `None` if the file
    /// can't be read.
    pub expires_in_s: Option<i64>,
}

impl MemberReport {
    /// The name of a member, or its id if it has not said one.
    #[must_use]
    pub fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        let members = &self.membership.members;
        let member = members.iter().find(|member| member.id == id);
        match member {
            Some(member) if !member.name.is_empty() => &member.name,
            Some(_) | None => id,
        }
    }
}
