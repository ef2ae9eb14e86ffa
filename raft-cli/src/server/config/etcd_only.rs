//! etcd's flags that have no equivalent here, so that a command line that starts etcd starts us.
//!
//! Each is one of three things: what it asks for is what happens anyway; or ignoring it does no
//! harm, and a warning says what happens instead; or ignoring it would be dangerous (somebody would
//! be let in, or data would be taken for something else), so it is refused with the way to do it.
//! It does not know what the settings that do exist mean.

use Verdict::{Refuse, Warn};

/// One of etcd's flags.
#[derive(Debug)]
pub(super) struct EtcdOnly {
    pub(super) name: &'static str,
    /// Whether it can stand without a value, and then means yes.
    pub(super) is_switch: bool,
    /// Values that ask for what happens anyway.
    harmless: &'static [&'static str],
    verdict: Verdict,
}

/// What is said of any other value.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Warn(&'static str),
    Refuse(&'static str),
}

/// What becomes of a flag with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// What it asks for happens anyway.
    Granted,
    /// It is ignored; this is what happens instead.
    Ignored(&'static str),
    /// It would be wrong to ignore it; this is what to do.
    Refused(&'static str),
}

impl EtcdOnly {
    /// What becomes of it, with a value that is `true` or `false` if it is a switch.
    pub(super) fn judge(&self, value: &str) -> Judgement {
        if value.is_empty() || self.harmless.contains(&value) {
            return Judgement::Granted;
        }
        match self.verdict {
            Warn(instead) => Judgement::Ignored(instead),
            Refuse(advice) => Judgement::Refused(advice),
        }
    }
}

/// The flag of a name.
pub(super) fn find(name: &str) -> Option<&'static EtcdOnly> {
    ETCD_ONLY.iter().find(|flag| flag.name == name)
}

const fn switch(
    name: &'static str,
    harmless: &'static [&'static str],
    verdict: Verdict,
) -> EtcdOnly {
    EtcdOnly {
        name,
        is_switch: true,
        harmless,
        verdict,
    }
}

const fn value(
    name: &'static str,
    harmless: &'static [&'static str],
    verdict: Verdict,
) -> EtcdOnly {
    EtcdOnly {
        name,
        is_switch: false,
        harmless,
        verdict,
    }
}

const OFF: &[&str] = &["false"];
const ON: &[&str] = &["true"];
const NONE: &[&str] = &[];

const NO_LISTS: &str = "certificates can't be revoked by a list: change the authority instead, \
    which is read again at SIGHUP";
const NO_NAMES: &str = "a certificate proves membership, not a name: give those who may connect \
    certificates of an authority of its own";
const NO_GENERATED: &str = "a server makes no certificates for itself: make them with \
    `raft-cli tls gen`";
const NO_DISCOVERY: &str = "there is no discovery service: list the founders in \
    --initial-cluster, or name a domain in --discovery-srv";
const NO_DISCOVERY_CLIENT: Verdict = Warn("there is no discovery service");
const NO_V2: &str = "there is no v2 interface";
const NO_PROXY: Verdict = Warn("there is no v2 proxy");
const ONE_CERTIFICATE: Verdict = Warn("a member shows the same certificate at both ends");
const NO_BOLT: Verdict = Warn("the engine has no such setting: see --engine");
const NO_TRACING: Verdict = Warn("no traces are sent: see /metrics and `raft-cli explain`");
const DIGESTS: Verdict = Warn("members compare digests of their stores all the time");
const LEASES: Verdict = Warn("what is left of a lease is known to all members as it is");
const COMPACTION: Verdict = Warn("history is swept bit by bit, beside other work");
const SLOWNESS: Verdict = Warn("durations are in the histograms of /metrics");
const PROGRESS: Verdict = Warn("watchers hear of progress at the server's own pace");
const ON_STDERR: Verdict = Warn("the log goes to standard error: whoever starts us keeps it");
const KEEPALIVE: Verdict = Warn("connections are kept alive at the server's own pace");
const RETENTION: Verdict = Warn("segments and snapshots go when nobody needs them any more");
const CATCH_UP: Verdict = Warn("the part of the log that a slow member needs is kept for it");
const IN_MEMORY: Verdict = Warn("pages are not locked in memory");
const BOOT_DEFRAG: Verdict = Warn("space is given back while the server runs");
const DEFRAG: Verdict = Warn("requests are served during a defragmentation");
const DOWNGRADE: Verdict = Warn("versions are negotiated on each connection");
const SOCKETS: Verdict = Warn("listeners use the options of the system");
const SAN: Verdict = Warn("names in certificates are checked by who dials, and only there");
const PEER_TIMEOUTS: Verdict = Warn("connections between members have time limits of their own");

/// All of them, in etcd's order: those of 3.4, of 3.6, or of both.
pub(super) const ETCD_ONLY: &[EtcdOnly] = &[
    value("wal-dir", NONE, Warn("the log lies in --data-dir")),
    switch(
        "initial-election-tick-advance",
        NONE,
        Warn("elections keep to their timeouts"),
    ),
    value(
        "listen-client-http-urls",
        NONE,
        Warn("HTTP is served where clients are"),
    ),
    value("max-snapshots", NONE, RETENTION),
    value("max-wals", NONE, RETENTION),
    switch("memory-mlock", OFF, IN_MEMORY),
    switch("experimental-memory-mlock", OFF, IN_MEMORY),
    value("backend-bbolt-freelist-type", NONE, NO_BOLT),
    value("experimental-backend-bbolt-freelist-type", NONE, NO_BOLT),
    value("backend-batch-interval", NONE, NO_BOLT),
    value("backend-batch-limit", NONE, NO_BOLT),
    value(
        "max-concurrent-streams",
        NONE,
        Warn("see --max-concurrent-requests-per-client"),
    ),
    value("grpc-keepalive-min-time", NONE, KEEPALIVE),
    value("grpc-keepalive-interval", NONE, KEEPALIVE),
    value("grpc-keepalive-timeout", NONE, KEEPALIVE),
    switch("socket-reuse-port", OFF, SOCKETS),
    switch("socket-reuse-address", OFF, SOCKETS),
    switch(
        "enable-grpc-gateway",
        ON,
        Warn("the gateway is always there"),
    ),
    value("raft-read-timeout", NONE, PEER_TIMEOUTS),
    value("raft-write-timeout", NONE, PEER_TIMEOUTS),
    value(
        "feature-gates",
        NONE,
        Warn("features are the same in all servers of a version"),
    ),
    value("discovery", NONE, Refuse(NO_DISCOVERY)),
    value("discovery-token", NONE, Refuse(NO_DISCOVERY)),
    value("discovery-endpoints", NONE, Refuse(NO_DISCOVERY)),
    value("discovery-dial-timeout", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-request-timeout", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-keepalive-time", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-keepalive-timeout", NONE, NO_DISCOVERY_CLIENT),
    switch("discovery-insecure-transport", NONE, NO_DISCOVERY_CLIENT),
    switch(
        "discovery-insecure-skip-tls-verify",
        NONE,
        NO_DISCOVERY_CLIENT,
    ),
    value("discovery-cert", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-key", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-cacert", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-user", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-password", NONE, NO_DISCOVERY_CLIENT),
    value("discovery-fallback", &["exit"], NO_DISCOVERY_CLIENT),
    value("discovery-proxy", NONE, NO_DISCOVERY_CLIENT),
    value(
        "discovery-srv-name",
        NONE,
        Refuse("records are looked up by etcd's own names, without a suffix"),
    ),
    switch(
        "strict-reconfig-check",
        ON,
        Warn("what would lose the quorum is always refused"),
    ),
    switch("pre-vote", ON, Warn("there is always a pre-vote")),
    switch("enable-v2", OFF, Warn(NO_V2)),
    value("experimental-enable-v2v3", NONE, Warn(NO_V2)),
    value("v2-deprecation", NONE, Warn(NO_V2)),
    switch("next-cluster-version-compatible", OFF, DOWNGRADE),
    value("client-cert-file", NONE, ONE_CERTIFICATE),
    value("client-key-file", NONE, ONE_CERTIFICATE),
    value("peer-client-cert-file", NONE, ONE_CERTIFICATE),
    value("peer-client-key-file", NONE, ONE_CERTIFICATE),
    value("client-crl-file", NONE, Refuse(NO_LISTS)),
    value("peer-crl-file", NONE, Refuse(NO_LISTS)),
    value("client-cert-allowed-hostname", NONE, Refuse(NO_NAMES)),
    value("peer-cert-allowed-cn", NONE, Refuse(NO_NAMES)),
    value("peer-cert-allowed-hostname", NONE, Refuse(NO_NAMES)),
    switch("auto-tls", OFF, Refuse(NO_GENERATED)),
    switch("peer-auto-tls", OFF, Refuse(NO_GENERATED)),
    value("self-signed-cert-validity", NONE, Warn(NO_GENERATED)),
    value(
        "cipher-suites",
        NONE,
        Refuse("the suites are those of rustls, which has no weak ones; leave the flag away"),
    ),
    value(
        "cors",
        &["*"],
        Warn("no headers for other origins are sent"),
    ),
    value(
        "host-whitelist",
        &["*"],
        Refuse("the host of a request is not looked at: use TLS, or a proxy that does it"),
    ),
    value(
        "tls-min-version",
        &["TLS1.2"],
        Refuse("both TLS 1.2 and 1.3 are spoken, and the newer one if both ends can"),
    ),
    value(
        "tls-max-version",
        &["TLS1.3"],
        Warn("both TLS 1.2 and 1.3 are spoken, and the newer one if both ends can"),
    ),
    value(
        "auth-token",
        &["simple"],
        Refuse("tokens are `simple` ones, which members give out: there are no JWT"),
    ),
    switch(
        "enable-pprof",
        OFF,
        Warn("there is no profile of a runtime that is not Go's"),
    ),
    value("metrics", NONE, Warn("all histograms are always there")),
    value("logger", NONE, Warn("see --log-format")),
    value("log-outputs", &["default", "stderr"], ON_STDERR),
    switch("enable-log-rotation", OFF, ON_STDERR),
    value("log-rotation-config-json", NONE, ON_STDERR),
    value(
        "log-package-levels",
        NONE,
        Warn("see --log-level, which takes directives"),
    ),
    switch("debug", OFF, Warn("see --log-level=debug")),
    value("warning-unary-request-duration", NONE, SLOWNESS),
    value(
        "experimental-warning-unary-request-duration",
        NONE,
        SLOWNESS,
    ),
    value("warning-apply-duration", NONE, SLOWNESS),
    value("experimental-warning-apply-duration", NONE, SLOWNESS),
    value(
        "proxy",
        &["off"],
        Refuse("there is no v2 proxy: this would be a member instead"),
    ),
    value("proxy-failure-wait", NONE, NO_PROXY),
    value("proxy-refresh-interval", NONE, NO_PROXY),
    value("proxy-dial-timeout", NONE, NO_PROXY),
    value("proxy-write-timeout", NONE, NO_PROXY),
    value("proxy-read-timeout", NONE, NO_PROXY),
    switch("enable-distributed-tracing", OFF, NO_TRACING),
    switch("experimental-enable-distributed-tracing", OFF, NO_TRACING),
    value("distributed-tracing-address", NONE, NO_TRACING),
    value("experimental-distributed-tracing-address", NONE, NO_TRACING),
    value("distributed-tracing-service-name", NONE, NO_TRACING),
    value(
        "experimental-distributed-tracing-service-name",
        NONE,
        NO_TRACING,
    ),
    value("distributed-tracing-instance-id", NONE, NO_TRACING),
    value(
        "experimental-distributed-tracing-instance-id",
        NONE,
        NO_TRACING,
    ),
    value("distributed-tracing-sampling-rate", NONE, NO_TRACING),
    value(
        "experimental-distributed-tracing-sampling-rate",
        NONE,
        NO_TRACING,
    ),
    switch("experimental-initial-corrupt-check", NONE, DIGESTS),
    value("corrupt-check-time", NONE, DIGESTS),
    value("experimental-corrupt-check-time", NONE, DIGESTS),
    switch("experimental-compact-hash-check-enabled", NONE, DIGESTS),
    value("compact-hash-check-time", NONE, DIGESTS),
    value("experimental-compact-hash-check-time", NONE, DIGESTS),
    switch("experimental-enable-lease-checkpoint", NONE, LEASES),
    switch("experimental-enable-lease-checkpoint-persist", NONE, LEASES),
    value("compaction-batch-limit", NONE, COMPACTION),
    value("experimental-compaction-batch-limit", NONE, COMPACTION),
    value("compaction-sleep-interval", NONE, COMPACTION),
    value("experimental-compaction-sleep-interval", NONE, COMPACTION),
    switch("peer-skip-client-san-verification", NONE, SAN),
    switch("experimental-peer-skip-client-san-verification", NONE, SAN),
    value("watch-progress-notify-interval", NONE, PROGRESS),
    value(
        "experimental-watch-progress-notify-interval",
        NONE,
        PROGRESS,
    ),
    switch(
        "experimental-txn-mode-write-with-shared-buffer",
        NONE,
        NO_BOLT,
    ),
    value("bootstrap-defrag-threshold-megabytes", NONE, BOOT_DEFRAG),
    value(
        "experimental-bootstrap-defrag-threshold-megabytes",
        NONE,
        BOOT_DEFRAG,
    ),
    value("max-learners", NONE, Warn("learners are not counted")),
    value("downgrade-check-time", NONE, DOWNGRADE),
    value("experimental-downgrade-check-time", NONE, DOWNGRADE),
    value("snapshot-catchup-entries", NONE, CATCH_UP),
    value("experimental-snapshot-catchup-entries", NONE, CATCH_UP),
    switch("experimental-stop-grpc-service-on-defrag", OFF, DEFRAG),
    switch(
        "force-new-cluster",
        OFF,
        Refuse("a lost quorum is recovered by `raft-cli recover`, while the server is down"),
    ),
    switch(
        "unsafe-no-fsync",
        OFF,
        Warn("every write is synced to the disk"),
    ),
];
