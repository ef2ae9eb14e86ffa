//! Runs an exploration and says how it went.
//!
//! It deliberately does not decide what is good enough; its callers do.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path, Property};

use super::cluster::{Action, Cluster, State};
use super::configurations::Configuration;
use super::laws::{Law, Mark};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many states to look at.
    pub states: u64,
    /// How many threads to use.
    pub threads: usize,
    /// In which order.
    pub order: Order,
}

/// In which order to look at states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Takes little memory. What is left out when there are too many states lies all in one corner,
    /// and the path to a breach is long.
    DepthFirst,
    /// Leaves out what is furthest away, and finds about the shortest path to a breach.
    BreadthFirst,
}

/// How an exploration went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of which configuration.
    pub name: &'static str,
    /// How many different states were looked at.
    pub states: u64,
    /// How many steps led to them, those to a state already known included.
    pub steps: u64,
    /// The length of the longest path.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// Whether nothing was left out within the bounds of the configuration.
    pub complete: bool,
    /// What had to be seen and was not.
    pub missing: Vec<Mark>,
    /// Laws that were broken, why, and by which path.
    pub breaches: Vec<Breach>,
    /// How many situations of a node, messages, and steps of a node there were.
    pub sizes: (u32, u32, u32),
}

/// A law that was broken.
#[derive(Clone, Debug)]
pub struct Breach {
    /// Which.
    pub law: Law,
    /// By what, in words.
    pub why: String,
    /// The actions that led there and the states between, in words.
    pub path: String,
}

/// How it goes.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Different states found so far, those not yet looked at included.
    pub states: usize,
    /// The length of the longest path so far.
    pub depth: usize,
    /// The time so far.
    pub time: Duration,
}

/// How often there is news.
const NEWS_EVERY: Duration = Duration::from_millis(100);

/// Explores a configuration.
pub fn explore(
    configuration: &Configuration,
    limits: Limits,
    news: impl FnMut(Progress),
) -> Report {
    let cluster = Cluster::new(configuration.clone());
    cluster.limit(limits.states);
    let checker = cluster
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures);
    match limits.order {
        Order::DepthFirst => finish(checker.spawn_dfs(), news),
        Order::BreadthFirst => finish(checker.spawn_bfs(), news),
    }
}

fn finish(mut checker: impl Checker<Cluster>, mut news: impl FnMut(Progress)) -> Report {
    let started = Instant::now();
    for handle in checker.handles() {
        while !handle.is_finished() {
            std::thread::park_timeout(NEWS_EVERY);
            news(Progress {
                states: checker.unique_state_count(),
                depth: checker.max_depth(),
                time: started.elapsed(),
            });
        }
        handle
            .join()
            .expect("the checker does not panic, whatever the core does");
    }
    report(&checker, started.elapsed())
}

fn report(checker: &impl Checker<Cluster>, time: Duration) -> Report {
    let cluster = checker.model();
    let found = checker.unique_state_count() as u64;
    let states = cluster.checked();
    // Finding the paths again is not exploring.
    cluster.limit(u64::MAX);
    let mut discoveries = checker.discoveries();
    let marks = cluster.properties().into_iter().filter(|property| {
        property.expectation == Expectation::Sometimes && !discoveries.contains_key(property.name)
    });
    let missing = marks
        .filter_map(|property| Mark::ALL.iter().find(|mark| mark.words() == property.name))
        .copied()
        .collect();
    let breaches: Vec<Breach> = Law::ALL
        .iter()
        .filter_map(|law| Some((*law, discoveries.remove(law.words())?)))
        .map(|(law, path)| Breach {
            law,
            why: cluster.breach(law).unwrap_or_default(),
            path: print_path(cluster, path),
        })
        .collect();
    Report {
        name: cluster.configuration.name,
        states,
        steps: checker.state_count() as u64,
        depth: checker.max_depth(),
        time,
        complete: breaches.is_empty() && states == found,
        missing,
        breaches,
        sizes: cluster.sizes(),
    }
}

fn print_path(cluster: &Cluster, path: Path<State, Action>) -> String {
    let steps: Vec<(State, Option<Action>)> = path.into_vec();
    let print = |(at, (state, action)): (usize, &(State, Option<Action>))| {
        let action =
            action.map(|action| format!("{}. {}\n", at + 1, cluster.format_action(&action)));
        format!(
            "{}{}",
            cluster.print_state(state),
            action.unwrap_or_default()
        )
    };
    steps.iter().enumerate().map(print).collect()
}

/// The checker wants a function a property, so each law and mark gets one of its own.
macro_rules! by_name {
    ($value:ident, $kind:ident { $($name:ident)+ }, $made:path, $condition:expr) => {
        match $value {
            $($kind::$name => $made($value.words(), |cluster: &Cluster, state: &State| {
                let condition: fn(&Cluster, &State, $kind) -> bool = $condition;
                condition(cluster, state, $kind::$name)
            }),)+
        }
    };
}

pub(super) fn always(law: Law) -> Property<Cluster> {
    by_name!(
        law,
        Law {
            ElectionSafety VoteOnce LogMatching LeaderCompleteness StateMachineSafety
            LeaderAppendOnly CommitQuorum PersistBeforeSend ReadBarrier QuorumOverlap
            OneChangeAtATime SelfCheck NoPanic Contract
        },
        Property::always,
        |_, state, law| state.broken != Some(law)
    )
}

pub(super) fn sometimes(mark: Mark) -> Property<Cluster> {
    by_name!(
        mark,
        Mark {
            Elected TwoLeaders Committed OldTermOnMajority Truncated StalePersisted WritesLost
            Repeated Batched Joint JointLeft RolledBack CrashInJoint Aborted Changed Inherited
            LeftOffice Installed Compacted FetchFailed ReadBack ReadAtLeader ReadAtFollower
            ReadAtOldLeader Transferred TransferAborted Quarantined Released OtherLife
        },
        Property::sometimes,
        |cluster, state, mark| cluster.shows(state, mark)
    )
}
