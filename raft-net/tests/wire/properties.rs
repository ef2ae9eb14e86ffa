//! Any parcels there and back, in every version, and any bytes at all.
//!
//! The parcels are drawn here; this file does not know how they are encoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use raft_core::message::{InstallSnapshot, RequestVote};
use raft_core::port::{Answer, Ask, ClusterView, Outcome, Parcel, Question};
use raft_core::session::Session;
use raft_core::types::Incarnation;
use raft_core::{
    Entry, Envelope, GroupId, Index, Member, MemberChange, Membership, Message, NodeId, Payload,
    SnapshotMeta, Term, Ticket,
};
use raft_net::frame::{Frame, put_frame};
use raft_net::wire::{self, BulkReply, BulkRequest, Hello, Rejection, VERSION_MAX, VERSION_MIN};

use super::{Parcels, by_group, decode, encode, examples, frames};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..300, any::<u64>()]
}

/// Terms and indexes: of every size, up to the greatest that is taken.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..300, 0..=1_u64 << 62]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn member() -> impl Strategy<Value = Member> {
    ("[a-z0-9.:-]{0,20}", number(), any::<u8>()).prop_map(|(address, incarnation, priority)| {
        Member {
            address,
            incarnation: Incarnation(incarnation),
            priority,
        }
    })
}

/// Any configuration, joint or not: those who leave were voters, and are none of the new ones.
fn membership() -> impl Strategy<Value = Membership> {
    let part = || (member(), any::<(bool, bool, bool)>());
    btree_map(number().prop_map(NodeId), part(), 0..6).prop_map(|drawn| {
        let pick = |wanted: fn(&(bool, bool, bool)) -> bool| {
            let drawn = drawn.iter().filter(|(_, (_, parts))| wanted(parts));
            drawn.map(|(id, _)| *id).collect()
        };
        let voters: std::collections::BTreeSet<NodeId> = pick(|(voter, _, _)| *voter);
        let is_joint = !voters.is_empty();
        let outgoing = pick(|(_, outgoing, _)| *outgoing);
        let leaving = pick(|(voter, outgoing, leaving)| *outgoing && *leaving && !*voter);
        let members: BTreeMap<_, _> = drawn.iter().map(|(id, (m, _))| (*id, m.clone())).collect();
        let old = if is_joint {
            (outgoing, leaving)
        } else {
            Default::default()
        };
        Membership::from_parts(members, voters, old.0, old.1).expect("legal by construction")
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        1 => Just(Payload::Noop),
        6 => bytes().prop_map(Payload::Command),
        1 => membership().prop_map(|m| Payload::Membership(Arc::new(m))),
    ]
}

/// Entries as a leader sends them: without a gap, in terms that never go back.
fn append() -> impl Strategy<Value = (u64, Message)> {
    let entries = vec((0_u64..3, payload()), 0..20);
    (0_u64..1 << 61, 0_u64..1 << 40, entries).prop_map(|(index, term, drawn)| {
        let mut entries: Vec<Entry> = Vec::new();
        let mut last = examples::at(index, term);
        for (more, payload) in drawn {
            last = examples::at(last.index.0 + 1, last.term.0 + more);
            entries.push(examples::entry(last.index.0, last.term.0, payload));
        }
        let message = examples::append(examples::at(index, term), entries);
        (last.term.0, message)
    })
}

/// Messages of every kind, with the term that they need at least.
fn message() -> impl Strategy<Value = (u64, Message)> {
    let known: Vec<Message> = examples::parcels()
        .into_iter()
        .filter_map(|(_, parcels)| match &parcels[0].1 {
            Parcel::Consensus(envelope) => Some(envelope.message.clone()),
            Parcel::Ask(_) | Parcel::Answer(_) => None,
        })
        .collect();
    let install = (membership(), count()).prop_map(|(membership, last)| {
        let snapshot = Arc::new(SnapshotMeta {
            last: examples::at(last, 3),
            membership: Arc::new(membership),
            membership_index: Index(last / 2),
        });
        let round = raft_core::Round(last);
        (
            0,
            Message::InstallSnapshot(InstallSnapshot { snapshot, round }),
        )
    });
    let vote = (count(), count(), any::<bool>()).prop_map(|(index, term, transfer)| {
        let last = examples::at(index, term);
        (0, Message::RequestVote(RequestVote { last, transfer }))
    });
    prop_oneof![
        append(),
        install,
        vote,
        select(known).prop_map(|message| (5, message)),
        count().prop_map(|index| (4, examples::heartbeat(index))),
        count().prop_map(|index| (0, examples::matched(index))),
    ]
}

fn consensus() -> impl Strategy<Value = Parcel> {
    let few = || prop_oneof![0_u64..3, any::<u64>()];
    let parts = (message(), few(), few(), few(), 0_u64..1 << 40);
    parts.prop_map(|((least, message), from, incarnation, to, more)| {
        Parcel::Consensus(Envelope {
            from: NodeId(from),
            incarnation: Incarnation(incarnation),
            to: NodeId(to),
            term: Term(least + more),
            message,
        })
    })
}

fn question() -> impl Strategy<Value = Question> {
    let session = option::of(
        (number(), number()).prop_map(|(client, sequence)| Session { client, sequence }),
    );
    let write =
        (session, bytes()).prop_map(|(session, command)| Question::Write { session, command });
    let wish =
        (0..4, number().prop_map(NodeId), member()).prop_map(|(which, id, member)| match which {
            0 => MemberChange::Learner(id, member),
            1 => MemberChange::Voter(id, member),
            2 => MemberChange::Update(id, member),
            _ => MemberChange::Remove(id),
        });
    let based_on = option::of(count().prop_map(Index));
    let change = (based_on, vec(wish, 0..5))
        .prop_map(|(based_on, changes)| Question::Change { based_on, changes });
    let target = option::of(number().prop_map(NodeId));
    prop_oneof![
        write,
        change,
        target.prop_map(|target| Question::Transfer { target }),
        Just(Question::Cluster),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let known: Vec<Outcome> = examples::parcels()
        .into_iter()
        .filter_map(|(_, parcels)| match &parcels[0].1 {
            Parcel::Answer(answer) => Some(answer.outcome.clone()),
            Parcel::Ask(_) | Parcel::Consensus(_) => None,
        })
        .collect();
    let view =
        (membership(), count(), option::of(number())).prop_map(|(members, commit, leader)| {
            Outcome::Cluster(ClusterView {
                membership: Arc::new(members),
                commit: Index(commit),
                leader: leader.map(NodeId),
            })
        });
    prop_oneof![bytes().prop_map(Outcome::Written), view, select(known)]
}

fn parcel() -> impl Strategy<Value = Parcel> {
    let ids = || (number(), number(), number());
    let ask = (ids(), question()).prop_map(|((from, to, ticket), question)| {
        Parcel::Ask(Ask {
            from: NodeId(from),
            to: NodeId(to),
            ticket: Ticket(ticket),
            question,
        })
    });
    let answer = (ids(), outcome()).prop_map(|((from, to, ticket), outcome)| {
        Parcel::Answer(Answer {
            from: NodeId(from),
            to: NodeId(to),
            ticket: Ticket(ticket),
            outcome,
        })
    });
    prop_oneof![4 => consensus(), 1 => ask, 1 => answer]
}

fn parcels() -> impl Strategy<Value = Parcels> {
    let group = prop_oneof![0_u64..4, any::<u64>()].prop_map(GroupId);
    vec((group, parcel()), 0..20)
}

proptest! {
    #[test]
    fn parcels_survive_the_way_in_every_version(parcels in parcels()) {
        for version in VERSION_MIN..=VERSION_MAX {
            let bytes = encode(version, &parcels);
            prop_assert!(frames(&bytes).expect("sound").len() <= parcels.len());
            let decoded = decode(&bytes).map(by_group);
            prop_assert_eq!(decoded, Ok(by_group(parcels.clone())), "version {}", version);
        }
        prop_assert_eq!(decode(&encode(1, &parcels)), Ok(parcels));
    }

    #[test]
    fn nobody_panics_on_any_body(
        kind in select(vec![1_u8, 2, 3, 16, 17, 18, 19, 32, 33, 34]),
        version in 0_u8..4,
        flags in prop_oneof![9 => Just(0_u16), 1 => any::<u16>()],
        body in vec(prop_oneof![0_u8..6, any::<u8>()], 0..120),
    ) {
        let mut out = BytesMut::new();
        put_frame(kind, version, flags, &mut out, |out| out.extend_from_slice(&body));
        let frame: Frame = frames(&out).expect("sound").remove(0);
        let mut parcels = Vec::new();
        if wire::decode(&frame, &mut parcels).is_ok() {
            prop_assert_eq!(decode(&encode(version, &parcels)), Ok(parcels));
        } else {
            prop_assert!(parcels.is_empty());
        }
        // At most one of them takes it.
        let taken = [
            Hello::decode(&frame).is_ok(),
            wire::Welcome::decode(&frame).is_ok(),
            Rejection::decode(&frame).is_ok(),
            BulkRequest::decode(&frame).is_ok(),
            BulkReply::decode(&frame).is_ok(),
        ];
        prop_assert!(taken.iter().filter(|taken| **taken).count() <= 1);
    }

    #[test]
    fn manifests_survive_the_way(
        membership in membership(),
        names in btree_set("[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,20}", 0..6),
        (size, hash) in (0_u64..1 << 40, any::<u64>()),
    ) {
        let file = |name| raft_core::port::SnapshotFile { name, size, hash };
        let meta = SnapshotMeta {
            last: examples::at(size, 9),
            membership: Arc::new(membership),
            membership_index: Index(size),
        };
        let reply = BulkReply::Manifest(raft_core::port::Manifest {
            meta: Arc::new(meta),
            files: names.into_iter().map(file).collect(),
        });
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        let frame = frames(&out).expect("sound").remove(0);
        prop_assert_eq!(BulkReply::decode(&frame), Ok(reply));
    }
}
