//! The inputs that fuzzing what peers send starts from: the golden bytes of raft-net.
//!
//! This file does not know what becomes of them.

use std::fs;
use std::path::Path;

const HEADER_BYTES: usize = 12;
const KIND_AT: usize = 4;
const BODY_AT: usize = HEADER_BYTES;

/// The seeds of each target.
pub(crate) fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let parcels: Vec<Vec<u8>> = ["v1.txt", "v2.txt"].into_iter().flat_map(frames).collect();
    let fixed = frames("fixed.txt");
    // As the targets want them: a parcel's kind, version and body; else the kind and the body.
    let kind = |frame: &[u8]| frame[KIND_AT];
    let parcel = |frame: &Vec<u8>| [&frame[KIND_AT..KIND_AT + 2], &frame[BODY_AT..]].concat();
    let word = |frame: &Vec<u8>| [&frame[KIND_AT..=KIND_AT], &frame[BODY_AT..]].concat();
    let handshake = fixed.iter().filter(|frame| kind(frame) < 16);
    let bulk = fixed.iter().filter(|frame| kind(frame) >= 32);
    vec![
        ("bulk", bulk.map(word).collect()),
        ("frame", vec![fixed.concat(), parcels[0].clone()]),
        ("handshake", handshake.map(word).collect()),
        ("parcel", parcels.iter().map(parcel).collect()),
    ]
}

/// The frames in a file of golden bytes.
fn frames(file: &str) -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../raft-net/tests/golden");
    let text = fs::read_to_string(golden.join(file)).expect("golden bytes");
    let mut frames = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, hex) = line.split_once(' ').expect("a name and bytes");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let mut rest = &bytes[..];
        while let Some((length, _)) = rest.split_first_chunk() {
            let length = HEADER_BYTES + u32::from_le_bytes(*length) as usize;
            frames.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
    }
    frames
}
