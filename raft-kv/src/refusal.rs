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
    /// There is no user `root`, who alone could let others in.
    #[error("etcdserver: root user does not exist")]
    RootUserNotFound,
    /// The user `root` may not do everything.
    #[error("etcdserver: root user does not have root role")]
    RootRoleNotGranted,
    /// There is such a user already.
    #[error("etcdserver: user name already exists")]
    UserExists,
    /// Nobody has said who asks; or nobody is to become a user.
    #[error("etcdserver: user name is empty")]
    UserEmpty,
    /// There is no such user.
    #[error("etcdserver: user name not found")]
    UserNotFound,
    /// There is such a role already.
    #[error("etcdserver: role name already exists")]
    RoleExists,
    /// There is no such role.
    #[error("etcdserver: role name not found")]
    RoleNotFound,
    /// A role needs a name.
    #[error("etcdserver: role name is empty")]
    RoleEmpty,
    /// Said at the door alone: there is no such user, or the password is another.
    #[error("etcdserver: authentication failed, invalid user ID or password")]
    AuthFailed,
    /// Said at the door alone: a role is to be given nothing.
    #[error("etcdserver: permission not given")]
    PermissionNotGiven,
    /// The user may not do that.
    #[error("etcdserver: permission denied")]
    PermissionDenied,
    /// The user does not have this role.
    #[error("etcdserver: role is not granted to the user")]
    RoleNotGranted,
    /// The role does not allow anything with just these keys.
    #[error("etcdserver: permission is not granted to the role")]
    PermissionNotGranted,
    /// Said at the door alone: nobody is asked who they are, so there is nothing to prove.
    #[error("etcdserver: authentication is not enabled")]
    AuthNotEnabled,
    /// Said at the door alone: what should prove who asks proves nothing.
    #[error("etcdserver: invalid auth token")]
    InvalidAuthToken,
    /// Nobody could let others in any more; or a permission on no keys.
    #[error("etcdserver: invalid auth management")]
    InvalidAuthManagement,
    /// Users or roles have changed since it was found to be allowed. It may be allowed still: find
    /// out anew who asks, and do it again.
    #[error("etcdserver: revision of auth store is old")]
    AuthRevisionOld,
}
