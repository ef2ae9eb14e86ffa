//! Whether the conditions of a transaction hold. It changes nothing.

use std::cmp::Ordering;

use bytes::Bytes;
use raft_core::port::PortError;

use super::damaged;
use crate::engine::{Direction, Family, View};
use crate::keys::Keys;
use crate::request::{Compare, CompareTarget, Op, Operator, TxnRequest};
use crate::rows::Record;

/// The outcome of each transaction in another: its own first, then those of the transactions in
/// both of its branches, in their order.
///
/// All are found before anything is changed, so what a transaction does never decides about the
/// ones within it.
pub(super) fn outcomes(
    view: &dyn View,
    txn: &TxnRequest,
    outcomes: &mut Vec<bool>,
) -> Result<(), PortError> {
    let mut succeeds = true;
    for compare in &txn.compares {
        succeeds = succeeds && holds(view, compare)?;
    }
    outcomes.push(succeeds);
    for op in txn.success.iter().chain(&txn.failure) {
        if let Op::Txn(inner) = op {
            self::outcomes(view, inner, outcomes)?;
        }
    }
    Ok(())
}

fn holds(view: &dyn View, compare: &Compare) -> Result<bool, PortError> {
    match &compare.keys {
        Keys::One(key) => match view.get(Family::Keys, key)? {
            Some(row) => holds_for(key, row, compare),
            None => Ok(holds_for_nothing(compare)),
        },
        Keys::In(span) => {
            let mut cursor = view.scan(Family::Keys, span, Direction::Ascending)?;
            if cursor.row().is_none() {
                return Ok(holds_for_nothing(compare));
            }
            while let Some((key, row)) = cursor.to_owned() {
                if !holds_for(&key, row, compare)? {
                    return Ok(false);
                }
                cursor.advance()?;
            }
            Ok(true)
        }
    }
}

/// A key that was never there has numbers, all 0, but no value to compare.
fn holds_for_nothing(compare: &Compare) -> bool {
    match &compare.target {
        CompareTarget::Value(_) => false,
        CompareTarget::Version(given)
        | CompareTarget::Create(given)
        | CompareTarget::Mod(given)
        | CompareTarget::Lease(given) => is_met(compare.operator, 0.cmp(given)),
    }
}

fn holds_for(key: &[u8], row: Bytes, compare: &Compare) -> Result<bool, PortError> {
    let record = Record::decode(row).ok_or_else(|| damaged("no record", key))?;
    // A number that is there fits, as far as revisions will ever go.
    let number = |there: u64, given: i64| i128::from(there).cmp(&i128::from(given));
    let order = match &compare.target {
        CompareTarget::Version(given) => number(record.version, *given),
        CompareTarget::Create(given) => number(record.create.0, *given),
        CompareTarget::Mod(given) => number(record.modified.0, *given),
        CompareTarget::Lease(given) => record.lease.0.cmp(given),
        CompareTarget::Value(given) => record.value.cmp(given),
    };
    Ok(is_met(compare.operator, order))
}

const fn is_met(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::Less => order.is_lt(),
    }
}
