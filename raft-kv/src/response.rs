//! What clients are answered. It does not know how it came about.

use crate::refusal::Refusal;
use crate::types::{KeyValue, LeaseId, Revision};

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The store's revision after it.
    pub revision: Revision,
    /// What came of it. What is refused has changed nothing.
    pub outcome: Result<Response, Refusal>,
}

/// What came of a command, or of a part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Of a put: what was there before, if that was asked for.
    Put(Option<KeyValue>),
    /// The keys.
    Range(RangeResponse),
    /// Of a deletion.
    Delete(DeleteResponse),
    /// Of a transaction.
    Txn(TxnResponse),
    /// A lease was granted.
    Granted(LeaseId),
    /// Of leases that were to expire: how many did.
    Expired(u64),
    /// Done; there is nothing to say.
    Done,
}

/// Keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// They.
    pub kvs: Vec<KeyValue>,
    /// How many there are, whatever the limit and the bounds of revisions.
    pub count: u64,
    /// Whether the limit has left some out.
    pub more: bool,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteResponse {
    /// How many.
    pub deleted: u64,
    /// As they were, in the order of the keys, if that was asked for.
    pub prevs: Vec<KeyValue>,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// Whether its compares held.
    pub succeeded: bool,
    /// One for each part of the branch that was taken.
    pub responses: Vec<Response>,
}
