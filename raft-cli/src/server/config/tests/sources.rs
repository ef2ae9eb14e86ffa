//! Flags, environment, file and defaults: which wins, what is unknown, and that what is printed is
//! a file again.

use std::path::Path;

use super::{map, with_flags};
use crate::server::config::ServerArgs;
use crate::server::config::args::{Settled, settle};
use crate::server::config::merged::{Environment, Flags, Merged};
use crate::server::config::print::print;

const PATH: &str = "/etc/raft.toml";

fn of_file(text: &str) -> Settled {
    let text = format!("engine = \"memory\"\n{text}");
    let file = Some((Path::new(PATH), text.as_str()));
    settle(Merged::new(&Flags::new(), &Environment::new(), file))
}

fn of_environment(pairs: &[(&str, &str)]) -> Settled {
    settle(Merged::new(
        &map(&[("engine", "memory")]),
        &map(pairs),
        None,
    ))
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let check = |flag: &str, ours: &str, etcds: &str, file: &str, expected: (&str, &str)| {
        let flags = map(&[("name", flag), ("engine", "memory")]);
        let flags = flags.into_iter().filter(|(_, text)| !text.is_empty());
        let environment = map(&[("RAFT_NAME", ours), ("ETCD_NAME", etcds)]);
        let text = if file.is_empty() {
            String::new()
        } else {
            format!("name = \"{file}\"")
        };
        let file = Some((Path::new(PATH), text.as_str()));
        let settled = settle(Merged::new(&flags.collect(), &environment, file));
        let given = settled.merged.get("name").unwrap();
        let found = (given.text.as_str(), given.origin.to_string());
        assert_eq!((found.0, found.1.as_str()), expected);
        assert_eq!(settled.config.name, expected.0);
    };
    check("f", "r", "e", "t", ("f", "flag"));
    check("", "r", "e", "t", ("r", "environment RAFT_NAME"));
    check("", "", "e", "t", ("e", "environment ETCD_NAME"));
    check("", "", "", "t", ("t", "file /etc/raft.toml"));
    check("", "", "", "", ("default", "default"));
}

#[test]
fn an_empty_flag_says_nothing_but_hides_what_others_say() {
    let flags = map(&[("name", ""), ("cert-file", ""), ("engine", "memory")]);
    let environment = map(&[("RAFT_NAME", "n1"), ("RAFT_CERT_FILE", "c")]);
    let settled = settle(Merged::new(&flags, &environment, None));
    assert_eq!(settled.config.name, "default");
    assert!(settled.merged.get("cert-file").is_none());
}

#[test]
fn a_key_that_is_unknown_is_an_error_and_the_nearest_is_named() {
    let check = |text, expected: &str| {
        assert_eq!(of_file(text).errors, [expected]);
    };
    check(
        "naem = 'n1'",
        "/etc/raft.toml: there is no setting `naem` (did you mean `name`?)",
    );
    check(
        "listen-client-url = 'http://h:1'",
        "/etc/raft.toml: there is no setting `listen-client-url` \
         (did you mean `listen-client-urls`?)",
    );
    check("sky = 'blue'", "/etc/raft.toml: there is no setting `sky`");
    check(
        "config-file = 'x'",
        "/etc/raft.toml: there is no setting `config-file`",
    );
}

#[test]
fn values_of_a_file_are_texts_numbers_and_lists() {
    let settled = of_file(
        "name = 'n1'\n\
         heartbeat-interval = 50\n\
         replace-member = true\n\
         listen-client-urls = ['http://h:1', 'http://h:2']\n\
         initial-cluster = 'n1=http://h1:1,n2=http://h2:1'\n",
    );
    assert_eq!(settled.errors, Vec::<String>::new());
    let config = settled.config;
    assert_eq!(config.heartbeat_interval.as_millis(), 50);
    assert!(config.cluster.replace);
    assert_eq!(config.listen_client.len(), 2);
    assert_eq!(config.cluster.initial.len(), 2);

    let check = |text, expected: &str| {
        let errors = of_file(text).errors;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(expected), "{errors:?}");
    };
    check("name = 1.5", "`name` must be a text, a number");
    check("listen-client-urls = [1]", "must be a text");
    check("name = 'n1", "/etc/raft.toml: it is no TOML");
    check(
        "heartbeat-interval = 'x'",
        "/etc/raft.toml: heartbeat-interval: `x` is no number",
    );
}

#[test]
fn a_file_may_have_tables_where_they_are_natural() {
    let settled = of_file(
        "name = 'n1'\n\
         listen-peer-urls = 'https://h1:2380'\n\
         listen-client-urls = 'https://h1:2379'\n\
         [initial-cluster]\n\
         n1 = 'https://h1:2380'\n\
         n2 = 'https://h2:2380'\n\
         [client-transport-security]\n\
         cert-file = 'c'\n\
         key-file = 'k'\n\
         trusted-ca-file = 'a'\n\
         client-cert-auth = true\n\
         [peer-transport-security]\n\
         cert-file = 'pc'\n\
         key-file = 'pk'\n\
         trusted-ca-file = 'pa'\n\
         auto-tls = false\n",
    );
    assert_eq!(settled.errors, Vec::<String>::new());
    let config = settled.config;
    assert_eq!(config.cluster.initial.len(), 2);
    assert_eq!(config.client_tls.unwrap().certificate.to_str(), Some("c"));
    assert_eq!(config.peer_tls.unwrap().certificate.to_str(), Some("pc"));

    let errors = of_file("[peer-transport-security]\nallowed-cn = 'n1'").errors;
    assert!(
        errors[0].contains("peer-cert-allowed-cn is not supported"),
        "{errors:?}"
    );
}

#[test]
fn etcds_own_file_is_told_what_it_should_be() {
    let file = Some((Path::new("/etc/etcd.yml"), "name: n1\n"));
    let settled = settle(Merged::new(&Flags::new(), &Environment::new(), file));
    let error = &settled.errors[0];
    assert!(
        error.contains("etcd's `key: value` is `key = \"value\"`"),
        "{error}"
    );
}

#[test]
fn variables_that_nobody_reads_are_warned_about() {
    let check = |variable, expected: &[&str]| {
        let warnings = of_environment(&[(variable, "x")]).config.warnings;
        assert_eq!(warnings, expected);
    };
    check(
        "RAFT_DATA_DRI",
        &["RAFT_DATA_DRI is set, but there is no such setting (did you mean `RAFT_DATA_DIR`?)"],
    );
    check(
        "RAFT_SKY",
        &["RAFT_SKY is set, but there is no such setting"],
    );
    check("RAFT_CONFIG_FILE", &[]);
    check("RAFT_ENDPOINTS", &[]);
    check("RAFT_SERVICE_HOST", &[]);
    check(
        "RAFT_KEY_FIEL",
        &["RAFT_KEY_FIEL is set, but there is no such setting (did you mean `RAFT_KEY_FILE`?)"],
    );
    check("RAFT_PORT_2379_TCP", &[]);
    check("ETCD_VERSION_THAT_A_SCRIPT_NEEDS", &[]);
    check("HOME", &[]);
}

#[test]
fn variables_are_named_after_flags() {
    let settled = of_environment(&[
        ("RAFT_MAX_TXN_OPS", "7"),
        ("ETCD_LISTEN_CLIENT_URLS", "http://h:1"),
        ("RAFT_DATA_DIR", ""),
        ("RAFT_BCRYPT_COST", "99"),
    ]);
    assert_eq!(settled.config.limits.txn_ops, 7);
    assert_eq!(settled.config.listen_client[0].to_string(), "http://h:1");
    assert_eq!(settled.config.data_dir.to_str(), Some("default.raft"));
    let expected = "RAFT_BCRYPT_COST: 99 is too large: at most 31";
    assert_eq!(settled.errors, [expected]);
}

#[test]
fn what_is_printed_is_a_file_that_comes_to_the_same() {
    let check = |flags: &[(&str, &str)]| {
        let one = with_flags(flags);
        assert_eq!(one.errors, Vec::<String>::new());
        let text = print(&one.merged);
        let file = Some((Path::new(PATH), text.as_str()));
        let other = settle(Merged::new(&Flags::new(), &Environment::new(), file));
        assert_eq!(other.errors, Vec::<String>::new(), "{text}");
        assert_eq!(other.config, one.config, "{text}");
    };
    check(&[]);
    check(&[
        ("name", "n1 \"quoted\" # \\"),
        ("initial-cluster-token", "l'un\nl'autre"),
        ("quota-backend-bytes", "-1"),
        ("heartbeat-interval", "50ms"),
        ("auto-compaction-retention", "1h30m"),
        ("log-level", "info,raft_core=debug"),
        ("log-format", "json"),
        ("founding-timeout", "90s"),
        ("replace-member", "t"),
    ]);
    check(&[
        ("name", "n1"),
        ("initial-cluster", "n1=https://h1:1,n2=https://h2:1"),
        ("listen-peer-urls", "https://0.0.0.0:1"),
        ("listen-client-urls", "https://h1:2, https://h1:3"),
        ("listen-metrics-urls", "http://h1:4"),
        ("cert-file", "c"),
        ("key-file", "k"),
        ("trusted-ca-file", "a"),
        ("peer-cert-file", "pc"),
        ("peer-key-file", "pk"),
        ("peer-trusted-ca-file", "pa"),
        ("auto-compaction-mode", "revision"),
        ("auto-compaction-retention", "1000"),
    ]);
    check(&[("discovery-srv", "example.org")]);
}

#[test]
fn what_is_printed_says_where_it_came_from() {
    let flags = map(&[("name", "n1"), ("engine", "memory")]);
    let environment = map(&[("RAFT_MAX_TXN_OPS", "7")]);
    let file = Some((Path::new(PATH), "max-watchers = 10"));
    let settled = settle(Merged::new(&flags, &environment, file));
    let text = print(&settled.merged);
    let check = |line: &str| {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    };
    check("name = \"n1\" # flag");
    check("max-txn-ops = 7 # environment RAFT_MAX_TXN_OPS");
    check("max-watchers = 10 # file /etc/raft.toml");
    check("max-key-bytes = 65536 # default");
    check("data-dir = \"n1.raft\" # default: <name>.raft");
    check("listen-client-urls = [\"http://localhost:2379\"] # default");
    check("# cert-file is not set");
    check("# Member");
}

#[test]
fn a_file_is_read_where_the_command_line_or_the_environment_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raft.toml");
    std::fs::write(
        &path,
        "name = 'n7'\nengine = 'memory'\nlog-level = 'debug'\n",
    )
    .unwrap();
    let path = path.to_str().unwrap();

    let args = ServerArgs::of_flags([]);
    let config = args.resolve_in(&map(&[("RAFT_CONFIG_FILE", path)]));
    assert_eq!(config.unwrap().name, "n7");
    let config = args.resolve_in(&map(&[("ETCD_CONFIG_FILE", path), ("ETCD_NAME", "n8")]));
    assert_eq!(config.unwrap().name, "n8");

    let gone = map(&[("RAFT_CONFIG_FILE", "/nowhere/raft.toml")]);
    let exit = args.resolve_in(&gone).unwrap_err();
    assert!(exit.to_string().contains("/nowhere/raft.toml"), "{exit}");
    assert_eq!(exit.code(), 3);
}

#[test]
fn one_error_is_a_line_and_several_are_a_list() {
    let error = |flags: &[(&'static str, &'static str)]| {
        let args = ServerArgs::of_flags(flags.iter().copied());
        args.resolve_in(&Environment::new())
            .unwrap_err()
            .to_string()
    };
    let engine = ("engine", "memory");
    assert_eq!(
        error(&[engine, ("bcrypt-cost", "3")]),
        "--bcrypt-cost: 3 is too small: at least 4"
    );
    assert_eq!(
        error(&[engine, ("bcrypt-cost", "3"), ("max-txn-ops", "0")]),
        "2 settings are wrong\n  --max-txn-ops: 0 is too small: at least 1\n  \
         --bcrypt-cost: 3 is too small: at least 4"
    );
}
