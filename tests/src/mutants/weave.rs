//! Weaves all mutants into a copy of the workspace: `if on(7) { bug } else { code }`.
//!
//! A text tool: it knows functions by their indentation, which rustfmt guarantees, and nothing else
//! of Rust.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::catalogue::Mutant;

/// What a woven crate gets in addition: the switch.
const SWITCH: &str = r#"
//! Which mutant is on.

use std::sync::OnceLock;

pub fn on(number: u32) -> bool {
    static ON: OnceLock<u32> = OnceLock::new();
    number
        == *ON.get_or_init(|| {
            std::env::var("RAFT_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0)
        })
}
"#;

/// What the woven workspace consists of.
const PARTS: [&str; 7] = [
    "Cargo.lock",
    // Not compiled: tests of the node are off. But cargo wants to see whoever is named.
    "raft-cli",
    "raft-core",
    "raft-kv",
    "raft-log",
    "raft-net",
    "tests",
];
/// The crates that get the switch.
const SWITCHED: [&str; 3] = ["raft-core", "raft-kv", "raft-log"];

/// Writes the woven workspace into `to`. Files that did not change keep their age, so that cargo
/// compiles only what changed.
///
/// # Errors
/// When a mutant does not fit the sources, or files can't be read or written.
pub fn weave(root: &Path, mutants: &[Mutant], to: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for part in PARTS {
        collect(root, Path::new(part), &mut files)?;
    }
    for mutant in in_order(mutants) {
        let source = files.get_mut(&mutant.file);
        let source = source.with_context(|| format!("no file {}", mutant.file.display()))?;
        *source = plant(source, mutant).with_context(|| mutant.name.clone())?;
    }
    for name in SWITCHED {
        let sources = Path::new(name).join("src");
        let lib = files.get_mut(&sources.join("lib.rs")).context(name)?;
        *lib = format!("{lib}\nmod mutant;\n");
        files.insert(sources.join("mutant.rs"), SWITCH.to_owned());
    }
    files.insert(PathBuf::from("Cargo.toml"), manifest(root)?);
    for (path, text) in &files {
        write_if_changed(&to.join(path), text)?;
    }
    Ok(())
}

fn collect(root: &Path, path: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let full = root.join(path);
    if !full.is_dir() {
        let is_text = path
            .extension()
            .is_some_and(|e| e != "mutant" && e != "bin");
        if is_text {
            let text = std::fs::read_to_string(&full);
            files.insert(
                path.to_owned(),
                text.with_context(|| full.display().to_string())?,
            );
        }
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(&full)? {
        entries.push(entry?.file_name());
    }
    entries.sort();
    entries
        .iter()
        .try_for_each(|name| collect(root, &path.join(name), files))
}

/// The workspace's manifest, with the members that are woven and no lints: mutants are not pretty.
fn manifest(root: &Path) -> Result<String> {
    let text = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let mut woven = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line.starts_with('[') {
            skipping = line.starts_with("[workspace.lints");
        }
        if line.starts_with("members") {
            let members = &PARTS[1..];
            writeln!(woven, "members = {members:?}")?;
        } else if !skipping {
            woven.push_str(line);
            woven.push('\n');
        }
    }
    woven.push_str("[workspace.lints.rust]\nwarnings = \"allow\"\n");
    Ok(woven)
}

fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// The longest first: a shorter one may lie in what is left of it.
fn in_order(mutants: &[Mutant]) -> Vec<&Mutant> {
    let mut ordered: Vec<&Mutant> = mutants.iter().collect();
    ordered.sort_by_key(|mutant| Reverse(mutant.old.len()));
    ordered
}

/// Plants one mutant, with its switch, into the text of a source file.
///
/// # Errors
/// When what is to be replaced is not there, or more than once.
pub fn plant(source: &str, mutant: &Mutant) -> Result<String> {
    let lines: Vec<&str> = source.lines().collect();
    let function = find_function(&lines, mutant)?;
    // One line that is no statement is an expression, or a part of one.
    if let [part] = mutant.old.as_slice()
        && !part.ends_with([';', '}'])
    {
        return plant_part(&lines, function, part, mutant);
    }
    let at = find_lines(&lines, function, &mutant.old);
    ensure!(
        at.len() == 1,
        "the lines stand {} times in fn {}",
        at.len(),
        mutant.function
    );
    let replaced = at[0]..at[0] + mutant.old.len();
    // Indented, so that no line looks like the end of a function.
    let block = format!(
        " if crate::mutant::on({}) {{\n  {}\n }} else {{\n{}\n }}",
        mutant.number,
        mutant.new.join("\n  "),
        lines[replaced.clone()].join("\n"),
    );
    Ok(splice(&lines, replaced, &block))
}

/// Replaces a part of a line, an expression.
fn plant_part(
    lines: &[&str],
    function: Range<usize>,
    part: &str,
    mutant: &Mutant,
) -> Result<String> {
    let hits: Vec<usize> = function.filter(|at| lines[*at].contains(part)).collect();
    ensure!(
        hits.len() == 1,
        "{} lines with `{part}` in fn {}",
        hits.len(),
        mutant.function
    );
    let line = lines[hits[0]];
    ensure!(
        line.matches(part).count() == 1,
        "`{part}` stands twice in its line"
    );
    let choice = format!(
        "(if crate::mutant::on({}) {{ {} }} else {{ {part} }})",
        mutant.number,
        mutant.new.join(" "),
    );
    Ok(splice(
        lines,
        hits[0]..hits[0] + 1,
        &line.replace(part, &choice),
    ))
}

fn splice(lines: &[&str], range: Range<usize>, replacement: &str) -> String {
    let mut woven = lines[..range.start].join("\n");
    woven.push('\n');
    woven.push_str(replacement);
    woven.push('\n');
    woven.push_str(&lines[range.end..].join("\n"));
    woven.push('\n');
    woven
}

/// The lines of the body of a function, found by the indentation of its end.
fn find_function(lines: &[&str], mutant: &Mutant) -> Result<Range<usize>> {
    let name = &mutant.function;
    let first = match &mutant.owner {
        None => 0,
        Some(owner) => {
            let head = format!("impl {owner} {{");
            let at = lines.iter().position(|line| *line == head);
            at.with_context(|| format!("no `{head}`"))?
        }
    };
    let heads = [format!("fn {name}("), format!("fn {name}<")];
    let is_head = |at: &usize| heads.iter().any(|head| lines[*at].contains(head.as_str()));
    let found: Vec<usize> = (first..lines.len()).filter(is_head).collect();
    ensure!(
        found.len() == 1 || mutant.owner.is_some(),
        "{} functions fn {name}",
        found.len()
    );
    let start = *found.first().with_context(|| format!("no fn {name}"))?;
    let indent = lines[start].len() - lines[start].trim_start().len();
    let end_line = format!("{}}}", " ".repeat(indent));
    let end = (start..lines.len()).find(|at| lines[*at] == end_line);
    Ok(start + 1..end.with_context(|| format!("no end of fn {name}"))?)
}

/// Where the lines stand, whatever their indentation.
fn find_lines(lines: &[&str], within: Range<usize>, wanted: &[String]) -> Vec<usize> {
    within
        .filter(|at| {
            lines.len() >= at + wanted.len()
                && wanted
                    .iter()
                    .zip(&lines[*at..])
                    .all(|(want, line)| line.trim() == want)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::parse;
    use super::*;

    const SOURCE: &str = "impl A {\n    fn f(&self) -> bool {\n        let a = 1;\n        \
                          self.g();\n        a > 0 && self.h()\n    }\n}\n";

    fn woven(patch: &str) -> Result<String> {
        plant(
            SOURCE,
            &parse(7, "m", &format!("# about\nfile a.rs\n{patch}"))?,
        )
    }

    #[test]
    fn whole_lines_and_parts_of_lines_get_a_switch() {
        let lines = woven("fn f\n- self.g();\n").expect("fits");
        assert!(lines.contains(" if crate::mutant::on(7) {\n  \n } else {\n        self.g();\n }"));
        let part = woven("fn f\n- self.h()\n+ true\n").expect("fits");
        assert!(part.contains("a > 0 && (if crate::mutant::on(7) { true } else { self.h() })"));
    }

    #[test]
    fn the_whole_catalogue_fits_the_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mutants = super::super::catalogue::read(&root.join("tests/mutants")).expect("format");
        assert!(mutants.len() >= 30, "only {} mutants", mutants.len());
        let mut sources = BTreeMap::new();
        let mut misfits = Vec::new();
        for mutant in in_order(&mutants) {
            let read = || std::fs::read_to_string(root.join(&mutant.file)).expect("a source");
            let source = sources.entry(mutant.file.clone()).or_insert_with(read);
            match plant(source, mutant) {
                Ok(woven) => *source = woven,
                Err(error) => misfits.push(format!("{}: {error:#}", mutant.name)),
            }
        }
        assert!(misfits.is_empty(), "{}", misfits.join("\n"));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(woven("fn f\n- self.i();\n").is_err(), "not there");
        assert!(woven("fn x\n- self.g();\n").is_err(), "no such function");
        assert!(woven("fn f\n- a\n+ b\n").is_err(), "ambiguous");
    }
}
