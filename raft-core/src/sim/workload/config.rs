//! Who asks what, how often: the plan of the clients, with a default for each choice.
//!
//! This file does not know what the choices do.

use std::time::Duration;

/// Who asks what, how often.
#[derive(Clone, Debug)]
pub struct WorkloadConfig {
    /// From this all randomness comes.
    pub seed: u64,
    /// The nodes `1..=nodes` are asked.
    pub nodes: u64,
    /// How many clients there are.
    pub clients: u32,
    /// How many keys each group of 8 clients shares.
    pub keys_per_group: u64,
    /// Every third client has up to this many operations under way; the others have one.
    pub pipeline_max: usize,
    /// How long a client thinks between two operations, at most.
    pub think_max: Duration,
    /// For how long a client waits for an answer.
    pub timeout: Duration,
    /// No operation is begun after this many.
    pub operations_max: usize,
    /// The bound of reads with bounded staleness.
    pub staleness_max: Duration,
    /// What is asked.
    pub mix: Mix,
}

/// How often what is asked, in per cent; what is left of 100 are linearizable reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Store a value.
    pub put: u8,
    /// Store a value if another one is there.
    pub compare_and_set: u8,
    /// Read, as a command in the log.
    pub get: u8,
    /// Read something that is not too old.
    pub read_bounded: u8,
    /// Read whatever a node has.
    pub read_local: u8,
    /// Of the commands: sent to two nodes at once.
    pub duplicate: u8,
    /// Of what timed out: given up instead of tried again.
    pub abandon: u8,
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            nodes: 3,
            clients: 8,
            keys_per_group: 3,
            pipeline_max: 4,
            think_max: Duration::from_millis(20),
            timeout: Duration::from_millis(300),
            operations_max: 10_000,
            staleness_max: Duration::from_millis(500),
            mix: Mix {
                put: 35,
                compare_and_set: 20,
                get: 5,
                read_bounded: 5,
                read_local: 5,
                duplicate: 10,
                abandon: 20,
            },
        }
    }
}
