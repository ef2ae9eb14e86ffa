//! A table for each rule: settings, and what is said about them.

use std::time::Duration;

use raft_kv::AutoCompactionMode;

use super::with_flags;
use crate::server::home::{Home, Identity};

/// All good settings say nothing; bad ones say each of these, and nothing else.
fn check(flags: &[(&str, &str)], expected: &[&str]) {
    let settled = with_flags(flags);
    let errors = settled.errors;
    assert_eq!(errors.len(), expected.len(), "{flags:?}: {errors:#?}");
    for expected in expected {
        let is_said = errors.iter().any(|error| error.contains(expected));
        assert!(is_said, "{expected:?} in {errors:#?}");
    }
}

/// The settings are good, and each of these is said as a warning, and nothing else.
fn warned(flags: &[(&str, &str)], expected: &[&str]) {
    let settled = with_flags(flags);
    assert_eq!(settled.errors, Vec::<String>::new(), "{flags:?}");
    let warnings = settled.config.warnings;
    assert_eq!(warnings.len(), expected.len(), "{flags:?}: {warnings:#?}");
    for expected in expected {
        let is_said = warnings.iter().any(|warning| warning.contains(expected));
        assert!(is_said, "{expected:?} in {warnings:#?}");
    }
}

const THREE: &str = "n1=http://h1:2380,n2=http://h2:2380,n3=http://h3:2380";

#[test]
fn a_server_starts_without_any_setting() {
    let settled = with_flags(&[]);
    assert_eq!(settled.errors, Vec::<String>::new());
    let config = settled.config;
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.data_dir.to_str(), Some("default.raft"));
    assert_eq!(config.advertise_peer.to_string(), "http://localhost:2380");
    assert_eq!(config.advertise_client, config.listen_client);
    let founders = [("default".to_owned(), config.advertise_peer)];
    assert_eq!(config.cluster.initial, founders);
    assert_eq!(config.snapshot_count, 100_000);
    assert_eq!(config.quota_bytes, 2 << 30);
    assert_eq!(config.limits.request_bytes, 1536 << 10);
    assert_eq!(config.election_timeout, Duration::from_secs(1));
    assert_eq!(config.client_tls, None);
    assert_eq!(config.peer_tls, None);
}

#[test]
fn a_member_is_among_its_founders_under_the_url_it_advertises() {
    let at = "initial-advertise-peer-urls";
    check(&[("name", "n1"), ("initial-cluster", THREE)], &[]);
    check(
        &[
            ("name", "n1"),
            ("initial-cluster", THREE),
            (at, "http://h1:2380"),
        ],
        &[],
    );
    check(
        &[("name", "n4"), ("initial-cluster", THREE)],
        &["this member, `n4`, is not in it, but n1, n2, n3"],
    );
    check(
        &[
            ("name", "n1"),
            ("initial-cluster", THREE),
            (at, "http://h9:2380"),
        ],
        &["`n1` is at http://h1:2380, but --initial-advertise-peer-urls is http://h9:2380"],
    );
    check(
        &[("name", "a=b"), ("initial-cluster", "c=http://h:1")],
        &["no comma and no `=`", "this member, `a=b`, is not in it"],
    );
}

#[test]
fn a_member_with_data_goes_by_its_data_and_not_by_the_initial_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("plain");
    let strange = [
        ("name", "n4"),
        ("initial-cluster", THREE),
        ("data-dir", path),
    ];
    check(&strange, &["this member, `n4`, is not in it"]);
    let url = "http://h4:2380".parse().expect("a URL");
    let identity = Identity::of("etcd-cluster", &url);
    Home::create(dir.path(), identity).expect("new");
    check(&strange, &[]);
}

#[test]
fn the_url_in_the_initial_cluster_is_the_one_that_is_advertised() {
    let settled = with_flags(&[
        ("name", "n2"),
        ("initial-cluster", THREE),
        ("listen-peer-urls", "http://0.0.0.0:2380"),
        ("advertise-client-urls", "http://h2:2379"),
    ]);
    assert_eq!(settled.errors, Vec::<String>::new());
    assert_eq!(settled.config.advertise_peer.to_string(), "http://h2:2380");
}

#[test]
fn requests_fit_into_a_frame_between_members() {
    let limit = "max-request-bytes";
    check(&[(limit, "25165824")], &[]);
    check(
        &[(limit, "25165825")],
        &["members pass on no more than 25165824"],
    );
}

#[test]
fn founders_have_one_name_and_one_url_each() {
    let check = |founders, expected: &[&str]| {
        check(&[("name", "n1"), ("initial-cluster", founders)], expected);
    };
    check("n1=http://h1:1, n2=http://h2:1,", &[]);
    check("n1=http://h1:1,n1=http://h2:1", &["`n1` is there twice"]);
    check(
        "n1=http://h1:1,n2=http://h1:1",
        &["`n1` and `n2` have the same URL"],
    );
    check("n1=http://h1:1,n2", &["`n2` is not name=url"]);
    check(
        "n1=http://h1:1,n2=h2:1",
        &["n2: `h2:1` does not begin with"],
    );
    check(
        "n1=http://h1:1,n2=https://h2:1",
        &["`n2` is at https://h2:1"],
    );
}

#[test]
fn members_have_one_url() {
    let two = "http://h1:1,http://h1:2";
    check(&[("listen-peer-urls", two)], &["one URL is supported"]);
    check(
        &[
            ("initial-advertise-peer-urls", two),
            ("initial-cluster", "default=http://h1:1"),
        ],
        &["one URL is supported"],
    );
}

#[test]
fn listeners_do_not_meet() {
    check(
        &[("listen-client-urls", "http://localhost:2380")],
        &["is taken"],
    );
    check(
        &[("listen-metrics-urls", "http://localhost:2379")],
        &["it is listened on for --listen-client-urls already"],
    );
    check(
        &[("listen-client-urls", "http://h:1,http://h:1")],
        &["is taken"],
    );
    check(&[("listen-client-urls", "http://h:0,http://h:0")], &[]);
    check(&[("listen-client-urls", ",")], &["there is no URL"]);
    check(
        &[("listen-client-urls", "localhost:2379")],
        &["does not begin with"],
    );
}

#[test]
fn others_are_not_told_to_reach_all_addresses() {
    let everywhere = "http://0.0.0.0:2379";
    let founders = [("name", "n1"), ("initial-cluster", THREE)];
    let with = |more: (&'static str, &'static str)| [founders[0], founders[1], more];
    check(
        &with(("advertise-client-urls", everywhere)),
        &["nobody can reach http://0.0.0.0:2379: give an address"],
    );
    check(
        &[
            ("name", "n1"),
            ("initial-cluster", "n1=http://[::]:2380,n2=http://h2:2380"),
        ],
        &["nobody can reach http://[::]:2380"],
    );
    warned(
        &[("advertise-client-urls", everywhere)],
        &["before there are more members"],
    );
    warned(
        &[("initial-advertise-peer-urls", "http://0.0.0.0:2380")],
        &["before there are more members"],
    );
    warned(&[("listen-client-urls", everywhere)], &[]);
}

#[test]
fn elections_take_five_heartbeats_and_at_most_fifty_seconds() {
    let check = |heartbeat, election, expected: &[&str]| {
        check(
            &[
                ("heartbeat-interval", heartbeat),
                ("election-timeout", election),
            ],
            expected,
        );
    };
    check("100", "1000", &[]);
    check("200", "1000", &[]);
    check("100ms", "1s", &[]);
    check(
        "201",
        "1000",
        &["at least 5 times the heartbeat interval of 201ms, so 1.005s"],
    );
    check("100", "50000", &[]);
    check("100", "50001", &["at most 50s"]);
    check("0", "1000", &["must be above zero"]);
    check("-1", "1000", &["`-1` is no number of milliseconds"]);
    check("fast", "slow", &["`fast`", "`slow`"]);
}

#[test]
fn certificates_and_their_keys_go_together() {
    let url = ("listen-client-urls", "https://h:1");
    let (cert, key) = (("cert-file", "c"), ("key-file", "k"));
    check(&[url, cert, key], &[]);
    check(&[url, cert], &["--key-file is missing"]);
    check(
        &[url, key],
        &["--cert-file is missing", "https://h:1 wants a certificate"],
    );
    check(
        &[url],
        &["https://h:1 wants a certificate: `raft-cli tls gen` makes one"],
    );
    check(
        &[("listen-metrics-urls", "https://h:1")],
        &["https://h:1 wants a certificate"],
    );
    check(
        &[url, cert, key, ("client-cert-auth", "true")],
        &["--trusted-ca-file is missing"],
    );
    warned(
        &[cert, key],
        &["--cert-file is ignored: no URL of --listen-client-urls begins with https://"],
    );
    let both = ("listen-client-urls", "https://h:1,http://h:2");
    warned(
        &[both, cert, key],
        &["http://h:2 serves clients without TLS"],
    );
}

#[test]
fn an_authority_for_clients_asks_certificates_of_them_as_in_etcd() {
    let tls = |more: &[(&str, &str)]| {
        let url = ("listen-client-urls", "https://h:1");
        let mut all = vec![url, ("cert-file", "c"), ("key-file", "k")];
        all.extend_from_slice(more);
        with_flags(&all)
            .config
            .client_tls
            .unwrap()
            .wants_certificate
    };
    assert!(!tls(&[]));
    assert!(tls(&[("trusted-ca-file", "ca")]));
    assert!(tls(&[
        ("trusted-ca-file", "ca"),
        ("client-cert-auth", "true")
    ]));
}

#[test]
fn members_speak_tls_with_all_others_or_with_none() {
    let url = ("listen-peer-urls", "https://h:1");
    let files = [("peer-cert-file", "c"), ("peer-key-file", "k")];
    let authority = ("peer-trusted-ca-file", "ca");
    check(&[url, files[0], files[1], authority], &[]);
    check(&[url], &["https://h:1 wants it: `raft-cli tls gen`"]);
    check(
        &[url, files[0], files[1]],
        &["must know whose certificates to trust"],
    );
    check(&[url, files[0], authority], &["--peer-key-file is missing"]);
    check(
        &[
            url,
            files[0],
            files[1],
            authority,
            ("initial-advertise-peer-urls", "http://h:1"),
        ],
        &["http://h:1 means no TLS, but https://h:1 speaks TLS"],
    );
    warned(
        &[
            url,
            files[0],
            files[1],
            authority,
            ("peer-client-cert-auth", "false"),
        ],
        &["members always need certificates"],
    );
    warned(
        &[files[0], files[1]],
        &["--peer-cert-file is ignored", "--peer-key-file is ignored"],
    );
}

#[test]
fn numbers_have_bounds() {
    check(&[("bcrypt-cost", "3")], &["3 is too small: at least 4"]);
    check(&[("bcrypt-cost", "32")], &["32 is too large: at most 31"]);
    check(&[("max-txn-ops", "0")], &["0 is too small: at least 1"]);
    check(&[("max-txn-ops", "many")], &["`many` is not an integer"]);
    check(
        &[("max-txn-ops", "99999999999999999999")],
        &["is not an integer"],
    );
    check(&[("snapshot-count", "-1")], &["too small"]);
    check(
        &[("replace-member", "perhaps")],
        &["neither true nor false"],
    );
}

#[test]
fn words_are_chosen_from_a_list() {
    check(
        &[("initial-cluster-state", "exsiting")],
        &["`exsiting` is none of new, existing (did you mean `existing`?)"],
    );
    check(&[("engine", "bolt")], &["none of rocksdb, memory"]);
    check(&[("log-format", "console")], &[]);
    check(&[("log-level", "loud")], &["`loud` is no level"]);
    check(&[("advertised-version", "3.6")], &["`3.6` is no version"]);
}

#[test]
fn an_engine_that_was_not_built_in_is_refused() {
    let expected: &[&str] = if cfg!(feature = "rocksdb") {
        &[]
    } else {
        &["built without RocksDB"]
    };
    check(&[("engine", "rocksdb")], expected);
}

#[test]
fn retention_is_hours_or_a_duration_or_revisions() {
    let check = |mode, retention, expected| {
        let settled = with_flags(&[
            ("auto-compaction-mode", mode),
            ("auto-compaction-retention", retention),
        ]);
        assert_eq!(settled.errors, Vec::<String>::new(), "{retention}");
        assert_eq!(settled.config.auto_compaction, expected, "{retention}");
    };
    let minutes = |n: u64| AutoCompactionMode::Periodic(Duration::from_secs(n * 60));
    check("periodic", "0", minutes(0));
    check("periodic", "1", minutes(60));
    check("periodic", "5m", minutes(5));
    check("periodic", "1h30m", minutes(90));
    check("revision", "1000", AutoCompactionMode::Revisions(1000));
    let retention = "auto-compaction-retention";
    super::rules::check(&[(retention, "long")], &["neither hours nor a duration"]);
    super::rules::check(
        &[("auto-compaction-mode", "revision"), (retention, "5m")],
        &["`5m` is no number of revisions"],
    );
}

#[test]
fn zero_and_less_mean_what_they_mean_in_etcd() {
    let quota = |text| {
        with_flags(&[("quota-backend-bytes", text)])
            .config
            .quota_bytes
    };
    assert_eq!(quota("0"), 2 << 30);
    assert_eq!(quota("-1"), 0, "no limit, for the store");
    assert_eq!(quota("1000"), 1000);
    let count = |text| {
        with_flags(&[("snapshot-count", text)])
            .config
            .snapshot_count
    };
    assert_eq!(count("0"), 100_000);
    assert_eq!(count("5"), 5);
}

#[test]
fn the_longest_request_fits_into_what_may_be_in_flight() {
    check(
        &[("max-request-bytes-in-flight", "1000")],
        &["1000 is less than --max-request-bytes, 1572864"],
    );
    check(
        &[("max-request-bytes-in-flight-per-client", "1000")],
        &["1000 is less than --max-request-bytes"],
    );
    warned(&[("max-request-bytes", "11000000")], &["11000000 is much"]);
}

#[test]
fn founders_are_listed_or_looked_up() {
    let srv = ("discovery-srv", "example.org");
    check(&[srv], &[]);
    assert!(with_flags(&[srv]).config.cluster.initial.is_empty());
    check(
        &[srv, ("initial-cluster", "default=http://h:1")],
        &["founders are either listed or looked up"],
    );
}

#[test]
fn who_joins_a_cluster_should_know_somebody_in_it() {
    warned(
        &[("initial-cluster-state", "existing")],
        &["names nobody else"],
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    check(
        &[
            ("bcrypt-cost", "99"),
            ("election-timeout", "1"),
            ("listen-client-urls", "nowhere"),
            ("auto-tls", "true"),
        ],
        &[
            "99",
            "too short",
            "`nowhere`",
            "--auto-tls is not supported",
        ],
    );
}
