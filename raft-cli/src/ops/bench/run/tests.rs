//! The loop of a client against a server that is slow on purpose, and a whole round against the
//! bare server.

use super::*;
use crate::ops::bench::schedule::Extent;

/// Takes its time for the first operation, and none for the others.
struct Stalls(Duration);

impl Operate for Stalls {
    async fn once(&mut self, _: Arrival) -> Result<Lane, Failure> {
        tokio::time::sleep(std::mem::take(&mut self.0)).await;
        Ok(Lane::Write)
    }
}

/// Is refused always.
struct Refused;

impl Operate for Refused {
    async fn once(&mut self, _: Arrival) -> Result<Lane, Failure> {
        Err(Failure::Wrong("refused"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_counts_the_waiting_that_a_stall_causes() {
    let stall = Duration::from_millis(100);
    let shards = Shards::new(1);
    // One is due each millisecond, all of them before the stall ends: the first waits for the
    // whole of it, the last for half.
    let plan = Plan::new(Duration::ZERO, Extent::Total(50), Some(1000.0));
    plan.release(50 + 1);
    repeat(&plan, &shards, 0, &mut Stalls(stall)).await;
    let open = shards.merged().summaries(Duration::from_secs(1)).remove(0);
    assert_eq!(open.count, 50);
    assert!((99.0..=102.0).contains(&open.max), "{open:?}");
    assert!((74.0..=77.0).contains(&open.p50), "{open:?}");

    // A closed loop sees one slow operation only, and says so of itself.
    let shards = Shards::new(1);
    let plan = Plan::new(Duration::ZERO, Extent::Total(50), None);
    repeat(&plan, &shards, 0, &mut Stalls(stall)).await;
    let closed = shards.merged().summaries(Duration::from_secs(1)).remove(0);
    assert_eq!(closed.count, 50);
    assert!((99.0..=102.0).contains(&closed.max), "{closed:?}");
    assert!(closed.p50 < 1.0, "{closed:?}");
}

#[tokio::test]
async fn every_refusal_is_counted_once() {
    let shards = Shards::new(3);
    let plan = Plan::new(Duration::ZERO, Extent::Total(5), None);
    repeat(&plan, &shards, 1, &mut Refused).await;
    let tally = shards.merged();
    assert_eq!(tally.failures()["refused"], 5);
    assert_eq!(tally.operations(), 5);
}
