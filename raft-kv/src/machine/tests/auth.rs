//! What was allowed where a client asked, where the command stands in the log.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Committed, StateMachine};
use raft_core::session::{Answered, Session, Stamped};
use raft_core::{Index, Term};

use super::config;
use crate::auth::{Auth, AuthCommand, Guarded, Hidden, Permission, PermissionKind, ROOT};
use crate::backup::{RestoreOptions, restore_backup, verify_backup};
use crate::command::Command;
use crate::engine::{Engine, MemoryEngine};
use crate::keys::Keys;
use crate::machine::Machine;
use crate::refusal::Refusal;
use crate::request::PutRequest;
use crate::response::{Answer, Response};
use crate::store::Store;
use crate::types::LeaseId;

const LEASE: LeaseId = LeaseId(7);

/// A machine, and how far it has come.
struct Stage {
    engine: Arc<MemoryEngine>,
    machine: Machine,
    store: Store,
    index: u64,
}

impl Stage {
    fn new() -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let shared: Arc<dyn Engine> = Arc::<MemoryEngine>::clone(&engine);
        let (machine, store) = Machine::open(shared, config()).expect("no rows");
        Self {
            engine,
            machine,
            store,
            index: 0,
        }
    }

    /// One where root and ann are users, and ann may write from `a` to `c`.
    fn enabled() -> Self {
        let mut stage = Self::new();
        stage.expect_done(&Command::Upgrade(3));
        let (name, role) = (|| "ann".to_owned(), || "writer".to_owned());
        let permission = Permission {
            keys: Keys::between("a", "c"),
            kind: PermissionKind::Write,
        };
        for command in [
            user_add(ROOT),
            AuthCommand::UserGrantRole {
                name: ROOT.to_owned(),
                role: ROOT.to_owned(),
            },
            user_add("ann"),
            AuthCommand::RoleAdd { name: role() },
            AuthCommand::RoleGrantPermission {
                name: role(),
                permission,
            },
            AuthCommand::UserGrantRole {
                name: name(),
                role: role(),
            },
            enable(),
        ] {
            stage.expect_done(&Command::Auth(command));
        }
        stage
    }

    fn auth(&self) -> Arc<Auth> {
        self.store.auth().expect("it runs")
    }

    fn answer(&mut self, session: Option<Session>, command: &Command) -> Answered {
        self.index += 1;
        let stamped = Stamped {
            time_ms: self.index,
            session,
            command: if session == Some(Session::OPENING) {
                Bytes::new()
            } else {
                command.encode()
            },
        };
        let committed = Committed {
            index: Index(self.index),
            term: Term(1),
            command: stamped.encode(),
        };
        let answers = self.machine.apply(&[committed]).expect("an answer");
        Answered::decode(answers[0].clone()).expect("an answer")
    }

    fn outcome(&mut self, session: Option<Session>, command: &Command) -> Outcome {
        let Answered::Applied(answer) = self.answer(session, command) else {
            panic!("not executed: {command:?}");
        };
        Answer::decode(answer).expect("an answer").outcome
    }

    fn expect_done(&mut self, command: &Command) {
        let outcome = self.outcome(None, command);
        assert_eq!(outcome, Ok(Response::Done), "{command:?}");
    }

    /// By a user who was found to be allowed just now.
    fn by(&mut self, user: &str, command: Command) -> Outcome {
        let command = guarded(user, self.auth().revision(), command);
        self.outcome(None, &command)
    }
}

type Outcome = Result<Response, Refusal>;

fn user_add(name: &str) -> AuthCommand {
    AuthCommand::UserAdd {
        name: name.to_owned(),
        password: Some(Hidden::default()),
    }
}

fn enable() -> AuthCommand {
    AuthCommand::Enable {
        secret: Hidden(Bytes::from_static(b"secret")),
    }
}

fn guarded(user: &str, auth_revision: u64, command: Command) -> Command {
    Command::Guarded(Guarded {
        user: user.to_owned(),
        auth_revision,
        command: Box::new(command),
    })
}

fn put(key: &'static str) -> Command {
    Command::Put(PutRequest::of(key, "value"))
}

fn attach(key: &'static str) -> Command {
    Command::Put(PutRequest {
        lease: Some(LEASE),
        ..PutRequest::of(key, "value")
    })
}

const OLD: Outcome = Err(Refusal::AuthRevisionOld);
const PUT: Outcome = Ok(Response::Put(None));

#[test]
fn what_was_allowed_under_another_revision_is_not_done() {
    let mut stage = Stage::enabled();
    let revision = stage.auth().revision();
    let put_under = |revision| guarded("ann", revision, put("a"));
    assert_eq!(stage.outcome(None, &put_under(revision - 1)), OLD);
    assert_eq!(stage.outcome(None, &put_under(revision + 1)), OLD);
    assert_eq!(stage.store.state().expect("a state").keys, 0);
    assert_eq!(stage.outcome(None, &put_under(revision)), PUT);
    let delete = AuthCommand::UserDelete {
        name: "ann".to_owned(),
    };
    assert_eq!(stage.by(ROOT, Command::Auth(delete)), Ok(Response::Done));
    assert_eq!(stage.outcome(None, &put_under(revision)), OLD);
}

#[test]
fn whoever_was_not_asked_does_nothing_once_everybody_is() {
    let mut stage = Stage::enabled();
    let grant = Command::Grant {
        id: LEASE,
        ttl_s: 5,
    };
    let disable = Command::Auth(AuthCommand::Disable);
    for command in [put("a"), grant, Command::Revoke(LEASE), disable.clone()] {
        assert_eq!(stage.outcome(None, &command), OLD, "{command:?}");
    }
    // What members say is no client's.
    stage.expect_done(&Command::Upgrade(3));
    let revision = stage.auth().revision();
    assert_eq!(stage.by(ROOT, disable), Ok(Response::Done));
    assert!(!stage.store.is_auth_enabled());
    assert_eq!(stage.outcome(None, &put("a")), PUT);
    let by_root = guarded(ROOT, revision, put("a"));
    assert_eq!(stage.outcome(None, &by_root), OLD);
}

#[test]
fn what_is_refused_as_checked_too_early_is_done_under_the_same_sequence() {
    let mut stage = Stage::enabled();
    let opened = stage.answer(Some(Session::OPENING), &put("a"));
    let Answered::Opened { client } = opened else {
        panic!("no session: {opened:?}");
    };
    let once = Some(Session {
        client,
        sequence: 1,
    });
    let revision = stage.auth().revision();
    let early = guarded("ann", revision - 1, put("a"));
    let now = guarded("ann", revision, put("a"));
    assert_eq!(stage.outcome(once, &early), OLD);
    assert_eq!(stage.outcome(once, &now), PUT);
    let after = stage.store.state().expect("a state").revision;
    // It was done, so it is answered as it was, once it was checked anew.
    assert_eq!(stage.outcome(once, &early), OLD);
    assert_eq!(stage.outcome(once, &now), PUT);
    assert_eq!(stage.store.state().expect("a state").revision, after);
}

#[test]
fn a_lease_with_another_s_keys_is_not_ended_nor_attached_to() {
    let mut stage = Stage::enabled();
    let grant = Command::Grant {
        id: LEASE,
        ttl_s: 5,
    };
    let granted = Ok(Response::Granted(LEASE));
    assert_eq!(stage.by("ann", grant), granted);
    for own in ["a", "b"] {
        assert_eq!(stage.by("ann", attach(own)), PUT);
    }
    assert_eq!(stage.by(ROOT, attach("z")), PUT);
    let denied: Outcome = Err(Refusal::PermissionDenied);
    for command in [attach("b"), Command::Revoke(LEASE)] {
        assert_eq!(stage.by("ann", command.clone()), denied, "{command:?}");
    }
    assert_eq!(stage.by("ann", put("b")), PUT);
    let done = Ok(Response::Done);
    assert_eq!(stage.by(ROOT, Command::Revoke(LEASE)), done);
    assert_eq!(stage.store.state().expect("a state").keys, 1);
}

#[test]
fn users_need_the_third_version() {
    let mut stage = Stage::new();
    let add = Command::Auth(user_add("ann"));
    let unsupported: Outcome = Err(Refusal::Unsupported);
    assert_eq!(stage.outcome(None, &add), unsupported);
    let put = guarded("ann", 1, put("a"));
    assert_eq!(stage.outcome(None, &put), unsupported);
    assert_eq!(stage.auth().revision(), 1);
}

#[test]
fn users_and_roles_outlive_a_restart_and_count_in_the_digest() {
    let mut stage = Stage::enabled();
    let before = stage.auth();
    let digest = stage.store.state().expect("a state").digest;
    assert_ne!(digest, 0, "without keys and leases, only users are in it");
    let engine: Arc<dyn Engine> = Arc::<MemoryEngine>::clone(&stage.engine);
    let (machine, store) = Machine::open(engine, config()).expect("its rows");
    (stage.machine, stage.store) = (machine, store);
    assert_eq!(stage.auth(), before);
    assert!(stage.store.is_auth_enabled());
    assert_eq!(stage.by("ann", put("a")), PUT);
}

#[test]
fn a_backup_keeps_users_and_roles() {
    let mut stage = Stage::enabled();
    assert_eq!(stage.by("ann", put("a")), PUT);
    let mut backup = Vec::new();
    stage.store.backup(&mut backup).expect("written");
    verify_backup(&mut &*backup).expect("it adds up");
    let engine = Arc::new(MemoryEngine::new());
    let options = RestoreOptions::default();
    restore_backup(&mut &*backup, &*engine, options).expect("restored");
    let before = stage.auth();
    let (machine, store) = Machine::open(engine, config()).expect("its rows");
    (stage.machine, stage.store, stage.index) = (machine, store, 0);
    assert_eq!(stage.auth(), before);
    assert_eq!(stage.outcome(None, &put("b")), OLD);
    assert_eq!(stage.by("ann", put("b")), PUT);
    // And the digest goes on from there: another backup adds up, too.
    let mut backup = Vec::new();
    stage.store.backup(&mut backup).expect("written");
    verify_backup(&mut &*backup).expect("it adds up");
}
