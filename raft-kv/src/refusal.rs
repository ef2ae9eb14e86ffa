//! Why a request is refused: by the state, the same on all members, and without any effect.
//!
//! The texts are etcd's, because clients match on them. It does not know how they travel.

use crate::types::Revision;

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The history up to then is gone.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The earliest that is still there.
        compacted: Revision,
    },
    /// There is no such revision yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision {
        /// The latest there is.
        revision: Revision,
    },
    /// A key is empty.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// A put wants to keep what is not there.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A transaction puts a key twice, or puts what it deletes.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// A transaction has too many parts.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// There is no such lease.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// There is such a lease already.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// Nobody waits that long.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// There are as many leases as there may be.
    #[error("etcdserver: too many leases")]
    TooManyLeases,
    /// The quota is used up; what takes room is refused until it is not.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// Not all members know this command yet.
    #[error("etcdserver: the cluster's version is too low for this request")]
    Unsupported,
    /// The version of the cluster never sinks.
    #[error("etcdserver: invalid downgrade target version")]
    VersionTooLow,
}
