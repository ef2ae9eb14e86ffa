//! What is refused, and how: as unknown, so that the member stops, or as malformed, so that all of
//! them go on. It does not know how requests are read.

use bytes::Bytes;

use super::{answers, commands};
use crate::codec::{CommandError, TXN_DEPTH_MAX};
use crate::request::{Op, TxnRequest};
use crate::response::{Response, TxnResponse};
use crate::types::Revision;
use crate::{Answer, Command};

#[test]
fn unknown_is_not_malformed() {
    let unknown = |version, kind| CommandError::UnknownKind { version, kind };
    for (bytes, expected) in [
        (&[][..], CommandError::Malformed),
        (&[0], CommandError::Malformed),
        (&[0, 0, 0], CommandError::Malformed),
        (&[1], CommandError::Malformed),
        (&[1, 0], CommandError::Malformed),
        (&[4], CommandError::UnknownVersion(4)),
        (&[255, 0, 1, 2], CommandError::UnknownVersion(255)),
        (&[1, 15], unknown(1, 15)),
        (&[2, 255, 1, 2], unknown(2, 255)),
        // A kind of another version.
        (&[2, 3, 1], CommandError::Malformed),
        (&[1, 12, 1, 1, 1, 1], CommandError::Malformed),
        // What is guarded is of an earlier version; the guard is not.
        (&[2, 14, 0, 1, 12, 1, 1, 1, 1], CommandError::Malformed),
        // Nothing that is guarded is guarded itself.
        (&[3, 14, 0, 1, 14, 0, 1, 13, 1], CommandError::Malformed),
    ] {
        let decoded = Command::decode(Bytes::copy_from_slice(bytes));
        assert_eq!(decoded, Err(expected), "{bytes:02x?}");
    }
}

#[test]
fn an_older_binary_stops_at_what_is_newer_and_never_skips_it() {
    for (name, command) in commands() {
        for latest in 1..=Command::VERSION_LATEST {
            let version = command.version();
            let decoded = Command::decode_up_to(latest, command.encode());
            if version <= latest {
                assert_eq!(decoded, Ok(command.clone()), "{name}");
            } else {
                let stop = CommandError::UnknownVersion(version);
                assert_eq!(decoded, Err(stop), "{name}");
            }
        }
    }
}

#[test]
fn values_outside_of_their_types_are_malformed() {
    for (what, bytes) in [
        ("a truth of 2", &[1, 0, 1, b'k', 0, 0, 2][..]),
        ("an optional of 2", &[1, 0, 1, b'k', 2, 0, 0]),
        ("an alarm of 2", &[1, 7, 1, 2]),
        ("keys of 2", &[1, 1, 2, 0, 0]),
        ("a part of 4", &[1, 2, 0, 1, 4, 0, 0, 0, 0]),
        ("an operator of 4", &[1, 2, 1, 0, 0, 4, 0, 0, 0, 0]),
        ("a target of 5", &[1, 2, 1, 0, 0, 0, 5, 0, 0, 0]),
        ("a text that is none", &[1, 9, 1, 1, 1, 0xff, 0]),
        ("an overlong number", &[1, 3, 0x80, 0]),
        ("a majority of 65536", &[2, 12, 1, 1, 1, 0x80, 0x80, 4]),
        ("a list longer than its frame", &[1, 6, 1, 1, 0x7f, 0, 0]),
        (
            "a list of 2^63 parts",
            &[
                1, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0, 0,
            ],
        ),
    ] {
        let decoded = Command::decode(Bytes::copy_from_slice(bytes));
        assert_eq!(decoded, Err(CommandError::Malformed), "{what}");
    }
}

#[test]
fn transactions_lie_in_each_other_only_so_deep() {
    let deep = |depth| {
        let around = |inner, _| TxnRequest {
            success: vec![Op::Txn(inner)],
            ..TxnRequest::default()
        };
        Command::Txn((1..depth).fold(TxnRequest::default(), around))
    };
    let deepest = deep(TXN_DEPTH_MAX);
    assert_eq!(Command::decode(deepest.encode()), Ok(deepest));
    let deeper = deep(TXN_DEPTH_MAX + 1).encode();
    assert_eq!(Command::decode(deeper), Err(CommandError::Malformed));
    // Any depth is refused at once, whatever it does to a stack.
    for (head, inner) in [(&[1, 2][..], &[0, 1, 3][..]), (&[3], &[14, 0, 1])] {
        let bottomless = [head, &inner.repeat(1 << 20)].concat();
        let decoded = Command::decode(bottomless.into());
        assert_eq!(decoded, Err(CommandError::Malformed), "{head:?}");
    }
}

#[test]
fn many_transactions_beside_each_other_are_not_deep() {
    let wide = TxnRequest {
        success: vec![Op::Txn(TxnRequest::default()); 3 * TXN_DEPTH_MAX],
        ..TxnRequest::default()
    };
    let command = Command::Txn(wide);
    assert_eq!(Command::decode(command.encode()), Ok(command));
}

#[test]
fn answers_lie_in_each_other_only_so_deep() {
    let deep = |depth| {
        let around = |inner, _| TxnResponse {
            succeeded: true,
            responses: vec![Response::Txn(inner)],
        };
        Answer {
            revision: Revision(1),
            outcome: Ok(Response::Txn(
                (1..depth).fold(TxnResponse::default(), around),
            )),
        }
    };
    let deepest = deep(TXN_DEPTH_MAX);
    assert_eq!(Answer::decode(deepest.encode()), Some(deepest));
    assert_eq!(Answer::decode(deep(TXN_DEPTH_MAX + 1).encode()), None);
}

#[test]
fn an_answer_of_a_later_binary_is_none() {
    for (what, bytes) in [
        ("an outcome of 2", &[1, 2, 0, 0][..]),
        ("a response of 7", &[1, 0, 7]),
        ("a refusal of 30", &[1, 1, 30]),
    ] {
        assert_eq!(
            Answer::decode(Bytes::copy_from_slice(bytes)),
            None,
            "{what}"
        );
    }
    assert!(answers().len() >= 20, "every variant has its example");
}

#[test]
fn keys_and_values_are_sliced_not_copied() {
    let (_, put) = commands().swap_remove(0);
    let bytes = put.encode();
    let within = bytes.as_ptr_range();
    let Ok(Command::Put(put)) = Command::decode(bytes.clone()) else {
        panic!("it is what was encoded");
    };
    assert!(within.contains(&put.key.as_ptr()));
    assert!(within.contains(&put.value.expect("a value").as_ptr()));
}
