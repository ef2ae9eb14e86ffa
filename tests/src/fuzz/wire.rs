//! Any bytes as what a peer sends.
//!
//! Where frames begin and what their checksums are is tried as it comes, and made right. The other
//! targets are behind that: their input is what a frame says of itself, then its body. This file
//! does not know the format of a body.

use bytes::{Bytes, BytesMut};
use raft_core::GroupId;
use raft_core::port::Parcel;
use raft_net::frame::{Frame, FrameCodec, HEADER_BYTES, put_frame};
use raft_net::wire::{self, BulkReply, BulkRequest, Hello, Rejection, Welcome, kind};
use tokio_util::codec::Decoder;

const BODY_BYTES_MAX: usize = 4096;
const CHECKSUM_AT: usize = 8;

/// Any bytes as a stream of frames.
pub fn frame(data: &[u8]) {
    read_frames(data);
    let mut sealed = data.to_vec();
    let mut rest = &mut sealed[..];
    while rest.len() >= HEADER_BYTES {
        // The length decides where the next frame is tried: what was drawn for it, cut.
        let body = (rest.len() - HEADER_BYTES).min(usize::from(rest[0]));
        rest[..4].copy_from_slice(&super::count(body));
        let (one, after) = rest.split_at_mut(HEADER_BYTES + body);
        let crc = crc32c::crc32c(&one[..CHECKSUM_AT]);
        let crc = crc32c::crc32c_append(crc, &one[HEADER_BYTES..]);
        one[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        rest = after;
    }
    let left = rest.len();
    let end = sealed.len() - left;
    assert_eq!(read_frames(&sealed), end, "every sealed frame is read");
}

/// Reads frames as long as there are any; they are written as they were. How far it came.
fn read_frames(data: &[u8]) -> usize {
    let mut codec = FrameCodec::new(BODY_BYTES_MAX);
    let mut stream = BytesMut::from(data);
    let mut again = BytesMut::new();
    while let Ok(Some(frame)) = codec.decode(&mut stream) {
        let put = |out: &mut BytesMut| out.extend_from_slice(&frame.body);
        put_frame(frame.kind, frame.version, frame.flags, &mut again, put);
        assert_eq!(&again[..], &data[..again.len()]);
    }
    again.len()
}

/// Any bytes as a kind, a version, and the body of parcels.
pub fn parcel(data: &[u8]) {
    let [kind, version, body @ ..] = data else {
        return;
    };
    let frame = Frame {
        kind: *kind,
        version: *version,
        flags: 0,
        body: Bytes::copy_from_slice(body),
    };
    let mut parcels = Vec::new();
    if wire::decode(&frame, &mut parcels).is_err() {
        assert!(parcels.is_empty(), "what is refused brings nothing");
        return;
    }
    assert!(parcels.len() <= wire::HEARTBEATS_MAX);
    let parcels = by_group(parcels);
    for version in wire::VERSION_MIN..=wire::VERSION_MAX {
        let mut out = BytesMut::new();
        wire::encode(version, &parcels, &mut out);
        let mut again = Vec::new();
        for frame in all_frames(out) {
            wire::decode(&frame, &mut again).expect("what we encode we decode");
        }
        assert_eq!(by_group(again), parcels, "in version {version}");
    }
}

/// Only the parcels of one group stay in their order.
fn by_group(mut parcels: Vec<(GroupId, Parcel)>) -> Vec<(GroupId, Parcel)> {
    parcels.sort_by_key(|(group, _)| *group);
    parcels
}

/// Any bytes as a kind and the body of a word of the handshake.
pub fn handshake(data: &[u8]) {
    let Some(frame) = fixed(data) else {
        return;
    };
    if let Ok(hello) = Hello::decode(&frame) {
        assert_eq!(frame.kind, kind::HELLO);
        assert!(hello.advertised.len() <= wire::ADDRESS_BYTES_MAX);
        let again = one_frame(|out| hello.encode(out));
        assert!(again.body.len() <= wire::HANDSHAKE_BYTES_MAX);
        assert_eq!(Hello::decode(&again), Ok(hello));
    }
    if let Ok(welcome) = Welcome::decode(&frame) {
        assert_eq!(frame.kind, kind::WELCOME);
        let again = one_frame(|out| welcome.encode(out));
        assert_eq!(Welcome::decode(&again), Ok(welcome));
    }
    if let Ok(rejection) = Rejection::decode(&frame) {
        assert_eq!(frame.kind, kind::REJECTION);
        let again = one_frame(|out| rejection.encode(out));
        assert_eq!(Rejection::decode(&again), Ok(rejection));
    }
}

/// Any bytes as a kind and the body of a word of the bulk lane.
pub fn bulk(data: &[u8]) {
    let Some(frame) = fixed(data) else {
        return;
    };
    if let Ok(request) = BulkRequest::decode(&frame) {
        assert_eq!(frame.kind, kind::BULK_REQUEST);
        let again = one_frame(|out| request.encode(out));
        assert_eq!(BulkRequest::decode(&again), Ok(request));
    }
    if let Ok(reply) = BulkReply::decode(&frame) {
        assert_eq!(frame.kind, kind::BULK_REPLY);
        if let BulkReply::Manifest(manifest) = &reply {
            for (place, file) in manifest.files.iter().enumerate() {
                assert_eq!(manifest.find(&file.name), Some((place, file)));
            }
            assert!(
                manifest
                    .files
                    .iter()
                    .all(|file| file.size <= manifest.size())
            );
        }
        let again = one_frame(|out| reply.encode(out));
        assert_eq!(BulkReply::decode(&again), Ok(reply));
    }
}

/// A frame of what has only one version.
fn fixed(data: &[u8]) -> Option<Frame> {
    let (kind, body) = data.split_first()?;
    Some(Frame {
        kind: *kind,
        version: wire::VERSION_FIXED,
        flags: 0,
        body: Bytes::copy_from_slice(body),
    })
}

fn one_frame(put: impl FnOnce(&mut BytesMut)) -> Frame {
    let mut out = BytesMut::new();
    put(&mut out);
    let mut frames = all_frames(out);
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

fn all_frames(mut stream: BytesMut) -> Vec<Frame> {
    let mut codec = FrameCodec::new(usize::MAX);
    let mut frames = Vec::new();
    while let Some(frame) = codec.decode_eof(&mut stream).expect("our own frames") {
        frames.push(frame);
    }
    frames
}
