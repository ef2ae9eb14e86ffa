//! The bytes of every example, in every version, as they were when the version was frozen.
//!
//! It does not know what is in the examples.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use raft_net::frame::Frame;
use raft_net::wire::{BulkReply, BulkRequest, Hello, Rejection, Welcome};

use super::{by_group, decode, encode, examples, frames};

/// What stands in front of each file of golden bytes.
const HEADING: &str = "# Frames as they travel, an example a line. Frozen: see tests/wire.rs.\n";

/// The names of all examples of a file, and their bytes.
pub(crate) type Golden = Vec<(&'static str, Vec<u8>)>;

/// Everything that we can say, by the files that the bytes are kept in.
pub(crate) fn all() -> [(&'static str, Golden); 3] {
    [
        ("v1.txt", of_parcels(1)),
        ("v2.txt", of_parcels(2)),
        ("fixed.txt", fixed()),
    ]
}

fn of_parcels(version: u8) -> Golden {
    let examples = examples::parcels().into_iter();
    examples
        .map(|(name, parcels)| (name, encode(version, &parcels).to_vec()))
        .collect()
}

fn fixed() -> Golden {
    let mut golden = Vec::new();
    let mut add = |name, put: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        put(&mut out);
        golden.push((name, out.to_vec()));
    };
    for (name, hello) in examples::hellos() {
        add(name, &|out| hello.encode(out));
    }
    add("welcome", &|out| examples::welcome().encode(out));
    for (name, rejection) in examples::rejections() {
        add(name, &|out| rejection.encode(out));
    }
    for (name, request) in examples::requests() {
        add(name, &|out| request.encode(out));
    }
    for (name, reply) in examples::replies() {
        add(name, &|out| reply.encode(out));
    }
    golden
}

#[test]
fn what_is_encoded_is_what_ever_was() {
    for (file, golden) in all() {
        let mut text = HEADING.to_owned();
        for (name, bytes) in golden {
            writeln!(text, "{name} {}", hex(&bytes)).expect("to memory");
        }
        let path = directory().join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &text).expect("written");
        }
        let kept = fs::read_to_string(&path).expect("golden bytes");
        for (kept, encoded) in kept.lines().zip(text.lines()) {
            assert_eq!(kept, encoded, "in {file}");
        }
        assert_eq!(kept.len(), text.len(), "in {file}");
    }
}

#[test]
fn golden_parcels_are_decoded_to_what_they_say() {
    for version in [1, 2] {
        for ((name, bytes), (_, parcels)) in read(version).iter().zip(examples::parcels()) {
            let decoded = decode(bytes).map(by_group);
            assert_eq!(decoded, Ok(by_group(parcels)), "{name} of {version}");
            let is_ours = |frame: &Frame| frame.version == version && frame.flags == 0;
            assert!(frames(bytes).expect("sound").iter().all(is_ours), "{name}");
        }
    }
}

#[test]
fn golden_words_of_handshake_and_bulk_lane_are_decoded_to_what_they_say() {
    let golden = parse("fixed.txt");
    let frame = |name: &str| {
        let (_, bytes) = golden
            .iter()
            .find(|(known, _)| known == name)
            .expect("known");
        frames(bytes).expect("sound").remove(0)
    };
    for (name, hello) in examples::hellos() {
        assert_eq!(Hello::decode(&frame(name)), Ok(hello));
    }
    assert_eq!(Welcome::decode(&frame("welcome")), Ok(examples::welcome()));
    for (name, rejection) in examples::rejections() {
        assert_eq!(Rejection::decode(&frame(name)), Ok(rejection));
    }
    for (name, request) in examples::requests() {
        assert_eq!(BulkRequest::decode(&frame(name)), Ok(request));
    }
    for (name, reply) in examples::replies() {
        assert_eq!(BulkReply::decode(&frame(name)), Ok(reply));
    }
}

/// The golden bytes of the parcels in a version.
pub(crate) fn read(version: u8) -> Vec<(String, Vec<u8>)> {
    parse(&format!("v{version}.txt"))
}

fn parse(file: &str) -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(directory().join(file)).expect("golden bytes");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let golden: Vec<_> = lines
        .map(|line| {
            let (name, bytes) = line.split_once(' ').expect("a name and bytes");
            let byte = |at| u8::from_str_radix(&bytes[at..at + 2], 16).expect("hex");
            let bytes = (0..bytes.len()).step_by(2).map(byte).collect();
            (name.to_owned(), bytes)
        })
        .collect();
    assert!(golden.len() > 10, "{file} holds examples");
    golden
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
