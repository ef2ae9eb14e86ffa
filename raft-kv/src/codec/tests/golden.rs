//! The bytes of every example as they were when their version was frozen.
//!
//! `UPDATE_GOLDEN=1 cargo test -p raft-kv golden` writes them anew, which is right only when lines
//! were added: what a released version has written lies in logs. It does not know what is in the
//! examples.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::{answers, commands};
use crate::codec::CommandError;
use crate::{Answer, Command};

const HEADING: &str = "\
# What each command and answer is encoded to. Frozen: logs are full of it. If a line that was
# released differs, the format has changed, and needs a kind and a version of its own.
";

#[test]
fn golden_bytes_are_what_ever_was_encoded() {
    let mut text = HEADING.to_owned();
    for (name, bytes) in all() {
        writeln!(text, "{name} {}", hex(&bytes)).expect("to memory");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codec/golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).expect("written");
    }
    let kept = fs::read_to_string(&path).expect("golden bytes");
    for (kept, encoded) in kept.lines().zip(text.lines()) {
        assert_eq!(
            kept, encoded,
            "the format has changed: that takes a new version"
        );
    }
    assert_eq!(kept.len(), text.len(), "every example has its line");
}

/// The names of all examples, with what stands before their version or kind, and their bytes.
fn all() -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    for version in 1..=Command::VERSION_LATEST {
        let of_version = |(_, command): &(_, Command)| command.version() == version;
        for (name, command) in commands().into_iter().filter(of_version) {
            all.push((format!("command.{version}.{name}"), command.encode()));
        }
    }
    for (name, answer) in answers() {
        all.push((format!("answer.{name}"), answer.encode()));
    }
    all
}

#[test]
fn golden_examples_are_decoded_to_what_they_say() {
    for (name, command) in commands() {
        assert_eq!(Command::decode(command.encode()), Ok(command), "{name}");
    }
    for (name, answer) in answers() {
        assert_eq!(Answer::decode(answer.encode()), Some(answer), "{name}");
    }
}

#[test]
fn golden_examples_are_of_every_kind_that_is_known() {
    let known = |kind: &u8| {
        let command = Command::decode(Bytes::copy_from_slice(&[1, *kind]));
        !matches!(command, Err(CommandError::UnknownKind { .. }))
    };
    let known: BTreeSet<u8> = (0..=u8::MAX).filter(known).collect();
    let shown = |(_, command): (_, Command)| command.encode()[1];
    let shown: BTreeSet<u8> = commands().into_iter().map(shown).collect();
    assert_eq!(shown, known);
}

#[test]
fn an_answer_to_a_put_is_a_few_bytes() {
    let (name, answer) = answers().swap_remove(0);
    assert_eq!((name, answer.encode().len()), ("put", 5));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
