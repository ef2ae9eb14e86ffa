//! Every transcript in `testdata` says what the core does, to the letter.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test -p raft-tests --test transcripts` writes them anew; then review
//! the diff like any other. This file does not know what any of them is about.

use std::fs;
use std::path::{Path, PathBuf};

use raft_tests::transcript::{difference, replay};

/// Fewer means that somebody moved them.
const AT_LEAST: usize = 20;

#[test]
fn transcripts_say_what_the_core_does() {
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let paths = transcripts();
    assert!(paths.len() >= AT_LEAST, "only {} transcripts", paths.len());
    let differing: Vec<String> = paths
        .iter()
        .filter_map(|path| check(path, update))
        .collect();
    println!("{} transcripts", paths.len());
    assert!(
        differing.is_empty(),
        "UPDATE_TRANSCRIPTS=1 writes anew what follows; review it then:\n\n{}",
        differing.join("\n")
    );
}

/// What is wrong with a transcript, if anything.
fn check(path: &Path, update: bool) -> Option<String> {
    let name = path.display();
    let expected = fs::read_to_string(path).expect("a transcript is readable");
    let found = match replay(&expected) {
        Ok(found) => found,
        Err(error) => return Some(format!("{name}: {error}\n")),
    };
    let difference = difference(&expected, &found)?;
    if update {
        fs::write(path, found).expect("a transcript is writable");
        println!("{name}: written anew");
        return None;
    }
    Some(format!("{name} {difference}"))
}

fn transcripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = fs::read_dir(directory).expect("testdata is there");
    let paths = entries.map(|entry| entry.expect("listed").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    paths.sort();
    paths
}
