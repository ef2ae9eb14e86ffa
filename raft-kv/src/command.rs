//! What is replicated. It does not know what it does to the state: `model` does.

use raft_core::{Index, NodeId, Term};

use crate::auth::{AuthCommand, Guarded};
use crate::request::{DeleteRequest, PutRequest, TxnRequest};
use crate::types::{AlarmKind, LeaseId, Revision};

/// A command, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Gives a key a value.
    Put(PutRequest),
    /// Deletes keys.
    Delete(DeleteRequest),
    /// Compares, then does one thing or another.
    Txn(TxnRequest),
    /// The history before this revision is not needed any more.
    Compact(Revision),
    /// Grants a lease.
    Grant {
        /// Its name; [`LeaseId::NONE`] lets the store choose.
        id: LeaseId,
        /// How long it lives without being kept alive, in seconds.
        ttl_s: u64,
    },
    /// Ends a lease, and deletes what is attached to it.
    Revoke(LeaseId),
    /// The leader of this term found that these leases have expired. It does something in an entry
    /// of that term only, so a leader that was deposed while it slept expires nothing.
    Expire {
        /// The leader's.
        term: Term,
        /// It knew all that was granted up to this entry. Of a lease that was granted later, under
        /// the name of one that was revoked meanwhile, it knew nothing.
        known: Index,
        /// Which.
        ids: Vec<LeaseId>,
    },
    /// Something is wrong with a member.
    Raise(NodeId, AlarmKind),
    /// It is not any more.
    Clear(NodeId, AlarmKind),
    /// What a member says of itself.
    Announce(Announcement),
    /// A member is gone, and all that is known of it.
    Forget(NodeId),
    /// From now on commands of this version may be proposed.
    Upgrade(u8),
    /// What a member's state was at an index. Since version 2.
    Report(DigestReport),
    /// Changes users and roles. Since version 3.
    Auth(AuthCommand),
    /// What a user asks for, who was found to be allowed to. Since version 3.
    Guarded(Guarded),
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Who.
    pub member: NodeId,
    /// The latest version of commands that it knows.
    pub version: u8,
    /// How people call it.
    pub name: String,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
}

/// What a member's state was at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestReport {
    /// Who.
    pub member: NodeId,
    /// After which entry.
    pub index: Index,
    /// The digest of the state then.
    pub digest: u64,
    /// So many members are a majority, as far as it knows.
    pub majority: u16,
}
