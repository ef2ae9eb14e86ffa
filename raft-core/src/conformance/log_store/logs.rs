//! Cases: founding, term and vote, what is appended, truncated, replaced and read.

use std::sync::Arc;

use super::Case;
use super::stand::{Stand, appending, command, founding, hard, voters};
use crate::entry::{Entry, Payload, Recovered, SnapshotMeta};
use crate::event::Write;
use crate::membership::{Member, MemberChange};
use crate::types::{Index, NodeId, Position, Term, WriteId};

pub(super) const CASES: &[Case] = &[
    ("a founded store holds the founding state", founding_state),
    (
        "a store waiting to be added is founded blank",
        founded_blank,
    ),
    ("term and vote survive", hard_state_survives),
    ("every kind of payload is read back", payloads),
    ("writes are carried out in order", writes_in_order),
    ("truncate and append in one write", truncate_and_append),
    ("truncation down to the base", truncate_to_base),
    ("a reset replaces the log", reset_then_append),
    ("reset, term and entries in one write", reset_with_more),
    ("reads keep to their budget", read_budget),
    ("terms come in runs", term_runs),
    (
        "truncated configurations are forgotten",
        memberships_truncated,
    ),
    ("usage follows the log", usage),
];

fn founding_state(stand: &mut Stand) {
    let found = stand.recover();
    stand.check(found == founding(), "it recovers something else at once");
    stand.reopen();
    let found = stand.recover();
    stand.check(found == founding(), "it recovers something else");
    let again = stand.store().found(&founding());
    stand.refuses("founding a founded store", again);
}

fn founded_blank(stand: &mut Stand) {
    let blank = Recovered::blank(stand.model.incarnation);
    stand.fresh_with(&blank);
    stand.reopen();
    stand.fill(3, 2);
    stand.reopen();
}

fn hard_state_survives(stand: &mut Stand) {
    for (term, vote) in [(1, 0), (1, 2), (7, 0), (8, 3)] {
        stand.write(&[Write {
            id: WriteId(term),
            hard_state: Some(hard(term, vote)),
            ..Write::default()
        }]);
        stand.reopen();
    }
    stand.write(&[Write::default()]);
    stand.write(&[]);
    stand.reopen();
}

fn payloads(stand: &mut Stand) {
    stand.fill(2, 0);
    let old = voters(3);
    let changes = [
        MemberChange::Voter(NodeId(4), Member::at("four")),
        MemberChange::Learner(NodeId(5), Member::at("")),
        MemberChange::Remove(NodeId(1)),
    ];
    let target = old.changed(&changes).expect("a legal change");
    let joint = old.towards(&target);
    let large: Vec<u8> = (0..(1_u32 << 20) + 7).map(|at| (at % 251) as u8).collect();
    stand.append([
        Payload::Noop,
        command(b""),
        command(b"x"),
        command(&large),
        command(&[0; 4096]),
        Payload::Membership(Arc::new(joint.clone())),
        Payload::Membership(Arc::new(joint.left())),
    ]);
    stand.read_all();
    stand.reopen();
}

fn writes_in_order(stand: &mut Stand) {
    let noops = |count| std::iter::repeat_n(Payload::Noop, count);
    stand.write(&[
        Write {
            hard_state: Some(hard(1, 1)),
            ..appending(Term(1), Index(1), noops(3))
        },
        appending(Term(1), Index(4), noops(2)),
        Write {
            hard_state: Some(hard(2, 0)),
            truncate: Some(Index(3)),
            ..appending(Term(2), Index(3), noops(1))
        },
        Write {
            hard_state: Some(hard(2, 3)),
            ..appending(Term(2), Index(4), noops(4))
        },
    ]);
    stand.read_all();
    stand.reopen();
}

fn truncate_and_append(stand: &mut Stand) {
    stand.fill(1, 6);
    stand.write(&[Write {
        truncate: Some(Index(3)),
        hard_state: Some(hard(2, 0)),
        ..appending(Term(2), Index(3), [command(b"new")])
    }]);
    stand.read_all();
    stand.read(Index(4), Index(6), u64::MAX);
    stand.reopen();
    stand.fill(3, 5);
    stand.write(&[Write {
        truncate: Some(Index(5)),
        ..Write::default()
    }]);
    stand.read(Index(5), Index(9), u64::MAX);
    stand.reopen();
}

fn truncate_to_base(stand: &mut Stand) {
    stand.fill(1, 4);
    stand.write(&[Write {
        truncate: Some(Index(1)),
        ..Write::default()
    }]);
    stand.read(Index(1), Index(4), u64::MAX);
    stand.reopen();
    stand.write(&[Write {
        truncate: Some(Index(1)),
        ..appending(Term(1), Index(1), [Payload::Noop])
    }]);
    stand.reopen();
}

/// What a peer's snapshot far beyond the log stands for.
fn far_meta() -> SnapshotMeta {
    SnapshotMeta {
        last: Position::new(Term(4), Index(40)),
        membership: Arc::new(voters(5)),
        membership_index: Index(33),
    }
}

fn reset_then_append(stand: &mut Stand) {
    stand.fill(1, 9);
    let meta = far_meta();
    stand.snapshot(&meta, &[("state", b"far")]);
    stand.reopen();
    stand.write(&[Write {
        reset: Some(Arc::new(meta)),
        ..Write::default()
    }]);
    stand.read(Index(1), Index(50), u64::MAX);
    stand.reopen();
    stand.read(Index(9), Index(50), u64::MAX);
    stand.fill(5, 3);
    stand.read(Index(40), Index(50), u64::MAX);
    stand.reopen();
}

fn reset_with_more(stand: &mut Stand) {
    stand.fill(1, 60);
    let meta = far_meta();
    stand.snapshot(&meta, &[("state", b"near")]);
    stand.write(&[Write {
        reset: Some(Arc::new(meta)),
        hard_state: Some(hard(6, 2)),
        ..appending(Term(6), Index(41), [command(b"a"), command(b"b")])
    }]);
    stand.read_all();
    stand.read(Index(43), Index(60), u64::MAX);
    stand.reopen();
}

fn read_budget(stand: &mut Stand) {
    stand.fill(1, 0);
    let sizes = [10_usize, 0, 100, 5000, 1, 1];
    stand.append(sizes.map(|size| command(&vec![7; size])));
    let weights = sizes.map(|size| Entry::OVERHEAD + size as u64);
    for from in 1..=7_u64 {
        for to in 0..=9_u64 {
            let mut sum = 0;
            stand.read(Index(from), Index(to), 0);
            stand.read(Index(from), Index(to), u64::MAX);
            for weight in weights {
                sum += weight;
                for budget in [sum - 1, sum, sum + 1] {
                    stand.read(Index(from), Index(to), budget);
                }
            }
        }
    }
    stand.read(Index(0), Index(3), u64::MAX);
    stand.read(Index(3), Index(u64::MAX), u64::MAX);
    stand.read(Index(u64::MAX), Index(u64::MAX), u64::MAX);
}

fn term_runs(stand: &mut Stand) {
    for (term, count) in [(1, 3), (2, 1), (5, 2), (6, 0), (9, 4)] {
        stand.fill(term, count);
        stand.reopen();
    }
    stand.write(&[Write {
        truncate: Some(Index(6)),
        ..Write::default()
    }]);
    stand.reopen();
}

fn memberships_truncated(stand: &mut Stand) {
    stand.fill(1, 2);
    for count in [4, 5, 6] {
        stand.append([Payload::Membership(Arc::new(voters(count))), Payload::Noop]);
    }
    stand.reopen();
    stand.write(&[Write {
        truncate: Some(Index(5)),
        ..Write::default()
    }]);
    stand.reopen();
    stand.append([Payload::Membership(Arc::new(voters(7)))]);
    stand.reopen();
}

fn usage(stand: &mut Stand) {
    let empty = stand.store().usage();
    stand.check(empty.entries == 0, "an empty log has entries");
    stand.fill(1, 0);
    stand.append((0..64).map(|_| command(&[1; 16 << 10])));
    let full = stand.store().usage();
    stand.count();
    stand.check(
        full.bytes >= empty.bytes + (1 << 20),
        "a mebibyte is not seen",
    );
    stand.write(&[Write {
        truncate: Some(Index(9)),
        ..Write::default()
    }]);
    stand.count();
    let meta = stand.model.meta_at(Index(8));
    stand.snapshot(&meta, &[("state", b"")]);
    stand.write(&[Write {
        reset: Some(Arc::new(meta)),
        ..Write::default()
    }]);
    stand.reopen();
    let reset = stand.store().usage();
    stand.check(reset.bytes < full.bytes, "what a reset dropped is counted");
}
