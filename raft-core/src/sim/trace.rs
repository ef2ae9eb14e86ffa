//! What a run looked like: always as one number, and, if wanted, as text with a column a node.
//!
//! The number is folded from everything that happens, so two runs of one plan must have the same.
//! The text is what a person reads to understand a failure. This file does not know what is worth
//! a line.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The true time in nanoseconds.
    pub at: u64,
    /// In whose column it stands; across all of them if `None`.
    pub node: Option<usize>,
    /// What happened.
    pub text: String,
}

/// The last so many lines of a run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: VecDeque<Line>,
    lines_max: usize,
    dropped: u64,
}

/// A column is so many characters wide; a longer text runs on over the next.
const COLUMN: usize = 30;

impl Trace {
    /// A trace that keeps this many lines, the newest.
    #[must_use]
    pub const fn keeping(lines_max: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            lines_max,
            dropped: 0,
        }
    }

    /// Adds a line.
    pub fn line(&mut self, at: u64, node: Option<usize>, text: String) {
        if self.lines.len() >= self.lines_max {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(Line { at, node, text });
    }

    /// The lines kept.
    pub fn lines(&self) -> impl Iterator<Item = &Line> + '_ {
        self.lines.iter()
    }

    /// The trace as text: time on the left, then a column for each of so many nodes.
    #[must_use]
    pub fn render(&self, nodes: usize) -> String {
        let mut text = format!("{:>14} ", "time");
        for node in 1..=nodes {
            let _ = write!(text, "{:<COLUMN$}", format!("node {node}"));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if self.dropped > 0 {
            let _ = writeln!(
                text,
                "{:>14} {} earlier lines are not kept",
                "...", self.dropped
            );
        }
        for Line {
            at,
            node,
            text: what,
        } in &self.lines
        {
            let (seconds, nanos) = (at / 1_000_000_000, at % 1_000_000_000);
            let indent = node.map_or(0, |node| node * COLUMN);
            let sign = if node.is_none() { "== " } else { "" };
            let _ = writeln!(text, "{seconds:>4}.{nanos:09} {:indent$}{sign}{what}", "");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_its_column() {
        let mut trace = Trace::keeping(2);
        trace.line(1, Some(0), "forgotten".to_owned());
        trace.line(2_000_000_003, Some(1), "votes".to_owned());
        trace.line(2_000_000_004, None, "partition".to_owned());
        let text = trace.render(2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("          time {:<30}node 2", "node 1"));
        assert!(lines[1].contains("1 earlier lines"));
        assert_eq!(lines[2], format!("   2.000000003 {:30}votes", ""));
        assert_eq!(lines[3], "   2.000000004 == partition");
    }
}
