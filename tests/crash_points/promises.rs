//! What the servers promised before the power went out, and what may never be broken.
//!
//! Remembered outside of all servers, so no crash touches it. This file does not know of crashes.

use std::collections::BTreeMap;

use raft_core::event::RoleName;
use raft_core::message::AppendOutcome;
use raft_core::{Entry, Envelope, Index, Message, NodeId, Position, Raft, Reply, Term};
use raft_tests::transcript::disk::Disk;

/// Remembers what anybody relied on, across all crashes.
#[derive(Clone, Default)]
pub(super) struct Promises {
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(Term, NodeId), NodeId>,
    /// The term of every entry that any server ever held to be committed.
    pub(super) commits: BTreeMap<Index, Term>,
    applied: BTreeMap<Index, Entry>,
    /// What was committed when a read began, by ticket.
    pub(super) reads: BTreeMap<u64, Index>,
    pub(super) snapshots_installed: u64,
}

impl Promises {
    pub(super) fn committed(&self) -> Index {
        self.commits
            .last_key_value()
            .map_or(Index(0), |(index, _)| *index)
    }

    /// Election safety, and that what is committed stays what it is.
    pub(super) fn look_at(&mut self, raft: &Raft) -> Result<(), String> {
        if raft.role() == RoleName::Leader {
            let leader = *self.leaders.entry(raft.term()).or_insert(raft.id());
            ensure(leader == raft.id(), || {
                format!("two leaders in term {}", raft.term())
            })?;
        }
        let mut index = raft.commit();
        while let Some(term) = raft.term_at(index).filter(|_| index > raft.base().index) {
            let known = self.commits.insert(index, term);
            ensure(known.is_none_or(|known| known == term), || {
                format!("{index} was committed in another term than {term}")
            })?;
            if known.is_some() {
                return Ok(());
            }
            index = index.prev();
        }
        Ok(())
    }

    /// One vote a term, and nothing is said before it is durable.
    pub(super) fn sent(
        &mut self,
        envelope: &Envelope,
        raft: &Raft,
        disk: &Disk,
    ) -> Result<(), String> {
        let Envelope {
            from,
            to,
            term,
            message,
            ..
        } = envelope;
        ensure(disk.hard_state.term >= *term, || {
            format!("{from} sent a term it may forget")
        })?;
        let vote = if let Message::AppendEntriesReply(reply) = message {
            if let AppendOutcome::Matched(index) = reply.outcome {
                let durable = disk.entry(index).map(|entry| entry.term);
                let same = durable.is_none_or(|term| raft.term_at(index) == Some(term));
                ensure(disk.last() >= index && same, || {
                    format!("{from} acknowledged {index}, which it may forget")
                })?;
            }
            None
        } else if let Message::RequestVoteReply(reply) = message {
            reply.granted.then_some(*to)
        } else {
            matches!(message, Message::RequestVote(_)).then_some(*from)
        };
        let Some(vote) = vote else { return Ok(()) };
        let durable = disk.hard_state.term > *term || disk.hard_state.vote == Some(vote);
        ensure(durable, || format!("{from} sent a vote it may forget"))?;
        let first = *self.votes.entry((*term, *from)).or_insert(vote);
        ensure(first == vote, || {
            format!("{from} voted twice in term {term}")
        })
    }

    /// State machine safety.
    pub(super) fn applied(&mut self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            let first = self
                .applied
                .entry(entry.index)
                .or_insert_with(|| entry.clone());
            ensure(first == entry, || {
                format!("two entries applied at {}", entry.index)
            })?;
            let committed = self.commits.get(&entry.index) == Some(&entry.term);
            ensure(committed, || {
                format!("{} applied, not committed", entry.position())
            })?;
        }
        Ok(())
    }

    pub(super) fn restored(&self, last: Position) -> Result<(), String> {
        let committed = self.commits.get(&last.index) == Some(&last.term);
        ensure(committed, || {
            format!("snapshot {last} of what is not committed")
        })
    }

    /// A read sees all that was committed when it began.
    pub(super) fn replied(&self, reply: &Reply) -> Result<(), String> {
        let Reply::ReadReady { ticket, index } = reply else {
            return Ok(());
        };
        let needed = self.reads.get(&ticket.0).copied().unwrap_or_default();
        ensure(*index >= needed, || {
            format!("a read at {index} misses {needed}")
        })
    }
}

fn ensure(holds: bool, otherwise: impl Fn() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
