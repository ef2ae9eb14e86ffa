//! What is printed at the end: a row a number of writers, medians of all rounds, and the ratio.
//!
//! It deliberately does not know how anything was measured.

use std::fmt::{self, Write as _};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::disk::Synced;
use crate::load::Figures;

/// Whose figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// This project.
    Ours,
    /// The peer.
    Openraft,
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Side::Ours => "ours",
            Side::Openraft => "openraft",
        })
    }
}

/// All that was measured with one number of writers.
pub(crate) struct Point {
    writers: usize,
    found: Vec<(Side, Figures)>,
}

impl Point {
    pub(crate) fn new(writers: usize) -> Point {
        let found = Vec::new();
        Point { writers, found }
    }

    pub(crate) fn add(&mut self, side: Side, figures: Figures) {
        self.found.push((side, figures));
    }

    /// The median of what `of` sees in each round of a side, the smallest and the largest; `None`
    /// if that side was not measured.
    fn spread(&self, side: Side, of: impl Fn(&Figures) -> f64) -> Option<(f64, f64, f64)> {
        let rounds = self.found.iter().filter(|(whose, _)| *whose == side);
        let mut values: Vec<f64> = rounds.map(|(_, figures)| of(figures)).collect();
        values.sort_unstable_by(f64::total_cmp);
        Some((
            *values.get(values.len() / 2)?,
            *values.first()?,
            *values.last()?,
        ))
    }
}

const SIDES: [Side; 2] = [Side::Ours, Side::Openraft];

pub(crate) fn table(disk: &[Synced], points: &[Point]) -> String {
    let disk = disk.iter().map(|probe| format!("{probe}\n"));
    let mut text: String = disk.collect();
    text.push_str(
        "writers  side      writes/s (least .. most)        p50 µs    p99 µs  cpu µs a write\n",
    );
    for point in points {
        for side in SIDES {
            let Some((rate, least, most)) = point.spread(side, |f| f.writes_per_second) else {
                continue;
            };
            let (p50, p99, cpu) = times(point, side);
            let writers = point.writers;
            let range = format!("{rate:.0} ({least:.0} .. {most:.0})");
            let side = side.to_string();
            writeln!(
                text,
                "{writers:>7}  {side:<8}  {range:<28}  {p50:>8.0}  {p99:>8.0}  {cpu:>14.2}"
            )
            .expect("a string takes all");
        }
        if let Some(ratio) = ratio(point) {
            let cpu = times(point, Side::Openraft).2 / times(point, Side::Ours).2;
            writeln!(
                text,
                "         ours / openraft: {ratio:.2}; writes a second of cpu: {cpu:.2}"
            )
            .expect("a string takes all");
        }
    }
    text
}

fn ratio(point: &Point) -> Option<f64> {
    let rate = |side| Some(point.spread(side, |f| f.writes_per_second)?.0);
    Some(rate(Side::Ours)? / rate(Side::Openraft)?)
}

pub(crate) fn json(disk: &[Synced], points: &[Point]) -> anyhow::Result<String> {
    let rows = points.iter().map(|point| {
        let mut row = json!({ "writers": point.writers });
        row["ratio"] = ratio(point).into();
        for side in SIDES {
            row[side.to_string()] = side_json(point, side);
        }
        row
    });
    let all = json!({ "disk": disk, "points": rows.collect::<Vec<Value>>() });
    Ok(serde_json::to_string_pretty(&all)?)
}

fn side_json(point: &Point, side: Side) -> Value {
    let Some((rate, least, most)) = point.spread(side, |f| f.writes_per_second) else {
        return Value::Null;
    };
    let (p50, p99, cpu) = times(point, side);
    json!({
        "writes_per_second": rate, "least": least, "most": most,
        "p50_microseconds": p50, "p99_microseconds": p99,
        "cpu_microseconds_a_write": cpu,
    })
}

/// In microseconds: medians of p50 and p99, and of the processor time a write.
fn times(point: &Point, side: Side) -> (f64, f64, f64) {
    let median =
        |of: fn(&Figures) -> f64| point.spread(side, of).map_or(0.0, |(median, ..)| median);
    (
        median(|f| f.p50.as_secs_f64() * 1e6),
        median(|f| f.p99.as_secs_f64() * 1e6),
        median(|f| f.cpu_a_write.as_secs_f64() * 1e6),
    )
}
