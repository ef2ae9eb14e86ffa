//! How much happened: a campaign in which nothing happened proves nothing.
//!
//! It does not know how much is enough.

/// A struct of counts, each of which can be told by its name.
#[macro_export]
macro_rules! tally {
    ($(#[$meta:meta])* $name:ident: $($field:ident),* $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $(#[doc = concat!("How many: ", stringify!($field), ".")] pub $field: u64,)*
        }

        impl std::ops::AddAssign<&Self> for $name {
            fn add_assign(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }

        impl $name {
            /// Everything that is counted.
            #[must_use]
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field)),*]
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let counts = self.counts();
                let words: Vec<_> =
                    counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                f.write_str(&words.join(", "))
            }
        }
    };
}

tally! {
    /// What befell a cluster, and what became of its clients' operations.
    Tally:
    writes, reads, refused, unknown, again, failovers, restored,
    crashes, restarts, shutdowns, partitions, isolations, one_way_cuts, heals,
    transfers, transferred, changes, changed, aborts, snapshots, snapshots_taken, campaigns,
    lost, duplicated, reordered, unreachable,
}

impl Tally {
    /// Every kind of fault was there, but for those, and leaders changed in each of so many runs.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self, but: &[&str], seeds: u64) {
        for (name, count) in self.counts() {
            assert!(count > 0 || but.contains(&name), "no {name}: {self}");
        }
        assert!(self.failovers >= 2 * seeds, "{self}");
    }
}
