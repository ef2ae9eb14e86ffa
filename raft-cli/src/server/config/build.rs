//! From texts to a [`ServerConfig`]. It knows what each value is by itself; what they must be
//! together is in `rules`.

use std::time::Duration;

use raft_kv::{AutoCompactionMode, Quota};

use super::reader::Reader;
use super::url::Url;
use super::{
    AuthConfig, ClusterConfig, EngineName, Limits, LogConfig, ServerConfig, TlsFiles, duration,
};

/// What etcd has it at, and so what 0 stands for.
const SNAPSHOT_COUNT_DEFAULT: u64 = 100_000;

/// Reads all settings. Where one can't be read, the reader knows, and what stands for it here is
/// of no use.
pub(super) fn build(reader: &mut Reader<'_>) -> ServerConfig {
    let listen_peer = reader.url("listen-peer-urls").unwrap_or_else(nowhere);
    let advertise_peer = reader.url("initial-advertise-peer-urls");
    ServerConfig {
        name: reader.text("name").unwrap_or("").to_owned(),
        data_dir: reader.path("data-dir").unwrap_or_default(),
        listen_client: reader.urls("listen-client-urls"),
        advertise_client: reader.urls("advertise-client-urls"),
        listen_metrics: reader.urls("listen-metrics-urls"),
        advertise_peer: advertise_peer.unwrap_or_else(|| listen_peer.clone()),
        cluster: cluster(reader),
        heartbeat_interval: reader.millis("heartbeat-interval"),
        election_timeout: reader.millis("election-timeout"),
        snapshot_count: snapshot_count(reader),
        quota_bytes: quota_bytes(reader),
        auto_compaction: auto_compaction(reader),
        limits: limits(reader),
        client_tls: client_tls(reader),
        peer_tls: peer_tls(reader, &listen_peer),
        listen_peer,
        auth: AuthConfig {
            token_ttl: Duration::from_secs(reader.number("auth-token-ttl").unsigned_abs()),
            bcrypt_cost: u32::try_from(reader.number("bcrypt-cost")).unwrap_or(u32::MAX),
        },
        log: LogConfig {
            level: reader.text("log-level").unwrap_or("").to_owned(),
            is_json: reader.choice("log-format") == "json",
        },
        advertised_version: reader.text("advertised-version").unwrap_or("").to_owned(),
        engine: match reader.choice("engine") {
            "memory" => EngineName::Memory,
            _ => EngineName::Rocksdb,
        },
        warnings: Vec::new(),
    }
}

/// Stands for a URL that can't be read.
fn nowhere() -> Url {
    Url {
        is_tls: false,
        address: String::new(),
    }
}

fn cluster(reader: &mut Reader<'_>) -> ClusterConfig {
    ClusterConfig {
        initial: founders(reader),
        is_existing: reader.choice("initial-cluster-state") == "existing",
        token: reader
            .text("initial-cluster-token")
            .unwrap_or("")
            .to_owned(),
        discovery_srv: reader.text("discovery-srv").map(str::to_owned),
        replace: reader.switch("replace-member"),
        patience: reader.duration("founding-timeout"),
    }
}

fn founders(reader: &mut Reader<'_>) -> Vec<(String, Url)> {
    let mut founders = Vec::new();
    for part in reader.list("initial-cluster") {
        let Some((name, url)) = part.split_once('=') else {
            reader.bad("initial-cluster", &format!("`{part}` is not name=url"));
            continue;
        };
        match url.parse() {
            Ok(url) => founders.push((name.to_owned(), url)),
            Err(what) => reader.bad("initial-cluster", &format!("{name}: {what}")),
        }
    }
    founders
}

fn snapshot_count(reader: &mut Reader<'_>) -> u64 {
    match reader.number("snapshot-count").unsigned_abs() {
        0 => SNAPSHOT_COUNT_DEFAULT,
        count => count,
    }
}

/// 0 is the default in etcd and no limit in the store; so the two are told apart here.
fn quota_bytes(reader: &mut Reader<'_>) -> u64 {
    match reader.number("quota-backend-bytes") {
        0 => Quota::BYTES_DEFAULT,
        bytes => u64::try_from(bytes).unwrap_or(0),
    }
}

fn auto_compaction(reader: &mut Reader<'_>) -> AutoCompactionMode {
    let name = "auto-compaction-retention";
    let text = reader.text(name).unwrap_or("0");
    let number = text.parse::<u64>().ok();
    if reader.choice("auto-compaction-mode") == "revision" {
        if number.is_none() {
            let what = format!("`{text}` is no number of revisions, which the mode asks for");
            reader.bad(name, &what);
        }
        return AutoCompactionMode::Revisions(number.unwrap_or(0));
    }
    let hours = number.and_then(|hours| hours.checked_mul(3600));
    let retention = hours.map(Duration::from_secs);
    let retention = retention.or_else(|| duration::parse(text));
    if retention.is_none() {
        let what = format!("`{text}` is neither hours nor a duration, as 30m or 1h30m");
        reader.bad(name, &what);
    }
    AutoCompactionMode::Periodic(retention.unwrap_or_default())
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let in_flight_per_client = "max-request-bytes-in-flight-per-client";
    Limits {
        request_bytes: reader.size("max-request-bytes"),
        txn_ops: reader.size("max-txn-ops"),
        key_bytes: reader.size("max-key-bytes"),
        range_bytes: reader.size("max-range-bytes"),
        requests: reader.size("max-concurrent-requests"),
        requests_per_client: reader.size("max-concurrent-requests-per-client"),
        request_bytes_in_flight: reader.size("max-request-bytes-in-flight"),
        request_bytes_in_flight_per_client: reader.size(in_flight_per_client),
        watchers: reader.size("max-watchers"),
        connections: reader.size("max-connections"),
    }
}

/// As in etcd, an authority for clients alone asks certificates of them.
fn client_tls(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    let wants_certificate = reader.switch("client-cert-auth");
    let authority = reader.path("trusted-ca-file");
    Some(TlsFiles {
        certificate: reader.path("cert-file")?,
        key: reader.path("key-file")?,
        wants_certificate: wants_certificate || authority.is_some(),
        authority,
    })
}

/// Who listens without TLS speaks none, whatever files there are; also as in etcd.
fn peer_tls(reader: &mut Reader<'_>, listen: &Url) -> Option<TlsFiles> {
    reader.switch("peer-client-cert-auth");
    let files = TlsFiles {
        certificate: reader.path("peer-cert-file")?,
        key: reader.path("peer-key-file")?,
        authority: Some(reader.path("peer-trusted-ca-file")?),
        wants_certificate: true,
    };
    listen.is_tls.then_some(files)
}
