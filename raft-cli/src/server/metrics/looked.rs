//! The metrics that are taken from a member's report when somebody looks. It counts nothing itself.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::server::report::{Cause, MemberReport, PeerReport, Replication, Role};

type Labels = Vec<(&'static str, String)>;

/// All of them. Counters get their `_total` when they are written.
pub(super) fn at(report: &MemberReport) -> Registry {
    let mut registry = Registry::default();
    for (name, help, value) in gauges(report) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        registry.register(name, help, ConstGauge::new(value));
    }
    for (name, help, value) in seconds(report) {
        registry.register(name, help, ConstGauge::new(value));
    }
    for (name, help, value) in counters(report) {
        registry.register(name, help, ConstCounter::new(value));
    }
    for (name, count) in &report.net {
        let help = format!("What the network between members counts: {name}");
        registry.register(format!("raft_net_{name}"), help, ConstCounter::new(*count));
    }
    peers(report, &mut registry);
    alarms(report, &mut registry);
    versions(report, &mut registry);
    causes(report, &mut registry);
    registry
}

type Row<T> = (&'static str, &'static str, T);

fn gauges(report: &MemberReport) -> Vec<Row<u64>> {
    let mut rows = of_node(report);
    rows.extend(of_store(report));
    rows
}

/// What the node says of itself, and what its clients have under way.
fn of_node(report: &MemberReport) -> Vec<Row<u64>> {
    let has_leader = u64::from(report.leader.is_some());
    let is_leader = u64::from(report.role == Role::Leader);
    let (indexes, clients) = (&report.indexes, &report.clients);
    let pending = indexes.last.saturating_sub(indexes.commit);
    vec![
        ("etcd_server_has_leader", "A leader is known", has_leader),
        ("raft_has_leader", "A leader is known", has_leader),
        ("etcd_server_is_leader", "This member leads", is_leader),
        ("raft_is_leader", "This member leads", is_leader),
        (
            "etcd_server_is_learner",
            "This member does not vote",
            u64::from(report.role == Role::Learner),
        ),
        ("raft_term", "The term", report.term),
        (
            "etcd_server_proposals_pending",
            "Entries in the log that are not known to be committed",
            if is_leader == 1 { pending } else { 0 },
        ),
        (
            "raft_log_entries",
            "Entries that the log retains",
            report.log.entries,
        ),
        ("raft_log_bytes", "What they take", report.log.bytes),
        ("raft_last_index", "The end of the log", indexes.last),
        (
            "raft_durable_index",
            "How far the log is durable",
            indexes.durable,
        ),
        (
            "raft_snapshot_index",
            "Where the newest snapshot ends",
            indexes.snapshot,
        ),
        (
            "raft_quarantined",
            "Acknowledged state was lost; this member does not vote",
            u64::from(report.is_quarantined),
        ),
        (
            "raft_snapshot_trouble",
            "The newest snapshot could not be taken or fetched",
            u64::from(report.snapshot_trouble.is_some()),
        ),
        (
            "raft_client_connections",
            "Connections of clients",
            clients.connections,
        ),
        (
            "raft_client_requests",
            "Requests under way",
            clients.requests,
        ),
    ]
}

fn of_store(report: &MemberReport) -> Vec<Row<u64>> {
    let store = &report.store;
    vec![
        (
            "etcd_mvcc_db_total_size_in_bytes",
            "What the store takes",
            store.bytes,
        ),
        (
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "What the store takes",
            store.bytes,
        ),
        ("raft_store_bytes", "What the store takes", store.bytes),
        (
            "etcd_server_quota_backend_bytes",
            "What the store may take",
            store.quota_bytes,
        ),
        (
            "raft_store_quota_bytes",
            "What the store may take",
            store.quota_bytes,
        ),
        (
            "raft_disk_free_bytes",
            "What is left on the disk",
            store.free_bytes.unwrap_or(0),
        ),
        ("raft_store_keys", "Keys", store.keys),
        ("etcd_debugging_mvcc_keys_total", "Keys", store.keys),
        ("raft_store_leases", "Leases", store.leases),
        (
            "etcd_debugging_mvcc_watcher_total",
            "Watchers",
            store.watchers,
        ),
        ("raft_store_watchers", "Watchers", store.watchers),
        (
            "etcd_debugging_mvcc_current_revision",
            "The latest revision",
            store.revision,
        ),
        (
            "etcd_debugging_mvcc_compact_revision",
            "What was before it can't be read any more",
            store.compacted,
        ),
        (
            "raft_store_stalled",
            "The store takes no changes for now",
            u64::from(store.is_stalled),
        ),
    ]
}

fn seconds(report: &MemberReport) -> Vec<Row<f64>> {
    let change = report.leader_change.clone().unwrap_or_default();
    let expiry = report
        .certificates
        .iter()
        .filter_map(|file| file.expires_in_s);
    let mut rows = vec![
        (
            "raft_oldest_unsynced_write_seconds",
            "For how long the oldest write that is not durable yet has been outstanding",
            of_millis(report.write_outstanding_ms.unwrap_or(0)),
        ),
        (
            "raft_leader_change_ago_seconds",
            "How long ago leadership moved last",
            of_millis(change.ago_ms),
        ),
        (
            "raft_leader_change_gap_seconds",
            "For how long no leader was known then",
            of_millis(change.gap_ms),
        ),
        (
            "raft_uptime_seconds",
            "For how long the member runs",
            Duration::from_secs(report.uptime_s).as_secs_f64(),
        ),
    ];
    if let Some(expiry) = expiry.min() {
        let magnitude = Duration::from_secs(expiry.unsigned_abs()).as_secs_f64();
        rows.push((
            "raft_certificate_expiry_seconds",
            "When the first of the member's certificates ends to be good",
            if expiry < 0 { -magnitude } else { magnitude },
        ));
    }
    rows
}

fn of_millis(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

fn counters(report: &MemberReport) -> Vec<Row<u64>> {
    let indexes = &report.indexes;
    let counted = |name: &str| report.net.get(name).copied().unwrap_or(0);
    vec![
        (
            "etcd_server_leader_changes_seen",
            "How often a leader became known",
            report.leader_changes,
        ),
        (
            "raft_leader_changes",
            "How often a leader became known",
            report.leader_changes,
        ),
        (
            "etcd_server_proposals_committed",
            "Entries known to be committed",
            indexes.commit,
        ),
        (
            "etcd_server_proposals_applied",
            "Entries that the store has applied",
            indexes.applied,
        ),
        (
            "raft_committed_entries",
            "Entries known to be committed",
            indexes.commit,
        ),
        (
            "raft_applied_entries",
            "Entries that the store has applied",
            indexes.applied,
        ),
        (
            "etcd_server_proposals_failed",
            "Requests refused because there were too many",
            report.clients.refused,
        ),
        (
            "raft_client_refused",
            "Requests refused because there were too many",
            report.clients.refused,
        ),
        (
            "raft_parcels_dropped",
            "Parcels of other members dropped because too much waited",
            report.parcels_dropped,
        ),
        (
            "raft_store_background_errors",
            "Errors of the store's background work",
            report.store.background_errors,
        ),
        (
            "etcd_network_peer_sent_bytes",
            "Bytes sent to members",
            counted("sent_bytes"),
        ),
        (
            "etcd_network_peer_received_bytes",
            "Bytes received from members",
            counted("received_bytes"),
        ),
    ]
}

/// What a leader sees of each follower.
fn peers(report: &MemberReport, registry: &mut Registry) {
    type Of = fn(&PeerReport) -> u64;
    let looks: [(&str, &str, Of); 3] = [
        (
            "raft_peer_lag_entries",
            "Entries it is not known to hold",
            |peer| peer.lag,
        ),
        (
            "raft_peer_match_index",
            "What it is known to hold",
            |peer| peer.matched,
        ),
        (
            "raft_peer_fetches_snapshot",
            "It fetches a snapshot",
            |peer| u64::from(peer.state == Replication::Snapshot),
        ),
    ];
    for (name, help, of) in looks {
        let family = Family::<Labels, Gauge>::default();
        for peer in &report.peers {
            let labels = vec![("To", peer.id.clone())];
            let value = i64::try_from(of(peer)).unwrap_or(i64::MAX);
            family.get_or_create(&labels).set(value);
        }
        registry.register(name, help, family);
    }
    let silences = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for peer in &report.peers {
        let labels = vec![("To", peer.id.clone())];
        let silent_for = Duration::from_millis(peer.silent_ms);
        silences
            .get_or_create(&labels)
            .set(silent_for.as_secs_f64());
    }
    let help = "How long ago it was heard from";
    registry.register("raft_peer_silent_seconds", help, silences);
}

fn alarms(report: &MemberReport, registry: &mut Registry) {
    let family = Family::<Labels, Gauge>::default();
    for kind in ["NOSPACE", "CORRUPT"] {
        let count = report.alarms.iter().filter(|alarm| alarm.alarm == kind);
        let count = i64::try_from(count.count()).unwrap_or(i64::MAX);
        family
            .get_or_create(&vec![("alarm", kind.to_owned())])
            .set(count);
    }
    registry.register("raft_alarms", "Members with an alarm", family);
}

fn versions(report: &MemberReport, registry: &mut Registry) {
    for (name, label, version) in [
        (
            "etcd_server_version",
            "server_version",
            &report.etcd_version,
        ),
        ("raft_version", "version", &report.version),
    ] {
        let family = Family::<Labels, Gauge>::default();
        family.get_or_create(&vec![(label, version.clone())]).set(1);
        registry.register(name, "The version, as a label", family);
    }
}

/// Why this member campaigned or gave up when leadership moved last: the cause alone, no member.
fn causes(report: &MemberReport, registry: &mut Registry) {
    let change = report.leader_change.as_ref();
    let of = |cause: &Option<Cause>| cause.as_ref().map_or("none", cause_name);
    let labels = vec![
        (
            "campaigned",
            of(&change.and_then(|change| change.campaigned.clone())).to_owned(),
        ),
        (
            "resigned",
            of(&change.and_then(|change| change.resigned.clone())).to_owned(),
        ),
    ];
    let family = Family::<Labels, Gauge>::default();
    family.get_or_create(&labels).set(1);
    let help = "This member's part in the last move of leadership, as labels";
    registry.register("raft_leader_change_cause", help, family);
}

const fn cause_name(cause: &Cause) -> &'static str {
    match cause {
        Cause::Started => "started",
        Cause::ElectionTimeout => "election_timeout",
        Cause::TransferRequested => "transfer_requested",
        Cause::Told => "told",
        Cause::PreVotesWon => "pre_votes_won",
        Cause::VotesWon => "votes_won",
        Cause::VotesLost => "votes_lost",
        Cause::VotedFor(_) => "voted_for",
        Cause::HigherTerm(_) => "higher_term",
        Cause::LeaderHeard(_) => "leader_heard",
        Cause::QuorumLost => "quorum_lost",
        Cause::DiskStalled => "disk_stalled",
        Cause::Removed => "removed",
    }
}
