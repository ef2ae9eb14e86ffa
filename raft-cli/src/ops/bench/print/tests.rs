//! What reports look like, on one that is written down here.

use std::collections::BTreeMap;

use super::*;
use crate::ops::bench::report::LoadReport;
use crate::ops::bench::tally::Lane;

/// Two targets, of which the second is twice as slow, fails at times, and is called strangely.
pub(crate) fn sample() -> Report {
    let load = LoadReport {
        workload: "puts".into(),
        pace: "closed loop".into(),
        clients: 64,
        connections: 16,
        extent: "10 s".into(),
        warmup_seconds: 1.0,
        key_bytes: 24,
        value_bytes: 256,
        keys: 10_000,
        order: "random",
        seed: 1,
        rounds: 1,
    };
    let slow = target("<b>&\"slow\"</b>", 2.0, [("Unavailable: no leader", 3)]);
    Report::new(load, vec![target("ours", 1.0, []), slow])
}

fn target<const N: usize>(name: &str, factor: f64, errors: [(&str, u64); N]) -> TargetReport {
    let figures = Figures {
        operation: Lane::Write,
        count: 1000,
        rate_per_second: 100.0 / factor,
        mean_ms: 1.5 * factor,
        deviation_ms: 0.5,
        p50_ms: factor,
        p90_ms: 2.0 * factor,
        p95_ms: 2.5 * factor,
        p99_ms: 4.0 * factor,
        p999_ms: 8.0 * factor,
        max_ms: 9.25 * factor,
    };
    let usage = UsageReport {
        cpu_seconds_per_1000_operations: 0.125 * factor,
        peak_bytes: 64 << 20,
    };
    TargetReport {
        name: name.into(),
        endpoints: vec!["127.0.0.1:1".into()],
        rounds: vec![vec![figures.clone()]],
        figures: vec![figures],
        errors: BTreeMap::from(errors.map(|(kind, count)| (kind.to_owned(), count))),
        servers: Some(usage),
        generator: usage,
        curves: vec![(Lane::Write, vec![(0.0, 0.5), (0.5, factor), (0.99, 4.0)])],
    }
}

#[test]
fn percentiles_are_printed_for_people() {
    let expected = "\
puts, closed loop, 64 clients over 16 connections, 10 s after 1 s of warm-up; \
keys 24 B (10000, random), values 256 B, seed 1

ours
  write
    rate         100.0/s
    mean        1.500 ms
    p50         1.000 ms
    p90         2.000 ms
    p95         2.500 ms
    p99         4.000 ms
    p99.9       8.000 ms
    max         9.250 ms
    count           1000
  no failures
  servers: 0.1250 CPU seconds per 1000 operations, peak memory 64.0 MiB
  load generator: 0.1250 CPU seconds per 1000 operations, peak memory 64.0 MiB";
    let text = text(&sample(), Format::Simple);
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("\n  failed 3 times: Unavailable: no leader\n"),
        "{text}"
    );
    let ratios = "
ratios of ours
  write rate (1/s) 100.0000 | <b>&\"slow\"</b> 50.0000 (2.000 x)
  write mean (ms) 1.5000 | <b>&\"slow\"</b> 3.0000 (0.500 x)";
    assert!(text.contains(ratios), "{text}");
}

#[test]
fn tables_hold_a_row_a_target_and_a_row_a_ratio() {
    let text = text(&sample(), Format::Table);
    let row = |first: &str, second: &str| {
        let found = text.lines().find(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            cells.next() == Some(first) && cells.next() == Some(second)
        });
        let line = found.unwrap_or_else(|| panic!("no {first} {second} in {text}"));
        line.split('|')
            .map(|cell| cell.trim().to_owned())
            .filter(|cell| !cell.is_empty())
            .collect::<Vec<_>>()
    };
    let ours = row("ours", "write");
    assert_eq!(ours[2..5], ["100.0/s", "1.500 ms", "1.000 ms"]);
    assert_eq!(
        row("write", "rate (1/s)"),
        ["write", "rate (1/s)", "100.0000", "50.0000", "2.000 x"]
    );
    assert_eq!(
        row("write", "server CPU (s/1000)")[2..],
        ["0.1250", "0.2500", "0.500 x"]
    );
    assert_eq!(row("write", "peak memory (MiB)")[4], "1.000 x");
}

#[test]
fn programs_get_numbers() {
    let text = text(&sample(), Format::Json);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["load"]["clients"], 64);
    let ours = &json["targets"][0];
    assert_eq!(ours["figures"][0]["operation"], "write");
    assert_eq!(ours["figures"][0]["p99_ms"], 4.0);
    assert_eq!(ours["rounds"][0][0]["p999_ms"], 8.0);
    assert_eq!(json["targets"][1]["errors"]["Unavailable: no leader"], 3);
    assert_eq!(json["ratios"][0]["others"][0]["ratio"], 2.0);
}

#[test]
fn without_others_there_are_no_ratios() {
    let sample = sample();
    let mut targets = sample.targets;
    targets.truncate(1);
    let report = Report::new(sample.load, targets);
    assert!(report.ratios.is_empty());
    assert!(!text(&report, Format::Simple).contains("ratios"));
}
