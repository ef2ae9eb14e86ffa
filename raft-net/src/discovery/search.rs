//! The search of a new node: looks addresses up, asks who is there, and listens to the judgement.
//!
//! This file decides nothing: see `assembly.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::time::Duration;

use raft_core::port::ClusterView;
use raft_core::{GroupId, NodeId};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::ask::Asker;
use super::assembly::{Assembly, Step};
use super::greeter::Greeting;
use super::seeds::{Found, Seeds};
use super::{Assembled, Candidate, DiscoveryError, Founders, Plan};
use crate::net::TcpNet;

/// How often everybody is asked.
const ROUND: Duration = Duration::from_millis(250);
/// Names are looked up again every so many rounds.
const LOOK_UP_ROUNDS: u32 = 4;

/// The search of a new node.
pub(super) struct Search {
    me: Candidate,
    seeds: Seeds,
    patience: Duration,
    asker: Asker,
    assembly: Assembly,
    /// `None` where a node answers for itself.
    greeting: Option<Greeting>,
    /// What is known of each address that was found last.
    places: BTreeMap<String, Place>,
    /// What could not be looked up last.
    unknown: Vec<String>,
    /// What is under way; ends with the search.
    probes: JoinSet<Probe>,
    is_looking_up: bool,
    /// What was said to be missing last.
    missing: Vec<String>,
}

/// What is known of an address.
#[derive(Default)]
struct Place {
    /// Who is expected there.
    expected: Option<NodeId>,
    /// Who was there last.
    node: Option<NodeId>,
    /// Why there is no answer from there; `None` once there was one.
    silence: Option<String>,
    /// Whether it was said that somebody has to do something about that.
    is_told: bool,
    is_being_asked: bool,
}

/// What came of an attempt.
enum Probe {
    LookedUp(Vec<Found>, Vec<String>),
    /// Who is at the address, and what it says; nothing if that is this node.
    Answer(String, NodeId, Option<ClusterView>),
    /// Why there is no answer, and whether that lasts until somebody does something about it.
    Silence(String, String, bool),
}

impl Search {
    /// Begins to look, and to answer for the node.
    pub(super) fn begin(net: &TcpNet, group: GroupId, me: Candidate, plan: Plan) -> Self {
        let mut search = Self::new(net, group, me, plan);
        let view = search.assembly.view();
        search.greeting = Some(Greeting::start(net.shared(), group, view));
        search
    }

    /// Begins to look for a cluster at work, while a node answers.
    pub(super) fn for_cluster(
        net: &TcpNet,
        group: GroupId,
        me: Candidate,
        (seeds, patience): (Seeds, Duration),
    ) -> Self {
        let plan = Plan {
            seeds,
            founders: Founders::Nobody,
            // Whatever that cluster knows of this node, it is found.
            replace: true,
            patience,
        };
        Self::new(net, group, me, plan)
    }

    fn new(net: &TcpNet, group: GroupId, me: Candidate, plan: Plan) -> Self {
        let assembly = Assembly::new(me.clone(), plan.founders.clone(), plan.replace);
        let mut seeds = plan.seeds;
        if let Founders::Listed(list) = plan.founders {
            // In front, so that who is expected there is known.
            let at = |(id, address)| super::Seed::At {
                id: Some(id),
                address,
            };
            seeds.places.splice(0..0, list.into_iter().map(at));
        }
        Self {
            greeting: None,
            me,
            seeds,
            patience: plan.patience,
            asker: Asker::new(net, group),
            assembly,
            places: BTreeMap::new(),
            unknown: vec!["nothing was looked up yet".to_owned()],
            probes: JoinSet::new(),
            is_looking_up: false,
            missing: Vec::new(),
        }
    }

    /// Looks until it is known how to go on.
    pub(super) async fn run(mut self) -> Result<Assembled, DiscoveryError> {
        let deadline = Instant::now() + self.patience;
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0;
        loop {
            tokio::select! {
                Some(probe) = self.probes.join_next(), if !self.probes.is_empty() => {
                    match probe {
                        Ok(probe) => self.learn(probe),
                        Err(error) => resume_unwind(error.into_panic()),
                    }
                }
                _ = rounds.tick() => {
                    self.assembly.round();
                    self.ask_around(count);
                    count += 1;
                }
                () = sleep_until(deadline) => {
                    return Err(DiscoveryError::Missing {
                        after: self.patience,
                        missing: self.missing,
                    });
                }
            }
            match self.assembly.step(&self.silent()) {
                Step::Wait(missing) => self.wait(missing),
                Step::Go(assembled) => {
                    tracing::info!(node = %self.me.id, ?assembled, "the search is over");
                    if let Some(greeting) = self.greeting.take() {
                        greeting.say(self.assembly.view());
                        greeting.stay();
                    }
                    return Ok(assembled);
                }
                Step::Stop(error) => return Err(error),
            }
        }
    }

    /// Says what this node stands by, and what is missing, if that is news.
    fn wait(&mut self, missing: Vec<String>) {
        if let Some(greeting) = &self.greeting {
            greeting.say(self.assembly.view());
        }
        if missing != self.missing {
            tracing::info!(node = %self.me.id, missing = missing.join("; "), "waiting");
            self.missing = missing;
        }
    }

    fn silent(&self) -> Vec<String> {
        let silences = self
            .places
            .values()
            .filter_map(|place| place.silence.clone());
        silences.chain(self.unknown.iter().cloned()).collect()
    }

    /// Begins what is due and not under way.
    fn ask_around(&mut self, round: u32) {
        if round.is_multiple_of(LOOK_UP_ROUNDS) && !self.is_looking_up {
            self.is_looking_up = true;
            let seeds = self.seeds.clone();
            self.probes.spawn(async move {
                let (found, errors) = seeds.look_up().await;
                let errors = errors.iter().map(ToString::to_string).collect();
                Probe::LookedUp(found, errors)
            });
        }
        for (address, place) in &mut self.places {
            if !std::mem::replace(&mut place.is_being_asked, true) {
                let asking = probe(self.asker.clone(), address.clone(), place.node, self.me.id);
                self.probes.spawn(asking);
            }
        }
    }

    fn learn(&mut self, probe: Probe) {
        match probe {
            Probe::LookedUp(found, errors) => {
                self.is_looking_up = false;
                self.unknown = errors;
                self.look_at(found);
            }
            Probe::Silence(address, why, is_lasting) => {
                if let Some(place) = self.places.get_mut(&address) {
                    if is_lasting && !std::mem::replace(&mut place.is_told, true) {
                        tracing::warn!(%why, "no cluster is found until somebody mends this");
                    }
                    place.is_being_asked = false;
                    place.node = None;
                    // One answer is enough: what was said does not become untrue.
                    if let Some(silence) = &mut place.silence {
                        *silence = format!("no answer from {address} ({why})");
                    }
                }
            }
            Probe::Answer(address, node, view) => {
                if let Some(view) = view {
                    self.assembly.hear(node, &view);
                }
                if let Some(place) = self.places.get_mut(&address) {
                    place.is_being_asked = false;
                    place.node = Some(node);
                    place.silence = match place.expected {
                        Some(expected) if expected != node => {
                            Some(format!("node {node} is at {address}, not node {expected}"))
                        }
                        Some(_) | None => None,
                    };
                }
            }
        }
    }

    /// From now on asks there, and nowhere else.
    fn look_at(&mut self, found: Vec<Found>) {
        let mine = self.me.address.clone();
        let found = found.into_iter().filter(|at| at.address != mine);
        let found: BTreeMap<_, _> = found.map(|at| (at.address, at.id)).collect();
        let kept: BTreeSet<_> = self.places.keys().cloned().collect();
        self.places.retain(|address, _| found.contains_key(address));
        for (address, expected) in found {
            if !kept.contains(&address) {
                let place = Place {
                    expected,
                    silence: Some(format!("no answer from {address} yet")),
                    ..Place::default()
                };
                self.places.insert(address, place);
            }
        }
    }
}

/// Asks whoever is at the address. Who was there before is asked at once; if there is no answer,
/// another may be there.
async fn probe(asker: Asker, address: String, known: Option<NodeId>, me: NodeId) -> Probe {
    if let Some(node) = known
        && node != me
        && let Some(view) = asker.cluster_of(node).await
    {
        return Probe::Answer(address, node, Some(view));
    }
    let node = match asker.contact(&address).await {
        Ok(node) => node,
        Err(error) => return Probe::Silence(address, error.to_string(), error.is_lasting()),
    };
    if node == me {
        return Probe::Answer(address, node, None);
    }
    match asker.cluster_of(node).await {
        Some(view) => Probe::Answer(address, node, Some(view)),
        None => {
            let why = format!(
                "node {node} is there, but its answer does not arrive: can it reach \
                this node at the address that is advertised?"
            );
            Probe::Silence(address, why, false)
        }
    }
}
