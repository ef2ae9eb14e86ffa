//! What clients are told when something is refused: etcd's codes and texts, which they match on.
//!
//! A request whose outcome is unknown says so by "request timed out": clients do not send it again
//! by themselves.

use raft_core::driver::{ChangeRefused, ReadError, WriteError};
use raft_core::membership::ChangeError;
use raft_core::port::PortError;
use raft_kv::{KvError, LeaseError, Refusal};
use tonic::{Code, Status};

pub(crate) const NO_LEADER: &str = "etcdserver: no leader";
pub(crate) const TIMED_OUT: &str = "etcdserver: request timed out";
const TOO_MANY: &str = "etcdserver: too many requests";
const STOPPED: &str = "etcdserver: server stopped";

/// Why the store has no answer.
pub(crate) fn status(error: &KvError) -> Status {
    match error {
        KvError::Refused(refusal) => refused(*refusal),
        KvError::TooLarge { .. } => Status::invalid_argument("etcdserver: request is too large"),
        KvError::NotDone(error) | KvError::Unknown(error) => write(error),
        KvError::NotConfirmed(error) => read(error),
        KvError::OtherCommand => Status::failed_precondition(error.to_string()),
        KvError::NotRead(error) => broken(error),
    }
}

/// What the state refuses.
pub(crate) fn refused(refusal: Refusal) -> Status {
    let code = match refusal {
        Refusal::Compacted { .. } | Refusal::FutureRevision { .. } | Refusal::LeaseTtlTooLarge => {
            Code::OutOfRange
        }
        Refusal::EmptyKey
        | Refusal::KeyNotFound
        | Refusal::DuplicateKey
        | Refusal::TooManyOps
        | Refusal::VersionTooLow
        | Refusal::UserEmpty
        | Refusal::RoleEmpty
        | Refusal::AuthFailed
        | Refusal::PermissionNotGiven
        | Refusal::InvalidAuthManagement
        | Refusal::AuthRevisionOld => Code::InvalidArgument,
        Refusal::PermissionDenied => Code::PermissionDenied,
        Refusal::InvalidAuthToken => Code::Unauthenticated,
        Refusal::LeaseNotFound => Code::NotFound,
        Refusal::LeaseExists
        | Refusal::Unsupported
        | Refusal::RootUserNotFound
        | Refusal::RootRoleNotGranted
        | Refusal::UserExists
        | Refusal::UserNotFound
        | Refusal::RoleExists
        | Refusal::RoleNotFound
        | Refusal::RoleNotGranted
        | Refusal::PermissionNotGranted
        | Refusal::AuthNotEnabled => Code::FailedPrecondition,
        Refusal::TooManyLeases | Refusal::NoSpace => Code::ResourceExhausted,
    };
    Status::new(code, refusal.to_string())
}

fn write(error: &WriteError) -> Status {
    match error {
        WriteError::NotLeader { .. } => Status::unavailable(NO_LEADER),
        WriteError::Overloaded => Status::resource_exhausted(TOO_MANY),
        WriteError::TooLarge { .. } => Status::invalid_argument("etcdserver: request is too large"),
        WriteError::Stopped => Status::unavailable(STOPPED),
        WriteError::Unknown => Status::unavailable(TIMED_OUT),
        WriteError::NoSessions
        | WriteError::SessionExpired
        | WriteError::Superseded
        | WriteError::Forgotten => Status::failed_precondition(error.to_string()),
    }
}

/// Why nobody has confirmed a read.
pub(crate) fn read(error: &ReadError) -> Status {
    match error {
        ReadError::NoLeader { hint: None } => Status::unavailable(NO_LEADER),
        ReadError::NoLeader { hint: Some(_) } => Status::unavailable(TIMED_OUT),
        ReadError::Overloaded => Status::resource_exhausted(TOO_MANY),
        ReadError::Stopped => Status::unavailable(STOPPED),
    }
}

/// Why rows were not read.
pub(crate) fn broken(error: &PortError) -> Status {
    Status::internal(format!("the store can't be read: {error}"))
}

/// Why nothing is said of a lease.
pub(crate) fn lease(error: &LeaseError) -> Status {
    match error {
        LeaseError::NotLeader { .. } => Status::unavailable(NO_LEADER),
        LeaseError::NotReady => Status::unavailable("etcdserver: leader changed"),
        LeaseError::NotFound => Status::not_found("etcdserver: requested lease not found"),
        LeaseError::Overloaded => Status::resource_exhausted(TOO_MANY),
        LeaseError::Stopped => Status::unavailable(STOPPED),
    }
}

/// Why a change of members, or of the leader, has not come about.
pub(crate) fn change(error: &ChangeRefused) -> Status {
    match error {
        ChangeRefused::NotLeader { .. } => Status::unavailable(NO_LEADER),
        ChangeRefused::Impossible(error) => impossible(*error),
        ChangeRefused::BadAddress(_) => {
            Status::invalid_argument("etcdserver: given member URLs are invalid")
        }
        ChangeRefused::Aborted => Status::aborted(error.to_string()),
        ChangeRefused::Transferring => Status::unavailable("etcdserver: leader changed"),
        ChangeRefused::BadTarget => {
            Status::failed_precondition("etcdserver: bad leader transferee")
        }
        ChangeRefused::TimedOut | ChangeRefused::Unknown => Status::unavailable(TIMED_OUT),
        ChangeRefused::Overloaded => Status::resource_exhausted(TOO_MANY),
        ChangeRefused::Stopped => Status::unavailable(STOPPED),
    }
}

fn impossible(error: ChangeError) -> Status {
    match error {
        ChangeError::NotAMember(_) => Status::not_found("etcdserver: member not found"),
        ChangeError::NoVoterLeft => Status::failed_precondition(
            "etcdserver: re-configuration failed due to not enough started members",
        ),
        ChangeError::NamedTwice(_)
        | ChangeError::Nothing
        | ChangeError::NotBasedOn(_)
        | ChangeError::OtherLife(_)
        | ChangeError::InProgress => Status::failed_precondition(format!("etcdserver: {error}")),
    }
}
