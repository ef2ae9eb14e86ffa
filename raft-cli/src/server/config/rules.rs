//! What settings must be together: etcd's rules, and those of what is built on them. Each says what
//! to do about it. It deliberately looks at no disk and no network.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reader::Reader;
use super::{EngineName, ServerConfig};
use crate::server::logging;

/// etcd's: a follower hears of its leader so many times before it gives it up.
const HEARTBEATS_MIN: u32 = 5;
/// etcd's.
const ELECTION_TIMEOUT_MAX: Duration = Duration::from_secs(50);
/// Three quarters of the longest frame between members.
const REQUEST_BYTES_MAX: usize = 24 << 20;
/// etcd's: above this, requests hold each other up.
const REQUEST_BYTES_ADVISED: usize = 10 << 20;

/// Checks all, for a member that is new or not; returns what should be known though nothing is
/// wrong.
pub(super) fn check(reader: &mut Reader<'_>, config: &ServerConfig, is_new: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    check_words(reader, config);
    check_listeners(reader, config);
    check_founders(reader, config);
    if is_new {
        // Later it goes by what its data says, and may be called or reached otherwise.
        check_own_place(reader, config);
    }
    check_reachable(reader, config, &mut warnings);
    check_client_tls(reader, config, &mut warnings);
    check_peer_tls(reader, config, &mut warnings);
    check_timing(reader, config);
    check_limits(reader, config, &mut warnings);
    warnings
}

fn check_words(reader: &mut Reader<'_>, config: &ServerConfig) {
    if config.name.contains([',', '=']) {
        let what = "no comma and no `=`: the initial cluster could not name this member";
        reader.refuse("name", what);
    }
    if let Err(what) = logging::check_level(&config.log.level) {
        reader.refuse("log-level", what);
    }
    let version: Vec<&str> = config.advertised_version.split('.').collect();
    if version.len() != 3 || version.iter().any(|part| part.parse::<u32>().is_err()) {
        let written = &config.advertised_version;
        reader.refuse(
            "advertised-version",
            format!("`{written}` is no version, as 3.6.0"),
        );
    }
    let is_rocksdb = config.engine == EngineName::Rocksdb && reader.are_good(&["engine"]);
    if is_rocksdb && !cfg!(feature = "rocksdb") {
        reader.refuse(
            "engine",
            "this program was built without RocksDB: build it with its default features, or \
             keep the store in memory",
        );
    }
}

fn check_listeners(reader: &mut Reader<'_>, config: &ServerConfig) {
    if config.listen_client.is_empty() && reader.are_good(&["listen-client-urls"]) {
        reader.refuse("listen-client-urls", "there is no URL in it");
    }
    let mut taken = BTreeMap::from([(&config.listen_peer.address, "listen-peer-urls")]);
    let clients = config.listen_client.iter();
    let metrics = config.listen_metrics.iter();
    let all = clients
        .map(|url| ("listen-client-urls", url))
        .chain(metrics.map(|url| ("listen-metrics-urls", url)));
    for (name, url) in all {
        if url.is_any_port() {
            continue;
        }
        if let Some(other) = taken.insert(&url.address, name) {
            let what = format!("{url} is taken: it is listened on for --{other} already");
            reader.refuse(name, what);
        }
    }
}

fn check_founders(reader: &mut Reader<'_>, config: &ServerConfig) {
    let is_said = reader.merged.is_said("initial-cluster");
    if is_said && config.cluster.discovery_srv.is_some() {
        reader.refuse(
            "discovery-srv",
            "founders are either listed or looked up: leave one of this and --initial-cluster away",
        );
    }
    let mut names = BTreeSet::new();
    let mut urls = BTreeMap::new();
    for (name, url) in &config.cluster.initial {
        if !names.insert(name) {
            let what = format!("`{name}` is there twice: each member has one name and one URL");
            reader.refuse("initial-cluster", what);
        } else if let Some(other) = urls.insert(url, name) {
            let what = format!("`{other}` and `{name}` have the same URL, {url}");
            reader.refuse("initial-cluster", what);
        }
    }
}

fn check_own_place(reader: &mut Reader<'_>, config: &ServerConfig) {
    let initial = &config.cluster.initial;
    let all = ["initial-cluster", "initial-advertise-peer-urls"];
    if initial.is_empty() || !reader.are_good(&all) {
        return;
    }
    let Some((name, url)) = initial.iter().find(|(name, _)| *name == config.name) else {
        let own = &config.name;
        let names: Vec<&str> = initial.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        let what = format!(
            "this member, `{own}`, is not in it, but {names}: give --name as one of these, or \
             add `{own}`"
        );
        return reader.refuse("initial-cluster", what);
    };
    if *url != config.advertise_peer {
        let advertised = &config.advertise_peer;
        let what = format!(
            "`{name}` is at {url}, but --initial-advertise-peer-urls is {advertised}: they must \
             be the same"
        );
        reader.refuse("initial-cluster", what);
    }
}

/// All addresses of a machine are none that others could reach. It does no harm as long as there
/// are no others, and is how many a single etcd is started.
fn check_reachable(reader: &mut Reader<'_>, config: &ServerConfig, warnings: &mut Vec<String>) {
    let cluster = &config.cluster;
    let is_alone =
        cluster.initial.len() == 1 && !cluster.is_existing && cluster.discovery_srv.is_none();
    let peer = [("initial-advertise-peer-urls", &config.advertise_peer)];
    let clients = config.advertise_client.iter();
    let clients = clients.map(|url| ("advertise-client-urls", url));
    for (name, url) in peer.into_iter().chain(clients) {
        if !url.is_wildcard() {
            continue;
        }
        let what =
            format!("nobody can reach {url}: give an address or a host name of this machine");
        if is_alone {
            let called = reader.merged.called(name);
            warnings.push(format!("{called}: {what}, before there are more members"));
        } else {
            reader.refuse(name, what);
        }
    }
    let names_nobody = cluster.initial.len() == 1 && cluster.is_existing;
    if names_nobody && !cluster.replace {
        let called = reader.merged.called("initial-cluster");
        warnings.push(format!(
            "{called} names nobody else, so a member without data finds no cluster to join"
        ));
    }
}

fn check_client_tls(reader: &mut Reader<'_>, config: &ServerConfig, warnings: &mut Vec<String>) {
    check_pair(reader, "cert-file", "key-file");
    let certificate = reader.text("cert-file").is_some();
    let mut all = config.listen_client.iter().chain(&config.listen_metrics);
    let tls = all.find(|url| url.is_tls);
    if let Some(url) = tls
        && !certificate
    {
        let what = format!("missing, but {url} wants a certificate: `raft-cli tls gen` makes one");
        reader.refuse("cert-file", what);
    }
    let wants = config.client_tls.as_ref();
    if wants.is_some_and(|files| files.wants_certificate && files.authority.is_none()) {
        let what = "--trusted-ca-file is missing: it says whose certificates clients must have";
        reader.refuse("client-cert-auth", what);
    }
    if tls.is_none() {
        for name in ["cert-file", "trusted-ca-file", "client-cert-auth"] {
            if reader.text(name).is_some_and(|text| text != "false") {
                let called = reader.merged.called(name);
                warnings.push(format!(
                    "{called} is ignored: no URL of --listen-client-urls begins with https://"
                ));
            }
        }
    } else if let Some(url) = config.listen_client.iter().find(|url| !url.is_tls) {
        warnings.push(format!(
            "{url} serves clients without TLS, beside others that have it"
        ));
    }
}

fn check_peer_tls(reader: &mut Reader<'_>, config: &ServerConfig, warnings: &mut Vec<String>) {
    let certificate = ["peer-cert-file", "peer-key-file", "peer-trusted-ca-file"];
    check_pair(reader, certificate[0], certificate[1]);
    let listen = &config.listen_peer;
    if !listen.is_tls {
        for name in certificate {
            if reader.text(name).is_some() {
                let called = reader.merged.called(name);
                let what = format!("{called} is ignored: {listen} is without TLS");
                warnings.push(what);
            }
        }
    } else if reader.text("peer-cert-file").is_none() {
        let what = format!("missing, but {listen} wants it: `raft-cli tls gen` makes one");
        reader.refuse("peer-cert-file", what);
    } else if reader.text("peer-trusted-ca-file").is_none() {
        let what = "missing: members always prove themselves to each other, so each must know \
            whose certificates to trust";
        reader.refuse("peer-trusted-ca-file", what);
    }
    let is_off = reader.text("peer-client-cert-auth") == Some("false");
    if config.peer_tls.is_some() && is_off {
        let called = reader.merged.called("peer-client-cert-auth");
        warnings.push(format!(
            "{called} is ignored: members always need certificates"
        ));
    }
    check_schemes(reader, config);
}

/// Members speak TLS with all others or with none.
fn check_schemes(reader: &mut Reader<'_>, config: &ServerConfig) {
    let listen = &config.listen_peer;
    let said = |is_tls| if is_tls { "TLS" } else { "no TLS" };
    let (own, other) = (said(listen.is_tls), said(!listen.is_tls));
    let advertised = &config.advertise_peer;
    if advertised.is_tls != listen.is_tls {
        let what = format!("{advertised} means {other}, but {listen} speaks {own}");
        reader.refuse("initial-advertise-peer-urls", what);
    }
    for (name, url) in &config.cluster.initial {
        if url.is_tls != listen.is_tls && *name != config.name {
            let what =
                format!("`{name}` is at {url}, but this member speaks {own}, and so must all");
            reader.refuse("initial-cluster", what);
        }
    }
}

fn check_pair(reader: &mut Reader<'_>, one: &'static str, other: &'static str) {
    for (given, missing) in [(one, other), (other, one)] {
        if reader.text(given).is_some() && reader.text(missing).is_none() {
            reader.refuse(given, format!("--{missing} is missing: both or none"));
        }
    }
}

fn check_timing(reader: &mut Reader<'_>, config: &ServerConfig) {
    if !reader.are_good(&["heartbeat-interval", "election-timeout"]) {
        return;
    }
    let heartbeat = config.heartbeat_interval;
    let election = config.election_timeout;
    if heartbeat.is_zero() {
        return reader.refuse("heartbeat-interval", "must be above zero");
    }
    let least = heartbeat.saturating_mul(HEARTBEATS_MIN);
    if election < least {
        let what = format!(
            "{election:?} is too short: at least {HEARTBEATS_MIN} times the heartbeat interval \
             of {heartbeat:?}, so {least:?}"
        );
        reader.refuse("election-timeout", what);
    }
    if election > ELECTION_TIMEOUT_MAX {
        let what = format!("{election:?} is too long: at most {ELECTION_TIMEOUT_MAX:?}");
        reader.refuse("election-timeout", what);
    }
}

fn check_limits(reader: &mut Reader<'_>, config: &ServerConfig, warnings: &mut Vec<String>) {
    let limits = &config.limits;
    let one = limits.request_bytes;
    let in_flight = [
        (
            "max-request-bytes-in-flight",
            limits.request_bytes_in_flight,
        ),
        (
            "max-request-bytes-in-flight-per-client",
            limits.request_bytes_in_flight_per_client,
        ),
    ];
    for (name, bytes) in in_flight {
        if bytes < one && reader.are_good(&[name, "max-request-bytes"]) {
            let what = format!(
                "{bytes} is less than --max-request-bytes, {one}: the longest requests would \
                 never be let in"
            );
            reader.refuse(name, what);
        }
    }
    if one > REQUEST_BYTES_MAX {
        let what = format!(
            "{one} is too much: members pass on no more than {REQUEST_BYTES_MAX} bytes as one"
        );
        reader.refuse("max-request-bytes", what);
    } else if one > REQUEST_BYTES_ADVISED {
        let called = reader.merged.called("max-request-bytes");
        warnings.push(format!(
            "{called}: {one} is much; requests of up to {REQUEST_BYTES_ADVISED} bytes are advised"
        ));
    }
}
