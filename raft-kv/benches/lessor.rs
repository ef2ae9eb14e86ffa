//! What it costs to keep leases alive, in time of the leader alone.
//!
//! `renew`: one renewal. `round`: the time from one keep-alive of a client to its next; every lease
//! is renewed once, the leader looks for expired ones ten times, and the queue is put right on the
//! way. It does not measure barriers, nor what clients see.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use raft_core::{Term, Time};
use raft_kv::{LeaseId, Lessor};

const TTL_S: u64 = 10;
const BEATS: u64 = 10;
const BEAT: Duration = Duration::from_millis(300);
/// An odd number that shares no factor with the counts: by it, all are renewed in a mixed order.
const STRIDE: u64 = 7919;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20)
        .configure_from_args();
    for count in [10_000, 1_000_000] {
        renew(&mut criterion, count);
        rounds(&mut criterion, count);
    }
    criterion.final_summary();
}

fn renew(criterion: &mut Criterion, count: u64) {
    let mut lessor = with_leases(count);
    let mut next = 0;
    criterion.bench_function(&format!("renew/{count}"), |bencher| {
        bencher.iter(|| {
            next = (next + STRIDE) % count;
            black_box(lessor.renew(lease(next), Time(0)))
        });
    });
}

fn rounds(criterion: &mut Criterion, count: u64) {
    let mut group = criterion.benchmark_group("round");
    group.throughput(Throughput::Elements(count));
    let mut lessor = with_leases(count);
    let (mut now, mut next) = (Time(0), 0);
    group.bench_function(count.to_string(), |bencher| {
        bencher.iter(|| {
            for _ in 0..BEATS {
                for _ in 0..count / BEATS {
                    next = (next + STRIDE) % count;
                    lessor.renew(lease(next), now).expect("it is alive");
                }
                now = now.plus(BEAT);
                assert_eq!(lessor.expired(now, 1000), []);
            }
        });
    });
    group.finish();
}

fn with_leases(count: u64) -> Lessor {
    let mut lessor = Lessor::default();
    lessor.promote(
        Term(1),
        (0..count).map(|number| (lease(number), TTL_S)),
        Time(0),
    );
    lessor
}

/// Names are far apart, as those that stores choose are.
fn lease(number: u64) -> LeaseId {
    LeaseId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed())
}
