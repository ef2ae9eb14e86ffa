//! What the ghost knows of one node: its log in memory, its disk, and what it has promised.
//!
//! It only remembers; what a node may do is judged elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;

use super::chain::Link;
use super::mirror::{Mirror, at};
use crate::consensus::Raft;
use crate::entry::HardState;
use crate::event::RoleName;
use crate::membership::Membership;
use crate::types::{Incarnation, Index, NodeId, Position, Round, Term, WriteId};

/// So many of a leader's rounds, and of a follower's questions, are remembered at most.
const REMEMBERED_MAX: usize = 512;

/// What a core shows of itself, as plain data: cheap to take before and after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    pub(super) role: RoleName,
    pub(super) leader: Option<NodeId>,
    pub(super) commit: Index,
    pub(super) last: Position,
    pub(super) membership_index: Index,
    pub(super) quarantine: Quarantine,
}

/// Whether a node may speak for what it once had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quarantine {
    /// It has all it ever acknowledged.
    Free,
    /// It has lost something, and must not vote.
    Held,
}

impl Summary {
    pub(super) fn of(raft: &Raft) -> Self {
        Self {
            node: raft.id(),
            incarnation: raft.incarnation(),
            term: raft.term(),
            vote: raft.vote(),
            role: raft.role(),
            leader: raft.leader(),
            commit: raft.commit(),
            last: raft.last(),
            membership_index: raft.membership_index(),
            quarantine: if raft.is_quarantined() {
                Quarantine::Held
            } else {
                Quarantine::Free
            },
        }
    }

    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            incarnation: Incarnation::UNBOUND,
            term: Term(0),
            vote: None,
            role: RoleName::Follower,
            leader: None,
            commit: Index(0),
            last: Position::default(),
            membership_index: Index(0),
            quarantine: Quarantine::Free,
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.role == RoleName::Leader
    }

    /// Whether the node led the same term at both ends of a step.
    pub(super) fn still_leads(&self, after: &Self) -> bool {
        self.leads() && after.leads() && self.term == after.term
    }
}

/// A vote that left its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    pub(super) term: Term,
    pub(super) candidate: NodeId,
    pub(super) incarnation: Incarnation,
    /// Of a candidacy: the end of the log that it was claimed for.
    pub(super) last: Option<Position>,
    /// Whether the disk that it stood on has forgotten since. It binds the node all the same, but
    /// a restart need not find it.
    pub(super) memory: Memory,
}

/// The latest round that a follower has echoed to the leader of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    pub(super) term: Term,
    pub(super) round: Round,
}

/// A write that was issued and is not durable yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) id: WriteId,
    /// Entries from here on may be gone once it is durable.
    pub(super) removes_from: Option<Index>,
    /// Its last entry, if it has any.
    pub(super) last: Option<Position>,
}

/// What a disk held before it forgot.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) incarnation: Incarnation,
    pub(super) disk: Mirror,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// As of its last step.
    pub(super) summary: Summary,
    /// The log that its core holds, as issued to the disk.
    pub(super) log: Mirror,
    /// Every configuration in that log, ascending, behind the one that its snapshot brought.
    pub(super) configurations: Vec<(Index, Arc<Membership>)>,
    /// The configuration that the core last showed.
    pub(super) shown: Arc<Membership>,
    /// The log that its disk would show after a power cut.
    pub(super) disk: Mirror,
    /// Term and vote as last issued to the disk.
    pub(super) issued: HardState,
    /// Term and vote on that disk.
    pub(super) hard_state: HardState,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) last_write: WriteId,
    /// What it had acknowledged before its disk forgot, until it is here again.
    pub(super) lost: Vec<Lost>,
    /// Whether the next start may find less than was promised.
    pub(super) memory: Memory,
    /// The highest term that it has put on a message.
    pub(super) sent_term: Term,
    /// All that it ever sent, ascending by term.
    pub(super) votes: Vec<Vote>,
    /// Up to where it has acknowledged its log, as far as it still holds that.
    pub(super) acknowledged: Index,
    /// The last index handed to the state machine.
    pub(super) handed: Index,
    /// Its rounds as a leader, and when the first message of each was sent.
    pub(super) rounds: VecDeque<(Round, u64)>,
    /// The latest round that it has echoed to each leader, ascending by term. Not only to the
    /// last one: a leader that was long asleep may still be about to hear of it.
    pub(super) echoes: VecDeque<Echo>,
    /// The term in which it last told a successor to campaign, and when it first did.
    pub(super) gave_way: Option<(Term, u64)>,
    /// Its questions for a read barrier: when each was first sent, and what was committed then.
    pub(super) questions: VecDeque<(Round, u64, Index)>,
}

/// Whether a disk still has all it was told to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It has.
    Whole,
    /// It was wiped, or lost its tail.
    Forgot,
}

impl Node {
    pub(super) fn new(id: NodeId) -> Self {
        let nobody = Arc::new(Membership::default());
        Self {
            summary: Summary::new(id),
            log: Mirror::default(),
            configurations: vec![(Index(0), Arc::clone(&nobody))],
            shown: nobody,
            disk: Mirror::default(),
            issued: HardState::default(),
            hard_state: HardState::default(),
            in_flight: VecDeque::new(),
            last_write: WriteId(0),
            lost: Vec::new(),
            memory: Memory::Whole,
            sent_term: Term(0),
            votes: Vec::new(),
            acknowledged: Index(0),
            handed: Index(0),
            rounds: VecDeque::new(),
            echoes: VecDeque::new(),
            gave_way: None,
            questions: VecDeque::new(),
        }
    }

    /// The configuration that its log names last.
    pub(super) fn configuration(&self) -> (Index, &Arc<Membership>) {
        let (index, membership) = self.configurations.last().expect("never without one");
        (*index, membership)
    }

    /// The configuration in force at an index of its log.
    pub(super) fn configuration_at(&self, index: Index) -> (Index, &Arc<Membership>) {
        let found = self
            .configurations
            .iter()
            .rev()
            .find(|(from, _)| *from <= index);
        let (from, membership) = found
            .or_else(|| self.configurations.first())
            .expect("never without one");
        (*from, membership)
    }

    /// What it voted in a term, as far as anybody was told.
    pub(super) fn vote_in(&self, term: Term) -> Option<&Vote> {
        self.votes
            .iter()
            .rev()
            .find(|vote| vote.term <= term)
            .filter(|vote| vote.term == term)
    }

    /// The end of its log when it asked for votes in a term.
    pub(super) fn candidacy(&self, term: Term) -> Option<Position> {
        let of_term = self.votes.iter().rev().skip_while(|vote| vote.term > term);
        of_term
            .take_while(|vote| vote.term == term)
            .find_map(|vote| vote.last)
    }

    /// For whom it voted in a term, as its disk must still know.
    pub(super) fn vote_on_disk(&self, term: Term) -> Option<NodeId> {
        let vote = self
            .vote_in(term)
            .filter(|vote| vote.memory == Memory::Whole);
        vote.map(|vote| vote.candidate)
    }

    /// Whether it never ran before.
    pub(super) fn is_new(&self) -> bool {
        self.summary.incarnation == Incarnation::UNBOUND
    }

    /// Whether some disk of this node holds, or once acknowledged, the log that `link` sums up, in
    /// a life that the configuration accepts.
    pub(super) fn holds(
        &self,
        index: Index,
        link: Link,
        accepted: impl Fn(Incarnation) -> bool,
    ) -> bool {
        if accepted(self.summary.incarnation) && self.disk.holds(index, link) {
            return true;
        }
        // What was lost still counts: whoever lost it does not vote before it has it again, and a
        // former life of the storage never votes again.
        self.lost
            .iter()
            .any(|lost| accepted(lost.incarnation) && lost.disk.holds(index, link))
    }

    /// It took a step.
    pub(super) fn stepped(&mut self, before: &Summary, after: &Summary) {
        self.summary = *after;
        if after.leads() && !before.still_leads(after) {
            self.rounds.clear();
        }
    }

    /// A message with this round leaves the leader.
    pub(super) fn round_sent(&mut self, round: Round, now: u64) {
        if self.rounds.back().is_none_or(|(newest, _)| *newest < round) {
            if self.rounds.len() == REMEMBERED_MAX {
                self.rounds.pop_front();
            }
            self.rounds.push_back((round, now));
        }
    }

    /// The first of its rounds that began at or after a time; `None` if none has.
    pub(super) fn round_since(&self, time: u64) -> Option<Round> {
        let place = self.rounds.partition_point(|(_, began)| *began < time);
        self.rounds.get(place).map(|(round, _)| *round)
    }

    /// The word to campaign leaves the leader.
    pub(super) fn gives_way(&mut self, term: Term, now: u64) {
        if self.gave_way.is_none_or(|(earlier, _)| earlier != term) {
            self.gave_way = Some((term, now));
        }
    }

    /// An echo of a round leaves the follower.
    pub(super) fn echoed(&mut self, echo: Echo) {
        let place = self
            .echoes
            .partition_point(|earlier| earlier.term < echo.term);
        match self.echoes.get_mut(place) {
            Some(known) if known.term == echo.term => known.round = known.round.max(echo.round),
            Some(_) | None => self.echoes.insert(place, echo),
        }
        if self.echoes.len() > REMEMBERED_MAX {
            self.echoes.pop_front();
        }
    }

    /// The latest round that it has echoed to the leader of a term.
    pub(super) fn echo(&self, term: Term) -> Option<Round> {
        let echo = self.echoes.iter().rev().find(|echo| echo.term <= term)?;
        (echo.term == term).then_some(echo.round)
    }

    /// A question for a read barrier leaves the follower; repeats don't make it younger.
    pub(super) fn question_sent(&mut self, request: Round, now: u64, commit: Index) {
        if self
            .questions
            .back()
            .is_some_and(|(newest, _, _)| *newest >= request)
        {
            return;
        }
        if self.questions.len() == REMEMBERED_MAX {
            self.questions.pop_front();
        }
        self.questions.push_back((request, now, commit));
    }

    pub(super) fn question(&self, request: Round) -> Option<(u64, Index)> {
        let found = self
            .questions
            .iter()
            .rev()
            .find(|(asked, _, _)| *asked == request);
        found.map(|(_, when, commit)| (*when, *commit))
    }
}

/// All nodes, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    pub(super) fn new(count: usize) -> Self {
        Self((0..=count as u64).map(|id| Node::new(NodeId(id))).collect())
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Node> {
        self.0.get(at(id.0))
    }

    /// The node of this number, which from now on exists.
    pub(super) fn slot(&mut self, id: NodeId) -> &mut Node {
        let place = at(id.0);
        while self.0.len() <= place {
            self.0.push(Node::new(NodeId(self.0.len() as u64)));
        }
        &mut self.0[place]
    }
}
