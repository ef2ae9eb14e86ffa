//! How answers lie in bytes, as they travel and as sessions keep them. The order of fields and the
//! tags are frozen. It does not know how an answer came about.

use bytes::Bytes;
use raft_core::session::Answered;

use super::coded::{Coded, by_tag, in_order};
use super::reader::Reader;
use super::writer::Writer;
use super::{decode, encode};
use crate::refusal::Refusal;
use crate::response::{Answer, DeleteResponse, RangeResponse, Response, TxnResponse};
use crate::types::KeyValue;

impl Answer {
    /// As it travels, and as sessions keep it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&[], self)
    }

    /// As [`Answered::Applied`] has it, in one piece.
    #[must_use]
    pub fn encode_applied(&self) -> Bytes {
        encode(&[Answered::APPLIED], self)
    }

    /// Reads what [`Answer::encode`] wrote, without copying keys and values; `None` if it is
    /// something else, perhaps what a later binary says.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        decode(bytes)
    }
}

in_order!(Answer { revision, outcome });

by_tag!(Response {
    0 => Put(prev),
    1 => Range(response),
    2 => Delete(response),
    3 => Txn(response),
    4 => Granted(lease),
    5 => Expired(count),
    6 => Done,
});

in_order!(RangeResponse { kvs, count, more });

in_order!(DeleteResponse { deleted, prevs });

impl Coded for TxnResponse {
    fn write(&self, to: &mut impl Writer) {
        let Self {
            succeeded,
            responses,
        } = self;
        succeeded.write(to);
        responses.write(to);
    }

    fn read(from: &mut Reader) -> Option<Self> {
        from.within_txn(|from| {
            Some(Self {
                succeeded: Coded::read(from)?,
                responses: Coded::read(from)?,
            })
        })
    }
}

in_order!(KeyValue {
    key,
    value,
    create_revision,
    mod_revision,
    version,
    lease
});

by_tag!(Refusal {
    0 => Compacted { compacted },
    1 => FutureRevision { revision },
    2 => EmptyKey,
    3 => KeyNotFound,
    4 => DuplicateKey,
    5 => TooManyOps,
    6 => LeaseNotFound,
    7 => LeaseExists,
    8 => LeaseTtlTooLarge,
    9 => TooManyLeases,
    10 => NoSpace,
    11 => Unsupported,
    12 => VersionTooLow,
    13 => RootUserNotFound,
    14 => RootRoleNotGranted,
    15 => UserExists,
    16 => UserEmpty,
    17 => UserNotFound,
    18 => RoleExists,
    19 => RoleNotFound,
    20 => RoleEmpty,
    21 => AuthFailed,
    22 => PermissionNotGiven,
    23 => PermissionDenied,
    24 => RoleNotGranted,
    25 => PermissionNotGranted,
    26 => AuthNotEnabled,
    27 => InvalidAuthToken,
    28 => InvalidAuthManagement,
    29 => AuthRevisionOld,
});
