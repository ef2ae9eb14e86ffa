//! What commands do to the state, and what can be read of it: etcd's data model as functions over
//! rows.
//!
//! Nothing here has I/O, a clock or a lock. Reading needs a [`View`](crate::engine::View); writing,
//! an [`Overlay`]. An error of a view ends everything; a [`Refusal`](crate::Refusal) is an answer,
//! and whatever is refused has changed nothing: all checks come before the first change.

mod auth;
mod catalog;
mod check;
mod compare;
mod digest;
mod execution;
mod hash;
mod leases;
mod overlay;
mod range;
mod reports;
mod sweep;
mod txn;
mod write;

pub use auth::is_checked_too_early;
pub use catalog::Catalog;
pub use check::check_txn;
pub(crate) use digest::of_row as digest_of;
pub use execution::{Execution, LeaseChange};
pub use hash::{HashKv, hash_kv};
pub use leases::{LEASE_TTL_S_MAX, LeaseView, lease_view, leases};
pub use overlay::Overlay;
pub use range::{check_revision, range, range_within};
pub use sweep::{SweepPage, sweep};

use raft_core::port::PortError;

/// What was read is not what was written.
fn damaged(what: &str, key: &[u8]) -> PortError {
    PortError::damaged(format!("{what} under {}", key.escape_ascii()))
}
