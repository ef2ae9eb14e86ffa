//! What a server goes by: etcd's flags, the environment, a TOML file, and the defaults, in this
//! order. The rest of the server sees only the [`ServerConfig`] that comes of them.

mod args;
mod build;
mod check;
mod duration;
mod etcd_only;
mod file;
mod follow;
mod help;
mod merged;
mod nearest;
mod print;
mod reader;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use raft_kv::AutoCompactionMode;

pub use args::ServerArgs;
pub(crate) use args::Task;
pub use url::Url;

/// What a server goes by, checked and complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// How people call the member.
    pub name: String,
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// Where it listens for clients.
    pub listen_client: Vec<Url>,
    /// Where clients are told to reach it.
    pub advertise_client: Vec<Url>,
    /// Where it listens for the other members.
    pub listen_peer: Url,
    /// Where the others reach it: its id follows from this and the token.
    pub advertise_peer: Url,
    /// Where metrics and health are served as well.
    pub listen_metrics: Vec<Url>,
    /// How it comes to its cluster.
    pub cluster: ClusterConfig,
    /// How often a leader is heard of.
    pub heartbeat_interval: Duration,
    /// After how long without a leader there is an election.
    pub election_timeout: Duration,
    /// A snapshot is taken after so many entries.
    pub snapshot_count: u64,
    /// So many bytes may the store take.
    pub quota_bytes: u64,
    /// Which history goes by itself.
    pub auto_compaction: AutoCompactionMode,
    /// What is refused at the door.
    pub limits: Limits,
    /// Certificates for clients; without them nothing is encrypted.
    pub client_tls: Option<TlsFiles>,
    /// Certificates for members.
    pub peer_tls: Option<TlsFiles>,
    /// Users and their tokens.
    pub auth: AuthConfig,
    /// What is written to the log of the process.
    pub log: LogConfig,
    /// What `Status.version` says: the version of etcd whose interface this is.
    pub advertised_version: String,
    /// What the store lies on.
    pub engine: EngineName,
    /// What its operator should know, once there is a log to write it to: settings that are
    /// ignored, and what happens instead.
    pub warnings: Vec<String>,
}

/// How a new member comes to its cluster. Of no concern to one that has a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// All founders, itself among them, by name and peer URL.
    pub initial: Vec<(String, Url)>,
    /// Whether there is a cluster already.
    pub is_existing: bool,
    /// What the cluster's id follows from: the same at all members.
    pub token: String,
    /// A domain whose SRV records name the members.
    pub discovery_srv: Option<String>,
    /// Whether this member takes the place of one of the same id whose disk was lost.
    pub replace: bool,
    /// How long to look for the others.
    pub patience: Duration,
}

/// What is refused at the door, each with an error of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest request.
    pub request_bytes: usize,
    /// Parts of a transaction.
    pub txn_ops: usize,
    /// The longest key.
    pub key_bytes: usize,
    /// The most that one answer to a range may be.
    pub range_bytes: usize,
    /// Requests at one time, in all.
    pub requests: usize,
    /// Requests at one time of one client, by address.
    pub requests_per_client: usize,
    /// Bytes of requests at one time, in all.
    pub request_bytes_in_flight: usize,
    /// Bytes of requests at one time of one client.
    pub request_bytes_in_flight_per_client: usize,
    /// Watchers.
    pub watchers: usize,
    /// Connections of clients.
    pub connections: usize,
}

/// Files of certificates, read again at SIGHUP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its own certificate, with what leads to the authority.
    pub certificate: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// Who signs the certificates of the other end.
    pub authority: Option<PathBuf>,
    /// Whether the other end must have one.
    pub wants_certificate: bool,
}

/// Users and their tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// How long a token lives without being used.
    pub token_ttl: Duration,
    /// How much work a password is to check.
    pub bcrypt_cost: u32,
}

/// What is written to the log of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A level, or directives as `raft_core=debug,info`.
    pub level: String,
    /// One JSON object a line, instead of text.
    pub is_json: bool,
}

/// What the store lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineName {
    /// RocksDB.
    Rocksdb,
    /// Memory, with snapshots on disk.
    Memory,
}

impl EngineName {
    /// What is taken if nothing is said.
    pub const BUILT_IN: Self = if cfg!(feature = "rocksdb") {
        Self::Rocksdb
    } else {
        Self::Memory
    };
}
