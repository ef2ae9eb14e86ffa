//! The rules on Rust files, each a pure function from one file to its offences.
//!
//! It deliberately reads no disk and knows no manifest: see `house.rs` for the rules on crates.

use super::Offence;
use super::source::{Kind, Source};

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// What no file may contain, and what to do instead.
const BANNED: [(&str, &str); 6] = [
    (
        "#[ignore",
        "a test that does not run tests nothing: make it fast or delete it",
    ),
    ("#[allow(", "write `#[expect(lint, reason = \"..\")]`"),
    ("#![allow(", "write `#![expect(lint, reason = \"..\")]`"),
    ("todo!", "leave out what is not built"),
    ("unimplemented!", "leave out what is not built"),
    ("dbg!", "remove the print"),
];

/// What neither the core nor its simulated world may use: a run must repeat byte for byte.
const OUTER_WORLD: [&str; 11] = [
    "tokio",
    "Instant",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "rand::",
    "RandomState",
    // A group hides which modules it brings in: import them one by one.
    "std::{",
];

/// What the core itself may not use on top of that. The world may, with a fixed hasher.
const CORE_ONLY: [&str; 5] = ["HashMap", "HashSet", "Mutex", "RwLock", "println!"];

/// Constructors that always hash with a seed of the process.
const RANDOM_HASHERS: [&str; 4] = [
    "HashMap::new",
    "HashSet::new",
    "HashMap::with_capacity",
    "HashSet::with_capacity",
];

/// A file opens with `//!`.
pub(crate) fn header(source: &Source) -> Vec<Offence> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![Offence::new(&source.path, 1, "no `//!` on the first line")]
}

/// Columns count characters, not bytes.
pub(crate) fn long_lines(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX {
            offences.push(Offence::new(
                &source.path,
                index + 1,
                format!("{columns} columns"),
            ));
        }
    }
    offences
}

/// The unit tests at the end of a file do not count.
pub(crate) fn long_file(source: &Source) -> Vec<Offence> {
    if source.kind() != Kind::Shipped {
        return Vec::new();
    }
    let trailing = |span: &&std::ops::Range<usize>| source.code[span.end..].trim().is_empty();
    let tests = source.test_items();
    let lines = match tests.iter().find(trailing) {
        Some(span) => source.line(span.start) - 1,
        None => source.text.lines().count(),
    };
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![Offence::new(&source.path, 0, format!("{lines} lines"))]
}

/// A function is as long as its lines from `fn` to the closing brace.
pub(crate) fn long_functions(source: &Source) -> Vec<Offence> {
    if source.kind() == Kind::Test {
        return Vec::new();
    }
    let tests = source.test_items();
    let mut offences = Vec::new();
    for (name, span) in source.functions() {
        let lines = 1 + source.line(span.end) - source.line(span.start);
        let in_tests = tests.iter().any(|test| test.contains(&span.start));
        if lines > FUNCTION_LINES_MAX && !in_tests {
            let what = format!("`{name}` has {lines} lines");
            offences.push(Offence::new(&source.path, source.line(span.start), what));
        }
    }
    offences
}

/// Unfinished code, tests switched off, lints switched off without a reason.
pub(crate) fn banned_words(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (words, instead) in BANNED {
        for offset in source.find(words) {
            let what = format!("`{words}`: {instead}");
            offences.push(Offence::new(&source.path, source.line(offset), what));
        }
    }
    offences
}

/// Clocks, disks, sockets, threads and unseeded hashing, in the core outside its driver.
pub(crate) fn impure_words(source: &Source) -> Vec<Offence> {
    let Some(path) = source.path.strip_prefix("raft-core/src/") else {
        return Vec::new();
    };
    // What a transport delivers into is shared between threads, also when a suite provides it.
    let is_outside = ["driver/", "conformance/transport/"]
        .iter()
        .any(|folder| path.starts_with(folder));
    if is_outside || path == "driver.rs" || path == "conformance.rs" {
        return Vec::new();
    }
    let in_world = path.starts_with("sim/") || path == "sim.rs";
    let more: &[&str] = if in_world {
        &RANDOM_HASHERS
    } else {
        &CORE_ONLY
    };
    let mut offences = Vec::new();
    for words in OUTER_WORLD.iter().chain(more) {
        for offset in source.find(words) {
            let what = format!("`{words}` in a pure module");
            offences.push(Offence::new(&source.path, source.line(offset), what));
        }
    }
    offences
}

/// An adapter's own sources name no other adapter, not even in their unit tests. A manifest can't
/// tell these from examples, which may.
pub(crate) fn adapters_apart(source: &Source) -> Vec<Offence> {
    const ADAPTERS: [(&str, &str); 3] = [
        ("raft-kv/src/", "raft_kv"),
        ("raft-log/src/", "raft_log"),
        ("raft-net/src/", "raft_net"),
    ];
    let home = |(folder, _): &&(&str, &str)| source.path.starts_with(folder);
    let Some((folder, own)) = ADAPTERS.iter().find(home) else {
        return Vec::new();
    };
    let mut offences = Vec::new();
    for (_, other) in ADAPTERS.iter().filter(|(_, name)| name != own) {
        for offset in source.find(other) {
            let what = format!("`{other}` in {folder}");
            offences.push(Offence::new(&source.path, source.line(offset), what));
        }
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    type Checker = fn(&Source) -> Vec<Offence>;

    /// The lines that a checker objects to.
    fn lines(checker: Checker, path: &str, text: &str) -> Vec<usize> {
        checker(&Source::new(path, text))
            .iter()
            .map(|offence| offence.line)
            .collect()
    }

    #[test]
    fn a_file_without_a_header_offends() {
        assert_eq!(
            lines(header, "a/src/lib.rs", "use std::fmt;\n//! late"),
            [1]
        );
        assert_eq!(lines(header, "a/src/lib.rs", ""), [1]);
        assert_eq!(lines(header, "a/src/lib.rs", "//! A file.\n"), []);
    }

    #[test]
    fn a_line_of_101_columns_offends() {
        let text = format!("short\n{}\n{}\n", "é".repeat(100), "é".repeat(101));
        assert_eq!(lines(long_lines, "a/src/lib.rs", &text), [3]);
    }

    #[test]
    fn a_file_of_501_lines_offends_unless_the_rest_is_tests() {
        let tests = "#[cfg(test)]\nmod tests {\n    fn a() {}\n}\n";
        let full = "x;\n".repeat(500);
        assert_eq!(lines(long_file, "a/src/lib.rs", &full), []);
        assert_eq!(
            lines(long_file, "a/src/lib.rs", &format!("{full}{tests}")),
            []
        );
        assert_eq!(
            lines(long_file, "a/src/lib.rs", &format!("{full}y;\n{tests}")),
            [0]
        );
        assert_eq!(
            lines(long_file, "a/src/lib.rs", &format!("{tests}{full}")),
            [0]
        );
        assert_eq!(
            lines(long_file, "a/benches/b.rs", &format!("{full}y;\n")),
            []
        );
    }

    #[test]
    fn a_function_of_71_lines_offends_outside_tests() {
        let of = |lines: usize| format!("fn long() {{\n{}}}\n", "x;\n".repeat(lines - 2));
        assert_eq!(lines(long_functions, "a/src/lib.rs", &of(70)), []);
        assert_eq!(
            lines(long_functions, "a/src/lib.rs", &format!("\n{}", of(71))),
            [2]
        );
        assert_eq!(
            lines(long_functions, "tests/src/bin/explore.rs", &of(71)),
            [1]
        );
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", of(71));
        assert_eq!(lines(long_functions, "a/src/lib.rs", &in_tests), []);
    }

    #[test]
    fn each_banned_word_offends_in_code_only() {
        for (words, _) in BANNED {
            let text = format!("// {words}\nlet x = r#\"{words}\"#;\n{words}(x)\n");
            assert_eq!(
                lines(banned_words, "a/src/lib.rs", &text),
                [3],
                "for {words}"
            );
        }
        assert_eq!(
            lines(
                banned_words,
                "a/src/lib.rs",
                "#[expect(dead_code)]\nmy_todo!()"
            ),
            []
        );
    }

    #[test]
    fn each_impure_word_offends_in_the_core() {
        let core = "raft-core/src/consensus/raft.rs";
        for words in OUTER_WORLD.iter().chain(&CORE_ONLY) {
            let text = format!("//! Not {words}.\nuse {words};\n");
            assert_eq!(lines(impure_words, core, &text), [2], "for {words}");
            assert_eq!(
                lines(impure_words, "raft-core/src/driver/run.rs", &text),
                []
            );
            assert_eq!(
                lines(impure_words, "raft-core/src/conformance.rs", &text),
                []
            );
            assert_eq!(lines(impure_words, "raft-log/src/wal.rs", &text), []);
        }
    }

    #[test]
    fn the_world_may_hash_but_not_at_random() {
        let world = "raft-core/src/sim/network.rs";
        assert_eq!(
            lines(impure_words, world, "type Seen = HashMap<u8, u8, Fixed>;\n"),
            []
        );
        for words in OUTER_WORLD.iter().chain(&RANDOM_HASHERS) {
            assert_eq!(
                lines(impure_words, world, &format!("\n{words}();\n")),
                [2],
                "for {words}"
            );
        }
    }

    #[test]
    fn an_adapter_that_names_another_offends_outside_of_examples() {
        let text = "//! Beside raft_log.\nuse raft_log::Wal;\nuse raft_core::Node;\n";
        assert_eq!(lines(adapters_apart, "raft-net/src/net.rs", text), [2]);
        assert_eq!(
            lines(adapters_apart, "raft-net/src/net/tests.rs", text),
            [2]
        );
        assert_eq!(lines(adapters_apart, "raft-kv/src/machine.rs", text), [2]);
        assert_eq!(lines(adapters_apart, "raft-log/src/lib.rs", text), []);
        assert_eq!(lines(adapters_apart, "raft-net/examples/a.rs", text), []);
        assert_eq!(lines(adapters_apart, "raft-cli/src/main.rs", text), []);
    }
}
