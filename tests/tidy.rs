//! The house style as tests: each rule that text can decide, over all Rust files and manifests.
//!
//! It deliberately knows nothing of types: what needs a compiler is left to clippy (`Cargo.toml`).
//! Every checker is a pure function with a self-test that shows it an offender, so none is vacuous.

#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use manifest::Manifest;
use source::Source;

/// One breach of one rule. Line 0 means the file as a whole.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    path: String,
    line: usize,
    what: String,
}

impl Offence {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Offence {
        Offence {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    check_sources(
        "a file opens with `//!`: what it is, and what it does not know",
        rules::header,
    );
}

#[test]
fn lines_have_at_most_100_columns() {
    check_sources("a line has at most 100 columns", rules::long_lines);
}

#[test]
fn files_have_at_most_500_lines() {
    check_sources(
        "a file has at most 500 lines, its tests apart",
        rules::long_file,
    );
}

#[test]
fn functions_have_at_most_70_lines() {
    check_sources(
        "a function has at most 70 lines, tests apart",
        rules::long_functions,
    );
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    check_sources(
        "no unfinished code, no ignored test, no bare `allow`",
        rules::banned_words,
    );
}

#[test]
fn the_core_is_pure() {
    check_sources(
        "the core reads no clock, disk, network or randomness",
        rules::impure_words,
    );
}

#[test]
fn crates_depend_only_downwards() {
    check_manifests(
        "adapters see the core only, and the core sees none of us",
        house::edges,
    );
}

#[test]
fn adapters_never_name_each_other() {
    check_sources(
        "no source of an adapter names another adapter",
        rules::adapters_apart,
    );
}

#[test]
fn the_core_needs_only_bytes() {
    check_manifests(
        "what the core cannot do without is `bytes`",
        house::core_needs,
    );
}

#[test]
fn versions_and_lints_are_said_once() {
    check_manifests(
        "members inherit versions and lints of the workspace",
        house::inheritance,
    );
}

#[test]
fn every_dependency_has_its_sentence() {
    let page = "docs/dependencies.md";
    let offences = house::dependency_rows(&manifests(), page, &read(&root().join(page)));
    report(
        "each dependency has a row in docs/dependencies.md, and each row a user",
        &offences,
    );
}

#[test]
fn the_top_level_has_only_what_the_architecture_names() {
    let mut names: Vec<String> = entries(&root()).iter().map(|path| name(path)).collect();
    names.sort();
    let offences = house::strangers(&names, &read(&root().join(".gitignore")));
    report(
        "the top level holds the crates, docs/, tests/ and the files beside them",
        &offences,
    );
}

fn check_sources(rule: &str, checker: fn(&Source) -> Vec<Offence>) {
    let offences: Vec<Offence> = sources().iter().flat_map(checker).collect();
    report(rule, &offences);
}

fn check_manifests(rule: &str, checker: fn(&Manifest) -> Vec<Offence>) {
    let offences: Vec<Offence> = manifests().iter().flat_map(checker).collect();
    report(rule, &offences);
}

fn report(rule: &str, offences: &[Offence]) {
    let list: Vec<String> = offences.iter().map(ToString::to_string).collect();
    assert!(
        list.is_empty(),
        "{rule}. {} offenders:\n  {}",
        list.len(),
        list.join("\n  ")
    );
}

/// Every Rust file of the workspace. A walk that finds no file of some member is broken.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root(), &mut paths);
    paths.sort();
    for member in house::MEMBERS {
        let home = root().join(member);
        assert!(
            paths.iter().any(|path| path.starts_with(&home)),
            "no Rust file under {member}/"
        );
    }
    paths
        .iter()
        .map(|path| Source::new(&relative(path), &read(path)))
        .collect()
}

/// The root manifest, then those of the members.
fn manifests() -> Vec<Manifest> {
    let mut paths = vec![root().join("Cargo.toml")];
    paths.extend(
        house::MEMBERS
            .iter()
            .map(|member| root().join(member).join("Cargo.toml")),
    );
    paths
        .iter()
        .map(|path| Manifest::parse(&relative(path), &read(path)))
        .collect()
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(directory) {
        let name = name(&path);
        if path.is_dir() {
            // What a program wrote, a test of its own compares with what it would write now.
            let is_ours = !name.starts_with('.') && name != "target" && name != "generated";
            if is_ours {
                walk(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", directory.display()));
    listing
        .map(|entry| entry.expect("a directory entry can be read").path())
        .collect()
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("this crate lies one level below the root")
        .to_owned()
}
