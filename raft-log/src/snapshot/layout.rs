//! What the directories of the store are called, and what their names say.
//!
//! This file knows no disk.

use std::fmt;

use raft_core::types::{Index, Position, Term};

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It exists.
    Complete,
    /// Our machine writes it.
    Making,
    /// A peer sends it.
    Receiving,
    /// It existed, and is no use any more.
    Bad,
    /// It is being removed. It has a name of its own so that a snapshot whose removal was cut short
    /// is not mistaken for a damaged one.
    Removing,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Complete,
        Self::Making,
        Self::Receiving,
        Self::Bad,
        Self::Removing,
    ];

    fn prefix(self) -> &'static str {
        match self {
            Self::Complete => "",
            Self::Making => "making-",
            Self::Receiving => "receiving-",
            Self::Bad => "bad-",
            Self::Removing => "removing-",
        }
    }
}

/// The name of a snapshot's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DirName {
    pub(super) stage: Stage,
    pub(super) last: Position,
}

impl DirName {
    pub(super) fn new(stage: Stage, last: Position) -> Self {
        Self { stage, last }
    }

    /// What a name says; none if it is not one of ours, letter for letter.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Stage::ALL.into_iter().find_map(|stage| {
            let (index, term) = name.strip_prefix(stage.prefix())?.split_once('-')?;
            let last = Position::new(Term(term.parse().ok()?), Index(index.parse().ok()?));
            let parsed = Self::new(stage, last);
            (parsed.to_string() == name).then_some(parsed)
        })
    }
}

impl fmt::Display for DirName {
    /// The index first and both as wide as can be: then a listing is in the order of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.stage.prefix();
        let Position { term, index } = self.last;
        write!(f, "{prefix}{:020}-{:020}", index.0, term.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_and_others_are_none() {
        for stage in Stage::ALL {
            let name = DirName::new(stage, Position::new(Term(7), Index(u64::MAX)));
            assert_eq!(DirName::parse(&name.to_string()), Some(name));
        }
        let complete = DirName::new(Stage::Complete, Position::new(Term(1), Index(20)));
        assert_eq!(
            complete.to_string(),
            "00000000000000000020-00000000000000000001"
        );
        for other in ["", "1-1", "lost+found", "making-", "+0000000000000000020-1"] {
            assert_eq!(DirName::parse(other), None, "{other}");
        }
    }
}
