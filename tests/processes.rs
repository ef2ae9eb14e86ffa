//! Whole clusters as operators run them: real processes on real ports and disks, and everything
//! done to them that operation does, while clients write down what they were told.
//!
//! Each campaign says how many operations and faults it saw, and fails when there were too few.
//! `RAFT_CHAOS_SECONDS` makes campaigns longer, `RAFT_SEED` draws the same faults once more, and
//! `RAFT_TEST_SERVER=/usr/bin/etcd` runs the tests against the peer. Clusters run one at a time.

#[path = "processes/certificates.rs"]
mod certificates;
#[path = "processes/disks.rs"]
mod disks;
#[path = "processes/kills.rs"]
mod kills;
#[path = "processes/membership.rs"]
mod membership;
#[path = "processes/partitions.rs"]
mod partitions;
#[path = "processes/pauses.rs"]
mod pauses;
#[path = "processes/recovery.rs"]
mod recovery;
#[path = "processes/rolling.rs"]
mod rolling;
#[path = "processes/snapshots.rs"]
mod snapshots;
#[path = "processes/strangers.rs"]
mod strangers;

use raft_tests::processes::Program;

/// What the processes run.
fn program() -> Program {
    Program::or_ours(env!("CARGO_BIN_EXE_raft-node"))
}
