//! How a configuration begins: a script of what has already happened when the exploration starts.
//!
//! Its scenes are made of the same actions as the exploration. It deliberately checks nothing but
//! that they come about.

use std::sync::Arc;

use raft_core::event::RoleName;
use raft_core::{Envelope, Membership, Round};

use super::cluster::{Act, Cluster, NODES_MAX, Question, State};
use super::configurations::{Bound, first_life_of, id_of};
use super::disk::Disk;
use super::ghost::Ghost;
use super::laws::Marks;
use super::network::Network;
use super::node::Node;

/// What has happened before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scene {
    /// A node's timeout passed; what it asks is under way.
    Timeout(usize),
    /// A node won the votes of the others named, and nothing of its term has arrived anywhere.
    Lead(usize, &'static [usize]),
    /// A node won the votes of the others named, and all it had to say has arrived there.
    Elect(usize, &'static [usize]),
    /// A leader took a proposal, and all that follows from it has arrived at the others named.
    Propose(usize, &'static [usize]),
    /// A leader took a proposal, and its write is not durable yet.
    Accept(usize),
    /// A leader's heartbeat reached the others named.
    Heartbeat(usize, &'static [usize]),
}

/// A scene that takes more actions than this does not come to an end.
const ACTIONS_MAX: usize = 1000;

impl Cluster {
    /// The state in which the exploration begins.
    pub(super) fn found(&self) -> State {
        let mut state = State {
            nodes: [0; NODES_MAX],
            network: Network::default(),
            ghost: self.ghosts.intern(Ghost::default()),
            spent: [0; Bound::COUNT],
            twins_alike: false,
            broken: None,
            marks: Marks::default(),
        };
        let voters = self.configuration.voters.iter();
        let members = voters.map(|at| (id_of(*at), self.configuration.member(*at)));
        let membership = Arc::new(Membership::of_voters(members));
        for at in 0..self.configuration.nodes {
            let founds = self.configuration.voters.contains(&at);
            let known = if founds {
                Arc::clone(&membership)
            } else {
                Arc::default()
            };
            let disk = Disk::new(first_life_of(at), known);
            state.nodes[at] = self.start(Node::start(&self.rules, id_of(at), disk, Round(0)));
        }
        for scene in self.configuration.setup {
            self.play(&mut state, *scene);
            assert!(state.broken.is_none(), "{scene:?}: {:?}", state.broken);
        }
        state.spent = [0; Bound::COUNT];
        state.marks = Marks::default();
        state.twins_alike = self.configuration.twins.is_some();
        state
    }

    fn play(&self, state: &mut State, scene: Scene) {
        match scene {
            Scene::Timeout(at) => {
                let sent = self.ask(state, at, Question::Timeout);
                self.send(state, sent);
                return;
            }
            Scene::Lead(at, voters) => {
                self.campaign(state, at, voters);
                self.settle(state, at, voters, Node::leads);
                while !self.node(state, at).pending.is_empty() {
                    let sent = self.ask(state, at, Question::Act(Act::Persist));
                    self.send(state, sent);
                }
                assert!(
                    self.node(state, at).leads(),
                    "{scene:?} does not come about"
                );
            }
            Scene::Elect(at, voters) => {
                self.campaign(state, at, voters);
                self.settle(state, at, voters, |_| false);
                assert!(
                    self.node(state, at).leads(),
                    "{scene:?} does not come about"
                );
            }
            Scene::Propose(at, others) => {
                self.propose(state, at);
                self.settle(state, at, others, |_| false);
            }
            Scene::Accept(at) => self.propose(state, at),
            Scene::Heartbeat(at, others) => {
                let sent = self.ask(state, at, Question::Timeout);
                self.send(state, sent);
                self.settle(state, at, others, |_| false);
            }
        }
        // What has not arrived by the end of a scene never does.
        state.network = Network::default();
    }

    fn propose(&self, state: &mut State, at: usize) {
        let sent = self.ask(state, at, Question::Act(Act::Propose(u8::MAX)));
        self.send(state, sent);
    }

    /// The voters give up their leader, if they have one, and then the candidate does.
    fn campaign(&self, state: &mut State, at: usize, voters: &[usize]) {
        for voter in voters {
            self.ask(state, *voter, Question::Timeout);
        }
        let hearers = voters.iter().fold(0, |set, voter| set | 1 << voter);
        // The first time it may only learn that there was a later term than it knew.
        for _ in 0..2 {
            if self.node(state, at).raft.role() == RoleName::Follower {
                self.time_out(state, at, hearers);
            }
        }
    }

    /// All that is under way between a node and others arrives, until that is enough.
    fn settle(
        &self,
        state: &mut State,
        at: usize,
        others: &[usize],
        enough: impl Fn(&Node) -> bool,
    ) {
        let among = |place: usize| place == at || others.contains(&place);
        let from = |envelope: &Envelope| usize::try_from(envelope.from.0 - 1).unwrap_or(usize::MAX);
        for _ in 0..ACTIONS_MAX {
            if enough(self.node(state, at)) {
                return;
            }
            let writes = |node: &usize| among(*node) && !self.node(state, *node).pending.is_empty();
            let arrives =
                |id: &&u32| among(self.receiver(**id)) && among(from(self.messages.get(**id)));
            let sent = if let Some(node) = (0..self.configuration.nodes).find(writes) {
                self.ask(state, node, Question::Act(Act::Persist))
            } else if let Some(id) = state.network.ids().iter().find(arrives).copied() {
                state.network.remove(id);
                self.ask(state, self.receiver(id), Question::Deliver(id))
            } else {
                return;
            };
            self.send(state, sent);
        }
        panic!(
            "a scene of {} does not come to an end",
            self.configuration.name
        );
    }
}
