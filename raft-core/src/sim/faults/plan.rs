//! One run as data: a seed, the knobs of the world, and the faults with their times.
//!
//! A plan is all there is to a run: the same plan is the same run, byte for byte. It is written
//! and read as text, so that a failing one can be kept, shrunk, mailed, and run again. This file
//! does not know how a plan is drawn or what a knob does.

use std::fmt;
use std::str::FromStr;

use super::{Fault, FaultAction, Target};

/// Everything that decides a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From this all randomness of the run comes.
    pub seed: u64,
    /// The sizes, rates and delays.
    pub knobs: Knobs,
    /// What goes wrong when, ascending.
    pub actions: Vec<FaultAction>,
}

impl Plan {
    /// A run in which nothing goes wrong.
    #[must_use]
    pub const fn calm(seed: u64) -> Self {
        Self {
            seed,
            knobs: Knobs::CALM,
            actions: Vec::new(),
        }
    }
}

macro_rules! knobs {
    ($($(#[$meta:meta])* $name:ident = $calm:expr,)*) => {
        /// The sizes, rates and delays of a run. Names say the unit: `ns` are nanoseconds, `ppm`
        /// is so many times in a million.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Knobs { $($(#[$meta])* pub $name: u64,)* }

        impl Knobs {
            /// A small cluster in a world where nothing goes wrong.
            pub const CALM: Self = Self { $($name: $calm,)* };
            /// The names of all knobs.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// The value of the knob of this name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                match name { $(stringify!($name) => Some(self.$name),)* _ => None }
            }

            /// The knob of this name.
            pub fn get_mut(&mut self, name: &str) -> Option<&mut u64> {
                match name { $(stringify!($name) => Some(&mut self.$name),)* _ => None }
            }
        }
    };
}

const MS: u64 = 1_000_000;

knobs! {
    /// How many servers there are; at most 12.
    nodes = 3,
    /// How many of them found the cluster; the others wait to be added.
    founders = 3,
    /// After so many events the faults end and the finale begins.
    events = 20_000,
    /// The finale: 0 heals everything, 1 leaves one quorum connected and the rest broken.
    finale = 0,
    /// `Config::election_timeout_min`.
    election_ns = 150 * MS,
    /// `Config::election_timeout_max` is this much more.
    election_spread_ns = 150 * MS,
    /// `Config::heartbeat_interval`.
    heartbeat_ns = 20 * MS,
    /// `Config::lease`; 0 is none.
    lease_per_mille = 0,
    /// `Config::transfer_timeout`.
    transfer_timeout_ns = 300 * MS,
    /// `Config::membership_timeout`.
    membership_timeout_ns = 3_000 * MS,
    /// `Config::write_stall_max`.
    write_stall_ns = 1_000 * MS,
    /// `Config::catch_up_entries`.
    catch_up_entries = 50,
    /// `Config::tail_bytes_max`.
    tail_bytes = 64 << 10,
    /// `Config::append_bytes_max`.
    append_bytes = 16 << 10,
    /// `Config::inflight_messages_max`.
    inflight_messages = 64,
    /// `Config::inflight_bytes_max`.
    inflight_bytes = 256 << 10,
    /// `Config::uncommitted_bytes_max`.
    uncommitted_bytes = 1 << 20,
    /// `Config::apply_bytes_max`.
    apply_bytes = 1 << 20,
    /// `Config::reads_max`.
    reads = 1024,
    /// 1: the members have different priorities.
    priorities = 0,
    /// The least time a message takes.
    delay_ns = MS / 2,
    /// A message takes up to this much longer.
    jitter_ns = MS / 2,
    /// How often one takes very long.
    tail_ppm = 0,
    /// How long that is at most.
    tail_ns = 500 * MS,
    /// How often one is lost.
    loss_ppm = 0,
    /// How often one arrives twice.
    duplicate_ppm = 0,
    /// How often an old one arrives again.
    replay_ppm = 0,
    /// 1: a link delivers in order.
    ordered = 1,
    /// The least time a sync takes.
    sync_ns = MS / 2,
    /// It takes up to this much longer.
    sync_jitter_ns = MS / 2,
    /// How often one takes very long.
    slow_sync_ppm = 0,
    /// How long that is at most.
    slow_sync_ns = 500 * MS,
    /// How many writes one sync takes along.
    sync_writes = 64,
    /// How many events a node steps before it flushes.
    batch = 16,
    /// For how long at most a node lets events gather.
    batch_ns = 0,
    /// How often a node ticks although nobody asked for it.
    early_tick_ppm = 0,
    /// The least time a batch takes to be applied.
    apply_ns = MS / 20,
    /// It takes up to this much longer.
    apply_jitter_ns = MS / 20,
    /// A snapshot is taken after so many entries; 0 is never.
    snapshot_every = 500,
    /// How long taking one lasts at most.
    snapshot_ns = 20 * MS,
    /// So many entries before the snapshot stay in the log.
    keep_entries = 50,
    /// In how many chunks a snapshot travels.
    chunks = 4,
    /// How long a chunk takes at most.
    chunk_ns = 2 * MS,
    /// How often one is lost.
    chunk_lost_ppm = 0,
    /// How long reading entries back takes at most.
    fetch_ns = MS,
    /// How often fewer are read than were asked for.
    short_read_ppm = 0,
    /// The machine has a disk of its own that is synced after so many entries; 0 is never.
    machine_sync_every = 0,
    /// How many clients there are.
    clients = 4,
    /// How many registers each group of clients uses.
    keys = 4,
    /// A client that pipelines has at most so many operations under way.
    pipeline = 4,
    /// How long a client thinks between two operations, at most.
    think_ns = 2 * MS,
    /// How long a client waits for an answer before it asks another node.
    patience_ns = 400 * MS,
    /// No operation is begun after so many.
    operations = 100_000,
    /// How stale a read with a bound may be.
    staleness_ns = 100 * MS,
    /// How many operations in a hundred put.
    put_percent = 40,
    /// How many compare and set.
    cas_percent = 15,
    /// How many read through the log.
    get_percent = 5,
    /// How many read with a bound on staleness.
    bounded_percent = 0,
    /// How many read whatever is there. What is left of a hundred reads linearizably.
    local_percent = 0,
    /// How many commands in a hundred are sent to two nodes at once.
    twice_percent = 0,
    /// How many commands in a hundred that got no answer are given up.
    abandon_percent = 0,
}

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Which line, from 1 on.
    pub line: usize,
    /// What it is.
    pub text: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not part of a plan: {}", self.line, self.text)
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("leader 0"),
            Self::Follower(place) => write!(f, "follower {place}"),
            Self::Node(place) => write!(f, "node {place}"),
        }
    }
}

impl fmt::Display for FaultAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            after,
            fault,
            target,
            span,
            amount,
        } = self;
        write!(
            f,
            "after {after} {fault} {target} span {span} amount {amount}"
        )
    }
}

impl fmt::Display for Plan {
    /// Knobs that are as in a calm world are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for name in Knobs::NAMES {
            let value = self.knobs.get(name);
            if value != Knobs::CALM.get(name) {
                writeln!(f, "{name} {}", value.unwrap_or_default())?;
            }
        }
        self.actions
            .iter()
            .try_for_each(|action| writeln!(f, "{action}"))
    }
}

impl FromStr for Plan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut plan = Self::calm(0);
        for (place, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let blank = words.first().is_none_or(|word| word.starts_with('#'));
            if !blank && plan.take_line(&words).is_none() {
                return Err(ParseError {
                    line: place + 1,
                    text: line.to_owned(),
                });
            }
        }
        Ok(plan)
    }
}

impl Plan {
    fn take_line(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["seed", seed] => self.seed = seed.parse().ok()?,
            [
                "after",
                after,
                fault,
                target,
                place,
                "span",
                span,
                "amount",
                amount,
            ] => {
                self.actions.push(FaultAction {
                    after: after.parse().ok()?,
                    fault: Fault::named(fault)?,
                    target: Target::parse(target, place.parse().ok()?)?,
                    span: span.parse().ok()?,
                    amount: amount.parse().ok()?,
                });
            }
            [name, value] => *self.knobs.get_mut(name)? = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

impl Target {
    fn parse(word: &str, place: u64) -> Option<Self> {
        match word {
            "leader" => Some(Self::Leader),
            "follower" => Some(Self::Follower(place)),
            "node" => Some(Self::Node(place)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        for seed in 0..20 {
            let plan = Plan::drawn(seed, 20_000);
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_line() {
        let error = "seed 1\n# fine\n\nnodes many"
            .parse::<Plan>()
            .expect_err("no number");
        assert_eq!((error.line, error.text.as_str()), (4, "nodes many"));
        assert!(
            "after 1 meteor node 1 span 0 amount 0"
                .parse::<Plan>()
                .is_err()
        );
    }
}
