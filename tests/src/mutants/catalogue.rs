//! The catalogue: one mutant a file, in a format that reads like a patch.
//!
//! ```text
//! # What the bug is, and where it was seen.
//! file raft-core/src/consensus/vote.rs
//! fn request_vote
//! - let free = self.hard_state.vote.is_none_or(|id| id == from);
//! + let free = true;
//! ```
//!
//! The removed lines must stand exactly once in the function. A single line may also be a part of
//! a line: an expression. `impl Name` before `fn` helps where a file has two functions of the name.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// A planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its number: what switches it on. Numbers start at 1.
    pub number: u32,
    /// The name of its file.
    pub name: String,
    /// What the bug is.
    pub about: String,
    /// In which source file, from the root of the workspace.
    pub file: PathBuf,
    /// In which `impl`, where the function's name alone would not do.
    pub owner: Option<String>,
    /// In which function.
    pub function: String,
    /// What is taken out.
    pub old: Vec<String>,
    /// What takes its place.
    pub new: Vec<String>,
}

/// All mutants of a folder, in the order of their names.
///
/// # Errors
/// When a file can't be read or does not keep to the format.
pub fn read(folder: &Path) -> Result<Vec<Mutant>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut mutants = Vec::new();
    for (path, number) in paths.iter().zip(1..) {
        let text = std::fs::read_to_string(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        mutants.push(parse(number, &name, &text).with_context(|| path.display().to_string())?);
    }
    Ok(mutants)
}

/// Reads one mutant.
///
/// # Errors
/// Says which line does not keep to the format, or what is missing.
pub fn parse(number: u32, name: &str, text: &str) -> Result<Mutant> {
    let mut mutant = Mutant {
        number,
        name: name.to_owned(),
        about: String::new(),
        file: PathBuf::new(),
        owner: None,
        function: String::new(),
        old: Vec::new(),
        new: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "#" if mutant.about.is_empty() => rest.clone_into(&mut mutant.about),
            "#" => mutant.about = format!("{} {rest}", mutant.about),
            "file" => mutant.file = PathBuf::from(rest),
            "impl" => mutant.owner = Some(rest.to_owned()),
            "fn" => rest.clone_into(&mut mutant.function),
            "-" => mutant.old.push(rest.trim().to_owned()),
            "+" => mutant.new.push(rest.trim().to_owned()),
            _ => bail!("not a line of a mutant: {line}"),
        }
    }
    ensure!(!mutant.about.is_empty(), "no `# about`");
    ensure!(!mutant.function.is_empty(), "no `fn`");
    ensure!(!mutant.old.is_empty(), "nothing is taken out");
    ensure!(mutant.old != mutant.new, "nothing changes");
    Ok(mutant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_reads_like_a_patch() {
        let text =
            "# votes twice\n# (seen often)\nfile a.rs\nfn vote\n- if x {\n-     y();\n+ y();\n";
        let mutant = parse(3, "vote-twice", text).expect("well formed");
        assert_eq!(mutant.about, "votes twice (seen often)");
        assert_eq!(mutant.old, ["if x {", "y();"]);
        assert_eq!(mutant.new, ["y();"]);
        assert!(
            parse(3, "x", "# about\nfile a.rs\nfn f\n+ y();\n").is_err(),
            "nothing removed"
        );
        assert!(parse(3, "x", "about\n").is_err(), "unknown mark");
    }
}
