//! Keys and values in RocksDB. Version 1, frozen.
//!
//! A key is the group, a kind and an index, big-endian, so that a group's entries lie in order and
//! many groups could share one database. Values carry no checksum of their own: RocksDB has one on
//! every block and on every record of its log. This file knows no database.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::types::{GroupId, Incarnation, Index, NodeId, Position, Term};
use raft_core::{Entry, HardState, Payload, Recovered, SnapshotMeta};

use crate::codec::{Decoder, Encoder};

const VERSION: u8 = 1;

/// What lies under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The incarnation and the founding snapshot.
    Founding = 1,
    /// Term and vote.
    HardState = 2,
    /// The position before the first entry.
    Base = 3,
    /// An entry, under its index.
    Entry = 4,
}

pub(super) const KEY_BYTES: usize = 17;

pub(super) fn key(group: GroupId, kind: Kind, index: Index) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&group.0.to_be_bytes());
    key[8] = kind as u8;
    key[9..].copy_from_slice(&index.0.to_be_bytes());
    key
}

/// The index in the key of an entry.
pub(super) fn index_of(key: &[u8]) -> Option<Index> {
    let index = key.get(9..KEY_BYTES)?.try_into().ok()?;
    Some(Index(u64::from_be_bytes(index)))
}

pub(super) fn encode_founding(founding: &Recovered) -> Vec<u8> {
    let mut value = vec![VERSION];
    let mut encoder = Encoder(&mut value);
    encoder.u64(founding.incarnation.0);
    encoder.snapshot_meta(&founding.snapshot);
    value
}

pub(super) fn decode_founding(value: &[u8]) -> Option<(Incarnation, SnapshotMeta)> {
    let mut decoder = Decoder(value);
    if decoder.u8()? != VERSION {
        return None;
    }
    let incarnation = Incarnation(decoder.u64()?);
    let snapshot = decoder.snapshot_meta()?;
    decoder.end()?;
    Some((incarnation, snapshot))
}

pub(super) fn encode_hard_state(state: HardState) -> Vec<u8> {
    let mut value = Vec::new();
    let mut encoder = Encoder(&mut value);
    encoder.u64(state.term.0);
    encoder.u8(u8::from(state.vote.is_some()));
    encoder.u64(state.vote.unwrap_or_default().0);
    value
}

pub(super) fn decode_hard_state(value: &[u8]) -> Option<HardState> {
    let mut decoder = Decoder(value);
    let term = Term(decoder.u64()?);
    let voted = decoder.u8()?;
    let vote = NodeId(decoder.u64()?);
    decoder.end()?;
    let vote = match voted {
        0 => None,
        1 => Some(vote),
        _ => return None,
    };
    Some(HardState { term, vote })
}

pub(super) fn encode_base(base: Position) -> Vec<u8> {
    let mut value = Vec::new();
    Encoder(&mut value).position(base);
    value
}

pub(super) fn decode_base(value: &[u8]) -> Option<Position> {
    let mut decoder = Decoder(value);
    let base = decoder.position()?;
    decoder.end()?;
    Some(base)
}

pub(super) fn encode_entry(entry: &Entry, value: &mut Vec<u8>) {
    let mut encoder = Encoder(value);
    encoder.u64(entry.term.0);
    match &entry.payload {
        Payload::Noop => encoder.u8(0),
        Payload::Command(bytes) => {
            encoder.u8(1);
            encoder.0.extend_from_slice(bytes);
        }
        Payload::Membership(membership) => {
            encoder.u8(2);
            encoder.membership(membership);
        }
    }
}

pub(super) fn decode_entry(index: Index, value: &[u8]) -> Option<Entry> {
    let mut decoder = Decoder(value);
    let term = Term(decoder.u64()?);
    let payload = match decoder.u8()? {
        0 => {
            decoder.end()?;
            Payload::Noop
        }
        1 => Payload::Command(Bytes::copy_from_slice(decoder.0)),
        2 => {
            let membership = Arc::new(decoder.membership()?);
            decoder.end()?;
            Payload::Membership(membership)
        }
        _ => return None,
    };
    Some(Entry {
        term,
        index,
        payload,
    })
}
