//! What was met, so that a campaign can tell that it has met everything.
//!
//! It does not know whether what was met was right.

use std::collections::BTreeMap;

use raft_core::session::Answered;
use raft_kv::request::{Content, Op, PutRequest, RangeRequest, TxnRequest};
use raft_kv::response::RangeResponse;
use raft_kv::{Answer, Command, LeaseId, Refusal, Response, Revision};

use super::reference::Entry;

/// How often what was met.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

/// What entries can meet with: each must be met by some.
pub const OF_ENTRIES: &[&str] = &[
    "alarm cleared",
    "alarm raised",
    "announced",
    "answer: malformed",
    "answer: not remembered",
    "answer: repeated",
    "answer: session expired",
    "answer: session opened",
    "answer: superseded",
    "answer: too many sessions",
    "compacted",
    "deleted nothing",
    "deleted one",
    "deleted some",
    "expired by another term",
    "expired none",
    "expired one",
    "expired some",
    "forgotten",
    "granted a name that was asked for",
    "granted a name that the store chose",
    "on behalf of a user",
    "put",
    "put that keeps the lease",
    "put that keeps the value",
    "put that shows what was there",
    "put with a lease",
    "range in a transaction",
    "refused: an empty key",
    "refused: compacted",
    "refused: duplicate key",
    "refused: future revision",
    "refused: invalid management of users",
    "refused: key not found",
    "refused: lease exists",
    "refused: lease not found",
    "refused: no space",
    "refused: permission denied",
    "refused: permission not granted",
    "refused: revision of users is old",
    "refused: role exists",
    "refused: role not found",
    "refused: role not granted",
    "refused: role without a name",
    "refused: root is no user",
    "refused: root may not do everything",
    "refused: time to live too large",
    "refused: unsupported",
    "refused: user exists",
    "refused: user not found",
    "refused: user without a name",
    "refused: version too low",
    "reported",
    "revoked",
    "transaction failed",
    "transaction succeeded",
    "transaction three deep",
    "transaction two deep",
    "upgraded",
    "users changed",
];

/// What ranges can meet with.
pub const OF_RANGES: &[&str] = &[
    "range at a revision",
    "range created in some revisions",
    "range cut short",
    "range of a count",
    "range of keys only",
    "range of nothing",
    "range of one",
    "range of some",
    "range put in some revisions",
    "range refused: an empty key",
    "range refused: compacted",
    "range refused: future revision",
    "range sorted down",
    "range sorted up",
];

impl Tally {
    /// Once more.
    pub fn see(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// All that another one has seen.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What was never seen of what is expected, and what was seen that is not.
    #[must_use]
    pub fn compare(&self, expected: &[&[&'static str]]) -> Vec<String> {
        let expected = expected.concat();
        let never = expected.iter().filter(|what| !self.0.contains_key(*what));
        let unknown = self.0.keys().filter(|what| !expected.contains(what));
        let never = never.map(|what| format!("never seen: {what}"));
        never
            .chain(unknown.map(|what| format!("not in the list: {what}")))
            .collect()
    }

    /// An entry and what came of it, and whether that was what came of it before.
    pub fn see_entry(&mut self, entry: &Entry, answered: &Answered, is_repeated: bool) {
        match answered {
            Answered::Applied(_) if is_repeated => self.see("answer: repeated"),
            Answered::Applied(bytes) => {
                let answer = Answer::decode(bytes.clone()).expect("what the reference encoded");
                if let Some(command) = &entry.command {
                    self.see_outcome(entry, command, &answer.outcome);
                }
            }
            Answered::Opened { .. } => self.see("answer: session opened"),
            Answered::Forgotten => self.see("answer: not remembered"),
            Answered::Superseded => self.see("answer: superseded"),
            Answered::Expired => self.see("answer: session expired"),
            Answered::Full => self.see("answer: too many sessions"),
            Answered::Malformed => self.see("answer: malformed"),
        }
    }

    fn see_outcome(
        &mut self,
        entry: &Entry,
        command: &Command,
        outcome: &Result<Response, Refusal>,
    ) {
        let response = match outcome {
            Ok(response) => response,
            Err(refusal) => return self.see(of_refusal(refusal)),
        };
        match (command, response) {
            (Command::Put(put), _) => self.see_put(put),
            (Command::Delete(_), Response::Delete(delete)) => self.see_deleted(delete.deleted),
            (Command::Txn(txn), Response::Txn(done)) => {
                let branch = if done.succeeded {
                    &txn.success
                } else {
                    &txn.failure
                };
                self.see(if done.succeeded {
                    "transaction succeeded"
                } else {
                    "transaction failed"
                });
                self.see_ops(branch);
                match depth(txn) {
                    0 | 1 => {}
                    2 => self.see("transaction two deep"),
                    _ => self.see("transaction three deep"),
                }
            }
            (
                Command::Grant {
                    id: LeaseId::NONE, ..
                },
                _,
            ) => {
                self.see("granted a name that the store chose");
            }
            (Command::Grant { .. }, _) => self.see("granted a name that was asked for"),
            (Command::Expire { term, .. }, Response::Expired(0)) => {
                let is_of_another = *term != entry.term;
                self.see(if is_of_another {
                    "expired by another term"
                } else {
                    "expired none"
                });
            }
            (Command::Expire { .. }, Response::Expired(1)) => self.see("expired one"),
            (Command::Expire { .. }, _) => self.see("expired some"),
            (Command::Compact(_), _) => self.see("compacted"),
            (Command::Revoke(_), _) => self.see("revoked"),
            (Command::Raise(..), _) => self.see("alarm raised"),
            (Command::Clear(..), _) => self.see("alarm cleared"),
            (Command::Announce(_), _) => self.see("announced"),
            (Command::Forget(_), _) => self.see("forgotten"),
            (Command::Upgrade(_), _) => self.see("upgraded"),
            (Command::Report(_), _) => self.see("reported"),
            (Command::Auth(_), _) => self.see("users changed"),
            (Command::Guarded(guarded), _) => {
                self.see("on behalf of a user");
                self.see_outcome(entry, &guarded.command, outcome);
            }
            (Command::Delete(_) | Command::Txn(_), _) => self.see("an answer to something else"),
        }
    }

    fn see_ops(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Put(put) => self.see_put(put),
                Op::Range(_) => self.see("range in a transaction"),
                Op::Delete(_) | Op::Txn(_) => {}
            }
        }
    }

    fn see_put(&mut self, put: &PutRequest) {
        self.see("put");
        if put.wants_prev {
            self.see("put that shows what was there");
        }
        match (&put.value, put.lease) {
            (None, _) => self.see("put that keeps the value"),
            (_, None) => self.see("put that keeps the lease"),
            (_, Some(LeaseId::NONE)) => {}
            (_, Some(_)) => self.see("put with a lease"),
        }
    }

    fn see_deleted(&mut self, deleted: u64) {
        self.see(match deleted {
            0 => "deleted nothing",
            1 => "deleted one",
            _ => "deleted some",
        });
    }

    /// A range and what came of it.
    pub fn see_range(&mut self, request: &RangeRequest, found: &Result<RangeResponse, Refusal>) {
        let found = match found {
            Ok(found) => found,
            Err(refusal) => {
                return self.see(match of_refusal(refusal) {
                    "refused: an empty key" => "range refused: an empty key",
                    "refused: compacted" => "range refused: compacted",
                    "refused: future revision" => "range refused: future revision",
                    other => other,
                });
            }
        };
        self.see(match found.kvs.len() {
            0 => "range of nothing",
            1 => "range of one",
            _ => "range of some",
        });
        let is_true = [
            (request.revision != Revision::NONE, "range at a revision"),
            (found.more, "range cut short"),
            (request.content == Content::CountOnly, "range of a count"),
            (request.content == Content::KeysOnly, "range of keys only"),
            (
                request.created.is_bounded(),
                "range created in some revisions",
            ),
            (request.modified.is_bounded(), "range put in some revisions"),
        ];
        for (_, what) in is_true.into_iter().filter(|(is_true, _)| *is_true) {
            self.see(what);
        }
        if let Some(sort) = request.sort.filter(|_| found.kvs.len() > 1) {
            self.see(if sort.is_descending {
                "range sorted down"
            } else {
                "range sorted up"
            });
        }
    }
}

/// How it is called here.
#[must_use]
pub const fn of_refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Compacted { .. } => "refused: compacted",
        Refusal::FutureRevision { .. } => "refused: future revision",
        Refusal::EmptyKey => "refused: an empty key",
        Refusal::KeyNotFound => "refused: key not found",
        Refusal::DuplicateKey => "refused: duplicate key",
        Refusal::TooManyOps => "refused: too many operations",
        Refusal::LeaseNotFound => "refused: lease not found",
        Refusal::LeaseExists => "refused: lease exists",
        Refusal::LeaseTtlTooLarge => "refused: time to live too large",
        Refusal::TooManyLeases => "refused: too many leases",
        Refusal::NoSpace => "refused: no space",
        Refusal::Unsupported => "refused: unsupported",
        Refusal::VersionTooLow => "refused: version too low",
        Refusal::RootUserNotFound => "refused: root is no user",
        Refusal::RootRoleNotGranted => "refused: root may not do everything",
        Refusal::UserExists => "refused: user exists",
        Refusal::UserEmpty => "refused: user without a name",
        Refusal::UserNotFound => "refused: user not found",
        Refusal::RoleExists => "refused: role exists",
        Refusal::RoleNotFound => "refused: role not found",
        Refusal::RoleEmpty => "refused: role without a name",
        Refusal::PermissionDenied => "refused: permission denied",
        Refusal::RoleNotGranted => "refused: role not granted",
        Refusal::PermissionNotGranted => "refused: permission not granted",
        Refusal::InvalidAuthManagement => "refused: invalid management of users",
        Refusal::AuthRevisionOld => "refused: revision of users is old",
        Refusal::AuthFailed
        | Refusal::PermissionNotGiven
        | Refusal::AuthNotEnabled
        | Refusal::InvalidAuthToken => "refused by a machine as only a door does",
    }
}

fn depth(txn: &TxnRequest) -> u64 {
    let inner = txn.success.iter().chain(&txn.failure).map(|op| match op {
        Op::Txn(inner) => depth(inner),
        Op::Range(_) | Op::Put(_) | Op::Delete(_) => 0,
    });
    1 + inner.max().unwrap_or(0)
}
