//! Which names reach which: cuts, partitions and isolation.
//!
//! It knows names only, and takes any: who bears one may come later.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Links {
    /// From whom nothing goes to whom.
    cuts: BTreeSet<(String, String)>,
    /// On which side of the partition a name is, if there is one.
    sides: Option<BTreeMap<String, usize>>,
    isolated: BTreeSet<String>,
}

impl Links {
    pub(super) fn reach(&self, from: &str, to: &str) -> bool {
        if from == to {
            return true;
        }
        let is_isolated = self.isolated.contains(from) || self.isolated.contains(to);
        let is_same_side = self.sides.as_ref().is_none_or(|sides| {
            let side = sides.get(from);
            side.is_some() && side == sides.get(to)
        });
        // The usual network has no cuts, and is not to pay for the names.
        let is_cut = !self.cuts.is_empty() && self.cuts.contains(&(from.to_owned(), to.to_owned()));
        is_same_side && !is_isolated && !is_cut
    }

    pub(super) fn cut(&mut self, from: &str, to: &str) {
        self.cuts.insert((from.to_owned(), to.to_owned()));
    }

    pub(super) fn mend(&mut self, from: &str, to: &str) {
        self.cuts.remove(&(from.to_owned(), to.to_owned()));
    }

    pub(super) fn partition(&mut self, sides: &[&[&str]]) {
        let numbered = sides.iter().enumerate();
        let named = numbered
            .flat_map(|(side, names)| names.iter().map(move |name| ((*name).to_owned(), side)));
        self.sides = Some(named.collect());
    }

    pub(super) fn isolate(&mut self, name: &str) {
        self.isolated.insert(name.to_owned());
    }

    pub(super) fn heal(&mut self) {
        *self = Self::default();
    }
}
