//! Any bytes as what a log holds of a key-value store, and as what it answers.
//!
//! This file does not know what commands do, nor which kinds there are.

use bytes::Bytes;
use raft_kv::codec::CommandError;
use raft_kv::{Answer, Command};

/// Any bytes as a command; and as the fields of one of each kind and version.
pub fn kv_command(data: &[u8]) {
    read_command(data);
    if let [_, kind, fields @ ..] = data {
        for version in 1..=Command::VERSION_LATEST {
            read_command(&[&[version, kind % 16], fields].concat());
        }
    }
}

fn read_command(bytes: &[u8]) {
    let decoded = Command::decode(Bytes::copy_from_slice(bytes));
    let version = bytes.first().copied().unwrap_or_default();
    let is_unknown = matches!(decoded, Err(CommandError::UnknownVersion(_)));
    assert_eq!(is_unknown, version > Command::VERSION_LATEST);
    let Ok(command) = decoded else {
        return;
    };
    assert_eq!(command.encode(), bytes, "there is one way to say it");
    assert_eq!(command.version(), version);
    for latest in 0..version {
        let older = Command::decode_up_to(latest, command.encode());
        assert_eq!(older, Err(CommandError::UnknownVersion(version)));
    }
}

/// Any bytes as an answer.
pub fn kv_answer(data: &[u8]) {
    if let Some(answer) = Answer::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(answer.encode(), data, "there is one way to say it");
    }
}
