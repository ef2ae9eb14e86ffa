//! What is counted, what is added up, and what figures come of it.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn tally(times_ms: impl IntoIterator<Item = u64>, lane: Lane) -> Tally {
    let mut tally = Tally::default();
    for time in times_ms {
        tally.record(lane, Duration::from_millis(time), Instant::now());
    }
    tally
}

/// Figures are exact to three digits.
fn is_near(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= expected * 0.001
}

#[test]
fn figures_are_those_of_the_distribution() {
    let summaries = tally(1..=1000, Lane::Write).summaries(2 * SECOND);
    let [summary] = summaries.as_slice() else {
        panic!("{summaries:?}");
    };
    assert_eq!((summary.lane, summary.count), (Lane::Write, 1000));
    let check = |name: &str, value: f64, expected: f64| {
        assert!(is_near(value, expected), "{name}: {value}, not {expected}");
    };
    check("rate", summary.rate, 500.0);
    check("mean", summary.mean, 500.5);
    check("deviation", summary.deviation, 288.675);
    check("p50", summary.p50, 500.0);
    check("p90", summary.p90, 900.0);
    check("p95", summary.p95, 950.0);
    check("p99", summary.p99, 990.0);
    check("p99.9", summary.p999, 999.0);
    check("max", summary.max, 1000.0);
}

#[test]
fn what_clients_measured_apart_adds_up_to_what_one_would_have_measured() {
    let mut merged = tally((1..=1000).step_by(2), Lane::Read);
    merged.merge(&tally((2..=1000).step_by(2), Lane::Read));
    let one = tally(1..=1000, Lane::Read);
    assert_eq!(merged.summaries(SECOND), one.summaries(SECOND));
    assert_eq!(merged.curves(), one.curves());

    // Kinds of operations stay apart.
    merged.merge(&tally([5], Lane::Write));
    assert_eq!(merged.count(Lane::Read), 1000);
    assert_eq!(merged.count(Lane::Write), 1);
    assert_eq!(merged.operations(), 1001);
}

#[test]
fn failures_are_counted_by_what_was_said() {
    let mut tally = Tally::default();
    let now = Instant::now();
    for _ in 0..2 {
        tally.fail(&Status::unavailable("no leader").into(), now);
    }
    tally.fail(&Failure::Wrong("keys are missing"), now);
    let mut merged = Tally::default();
    merged.merge(&tally);
    merged.merge(&tally);
    let failures: Vec<_> = merged.failures().iter().collect();
    assert_eq!(
        failures,
        [
            (&"Unavailable: no leader".to_owned(), &4),
            (&"keys are missing".to_owned(), &2)
        ]
    );
    assert_eq!(merged.operations(), 6);
    assert!(merged.summaries(SECOND).is_empty());
}

#[test]
fn endless_kinds_of_failures_do_not_take_endless_memory_and_none_is_lost() {
    let mut tally = Tally::default();
    for number in 0..1000 {
        tally.fail_as(format!("failure {number}"), 1);
    }
    assert_eq!(tally.failures().len(), KINDS_MAX + 1);
    assert_eq!(tally.failures().values().sum::<u64>(), 1000);
    assert_eq!(tally.failures()[OTHERS], 1000 - KINDS_MAX as u64);
}

#[test]
fn times_beyond_all_bounds_count_as_the_bounds() {
    let mut tally = Tally::default();
    tally.record(Lane::Event, Duration::ZERO, Instant::now());
    tally.record(Lane::Event, Duration::MAX, Instant::now());
    let summary = &tally.summaries(SECOND)[0];
    assert_eq!(summary.count, 2);
    assert!(
        is_near(summary.max, TIME_MAX_NS as f64 / 1e6),
        "{summary:?}"
    );
}

#[test]
fn the_curve_rises_to_the_longest_time() {
    let curves = tally(1..=1000, Lane::Write).curves();
    let points = &curves[0].1;
    assert!(
        points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1),
        "{points:?}"
    );
    assert_eq!(points[0].0, 0.0);
    assert!(is_near(points[points.len() - 1].1, 1000.0));
}

#[test]
fn the_median_of_rounds_is_taken_figure_by_figure() {
    let rounds = [[1, 1, 1], [3, 9, 30], [7, 8, 9]].map(|times| {
        let tally = tally(times, Lane::Write);
        tally.summaries(SECOND).remove(0)
    });
    let median = Summary::median(&rounds.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(median.count, 9);
    assert!(is_near(median.p50, 8.0), "{median:?}");
    assert!(is_near(median.max, 9.0), "{median:?}");
    assert_eq!(Summary::median(&[]), None);
}

#[test]
fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
    let check = |values: &[f64], expected: f64| assert_eq!(median(values.to_vec()), expected);
    check(&[], 0.0);
    check(&[3.0], 3.0);
    check(&[4.0, 1.0], 2.5);
    check(&[9.0, 1.0, 2.0], 2.0);
}
