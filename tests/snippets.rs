//! What the README and the chapters for operators tell people to type is real: command lines that
//! the program understands, code that is tested elsewhere, settings that the server accepts, links
//! that lead somewhere.
//!
//! Nothing is run that needs a server; what commands do is tested where they are.

#[path = "packaging/command_line.rs"]
mod command_line;
#[path = "snippets/page.rs"]
mod page;
#[path = "snippets/shell.rs"]
mod shell;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use page::{Block, Page};

/// The pages that people copy from.
const PAGES: [&str; 5] = [
    "README.md",
    "docs/src/run-a-cluster.md",
    "docs/src/operate.md",
    "docs/src/etcd.md",
    "docs/src/security.md",
];

/// What may stand in a shell's block beside our own program. Anything else is a slip, or has to be
/// looked at here.
const OTHERS: [&str; 10] = [
    "cargo",
    "cp",
    "curl",
    "docker",
    "export",
    "helm",
    "kill",
    "make",
    "mv",
    "systemctl",
];

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("this crate lies one level below the root")
        .to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages() -> Vec<Page> {
    let page = |name: &&str| Page::new(name, &read(&root().join(name)));
    PAGES.iter().map(page).collect()
}

fn blocks(language: &str) -> Vec<Block> {
    let blocks = pages().into_iter().flat_map(|page| page.blocks);
    blocks.filter(|block| block.language == language).collect()
}

/// Every command in a shell's block, with where it stands.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for block in blocks("sh") {
        let commands = shell::commands(&block.text);
        let commands = commands.unwrap_or_else(|error| panic!("{}: {error}", block.place));
        found.extend(
            commands
                .into_iter()
                .map(|words| (block.place.clone(), words)),
        );
    }
    found
}

/// The command lines of our program in one command: itself, or what a container runs.
fn ours(words: &[String]) -> Option<Vec<String>> {
    let program = Path::new(&words[0]).file_name()?.to_string_lossy();
    // The verbs of `etcdctl` are ours, in its own order of arguments.
    let is_ours = program == "raft-cli" || program == "etcdctl";
    let rest = match program.as_ref() {
        _ if is_ours => &words[1..],
        "docker" => {
            let starts = |word: &String| word == "raft-cli" || word.starts_with("raft-cli:");
            let at = words.iter().position(starts)?;
            &words[at + 1..]
        }
        _ => return None,
    };
    let is_build = words.get(1).is_some_and(|word| word == "build");
    if rest.is_empty() || program == "docker" && is_build {
        return None;
    }
    let mut line = vec!["raft-cli".to_owned()];
    line.extend(rest.iter().cloned());
    Some(line)
}

#[test]
fn the_program_understands_what_people_are_told_to_type() {
    let mut lines = 0;
    for (place, words) in commands() {
        if let Some(line) = ours(&words) {
            command_line::check(&line, &place);
            let has_file = line.iter().any(|word| word == "--config-file");
            if line[1] == "server" && !has_file {
                command_line::check_server(&line, &place);
            }
            lines += 1;
        }
    }
    assert!(lines >= 30, "only {lines} command lines were found");
}

#[test]
fn other_programs_are_those_that_are_known() {
    for (place, words) in commands() {
        let is_known = ours(&words).is_some() || OTHERS.contains(&words[0].as_str());
        assert!(is_known, "{place}: {}", words.join(" "));
    }
}

#[test]
fn targets_of_make_are_there() {
    let makefile = read(&root().join("Makefile"));
    for (place, words) in commands() {
        if words[0] == "make" {
            let rule = format!("\n{}:", words[1]);
            assert!(makefile.contains(&rule), "{place}: {}", words.join(" "));
        }
    }
}

#[test]
fn what_cargo_is_told_to_build_is_there() {
    for (place, words) in commands() {
        let after = |flag: &str| {
            let at = words.iter().position(|word| word == flag)?;
            words.get(at + 1)
        };
        if words[0] != "cargo" {
            continue;
        }
        let package = after("-p").unwrap_or_else(|| panic!("{place}: no package"));
        let directory = if package == "raft-tests" {
            "tests"
        } else {
            package.as_str()
        };
        let home = root().join(directory);
        assert!(home.join("Cargo.toml").exists(), "{place}: {package}");
        if let Some(example) = after("--example") {
            let path = home.join(format!("examples/{example}.rs"));
            let directory = home.join(format!("examples/{example}/main.rs"));
            assert!(path.exists() || directory.exists(), "{place}: {example}");
        }
    }
}

#[test]
fn files_of_ours_are_there() {
    for (place, words) in commands() {
        for word in &words {
            if word.starts_with("raft-cli/") {
                assert!(root().join(word).exists(), "{place}: {word}");
            }
        }
    }
}

#[test]
fn what_curl_sends_is_json() {
    let mut bodies = 0;
    for (place, words) in commands() {
        let at = words.iter().position(|word| word == "-d");
        if let Some(at) = at.filter(|_| words[0] == "curl") {
            let body: Result<serde_json::Value, _> = serde_json::from_str(&words[at + 1]);
            assert!(body.is_ok(), "{place}: {}", words[at + 1]);
            bodies += 1;
        }
    }
    assert!(bodies >= 2);
}

/// A text without what all its lines begin with.
fn flush_left(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let least = lines.map(indent).min().unwrap_or(0);
    let cut = |line: &str| line.get(least..).unwrap_or_default().to_owned() + "\n";
    text.lines().map(cut).collect()
}

#[test]
fn the_code_of_the_readme_is_that_of_the_example() {
    let example = read(&root().join("raft-net/examples/counter.rs"));
    let blocks = blocks("rust");
    assert_eq!(blocks.len(), 2);
    let lines: Vec<&str> = example.lines().collect();
    for block in blocks {
        let wanted = flush_left(&block.text);
        let length = wanted.lines().count();
        let is_there = lines
            .windows(length)
            .any(|window| flush_left(&window.join("\n")) == wanted);
        assert!(is_there, "{}: not in the example:\n{wanted}", block.place);
    }
}

#[test]
fn the_server_accepts_the_settings_of_the_chapters() {
    let blocks = blocks("toml");
    assert!(!blocks.is_empty());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.toml");
    for block in blocks {
        fs::write(&path, &block.text).unwrap();
        let path = path.to_str().expect("temporary paths are text");
        let words = ["raft-cli", "server", "--config-file", path];
        command_line::check_server(&words, &block.place);
    }
}

/// Names of variables of the environment that settings have.
#[test]
fn variables_of_the_environment_are_settings() {
    let flags = command_line::server_flags();
    let known: BTreeSet<String> = flags
        .iter()
        .map(|flag| format!("RAFT_{}", flag.to_uppercase().replace('-', "_")))
        .collect();
    for (place, words) in commands() {
        if words[0] != "export" {
            continue;
        }
        for word in &words[1..] {
            let name = word.split('=').next().unwrap_or_default();
            let is_ours = name.starts_with("RAFT_");
            assert!(!is_ours || known.contains(name), "{place}: {name}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let home = root().join(&page.name);
        let home = home.parent().expect("a page lies in a directory");
        for link in &page.links {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let target = if path.is_empty() {
                root().join(&page.name)
            } else {
                home.join(path)
            };
            assert!(target.exists(), "{}: {link}", page.name);
            if !anchor.is_empty() {
                let headings = Page::new(link, &read(&target)).anchors;
                assert!(headings.contains(anchor), "{}: {link}", page.name);
            }
        }
    }
}
