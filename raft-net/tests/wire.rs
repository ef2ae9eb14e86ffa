//! What travels: golden bytes, every variant there and back, and whatever a stranger may send.
//!
//! `UPDATE_GOLDEN=1 cargo test -p raft-net --test wire` writes the golden bytes anew, which is
//! right for examples that are new and wrong for all others. This file opens no connection.

#[path = "wire/core.rs"]
mod core;
#[path = "wire/examples.rs"]
mod examples;
#[path = "wire/golden.rs"]
mod golden;
#[path = "wire/properties.rs"]
mod properties;
#[path = "wire/refusals.rs"]
mod refusals;

use bytes::BytesMut;
use raft_core::GroupId;
use raft_core::port::Parcel;
use raft_net::frame::{Frame, FrameCodec, FrameError};
use raft_net::wire::{self, WireError};
use tokio_util::codec::Decoder;

type Parcels = Vec<(GroupId, Parcel)>;

fn encode(version: u8, parcels: &[(GroupId, Parcel)]) -> BytesMut {
    let mut out = BytesMut::new();
    wire::encode(version, parcels, &mut out);
    out
}

/// All frames of a stream, to its end.
fn frames(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut codec = FrameCodec::new(64 << 20);
    let mut buffer = BytesMut::from(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = codec.decode_eof(&mut buffer)? {
        frames.push(frame);
    }
    Ok(frames)
}

fn decode(bytes: &[u8]) -> Result<Parcels, WireError> {
    let mut parcels = Vec::new();
    for frame in frames(bytes).expect("sound frames") {
        wire::decode(&frame, &mut parcels)?;
    }
    Ok(parcels)
}

/// Only those of one group stay in their order.
fn by_group(mut parcels: Parcels) -> Parcels {
    parcels.sort_by_key(|(group, _)| *group);
    parcels
}
