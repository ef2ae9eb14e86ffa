//! What is refused, although the checksum is right or because it is not.
//!
//! The bytes are made by hand from golden ones; so the numbers here are those of the book's
//! chapter. This file does not know the types that are encoded.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use raft_core::Payload;
use raft_core::port::Parcel;
use raft_core::{Entry, GroupId, Message};
use raft_net::frame::{Frame, FrameError, HEADER_BYTES, put_frame};
use raft_net::wire::{self, BulkReply, BulkRequest, Hello, WireError, kind};

use super::examples::{append, at, command, entry, heartbeat, matched, said};
use super::{by_group, decode, encode, frames, golden};

/// A frame of version 1 around a body, flagged as nothing special.
fn framed(kind: u8, body: &[u8]) -> Frame {
    Frame {
        kind,
        version: 1,
        flags: 0,
        body: Bytes::copy_from_slice(body),
    }
}

fn refused(frame: &Frame) -> WireError {
    let mut parcels = Vec::new();
    let error = wire::decode(frame, &mut parcels).expect_err("refused");
    assert!(parcels.is_empty(), "what is refused brings nothing");
    error
}

/// Whether the form was right, and something else was not.
fn is_illegal<T: Debug>(result: &Result<T, WireError>) -> bool {
    match result {
        Ok(_) => false,
        Err(WireError::Illegal(_)) => true,
        Err(error) => panic!("malformed: {error}"),
    }
}

#[test]
fn every_flipped_bit_is_refused_by_the_frame() {
    for (name, sound) in golden::read(1).into_iter().chain(golden::read(2)) {
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = frames(&bytes).expect_err("refused");
            let is_seen = matches!(
                error,
                FrameError::Checksum | FrameError::TooLarge { .. } | FrameError::Io(_)
            );
            assert!(is_seen, "bit {bit} of {name}: {error}");
        }
    }
}

#[test]
fn every_truncation_is_refused_by_the_frame_and_by_the_body() {
    for (name, sound) in golden::read(1).into_iter().chain(golden::read(2)) {
        let whole = frames(&sound).expect("sound");
        let mut ends = Vec::new();
        for frame in &whole {
            let start = ends.last().copied().unwrap_or(0);
            ends.push(start + HEADER_BYTES + frame.body.len());
        }
        for length in 1..sound.len() {
            // Between two frames a stream may end.
            let is_refused = frames(&sound[..length]).is_err();
            assert_eq!(
                is_refused,
                !ends.contains(&length),
                "{length} bytes of {name}"
            );
        }
        for frame in &whole {
            for length in 0..frame.body.len() {
                let body = frame.body.slice(..length);
                refused(&Frame {
                    body,
                    ..frame.clone()
                });
            }
        }
    }
}

#[test]
fn nothing_may_remain_behind_a_body() {
    for (name, sound) in golden::read(1).into_iter().chain(golden::read(2)) {
        for frame in frames(&sound).expect("sound") {
            let body = [&frame.body[..], &[0]].concat().into();
            let error = refused(&Frame { body, ..frame });
            assert_eq!(error, WireError::Remains(1), "{name}");
        }
    }
}

#[test]
fn unknown_extensions_are_refused_only_if_they_are_critical() {
    // "Campaign now", up to where the extensions begin.
    let now = [7, 1, 9, 2, 5, 8];
    let expected = vec![decode_timeout_now()];
    let check = |extensions: &[u8], is_taken: bool| {
        let frame = framed(kind::CONSENSUS, &[&now, extensions].concat());
        let mut parcels = Vec::new();
        let result = wire::decode(&frame, &mut parcels);
        assert_eq!(result.is_ok(), is_taken, "{extensions:?}: {result:?}");
        assert!(!is_taken || parcels == expected);
    };
    check(&[0], true);
    check(&[1, 0x05, 2, 0xaa, 0xbb], true);
    check(&[2, 0x05, 1, 0xaa, 0xff, 0xff, 0x01, 0], true);
    check(&[1, 0x80, 0x80, 0x02, 0], false);
    check(&[2, 0x05, 0, 0x85, 0x80, 0x02, 1, 0xaa], false);
    // Said to be there, but not there.
    check(&[], false);
    check(&[1], false);
    check(&[1, 0x05, 2, 0xaa], false);
    check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0x05, 0], false);
    let critical = framed(
        kind::CONSENSUS,
        &[&now[..], &[1, 0x81, 0x80, 0x02, 0]].concat(),
    );
    assert_eq!(refused(&critical), WireError::Extension(0x8001));
}

fn decode_timeout_now() -> (GroupId, Parcel) {
    let mut parcel = said(Message::TimeoutNow);
    if let Parcel::Consensus(envelope) = &mut parcel {
        envelope.incarnation = raft_core::types::Incarnation(9);
    }
    (GroupId(7), parcel)
}

#[test]
fn entries_must_follow_each_other() {
    let noop = |index, term| entry(index, term, Payload::Noop);
    let check = |entries: Vec<Entry>, is_taken: bool| {
        let parcels = [(GroupId(1), said(append(at(12, 3), entries)))];
        let result = decode(&encode(1, &parcels));
        assert_eq!(!is_illegal(&result), is_taken, "{result:?}");
    };
    check(vec![noop(13, 3), noop(14, 5)], true);
    check(vec![noop(14, 3)], false);
    check(vec![noop(12, 3)], false);
    check(vec![noop(13, 3), noop(15, 3)], false);
    check(vec![noop(13, 3), noop(13, 3)], false);
    check(vec![noop(13, 2)], false);
    check(vec![noop(13, 4), noop(14, 3)], false);
    // Their leader is in term 5.
    check(vec![noop(13, 6)], false);
    for version in [1, 2] {
        let late = [(GroupId(1), said(append(at(12, 6), Vec::new())))];
        assert!(
            decode(&encode(version, &late)).is_err(),
            "in version {version}"
        );
    }
}

#[test]
fn numbers_that_the_core_would_overflow_with_are_refused() {
    let check = |index: u64, is_taken: bool| {
        for version in [1, 2] {
            let parcels = [(GroupId(1), said(matched(index)))];
            let result = decode(&encode(version, &parcels));
            assert_eq!(result.is_ok(), is_taken, "{index} in version {version}");
        }
    };
    check(1 << 62, true);
    check((1 << 62) + 1, false);
    check(u64::MAX, false);
}

#[test]
fn a_count_is_believed_only_as_far_as_there_are_bytes() {
    // An append that says it has 2^32 - 1 entries, of which one is there.
    let head = [7, 1, 9, 2, 5, 4, 4, 12, 11, 0];
    let body = [&head[..], &[0xff, 0xff, 0xff, 0xff, 0x0f, 4, 13, 0]].concat();
    let error = refused(&framed(kind::CONSENSUS, &body));
    assert!(matches!(error, WireError::Malformed { .. }), "{error}");
    // An entry whose command is said to have 2^32 - 1 bytes.
    let body = [
        &head[..],
        &[1, 4, 13, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'],
    ]
    .concat();
    assert_eq!(refused(&framed(kind::CONSENSUS, &body)), WireError::CutOff);
}

#[test]
fn versions_kinds_and_flags_that_are_not_known_are_refused() {
    let (_, bytes) = golden::read(1).remove(0);
    let sound = frames(&bytes).expect("sound").remove(0);
    let check = |frame: Frame, expected| assert_eq!(refused(&frame), expected);
    let of = |version| Frame {
        version,
        ..sound.clone()
    };
    check(of(0), WireError::Version(0));
    check(of(3), WireError::Version(3));
    let flags = Frame {
        flags: 4,
        ..sound.clone()
    };
    check(flags, WireError::Flags(4));
    for kind in [0, kind::HELLO, kind::BULK_REPLY, 200] {
        check(
            Frame {
                kind,
                ..sound.clone()
            },
            WireError::Kind(kind),
        );
    }
    let heartbeats = Frame {
        kind: kind::HEARTBEATS,
        ..sound.clone()
    };
    check(heartbeats, WireError::Kind(kind::HEARTBEATS));
    let hello = Hello::decode(&sound);
    assert_eq!(hello, Err(WireError::Kind(kind::CONSENSUS)));
}

#[test]
fn what_can_not_be_is_refused_on_the_bulk_lane() {
    // A snapshot up to index 9 of term 1, its configuration from index 3 and blank.
    let meta = [0, 1, 9, 3, 0, 0, 0, 0];
    let check = |rest: &[u8], is_taken: bool| {
        let frame = framed(kind::BULK_REPLY, &[&meta, rest].concat());
        let result = BulkReply::decode(&frame);
        assert_eq!(!is_illegal(&result), is_taken, "{rest:?}: {result:?}");
    };
    check(&[1, 1, b'a', 5, 0, 0], true);
    check(&[2, 1, b'a', 5, 0, 1, b'b', 5, 0, 0], true);
    check(&[2, 1, b'b', 5, 0, 1, b'a', 5, 0, 0], false);
    check(&[2, 1, b'a', 5, 0, 1, b'a', 5, 0, 0], false);
    check(&[1, 3, b'.', b'.', b'/', 5, 0, 0], false);
    check(&[1, 0, 5, 0, 0], false);
    let half: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    let sized = [&[2, 1, b'a'], half, &[0, 1, b'b'], half, &[0, 0]].concat();
    check(&sized, false);
    let younger = framed(kind::BULK_REPLY, &[0, 1, 9, 10, 0, 0, 0, 0, 0, 0]);
    assert!(is_illegal(&BulkReply::decode(&younger)));
    let read = |length| {
        let (file, offset) = (0, 0);
        let mut out = BytesMut::new();
        let request = BulkRequest::Read {
            file,
            offset,
            length,
        };
        request.encode(&mut out);
        BulkRequest::decode(&frames(&out).expect("sound").remove(0))
    };
    assert!(read(wire::CHUNK_BYTES_MAX).is_ok());
    assert!(read(wire::CHUNK_BYTES_MAX + 1).is_err());
}

#[test]
fn words_that_are_too_long_or_come_from_something_else_are_refused() {
    let check = |frame: Frame, is_taken: bool| {
        let is_illegal = match frame.kind {
            kind::HELLO => is_illegal(&Hello::decode(&frame)),
            _ => is_illegal(&BulkReply::decode(&frame)),
        };
        assert_eq!(!is_illegal, is_taken, "{:?}", frame.body);
    };
    let long = |count: usize| [(count & 0x7f) as u8 | 0x80, (count >> 7) as u8];
    let text = |count: usize| [&long(count)[..], &vec![b'a'; count], &[0]].concat();
    let hello = |magic: &[u8], versions: [u8; 2], text: Vec<u8>| {
        let rest = [versions[0], versions[1], 9, 1, 0, 0, 0];
        framed(kind::HELLO, &[magic, &rest, &text].concat())
    };
    check(hello(b"RAFT", [1, 2], text(wire::ADDRESS_BYTES_MAX)), true);
    check(
        hello(b"RAFT", [1, 2], text(wire::ADDRESS_BYTES_MAX + 1)),
        false,
    );
    check(hello(b"GET ", [1, 2], text(200)), false);
    check(hello(b"RAFT", [2, 1], text(200)), false);
    check(hello(b"RAFT", [0, 1], text(200)), false);
    let failed = |text: Vec<u8>| framed(kind::BULK_REPLY, &[&[2], &text[..]].concat());
    check(failed(text(wire::REASON_BYTES_MAX)), true);
    check(failed(text(wire::REASON_BYTES_MAX + 1)), false);
    let piece = vec![7; wire::CHUNK_BYTES_MAX as usize + 1];
    let chunk = |length: [u8; 3], piece: &[u8]| {
        framed(kind::BULK_REPLY, &[&[1], &length[..], &[0], piece].concat())
    };
    check(chunk([0x80, 0x80, 0x40], &piece[1..]), true);
    check(chunk([0x81, 0x80, 0x40], &piece), false);
}

#[test]
fn a_frame_of_too_many_heartbeats_is_refused() {
    let bare: Vec<_> = (0..wire::HEARTBEATS_MAX as u64)
        .map(|_| (GroupId(1), said(heartbeat(3))))
        .collect();
    let full = frames(&encode(2, &bare)).expect("sound").remove(0);
    // Where the count of the rows stands, and one row more than it says.
    assert_eq!(full.body[11..13], [0x80, 0x08]);
    let row = (full.body.len() - 14) / bare.len();
    let mut body = full.body.to_vec();
    body[11] += 1;
    let more = body[13..13 + row].to_vec();
    body.splice(13..13, more);
    let error = refused(&Frame {
        body: body.into(),
        ..full
    });
    assert_eq!(error, WireError::Illegal("too many heartbeats in a frame"));
}

#[test]
fn a_long_reason_is_cut_where_a_letter_ends() {
    let reason = "ä".repeat(wire::REASON_BYTES_MAX);
    let mut out = BytesMut::new();
    let failed = BulkReply::Failed {
        reason: format!("x{reason}"),
    };
    failed.encode(&mut out);
    let decoded = BulkReply::decode(&frames(&out).expect("sound").remove(0));
    let expected = format!("x{}", &reason[..wire::REASON_BYTES_MAX - 2]);
    assert_eq!(decoded, Ok(BulkReply::Failed { reason: expected }));
}

#[test]
fn configurations_that_can_not_be_are_refused() {
    // "This is my cluster": members 1 and 2, both voters; then what is wrong with them.
    let members = [2, 1, 0, 1, 0, 2, 0, 1, 0];
    let check = |members: &[u8], sets: &[u8], is_taken: bool| {
        let view = [&[7, 2, 1, 77, 3], members, sets, &[40, 0, 0]].concat();
        let result = wire::decode(&framed(kind::ANSWER, &view), &mut Vec::new());
        assert_eq!(
            !is_illegal(&result),
            is_taken,
            "{members:?} {sets:?}: {result:?}"
        );
    };
    check(&members, &[2, 1, 2, 0, 0], true);
    check(&members, &[1, 1, 1, 2, 1, 2], true);
    check(&members, &[2, 2, 1, 0, 0], false);
    check(&members, &[2, 1, 1, 0, 0], false);
    check(&members, &[1, 3, 0, 0], false);
    check(&members, &[1, 1, 0, 1, 2], false);
    check(&[2, 2, 0, 1, 0, 1, 0, 1, 0], &[1, 1, 0, 0], false);
    check(&[2, 1, 0, 1, 0, 1, 0, 1, 0], &[1, 1, 0, 0], false);
    let long = wire::ADDRESS_BYTES_MAX + 1;
    let address = vec![b'a'; long];
    let length = [(long & 0x7f) as u8 | 0x80, (long >> 7) as u8];
    let one = [&[1, 1, 0, 1], &length[..], &address].concat();
    check(&one, &[1, 1, 0, 0], false);
}

#[test]
fn bare_heartbeats_of_many_groups_share_a_frame_and_overtake_none_of_their_group() {
    let entries = || vec![entry(13, 4, command("x"))];
    let group = |group, message| (GroupId(group), said(message));
    let check = |parcels: &[(GroupId, Parcel)], version, expected: &[u8]| {
        let bytes = encode(version, parcels);
        let kinds: Vec<u8> = frames(&bytes)
            .expect("sound")
            .iter()
            .map(|f| f.kind)
            .collect();
        assert_eq!(kinds, expected, "{parcels:?} in version {version}");
        let decoded = by_group(decode(&bytes).expect("sound"));
        assert_eq!(decoded, by_group(parcels.to_vec()));
    };
    let (one, many) = (kind::CONSENSUS, kind::HEARTBEATS);
    let bare: Vec<_> = (0..500).map(|id| group(id, heartbeat(id))).collect();
    check(&bare, 2, &[many]);
    check(&bare[..3], 1, &[one, one, one]);
    let own = [
        group(1, heartbeat(12)),
        group(1, append(at(12, 4), entries())),
        group(1, matched(13)),
    ];
    check(&own, 2, &[many, one, many]);
    let others = [
        group(1, heartbeat(12)),
        group(2, append(at(12, 4), entries())),
        group(3, matched(13)),
    ];
    check(&others, 2, &[one, many]);
    let full: Vec<_> = (0..wire::HEARTBEATS_MAX as u64 + 1)
        .map(|id| group(id, matched(id)))
        .collect();
    check(&full, 2, &[many, many]);
}

/// Of an append with two commands of this length: whether each lies within the frame's body, and
/// whether they lie in one piece of memory.
fn where_commands_lie(length: usize) -> (bool, bool) {
    let large = |fill: u8| Payload::Command(Bytes::from(vec![fill; length]));
    let entries = vec![entry(13, 4, large(1)), entry(14, 4, large(2))];
    let bytes = encode(1, &[(GroupId(1), said(append(at(12, 4), entries)))]);
    let frame = frames(&bytes).expect("sound").remove(0);
    let mut parcels = Vec::new();
    wire::decode(&frame, &mut parcels).expect("sound");
    let Parcel::Consensus(envelope) = &parcels[0].1 else {
        panic!("a consensus message");
    };
    let Message::AppendEntries(append) = &envelope.message else {
        panic!("an append");
    };
    let commands = append.entries.iter().map(|entry| match &entry.payload {
        Payload::Command(command) => command.as_ptr_range(),
        Payload::Noop | Payload::Membership(_) => panic!("a command"),
    });
    let commands: Vec<_> = commands.collect();
    let body = frame.body.as_ptr_range();
    let are_parts = commands.iter().all(|command| body.contains(&command.start));
    (are_parts, commands[0].end == commands[1].start)
}

#[test]
fn large_commands_are_parts_of_the_body_and_small_ones_let_go_of_it() {
    assert_eq!(where_commands_lie(64 << 10), (true, true));
    assert_eq!(where_commands_lie(100), (false, true), "copied together");
}

#[test]
fn what_is_put_behind_other_frames_leaves_them_alone() {
    let mut out = BytesMut::new();
    put_frame(200, 9, 0x1234, &mut out, |out| {
        out.extend_from_slice(b"before");
    });
    let before = out.clone();
    wire::encode(2, &[(GroupId(1), said(heartbeat(3)))], &mut out);
    assert_eq!(out[..before.len()], before[..]);
    assert_eq!(frames(&out).expect("sound").len(), 2);
}
