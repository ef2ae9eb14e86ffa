//! Which response is to which command. It does not know what else may have come of it.

use crate::response::{DeleteResponse, Response, TxnResponse};
use crate::types::{KeyValue, LeaseId};

pub(super) fn put(response: Response) -> Option<Option<KeyValue>> {
    let Response::Put(prev) = response else {
        return None;
    };
    Some(prev)
}

pub(super) fn delete(response: Response) -> Option<DeleteResponse> {
    let Response::Delete(response) = response else {
        return None;
    };
    Some(response)
}

pub(super) fn txn(response: Response) -> Option<TxnResponse> {
    let Response::Txn(response) = response else {
        return None;
    };
    Some(response)
}

#[expect(clippy::needless_pass_by_value, reason = "all of them have one type")]
pub(super) fn granted(response: Response) -> Option<LeaseId> {
    let Response::Granted(id) = response else {
        return None;
    };
    Some(id)
}

#[expect(clippy::needless_pass_by_value, reason = "all of them have one type")]
pub(super) fn done(response: Response) -> Option<()> {
    matches!(response, Response::Done).then_some(())
}
