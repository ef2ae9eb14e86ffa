//! Command lines that start etcd: each of its flags is known here, ignored with a warning, or
//! refused with the way to do it.

use super::with_flags;
use crate::server::config::etcd_only::{self, ETCD_ONLY, Judgement};
use crate::server::config::table;

/// The flags in the help of etcd 3.4.45 and of 3.6.14.
const ALL: &str = "\
advertise-client-urls auth-token auth-token-ttl auto-compaction-mode \
    auto-compaction-retention auto-tls backend-batch-interval backend-batch-limit \
    backend-bbolt-freelist-type bcrypt-cost bootstrap-defrag-threshold-megabytes cert-file \
    cipher-suites client-cert-allowed-hostname client-cert-auth client-cert-file client-crl-file \
    client-key-file compact-hash-check-time compaction-batch-limit compaction-sleep-interval \
    config-file corrupt-check-time cors data-dir debug discovery discovery-cacert discovery-cert \
    discovery-dial-timeout discovery-endpoints discovery-fallback \
    discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time \
    discovery-keepalive-timeout discovery-key discovery-password discovery-proxy \
    discovery-request-timeout discovery-srv discovery-srv-name discovery-token discovery-user \
    distributed-tracing-address distributed-tracing-instance-id \
    distributed-tracing-sampling-rate distributed-tracing-service-name downgrade-check-time \
    election-timeout enable-distributed-tracing enable-grpc-gateway enable-log-rotation \
    enable-pprof enable-v2 experimental-backend-bbolt-freelist-type \
    experimental-bootstrap-defrag-threshold-megabytes experimental-compact-hash-check-enabled \
    experimental-compact-hash-check-time experimental-compaction-batch-limit \
    experimental-compaction-sleep-interval experimental-corrupt-check-time \
    experimental-distributed-tracing-address experimental-distributed-tracing-instance-id \
    experimental-distributed-tracing-sampling-rate experimental-distributed-tracing-service-name \
    experimental-downgrade-check-time experimental-enable-distributed-tracing \
    experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist \
    experimental-enable-v2v3 experimental-initial-corrupt-check experimental-memory-mlock \
    experimental-peer-skip-client-san-verification experimental-snapshot-catchup-entries \
    experimental-stop-grpc-service-on-defrag experimental-txn-mode-write-with-shared-buffer \
    experimental-warning-apply-duration experimental-warning-unary-request-duration \
    experimental-watch-progress-notify-interval feature-gates force-new-cluster \
    grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout heartbeat-interval \
    host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state \
    initial-cluster-token initial-election-tick-advance key-file listen-client-http-urls \
    listen-client-urls listen-metrics-urls listen-peer-urls log-format log-level log-outputs \
    log-package-levels log-rotation-config-json logger max-concurrent-streams max-learners \
    max-request-bytes max-snapshots max-txn-ops max-wals memory-mlock metrics name \
    next-cluster-version-compatible peer-auto-tls peer-cert-allowed-cn \
    peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth peer-client-cert-file \
    peer-client-key-file peer-crl-file peer-key-file peer-skip-client-san-verification \
    peer-trusted-ca-file pre-vote proxy proxy-dial-timeout proxy-failure-wait proxy-read-timeout \
    proxy-refresh-interval proxy-write-timeout quota-backend-bytes raft-read-timeout \
    raft-write-timeout self-signed-cert-validity snapshot-catchup-entries snapshot-count \
    socket-reuse-address socket-reuse-port strict-reconfig-check tls-max-version tls-min-version \
    trusted-ca-file unsafe-no-fsync v2-deprecation wal-dir warning-apply-duration \
    warning-unary-request-duration watch-progress-notify-interval";

/// A value of these would open a door, or have a server be something else than was meant.
const REFUSED: [(&str, &str); 17] = [
    ("auth-token", "jwt,pub-key=p,priv-key=k,sign-method=RS256"),
    ("auto-tls", "true"),
    ("cipher-suites", "TLS_RSA_WITH_AES_128_CBC_SHA"),
    ("client-cert-allowed-hostname", "h1"),
    ("client-crl-file", "list.crl"),
    ("discovery", "https://discovery.example.org/1"),
    ("discovery-endpoints", "http://h1:2379"),
    ("discovery-srv-name", "blue"),
    ("discovery-token", "t"),
    ("force-new-cluster", "true"),
    ("host-whitelist", "h1"),
    ("peer-auto-tls", "1"),
    ("peer-cert-allowed-cn", "n1"),
    ("peer-cert-allowed-hostname", "h1"),
    ("peer-crl-file", "list.crl"),
    ("proxy", "on"),
    ("tls-min-version", "TLS1.3"),
];

#[test]
fn every_flag_of_etcd_is_known_ignored_or_refused() {
    let mut count = 0;
    for name in ALL.split_whitespace() {
        count += 1;
        let is_ours = table::find(name).is_some() || name == "config-file";
        let is_etcds = etcd_only::find(name).is_some();
        assert!(
            is_ours != is_etcds,
            "--{name}: ours {is_ours}, etcd's {is_etcds}"
        );
    }
    assert!(count > 130, "{count}");
}

#[test]
fn every_flag_that_is_only_etcds_is_one() {
    for flag in ETCD_ONLY {
        let name = flag.name;
        assert!(ALL.split_whitespace().any(|other| other == name), "{name}");
        let same = ETCD_ONLY.iter().filter(|other| other.name == name);
        assert_eq!(same.count(), 1, "{name}");
    }
}

#[test]
fn what_would_be_dangerous_to_ignore_is_refused_and_nothing_else() {
    for (name, text) in REFUSED {
        let errors = with_flags(&[(name, text)]).errors;
        assert_eq!(errors.len(), 1, "--{name}: {errors:?}");
        let begin = format!("--{name} is not supported: ");
        assert!(errors[0].starts_with(&begin), "{errors:?}");
    }
    for flag in ETCD_ONLY {
        let is_refused = matches!(flag.judge("whatever"), Judgement::Refused(_));
        let is_listed = REFUSED.iter().any(|(name, _)| *name == flag.name);
        assert_eq!(is_refused, is_listed, "--{}", flag.name);
    }
}

#[test]
fn what_is_ignored_says_what_happens_instead() {
    let check = |name, text, expected: &[&str]| {
        let settled = with_flags(&[(name, text)]);
        assert_eq!(settled.errors, Vec::<String>::new(), "--{name}");
        assert_eq!(settled.config.warnings, expected, "--{name}");
    };
    check("pre-vote", "true", &[]);
    check(
        "pre-vote",
        "false",
        &["--pre-vote is ignored: there is always a pre-vote"],
    );
    check("strict-reconfig-check", "true", &[]);
    check("enable-v2", "false", &[]);
    check(
        "enable-v2",
        "TRUE",
        &["--enable-v2 is ignored: there is no v2 interface"],
    );
    check("logger", "zap", &["--logger is ignored: see --log-format"]);
    check(
        "wal-dir",
        "/wal",
        &["--wal-dir is ignored: the log lies in --data-dir"],
    );
    check("wal-dir", "", &[]);
    check("auth-token", "simple", &[]);
    check("auto-tls", "f", &[]);
    check("force-new-cluster", "false", &[]);
    check("tls-min-version", "TLS1.2", &[]);
    check("cors", "*", &[]);
    let instead = "--unsafe-no-fsync is ignored: every write is synced to the disk";
    check("unsafe-no-fsync", "true", &[instead]);
}

#[test]
fn the_command_lines_of_etcds_own_guide_start_a_server() {
    let three = "infra0=http://10.0.1.10:2380,infra1=http://10.0.1.11:2380,\
        infra2=http://10.0.1.12:2380";
    let settled = with_flags(&[
        ("name", "infra0"),
        ("initial-advertise-peer-urls", "http://10.0.1.10:2380"),
        ("listen-peer-urls", "http://10.0.1.10:2380"),
        (
            "listen-client-urls",
            "http://10.0.1.10:2379,http://127.0.0.1:2379",
        ),
        ("advertise-client-urls", "http://10.0.1.10:2379"),
        ("initial-cluster-token", "etcd-cluster-1"),
        ("initial-cluster", three),
        ("initial-cluster-state", "new"),
        ("auto-compaction-retention", "1"),
        ("snapshot-count", "10000"),
    ]);
    assert_eq!(settled.errors, Vec::<String>::new());
    assert_eq!(settled.config.warnings, Vec::<String>::new());
}
