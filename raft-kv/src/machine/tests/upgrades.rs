//! Commands that not all members may know.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Committed, StateMachine};
use raft_core::session::{Answered, Stamped};
use raft_core::{Index, NodeId, Term};

use super::config;
use crate::command::{Command, DigestReport};
use crate::engine::MemoryEngine;
use crate::machine::Machine;
use crate::refusal::Refusal;
use crate::request::PutRequest;
use crate::response::{Answer, Response};
use crate::store::Store;

fn open() -> (Machine, Store) {
    Machine::open(Arc::new(MemoryEngine::new()), config()).expect("no rows")
}

fn committed(index: u64, command: Bytes) -> Committed {
    let stamped = Stamped {
        time_ms: index,
        session: None,
        command,
    };
    Committed {
        index: Index(index),
        term: Term(1),
        command: stamped.encode(),
    }
}

fn outcome(answers: &[Bytes]) -> Result<Response, Refusal> {
    let Some(Answered::Applied(answer)) = Answered::decode(answers[0].clone()) else {
        panic!("not executed: {answers:?}");
    };
    Answer::decode(answer).expect("an answer").outcome
}

#[test]
fn what_is_unknown_ends_the_machine_and_nothing_of_its_batch_is_there() {
    for unknown in [&[99, 0][..], &[1, 200]] {
        let (mut machine, store) = open();
        let put = Command::Put(PutRequest::of("key", "value")).encode();
        let batch = [
            committed(1, put.clone()),
            committed(2, Bytes::copy_from_slice(unknown)),
        ];
        let error = machine.apply(&batch).expect_err("it does not know this");
        assert!(error.to_string().contains("newer version"), "{error}");
        assert_eq!(store.state().expect("a state").keys, 0);
        let after = machine.apply(&[committed(1, put)]);
        assert!(after.is_err(), "it goes on after {unknown:?}");
    }
}

#[test]
fn a_command_of_the_next_version_waits_for_the_upgrade() {
    let (mut machine, store) = open();
    let report = Command::Report(DigestReport {
        member: NodeId(1),
        index: Index(16),
        digest: 5,
        majority: 2,
    });
    let mut apply = |index, command: &Command| {
        let answers = machine.apply(&[committed(index, command.encode())]);
        outcome(&answers.expect("an answer"))
    };
    assert_eq!(apply(1, &report), Err(Refusal::Unsupported));
    assert_eq!(apply(2, &Command::Upgrade(2)), Ok(Response::Done));
    assert_eq!(apply(3, &report), Ok(Response::Done));
    assert_eq!(apply(4, &Command::Upgrade(1)), Err(Refusal::VersionTooLow));
    assert_eq!(store.state().expect("a state").version, 2);
}
