//! All that a run has to say, ready to be printed in one way or another: the load, each target's
//! figures, and how the first target compares with the others. It does not know how it is printed.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::run::Round;
use super::tally::{Lane, Summary, Tally, median};
use super::usage::Usage;

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) load: LoadReport,
    pub(crate) targets: Vec<TargetReport>,
    /// The first target beside each other one.
    pub(crate) ratios: Vec<Ratio>,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct LoadReport {
    pub(crate) workload: String,
    /// How operations follow each other, in words.
    pub(crate) pace: String,
    pub(crate) clients: usize,
    pub(crate) connections: usize,
    /// How much was measured, in words.
    pub(crate) extent: String,
    pub(crate) warmup_seconds: f64,
    pub(crate) key_bytes: usize,
    pub(crate) value_bytes: usize,
    pub(crate) keys: u64,
    pub(crate) order: &'static str,
    pub(crate) seed: u64,
    pub(crate) rounds: u8,
}

/// What it came to at one target.
#[derive(Debug, Serialize)]
pub(crate) struct TargetReport {
    pub(crate) name: String,
    pub(crate) endpoints: Vec<String>,
    /// Of each figure the median of the rounds; counts are sums.
    pub(crate) figures: Vec<Figures>,
    pub(crate) rounds: Vec<Vec<Figures>>,
    /// How many operations failed, by what they said.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What its processes used.
    pub(crate) servers: Option<UsageReport>,
    /// What the load itself used.
    pub(crate) generator: UsageReport,
    #[serde(skip)]
    pub(crate) curves: Vec<(Lane, Vec<(f64, f64)>)>,
}

/// Figures of one kind of operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    #[serde(serialize_with = "lane_name")]
    pub(crate) operation: Lane,
    pub(crate) count: u64,
    pub(crate) rate_per_second: f64,
    pub(crate) mean_ms: f64,
    pub(crate) deviation_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

/// Processor time and memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct UsageReport {
    /// The median of the rounds.
    pub(crate) cpu_seconds_per_1000_operations: f64,
    /// The most that one process ever had.
    pub(crate) peak_bytes: u64,
}

/// A figure of the first target, divided by that of another.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    #[serde(serialize_with = "lane_name")]
    pub(crate) operation: Lane,
    pub(crate) figure: &'static str,
    /// The first target's.
    pub(crate) value: f64,
    /// The others', with the ratio to each.
    pub(crate) others: Vec<Other>,
}

/// The other side of a ratio.
#[derive(Debug, Serialize)]
pub(crate) struct Other {
    pub(crate) target: String,
    pub(crate) value: f64,
    /// Absent when there is nothing to divide by.
    pub(crate) ratio: Option<f64>,
}

fn lane_name<S: Serializer>(lane: &Lane, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(lane.name())
}

impl Report {
    /// Of what the targets came to.
    pub(crate) fn new(load: LoadReport, targets: Vec<TargetReport>) -> Self {
        let ratios = match targets.split_first() {
            Some((first, others)) if !others.is_empty() => ratios(first, others),
            Some(_) | None => Vec::new(),
        };
        Self {
            load,
            targets,
            ratios,
        }
    }
}

impl TargetReport {
    /// Of some rounds.
    pub(crate) fn new(name: String, endpoints: &[String], rounds: &[Round]) -> Self {
        let figures: Vec<Vec<Summary>> = rounds
            .iter()
            .map(|round| round.tally.summaries(round.elapsed))
            .collect();
        let mut all = Tally::default();
        for round in rounds {
            all.merge(&round.tally);
        }
        let curves = all.curves();
        let medians = curves.iter().filter_map(|(lane, _)| {
            let all = figures.iter().flatten();
            Summary::median(&all.filter(|one| one.lane == *lane).collect::<Vec<_>>())
        });
        let usages = rounds.iter().map(|round| (round, round.usage));
        let own = rounds.iter().map(|round| (round, Some(round.own)));
        Self {
            name,
            endpoints: endpoints.to_vec(),
            figures: medians.map(|median| Figures::from(&median)).collect(),
            rounds: figures
                .iter()
                .map(|round| round.iter().map(Figures::from).collect())
                .collect(),
            errors: all.failures().clone(),
            servers: usage(usages),
            generator: usage(own).unwrap_or(UsageReport {
                cpu_seconds_per_1000_operations: 0.0,
                peak_bytes: 0,
            }),
            curves,
        }
    }
}

fn usage<'a>(rounds: impl Iterator<Item = (&'a Round, Option<Usage>)>) -> Option<UsageReport> {
    let mut costs = Vec::new();
    let mut peak_bytes = 0;
    for (round, usage) in rounds {
        let usage = usage?;
        let thousands = round.tally.operations() as f64 / 1000.0;
        if thousands > 0.0 {
            costs.push(usage.cpu.as_secs_f64() / thousands);
        }
        peak_bytes = peak_bytes.max(usage.peak_bytes);
    }
    Some(UsageReport {
        cpu_seconds_per_1000_operations: median(costs),
        peak_bytes,
    })
}

impl From<&Summary> for Figures {
    fn from(summary: &Summary) -> Self {
        Self {
            operation: summary.lane,
            count: summary.count,
            rate_per_second: summary.rate,
            mean_ms: summary.mean,
            deviation_ms: summary.deviation,
            p50_ms: summary.p50,
            p90_ms: summary.p90,
            p95_ms: summary.p95,
            p99_ms: summary.p99,
            p999_ms: summary.p999,
            max_ms: summary.max,
        }
    }
}

/// A figure that is worth a ratio.
type Pick = (&'static str, fn(&Figures) -> f64);

const COMPARED: [Pick; 6] = [
    ("rate (1/s)", |one| one.rate_per_second),
    ("mean (ms)", |one| one.mean_ms),
    ("p50 (ms)", |one| one.p50_ms),
    ("p95 (ms)", |one| one.p95_ms),
    ("p99 (ms)", |one| one.p99_ms),
    ("p99.9 (ms)", |one| one.p999_ms),
];

fn ratios(first: &TargetReport, others: &[TargetReport]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for mine in &first.figures {
        let lane = mine.operation;
        for (figure, pick) in COMPARED {
            let theirs = others.iter().filter_map(|other| {
                let theirs = other.figures.iter().find(|one| one.operation == lane)?;
                Some((other.name.as_str(), pick(theirs)))
            });
            ratios.push(ratio(lane, figure, pick(mine), theirs));
        }
    }
    let lane = first.figures.first().map(|figures| figures.operation);
    if let (Some(mine), Some(lane)) = (first.servers, lane) {
        let of = |pick: fn(&UsageReport) -> f64| {
            let theirs = others
                .iter()
                .filter_map(move |other| Some((other.name.as_str(), pick(&other.servers?))));
            (pick(&mine), theirs)
        };
        let (value, theirs) = of(|usage| usage.cpu_seconds_per_1000_operations);
        ratios.push(ratio(lane, "server CPU (s/1000)", value, theirs));
        let (value, theirs) = of(|usage| usage.peak_bytes as f64 / f64::from(1 << 20));
        ratios.push(ratio(lane, "peak memory (MiB)", value, theirs));
    }
    ratios
}

fn ratio<'a>(
    operation: Lane,
    figure: &'static str,
    value: f64,
    others: impl Iterator<Item = (&'a str, f64)>,
) -> Ratio {
    let other = |(target, theirs): (&str, f64)| Other {
        target: target.to_owned(),
        value: theirs,
        ratio: (theirs > 0.0).then(|| value / theirs),
    };
    Ratio {
        operation,
        figure,
        value,
        others: others.map(other).collect(),
    }
}
