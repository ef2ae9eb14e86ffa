//! Backups are taken from one machine and make another.

use std::sync::Arc;

use raft_core::port::{Committed, StateMachine};
use raft_core::session::{Answered, Stamped};

use super::*;
use crate::command::Command;
use crate::engine::MemoryEngine;
use crate::keys::Keys;
use crate::machine::{Machine, MachineConfig};
use crate::refusal::Refusal;
use crate::request::{PutRequest, RangeRequest};
use crate::response::Answer;
use crate::types::LeaseId;

struct Subject {
    engine: Arc<MemoryEngine>,
    machine: Machine,
    store: Store,
    next: u64,
}

impl Subject {
    fn open(engine: Arc<MemoryEngine>) -> Self {
        let shared = Arc::<MemoryEngine>::clone(&engine);
        let (machine, store) = Machine::open(shared, MachineConfig::default()).expect("rows");
        Self {
            engine,
            machine,
            store,
            next: 1,
        }
    }

    fn apply(&mut self, command: &Command) -> Answer {
        let stamped = Stamped {
            time_ms: self.next,
            session: None,
            command: command.encode(),
        };
        let committed = Committed {
            index: Index(self.next),
            term: Term(1),
            command: stamped.encode(),
        };
        self.next += 1;
        let answers = self.machine.apply(&[committed]).expect("an answer");
        let Some(Answered::Applied(answer)) = Answered::decode(answers[0].clone()) else {
            panic!("not executed");
        };
        Answer::decode(answer).expect("an answer")
    }

    fn all(&self) -> Vec<(Bytes, Bytes)> {
        let found = self.store.range(&RangeRequest::of(Keys::all()));
        let found = found.expect("rows").1.expect("a range");
        let kvs = found.kvs.into_iter();
        kvs.map(|kv| (kv.key, kv.value)).collect()
    }
}

fn written() -> Subject {
    let mut subject = Subject::open(Arc::default());
    let lease = LeaseId(7);
    let grant = Command::Grant {
        id: lease,
        ttl_s: 60,
    };
    subject.apply(&grant);
    for number in 0..10_000_u64 {
        let mut put = PutRequest::of(format!("key{}", number % 6_000), number.to_string());
        put.lease = Some(if number % 100 == 0 {
            lease
        } else {
            LeaseId::NONE
        });
        subject.apply(&Command::Put(put));
    }
    subject.apply(&Command::Compact(Revision(100)));
    subject
}

fn backup(subject: &Subject) -> (Vec<u8>, BackupInfo) {
    let mut bytes = Vec::new();
    let info = subject.store.backup(&mut bytes).expect("a backup");
    (bytes, info)
}

#[test]
fn a_backup_makes_a_new_store_with_a_later_revision() {
    let mut old = written();
    let (bytes, info) = backup(&old);
    assert_eq!((info.keys, info.leases), (6_000, 1));
    assert_eq!(verify_backup(&mut &bytes[..]).expect("sound"), info);
    let engine = Arc::new(MemoryEngine::new());
    let options = RestoreOptions { raise_by: 1_000 };
    let restored = restore_backup(&mut &bytes[..], &*engine, options);
    assert_eq!(restored.expect("a restore"), info);
    let mut new = Subject::open(engine);
    assert_eq!(new.all(), old.all());
    let state = new.store.state().expect("a state");
    assert_eq!(state.revision, Revision(info.revision.0 + 1_000));
    let mut past = RangeRequest::of(Keys::all());
    past.revision = info.revision;
    let (_, found) = new.store.range(&past).expect("rows");
    let compacted = state.revision;
    assert_eq!(found, Err(Refusal::Compacted { compacted }));
    // Leases live on, with what is attached to them.
    for subject in [&mut old, &mut new] {
        subject.apply(&Command::Revoke(LeaseId(7)));
    }
    assert_eq!(new.all(), old.all());
    assert!(new.all().len() < 6_000);
    // It goes on as any store, and can be backed up again.
    let put = new.apply(&Command::Put(PutRequest::of("more", "value")));
    assert_eq!(put.revision, Revision(state.revision.0 + 2));
    let (bytes, _) = backup(&new);
    verify_backup(&mut &bytes[..]).expect("sound");
}

#[test]
fn an_empty_store_can_be_backed_up_too() {
    let (bytes, info) = backup(&Subject::open(Arc::default()));
    assert_eq!(info.keys, 0);
    let engine = Arc::new(MemoryEngine::new());
    restore_backup(&mut &bytes[..], &*engine, RestoreOptions::default()).expect("a restore");
    assert_eq!(Subject::open(engine).all(), []);
}

#[test]
fn nothing_is_restored_over_what_is_there() {
    let subject = written();
    let (bytes, _) = backup(&subject);
    let options = RestoreOptions::default();
    let restored = restore_backup(&mut &bytes[..], &*subject.engine, options);
    assert!(
        matches!(restored, Err(BackupError::NotEmpty)),
        "{restored:?}"
    );
}

#[test]
fn rows_that_a_disk_has_changed_are_noticed() {
    let subject = written();
    let mut batch = Batch::new(subject.store.state().expect("a state").applied);
    let row = engine::read(&*subject.engine, |view| view.get(Family::Keys, b"key5"));
    let mut row = row.expect("rows").expect("a row").to_vec();
    *row.last_mut().expect("a value") ^= 1;
    let change = (Bytes::from_static(b"key5"), Some(Bytes::from(row)));
    batch.changes.push((Family::Keys, vec![change]));
    subject.engine.write(batch).expect("a write");
    let (bytes, _) = backup(&subject);
    let verified = verify_backup(&mut &bytes[..]);
    assert!(
        matches!(verified, Err(BackupError::WrongDigest)),
        "{verified:?}"
    );
}

#[test]
fn bytes_that_were_changed_or_cut_are_noticed() {
    let mut subject = Subject::open(Arc::default());
    subject.apply(&Command::Put(PutRequest::of("key", "value")));
    let (bytes, _) = backup(&subject);
    for at in 0..bytes.len() {
        assert!(verify_backup(&mut &bytes[..at]).is_err(), "cut at {at}");
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(verify_backup(&mut &changed[..]).is_err(), "changed at {at}");
    }
}
