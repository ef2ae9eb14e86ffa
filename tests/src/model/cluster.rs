//! The model: states of a whole cluster, and the actions that lead from one to the next.
//!
//! It deliberately does not know what a node does (`node`) or what must hold (`ghost`, `laws`).

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use raft_core::{Envelope, Message, NodeId};
use stateright::{Model, Property};

use super::arena::{Interner, Memo};
use super::configurations::{Bound, Configuration, PreVotes};
use super::ghost::{self, Ghost};
use super::laws::{Law, Mark, Marks};
use super::network::{self, Network};
use super::node::{Effect, Fact, Input, Node, Rules};

/// No configuration has more nodes.
pub(super) const NODES_MAX: usize = 4;

/// How many different steps of one node are kept at the most, at some 9 KB each: what does not fit
/// is left out, as if the number of states were reached.
const STEPS_MAX: u32 = 500_000;

/// A configuration to be explored, and all that was found out about it.
pub struct Cluster {
    pub(super) configuration: Configuration,
    pub(super) rules: Rules,
    limits: [u8; Bound::COUNT],
    pub(super) nodes: Interner<Node>,
    pub(super) messages: Interner<Envelope>,
    pub(super) ghosts: Interner<Ghost>,
    steps: Memo<Consequence>,
    founded: OnceLock<State>,
    /// Why each law was last found broken, in words.
    breaches: Mutex<BTreeMap<Law, String>>,
    /// How many states were looked at, and how many may be.
    checked: AtomicU64,
    checked_max: AtomicU64,
}

/// A state of the whole cluster: names of what the [`Cluster`] keeps.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) nodes: [u32; NODES_MAX],
    pub(super) network: Network,
    pub(super) ghost: u32,
    /// How often each bounded action was taken.
    pub(super) spent: [u8; Bound::COUNT],
    /// Nothing has told the twins apart yet, so what the second could do the first can do as well.
    pub(super) twins_alike: bool,
    pub(super) broken: Option<Law>,
    /// What the last action has shown. Not part of the state: it tells how, not where.
    pub(super) marks: Marks,
}

impl State {
    const fn identity(
        &self,
    ) -> (
        &[u32; NODES_MAX],
        &Network,
        u32,
        &[u8; Bound::COUNT],
        bool,
        Option<Law>,
    ) {
        (
            &self.nodes,
            &self.network,
            self.ghost,
            &self.spent,
            self.twins_alike,
            self.broken,
        )
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.identity().hash(hasher);
    }
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A message arrives.
    Deliver(u32),
    /// A message arrives and will arrive again.
    Repeat(u32),
    /// A message arrives, and something else before the node looks at what follows from it.
    Stage(u32),
    /// A node's timeout passes. Where pre-votes take no time, the nodes in the set answer its
    /// question.
    Timeout {
        /// Whose, counted from 0.
        node: usize,
        /// Who hears the question, a bit each.
        hearers: u8,
    },
    /// Something else happens at a node.
    At(usize, Act),
}

/// What can happen at a node by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each stands for the input of the same name")]
pub enum Act {
    Persist,
    Crash,
    Propose(u8),
    Change(u8),
    Abort,
    Transfer(u8),
    Read(u8),
    Compact,
    SnapshotArrives,
    SnapshotFails,
    LoseWrite,
    Wipe,
}

/// What an input does to a node, in names.
struct Consequence {
    node: u32,
    sent: Box<[u32]>,
    facts: Box<[Fact]>,
    marks: Marks,
    broken: Option<(Law, String)>,
    log_changed: bool,
}

/// A question to a node, small enough to be remembered: a kind and its argument.
#[derive(Clone, Copy)]
pub(super) enum Question {
    Deliver(u32),
    Stage(u32),
    Timeout,
    Act(Act),
}

impl Question {
    /// A number for the question of this node; no two questions have the same.
    fn number(self, node: u32) -> u64 {
        let (kind, argument): (u64, u32) = match self {
            Self::Deliver(message) => (0, message),
            Self::Stage(message) => (1, message),
            Self::Timeout => (2, 0),
            Self::Act(act) => match act {
                Act::Persist => (3, 0),
                Act::Crash => (4, 0),
                Act::Propose(number) => (5, number.into()),
                Act::Change(number) => (6, number.into()),
                Act::Abort => (7, 0),
                Act::Transfer(target) => (8, target.into()),
                Act::Read(number) => (9, number.into()),
                Act::Compact => (10, 0),
                Act::SnapshotArrives => (11, 0),
                Act::SnapshotFails => (12, 0),
                Act::LoseWrite => (13, 0),
                Act::Wipe => (14, 0),
            },
        };
        assert!(
            argument < 1 << 28,
            "there are too many messages to be named"
        );
        u64::from(node) << 32 | kind << 28 | u64::from(argument)
    }
}

impl Cluster {
    /// The model of a configuration; nothing is explored yet.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        Self {
            limits: configuration.limits(),
            rules: configuration.rules(),
            configuration,
            nodes: Interner::new(),
            messages: Interner::new(),
            ghosts: Interner::new(),
            steps: Memo::new(),
            founded: OnceLock::new(),
            breaches: Mutex::default(),
            checked: AtomicU64::new(0),
            checked_max: AtomicU64::new(u64::MAX),
        }
    }

    /// How many states to look at before giving up.
    pub fn limit(&self, checked_max: u64) {
        self.checked_max.store(checked_max, Ordering::Relaxed);
    }

    /// How many states have been looked at.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// How many different situations of one node there were, different messages, and different
    /// steps of one node.
    #[must_use]
    pub fn sizes(&self) -> (u32, u32, u32) {
        (self.nodes.len(), self.messages.len(), self.steps.len())
    }

    /// Why `law` was found broken.
    #[must_use]
    pub fn breach(&self, law: Law) -> Option<String> {
        let breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        breaches.get(&law).cloned()
    }

    pub(super) fn node(&self, state: &State, at: usize) -> &Node {
        self.nodes.get(state.nodes[at])
    }

    pub(super) fn all_nodes(&self, state: &State) -> Vec<&Node> {
        (0..self.configuration.nodes)
            .map(|at| self.node(state, at))
            .collect()
    }

    // --- What is possible ---

    fn left(&self, state: &State, bound: Bound) -> bool {
        state.spent[bound as usize] < self.limits[bound as usize]
    }

    /// Whether a node may be the next to which something happens. Of two that are still alike, only
    /// the first: what begins with the second is the same under other names.
    fn may_act(&self, state: &State, at: usize) -> bool {
        !state.twins_alike
            || self
                .configuration
                .twins
                .is_none_or(|(_, second)| at != second)
    }

    fn deliveries(&self, state: &State, actions: &mut Vec<Action>) {
        for id in state.network.ids() {
            let to = self.receiver(*id);
            if !self.may_act(state, to) {
                continue;
            }
            actions.push(Action::Deliver(*id));
            if self.left(state, Bound::Repeats) {
                actions.push(Action::Repeat(*id));
            }
            if self.left(state, Bound::Batches) && !self.node(state, to).in_batch() {
                actions.push(Action::Stage(*id));
            }
        }
    }

    fn timeouts(&self, state: &State, at: usize, node: &Node, actions: &mut Vec<Action>) {
        if node.deadline().is_none() {
            return;
        }
        if node.leads() {
            if self.left(state, Bound::Heartbeats) {
                actions.push(Action::Timeout {
                    node: at,
                    hearers: 0,
                });
            }
            return;
        }
        // In the last term an election could lead nowhere that is still looked at.
        if node.raft.term().0 >= self.configuration.term_max || !self.left(state, Bound::Timeouts) {
            return;
        }
        let others = match self.configuration.pre_votes {
            PreVotes::Messages => 0,
            PreVotes::AtOnce => ((1_u8 << self.configuration.nodes) - 1) & !(1 << at),
        };
        let sets = (0..=others).filter(|set| set & !others == 0);
        let may_hear = |set: &u8| {
            (0..self.configuration.nodes).all(|to| set & 1 << to == 0 || self.may_act(state, to))
        };
        let timeout = |hearers| Action::Timeout { node: at, hearers };
        actions.extend(sets.filter(may_hear).map(timeout));
    }

    fn disk_acts(&self, state: &State, at: usize, node: &Node, acts: &mut Vec<Act>) {
        if !node.pending.is_empty() {
            acts.push(Act::Persist);
        }
        if self.left(state, Bound::Crashes) {
            acts.push(Act::Crash);
        }
        if self.left(state, Bound::Losses) && node.disk.can_lose() {
            acts.push(Act::LoseWrite);
        }
        if self.left(state, Bound::Wipes) && self.configuration.wiped.contains(&at) {
            acts.push(Act::Wipe);
        }
        if node.receiving.is_some() {
            acts.push(Act::SnapshotArrives);
            if self.left(state, Bound::FetchFailures) {
                acts.push(Act::SnapshotFails);
            }
        }
        if self.left(state, Bound::Compactions) && node.can_compact() && !node.in_batch() {
            acts.push(Act::Compact);
        }
    }

    fn requests(&self, state: &State, at: usize, node: &Node, acts: &mut Vec<Act>) {
        let number = |bound: Bound| state.spent[bound as usize];
        if self.left(state, Bound::Reads) && self.configuration.readers.contains(&at) {
            acts.push(Act::Read(number(Bound::Reads)));
        }
        if !node.leads() {
            return;
        }
        if self.left(state, Bound::Proposals)
            && node.log.last().index.0 < self.configuration.log_max
        {
            acts.push(Act::Propose(number(Bound::Proposals)));
        }
        if usize::from(number(Bound::Changes)) < self.rules.wishes.len() {
            acts.push(Act::Change(number(Bound::Changes)));
        }
        if self.left(state, Bound::Aborts) {
            acts.push(Act::Abort);
        }
        if self.left(state, Bound::Transfers) {
            let others = (0..self.configuration.nodes).filter(|to| *to != at);
            acts.extend(
                others
                    .filter_map(|to| u8::try_from(to).ok())
                    .map(Act::Transfer),
            );
        }
    }

    // --- What it leads to ---

    /// Lets a node take something in. Returns what it sent.
    pub(super) fn ask(&self, state: &mut State, at: usize, question: Question) -> &[u32] {
        let step = self.step(state.nodes[at], question);
        state.nodes[at] = step.node;
        state.marks.add_all(step.marks);
        if let Some((law, why)) = &step.broken {
            self.breaks(state, *law, why.clone());
        }
        if !step.facts.is_empty() {
            self.learn(state, at, &step.facts);
        }
        if step.log_changed {
            self.compare_logs(state, at);
        }
        &step.sent
    }

    fn step(&self, node: u32, question: Question) -> &Consequence {
        self.steps
            .get(question.number(node), || self.answer(node, question))
    }

    fn answer(&self, before: u32, question: Question) -> Consequence {
        let node = self.nodes.get(before);
        let message = |id: u32| self.messages.get(id).clone();
        let input = match question {
            Question::Deliver(id) => Input::Deliver(message(id)),
            Question::Stage(id) => Input::Stage(message(id)),
            Question::Timeout => Input::Timeout,
            Question::Act(act) => input_of(act),
        };
        match catch_unwind(AssertUnwindSafe(|| node.take(&self.rules, input))) {
            Ok(effect) => self.name(effect, Some(node)),
            Err(panic) => Consequence {
                node: before,
                sent: Box::default(),
                facts: Box::default(),
                marks: Marks::default(),
                broken: Some((Law::NoPanic, words_of(panic.as_ref()))),
                log_changed: false,
            },
        }
    }

    fn name(&self, effect: Effect, before: Option<&Node>) -> Consequence {
        let exists = |envelope: &&Envelope| {
            let to = usize::try_from(envelope.to.0).unwrap_or(usize::MAX);
            (1..=self.configuration.nodes).contains(&to)
        };
        let sent = effect.sent.iter().filter(exists);
        Consequence {
            sent: sent
                .map(|envelope| self.messages.intern(envelope.clone()))
                .collect(),
            log_changed: before.is_none_or(|before| before.log != effect.node.log),
            node: self.nodes.intern(effect.node),
            facts: effect.facts.into(),
            marks: effect.marks,
            broken: effect.broken,
        }
    }

    /// A node that starts for the first time.
    pub(super) fn start(&self, effect: Effect) -> u32 {
        let step = self.name(effect, None);
        assert!(
            step.sent.is_empty() && step.broken.is_none(),
            "a new node is quiet"
        );
        step.node
    }

    fn learn(&self, state: &mut State, at: usize, facts: &[Fact]) {
        let mut ghost = self.ghosts.get(state.ghost).clone();
        let all = self.all_nodes(state);
        for fact in facts {
            if let Err((law, why)) = ghost.learn(all[at], fact, &all) {
                self.breaks(state, law, why);
            }
        }
        state.ghost = self.ghosts.intern(ghost);
    }

    fn compare_logs(&self, state: &mut State, at: usize) {
        let all = self.all_nodes(state);
        if let Some(other) = all.iter().find(|other| !other.log.matches(&all[at].log)) {
            let why = format!("{:?} and {:?}", other.log, all[at].log);
            self.breaks(state, Law::LogMatching, why);
        }
    }

    fn breaks(&self, state: &mut State, law: Law, why: String) {
        // The first breach of a step counts; what follows may follow from it.
        if state.broken.is_none() {
            state.broken = Some(law);
            self.breaches
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(law, why);
        }
    }

    pub(super) fn receiver(&self, message: u32) -> usize {
        let to = self.messages.get(message).to.0;
        usize::try_from(to).map_or(usize::MAX, |to| to - 1)
    }

    /// Puts what a node sent under way. Of the questions whether somebody could win, the network
    /// keeps only those of the latest campaign, which are known by their number in earnest.
    pub(super) fn send(&self, state: &mut State, sent: &[u32]) {
        let asks = |id: &&u32| matches!(self.messages.get(**id).message, Message::PreVote(_));
        if let Some(id) = sent.iter().find(asks) {
            let candidate = self.messages.get(*id).from;
            state
                .network
                .retain(|id| !of_campaign(self.messages.get(*id), candidate));
        }
        for id in sent {
            if !self.is_void(state, *id) {
                state.network.insert(*id);
            }
        }
    }

    /// Whether a message can as well be lost at once.
    fn is_void(&self, state: &State, id: u32) -> bool {
        let message = self.messages.get(id);
        let receiver = self.node(state, self.receiver(id));
        // While events wait for their flush, the role is not what it will be.
        if receiver.in_batch() {
            return false;
        }
        let durable = receiver.disk.image.hard_state;
        let refused =
            || network::is_refusal(&message.message) || network::is_refused(durable, message);
        network::is_void(&receiver.raft, durable, message)
            || self.configuration.loses_refusals && refused()
    }

    /// Whether a message tells what is known, and its answer, if any, is under way or known, too.
    fn is_echo(&self, state: &State, network: &Network, id: u32) -> bool {
        if !network::repeats_itself(&self.messages.get(id).message) {
            return false;
        }
        let node = state.nodes[self.receiver(id)];
        let step = self.step(node, Question::Deliver(id));
        let idle = |sent: &u32| network.contains(*sent) || self.is_void(state, *sent);
        step.node == node && step.broken.is_none() && step.sent.iter().all(idle)
    }

    /// The timeout of a node, and with it the question whether it could win and its answers, as if
    /// they took no time. They change nobody but the one who asks.
    pub(super) fn time_out(&self, state: &mut State, at: usize, hearers: u8) {
        let mut sent = self.ask(state, at, Question::Timeout).to_vec();
        if self.configuration.pre_votes == PreVotes::Messages {
            self.send(state, &sent);
            return;
        }
        while let Some(place) = sent
            .iter()
            .position(|id| is_pre_vote(self.messages.get(*id)))
        {
            let id = sent.remove(place);
            let to = self.receiver(id);
            if to == at || hearers & 1 << to != 0 {
                sent.extend(self.ask(state, to, Question::Deliver(id)));
            }
        }
        self.send(state, &sent);
    }

    /// Carries an action out. False if it changes nothing.
    fn take_place(&self, state: &mut State, action: Action) -> bool {
        let actor = match action {
            Action::Deliver(id) | Action::Repeat(id) | Action::Stage(id) => {
                let at = self.receiver(id);
                if matches!(action, Action::Repeat(_)) {
                    state.marks.add(Mark::Repeated);
                } else {
                    state.network.remove(id);
                }
                let question = match action {
                    Action::Stage(_) => Question::Stage(id),
                    _ => Question::Deliver(id),
                };
                let before = state.nodes[at];
                let sent = self.ask(state, at, question);
                // Whoever ignores a message leaves it under way: with it more can happen, not less.
                if state.nodes[at] == before && sent.is_empty() && state.broken.is_none() {
                    return false;
                }
                self.send(state, sent);
                at
            }
            Action::Timeout { node, hearers } => {
                self.time_out(state, node, hearers);
                state.twins_alike &= hearers == 0;
                node
            }
            Action::At(at, act) => {
                self.note_read(state, at, act);
                let sent = self.ask(state, at, Question::Act(act));
                self.send(state, sent);
                // A transfer names one of the twins.
                state.twins_alike &= !matches!(act, Act::Transfer(_));
                at
            }
        };
        let is_twin = |(first, second)| actor == first || actor == second;
        state.twins_alike &= !self.configuration.twins.is_some_and(is_twin);
        true
    }

    /// The moment a read is asked for decides what its answer has to reflect.
    fn note_read(&self, state: &mut State, at: usize, act: Act) {
        let Act::Read(number) = act else { return };
        let mut ghost = self.ghosts.get(state.ghost).clone();
        let node = self.node(state, at);
        ghost.asked(node.id(), number);
        let replaced = |other: &&Node| other.leads() && other.raft.term() > node.raft.term();
        if node.leads() && self.all_nodes(state).iter().any(replaced) {
            state.marks.add(Mark::ReadAtOldLeader);
        }
        state.ghost = self.ghosts.intern(ghost);
    }

    /// Drops what can have no effect any more, and what is too much to be looked at.
    fn tidy(&self, state: &mut State) {
        let mut network = std::mem::take(&mut state.network);
        network.retain(|id| !self.is_void(state, *id));
        if self.configuration.loses_echoes {
            // An answer that is an echo itself does not keep the question from being one.
            while let Some(id) = network
                .ids()
                .iter()
                .copied()
                .find(|id| self.is_echo(state, &network, *id))
            {
                network.remove(id);
            }
        }
        let rank = |id: u32| (self.messages.get(id).term, self.messages.hash(id));
        network.shrink_to(self.configuration.messages_max, rank);
        state.network = network;
    }

    fn is_within_bounds(&self, state: &State) -> bool {
        let within = |node: &Node| {
            node.raft.term().0 <= self.configuration.term_max
                && node.log.last().index.0 <= self.configuration.log_max
        };
        let mut nodes = (0..self.configuration.nodes).map(|at| self.node(state, at));
        state.broken.is_some() || nodes.all(within)
    }

    /// What is to be seen of a state itself.
    pub(super) fn shows(&self, state: &State, mark: Mark) -> bool {
        match mark {
            Mark::TwoLeaders => {
                let nodes = (0..self.configuration.nodes).map(|at| self.node(state, at));
                nodes.filter(|node| node.leads()).count() > 1
            }
            Mark::OldTermOnMajority => {
                let all = self.all_nodes(state);
                all.iter()
                    .any(|node| node.leads() && ghost::old_term_on_majority(node, &all))
            }
            _ => state.marks.contain(mark),
        }
    }
}

/// Whether it belongs to a campaign of `candidate` before the vote.
fn of_campaign(envelope: &Envelope, candidate: NodeId) -> bool {
    let asked_by = |message: &Message| match message {
        Message::PreVote(_) => Some(envelope.from),
        Message::PreVoteReply(_) => Some(envelope.to),
        _ => None,
    };
    asked_by(&envelope.message) == Some(candidate)
}

const fn is_pre_vote(envelope: &Envelope) -> bool {
    matches!(
        envelope.message,
        Message::PreVote(_) | Message::PreVoteReply(_)
    )
}

fn input_of(act: Act) -> Input {
    match act {
        Act::Persist => Input::Persist,
        Act::Crash => Input::Crash,
        Act::Propose(number) => Input::Propose(number),
        Act::Change(number) => Input::Change(number),
        Act::Abort => Input::Abort,
        Act::Transfer(target) => Input::Transfer(NodeId(u64::from(target) + 1)),
        Act::Read(number) => Input::Read(number),
        Act::Compact => Input::Compact,
        Act::SnapshotArrives => Input::SnapshotArrives,
        Act::SnapshotFails => Input::SnapshotFails,
        Act::LoseWrite => Input::LoseWrite,
        Act::Wipe => Input::Wipe,
    }
}

/// What a bounded action is counted as.
const fn bound_of(action: Action, leads: bool) -> Option<Bound> {
    match action {
        Action::Deliver(_) => None,
        Action::Repeat(_) => Some(Bound::Repeats),
        Action::Stage(_) => Some(Bound::Batches),
        Action::Timeout { .. } if leads => Some(Bound::Heartbeats),
        Action::Timeout { .. } => Some(Bound::Timeouts),
        Action::At(_, act) => match act {
            Act::Persist | Act::SnapshotArrives => None,
            Act::Crash => Some(Bound::Crashes),
            Act::Propose(_) => Some(Bound::Proposals),
            Act::Change(_) => Some(Bound::Changes),
            Act::Abort => Some(Bound::Aborts),
            Act::Transfer(_) => Some(Bound::Transfers),
            Act::Read(_) => Some(Bound::Reads),
            Act::Compact => Some(Bound::Compactions),
            Act::SnapshotFails => Some(Bound::FetchFailures),
            Act::LoseWrite => Some(Bound::Losses),
            Act::Wipe => Some(Bound::Wipes),
        },
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.founded.get_or_init(|| self.found()).clone()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let checked_max = self.checked_max.load(Ordering::Relaxed);
        let full = checked_max < u64::MAX && self.steps.len() >= STEPS_MAX;
        if full || self.checked() >= checked_max {
            return;
        }
        self.checked.fetch_add(1, Ordering::Relaxed);
        if state.broken.is_some() {
            return;
        }
        self.deliveries(state, actions);
        let mut acts = Vec::new();
        for at in 0..self.configuration.nodes {
            if !self.may_act(state, at) {
                continue;
            }
            let node = self.node(state, at);
            self.timeouts(state, at, node, actions);
            self.disk_acts(state, at, node, &mut acts);
            self.requests(state, at, node, &mut acts);
            actions.extend(acts.drain(..).map(|act| Action::At(at, act)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        state.marks = Marks::default();
        if !self.take_place(&mut state, action) {
            return None;
        }
        self.tidy(&mut state);
        if state == *before {
            return None;
        }
        let leads = match action {
            Action::Timeout { node, .. } => self.node(before, node).leads(),
            _ => false,
        };
        if let Some(bound) = bound_of(action, leads) {
            let spent = &mut state.spent[bound as usize];
            // What is not limited need not be counted, which would only tell equal states apart.
            if self.limits[bound as usize] < u8::MAX {
                *spent += 1;
            }
        }
        self.is_within_bounds(&state).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let laws = Law::ALL.iter().map(|law| super::explore::always(*law));
        let marks = self
            .configuration
            .marks
            .iter()
            .map(|mark| super::explore::sometimes(*mark));
        laws.chain(marks).collect()
    }

    fn format_action(&self, action: &Action) -> String {
        self.print_action(*action)
    }
}
