//! Transactions: first all compares, then all checks of the branches taken, then the changes.

use raft_core::port::PortError;

use super::compare;
use super::execution::Execution;
use super::range::{check_range, range};
use super::write::Place;
use crate::refusal::Refusal;
use crate::request::{Op, RangeRequest, TxnRequest};
use crate::response::{RangeResponse, Response, TxnResponse};
use crate::rows::State;

/// The outcomes of a transaction and those within it, in the order of [`compare::outcomes`].
type Outcomes = std::vec::IntoIter<bool>;

impl Execution<'_, '_> {
    /// Carries out a transaction that is well-formed.
    pub(super) fn txn(&mut self, txn: &TxnRequest) -> Result<Result<Response, Refusal>, PortError> {
        let mut outcomes = Vec::new();
        compare::outcomes(&*self.rows, txn, &mut outcomes)?;
        let checked = self.check_branch(txn, true, &mut outcomes.clone().into_iter())?;
        if let Err(refusal) = checked {
            return Ok(Err(refusal));
        }
        let mut place = Place::after(self.state.revision);
        let response = self.branch(txn, true, &mut outcomes.into_iter(), &mut place)?;
        self.finish(&place);
        Ok(Ok(Response::Txn(response)))
    }

    /// What this state has against the branch taken. Of a transaction that is not carried out
    /// itself, only the outcomes are passed over.
    fn check_branch(
        &self,
        txn: &TxnRequest,
        is_taken: bool,
        outcomes: &mut Outcomes,
    ) -> Result<Result<(), Refusal>, PortError> {
        let succeeds = outcomes.next().unwrap_or(false);
        for (ops, is_branch) in [(&txn.success, succeeds), (&txn.failure, !succeeds)] {
            let is_taken = is_taken && is_branch;
            for op in ops {
                let checked = match op {
                    Op::Txn(inner) => self.check_branch(inner, is_taken, outcomes)?,
                    Op::Put(put) if is_taken => self.check_put(put)?,
                    Op::Range(request) if is_taken => check_range(self.state, request),
                    Op::Put(_) | Op::Range(_) | Op::Delete(_) => Ok(()),
                };
                if checked.is_err() {
                    return Ok(checked);
                }
            }
        }
        Ok(Ok(()))
    }

    fn branch(
        &mut self,
        txn: &TxnRequest,
        is_taken: bool,
        outcomes: &mut Outcomes,
        place: &mut Place,
    ) -> Result<TxnResponse, PortError> {
        let succeeded = outcomes.next().unwrap_or(false);
        let mut responses = Vec::new();
        for (ops, is_branch) in [(&txn.success, succeeded), (&txn.failure, !succeeded)] {
            let is_taken = is_taken && is_branch;
            for op in ops {
                let response = match op {
                    Op::Txn(inner) => Response::Txn(self.branch(inner, is_taken, outcomes, place)?),
                    Op::Put(_) | Op::Delete(_) | Op::Range(_) if !is_taken => continue,
                    Op::Put(put) => Response::Put(self.put(put, place)?),
                    Op::Delete(delete) => Response::Delete(self.delete(delete, place)?),
                    Op::Range(request) => Response::Range(self.range_within(request, place)?),
                };
                if is_taken {
                    responses.push(response);
                }
            }
        }
        Ok(TxnResponse {
            succeeded,
            responses,
        })
    }

    /// Reads what the parts before it did, unless it asks for a revision.
    fn range_within(
        &self,
        request: &RangeRequest,
        place: &Place,
    ) -> Result<RangeResponse, PortError> {
        let mut state = State { ..*self.state };
        if place.is_used() {
            state.revision = place.revision();
        }
        let found = range(&*self.rows, &state, request)?;
        // It was checked before anything was changed.
        found.map_err(|refusal| PortError::misused(format!("a range in a transaction: {refusal}")))
    }
}

/// Whether it could take room.
pub(super) fn puts_any(txn: &TxnRequest) -> bool {
    let ops = txn.success.iter().chain(&txn.failure);
    ops.into_iter().any(|op| match op {
        Op::Put(_) => true,
        Op::Txn(inner) => puts_any(inner),
        Op::Range(_) | Op::Delete(_) => false,
    })
}
