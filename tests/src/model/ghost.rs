//! What an onlooker knows who sees everything and forgets nothing: the memory behind the laws that
//! no single state shows.
//!
//! It deliberately takes nothing from the core but what it sent, committed, and holds durably.

use std::collections::BTreeSet;

use raft_core::{Index, NodeId, Position, Term};

use super::laws::Law;
use super::node::{Fact, Node};
use super::overlap;
use super::shadow::Line;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ghost {
    /// Who voted for whom, from the moment the vote left; a crash forgets nothing.
    votes: Vec<Vote>,
    /// Who led in a term.
    leaders: Vec<(Term, NodeId)>,
    /// What was committed, by index from 1 on.
    committed: Vec<Committed>,
    /// Reads without an answer.
    reads: Vec<Asked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Vote {
    term: Term,
    voter: NodeId,
    candidate: NodeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Committed {
    line: Line,
    /// The term in which it was committed, not the one in which it was made.
    in_term: Term,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asked {
    ticket: u8,
    of: NodeId,
    /// What was committed anywhere when it was asked.
    floor: Index,
}

/// What a law was broken by.
pub(super) type Breach = (Law, String);

impl Ghost {
    /// Takes in what happened at `node`, all nodes being as they are after it.
    pub(super) fn learn(&mut self, node: &Node, fact: &Fact, all: &[&Node]) -> Result<(), Breach> {
        match fact {
            Fact::Voted { term, candidate } => self.voted(node.id(), *term, *candidate),
            Fact::Leads { term } => self.leads(node.id(), *term),
            Fact::Elected { term } => {
                self.leads(node.id(), *term)?;
                self.is_complete(node, *term)
            }
            Fact::Committed => self.committed(node),
            Fact::LeaderCommitted { entry, membership } => {
                let vouch = |other: &&&Node| other.disk.vouches_for(*entry);
                let holders: BTreeSet<NodeId> =
                    all.iter().filter(vouch).map(|other| other.id()).collect();
                if overlap::is_quorum(membership, &holders) {
                    return Ok(());
                }
                Err((
                    Law::CommitQuorum,
                    format!("{entry} is durable at {holders:?} only"),
                ))
            }
            Fact::ReadReady { ticket, index } => self.read(*ticket, *index),
            Fact::ReadOver { ticket } => {
                self.reads.retain(|asked| asked.ticket != *ticket);
                Ok(())
            }
            Fact::Restarted => {
                self.reads.retain(|asked| asked.of != node.id());
                Ok(())
            }
        }
    }

    /// A read is asked of a node.
    pub(super) fn asked(&mut self, of: NodeId, ticket: u8) {
        let floor = Index(self.committed.len() as u64);
        self.reads.push(Asked { ticket, of, floor });
    }

    fn voted(&mut self, voter: NodeId, term: Term, candidate: NodeId) -> Result<(), Breach> {
        let vote = Vote {
            term,
            voter,
            candidate,
        };
        let Err(place) = self.votes.binary_search(&vote) else {
            return Ok(());
        };
        let other = |known: &&Vote| known.term == term && known.voter == voter;
        if let Some(other) = self.votes.iter().find(other) {
            let why = format!(
                "in {term} {voter} voted for {}, then {candidate}",
                other.candidate
            );
            return Err((Law::VoteOnce, why));
        }
        self.votes.insert(place, vote);
        Ok(())
    }

    fn leads(&mut self, leader: NodeId, term: Term) -> Result<(), Breach> {
        match self.leaders.binary_search_by_key(&term, |known| known.0) {
            Ok(place) if self.leaders[place].1 == leader => Ok(()),
            Ok(place) => {
                let why = format!("{} and {leader} in {term}", self.leaders[place].1);
                Err((Law::ElectionSafety, why))
            }
            Err(place) => {
                self.leaders.insert(place, (term, leader));
                Ok(())
            }
        }
    }

    /// What was committed in earlier terms; a late winner of an old term owes nothing newer.
    fn is_complete(&self, leader: &Node, term: Term) -> Result<(), Breach> {
        for (index, committed) in self.entries() {
            let has =
                leader.log.line(index) == Some(committed.line) || leader.log.base().index >= index;
            if committed.in_term < term && !has {
                let why = format!(
                    "{} leads {term} without {index}: {committed:?}",
                    leader.id()
                );
                return Err((Law::LeaderCompleteness, why));
            }
        }
        Ok(())
    }

    /// Compares all that `node` believes to be committed, and remembers what is new.
    fn committed(&mut self, node: &Node) -> Result<(), Breach> {
        let (log, commit) = (&node.log, node.raft.commit());
        let base = log.base();
        let known = |index: Index| {
            self.entries()
                .find(|(at, _)| *at == index)
                .map(|(_, c)| c.line)
        };
        if base.index > Index(0) && known(base.index).map(|line| line.term) != Some(base.term) {
            let why = format!("{} stands on {base}, which nobody committed", node.id());
            return Err((Law::StateMachineSafety, why));
        }
        for (index, line) in log.lines().filter(|(index, _)| *index <= commit) {
            if let Some(before) = known(index)
                && before != line
            {
                let why = format!("{} commits {line:?} at {index} after {before:?}", node.id());
                return Err((Law::StateMachineSafety, why));
            }
        }
        let new = Index(self.committed.len() as u64);
        let in_term = node.raft.term();
        let lines = log
            .lines()
            .filter(|(index, _)| new < *index && *index <= commit);
        self.committed
            .extend(lines.map(|(_, line)| Committed { line, in_term }));
        Ok(())
    }

    fn read(&mut self, ticket: u8, index: Index) -> Result<(), Breach> {
        let asked = self
            .reads
            .iter()
            .find(|asked| asked.ticket == ticket)
            .copied();
        self.reads.retain(|asked| asked.ticket != ticket);
        match asked {
            Some(asked) if index < asked.floor => {
                let why = format!("answered with {index}, asked after {}", asked.floor);
                Err((Law::ReadBarrier, why))
            }
            Some(_) => Ok(()),
            None => Err((
                Law::ReadBarrier,
                format!("answered at {index}, never asked"),
            )),
        }
    }

    fn entries(&self) -> impl Iterator<Item = (Index, Committed)> + '_ {
        self.committed
            .iter()
            .enumerate()
            .map(|(at, one)| (Index(at as u64 + 1), *one))
    }
}

/// Whether a leader has an entry of an earlier term that a quorum holds durably and that is not
/// committed all the same (Figure 8).
pub(super) fn old_term_on_majority(leader: &Node, all: &[&Node]) -> bool {
    let uncommitted = leader
        .log
        .lines()
        .filter(|(index, _)| *index > leader.raft.commit());
    uncommitted
        .filter(|(_, line)| line.term < leader.raft.term())
        .any(|(index, line)| {
            let entry = Position::new(line.term, index);
            let holds = |other: &&&Node| other.disk.image.term(entry.index) == Some(entry.term);
            let holders = all.iter().filter(holds).map(|other| other.id()).collect();
            overlap::is_quorum(leader.raft.membership(), &holders)
        })
}
