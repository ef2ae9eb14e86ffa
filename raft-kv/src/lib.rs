//! A replicated key-value store: the multi-version state machine that users get for free.
//!
//! [`engine`] keeps rows; all else is the data model of etcd upon rows, as plain functions.
//! This crate deliberately knows nothing of the log's disk format, nor of the network.

#![forbid(unsafe_code)]

pub mod auth;
pub mod auto_compaction;
pub mod backup;
pub mod codec;
pub mod command;
pub mod engine;
pub mod keeper;
pub mod keys;
pub mod lease_feed;
pub mod lessor;
pub mod machine;
pub mod model;
pub mod quota;
pub mod refusal;
pub mod request;
pub mod response;
pub mod rows;
pub mod service;
pub mod store;
pub mod types;
pub mod watch;

pub use auth::{Auth, AuthCommand};
pub use auto_compaction::{AutoCompaction, AutoCompactionMode};
pub use command::Command;
pub use keeper::{Keeper, KeeperConfig, LeaseError};
pub use keys::Keys;
pub use lease_feed::{LeaseFeed, LeaseNews};
pub use lessor::Lessor;
pub use machine::{Machine, MachineConfig};
pub use quota::Quota;
pub use refusal::Refusal;
pub use response::{Answer, Response};
pub use service::{Kv, KvError};
pub use store::Store;
pub use types::{AlarmKind, Event, EventKind, KeyValue, LeaseId, Revision};
