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

    /// The commands whose digests are remembered, the oldest first.
    pub fn points(&self) -> impl Iterator<Item = DigestPoint> + '_ {
        self.points.iter().copied()
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
/// `theirs` is asked about once for each halving; it says `None` of what it does not remember.
pub fn first_difference(
    ours: &DigestLog,
    mut theirs: impl FnMut(Index) -> Option<u64>,
) -> Option<Index> {
    let points: Vec<DigestPoint> = ours.points().collect();
    let mut differs =
        |point: &DigestPoint| theirs(point.index).map(|digest| digest != point.digest);
    let (mut low, mut high) = (0, points.len());
    let mut found = None;
    while low < high {
        let middle = usize::midpoint(low, high);
        match differs(&points[middle]) {
            Some(true) => {
                found = Some(points[middle].index);
                high = middle;
            }
            Some(false) => low = middle + 1,
            // The latest may not have come there yet; the oldest may be forgotten there.
            None if found.is_some() => low = middle + 1,
            None => match differs(&points[low]) {
                Some(true) => return Some(points[low].index),
                Some(false) => high = middle,
                None => low += 1,
            },
        }
    }
    found
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
        for (from, to) in [(1, 1000), (400, 1000), (1, 990), (300, 700)] {
            for differing in [400, 401, 500, 503, 640, 689, 2000] {
                let (ours, theirs) = (log(1, 1000, 5000), log(from, to, differing));
                let first = (differing..to).find(|index| index % 3 != 0);
                let mut asked = 0;
                let found = first_difference(&ours, |index| {
                    asked += 1;
                    theirs.at(index)
                });
                let what = format!("{from}..{to}, differing from {differing}");
                assert_eq!(found, first.map(Index).filter(|_| differing < to), "{what}");
                assert!(asked < 1500, "{what}: {asked} questions");
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
