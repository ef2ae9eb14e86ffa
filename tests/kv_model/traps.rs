//! What clients of etcd rely on, one test a trap. They read as a description of the data model.

#[path = "traps/leases.rs"]
mod leases;
#[path = "traps/ranges.rs"]
mod ranges;
#[path = "traps/revisions.rs"]
mod revisions;
#[path = "traps/transactions.rs"]
mod transactions;
#[path = "traps/watches.rs"]
mod watches;

use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Committed, StateMachine};
use raft_core::session::{Answered, Session, Stamped};
use raft_core::{Index, Term};
use raft_kv::engine::MemoryEngine;
use raft_kv::machine::Sweeping;
use raft_kv::request::{DeleteRequest, PutRequest, RangeRequest};
use raft_kv::response::RangeResponse;
use raft_kv::{Answer, Command, Keys, Machine, MachineConfig, Refusal, Response, Revision, Store};

/// A machine in memory whose entries come one by one, in term 1.
struct Trial {
    machine: Machine,
    store: Store,
    index: Index,
}

impl Trial {
    fn new() -> Self {
        let config = MachineConfig {
            sweeping: Sweeping::Inline,
            ..MachineConfig::default()
        };
        let opened = Machine::open(Arc::new(MemoryEngine::new()), config);
        let (machine, store) = opened.expect("an engine without rows");
        Self {
            machine,
            store,
            index: Index(0),
        }
    }

    /// One in which these puts were done, each as `key=value`.
    fn with(puts: &[&str]) -> Self {
        let mut trial = Self::new();
        for text in puts {
            trial.done(&Command::Put(put(text)));
        }
        trial
    }

    fn answered(&mut self, session: Option<Session>, command: Bytes) -> Answered {
        self.index = Index(self.index.0 + 1);
        let stamped = Stamped {
            time_ms: 1_700_000_000_000,
            session,
            command,
        };
        let committed = Committed {
            index: self.index,
            term: Term(1),
            command: stamped.encode(),
        };
        let mut answers = self.machine.apply(&[committed]).expect("it goes on");
        Answered::decode(answers.remove(0)).expect("an answer")
    }

    fn answer(&mut self, command: &Command) -> Answer {
        let answered = self.answered(None, command.encode());
        let Answered::Applied(answer) = answered else {
            panic!("{command:?} is answered {answered:?}");
        };
        Answer::decode(answer).expect("an answer")
    }

    /// What came of a command that must be done.
    fn done(&mut self, command: &Command) -> Response {
        let answer = self.answer(command);
        let done = answer.outcome;
        done.unwrap_or_else(|why| panic!("{command:?} is refused: {why}"))
    }

    /// Why a command is refused; after which all is as it was.
    fn refused(&mut self, command: &Command) -> Refusal {
        let before = self.all();
        let answer = self.answer(command);
        let refusal = answer.outcome.expect_err("it is to be refused");
        assert_eq!(answer.revision, self.revision(), "{command:?}");
        assert_eq!(self.all(), before, "{command:?}");
        refusal
    }

    fn revision(&self) -> Revision {
        self.store.state().expect("the state").revision
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        let (revision, found) = self.store.range(request).expect("rows");
        assert_eq!(revision, self.revision());
        found
    }

    fn found(&self, request: &RangeRequest) -> RangeResponse {
        self.range(request).expect("it is there")
    }

    fn all(&self) -> RangeResponse {
        self.found(&RangeRequest::of(Keys::all()))
    }

    /// All keys with their values.
    fn texts(&self) -> Vec<String> {
        texts(&self.all())
    }
}

/// `key=value`, without a lease.
fn put(text: &str) -> PutRequest {
    let (key, value) = text.split_once('=').expect("key=value");
    PutRequest::of(key.to_owned(), value.to_owned())
}

fn delete(keys: Keys) -> DeleteRequest {
    DeleteRequest {
        keys,
        wants_prev: false,
    }
}

fn at(revision: u64, keys: Keys) -> RangeRequest {
    RangeRequest {
        revision: Revision(revision),
        ..RangeRequest::of(keys)
    }
}

/// `key=value` of each.
fn texts(found: &RangeResponse) -> Vec<String> {
    let text = |bytes: &Bytes| bytes.escape_ascii().to_string();
    let kvs = found.kvs.iter();
    kvs.map(|kv| format!("{}={}", text(&kv.key), text(&kv.value)))
        .collect()
}

/// The keys of each, in a row.
fn keys(found: &RangeResponse) -> String {
    let kvs = found.kvs.iter();
    let keys: Vec<String> = kvs.map(|kv| kv.key.escape_ascii().to_string()).collect();
    keys.join(" ")
}
