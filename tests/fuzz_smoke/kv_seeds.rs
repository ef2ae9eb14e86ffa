//! The inputs that fuzzing a key-value store starts from: the golden bytes of raft-kv.
//!
//! This file does not know what becomes of them.

use std::fs;
use std::path::Path;

/// The seeds of each target.
pub(crate) fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("kv_answer", golden("answer.")),
        ("kv_command", golden("command.")),
    ]
}

/// The golden bytes whose names begin so.
fn golden(prefix: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../raft-kv/src/codec/golden.txt");
    let text = fs::read_to_string(path).expect("golden bytes");
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    let bytes = |line: &str| {
        let (_, hex) = line.split_once(' ').expect("a name and bytes");
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    lines.map(bytes).collect()
}
