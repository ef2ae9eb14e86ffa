//! Transactions: first it is decided which parts are done, then whether they can be, then they are.

use std::cmp::Ordering;

use raft_kv::request::{Compare, CompareTarget, Op, Operator, PutRequest, TxnRequest};
use raft_kv::response::TxnResponse;
use raft_kv::{KeyValue, LeaseId, Refusal, Response};

use super::Reference;

/// The parts of a transaction that are done, once all compares in it were made.
struct Taken<'a> {
    succeeded: bool,
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    Op(&'a Op),
    Txn(Taken<'a>),
}

impl Reference {
    pub(super) fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, Refusal> {
        Self::check_txn(txn)?;
        let taken = self.taken(txn);
        self.check(&taken)?;
        Ok(self.carry_out(&taken))
    }

    /// All compares see what is there now, those of inner transactions too.
    fn taken<'a>(&self, txn: &'a TxnRequest) -> Taken<'a> {
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        let ops = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let part = |op: &'a Op| match op {
            Op::Txn(inner) => Part::Txn(self.taken(inner)),
            Op::Range(_) | Op::Put(_) | Op::Delete(_) => Part::Op(op),
        };
        Taken {
            succeeded,
            parts: ops.iter().map(part).collect(),
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let kvs = self.now(&compare.keys);
        if kvs.is_empty() {
            // There is no telling no value from an empty one, so no value is like nothing.
            let is_of_value = matches!(compare.target, CompareTarget::Value(_));
            return !is_of_value && is_so(&KeyValue::default(), compare);
        }
        kvs.iter().all(|kv| is_so(kv, compare))
    }

    fn check(&self, taken: &Taken<'_>) -> Result<(), Refusal> {
        for part in &taken.parts {
            match part {
                Part::Txn(inner) => self.check(inner)?,
                Part::Op(Op::Range(range)) => self.check_revision(range.revision)?,
                Part::Op(Op::Put(put)) => self.check_put(put)?,
                Part::Op(Op::Delete(_) | Op::Txn(_)) => {}
            }
        }
        Ok(())
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), Refusal> {
        let lease = put.lease.unwrap_or(LeaseId::NONE);
        if lease != LeaseId::NONE && !self.has_lease(lease) {
            return Err(Refusal::LeaseNotFound);
        }
        let keeps = put.value.is_none() || put.lease.is_none();
        if keeps && self.get(&put.key).is_none() {
            return Err(Refusal::KeyNotFound);
        }
        Ok(())
    }

    fn carry_out(&mut self, taken: &Taken<'_>) -> TxnResponse {
        let mut responses = Vec::new();
        for part in &taken.parts {
            responses.push(match part {
                Part::Txn(inner) => Response::Txn(self.carry_out(inner)),
                Part::Op(Op::Range(range)) => Response::Range(self.seen(range)),
                Part::Op(Op::Put(put)) => Response::Put(self.put(put)),
                Part::Op(Op::Delete(delete)) => Response::Delete(self.delete(delete)),
                Part::Op(Op::Txn(_)) => unreachable!("an inner transaction is no bare part"),
            });
        }
        TxnResponse {
            succeeded: taken.succeeded,
            responses,
        }
    }
}

fn is_so(kv: &KeyValue, compare: &Compare) -> bool {
    let number = |is: u64, given: i64| i128::from(is).cmp(&i128::from(given));
    let is = match &compare.target {
        CompareTarget::Version(given) => number(kv.version, *given),
        CompareTarget::Create(given) => number(kv.create_revision.0, *given),
        CompareTarget::Mod(given) => number(kv.mod_revision.0, *given),
        CompareTarget::Value(given) => kv.value.cmp(given),
        CompareTarget::Lease(given) => kv.lease.0.cmp(given),
    };
    match compare.operator {
        Operator::Equal => is == Ordering::Equal,
        Operator::NotEqual => is != Ordering::Equal,
        Operator::Greater => is == Ordering::Greater,
        Operator::Less => is == Ordering::Less,
    }
}

/// Whether any branch puts something.
pub(super) fn has_put(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match op {
        Op::Put(_) => true,
        Op::Txn(inner) => has_put(inner),
        Op::Range(_) | Op::Delete(_) => false,
    })
}
