//! The vocabulary of faults: what can go wrong, to whom, for how long, and how often it did.
//!
//! Some faults happen at a time (a crash), others all the time at a rate (a lost message); both
//! are counted here by class, so that a campaign can tell when it promised more than it did. This
//! file does not know how a fault is carried out.

mod draw;
mod plan;

pub use plan::{Knobs, ParseError, Plan};

use std::fmt;

macro_rules! classes {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault { $($(#[$meta])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

classes! {
    /// The process dies between two events; what was not synced is lost.
    Crash = "crash",
    /// The process dies after a write was issued and before it is durable.
    CrashInWrite = "crash-in-write",
    /// The process dies with some effects of one flush carried out, the others not.
    CrashInEffects = "crash-in-effects",
    /// All processes die at once.
    PowerCut = "power-cut",
    /// The process stands still, then goes on: SIGSTOP, a long collection, a migration.
    Freeze = "freeze",
    /// The clock runs too fast or too slow.
    ClockRate = "clock-rate",
    /// The clock jumps forward.
    ClockJump = "clock-jump",
    /// The clock stands still while the process runs.
    ClockFreeze = "clock-freeze",
    /// Nobody hears the target, and it hears nobody.
    Isolate = "isolate",
    /// Nobody hears the target, but it hears all.
    Mute = "mute",
    /// The target hears nobody, but all hear it.
    Deafen = "deafen",
    /// Two groups that don't hear each other.
    Partition = "partition",
    /// Two groups that don't hear each other, and one node that hears both.
    Bridge = "bridge",
    /// Every node hears only its two neighbours.
    Ring = "ring",
    /// One node does not hear one other.
    CutLink = "cut-link",
    /// One kind of message is lost.
    DropKind = "drop-kind",
    /// The disk answers no sync for a while.
    DiskStall = "disk-stall",
    /// The storage is replaced by an empty one, under a new incarnation.
    Wipe = "wipe",
    /// The end of the log is gone although it was acknowledged; the watermark is not.
    LoseTail = "lose-tail",
    /// A snapshot is taken now and the log compacted up to it.
    Compact = "compact",
    /// Several members change at once.
    ChangeMembers = "change-members",
    /// The leader is removed.
    RemoveLeader = "remove-leader",
    /// A learner joins.
    AddLearner = "add-learner",
    /// A learner becomes a voter.
    Promote = "promote",
    /// A server that was removed joins again, with all that it has on its disk.
    Readd = "readd",
    /// The change of members under way is taken back.
    AbortChange = "abort-change",
    /// Leadership is handed over.
    Transfer = "transfer",
    /// A node is told to campaign.
    Campaign = "campaign",
    /// In the finale, a node that is broken for good.
    Broken = "broken",
    /// A message is lost.
    Loss = "loss",
    /// A message takes very long.
    LongDelay = "long-delay",
    /// A message arrives twice.
    Duplicate = "duplicate",
    /// A message from long ago arrives again.
    Replay = "replay",
    /// A sync takes very long.
    SlowSync = "slow-sync",
    /// A crash lost writes that were issued and not durable.
    LostWrites = "lost-writes",
    /// A chunk of a snapshot did not arrive.
    ChunkLost = "chunk-lost",
    /// The log gave fewer entries than asked for.
    ShortRead = "short-read",
    /// A tick came before it was asked for.
    EarlyTick = "early-tick",
}

impl Fault {
    /// The fault of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whom a fault hits, found out when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Whoever leads in the highest term; nobody if there is none.
    Leader,
    /// A node that runs and does not lead.
    Follower(u64),
    /// This one of all nodes.
    Node(u64),
}

/// A fault with its time. What `span` and `amount` mean depends on the fault; `amount` is also the
/// seed of whatever else the fault has to draw, so that it does the same in every replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultAction {
    /// After this many events of the run.
    pub after: u64,
    /// What.
    pub fault: Fault,
    /// To whom.
    pub target: Target,
    /// For how many nanoseconds.
    pub span: u64,
    /// How much, or how.
    pub amount: u64,
}

/// How often each fault happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultCounts([u64; Fault::ALL.len()]);

impl Default for FaultCounts {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl FaultCounts {
    /// It happened.
    pub const fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often it did.
    #[must_use]
    pub const fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Each fault, and how often it happened.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.iter().map(|fault| (*fault, self.of(*fault)))
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_faults() {
        for (place, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(Fault::named(fault.name()), Some(*fault));
            assert_eq!(*fault as usize, place);
        }
        assert_eq!(Fault::named("meteor"), None);
    }

    #[test]
    fn counts_add_up() {
        let mut one = FaultCounts::default();
        one.count(Fault::Wipe);
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.of(Fault::Wipe), sum.of(Fault::Crash)), (2, 0));
    }
}
