//! What the nodes run: the key-value store in memory, with registers among its keys.
//!
//! It does not know which faults there are, nor who asks what.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_core::driver::{ReadError, StartError};
use raft_core::sim::history::{OpKind, Returned};
use raft_core::{Consistency, Node, NodeId};
use raft_kv::command::{Announcement, Command};
use raft_kv::engine::MemoryEngine;
use raft_kv::keys::Keys;
use raft_kv::machine::Sweeping;
use raft_kv::request::{
    Compare, CompareTarget, Op, Operator, PutRequest, RangeRequest, TxnRequest,
};
use raft_kv::response::{RangeResponse, TxnResponse};
use raft_kv::watch::HubConfig;
use raft_kv::{
    Answer, AutoCompactionMode, Keeper, KeeperConfig, Machine, MachineConfig, Response, Revision,
    Store,
};
use raft_tests::storm::{self, Place, Program, Registers};

use super::changes::Notes;
use super::leases::Tenure;
use super::scribe::Scribe;
use super::tally::Counts;
use super::truth::Truth;
use super::watchers::Told;

pub(crate) type World = storm::World<Stores>;

/// A store on every node.
pub(crate) struct Stores {
    pub(crate) truth: Truth,
    pub(crate) counts: RefCell<Counts>,
    /// What clients did, and were told.
    pub(crate) notes: RefCell<Notes>,
    /// What watchers were told.
    pub(crate) told: RefCell<Vec<Told>>,
    /// The revision after which nothing happens.
    pub(crate) last: Cell<Option<Revision>>,
    /// The leases that clients held.
    pub(crate) tenures: RefCell<Vec<Tenure>>,
    /// Nobody is to hold leases any more.
    pub(crate) is_quiet: Cell<bool>,
    homes: RefCell<BTreeMap<NodeId, Home>>,
    /// Every other read goes through the node, the others to the store.
    reads: Cell<u64>,
    /// The rings of watchers are so small that whoever is slow is behind them.
    recent_bytes_max: usize,
    /// What leaders compact by themselves.
    auto_compaction: AutoCompactionMode,
}

/// What belongs to a node that runs.
struct Home {
    store: Store,
    keeper: Rc<Keeper>,
}

impl Stores {
    pub(crate) fn new(seed: u64) -> Self {
        let retention = match seed % 4 {
            1 => Duration::from_secs(10),
            _ => Duration::ZERO,
        };
        Self {
            truth: Truth::default(),
            counts: RefCell::default(),
            notes: RefCell::default(),
            told: RefCell::default(),
            last: Cell::default(),
            tenures: RefCell::default(),
            is_quiet: Cell::default(),
            homes: RefCell::default(),
            reads: Cell::default(),
            recent_bytes_max: if seed.is_multiple_of(2) {
                64 << 10
            } else {
                2 << 10
            },
            auto_compaction: AutoCompactionMode::Periodic(retention),
        }
    }

    /// The store of a node that runs.
    pub(crate) fn store(&self, id: NodeId) -> Option<Store> {
        let homes = self.homes.borrow();
        homes.get(&id).map(|home| home.store.clone())
    }

    /// What looks after a node that runs.
    pub(crate) fn keeper(&self, id: NodeId) -> Option<Rc<Keeper>> {
        let homes = self.homes.borrow();
        homes.get(&id).map(|home| Rc::clone(&home.keeper))
    }

    pub(crate) fn count(&self, with: impl FnOnce(&mut Counts)) {
        with(&mut self.counts.borrow_mut());
    }
}

impl Program for Stores {
    async fn start(&self, place: Place) -> Result<Node, StartError> {
        let id = place.config.id;
        let config = MachineConfig {
            member: Some(id),
            digest_every: 16,
            sweeping: Sweeping::Inline,
            watches: HubConfig {
                recent_bytes_max: self.recent_bytes_max,
                ..HubConfig::default()
            },
            ..MachineConfig::default()
        };
        let opened = Machine::open(Arc::new(MemoryEngine::new()), config);
        let (machine, store) = opened.expect("nothing is wrong with no rows");
        let scribe = Scribe::new(id, machine, store.clone(), self.truth.clone());
        let is_up = Arc::clone(&scribe.is_up);
        let node = place.run(scribe).await?;
        is_up.store(true, Ordering::Relaxed);
        let config = KeeperConfig {
            auto_compaction: self.auto_compaction,
            ..KeeperConfig::new(about(id))
        };
        let keeper = Rc::new(Keeper::start(node.clone(), store.clone(), config));
        self.homes.borrow_mut().insert(id, Home { store, keeper });
        Ok(node)
    }

    fn gone(&self, id: NodeId) {
        self.homes.borrow_mut().remove(&id);
    }
}

/// What a member says of itself.
fn about(member: NodeId) -> Announcement {
    Announcement {
        member,
        version: Command::VERSION_LATEST,
        name: storm::name(member.0),
        client_urls: Vec::new(),
    }
}

/// The key of a register.
fn register(key: u64) -> Bytes {
    Bytes::from(format!("r/{key}"))
}

/// A value that nothing else stores, some longer than others.
pub(crate) fn value(number: u64) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u64(number);
    bytes.put_bytes(0xAB, usize::try_from(number % 7 * 16).expect("small"));
    bytes.freeze()
}

/// Which value it is.
pub(crate) fn number(mut value: &[u8]) -> u64 {
    value.try_get_u64().unwrap_or(0)
}

/// What is in a register that was asked for.
fn found(range: &RangeResponse) -> u64 {
    range.kvs.first().map_or(0, |kv| number(&kv.value))
}

impl Registers for Stores {
    fn command(&self, key: u64, kind: OpKind) -> Bytes {
        let register = register(key);
        let read = Op::Range(RangeRequest::of(Keys::One(register.clone())));
        let command = match kind {
            OpKind::Read => Command::Txn(TxnRequest {
                success: vec![read],
                ..TxnRequest::default()
            }),
            OpKind::Write(new) => Command::Put(PutRequest::of(register, value(new))),
            OpKind::CompareAndSet { expect, new } => Command::Txn(TxnRequest {
                compares: vec![Compare {
                    keys: Keys::One(register.clone()),
                    operator: Operator::Equal,
                    target: match expect {
                        0 => CompareTarget::Create(0),
                        expect => CompareTarget::Value(value(expect)),
                    },
                }],
                success: vec![Op::Put(PutRequest::of(register, value(new)))],
                failure: vec![read],
            }),
        };
        command.encode()
    }

    fn answered(&self, kind: OpKind, answer: Bytes) -> (Returned, u64) {
        let answer = Answer::decode(answer).expect("an answer");
        let response = answer.outcome.expect("nothing refuses this");
        let returned = match (kind, &response) {
            (OpKind::Write(_), Response::Put(None)) => Returned::Written,
            (OpKind::Read | OpKind::CompareAndSet { .. }, Response::Txn(txn)) => {
                looked_up(kind, txn)
            }
            _ => panic!("{kind:?} is answered by {response:?}"),
        };
        (returned, answer.revision.0)
    }

    async fn read(&self, node: &Node, key: u64) -> Result<(Returned, u64), ReadError> {
        let store = self.store(node.id()).ok_or(ReadError::Stopped)?;
        self.reads.set(self.reads.get() + 1);
        if self.reads.get().is_multiple_of(2) {
            let query = self.command(key, OpKind::Read);
            let answer = node.read(query, Consistency::Linearizable).await?;
            return Ok(self.answered(OpKind::Read, answer));
        }
        node.barrier(Consistency::Linearizable).await?;
        let keys = Keys::One(register(key));
        let (revision, range) = store.range(&RangeRequest::of(keys)).expect("its rows");
        let range = range.expect("nothing refuses this");
        Ok((Returned::Value(found(&range)), revision.0))
    }
}

fn looked_up(kind: OpKind, txn: &TxnResponse) -> Returned {
    let range = match txn.responses.as_slice() {
        [Response::Range(range)] => found(range),
        [Response::Put(None)] if txn.succeeded => return Returned::Swapped,
        other => panic!("{other:?}"),
    };
    match kind {
        OpKind::Read => Returned::Value(range),
        OpKind::Write(_) | OpKind::CompareAndSet { .. } => Returned::Mismatch { found: range },
    }
}
