//! Short words for long values, so that a scenario reads like the sentence it tests.
//!
//! Plain constructors; this file knows no cluster.

use std::sync::Arc;

use raft_core::entry::SnapshotMeta;
use raft_core::message::{
    AppendEntries, AppendEntriesReply, AppendOutcome, InstallSnapshot, PreVote, RequestVote,
    RequestVoteReply,
};
use raft_core::{
    Entry, Incarnation, Index, Member, MemberChange, Membership, Message, NodeId, Payload,
    Position, Round, Term,
};

/// The position of the entry at `index` made in `term`.
#[must_use]
pub fn at(index: u64, term: u64) -> Position {
    Position::new(Term(term), Index(index))
}

/// The command that stands for the entry of `term` at `index` wherever a test names only terms.
#[must_use]
pub fn command_of(index: u64, term: u64) -> String {
    format!("{index}t{term}")
}

/// The entry of `term` at `index`, with the command that stands for it.
#[must_use]
pub fn entry(index: u64, term: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        payload: Payload::Command(command_of(index, term).into_bytes().into()),
    }
}

/// Entries from `first` on, one for each term.
#[must_use]
pub fn entries(first: u64, terms: &[u64]) -> Vec<Entry> {
    (first..)
        .zip(terms)
        .map(|(index, term)| entry(index, *term))
        .collect()
}

/// Entries of these terms after `prev`, by a leader that has committed up to `commit`.
#[must_use]
pub fn append(prev: Position, terms: &[u64], commit: u64) -> Message {
    Message::AppendEntries(AppendEntries {
        prev,
        commit: Index(commit),
        round: Round(0),
        entries: entries(prev.index.0 + 1, terms).into(),
    })
}

/// "My log equals yours, durably, up to here."
#[must_use]
pub fn matched(index: u64) -> Message {
    matched_in(index, 0)
}

/// The same, echoing a confirmation round.
#[must_use]
pub fn matched_in(index: u64, round: u64) -> Message {
    Message::AppendEntriesReply(AppendEntriesReply {
        round: Round(round),
        outcome: AppendOutcome::Matched(Index(index)),
    })
}

/// "I have no such entry as the one before yours."
#[must_use]
pub fn conflict(prev: u64, hint: Position) -> Message {
    Message::AppendEntriesReply(AppendEntriesReply {
        round: Round(0),
        outcome: AppendOutcome::Conflict {
            prev: Index(prev),
            hint,
        },
    })
}

/// "Vote for me", from a candidate whose log ends there.
#[must_use]
pub fn request_vote(last: Position) -> Message {
    Message::RequestVote(RequestVote {
        last,
        transfer: false,
    })
}

/// The same with the old leader's blessing.
#[must_use]
pub fn blessed_vote(last: Position) -> Message {
    Message::RequestVote(RequestVote {
        last,
        transfer: true,
    })
}

/// "Would you vote for me?"
#[must_use]
pub fn pre_vote(last: Position) -> Message {
    Message::PreVote(PreVote {
        last,
        request: Round(7),
    })
}

/// The answer to a request for a vote.
#[must_use]
pub fn vote(granted: bool) -> Message {
    Message::RequestVoteReply(RequestVoteReply { granted })
}

/// The offer of a snapshot.
#[must_use]
pub fn offer(last: Position, membership: &Arc<Membership>) -> Message {
    let snapshot = Arc::new(SnapshotMeta {
        last,
        membership: Arc::clone(membership),
        membership_index: Index(0),
    });
    Message::InstallSnapshot(InstallSnapshot {
        snapshot,
        round: Round(0),
    })
}

/// Which life of its storage server `id` begins with.
#[must_use]
pub const fn first_life(id: u64) -> Incarnation {
    Incarnation(id * 100)
}

/// Server `id` as a member, in the first life of its storage, so that nobody has to bind it.
#[must_use]
pub fn member(id: u64) -> Member {
    Member {
        incarnation: first_life(id),
        ..Member::at(format!("server-{id}"))
    }
}

/// The configuration of these voters.
#[must_use]
pub fn voters(ids: &[u64]) -> Membership {
    Membership::of_voters(ids.iter().map(|id| (NodeId(*id), member(*id))))
}

/// The wish that `id` be a voter.
#[must_use]
pub fn add(id: u64) -> MemberChange {
    MemberChange::Voter(NodeId(id), member(id))
}

/// The wish that `id` be a learner.
#[must_use]
pub fn learn(id: u64) -> MemberChange {
    MemberChange::Learner(NodeId(id), member(id))
}

/// The wish that `id` be no member.
#[must_use]
pub const fn remove(id: u64) -> MemberChange {
    MemberChange::Remove(NodeId(id))
}
