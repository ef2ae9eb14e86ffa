//! The verbs that speak to any etcd v3 endpoint. They know nothing of the server's insides.

mod about;
mod arguments;
mod auth;
pub(crate) mod caller;
pub(crate) mod channel;
pub(crate) mod connect;
mod context;
mod discover;
pub(crate) mod duration;
mod elect;
pub(crate) mod endpoint;
mod endpoints;
mod kv;
mod lease;
mod lock;
mod member;
mod mirror;
pub(crate) mod output;
mod queue;
mod range;
mod role;
mod secret;
pub(crate) mod services;
mod snapshot;
mod tls;
mod txn;
mod watch;
mod watcher;
mod words;

pub(crate) use arguments::arranged;
use clap::Subcommand;
use context::With;

use crate::exit::Exit;

/// etcdctl's verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientVerb {
    /// Store a value under a key
    Put(Box<With<kv::PutArgs>>),
    /// Print the values of keys
    Get(Box<With<kv::GetArgs>>),
    /// Remove keys
    Del(Box<With<kv::DelArgs>>),
    /// Do several things at once, if what is compared holds
    ///
    /// Reads three lists from standard input, one entry a line, each ended by an empty line: what
    /// to compare, what to do if all of that holds, and what to do if not.
    ///
    ///   mod("key1") > "0"
    ///
    ///   put key1 "overwrote key1"
    ///
    ///   put key1 "created key1"
    ///   del key2
    ///
    /// Compares `value`, `create`, `mod`, `version` or `lease` by `=`, `!=`, `<` or `>`; does
    /// `get`, `put` and `del`, with their flags.
    #[command(verbatim_doc_comment)]
    Txn(Box<With<txn::TxnArgs>>),
    /// Print what happens to keys
    Watch(Box<With<watch::WatchArgs>>),
    /// Forget what was before a revision
    #[command(visible_alias = "compact")]
    Compaction(Box<With<kv::CompactionArgs>>),
    /// Give keys a time to live
    Lease(Box<With<lease::LeaseArgs>>),
    /// Say who belongs to the cluster
    Member(Box<With<member::MemberArgs>>),
    /// Look at single servers
    Endpoint(Box<With<endpoints::EndpointArgs>>),
    /// Have another member lead
    MoveLeader(Box<With<endpoints::MoveLeaderArgs>>),
    /// What is wrong with the cluster
    Alarm(Box<With<endpoints::AlarmArgs>>),
    /// Give space back to the file system
    Defrag(Box<With<endpoints::DefragArgs>>),
    /// Have everybody say who they are
    Auth(Box<With<auth::AuthArgs>>),
    /// Say who may ask
    User(Box<With<auth::UserArgs>>),
    /// Say what users may do
    Role(Box<With<role::RoleArgs>>),
    /// Back up a member's state
    Snapshot(Box<With<snapshot::SnapshotArgs>>),
    /// Copy keys to another cluster, and all that happens to them
    MakeMirror(Box<With<mirror::MirrorArgs>>),
    /// Take a lock, and hold it while a command runs or until interrupted
    Lock(Box<With<lock::LockArgs>>),
    /// Stand for an election, or observe one
    Elect(Box<With<elect::ElectArgs>>),
    /// Print which version this is
    Version,
    /// Print what a shell needs to complete verbs and flags
    Completion(about::CompletionArgs),
}

/// Does what a verb says.
pub(crate) fn run(verb: ClientVerb) -> Result<(), Exit> {
    match verb {
        ClientVerb::Put(with) => with.run(),
        ClientVerb::Get(with) => with.run(),
        ClientVerb::Del(with) => with.run(),
        ClientVerb::Txn(with) => with.run(),
        ClientVerb::Watch(with) => with.run(),
        ClientVerb::Compaction(with) => with.run(),
        ClientVerb::Lease(with) => with.run(),
        ClientVerb::Member(with) => with.run(),
        ClientVerb::Endpoint(with) => with.run(),
        ClientVerb::MoveLeader(with) => with.run(),
        ClientVerb::Alarm(with) => with.run(),
        ClientVerb::Defrag(with) => with.run(),
        ClientVerb::Auth(with) => with.run(),
        ClientVerb::User(with) => with.run(),
        ClientVerb::Role(with) => with.run(),
        ClientVerb::Snapshot(with) => with.run(),
        ClientVerb::MakeMirror(with) => with.run(),
        ClientVerb::Lock(with) => with.run(),
        ClientVerb::Elect(with) => with.run(),
        ClientVerb::Version => about::version(),
        ClientVerb::Completion(args) => args.run(),
    }
}
