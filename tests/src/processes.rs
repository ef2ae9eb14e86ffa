//! Clusters of real processes on this machine: started, signalled, starved and cut off from each
//! other, while clients write down what they were told.
//!
//! The processes speak etcd's protocol and take its flags, and nothing else is known of them:
//! `RAFT_TEST_SERVER=/usr/bin/etcd` runs the same tests against the peer. What only our own server
//! promises is then skipped, and said to be.

mod book;
mod certificates;
mod change;
mod client;
mod cluster;
mod judge;
mod load;
mod network;
mod place;
mod plan;
mod process;
mod program;
mod small_disk;
mod stalls;

use std::time::{Duration, Instant};

pub use book::{Book, Counts};
pub use certificates::{Authority, Files};
pub use client::{Client, Event, Seen, Swap, Trouble};
pub use cluster::Cluster;
pub use load::{Load, Wishes};
pub use network::Network;
pub use place::Address;
pub use plan::Plan;
pub use process::{Process, Signal};
pub use program::{Program, printed};
pub use small_disk::SmallDisk;
pub use stalls::Stalls;

/// How long anything may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What other processes are asked again and again is asked this often.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer. Processes do not say when they change, so nobody can wait
/// without asking.
///
/// # Panics
/// When patience ends.
pub async fn until<T>(what: &str, mut find: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find().await {
            return found;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks until there is an answer, and tells what the trouble was if there never is.
///
/// # Panics
/// When patience ends.
pub async fn insist<T>(mut ask: impl AsyncFnMut() -> Result<T, Trouble>) -> T {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(trouble) => assert!(began.elapsed() < PATIENCE, "after {PATIENCE:?}: {trouble}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How long a campaign of random faults goes on: `RAFT_CHAOS_SECONDS`, or as long as is usual.
///
/// # Panics
/// When that is no number.
#[must_use]
pub fn campaign_length(usual: Duration) -> Duration {
    std::env::var("RAFT_CHAOS_SECONDS").map_or(usual, |text| {
        Duration::from_secs(text.parse().expect("a number of seconds"))
    })
}

/// What decides on faults and operations: `RAFT_SEED`, or the time of day. Says which it is.
///
/// # Panics
/// When that is no number.
#[must_use]
pub fn seed() -> u64 {
    let seed = match std::env::var("RAFT_SEED") {
        Ok(text) => text.parse().expect("RAFT_SEED is a number"),
        Err(_) => {
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::SystemTime::UNIX_EPOCH);
            raft_core::types::nanos(since.expect("it is later than 1970"))
        }
    };
    println!("RAFT_SEED={seed}");
    seed
}

/// Says why a test ends without having tested anything.
pub fn skip(why: &str) {
    println!("skipped: {why}");
}
