//! Marks: things that a campaign must have seen, or it has proved nothing about them.
//!
//! A mark is hit by whoever notices; this file does not know by whom, nor how often is enough.

use std::fmt;

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident,)+) => {
        /// Something that must happen sometimes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mark {
            $($(#[$doc])* $mark,)+
        }

        impl Mark {
            /// All of them, in order.
            pub const ALL: [Self; Mark::COUNT] = [$(Self::$mark),+];

            /// How many there are.
            pub const COUNT: usize = [$(stringify!($mark)),+].len();

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$mark => stringify!($mark),)+
                }
            }
        }
    };
}

marks! {
    /// A node crashed while its latest configuration was joint.
    CrashDuringJoint,
    /// A node crashed with a write issued and not durable.
    CrashBetweenWriteAndPersist,
    /// A leader crashed.
    CrashOfLeader,
    /// A node started from a snapshot that stands for entries.
    RestartFromSnapshot,
    /// A node started with a configuration in its log that is not known to be committed.
    RestartWithUncommittedMembership,
    /// A disk lost acknowledged state under the same incarnation.
    DiskForgot,
    /// A node came back with another incarnation.
    Reborn,
    /// A node that had lost acknowledged state was quarantined.
    Quarantined,
    /// It got back what it had lost, and votes again.
    QuarantineReleased,
    /// A message of another life of a member was refused.
    WrongIncarnationRefused,
    /// A follower's log was replaced by a snapshot.
    SnapshotInstalled,
    /// The same, while entries were on their way to its disk.
    SnapshotWhileAppending,
    /// A snapshot was offered to a follower whose log turned out to reach that far.
    SnapshotNotNeeded,
    /// A leader offered a snapshot.
    SnapshotOffered,
    /// A fetch of a snapshot was given up.
    SnapshotCancelled,
    /// A follower could not fetch a snapshot.
    SnapshotFailed,
    /// Uncommitted entries were truncated.
    Truncated,
    /// A write became durable whose entries had been truncated in the meantime.
    StalePersisted,
    /// A conflict hint skipped more than one entry.
    ConflictHintSkipped,
    /// A leader read entries back from its log for a follower that was far behind.
    FetchedForFollower,
    /// Committed entries were read back from the log for the state machine.
    FetchedForMachine,
    /// Raft's Figure 8: an older term's entry on a quorum of disks could not be committed yet.
    Figure8,
    /// A leader committed while a later one was already elected.
    CommitByDeposedLeader,
    /// A candidate got too few votes.
    ElectionLost,
    /// A pre-vote was refused by a node that hears from a leader.
    PreVoteRefused,
    /// A vote was refused.
    VoteRefused,
    /// A leader stepped down since no quorum answered.
    QuorumLost,
    /// A leader or candidate met a higher term.
    HigherTermMet,
    /// A leader of an older term was told so.
    StaleTermTold,
    /// A leader stepped down since the configuration without it was committed.
    LeaderRemovedItself,
    /// Leadership was handed over.
    TransferCompleted,
    /// Leadership was not taken over in time.
    TransferAborted,
    /// Proposals were refused during a transfer.
    RefusedInTransfer,
    /// A joint configuration was proposed.
    JointProposed,
    /// A joint configuration was taken back.
    MembershipAborted,
    /// A joint configuration was brought to its end by another leader.
    JointFinishedByAnother,
    /// An uncommitted configuration was truncated, and the one before it used again.
    MembershipRolledBack,
    /// A change of members was refused because of another one.
    MembershipRefused,
    /// A read waited for the first commit of its leader's term.
    ReadWaitedForFirstCommit,
    /// A read was answered by a lease.
    LeaseRead,
    /// A follower answered a linearizable read.
    FollowerRead,
    /// Something was refused as overloaded.
    Overloaded,
    /// A leader handed over since its disk stalled.
    DiskStallHandover,
    /// A command was sent again after its outcome was unknown.
    CommandRetried,
    /// A command was in the log twice, and applied once.
    DuplicateSuppressed,
    /// A command was in the log after its session had gone on without it.
    SessionStale,
    /// A client gave a command up.
    RequestAbandoned,
    /// An entry of another term was found where a command had been accepted.
    AcceptedThenLost,
}

/// How often each mark was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    counts: [u64; Mark::COUNT],
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            counts: [0; Mark::COUNT],
        }
    }
}

impl Marks {
    /// The mark was seen once more.
    pub const fn hit(&mut self, mark: Mark) {
        self.counts[mark as usize] += 1;
    }

    /// How often it was seen.
    #[must_use]
    pub const fn count(&self, mark: Mark) -> u64 {
        self.counts[mark as usize]
    }

    /// Adds what another run saw.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    /// All marks with their counts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> + '_ {
        Mark::ALL.into_iter().zip(self.counts)
    }

    /// Those that were never seen.
    #[must_use]
    pub fn missing(&self) -> Vec<Mark> {
        self.iter()
            .filter(|(_, count)| *count == 0)
            .map(|(mark, _)| mark)
            .collect()
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (mark, count) in self.iter() {
            writeln!(f, "{count:>12} {}", mark.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_count_merge_and_say_what_is_missing() {
        let (mut one, mut other) = (Marks::default(), Marks::default());
        one.hit(Mark::Figure8);
        other.hit(Mark::Figure8);
        other.hit(Mark::AcceptedThenLost);
        one.merge(&other);
        assert_eq!(
            (one.count(Mark::Figure8), one.count(Mark::LeaseRead)),
            (2, 0)
        );
        assert_eq!(one.missing().len(), Mark::COUNT - 2);
        assert!(one.to_string().contains("2 Figure8\n"));
    }

    #[test]
    fn every_mark_has_its_own_place() {
        for (place, mark) in Mark::ALL.into_iter().enumerate() {
            assert_eq!(mark as usize, place, "{}", mark.name());
        }
    }
}
