//! How requests and their parts lie in bytes. The order of fields and the tags are frozen: they are
//! the format of the log. It does not know what is asked for.

use super::coded::{Coded, by_tag, in_order};
use super::reader::Reader;
use super::writer::Writer;
use crate::engine::Span;
use crate::keys::Keys;
use crate::request::{
    Compare, CompareTarget, Content, DeleteRequest, Op, Operator, PutRequest, RangeRequest,
    RevisionRange, Sort, SortBy, TxnRequest,
};

in_order!(PutRequest {
    key,
    value,
    lease,
    wants_prev
});

in_order!(DeleteRequest { keys, wants_prev });

in_order!(RangeRequest {
    keys,
    revision,
    limit,
    sort,
    content,
    modified,
    created
});

in_order!(RevisionRange { min, max });

in_order!(Sort { by, is_descending });

by_tag!(SortBy {
    0 => Key,
    1 => Version,
    2 => Create,
    3 => Mod,
    4 => Value,
});

by_tag!(Content {
    0 => Full,
    1 => KeysOnly,
    2 => CountOnly,
});

impl Coded for TxnRequest {
    fn write(&self, to: &mut impl Writer) {
        let Self {
            compares,
            success,
            failure,
        } = self;
        compares.write(to);
        success.write(to);
        failure.write(to);
    }

    fn read(from: &mut Reader) -> Option<Self> {
        from.within_txn(|from| {
            Some(Self {
                compares: Coded::read(from)?,
                success: Coded::read(from)?,
                failure: Coded::read(from)?,
            })
        })
    }
}

by_tag!(Op {
    0 => Range(request),
    1 => Put(request),
    2 => Delete(request),
    3 => Txn(request),
});

in_order!(Compare {
    keys,
    operator,
    target
});

by_tag!(Operator {
    0 => Equal,
    1 => Greater,
    2 => Less,
    3 => NotEqual,
});

by_tag!(CompareTarget {
    0 => Version(number),
    1 => Create(number),
    2 => Mod(number),
    3 => Value(value),
    4 => Lease(number),
});

by_tag!(Keys {
    0 => One(key),
    1 => In(span),
});

in_order!(Span { from, to });
