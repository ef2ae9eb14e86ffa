//! How much happened, beside what the storm itself counts.

use std::fmt;
use std::ops::AddAssign;

use raft_tests::storm::Tally;
use raft_tests::tally;

tally! {
    /// What was done to stores, and what became of watches and leases.
    Counts:
    installed, compactions, compactions_refused, auto_compactions,
    old_reads, compacted_reads, future_reads, transactions, branches_not_taken,
    events_told, hops, closed, compacted_watches, catch_ups, behind, early_starts,
    grants, granted_again, kept_alive, not_kept_alive, asked_for_time, found_ended,
    revoked, expired, held_still, expiries_in_vain, reports, upgrades,
}

/// All that happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Total {
    pub(crate) storm: Tally,
    pub(crate) counts: Counts,
}

impl AddAssign<&Self> for Total {
    fn add_assign(&mut self, other: &Self) {
        self.storm += &other.storm;
        self.counts += &other.counts;
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.storm, self.counts)
    }
}
