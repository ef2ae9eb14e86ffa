//! Settings as their users meet them: rules, sources, files, command lines, etcd's own flags.

mod command_line;
mod etcd;
mod rules;
mod sources;

use super::args::{Settled, settle};
use super::merged::{Environment, Flags, Merged};

/// Names and texts as a map.
fn map(pairs: &[(&str, &str)]) -> Flags {
    let pairs = pairs.iter();
    pairs
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// What flags alone come to. The engine is one that every build has.
fn with_flags(pairs: &[(&str, &str)]) -> Settled {
    let mut flags = map(pairs);
    let engine = || "memory".to_owned();
    flags.entry("engine".to_owned()).or_insert_with(engine);
    settle(Merged::new(&flags, &Environment::new(), None))
}
