//! What must never happen, and what must happen sometimes, or the exploration proves nothing.
//!
//! It deliberately does not know how any of it is found out.

use std::fmt;

macro_rules! named {
    ($(#[$meta:meta])* $kind:ident { $($(#[$note:meta])* $name:ident = $words:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {
            $($(#[$note])* $name,)+
        }

        impl $kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// In words.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.words())
            }
        }
    };
}

named! {
    /// An invariant. A state that breaks one is a bug of the core, or of this model.
    Law {
        /// At most one server leads in a term (Figure 3).
        ElectionSafety = "at most one leader a term",
        /// A server votes for one candidate a term, whatever it goes through (§5.2).
        VoteOnce = "one vote a term",
        /// Logs that share an entry share all before it (Figure 3).
        LogMatching = "logs that share an entry share all before it",
        /// A leader has all that was committed in earlier terms (Figure 3).
        LeaderCompleteness = "a leader has all that was committed before its term",
        /// Nobody commits another entry at an index where one was committed (Figure 3).
        StateMachineSafety = "what is committed never changes",
        /// A leader only appends (Figure 3).
        LeaderAppendOnly = "a leader only appends",
        /// A leader commits only entries of its term that a quorum holds durably (§5.4.2).
        CommitQuorum = "what a leader commits is of its term, and durable at a quorum",
        /// Nothing leaves before the write that it implies is durable (Figure 2).
        PersistBeforeSend = "what is sent is durable",
        /// A linearizable read reflects every commit known anywhere when it was asked for (§8).
        ReadBarrier = "a read sees all that was committed when it was asked for",
        /// Configurations that follow each other share a server in any two quorums (§6).
        QuorumOverlap = "quorums of configurations that follow each other intersect",
        /// One configuration at a time, and none before the term's first commit.
        OneChangeAtATime = "no configuration is proposed while one is uncommitted",
        /// What one server can tell of itself.
        SelfCheck = "a server's own invariants",
        /// No assertion in the core fails.
        NoPanic = "the core does not panic",
        /// The writes, reads and purges asked for make sense.
        Contract = "what is asked of the shell makes sense",
    }
}

named! {
    /// Something worth having seen at least once.
    Mark {
        /// Somebody won an election.
        Elected = "a leader is elected",
        /// Two servers each take themselves for the leader, in different terms.
        TwoLeaders = "two leaders of different terms",
        /// An entry was committed.
        Committed = "an entry is committed",
        /// An entry of an earlier term lies on a majority and is not committed (Figure 8).
        OldTermOnMajority = "an uncommitted entry of an old term lies on a majority",
        /// Conflicting entries were removed.
        Truncated = "a conflicting suffix is truncated",
        /// A write became durable after its entries had been truncated.
        StalePersisted = "a write completes after its entries were truncated",
        /// A power cut took writes along.
        WritesLost = "a crash loses writes",
        /// A message was delivered a second time.
        Repeated = "a message is delivered twice",
        /// Several events were taken in before the flush.
        Batched = "two events share a flush",
        /// A joint configuration was in a log.
        Joint = "a joint configuration is in force",
        /// The configuration after a joint one was committed.
        JointLeft = "a joint configuration is left",
        /// A configuration was truncated.
        RolledBack = "a configuration is rolled back",
        /// A server crashed while a joint configuration was in its log.
        CrashInJoint = "a crash in a joint configuration",
        /// A change was undone.
        Aborted = "a change of members is aborted",
        /// A change was completed at the leader that began it.
        Changed = "a change of members is completed",
        /// A leader of a later term found a joint configuration and left it.
        Inherited = "a later leader finishes the change of an earlier one",
        /// A leader left office because the configuration does without it.
        LeftOffice = "a removed leader leaves office",
        /// A snapshot replaced a log.
        Installed = "a snapshot is installed",
        /// The log was cut at the front.
        Compacted = "a log is compacted",
        /// A snapshot could not be fetched.
        FetchFailed = "the fetch of a snapshot fails",
        /// Entries were read back from the disk.
        ReadBack = "entries are read back from the disk",
        /// A read was answered by the leader it was asked of.
        ReadAtLeader = "a leader answers a read",
        /// A read was answered by a follower.
        ReadAtFollower = "a follower answers a read",
        /// A read was asked of a leader that had been replaced.
        ReadAtOldLeader = "a read is asked of a replaced leader",
        /// Leadership moved as asked.
        Transferred = "a transfer of leadership is completed",
        /// The target did not take over.
        TransferAborted = "a transfer of leadership is given up",
        /// A server found that it had lost what it had acknowledged.
        Quarantined = "a server that lost its tail is quarantined",
        /// It had it again.
        Released = "a quarantined server is released",
        /// A message of another life of a storage was refused.
        OtherLife = "a message of another life is refused",
    }
}

/// A set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u32);

impl Marks {
    pub(super) const fn add(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u32;
    }

    pub(super) const fn add_all(&mut self, marks: Self) {
        self.0 |= marks.0;
    }

    /// Whether `mark` is in the set.
    #[must_use]
    pub const fn contain(self, mark: Mark) -> bool {
        self.0 & 1 << mark as u32 != 0
    }
}
