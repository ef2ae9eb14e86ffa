//! The machine upon its engines, against the suite that every machine must pass, and what is
//! particular to it.

mod auth;
mod commands;
mod digests;
mod upgrades;

use std::sync::Arc;

use bytes::Bytes;
use raft_core::Index;
#[cfg(feature = "rocksdb")]
use raft_core::Term;
use raft_core::conformance::{FileReader, StateMachineFixture, state_machine, state_machine_walk};
#[cfg(feature = "rocksdb")]
use raft_core::port::Committed;
use raft_core::port::StateMachine;
use raft_core::session::{SessionLimits, Stamped};
#[cfg(feature = "rocksdb")]
use raft_core::sim::rng::Rng;

use super::{Machine, MachineConfig, Sweeping};
use crate::command::Command;
use crate::engine::{Engine, MemoryEngine};
use crate::keys::Keys;
use crate::request::{Op, RangeRequest, TxnRequest};
use commands::command;

pub(super) fn config() -> MachineConfig {
    MachineConfig {
        sessions: SessionLimits {
            sessions_max: 6,
            answer_bytes_max: 200,
            idle_ms_max: 2_000,
        },
        digest_every: 16,
        sweeping: Sweeping::Inline,
        ..MachineConfig::default()
    }
}

fn machine(engine: Arc<dyn Engine>) -> Box<dyn StateMachine> {
    let (machine, _) = Machine::open(engine, config()).expect("rows to begin with");
    Box::new(machine)
}

/// So many commands.
#[cfg(feature = "rocksdb")]
fn log(seed: u64, length: u64) -> Vec<Committed> {
    let mut dice = Rng::new(seed);
    let mut committed = |index| Committed {
        index: Index(index),
        term: Term(1 + index / 20),
        command: command(Index(index), dice.below(u64::MAX)),
    };
    (1..=length).map(|number| committed(number * 2)).collect()
}

/// Machines upon engines of one kind.
trait Engines {
    /// Without rows.
    fn fresh(&mut self) -> Arc<dyn Engine>;

    /// The last one once more, after a crash.
    fn again(&mut self) -> Arc<dyn Engine> {
        self.fresh()
    }
}

struct Upon<E>(E);

impl<E: Engines> StateMachineFixture for Upon<E> {
    fn fresh(&mut self) -> Box<dyn StateMachine> {
        machine(self.0.fresh())
    }

    fn reopen(&mut self) -> Box<dyn StateMachine> {
        machine(self.0.again())
    }

    fn command(&self, index: Index, random: u64) -> Bytes {
        command(index, random)
    }

    fn malformed(&self) -> Vec<Bytes> {
        let nonsense = Stamped {
            time_ms: 5,
            session: None,
            command: Bytes::new(),
        };
        vec![Bytes::new(), Bytes::from_static(b"x"), nonsense.encode()]
    }

    /// The row of the state has the digest of all rows and the chain of all answers.
    fn queries(&self) -> Vec<Bytes> {
        let all = TxnRequest {
            success: vec![Op::Range(RangeRequest::of(Keys::all()))],
            ..TxnRequest::default()
        };
        vec![Bytes::new(), Command::Txn(all).encode()]
    }

    fn file_reader(&self) -> FileReader {
        |path| std::fs::read(path)
    }
}

struct InMemory;

impl Engines for InMemory {
    fn fresh(&mut self) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new())
    }
}

#[test]
fn in_memory_it_passes_the_suite() {
    let mut fixture = Upon(InMemory);
    state_machine(&mut fixture);
    for seed in 0..100 {
        state_machine_walk(&mut fixture, seed, 120);
    }
}

#[cfg(feature = "rocksdb")]
mod on_disk {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::engine::{RocksEngine, RocksEngineConfig, crashed};

    #[derive(Default)]
    struct OnDisk {
        dirs: Vec<TempDir>,
    }

    impl OnDisk {
        fn open(dir: &Path) -> Arc<dyn Engine> {
            // Much is flushed, so that much is there after a crash, and much is not.
            let config = RocksEngineConfig {
                flush_bytes: 2_000,
                ..RocksEngineConfig::default()
            };
            Arc::new(RocksEngine::open(dir, config).expect("an engine"))
        }
    }

    impl Engines for OnDisk {
        fn fresh(&mut self) -> Arc<dyn Engine> {
            let dir = tempfile::tempdir().expect("a directory");
            let engine = Self::open(dir.path());
            self.dirs.push(dir);
            engine
        }

        fn again(&mut self) -> Arc<dyn Engine> {
            Self::open(self.dirs.last().expect("one was made").path())
        }
    }

    /// What a machine holds, in the words of the row of the state.
    fn held(machine: &dyn StateMachine) -> Bytes {
        machine.query(b"").expect("a state")
    }

    #[test]
    fn killed_between_any_two_writes_it_ends_as_one_that_never_was() {
        for seed in 0..4 {
            let log = log(seed, 80);
            let mut reference = machine(Arc::new(MemoryEngine::new()));
            let mut states = vec![held(&*reference)];
            for committed in &log {
                reference
                    .apply(std::slice::from_ref(committed))
                    .expect("an answer");
                states.push(held(&*reference));
            }
            let dir = tempfile::tempdir().expect("a directory");
            let config = RocksEngineConfig {
                flush_bytes: 1_000 << seed,
                ..RocksEngineConfig::default()
            };
            let engine = Arc::new(RocksEngine::open(dir.path(), config).expect("an engine"));
            let mut running = machine(Arc::<RocksEngine>::clone(&engine));
            let mut flushed = 0;
            for (killed_after, committed) in (1..).zip(&log) {
                running
                    .apply(std::slice::from_ref(committed))
                    .expect("an answer");
                let promised = running.durable();
                let image = crashed(&engine);
                let mut again = machine(OnDisk::open(image.path()));
                let durable = again.durable();
                let what = format!("seed {seed}, killed after {killed_after}: {durable}");
                assert!(promised <= durable, "{what}, but {promised} was promised");
                let replayed = log.partition_point(|one| one.index <= durable);
                assert!(replayed <= killed_after, "{what}");
                assert_eq!(held(&*again), states[replayed], "{what}");
                flushed += u64::from(replayed > 0);
                again.apply(&log[replayed..]).expect("answers");
                assert_eq!(held(&*again), states[log.len()], "{what}");
            }
            assert!(
                flushed > 10,
                "seed {seed}: only {flushed} had anything on the disk"
            );
        }
    }

    #[test]
    fn on_disk_it_passes_the_suite() {
        let mut fixture = Upon(OnDisk::default());
        state_machine(&mut fixture);
        for seed in 0..5 {
            fixture.0.dirs.clear();
            state_machine_walk(&mut fixture, seed, 120);
        }
    }
}
