//! One example of every message and every variant in it.
//!
//! Their golden bytes are kept; so an example is never changed, only added. This file does not know
//! how they are encoded.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Refusal;
use raft_core::membership::ChangeError;
use raft_core::message::{
    AppendEntries, AppendEntriesReply, AppendOutcome, InstallSnapshot, InstallSnapshotReply,
    PreVote, PreVoteReply, ReadIndex, ReadIndexReply, RequestVote, RequestVoteReply,
    SnapshotStatus,
};
use raft_core::port::{
    Answer, Ask, ClusterView, Manifest, Outcome, Parcel, Question, SnapshotFile,
};
use raft_core::session::Session;
use raft_core::types::Incarnation;
use raft_core::{
    Entry, Envelope, GroupId, Index, Member, MemberChange, Membership, Message, NodeId, Payload,
    Position, Round, SnapshotMeta, Term, Ticket,
};
use raft_net::wire::{BulkReply, BulkRequest, Hello, Lane, Rejection, Welcome};

pub(crate) const GROUP: GroupId = GroupId(7);

pub(crate) fn at(index: u64, term: u64) -> Position {
    Position::new(Term(term), Index(index))
}

pub(crate) fn said(message: Message) -> Parcel {
    Parcel::Consensus(Envelope {
        from: NodeId(1),
        incarnation: Incarnation(0x1122_3344_5566_7788),
        to: NodeId(2),
        term: Term(5),
        message,
    })
}

pub(crate) fn append(prev: Position, entries: Vec<Entry>) -> Message {
    Message::AppendEntries(AppendEntries {
        prev,
        commit: Index(11),
        round: Round(300),
        entries: entries.into(),
    })
}

pub(crate) fn heartbeat(index: u64) -> Message {
    append(at(index, 4), Vec::new())
}

pub(crate) fn matched(index: u64) -> Message {
    replied(AppendOutcome::Matched(Index(index)))
}

fn replied(outcome: AppendOutcome) -> Message {
    Message::AppendEntriesReply(AppendEntriesReply {
        round: Round(300),
        outcome,
    })
}

pub(crate) fn entry(index: u64, term: u64, payload: Payload) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        payload,
    }
}

pub(crate) fn command(text: &'static str) -> Payload {
    Payload::Command(Bytes::from_static(text.as_bytes()))
}

/// Members 1 to 5 on the way from 1, 2, 3 to 2, 3, 4; 5 learns, 1 leaves.
pub(crate) fn joint() -> Membership {
    let member = |id: u64| {
        let member = Member {
            address: format!("host-{id}:2380"),
            incarnation: Incarnation(id * 1000),
            priority: 3,
        };
        (NodeId(id), member)
    };
    let old = Membership::of_voters([member(1), member(2), member(3)]);
    let changes = [
        MemberChange::Voter(NodeId(4), Member::at("four")),
        MemberChange::Learner(NodeId(5), Member::at("")),
        MemberChange::Remove(NodeId(1)),
    ];
    old.towards(&old.changed(&changes).expect("legal"))
}

fn meta() -> Arc<SnapshotMeta> {
    Arc::new(SnapshotMeta {
        last: at(900, 4),
        membership: Arc::new(joint()),
        membership_index: Index(800),
    })
}

fn installed(status: SnapshotStatus) -> Message {
    Message::InstallSnapshotReply(InstallSnapshotReply {
        round: Round(300),
        snapshot: Index(900),
        status,
    })
}

fn messages() -> Vec<(&'static str, Message)> {
    let request = Round(9);
    let entries = vec![
        entry(13, 4, Payload::Noop),
        entry(14, 4, command("first")),
        entry(15, 5, Payload::Membership(Arc::new(joint()))),
        entry(16, 5, command("")),
        entry(17, 5, command("second")),
    ];
    let pre_vote = PreVote {
        last: at(12, 4),
        request,
    };
    let vote = RequestVote {
        last: at(12, 4),
        transfer: true,
    };
    let granted = true;
    let index = Index(11);
    let conflict = AppendOutcome::Conflict {
        prev: Index(12),
        hint: at(10, 3),
    };
    let install = InstallSnapshot {
        snapshot: meta(),
        round: Round(300),
    };
    vec![
        ("pre_vote", Message::PreVote(pre_vote)),
        (
            "pre_vote_reply",
            Message::PreVoteReply(PreVoteReply { request, granted }),
        ),
        ("request_vote", Message::RequestVote(vote)),
        (
            "request_vote_reply",
            Message::RequestVoteReply(RequestVoteReply { granted }),
        ),
        ("append_entries", append(at(12, 4), entries)),
        ("heartbeat", heartbeat(12)),
        ("append_matched", matched(12)),
        ("append_conflict", replied(conflict)),
        ("install_snapshot", Message::InstallSnapshot(install)),
        ("install_receiving", installed(SnapshotStatus::Receiving)),
        (
            "install_matched",
            installed(SnapshotStatus::Matched(Index(901))),
        ),
        ("install_failed", installed(SnapshotStatus::Failed)),
        ("timeout_now", Message::TimeoutNow),
        ("read_index", Message::ReadIndex(ReadIndex { request })),
        (
            "read_index_reply",
            Message::ReadIndexReply(ReadIndexReply { request, index }),
        ),
        ("stale_term", Message::StaleTerm),
        ("wrong_incarnation", Message::WrongIncarnation),
    ]
}

fn questions() -> Vec<(&'static str, Question)> {
    let session = Session {
        client: 0xc1,
        sequence: 8,
    };
    let write = |session| Question::Write {
        session,
        command: Bytes::from_static(b"a command"),
    };
    let member = || Member::at("nine:1");
    let change = |based_on, changes| Question::Change { based_on, changes };
    let all = vec![
        MemberChange::Learner(NodeId(9), member()),
        MemberChange::Voter(NodeId(10), member()),
        MemberChange::Remove(NodeId(1)),
        MemberChange::Update(NodeId(2), member()),
    ];
    let target = Some(NodeId(3));
    vec![
        ("ask_write", write(Some(session))),
        ("ask_write_without_session", write(None)),
        ("ask_change", change(Some(Index(40)), all)),
        ("ask_change_of_nothing", change(None, Vec::new())),
        ("ask_transfer", Question::Transfer { target }),
        ("ask_transfer_to_any", Question::Transfer { target: None }),
        ("ask_cluster", Question::Cluster),
    ]
}

fn outcomes() -> Vec<(&'static str, Outcome)> {
    let view = ClusterView {
        membership: Arc::new(joint()),
        commit: Index(40),
        leader: Some(NodeId(3)),
    };
    let refused = Outcome::Refused;
    let change = |error| Outcome::Refused(Refusal::Change(error));
    let node = NodeId(3);
    vec![
        ("written", Outcome::Written(Bytes::from_static(b"done"))),
        ("changed", Outcome::Changed(Index(41))),
        ("transferred", Outcome::Transferred),
        ("cluster", Outcome::Cluster(view)),
        ("cluster_blank", Outcome::Cluster(ClusterView::default())),
        ("not_leader", refused(Refusal::NotLeader(Some(node)))),
        ("no_leader", refused(Refusal::NotLeader(None))),
        ("overloaded", refused(Refusal::Overloaded)),
        ("transferring", refused(Refusal::Transferring)),
        ("no_voter_left", change(ChangeError::NoVoterLeft)),
        ("not_a_member", change(ChangeError::NotAMember(node))),
        ("named_twice", change(ChangeError::NamedTwice(node))),
        ("change_nothing", change(ChangeError::Nothing)),
        ("not_based_on", change(ChangeError::NotBasedOn(Index(4)))),
        ("other_life", change(ChangeError::OtherLife(node))),
        ("in_progress", change(ChangeError::InProgress)),
        ("aborted", refused(Refusal::Aborted)),
        ("bad_target", refused(Refusal::BadTarget)),
        ("timed_out", refused(Refusal::TimedOut)),
        ("unknown", Outcome::Unknown),
    ]
}

/// Each parcel alone, and all that goes through `encode` together.
pub(crate) fn parcels() -> Vec<(&'static str, Vec<(GroupId, Parcel)>)> {
    let (from, to, ticket) = (NodeId(2), NodeId(1), Ticket(77));
    let ask = |question| {
        Parcel::Ask(Ask {
            from,
            to,
            ticket,
            question,
        })
    };
    let answer = |outcome| {
        Parcel::Answer(Answer {
            from: to,
            to: from,
            ticket,
            outcome,
        })
    };
    let mut examples = Vec::new();
    let mut add = |name, parcel| examples.push((name, vec![(GROUP, parcel)]));
    messages()
        .into_iter()
        .for_each(|(name, message)| add(name, said(message)));
    questions()
        .into_iter()
        .for_each(|(name, question)| add(name, ask(question)));
    outcomes()
        .into_iter()
        .for_each(|(name, outcome)| add(name, answer(outcome)));
    examples.push(("many_groups", many_groups()));
    examples
}

/// What a node of many groups says at once: in version 2 two frames, the append and the rest.
fn many_groups() -> Vec<(GroupId, Parcel)> {
    let mut other_life = said(matched(30));
    if let Parcel::Consensus(envelope) = &mut other_life {
        envelope.incarnation = Incarnation(3);
    }
    let entries = vec![entry(41, 5, command("x"))];
    vec![
        (GroupId(1), said(heartbeat(10))),
        (GroupId(2), said(matched(20))),
        (GroupId(3), other_life),
        (GroupId(4), said(append(at(40, 5), entries))),
        (GroupId(500), said(heartbeat(1 << 40))),
    ]
}

pub(crate) fn hellos() -> Vec<(&'static str, Hello)> {
    let hello = Hello {
        versions: (1, 2),
        cluster: 0xc0ff_ee00_c0ff_ee00,
        from: NodeId(1),
        to: Some(NodeId(2)),
        lane: Lane::Consensus,
        features: 0b101,
        advertised: "host-1:2380".to_owned(),
    };
    let bulk = Hello {
        to: None,
        lane: Lane::Bulk,
        advertised: String::new(),
        ..hello.clone()
    };
    vec![("hello", hello), ("hello_bulk", bulk)]
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        version: 2,
        cluster: 0xc0ff_ee00_c0ff_ee00,
        from: NodeId(2),
        features: 0b100,
    }
}

pub(crate) fn rejections() -> Vec<(&'static str, Rejection)> {
    vec![
        ("rejected_version", Rejection::Version { min: 3, max: 4 }),
        ("rejected_cluster", Rejection::Cluster(0xbad)),
        ("rejected_node", Rejection::Node(NodeId(4))),
        ("rejected_busy", Rejection::Busy),
        ("rejected_unauthorized", Rejection::Unauthorized),
    ]
}

pub(crate) fn requests() -> Vec<(&'static str, BulkRequest)> {
    let open = BulkRequest::Open {
        group: GROUP,
        from: NodeId(2),
        last: at(900, 4),
    };
    let read = BulkRequest::Read {
        file: 1,
        offset: 1 << 33,
        length: 1 << 20,
    };
    vec![("bulk_open", open), ("bulk_read", read)]
}

pub(crate) fn replies() -> Vec<(&'static str, BulkReply)> {
    let file = |name: &str, size| SnapshotFile {
        name: name.to_owned(),
        size,
        hash: 0x1234_5678_9abc_def0,
    };
    let manifest = Manifest {
        meta: meta(),
        files: vec![file("MANIFEST-1", 10), file("a.sst", 1 << 40)],
    };
    let failed = BulkReply::Failed {
        reason: "no snapshot yet".to_owned(),
    };
    vec![
        ("bulk_manifest", BulkReply::Manifest(manifest)),
        (
            "bulk_chunk",
            BulkReply::Chunk(Bytes::from_static(b"bytes of a file")),
        ),
        ("bulk_end_of_file", BulkReply::Chunk(Bytes::new())),
        ("bulk_failed", failed),
    ]
}
