//! What holds of any command, any answer, and any bytes. It does not know particular ones.

use bytes::Bytes;
use proptest::prelude::*;

use super::arbitrary::{answer, command};
use super::{answers, commands};
use crate::codec::CommandError;
use crate::{Answer, Command};

proptest! {
    #[test]
    fn any_command_comes_back(command in command()) {
        let bytes = command.encode();
        prop_assert_eq!(bytes[0], command.version());
        prop_assert_eq!(Command::decode(bytes), Ok(command));
    }

    #[test]
    fn any_answer_comes_back(answer in answer()) {
        prop_assert_eq!(Answer::decode(answer.encode()), Some(answer));
    }

    #[test]
    fn any_bytes_are_one_command_or_none(kind in 0..15_u8, fields: Vec<u8>) {
        for version in 1..=Command::VERSION_LATEST {
            let bytes = Bytes::from([&[version, kind], &fields[..]].concat());
            if let Ok(command) = Command::decode(bytes.clone()) {
                prop_assert_eq!(command.encode(), bytes);
            }
        }
    }

    #[test]
    fn any_bytes_are_one_answer_or_none(bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        if let Some(answer) = Answer::decode(bytes.clone()) {
            prop_assert_eq!(answer.encode(), bytes);
        }
    }
}

#[test]
fn whatever_is_cut_off_or_goes_on_is_refused() {
    for (name, command) in commands() {
        let bytes = command.encode();
        for end in 0..bytes.len() {
            let cut = Command::decode(bytes.slice(..end));
            assert_eq!(cut, Err(CommandError::Malformed), "{end} bytes of {name}");
        }
        let longer = Bytes::from([&bytes[..], &[0]].concat());
        assert_eq!(
            Command::decode(longer),
            Err(CommandError::Malformed),
            "{name}"
        );
    }
    for (name, answer) in answers() {
        let bytes = answer.encode();
        for end in 0..bytes.len() {
            let cut = Answer::decode(bytes.slice(..end));
            assert_eq!(cut, None, "{end} bytes of {name}");
        }
        let longer = Bytes::from([&bytes[..], &[0]].concat());
        assert_eq!(Answer::decode(longer), None, "{name}");
    }
}

#[test]
fn a_byte_that_is_changed_changes_what_is_said() {
    for (name, command) in commands() {
        for changed in changed(&command.encode()) {
            if let Ok(other) = Command::decode(changed.clone()) {
                assert_ne!(other, command, "{name}");
                assert_eq!(other.encode(), changed, "{name}");
            }
        }
    }
    for (name, answer) in answers() {
        for changed in changed(&answer.encode()) {
            if let Some(other) = Answer::decode(changed.clone()) {
                assert_ne!(other, answer, "{name}");
                assert_eq!(other.encode(), changed, "{name}");
            }
        }
    }
}

/// These bytes with any one of them being any other.
fn changed(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..bytes.len()).flat_map(move |at| {
        (1..=u8::MAX).map(move |mask| {
            let mut changed = bytes.to_vec();
            changed[at] ^= mask;
            Bytes::from(changed)
        })
    })
}
