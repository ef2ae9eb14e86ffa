//! One parcel of every kind, with every kind of part.
//!
//! Nothing here makes sense to a node: only the form counts.

use std::sync::Arc;

use bytes::Bytes;

use crate::entries::Entries;
use crate::entry::{Entry, Payload, SnapshotMeta};
use crate::event::Refusal;
use crate::membership::{ChangeError, Member, MemberChange, Membership};
use crate::message::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Envelope, InstallSnapshot,
    InstallSnapshotReply, Message, PreVote, PreVoteReply, ReadIndex, ReadIndexReply, RequestVote,
    RequestVoteReply, SnapshotStatus,
};
use crate::port::{Answer, Ask, ClusterView, Outcome, Parcel, Question};
use crate::session::Session;
use crate::types::{Incarnation, Index, NodeId, Position, Round, Term, Ticket};

/// More than fits into any buffer of a socket.
const LARGE_BYTES: usize = 1 << 20;

/// Far beyond what anybody counts to. A transport may refuse still larger numbers, since a node
/// adds to what it is told.
const FAR: Index = Index(1 << 62);

const POSITION: Position = Position::new(Term(3), FAR);

/// From whom to whom the samples go, and the next number that no parcel has yet.
pub(super) struct Numbered {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) next: u64,
}

impl Numbered {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// No two messages of one network are equal, so each is told from all others.
    pub(super) fn message(&mut self, message: Message) -> Parcel {
        Parcel::Consensus(Envelope {
            from: self.from,
            incarnation: Incarnation(u64::MAX),
            to: self.to,
            term: Term(self.next()),
            message,
        })
    }

    pub(super) fn ask(&mut self, question: Question) -> Parcel {
        Parcel::Ask(Ask {
            from: self.from,
            to: self.to,
            ticket: Ticket(self.next()),
            question,
        })
    }

    fn answer(&mut self, outcome: Outcome) -> Parcel {
        Parcel::Answer(Answer {
            from: self.from,
            to: self.to,
            ticket: Ticket(self.next()),
            outcome,
        })
    }

    pub(super) fn answer_unknown(&mut self) -> Parcel {
        self.answer(Outcome::Unknown)
    }

    /// One of every kind.
    pub(super) fn all(&mut self) -> Vec<Parcel> {
        let mut all = Vec::new();
        all.extend(messages().into_iter().map(|message| self.message(message)));
        all.extend(questions().into_iter().map(|question| self.ask(question)));
        all.extend(outcomes().into_iter().map(|outcome| self.answer(outcome)));
        all
    }
}

fn messages() -> Vec<Message> {
    let (last, request, round) = (POSITION, Round(7), Round(0));
    let mut messages = vec![
        Message::PreVote(PreVote { last, request }),
        Message::PreVoteReply(PreVoteReply {
            request,
            granted: true,
        }),
        Message::RequestVote(RequestVote {
            last,
            transfer: true,
        }),
        Message::RequestVoteReply(RequestVoteReply { granted: false }),
        Message::InstallSnapshot(InstallSnapshot {
            snapshot: Arc::new(SnapshotMeta {
                last,
                membership: membership(),
                membership_index: Index(5),
            }),
            round,
        }),
        Message::TimeoutNow,
        Message::ReadIndex(ReadIndex { request }),
        Message::ReadIndexReply(ReadIndexReply {
            request,
            index: Index(1),
        }),
        Message::StaleTerm,
        Message::WrongIncarnation,
    ];
    messages.extend(entries().map(|entries| {
        Message::AppendEntries(AppendEntries {
            prev: Position::default(),
            commit: Index(4),
            round,
            entries,
        })
    }));
    let conflict = AppendOutcome::Conflict {
        prev: Index(9),
        hint: last,
    };
    messages.extend(
        [AppendOutcome::Matched(Index(3)), conflict]
            .map(|outcome| Message::AppendEntriesReply(AppendEntriesReply { round, outcome })),
    );
    let matched = SnapshotStatus::Matched(Index(2));
    let statuses = [SnapshotStatus::Receiving, matched, SnapshotStatus::Failed];
    messages.extend(statuses.map(|status| {
        Message::InstallSnapshotReply(InstallSnapshotReply {
            round,
            snapshot: Index(8),
            status,
        })
    }));
    messages
}

/// None, every kind of payload, and a large one.
fn entries() -> [Entries; 3] {
    let kinds = [
        Payload::Noop,
        Payload::Command(Bytes::new()),
        Payload::Command(Bytes::from_static(b"command")),
        Payload::Membership(membership()),
    ];
    let large = Payload::Command(Bytes::from(vec![0xa5; LARGE_BYTES]));
    [Vec::new(), kinds.to_vec(), vec![large]].map(|payloads| {
        let numbered = payloads.into_iter().zip(1..);
        let entry = |(payload, index)| Entry {
            term: Term(2),
            index: Index(index),
            payload,
        };
        numbered.map(entry).collect()
    })
}

fn membership() -> Arc<Membership> {
    let ids = [NodeId(1), NodeId(2), NodeId(u64::MAX)];
    let members = ids.map(|id| (id, member()));
    Arc::new(Membership::of_voters(members))
}

fn member() -> Member {
    Member {
        address: "höst:2380".to_owned(),
        incarnation: Incarnation(4),
        priority: u8::MAX,
    }
}

fn questions() -> Vec<Question> {
    let session = Session {
        client: u64::MAX,
        sequence: 1,
    };
    let id = NodeId(4);
    let changes = vec![
        MemberChange::Learner(id, member()),
        MemberChange::Voter(id, member()),
        MemberChange::Remove(id),
        MemberChange::Update(id, member()),
    ];
    let write = |session, command| Question::Write { session, command };
    vec![
        write(None, Bytes::new()),
        write(Some(session), Bytes::from(vec![7; LARGE_BYTES])),
        Question::Change {
            based_on: None,
            changes: Vec::new(),
        },
        Question::Change {
            based_on: Some(Index(3)),
            changes,
        },
        Question::Transfer { target: None },
        Question::Transfer { target: Some(id) },
        Question::Cluster,
    ]
}

fn outcomes() -> Vec<Outcome> {
    let refusals = [
        Refusal::NotLeader(None),
        Refusal::NotLeader(Some(NodeId(3))),
        Refusal::Overloaded,
        Refusal::Transferring,
        Refusal::Aborted,
        Refusal::BadTarget,
        Refusal::TimedOut,
    ];
    let changes = [
        ChangeError::NoVoterLeft,
        ChangeError::NotAMember(NodeId(1)),
        ChangeError::NamedTwice(NodeId(2)),
        ChangeError::Nothing,
        ChangeError::NotBasedOn(Index(3)),
        ChangeError::OtherLife(NodeId(4)),
        ChangeError::InProgress,
    ];
    let mut outcomes = vec![
        Outcome::Written(Bytes::new()),
        Outcome::Written(Bytes::from(vec![8; LARGE_BYTES])),
        Outcome::Changed(Index(6)),
        Outcome::Transferred,
        Outcome::Cluster(ClusterView::default()),
        Outcome::Cluster(ClusterView {
            membership: membership(),
            commit: Index(7),
            leader: Some(NodeId(2)),
        }),
        Outcome::Unknown,
    ];
    outcomes.extend(refusals.map(Outcome::Refused));
    let refused = |error| Outcome::Refused(Refusal::Change(error));
    outcomes.extend(changes.map(refused));
    outcomes
}
