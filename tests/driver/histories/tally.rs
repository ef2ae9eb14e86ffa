//! How much happened: a campaign in which nothing happened proves nothing.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

macro_rules! tally {
    ($($field:ident),* $(,)?) => {
        /// What happened, by count.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $field: u64,)*
            /// The longest that a request took.
            pub(crate) slowest: Duration,
        }

        impl AddAssign<&Self> for Tally {
            fn add_assign(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
                self.slowest = self.slowest.max(other.slowest);
            }
        }

        impl Tally {
            /// Everything that is counted.
            pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field)),*]
            }
        }
    };
}

tally! {
    writes, reads, refused, unknown, again, failovers, restored,
    crashes, restarts, shutdowns, partitions, isolations, one_way_cuts, heals,
    transfers, transferred, changes, changed, aborts, snapshots, snapshots_taken, campaigns,
    lost, duplicated, reordered, unreachable,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.counts() {
            write!(f, "{name} {count}, ")?;
        }
        write!(f, "slowest {:?}", self.slowest)
    }
}
