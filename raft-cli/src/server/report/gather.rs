//! How a member comes to its report: from the node's status, the store, the network and the gate.
//! It judges nothing.

use std::time::Duration;

use raft_core::consensus::{ChangeStage, PeerStatus, Status};
use raft_core::driver::{LeaderChange, NodeStatus};
use raft_core::event::{ProgressName, RoleCause, RoleName};
use raft_core::{Incarnation, NodeId};
use raft_kv::AlarmKind;
use raft_kv::model::Catalog;

use super::{
    AlarmReport, Cause, Change, ClientsReport, Indexes, LeaderChangeReport, LogReport,
    MemberReport, MemberSeen, MembershipReport, PeerReport, Replication, Role, StoreReport,
    TimingReport,
};
use crate::server::assemble::free_bytes;
use crate::server::home::hex;
use crate::server::member::Member;

/// What a member knows now.
pub(crate) fn gather(member: &Member) -> MemberReport {
    let status = member.node().status();
    let (store, catalog) = store(member);
    let (core, config) = (&status.core, &member.config);
    let mut report = of_status(&status);
    report.membership = membership(core, &catalog);
    report.name.clone_from(&config.name);
    report.cluster = hex(member.cluster);
    report.version = env!("CARGO_PKG_VERSION").to_owned();
    report.etcd_version.clone_from(&config.advertised_version);
    report.uptime_s = member.began.elapsed().as_secs();
    report.alarms = alarms(&catalog);
    report.store = store;
    report.clients = clients(member);
    report.net = member
        .net
        .counters()
        .named()
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect();
    report.timing = TimingReport {
        heartbeat_ms: millis(config.heartbeat_interval),
        election_timeout_ms: millis(config.election_timeout),
    };
    report.certificates = certificates(member);
    report
}

/// What the node itself says.
fn of_status(status: &NodeStatus) -> MemberReport {
    let core = &status.core;
    MemberReport {
        id: hex(core.id.0),
        role: role(core),
        role_cause: status.role_cause.map(cause),
        term: core.term.0,
        leader: core.leader.map(id),
        indexes: Indexes {
            last: core.last.index.0,
            last_term: core.last.term.0,
            commit: core.commit.0,
            applied: core.applied.0,
            durable: core.durable.0,
            snapshot: core.snapshot.index.0,
        },
        peers: core.peers.iter().map(|seen| peer(core, seen)).collect(),
        change: core.change.map(change),
        transfer: core.transfer.map(id),
        leader_change: status.leader_change.as_ref().map(leader_change),
        leader_changes: status.leader_changes,
        is_quarantined: core.quarantined,
        is_other_life: status.is_other_life,
        snapshot_trouble: status.snapshot_trouble.clone(),
        stopped: status.stopped.as_ref().map(ToString::to_string),
        write_outstanding_ms: core.write_outstanding.map(millis),
        parcels_dropped: status.parcels_dropped,
        log: LogReport {
            entries: status.log.entries,
            bytes: status.log.bytes,
        },
        ..MemberReport::default()
    }
}

fn id(id: NodeId) -> String {
    hex(id.0)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn role(core: &Status) -> Role {
    match core.role {
        RoleName::Follower if core.membership.1.is_voter(core.id) => Role::Follower,
        RoleName::Follower => Role::Learner,
        RoleName::PreCandidate => Role::PreCandidate,
        RoleName::Candidate => Role::Candidate,
        RoleName::Leader => Role::Leader,
    }
}

fn cause(cause: RoleCause) -> Cause {
    match cause {
        RoleCause::Started => Cause::Started,
        RoleCause::ElectionTimeout => Cause::ElectionTimeout,
        RoleCause::TransferRequested => Cause::TransferRequested,
        RoleCause::Told => Cause::Told,
        RoleCause::PreVotesWon => Cause::PreVotesWon,
        RoleCause::VotesWon => Cause::VotesWon,
        RoleCause::VotesLost => Cause::VotesLost,
        RoleCause::VotedFor(other) => Cause::VotedFor(id(other)),
        RoleCause::HigherTerm(other) => Cause::HigherTerm(id(other)),
        RoleCause::LeaderHeard(other) => Cause::LeaderHeard(id(other)),
        RoleCause::QuorumLost => Cause::QuorumLost,
        RoleCause::DiskStalled => Cause::DiskStalled,
        RoleCause::Removed => Cause::Removed,
    }
}

const fn change(stage: ChangeStage) -> Change {
    match stage {
        ChangeStage::Learning => Change::Learning,
        ChangeStage::CatchingUp => Change::CatchingUp,
        ChangeStage::Joint => Change::Joint,
        ChangeStage::Settling => Change::Settling,
        ChangeStage::Undoing => Change::Undoing,
    }
}

fn peer(core: &Status, seen: &PeerStatus) -> PeerReport {
    PeerReport {
        id: id(seen.id),
        state: match seen.state {
            ProgressName::Probe => Replication::Probe,
            ProgressName::Replicate => Replication::Replicate,
            ProgressName::Snapshot => Replication::Snapshot,
        },
        matched: seen.matched.0,
        next: seen.next.0,
        lag: core.last.index.since(seen.matched),
        silent_ms: millis(seen.silent_for),
    }
}

fn leader_change(change: &LeaderChange) -> LeaderChangeReport {
    let resigned = change.resigned;
    LeaderChangeReport {
        term: change.term.0,
        from: change.from.map(id),
        to: change.to.map(id),
        resigned: resigned.map(|resigned| cause(resigned.cause)),
        handing_over_to: resigned.and_then(|resigned| resigned.handing_over_to.map(id)),
        disk_stalled_ms: resigned.and_then(|resigned| resigned.disk_stalled.map(millis)),
        campaigned: change.campaigned.map(cause),
        gap_ms: millis(change.gap),
        ago_ms: millis(change.ago),
    }
}

fn membership(core: &Status, catalog: &Catalog) -> MembershipReport {
    let (index, membership) = &core.membership;
    let members = membership.members().map(|(of, member)| {
        let said = catalog.members.get(&of);
        MemberSeen {
            id: id(of),
            name: said.map(|said| said.name.clone()).unwrap_or_default(),
            peer_address: member.address.clone(),
            client_urls: said
                .map(|said| said.client_urls.clone())
                .unwrap_or_default(),
            is_voter: membership.is_incoming_voter(of),
            is_outgoing: membership.outgoing().contains(&of),
            is_bound: member.incarnation != Incarnation::UNBOUND,
        }
    });
    MembershipReport {
        index: index.0,
        is_committed: *index <= core.commit,
        is_joint: membership.is_joint(),
        members: members.collect(),
    }
}

fn alarms(catalog: &Catalog) -> Vec<AlarmReport> {
    let alarms = catalog.alarms.iter().map(|(kind, member)| AlarmReport {
        member: id(*member),
        alarm: alarm_name(*kind).to_owned(),
    });
    alarms.collect()
}

/// etcd's name of an alarm.
pub(crate) const fn alarm_name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NoSpace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    }
}

/// The store, and what it says of the members. One that can't be read says why.
fn store(member: &Member) -> (StoreReport, Catalog) {
    let store = member.store();
    let mut report = StoreReport {
        watchers: count(store.watches().stats().watchers),
        quota_bytes: member.config.quota_bytes,
        free_bytes: free_bytes(&member.config.data_dir),
        ..StoreReport::default()
    };
    match store.state() {
        Ok(state) => {
            report.revision = state.revision.0;
            report.compacted = state.compacted.0;
            report.keys = state.keys;
            report.leases = state.leases;
        }
        Err(error) => report.trouble = Some(error.to_string()),
    }
    match store.health() {
        Ok(health) => {
            report.bytes = health.bytes;
            report.is_stalled = health.is_stalled;
            report.background_errors = health.background_errors;
        }
        Err(error) => report.trouble = Some(error.to_string()),
    }
    let catalog = store.catalog().unwrap_or_else(|error| {
        report.trouble = Some(error.to_string());
        Catalog::default()
    });
    (report, catalog)
}

fn clients(member: &Member) -> ClientsReport {
    let (requests, refused) = member.gate.counts();
    let limits = member.gate.limits();
    ClientsReport {
        connections: count(member.gate.connections()),
        connections_max: count(limits.connections),
        requests: count(requests),
        requests_max: count(limits.requests),
        refused: count(refused),
        watchers_max: count(limits.watchers),
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn certificates(member: &Member) -> Vec<super::CertificateReport> {
    let files = [&member.config.client_tls, &member.config.peer_tls];
    let files = files.into_iter().flatten().map(|files| &files.certificate);
    files.map(|file| super::expiry::certificate(file)).collect()
}
