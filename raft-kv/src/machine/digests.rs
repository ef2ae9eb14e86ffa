//! The digests after the latest entries, to be compared with those of other members.
//!
//! They are chained: from the first difference on all differ, so the first is found by bisection.
//! It does not know how another member is asked.

use std::collections::VecDeque;

use raft_core::Index;

/// So many are remembered; a megabyte.
const POINTS_MAX: usize = 65_536;

/// The digest after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestPoint {
    /// Which entry.
    pub index: Index,
    /// The chained digest.
    pub digest: u64,
}

/// The digests after the latest commands.
#[derive(Clone, Debug, Default)]
pub struct DigestLog {
    points: VecDeque<DigestPoint>,
}

impl DigestLog {
    /// The digest after this entry, also if it was no command; `None` if that is not remembered.
    #[must_use]
    pub fn at(&self, index: Index) -> Option<u64> {
        let behind = self.points.partition_point(|point| point.index <= index);
        let is_latest = behind == self.points.len();
        let point = self.points.get(behind.checked_sub(1)?)?;
        // Of what comes after the latest nothing is known.
        (!is_latest || point.index == index).then_some(point.digest)
    }

    /// The first and the last command whose digest is remembered.
    #[must_use]
    pub fn span(&self) -> Option<(Index, Index)> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        Some((first.index, last.index))
    }

    pub(super) fn push(&mut self, points: &[DigestPoint]) {
        let excess = (self.points.len() + points.len()).saturating_sub(POINTS_MAX);
        self.points.drain(..excess.min(self.points.len()));
        let kept = points.len().saturating_sub(POINTS_MAX);
        self.points.extend(&points[kept..]);
    }

    pub(super) fn clear(&mut self) {
        self.points.clear();
    }
}

/// The first entry after which another member's digest differs from ours, as far as both remember.
/// `theirs` is what that member's [`DigestLog::span`] says. `ask` is called once for each halving,
/// for entries in that span.
///
/// # Errors
/// What `ask` met.
pub fn first_difference<E>(
    ours: &DigestLog,
    theirs: (Index, Index),
    mut ask: impl FnMut(Index) -> Result<u64, E>,
) -> Result<Option<Index>, E> {
    let (from, to) = theirs;
    let points = &ours.points;
    let (mut low, mut high) = (
        points.partition_point(|point| point.index < from),
        points.partition_point(|point| point.index <= to),
    );
    let end = high;
    while low < high {
        let middle = low.midpoint(high);
        let DigestPoint { index, digest } = points[middle];
        if ask(index)? == digest {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok((low < end).then(|| points[low].index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(from: u64, to: u64, differing: u64) -> DigestLog {
        let mut log = DigestLog::default();
        let points: Vec<_> = (from..to)
            .filter(|index| index % 3 != 0)
            .map(|index| DigestPoint {
                index: Index(index),
                digest: index * 2 + u64::from(index >= differing),
            })
            .collect();
        log.push(&points);
        log
    }

    #[test]
    fn the_first_difference_is_found_with_few_questions() {
        let ours = log(1, 1000, 5000);
        for (from, to) in [(1, 1000), (400, 1000), (1, 990), (300, 700), (700, 1200)] {
            for differing in [1, 400, 401, 500, 503, 640, 689, 995, 2000] {
                let theirs = log(from, to, differing);
                let mut asked = 0;
                let found = first_difference(&ours, theirs.span().expect("points"), |index| {
                    asked += 1;
                    theirs.at(index).ok_or("not in their span")
                });
                let mut both = from.max(differing)..to.min(1000);
                let first = both.find(|index| index % 3 != 0);
                let what = format!("{from}..{to}, differing from {differing}");
                assert_eq!(found, Ok(first.map(Index)), "{what}");
                assert!(asked <= 10, "{what}: {asked} questions");
            }
        }
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let mut log = DigestLog::default();
        for first in (0..200_000).step_by(1000) {
            let points: Vec<_> = (first..first + 1000)
                .map(|index| DigestPoint {
                    index: Index(index),
                    digest: index,
                })
                .collect();
            log.push(&points);
            assert!(log.points.len() <= POINTS_MAX);
        }
        assert_eq!(log.at(Index(199_999)), Some(199_999));
        assert_eq!(log.at(Index(200_000)), None);
        assert_eq!(log.at(Index(200_000 - POINTS_MAX as u64)), Some(134_464));
        assert_eq!(log.at(Index(134_463)), None);
    }
}
