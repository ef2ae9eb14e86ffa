//! Which settings there are: a row for each, in the order of `--help`. Flags, environment, files,
//! defaults and `--print-config` all go by this table, so none of them can know of a setting that
//! another does not. It does not know what the values mean together.

/// A setting. Its name is that of its flag and of its key in a file.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) kind: Kind,
    pub(super) fallback: Fallback,
    pub(super) help: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// A file or a directory.
    Path,
    /// Yes or no.
    Switch,
    /// An integer, within these bounds.
    Number(i64, i64),
    /// Milliseconds; or a duration with its unit.
    Millis,
    /// A duration with its unit, as `1h30m`.
    Duration,
    /// How much history is kept: what it looks like depends on the mode.
    Retention,
    /// Parts with commas between them.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// What holds if nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// This value.
    Is(&'static str),
    /// What follows from other settings; here in words.
    FollowsFrom(&'static str),
    /// It is not set.
    Unset,
}

/// What settings are about; a heading of `--help` and of `--print-config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Member,
    Cluster,
    Store,
    Limits,
    ClientTls,
    PeerTls,
    Auth,
    Log,
}

impl Group {
    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Cluster => "Cluster",
            Self::Store => "Consensus and store",
            Self::Limits => "Limits, each refused with an error of its own",
            Self::ClientTls => "TLS with clients, metrics too (read again at SIGHUP)",
            Self::PeerTls => "TLS between members (read again at SIGHUP)",
            Self::Auth => "Users",
            Self::Log => "Log of the process, and metrics",
        }
    }
}

/// The row of a name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn row(
    name: &'static str,
    group: Group,
    kind: Kind,
    fallback: Fallback,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        group,
        kind,
        fallback,
        help,
    }
}

use Fallback::{FollowsFrom, Is, Unset};
use Group::{Auth, ClientTls, Cluster, Limits, Log, Member, PeerTls, Store};
use Kind::{Choice, Duration, List, Millis, Number, Path, Retention, Switch, Text};

/// The engine that is there in any case.
const ENGINE_DEFAULT: &str = if cfg!(feature = "rocksdb") {
    "rocksdb"
} else {
    "memory"
};
/// Counts and sizes go up to here: what `usize` and TOML both can hold.
const MUCH: i64 = i64::MAX;

/// All of them.
pub(super) const SETTINGS: &[Setting] = &[
    row(
        "name",
        Member,
        Text,
        Is("default"),
        "How people call this member",
    ),
    row(
        "data-dir",
        Member,
        Path,
        FollowsFrom("<name>.raft"),
        "Where it keeps all it has: its log, its snapshots, its store",
    ),
    row(
        "listen-client-urls",
        Member,
        List,
        Is("http://localhost:2379"),
        "Where it listens for clients: gRPC and HTTP on one port",
    ),
    row(
        "advertise-client-urls",
        Member,
        List,
        FollowsFrom("where it listens"),
        "Where clients are told to reach it",
    ),
    row(
        "listen-peer-urls",
        Member,
        Text,
        Is("http://localhost:2380"),
        "Where it listens for the other members; one URL",
    ),
    row(
        "initial-advertise-peer-urls",
        Member,
        Text,
        FollowsFrom("its URL in the initial cluster, or where it listens"),
        "Where the other members reach it; one URL. Its id follows from this \
         and the token",
    ),
    row(
        "listen-metrics-urls",
        Member,
        List,
        Unset,
        "Where /metrics and /health are served as well",
    ),
    row(
        "initial-cluster",
        Cluster,
        List,
        FollowsFrom("itself alone"),
        "The founders, itself among them, as name=url,name=url: the same list \
         at each of them",
    ),
    row(
        "initial-cluster-state",
        Cluster,
        Choice(&["new", "existing"]),
        Is("new"),
        "Whether to found a cluster, or to join one. Of no concern to a member \
         that has its data",
    ),
    row(
        "initial-cluster-token",
        Cluster,
        Text,
        Is("etcd-cluster"),
        "What the ids follow from: clusters of different tokens never mix",
    ),
    row(
        "discovery-srv",
        Cluster,
        Text,
        Unset,
        "A domain whose DNS SRV records name the founders, instead of a list",
    ),
    row(
        "founding-timeout",
        Cluster,
        Duration,
        Is("10m"),
        "How long a new member looks for the others",
    ),
    row(
        "replace-member",
        Cluster,
        Switch,
        Is("false"),
        "Take the place of the member of this id, whose disk was lost",
    ),
    row(
        "heartbeat-interval",
        Store,
        Millis,
        Is("100"),
        "How often a leader is heard of, in milliseconds",
    ),
    row(
        "election-timeout",
        Store,
        Millis,
        Is("1000"),
        "After how many milliseconds without a leader there is an election",
    ),
    row(
        "snapshot-count",
        Store,
        Number(0, MUCH),
        Is("100000"),
        "After how many entries there is a snapshot; 0 is the default",
    ),
    row(
        "quota-backend-bytes",
        Store,
        Number(i64::MIN, MUCH),
        Is("0"),
        "How large the store may grow, in bytes; 0 is 2 GiB, less is no limit",
    ),
    row(
        "auto-compaction-mode",
        Store,
        Choice(&["periodic", "revision"]),
        Is("periodic"),
        "What the retention counts: time, or revisions",
    ),
    row(
        "auto-compaction-retention",
        Store,
        Retention,
        Is("0"),
        "How much history is kept: a duration (or hours, without a unit), or \
         so many revisions; 0 keeps all",
    ),
    row(
        "engine",
        Store,
        Choice(&["rocksdb", "memory"]),
        Is(ENGINE_DEFAULT),
        "What the store lies on. In memory it is saved by the log and by \
         snapshots",
    ),
    row(
        "advertised-version",
        Store,
        Text,
        Is("3.6.0"),
        "The version of etcd that clients are told: they choose by it what \
         they ask for",
    ),
    row(
        "max-request-bytes",
        Limits,
        Number(1, MUCH),
        Is("1572864"),
        "The longest request, in bytes",
    ),
    row(
        "max-txn-ops",
        Limits,
        Number(1, MUCH),
        Is("128"),
        "Operations of a transaction",
    ),
    row(
        "max-key-bytes",
        Limits,
        Number(1, MUCH),
        Is("65536"),
        "The longest key, in bytes",
    ),
    row(
        "max-range-bytes",
        Limits,
        Number(1, MUCH),
        Is("67108864"),
        "The longest answer to a range, in bytes",
    ),
    row(
        "max-concurrent-requests",
        Limits,
        Number(1, MUCH),
        Is("16384"),
        "Requests at one time, in all",
    ),
    row(
        "max-concurrent-requests-per-client",
        Limits,
        Number(1, MUCH),
        Is("8192"),
        "Requests at one time of one client, by its address",
    ),
    row(
        "max-request-bytes-in-flight",
        Limits,
        Number(1, MUCH),
        Is("268435456"),
        "Bytes of requests at one time, in all",
    ),
    row(
        "max-request-bytes-in-flight-per-client",
        Limits,
        Number(1, MUCH),
        Is("134217728"),
        "Bytes of requests at one time of one client",
    ),
    row(
        "max-watchers",
        Limits,
        Number(1, MUCH),
        Is("1000000"),
        "Watchers, in all",
    ),
    row(
        "max-connections",
        Limits,
        Number(1, MUCH),
        Is("50000"),
        "Connections of clients",
    ),
    row(
        "cert-file",
        ClientTls,
        Path,
        Unset,
        "The certificate shown to clients, with what leads to its authority",
    ),
    row("key-file", ClientTls, Path, Unset, "The private key to it"),
    row(
        "client-cert-auth",
        ClientTls,
        Switch,
        Is("false"),
        "Whether clients must have certificates",
    ),
    row(
        "trusted-ca-file",
        ClientTls,
        Path,
        Unset,
        "Who signs the certificates of clients. If it is given, they must have \
         one, as with etcd",
    ),
    row(
        "peer-cert-file",
        PeerTls,
        Path,
        Unset,
        "The certificate shown to members, with what leads to its authority",
    ),
    row(
        "peer-key-file",
        PeerTls,
        Path,
        Unset,
        "The private key to it",
    ),
    row(
        "peer-trusted-ca-file",
        PeerTls,
        Path,
        Unset,
        "Who signs the certificates of members",
    ),
    row(
        "peer-client-cert-auth",
        PeerTls,
        Switch,
        FollowsFrom("as soon as there is TLS"),
        "Whether members must have certificates: with TLS they always must",
    ),
    row(
        "auth-token-ttl",
        Auth,
        Number(1, MUCH),
        Is("300"),
        "Seconds that a token lives without being used",
    ),
    row(
        "bcrypt-cost",
        Auth,
        Number(4, 31),
        Is("10"),
        "How much work it is to check a password: one more is twice the work",
    ),
    row(
        "log-level",
        Log,
        Text,
        Is("info"),
        "debug, info, warn or error; or directives, as `info,raft_core=debug`. \
         Read again at SIGHUP",
    ),
    row(
        "log-format",
        Log,
        Choice(&["text", "json", "console"]),
        Is("text"),
        "Lines for people, or a JSON object a line. `console` is text",
    ),
];
