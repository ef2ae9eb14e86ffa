//! The order of arguments: etcdctl takes its global flags before the verb as well. They are moved
//! behind it, so that verbs which have no servers to ask need not know them.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Args, Command};

use super::connect::ConnectArgs;
use super::output::OutputArgs;

/// The same command line, with the client's flags behind the verb.
pub(crate) fn arranged(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let flags = OutputArgs::augment_args(ConnectArgs::augment_args(Command::new("flags")));
    let mut end = 1;
    while let Some(count) = arguments
        .get(end)
        .and_then(|text| width(&flags, text.to_str()?))
    {
        end += count;
    }
    if end == 1 || end >= arguments.len() {
        return arguments;
    }
    // The verb goes before them.
    arguments[1..=end].rotate_right(1);
    arguments
}

/// How many arguments the flag in `text` is, with its value; `None` if it is no flag of `flags`.
fn width(flags: &Command, text: &str) -> Option<usize> {
    if let Some(name) = text.strip_prefix("--") {
        let (name, has_value) = match name.split_once('=') {
            Some((name, _)) => (name, true),
            None => (name, false),
        };
        let flag = flags
            .get_arguments()
            .find(|flag| flag.get_long() == Some(name))?;
        return Some(if has_value || stands_alone(flag) {
            1
        } else {
            2
        });
    }
    let mut letters = text.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let flag = flags
        .get_arguments()
        .find(|flag| flag.get_short() == Some(letter))?;
    let has_value = letters.next().is_some();
    Some(if has_value || stands_alone(flag) {
        1
    } else {
        2
    })
}

fn stands_alone(flag: &Arg) -> bool {
    flag.is_require_equals_set() || matches!(flag.get_action(), ArgAction::SetTrue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_client_are_moved_behind_the_verb() {
        let check = |text: &str, expected: &str| {
            let given = text.split(' ').map(OsString::from);
            let arranged: Vec<_> = arranged(given)
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect();
            assert_eq!(arranged.join(" "), expected);
        };
        check("c get a", "c get a");
        check("c --endpoints b:1 get a", "c get --endpoints b:1 a");
        check(
            "c --endpoints=b:1 -w json get a",
            "c get --endpoints=b:1 -w json a",
        );
        check("c -wjson --hex get a", "c get -wjson --hex a");
        check(
            "c --insecure-skip-tls-verify get a",
            "c get --insecure-skip-tls-verify a",
        );
        check("c get a --hex", "c get a --hex");
        check("c --help", "c --help");
        check("c --hex", "c --hex");
        check("c --endpoints", "c --endpoints");
        check("c --unknown get", "c --unknown get");
        check("c", "c");
    }
}
