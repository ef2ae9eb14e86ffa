//! Transcripts: commands to a small cluster, and under each what the cluster did, as text.
//!
//! A transcript is written by hand as far as its comments and commands go; the effects below each
//! command are recorded, compared by a test, and reviewed like any other diff. This file knows the
//! layout of the text and nothing of Raft.

pub mod command;
pub mod disk;
pub mod render;
pub mod runner;
mod shell;

use command::Command;
use runner::Runner;

/// Plays a transcript again: comments, blank lines and commands as they stand, and under each
/// command the effects that it has now.
///
/// # Errors
/// Names the line that is no command, or whose command can't be carried out.
pub fn replay(text: &str) -> Result<String, String> {
    let mut runner = Runner::default();
    let mut lines: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let fail = |why: String| format!("line {}: {why}\n  {line}", number + 1);
        if line.starts_with("  ") {
            continue;
        }
        lines.push(line.trim_end().to_owned());
        if let Some(words) = line.strip_prefix("> ") {
            let command: Command = words.parse().map_err(fail)?;
            let effects = runner.run(&command).map_err(fail)?;
            lines.extend(effects.iter().map(|effect| format!("  {effect}")));
        } else if !line.is_empty() && !line.starts_with('#') {
            return Err(fail(
                "neither a comment, a command nor an effect".to_owned(),
            ));
        }
    }
    Ok(lines.join("\n") + "\n")
}

/// Where two transcripts part, for people: a few common lines, then the first that differ.
#[must_use]
pub fn difference(expected: &str, found: &str) -> Option<String> {
    const BEFORE: usize = 6;
    const AFTER: usize = 12;
    let (expected, found): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), found.lines().collect());
    let longest = expected.len().max(found.len());
    let at = (0..longest).find(|at| expected.get(*at) != found.get(*at))?;
    let mut text = format!("from line {}:\n", at + 1);
    let mut add = |mark: char, lines: &[&str], from: usize, to: usize| {
        let to = to.min(lines.len());
        for line in lines.get(from..to).unwrap_or_default() {
            text.push_str(&format!("{mark} {line}\n"));
        }
    };
    add(' ', &expected, at.saturating_sub(BEFORE), at);
    add('-', &expected, at, at + AFTER);
    add('+', &found, at, at + AFTER);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_replaced_and_all_else_stays() {
        let text = "# A note.\n\n> cluster voters=1\n  made up\n> log\n";
        let replayed = replay(text).expect("plays");
        assert!(
            replayed.starts_with("# A note.\n\n> cluster voters=1\n"),
            "{replayed}"
        );
        assert!(!replayed.contains("made up"));
        assert_eq!(replay(&replayed), Ok(replayed.clone()), "a fixed point");
    }

    #[test]
    fn what_is_no_command_is_named_with_its_line() {
        let error = replay("# A note.\n> frobnicate 1\n").expect_err("no such command");
        assert!(error.starts_with("line 2"), "{error}");
        assert!(replay("stray text\n").is_err());
        assert!(replay("> timeout 1\n").is_err(), "no cluster yet");
    }

    #[test]
    fn a_difference_shows_both_sides() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let text = difference("a\nb\n", "a\nc\n").expect("differs");
        assert_eq!(text, "from line 2:\n  a\n- b\n+ c\n");
        assert!(difference("a\n", "a\nb\n").is_some(), "a line too many");
    }
}
