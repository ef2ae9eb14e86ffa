//! Whether a cluster is fast enough for a load of a known size, as etcdctl's `check perf` asks it.
//! It does not know how loads are run.
//!
//! Writes are due at fixed instants and timed from those. etcdctl times them from when one of its
//! clients is free, so a stall looks shorter there: what passes here passes there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use tokio::time::Instant;

use super::bench::args::CONNECTIONS;
use super::bench::keys::{Keys, Values, end_of};
use super::bench::load::{Kind, Load, Order};
use super::bench::progress::Progress;
use super::bench::run::{Round, round};
use super::bench::schedule::Extent;
use super::bench::tally::Lane;
use super::bench::target::Target;
use crate::client::caller::Client;
use crate::client::connect::{ConnectArgs, Settings};
use crate::client::duration::Span;
use crate::client::services;
use crate::exit::Exit;
use crate::out::Out;
use crate::pb::etcdserverpb::{
    CompactionRequest, DefragmentRequest, DeleteRangeRequest, RangeRequest,
};

/// etcdctl's sizes: what a key has beyond its prefix, and a value.
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 1024;

/// etcdctl's limits: a share of the load, and seconds.
const THROUGHPUT_MIN: f64 = 0.9;
const SLOWEST_MAX_S: f64 = 0.5;
const DEVIATION_MAX_S: f64 = 0.1;

/// Deleting all that was written may take so long.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Rewriting a whole store may take so long.
const DEFRAG_TIMEOUT: Duration = Duration::from_secs(300);

/// Checks of a cluster.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(subcommand)]
    verb: CheckVerb,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum CheckVerb {
    /// Write at a steady rate: does the cluster keep up?
    Perf(PerfArgs),
}

/// How much, and where.
#[derive(Debug, Args)]
struct PerfArgs {
    /// Writes a second and clients: 150 and 50, 1000 and 200, 8000 and 500, 15000 and 1000.
    #[arg(long, value_enum, default_value = "s")]
    load: Size,
    /// For how long.
    #[arg(long, default_value = "60s")]
    duration: Span,
    /// What keys begin with. They are deleted at the end.
    #[arg(long, default_value = "/etcdctl-check-perf/")]
    prefix: String,
    /// Compact when all is done.
    #[arg(long)]
    auto_compact: bool,
    /// Defragment every endpoint when all is done.
    #[arg(long)]
    auto_defrag: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Size {
    #[value(alias = "small")]
    S,
    #[value(alias = "medium")]
    M,
    #[value(alias = "large")]
    L,
    #[value(alias = "xLarge")]
    Xl,
}

impl Size {
    /// Writes a second, and clients.
    const fn rate_and_clients(self) -> (u32, usize) {
        match self {
            Self::S => (150, 50),
            Self::M => (1_000, 200),
            Self::L => (8_000, 500),
            Self::Xl => (15_000, 1_000),
        }
    }
}

/// Does what the command line says.
pub(crate) fn run(args: CheckArgs) -> Result<(), Exit> {
    let settings = args.connect.resolve()?;
    let CheckVerb::Perf(perf) = args.verb;
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::new)?;
    runtime.block_on(check(&perf, &settings))
}

async fn check(perf: &PerfArgs, settings: &Settings) -> Result<(), Exit> {
    let client = settings.clone().connect().await?;
    refuse_others_keys(&client, &perf.prefix).await?;
    let (rate, clients) = perf.load.rate_and_clients();
    let load = Arc::new(load(perf, rate, clients)?);
    let target = Target::connect(settings, clients.min(CONNECTIONS), &load.keys, &[]).await?;
    let round = round(&load, &target, 0, &Progress::new("check perf")).await;
    // Also when it went wrong: what was written is of no use to anybody.
    let cleaned = clean_up(&client, perf).await;
    let round = round?;
    cleaned?;
    if round.interrupted {
        return Err(Exit::Unwell(anyhow!("interrupted")));
    }
    let verdict = Verdict::of(&round, rate);
    let mut out = Out::new();
    for line in &verdict.lines {
        out.line(line)?;
    }
    out.flush()?;
    match verdict.passed {
        true => Ok(()),
        // As etcdctl ends; what is wrong was said.
        false => Err(Exit::Failed(anyhow!("the cluster does not keep up"))),
    }
}

fn load(perf: &PerfArgs, rate: u32, clients: usize) -> Result<Load, Exit> {
    let writes = f64::from(rate) * perf.duration.0.as_secs_f64();
    let writes = (writes.round() as u64).max(1);
    Ok(Load {
        kind: Kind::Put,
        keys: Keys::new(&perf.prefix, perf.prefix.len() + KEY_BYTES, writes)?,
        values: Values::new(VALUE_BYTES, 1),
        order: Order::Sequential,
        seed: 1,
        clients,
        warmup: Duration::ZERO,
        extent: Extent::Total(writes),
        rate: Some(f64::from(rate)),
        filled: false,
        epoch: Instant::now(),
    })
}

/// Keys that we did not write are not ours to delete.
async fn refuse_others_keys(client: &Client, prefix: &str) -> Result<(), Exit> {
    let request = RangeRequest {
        key: prefix.to_owned().into(),
        range_end: end_of(prefix),
        limit: 1,
        keys_only: true,
        ..RangeRequest::default()
    };
    let ask = |channel, request| async move { services::kv(channel).range(request).await };
    let found = client.call(request, ask).await?;
    if found.kvs.is_empty() {
        return Ok(());
    }
    Err(Exit::BadInput(anyhow!(
        "there are keys that begin with `{prefix}`: delete them with `raft-cli del --prefix \
         {prefix}` first"
    )))
}

async fn clean_up(client: &Client, perf: &PerfArgs) -> Result<(), Exit> {
    let request = DeleteRangeRequest {
        key: perf.prefix.clone().into(),
        range_end: end_of(&perf.prefix),
        prev_kv: false,
    };
    let ask = |channel, request| async move { services::kv(channel).delete_range(request).await };
    let deleted = client.call_within(CLEANUP_TIMEOUT, request, ask).await?;
    if perf.auto_compact {
        let request = CompactionRequest {
            revision: deleted.header.map_or(0, |header| header.revision),
            physical: false,
        };
        let ask = |channel, request| async move { services::kv(channel).compact(request).await };
        client.call_within(CLEANUP_TIMEOUT, request, ask).await?;
    }
    if perf.auto_defrag {
        let settings = client.settings();
        for endpoint in &settings.endpoints {
            let one = settings.with_endpoints(vec![endpoint.clone()]);
            let ask = |channel, request| async move {
                services::maintenance(channel).defragment(request).await
            };
            one.connect()
                .await?
                .call_within(DEFRAG_TIMEOUT, DefragmentRequest {}, ask)
                .await?;
        }
    }
    Ok(())
}

/// etcdctl's lines.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    passed: bool,
    lines: Vec<String>,
}

impl Verdict {
    fn of(round: &Round, rate: u32) -> Self {
        let writes = round.tally.summaries(round.elapsed);
        let writes = writes.iter().find(|one| one.lane == Lane::Write);
        let [per_second, slowest, deviation] = writes.map_or([0.0; 3], |one| {
            [one.rate, one.max / 1000.0, one.deviation / 1000.0]
        });
        let mut verdict = Self {
            passed: true,
            lines: Vec::new(),
        };
        if !round.tally.failures().is_empty() {
            verdict.fail("FAIL: too many errors".into());
            for (kind, count) in round.tally.failures() {
                verdict.fail(format!("FAIL: ERROR({kind}) -> {count}"));
            }
        }
        let is_enough = per_second / f64::from(rate) > THROUGHPUT_MIN;
        let shown = per_second.round();
        verdict.line(
            is_enough,
            [
                format!("PASS: Throughput is {shown} writes/s"),
                format!("FAIL: Throughput too low: {shown} writes/s"),
            ],
        );
        verdict.line(
            slowest <= SLOWEST_MAX_S,
            [
                format!("PASS: Slowest request took {slowest:.6}s"),
                format!("FAIL: Slowest request took too long: {slowest:.6}s"),
            ],
        );
        verdict.line(
            deviation <= DEVIATION_MAX_S,
            [
                format!("PASS: Stddev is {deviation:.6}s"),
                format!("FAIL: Stddev too high: {deviation:.6}s"),
            ],
        );
        let last = if verdict.passed { "PASS" } else { "FAIL" };
        verdict.lines.push(last.to_owned());
        verdict
    }

    fn line(&mut self, holds: bool, [good, bad]: [String; 2]) {
        match holds {
            true => self.lines.push(good),
            false => self.fail(bad),
        }
    }

    fn fail(&mut self, line: String) {
        self.passed = false;
        self.lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::ops::bench::tally::{Failure, Tally};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        check: CheckArgs,
    }

    fn round(times_ms: &[u64], failures: u64) -> Round {
        let mut tally = Tally::default();
        for time in times_ms {
            tally.record(Lane::Write, Duration::from_millis(*time), Instant::now());
        }
        for _ in 0..failures {
            tally.fail(&Failure::Wrong("no leader"), Instant::now());
        }
        Round {
            tally,
            elapsed: Duration::from_secs(1),
            usage: None,
            own: Default::default(),
            interrupted: false,
        }
    }

    #[test]
    fn verdicts_are_etcdctls() {
        let check = |round: &Round, rate: u32, expected: &[&str]| {
            let verdict = Verdict::of(round, rate);
            assert_eq!(verdict.lines, expected);
            assert_eq!(verdict.passed, expected.last() == Some(&"PASS"));
        };
        let steady = round(&[8; 100], 0);
        let good = [
            "PASS: Throughput is 100 writes/s",
            "PASS: Slowest request took 0.008004s",
            "PASS: Stddev is 0.000000s",
            "PASS",
        ];
        check(&steady, 100, &good);
        check(&steady, 111, &good);
        let slow = "FAIL: Throughput too low: 100 writes/s";
        check(&steady, 112, &[slow, good[1], good[2], "FAIL"]);
        let lines = Verdict::of(&round(&[1, 1, 1, 600], 0), 4).lines;
        assert!(
            lines[1].starts_with("FAIL: Slowest request took too long: 0.6"),
            "{lines:?}"
        );
        assert!(
            lines[2].starts_with("FAIL: Stddev too high: 0.2"),
            "{lines:?}"
        );
        let lines = Verdict::of(&round(&[8; 100], 2), 100).lines;
        let failed = ["FAIL: too many errors", "FAIL: ERROR(no leader) -> 2"];
        assert_eq!(lines[..2], failed);
        assert_eq!(lines[5], "FAIL");
        assert!(!Verdict::of(&round(&[], 0), 100).passed);
    }

    #[tokio::test]
    async fn loads_are_etcdctls() {
        let check = |line: &str, rate: f64, clients: usize, writes: u64| {
            let words = ["check", "perf"].into_iter().chain(line.split_whitespace());
            let CheckVerb::Perf(perf) = Line::try_parse_from(words).unwrap().check.verb;
            let (per_second, clients_of) = perf.load.rate_and_clients();
            let load = load(&perf, per_second, clients_of).unwrap();
            assert_eq!((load.rate, load.clients), (Some(rate), clients), "{line}");
            assert_eq!(load.extent, Extent::Total(writes), "{line}");
            assert_eq!(load.keys.size(), perf.prefix.len() + 256);
        };
        check("", 150.0, 50, 9_000);
        check("--load m --duration 2s", 1000.0, 200, 2_000);
        check("--load=large --duration 1s", 8000.0, 500, 8_000);
        check("--load xLarge --duration 500ms", 15000.0, 1000, 7_500);
    }
}
