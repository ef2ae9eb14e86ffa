//! The rules on the house: crates, the arrows between them, dependencies, and the top level.
//!
//! It deliberately reads no disk: it gets manifests, a page and a list of names, and judges them.

use std::collections::BTreeSet;

use super::Offence;
use super::manifest::{Dependency, Manifest};

/// Every member of the workspace, by its directory.
pub(crate) const MEMBERS: [&str; 6] = [
    "raft-core",
    "raft-log",
    "raft-net",
    "raft-kv",
    "raft-cli",
    "tests",
];

/// What may stand at the top level beside the members.
const BESIDE: [&str; 17] = [
    ".cargo",
    ".ci",
    ".git",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "docs",
    "rust-toolchain.toml",
    "rustfmt.toml",
];

/// Our own crates that a package may depend on.
fn may_see(package: &str) -> &'static [&'static str] {
    match package {
        "raft-log" | "raft-net" | "raft-kv" => &["raft-core"],
        "raft-cli" => &["raft-core", "raft-kv", "raft-log", "raft-net"],
        "raft-tests" => &["raft-cli", "raft-core", "raft-kv", "raft-log", "raft-net"],
        _ => &[],
    }
}

/// Our own crates that only the examples and integration tests of a package may use on top: whole
/// nodes need a log and a network. What is shipped, and `rules::adapters_apart`, stay as they are.
fn may_try_with(package: &str) -> &'static [&'static str] {
    match package {
        "raft-kv" => &["raft-log", "raft-net"],
        "raft-net" => &["raft-log"],
        _ => &[],
    }
}

/// Arrows point downwards only, but for what examples need.
pub(crate) fn edges(manifest: &Manifest) -> Vec<Offence> {
    let allowed = may_see(&manifest.package);
    let tried = may_try_with(&manifest.package);
    let wrong = |dependency: &&Dependency| {
        let name = dependency.name.as_str();
        let is_fine = allowed.contains(&name) || dependency.dev && tried.contains(&name);
        is_ours(name) && !is_fine
    };
    // The root only declares our crates; it depends on nothing.
    if manifest.package.is_empty() {
        return Vec::new();
    }
    let what = |name: &str| format!("{} may not depend on {name}", manifest.package);
    offences(manifest, wrong, what)
}

/// What the core may use when a feature asks for it: `serde` and `postcard` only encode plain data
/// in memory, for `serde` and `recorder`; the rest is for `driver`, which is not pure.
const CORE_OPTIONS: [&str; 5] = ["postcard", "serde", "thiserror", "tokio", "tracing"];

/// The core compiles with `bytes` alone; the few other crates that it uses are optional.
pub(crate) fn core_needs(manifest: &Manifest) -> Vec<Offence> {
    if manifest.package != "raft-core" {
        return Vec::new();
    }
    let needed = |dependency: &&Dependency| {
        !dependency.dev && !dependency.optional && dependency.name != "bytes"
    };
    let unknown = |dependency: &&Dependency| {
        dependency.optional && !CORE_OPTIONS.contains(&dependency.name.as_str())
    };
    let mut found = offences(manifest, needed, |name| format!("the core needs {name}"));
    found.extend(offences(manifest, unknown, |name| {
        format!("the core may not use {name}, not even as an option")
    }));
    found
}

/// A member says neither versions nor lints itself.
pub(crate) fn inheritance(manifest: &Manifest) -> Vec<Offence> {
    if manifest.package.is_empty() {
        return Vec::new();
    }
    let own = |dependency: &&Dependency| !dependency.inherited;
    let mut found = offences(manifest, own, |name| {
        format!("{name} lacks `workspace = true`")
    });
    if !manifest.inherits_lints {
        found.push(Offence::new(
            &manifest.path,
            0,
            "no `[lints] workspace = true`",
        ));
    }
    found
}

/// Each dependency has a row ``| `name` | why |``, and each row has a dependency.
pub(crate) fn dependency_rows(manifests: &[Manifest], page: &str, text: &str) -> Vec<Offence> {
    let rows: Vec<(usize, &str)> = rows(text);
    let documented: BTreeSet<&str> = rows.iter().map(|&(_, name)| name).collect();
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for manifest in manifests {
        for dependency in manifest
            .dependencies
            .iter()
            .filter(|one| !is_ours(&one.name))
        {
            let name = dependency.name.as_str();
            if used.insert(name) && !documented.contains(name) {
                let what = format!("{name} has no row in {page}");
                found.push(Offence::new(&manifest.path, dependency.line, what));
            }
        }
    }
    for (line, name) in rows {
        if !used.contains(name) {
            found.push(Offence::new(
                page,
                line,
                format!("nothing depends on {name}"),
            ));
        }
    }
    found
}

/// Top-level names that neither the architecture nor an anchored line of `.gitignore` knows.
pub(crate) fn strangers(names: &[String], gitignore: &str) -> Vec<Offence> {
    let ignored: BTreeSet<&str> = gitignore
        .lines()
        .filter_map(|line| line.strip_prefix('/'))
        .map(|line| line.trim_end_matches('/'))
        .collect();
    let known =
        |name: &str| MEMBERS.contains(&name) || BESIDE.contains(&name) || ignored.contains(name);
    let unknown = names.iter().filter(|name| !known(name));
    unknown
        .map(|name| Offence::new(name, 0, "has no place at the top level"))
        .collect()
}

fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "raft-core" | "raft-log" | "raft-net" | "raft-kv" | "raft-cli" | "raft-tests"
    )
}

fn offences(
    manifest: &Manifest,
    wrong: impl Fn(&&Dependency) -> bool,
    what: impl Fn(&str) -> String,
) -> Vec<Offence> {
    let wrong = manifest.dependencies.iter().filter(wrong);
    wrong
        .map(|one| Offence::new(&manifest.path, one.line, what(&one.name)))
        .collect()
}

/// The names in the first column of the page's table, if they are followed by some reason.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, rest)) = line
            .strip_prefix("| `")
            .and_then(|row| row.split_once("` |"))
        else {
            continue;
        };
        if rest.chars().any(char::is_alphabetic) {
            rows.push((index + 1, name));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(package: &str, dependencies: &str) -> Manifest {
        let text = format!("[package]\nname = \"{package}\"\n[dependencies]\n{dependencies}\n");
        Manifest::parse("some/Cargo.toml", &text)
    }

    fn texts(offences: &[Offence]) -> Vec<String> {
        offences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_adapter_that_sees_another_offends() {
        let log = manifest(
            "raft-log",
            "raft-core.workspace = true\nraft-net.workspace = true",
        );
        assert_eq!(
            texts(&edges(&log)),
            ["some/Cargo.toml:5: raft-log may not depend on raft-net"]
        );
        assert_eq!(
            edges(&manifest("raft-core", "raft-log = { path = \"x\" }")).len(),
            1
        );
        assert_eq!(
            edges(&manifest("raft-kv", "net = { package = \"raft-net\" }")).len(),
            1
        );
        assert_eq!(
            edges(&manifest("raft-cli", "raft-net.workspace = true")).len(),
            0
        );
    }

    #[test]
    fn only_the_network_and_the_store_have_examples_with_a_log() {
        let check = |package: &str, section: &str, dependency: &str, expected: usize| {
            let text = format!("[package]\nname = \"{package}\"\n[{section}]\n{dependency}\n");
            let manifest = Manifest::parse("some/Cargo.toml", &text);
            assert_eq!(edges(&manifest).len(), expected, "{text}");
        };
        check(
            "raft-net",
            "dev-dependencies",
            "raft-log.workspace = true",
            0,
        );
        check("raft-net", "dependencies", "raft-log.workspace = true", 1);
        let both = "raft-log.workspace = true\nraft-net.workspace = true";
        check("raft-kv", "dev-dependencies", both, 0);
        check("raft-kv", "dependencies", both, 2);
        check("raft-net", "build-dependencies", "raft-log = \"1\"", 1);
        check(
            "raft-net",
            "dev-dependencies",
            "raft-kv.workspace = true",
            1,
        );
        check(
            "raft-log",
            "dev-dependencies",
            "raft-net.workspace = true",
            1,
        );
        check(
            "raft-core",
            "dev-dependencies",
            "raft-log.workspace = true",
            1,
        );
    }

    #[test]
    fn a_core_that_needs_more_than_bytes_offends() {
        let core = manifest(
            "raft-core",
            "bytes.workspace = true\ntokio.workspace = true",
        );
        assert_eq!(
            texts(&core_needs(&core)),
            ["some/Cargo.toml:5: the core needs tokio"]
        );
        let core = manifest("raft-core", "serde = { workspace = true, optional = true }");
        assert_eq!(core_needs(&core).len(), 0);
        let core = manifest("raft-core", "rand = { workspace = true, optional = true }");
        assert_eq!(
            texts(&core_needs(&core)),
            ["some/Cargo.toml:4: the core may not use rand, not even as an option"]
        );
    }

    #[test]
    fn a_version_or_missing_lints_in_a_member_offend() {
        assert_eq!(inheritance(&manifest("raft-kv", "serde = \"1\"")).len(), 2);
        let good = manifest(
            "raft-kv",
            "serde.workspace = true\n[lints]\nworkspace = true",
        );
        assert_eq!(inheritance(&good).len(), 0);
    }

    #[test]
    fn a_dependency_without_a_row_and_a_row_without_a_dependency_offend() {
        let manifests = [manifest(
            "raft-kv",
            "serde = \"1\"\nlibc = \"1\"\nraft-core = \"1\"",
        )];
        let page =
            "| crate | why |\n| --- | --- |\n| `serde` | Reads. |\n| `gone` | Was. |\n| `libc` | |";
        let expected = [
            "some/Cargo.toml:5: libc has no row in page.md",
            "page.md:4: nothing depends on gone",
        ];
        assert_eq!(
            texts(&dependency_rows(&manifests, "page.md", page)),
            expected
        );
    }

    #[test]
    fn a_stranger_at_the_top_level_offends() {
        let names = ["raft-core", "rustfmt.toml", "notes", "target", "build"].map(str::to_owned);
        let found = strangers(&names, "/target/\nbuild\n");
        assert_eq!(
            texts(&found),
            [
                "notes:0: has no place at the top level",
                "build:0: has no place at the top level",
            ]
        );
    }
}
