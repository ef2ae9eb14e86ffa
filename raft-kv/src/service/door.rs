//! What is refused before it is proposed, so that it costs the cluster nothing. The machine checks
//! what it must once more: it takes nobody's word for it.
//!
//! Limits are a member's own. This file does not know the state; so what is let in may be refused.

use crate::codec::TXN_DEPTH_MAX;
use crate::command::Command;
use crate::keys::Keys;
use crate::model;
use crate::refusal::Refusal;
use crate::request::{Op, RangeRequest, TxnRequest};

use super::KvError;

/// How much one request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many parts may a branch of a transaction have, and so many compares; what lies within may
    /// have as many as are left.
    pub txn_ops_max: usize,
    /// So long may it be, encoded. The node has a limit of its own, as high by default.
    pub request_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            txn_ops_max: 128,
            request_bytes_max: 1536 << 10,
        }
    }
}

/// Whether a command may be proposed.
///
/// # Errors
/// When no state would let it happen.
pub fn check(command: &Command, limits: &Limits) -> Result<(), Refusal> {
    match command {
        Command::Put(put) if put.key.is_empty() => Err(Refusal::EmptyKey),
        Command::Delete(delete) => check_keys(&delete.keys),
        Command::Txn(txn) => check_txn(txn, limits),
        Command::Guarded(guarded) => check(&guarded.command, limits),
        Command::Grant { ttl_s, .. } if *ttl_s > model::LEASE_TTL_S_MAX => {
            Err(Refusal::LeaseTtlTooLarge)
        }
        Command::Put(_)
        | Command::Compact(_)
        | Command::Grant { .. }
        | Command::Revoke(_)
        | Command::Expire { .. }
        | Command::Raise(..)
        | Command::Clear(..)
        | Command::Announce(_)
        | Command::Forget(_)
        | Command::Upgrade(_)
        | Command::Report(_)
        | Command::Auth(_) => Ok(()),
    }
}

/// Whether a range may be asked for.
///
/// # Errors
/// When no state has an answer.
pub fn check_range(request: &RangeRequest) -> Result<(), Refusal> {
    check_keys(&request.keys)
}

/// Whether a transaction may be proposed, or asked.
///
/// # Errors
/// When no state would let it happen.
pub fn check_txn(txn: &TxnRequest, limits: &Limits) -> Result<(), Refusal> {
    check_ops(txn, limits.txn_ops_max, TXN_DEPTH_MAX)?;
    model::check_txn(txn)
}

/// Whether a command of this length may be proposed.
///
/// # Errors
/// When it is too long.
pub fn check_length(bytes: usize, limits: &Limits) -> Result<(), KvError> {
    let bytes_max = limits.request_bytes_max;
    if bytes > bytes_max {
        return Err(KvError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

fn check_keys(keys: &Keys) -> Result<(), Refusal> {
    match keys {
        Keys::One(key) if key.is_empty() => Err(Refusal::EmptyKey),
        Keys::One(_) | Keys::In(_) => Ok(()),
    }
}

/// As etcd counts: the longest of a transaction's lists counts, and is taken off what those within
/// may have. On top of that, there is a limit to how deep they lie.
fn check_ops(txn: &TxnRequest, ops_max: usize, depth_max: usize) -> Result<(), Refusal> {
    let branches = txn.success.len().max(txn.failure.len());
    let count = branches.max(txn.compares.len());
    if count > ops_max || depth_max == 0 {
        return Err(Refusal::TooManyOps);
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Txn(inner) => check_ops(inner, ops_max - count, depth_max - 1)?,
            Op::Range(_) | Op::Put(_) | Op::Delete(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
