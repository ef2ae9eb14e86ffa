//! Which records a batch of commands will ask for, so that they are read all at once.

use bytes::Bytes;
use raft_core::port::PortError;

use super::Planned;
use crate::command::Command;
use crate::keys::Keys;
use crate::model::Overlay;
use crate::request::{Op, TxnRequest};

/// For fewer it is not worth while.
const KEYS_MIN: usize = 4;

/// Reads the records of all keys that the batch names.
pub(super) fn present_records(
    overlay: &mut Overlay<'_>,
    plan: &[Planned],
) -> Result<(), PortError> {
    let mut keys = Vec::with_capacity(plan.len());
    for planned in plan {
        let Planned::Execute(_, command) = planned else {
            continue;
        };
        match command.bare() {
            Command::Put(put) => keys.push(put.key.clone()),
            Command::Delete(delete) => one(&delete.keys, &mut keys),
            Command::Txn(txn) => named(txn, &mut keys),
            Command::Compact(_)
            | Command::Grant { .. }
            | Command::Revoke(_)
            | Command::Expire { .. }
            | Command::Raise(..)
            | Command::Clear(..)
            | Command::Announce(_)
            | Command::Forget(_)
            | Command::Upgrade(_)
            | Command::Report(_)
            | Command::Auth(_)
            | Command::Guarded(_) => {}
        }
    }
    if keys.len() < KEYS_MIN {
        return Ok(());
    }
    overlay.fetch(keys)
}

fn named(txn: &TxnRequest, keys: &mut Vec<Bytes>) {
    for compare in &txn.compares {
        one(&compare.keys, keys);
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Range(range) => one(&range.keys, keys),
            Op::Put(put) => keys.push(put.key.clone()),
            Op::Delete(delete) => one(&delete.keys, keys),
            Op::Txn(inner) => named(inner, keys),
        }
    }
}

fn one(of: &Keys, keys: &mut Vec<Bytes>) {
    if let Keys::One(key) = of {
        keys.push(key.clone());
    }
}
