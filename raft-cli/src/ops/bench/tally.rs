//! What was measured: times in histograms, failures by what they said. It does not know of targets
//! or rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;
use tonic::Status;

/// More kinds of failures than this are counted as one.
const KINDS_MAX: usize = 32;

/// What a failure is counted under when there are too many kinds.
const OTHERS: &str = "other failures";

/// Times between these are told apart, to three digits.
const TIME_MIN_NS: u64 = 1_000;
const TIME_MAX_NS: u64 = 3_600_000_000_000;

/// Operations whose times are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Ranges.
    Read,
    /// Puts, and transactions that put.
    Write,
    /// From the begin of a put to its event at a watcher.
    Event,
    /// Renewals of leases.
    KeepAlive,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Event, Self::KeepAlive];

    /// What it is called in output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Event => "event",
            Self::KeepAlive => "keep-alive",
        }
    }
}

/// Why an operation counts as failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server, or the way to it, said so.
    Status(Box<Status>),
    /// It was answered, but not with what there must be.
    Wrong(&'static str),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Failure {
    fn kind(&self) -> String {
        match self {
            Self::Status(status) => format!("{:?}: {}", status.code(), status.message()),
            Self::Wrong(what) => (*what).to_owned(),
        }
    }
}

/// What some clients measured.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    times: [Option<Histogram<u64>>; Lane::ALL.len()],
    failures: BTreeMap<String, u64>,
    /// When the last measured operation ended.
    last_end: Option<Instant>,
}

impl Tally {
    /// Counts an operation that was answered well.
    pub(crate) fn record(&mut self, lane: Lane, time: Duration, end: Instant) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.times[lane as usize]
            .get_or_insert_with(histogram)
            .saturating_record(nanos.max(TIME_MIN_NS));
        self.end(end);
    }

    /// Counts one that was not.
    pub(crate) fn fail(&mut self, failure: &Failure, end: Instant) {
        self.fail_as(failure.kind(), 1);
        self.end(end);
    }

    /// Counts failures of a kind.
    pub(crate) fn fail_as(&mut self, kind: String, count: u64) {
        if count == 0 {
            return;
        }
        let is_full = self.failures.len() >= KINDS_MAX && !self.failures.contains_key(&kind);
        let kind = if is_full { OTHERS.to_owned() } else { kind };
        *self.failures.entry(kind).or_default() += count;
    }

    fn end(&mut self, end: Instant) {
        self.last_end = self.last_end.max(Some(end));
    }

    /// How many of a kind were answered well.
    pub(crate) fn count(&self, lane: Lane) -> u64 {
        self.times[lane as usize].as_ref().map_or(0, Histogram::len)
    }

    /// How many operations ended, well or not. Events are what became of operations.
    pub(crate) fn operations(&self) -> u64 {
        let well = [Lane::Read, Lane::Write, Lane::KeepAlive].map(|lane| self.count(lane));
        well.iter().sum::<u64>() + self.failures.values().sum::<u64>()
    }

    /// When the last operation ended.
    pub(crate) const fn last_end(&self) -> Option<Instant> {
        self.last_end
    }

    /// Failures by kind.
    pub(crate) const fn failures(&self) -> &BTreeMap<String, u64> {
        &self.failures
    }

    /// Adds what others measured.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.times.iter_mut().zip(&other.times) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_with(histogram)
                    .add(theirs)
                    .expect("all histograms have the same bounds");
            }
        }
        for (kind, count) in &other.failures {
            self.fail_as(kind.clone(), *count);
        }
        self.last_end = self.last_end.max(other.last_end);
    }

    /// The operations that were measured, with what they come to when that took `elapsed`.
    pub(crate) fn summaries(&self, elapsed: Duration) -> Vec<Summary> {
        self.lanes()
            .map(|(lane, times)| Summary::new(lane, times, elapsed))
            .collect()
    }

    /// Points of the distribution of each kind, for a plot: a share, and the time in milliseconds
    /// that this share of the operations took at most.
    pub(crate) fn curves(&self) -> Vec<(Lane, Vec<(f64, f64)>)> {
        self.lanes()
            .map(|(lane, times)| (lane, curve(times)))
            .collect()
    }

    fn lanes(&self) -> impl Iterator<Item = (Lane, &Histogram<u64>)> {
        Lane::ALL
            .into_iter()
            .zip(&self.times)
            .filter_map(|(lane, times)| Some((lane, times.as_ref()?)))
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(TIME_MIN_NS, TIME_MAX_NS, 3).expect("the bounds make sense")
}

fn curve(times: &Histogram<u64>) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    // In steps that halve what is left above, as far as there are operations to tell them apart.
    let mut above = 1.0;
    while above * times.len() as f64 >= 2.0 {
        for part in 0..4 {
            let share = 1.0 - above * (1.0 - f64::from(part) / 8.0);
            points.push((share, ms(times.value_at_quantile(share))));
        }
        above /= 2.0;
    }
    points.push((1.0 - 1.0 / times.len().max(1) as f64, ms(times.max())));
    points
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// Figures of one kind of operation. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) lane: Lane,
    pub(crate) count: u64,
    /// Operations a second.
    pub(crate) rate: f64,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Summary {
    fn new(lane: Lane, times: &Histogram<u64>, elapsed: Duration) -> Self {
        let at = |quantile| ms(times.value_at_quantile(quantile));
        Self {
            lane,
            count: times.len(),
            rate: times.len() as f64 / elapsed.as_secs_f64().max(1e-9),
            mean: times.mean() / 1e6,
            deviation: times.stdev() / 1e6,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(times.max()),
        }
    }

    /// The median of each figure on its own over some rounds; `None` without rounds.
    pub(crate) fn median(rounds: &[&Self]) -> Option<Self> {
        let first = rounds.first()?;
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(|one| figure(one)).collect());
        Some(Self {
            lane: first.lane,
            count: rounds.iter().map(|one| one.count).sum(),
            rate: of(|one| one.rate),
            mean: of(|one| one.mean),
            deviation: of(|one| one.deviation),
            p50: of(|one| one.p50),
            p90: of(|one| one.p90),
            p95: of(|one| one.p95),
            p99: of(|one| one.p99),
            p999: of(|one| one.p999),
            max: of(|one| one.max),
        })
    }
}

/// The middle one; of an even number, the mean of the two in the middle; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half), values.len() % 2) {
        (None, _) => 0.0,
        (Some(middle), 1) => *middle,
        (Some(above), _) => f64::midpoint(values[half - 1], *above),
    }
}

#[cfg(test)]
mod tests;
