//! Commands drawn at random, of all kinds.

use bytes::Bytes;
use raft_core::session::{Session, Stamped};
use raft_core::sim::rng::Rng;
use raft_core::{Index, NodeId, Term};

use crate::auth::{AuthCommand, Guarded, Hidden, Permission, PermissionKind, ROOT};
use crate::command::{Announcement, Command, DigestReport};
use crate::keys::Keys;
use crate::request::{
    Compare, CompareTarget, DeleteRequest, Op, Operator, PutRequest, RangeRequest, TxnRequest,
};
use crate::types::{AlarmKind, LeaseId, Revision};

/// The command at this place, the same for the same two numbers.
pub(super) fn command(index: Index, random: u64) -> Bytes {
    let mut dice = Rng::new(random);
    let session = match dice.below(6) {
        0 => Some(Session::OPENING),
        1 | 2 => Some(Session {
            client: index.0.saturating_sub(dice.below(12)).max(1),
            sequence: dice.below(4) + 1,
        }),
        _ => None,
    };
    let command = if session == Some(Session::OPENING) {
        Bytes::new()
    } else {
        allowed(draw(index, &mut dice), &mut dice).encode()
    };
    let stamped = Stamped {
        time_ms: index.0 * 100,
        session,
        command,
    };
    stamped.encode()
}

/// By root, under a revision that may be the present one, or by nobody.
fn allowed(command: Command, dice: &mut Rng) -> Command {
    if dice.below(3) > 0 {
        return command;
    }
    Command::Guarded(Guarded {
        user: ROOT.to_owned(),
        auth_revision: dice.below(6) + 1,
        command: Box::new(command),
    })
}

fn draw(index: Index, dice: &mut Rng) -> Command {
    match dice.below(18) {
        0..=4 => Command::Put(put(dice)),
        5 | 6 => Command::Delete(delete(dice)),
        7..=9 => Command::Txn(txn(dice)),
        10 => Command::Compact(Revision(dice.below(60))),
        11 => Command::Grant {
            id: LeaseId(dice.below(4) as i64),
            ttl_s: dice.below(100),
        },
        12 => Command::Revoke(lease(dice)),
        13 => Command::Expire {
            term: Term(dice.below(6)),
            known: Index(index.0.saturating_sub(dice.below(30))),
            ids: vec![lease(dice), lease(dice)],
        },
        14 => {
            let (member, kind) = (NodeId(dice.below(3)), AlarmKind::NoSpace);
            match dice.below(8) {
                0 => Command::Raise(member, kind),
                _ => Command::Clear(member, kind),
            }
        }
        15 | 16 => Command::Auth(auth(dice)),
        _ => match dice.below(4) {
            0 => Command::Upgrade(2 + dice.below(2) as u8),
            1 => Command::Forget(NodeId(dice.below(3))),
            2 => Command::Announce(Announcement {
                member: NodeId(dice.below(3)),
                version: 2,
                name: "name".to_owned(),
                client_urls: vec!["http://there".to_owned()],
            }),
            _ => Command::Report(DigestReport {
                member: NodeId(dice.below(3)),
                index: Index(dice.below(4)),
                digest: dice.below(2),
                majority: 2,
            }),
        },
    }
}

/// It is enabled now and then, and not for long, since most is refused then.
fn auth(dice: &mut Rng) -> AuthCommand {
    let name = ["ann", ROOT, "bob"][dice.place(3)].to_owned();
    let role = ["reader", ROOT][dice.place(2)].to_owned();
    match dice.below(12) {
        0 | 1 => AuthCommand::UserAdd {
            name,
            password: Some(Hidden::default()),
        },
        2 => AuthCommand::UserDelete { name },
        3 | 4 => AuthCommand::UserGrantRole { name, role },
        5 => AuthCommand::UserRevokeRole { name, role },
        6 => AuthCommand::RoleAdd { name: role },
        7 => AuthCommand::RoleDelete { name: role },
        8 => AuthCommand::RoleGrantPermission {
            name: role,
            permission: Permission {
                keys: keys(dice),
                kind: PermissionKind::Write,
            },
        },
        9 => AuthCommand::Enable {
            secret: Hidden(key(dice)),
        },
        _ => AuthCommand::Disable,
    }
}

fn key(dice: &mut Rng) -> Bytes {
    let keys = ["a", "ab", "b", "b\0", "c"];
    Bytes::from_static(keys[dice.place(keys.len())].as_bytes())
}

fn keys(dice: &mut Rng) -> Keys {
    match dice.below(4) {
        0 => Keys::between(key(dice), key(dice)),
        1 => Keys::from(key(dice)),
        _ => Keys::One(key(dice)),
    }
}

fn lease(dice: &mut Rng) -> LeaseId {
    LeaseId(dice.below(4) as i64)
}

fn put(dice: &mut Rng) -> PutRequest {
    let value = Bytes::copy_from_slice(&dice.below(1 << 40).to_le_bytes());
    PutRequest {
        key: key(dice),
        value: (dice.below(5) > 0).then_some(value),
        lease: Some(match dice.below(3) {
            0 => lease(dice),
            _ => LeaseId::NONE,
        }),
        wants_prev: dice.below(2) == 0,
    }
}

fn delete(dice: &mut Rng) -> DeleteRequest {
    DeleteRequest {
        keys: keys(dice),
        wants_prev: dice.below(2) == 0,
    }
}

fn txn(dice: &mut Rng) -> TxnRequest {
    let compare = Compare {
        keys: keys(dice),
        operator: Operator::Greater,
        target: CompareTarget::Version(dice.below(3) as i64),
    };
    TxnRequest {
        compares: vec![compare],
        success: vec![Op::Put(put(dice)), Op::Range(RangeRequest::of(keys(dice)))],
        failure: vec![Op::Delete(delete(dice))],
    }
}
