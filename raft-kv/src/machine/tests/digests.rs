//! Silent differences between members are found, and told.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Committed, StateMachine};
use raft_core::session::Stamped;
use raft_core::{Index, NodeId, Term};

use super::config;
use crate::command::{Command, DigestReport};
use crate::engine::{Batch, Engine, Family, MemoryEngine};
use crate::machine::{DigestPoint, Machine, MachineConfig, first_difference};
use crate::request::PutRequest;
use crate::rows::Record;
use crate::store::Store;
use crate::types::{AlarmKind, LeaseId, Revision};

struct Replica {
    machine: Machine,
    store: Store,
    engine: Arc<MemoryEngine>,
}

impl Replica {
    fn open(member: u64) -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let config = MachineConfig {
            member: Some(NodeId(member)),
            ..config()
        };
        let opened = Machine::open(Arc::<MemoryEngine>::clone(&engine), config);
        let (machine, store) = opened.expect("no rows");
        Self {
            machine,
            store,
            engine,
        }
    }

    fn apply(&mut self, index: u64, command: &Command) -> Result<Vec<Bytes>, String> {
        let stamped = Stamped {
            time_ms: index,
            session: None,
            command: command.encode(),
        };
        let committed = Committed {
            index: Index(index),
            term: Term(1),
            command: stamped.encode(),
        };
        let applied = self.machine.apply(&[committed]);
        applied.map_err(|error| error.to_string())
    }

    /// A row changes under it, as on a disk that lies.
    fn damage(&self, key: &'static str) {
        let record = Record {
            create: Revision(2),
            modified: Revision(2),
            version: 1,
            lease: LeaseId::NONE,
            value: Bytes::from_static(b"not what was written"),
        };
        let mut batch = Batch::new(self.store.state().expect("a state").applied);
        let change = (Bytes::from_static(key.as_bytes()), Some(record.encode()));
        batch.changes.push((Family::Keys, vec![change]));
        self.engine.write(batch).expect("a write");
    }
}

fn put(key: &'static str, value: u64) -> Command {
    Command::Put(PutRequest::of(key, value.to_string()))
}

#[test]
fn a_replica_that_differs_is_found_by_the_others_and_stops() {
    let mut replicas = [Replica::open(1), Replica::open(2), Replica::open(3)];
    let mut points: Vec<DigestPoint> = Vec::new();
    for index in 1..=20 {
        let command = match index {
            1 => Command::Upgrade(2),
            index if index % 3 == 0 => put("rarely", index),
            index => put("often", index),
        };
        if index == 10 {
            replicas[2].damage("rarely");
        }
        for replica in &mut replicas {
            replica.apply(index, &command).expect("an answer");
        }
    }
    for replica in &replicas {
        let point = replica.store.fixed_digest().expect("digests");
        points.push(point.expect("one index of 16 is behind"));
    }
    assert_eq!(points[0], points[1]);
    assert_eq!(points[2].index, Index(16));
    assert_ne!(points[2].digest, points[0].digest);
    // The damage shows when the row is touched: with the entry after it.
    let ours = replicas[0].store.digest_log().expect("digests");
    let theirs = replicas[2].store.digest_log().expect("digests");
    let span = theirs.span().expect("commands");
    let found = first_difference(&ours, span, |index| theirs.at(index).ok_or(index));
    assert_eq!(found, Ok(Some(Index(12))));
    // The one that differs reports first; it takes a majority to tell which one that is.
    for (member, index) in [(2, 21), (0, 22), (1, 23)] {
        let report = Command::Report(DigestReport {
            member: NodeId(member as u64 + 1),
            index: Index(16),
            digest: points[member].digest,
            majority: 2,
        });
        for (number, replica) in replicas.iter_mut().enumerate() {
            let applied = replica.apply(index, &report);
            let is_found = index == 23 && number == 2;
            assert_eq!(
                applied.is_err(),
                is_found,
                "{number} at {index}: {applied:?}"
            );
        }
    }
    let alarms = replicas[0].store.alarms().expect("alarms");
    assert_eq!(alarms, [(NodeId(3), AlarmKind::Corrupt)]);
    // Nor does it come up again.
    let engine = Arc::clone(&replicas[2].engine);
    let config = MachineConfig {
        member: Some(NodeId(3)),
        ..config()
    };
    let opened = Machine::open(engine, config);
    let error = opened.err().expect("it is quarantined").to_string();
    assert!(error.contains("remove the member"), "{error}");
}
