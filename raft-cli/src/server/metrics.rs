//! What a member counts and measures, as Prometheus reads it: under names of ours, and under those
//! that dashboards and alerts for etcd read.
//!
//! What happens often is counted where it happens, in counters that are there from the start; all
//! else is taken from the member's report when somebody looks. No key, no index and no address is
//! ever a label. It does not know who looks.

mod calls;
mod handled;
mod looked;
mod round_trips;
mod timed;

pub(crate) use handled::Handled;
pub(crate) use round_trips::TimedTransport;
pub(crate) use timed::{TimedLog, TimedMachine};

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use self::calls::Calls;
use self::round_trips::RoundTrips;
use super::report::MemberReport;

/// The content type of the text.
pub(crate) const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a member counts and measures.
pub(crate) struct Metrics {
    /// What is never taken out again.
    lasting: Registry,
    /// Writes to the log, each with its sync.
    wal_fsync: Histogram,
    /// Batches of commands written to the store.
    backend_commit: Histogram,
    calls: Calls,
    round_trips: RoundTrips,
    health_success: AtomicU64,
    health_failures: AtomicU64,
}

impl Metrics {
    /// Of a member that has just started.
    pub(crate) fn new() -> Self {
        let mut lasting = Registry::default();
        // From an eighth of a millisecond on: disks have become faster than etcd's first bucket.
        let durations = || Histogram::new(exponential_buckets(0.000_125, 2.0, 17));
        let (wal_fsync, backend_commit) = (durations(), durations());
        for (names, help, histogram) in [
            (
                ["etcd_disk_wal_fsync", "raft_log_write"],
                "How long writes to the log took, with their sync",
                &wal_fsync,
            ),
            (
                ["etcd_disk_backend_commit", "raft_store_apply"],
                "How long batches of commands took to be written to the store",
                &backend_commit,
            ),
        ] {
            for name in names {
                let name = format!("{name}_duration_seconds");
                lasting.register(name, help, histogram.clone());
            }
        }
        let round_trips = RoundTrips::new(&mut lasting);
        Self {
            lasting,
            wal_fsync,
            backend_commit,
            calls: Calls::new(),
            round_trips,
            health_success: AtomicU64::new(0),
            health_failures: AtomicU64::new(0),
        }
    }

    /// Somebody asked how the member is.
    pub(crate) fn health_checked(&self, is_well: bool) {
        let count = if is_well {
            &self.health_success
        } else {
            &self.health_failures
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything as text.
    pub(crate) fn text(&self, report: &MemberReport) -> String {
        let mut looked = looked::at(report);
        self.calls.register(&mut looked);
        for (name, count) in [
            ("etcd_server_health_success", &self.health_success),
            ("etcd_server_health_failures", &self.health_failures),
        ] {
            let count = i64::try_from(count.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            let gauge = prometheus_client::metrics::gauge::ConstGauge::new(count);
            looked.register(name, "Answers to /health", gauge);
        }
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.lasting)
            .and_then(|()| encode_registry(&mut text, &looked))
            .and_then(|()| encode_eof(&mut text));
        written.expect("a string takes everything");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
