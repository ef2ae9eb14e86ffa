//! What is founded upon a backup begins with its state.

use raft_kv::Keys;
use raft_kv::engine::MemoryEngine;
use raft_kv::request::RangeRequest;

use super::*;
use crate::server::home::Identity;

#[test]
fn a_founded_log_begins_behind_a_snapshot_that_holds_the_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let peer: Url = "http://127.0.0.1:2380".parse().expect("a URL");
    let home = Home::create(&dir.path().join("n1"), Identity::of("token", &peer)).expect("new");
    let (_, empty) =
        Machine::open(Arc::new(MemoryEngine::new()), MachineConfig::default()).expect("it opens");
    let mut backup = Vec::new();
    empty.backup(&mut backup).expect("memory");
    let options = RestoreOptions { raise_by: 7 };
    found(
        &home,
        EngineName::Memory,
        std::slice::from_ref(&peer),
        (&mut &backup[..], options),
    )
    .expect("founded");

    let mut log = open_log(&home).expect("it opens");
    let recovered = log.recover().expect("sound");
    assert_ne!(recovered.incarnation, Incarnation::UNBOUND);
    assert_eq!(recovered.snapshot.last, BEGINNING);
    assert_eq!(
        (recovered.base, recovered.last),
        (BEGINNING, BEGINNING.index)
    );
    assert!(recovered.snapshot.membership.is_voter(home.identity.node()));
    let source = log.open_snapshot().expect("readable").expect("there");
    let engine = Arc::new(MemoryEngine::new());
    let (mut machine, store) = Machine::open(engine, MachineConfig::default()).expect("it opens");
    machine
        .restore(BEGINNING.index, &*source)
        .expect("restored");
    let (revision, _) = store
        .range(&RangeRequest::of(Keys::all()))
        .expect("readable");
    assert_eq!(revision.0, 8);
    assert!(!home.dir().join("restoring").exists());
}
