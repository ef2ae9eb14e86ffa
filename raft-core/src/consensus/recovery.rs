//! What a server makes of what it finds on its disk.
//!
//! Term and vote, log, snapshot and watermark are written at different moments, so after a power
//! cut one may be ahead of another. This file says what must be true all the same. It does not read
//! anything.

use crate::entry::{HardState, Recovered};
use crate::types::{Index, Term};

/// Whether state is missing that others may rely on. Such a server does not vote before it has
/// caught up with what it let them rely on.
pub(super) fn lost(recovered: &Recovered) -> bool {
    let relied_on = recovered.watermark;
    recovered.lost
        || !recovered.hard_state.covers(relied_on.hard_state())
        || recovered.last.max(recovered.snapshot.last.index) < relied_on.index
}

/// Term and vote as they must have been: the latest of what was written as such, what the watermark
/// says, and what the entries prove. A snapshot can become durable before the term it came in; in
/// such a term the server has not voted, since no vote leaves before it is durable.
pub(super) fn hard_state(recovered: &Recovered) -> HardState {
    let proven = HardState {
        term: last_term(recovered),
        vote: None,
    };
    let relied_on = recovered.watermark.hard_state();
    recovered.hard_state.later(relied_on).later(proven)
}

fn last_term(recovered: &Recovered) -> Term {
    let of_log = recovered
        .terms
        .last()
        .map_or(recovered.base.term, |run| run.1);
    of_log.max(recovered.snapshot.last.term)
}

/// Up to where the log is known to hold what is committed. What the machine has applied was
/// committed; but a log that lost its tail may hold older entries there, and only those below the
/// snapshot are known to be right.
pub(super) fn commit(recovered: &Recovered, last: Index) -> Index {
    if lost(recovered) {
        recovered.snapshot.last.index
    } else {
        recovered
            .applied
            .max(recovered.snapshot.last.index)
            .min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{SnapshotMeta, Watermark};
    use crate::types::{NodeId, Position};

    fn hard(term: u64, vote: u64) -> HardState {
        HardState {
            term: Term(term),
            vote: (vote > 0).then_some(NodeId(vote)),
        }
    }

    /// What is found beside a log of entries of term 2 up to index 5.
    fn found(hard_state: HardState, watermark: (HardState, u64)) -> Recovered {
        let (HardState { term, vote }, index) = watermark;
        Recovered {
            hard_state,
            terms: vec![(Index(1), Term(2))],
            last: Index(5),
            watermark: Watermark {
                term,
                vote,
                index: Index(index),
            },
            ..Recovered::default()
        }
    }

    #[test]
    fn what_others_rely_on_is_compared_with_what_is_there() {
        let check = |found_state, watermark, expected| {
            let found = found(found_state, watermark);
            assert_eq!(lost(&found), expected, "{found:?}");
        };
        check(hard(3, 1), (hard(3, 1), 5), false);
        check(hard(3, 1), (hard(2, 2), 4), false);
        check(hard(3, 1), (hard(3, 0), 5), false);
        check(hard(3, 1), (hard(3, 1), 6), true);
        check(hard(3, 0), (hard(3, 1), 5), true);
        check(hard(2, 1), (hard(3, 1), 5), true);
    }

    #[test]
    fn a_log_that_is_long_enough_can_have_lost_all_the_same() {
        let whole = found(hard(3, 1), (hard(3, 1), 5));
        let lossy = Recovered {
            lost: true,
            ..whole.clone()
        };
        assert_eq!((lost(&whole), lost(&lossy)), (false, true));
    }

    #[test]
    fn the_latest_term_that_anything_proves_counts() {
        let none = (hard(0, 0), 0);
        assert_eq!(hard_state(&found(hard(3, 1), none)), hard(3, 1));
        assert_eq!(
            hard_state(&found(hard(1, 1), none)),
            hard(2, 0),
            "an entry of term 2"
        );
        assert_eq!(
            hard_state(&found(hard(3, 0), (hard(3, 2), 0))),
            hard(3, 2),
            "the vote"
        );
        assert_eq!(hard_state(&found(hard(3, 1), (hard(4, 0), 0))), hard(4, 0));
    }

    #[test]
    fn a_snapshot_can_be_durable_before_the_term_it_came_in() {
        let last = Position::new(Term(4), Index(9));
        let snapshot = SnapshotMeta {
            last,
            ..SnapshotMeta::default()
        };
        let found = Recovered {
            snapshot,
            ..found(hard(3, 1), (hard(0, 0), 0))
        };
        assert_eq!(hard_state(&found), hard(4, 0));
        assert_eq!(commit(&found, Index(9)), Index(9));
    }

    #[test]
    fn a_log_that_fell_back_is_not_believed_up_to_where_the_machine_is() {
        let applied = Index(4);
        let whole = Recovered {
            applied,
            ..found(hard(3, 1), (hard(3, 1), 5))
        };
        assert_eq!(commit(&whole, Index(5)), Index(4));
        let fallen = Recovered {
            applied,
            ..found(hard(3, 1), (hard(3, 1), 6))
        };
        assert_eq!(commit(&fallen, Index(5)), Index(0));
    }
}
