//! Clients, and all that can happen to nodes and the ways between them; then judgement.
//!
//! What the clients saw must be what one register a key could have answered, by two checkers that
//! know nothing of each other. A refusal counts as the promise that the command never takes effect.
//! `RAFT_CHAOS_SECONDS` makes the run longer, `RAFT_SEED` draws the same faults once more; the
//! threads and the network of the system stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use raft_core::driver::{Forward, WriteError};
use raft_core::event::RoleName;
use raft_core::sim::history::{History, OpKind, OperationId, Outcome, Returned};
use raft_core::sim::machine::{Action, Command, Response};
use raft_core::sim::rng::Rng;
use raft_core::sim::{by_index, wgl};
use raft_core::types::nanos;
use raft_core::{Consistency, NodeId, Term};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Plan, Running};
use crate::machine::{Look, Name, register};

const NODES: u64 = 3;
const CLIENTS: u64 = 16;
const KEYS: u64 = 8;
/// How long a client rests: more operations at a time only make the machine slower.
const REST: Duration = Duration::from_millis(1);
/// With fewer answers, or fewer leaders, nothing was tested.
const ANSWERED_MIN: u64 = 5_000;
const TERMS_MIN: usize = 4;
/// A busy machine gets so much longer to reach that.
const EXTENSION_MAX: Duration = Duration::from_mins(1);

/// What the clients share.
struct Book {
    began: Instant,
    pages: Mutex<Pages>,
}

struct Pages {
    history: History,
    /// The operations that are commands.
    named: BTreeMap<Name, OperationId>,
    acknowledged: BTreeSet<Name>,
    /// The value that was seen last of each key, so that swaps succeed.
    seen: BTreeMap<u64, u64>,
    values: u64,
    answered: u64,
    refused: u64,
    unknown: u64,
}

impl Book {
    fn new() -> Self {
        let pages = Pages {
            history: History::new(usize::MAX),
            named: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            seen: BTreeMap::new(),
            values: 0,
            answered: 0,
            refused: 0,
            unknown: 0,
        };
        Self {
            began: Instant::now(),
            pages: Mutex::new(pages),
        }
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn answer(&mut self, id: OperationId, returned: Returned, now: u64) {
        let operation = *self.history.get(id);
        self.history.complete(id, Outcome::Ok(returned), now);
        self.answered += 1;
        let shown = match returned {
            Returned::Value(value) | Returned::Mismatch { found: value } => Some(value),
            Returned::Written | Returned::Swapped => operation.kind.value_new(),
        };
        self.seen.extend(shown.map(|value| (operation.key, value)));
    }

    fn draw(&mut self, key: u64, rng: &mut Rng) -> Action {
        let dice = rng.below(100);
        if dice < 20 {
            return Action::Get;
        }
        self.values += 1;
        let new = self.values;
        if dice < 60 {
            return Action::Put(new);
        }
        let expect = self.seen.get(&key).copied().unwrap_or_default();
        Action::CompareAndSet { expect, new }
    }
}

/// One client, until it is told to stop.
async fn client(cluster: Cluster, book: Arc<Book>, id: u64, seed: u64, stop: CancellationToken) {
    let mut rng = Rng::new(seed);
    let mut sequence = 0;
    while !stop.is_cancelled() {
        sleep(REST).await;
        let up = cluster.up();
        let running = rng.pick(&up).and_then(|id| cluster.find(*id));
        let Some(running) = running else {
            continue;
        };
        let key = rng.below(KEYS);
        if rng.chance(300_000) {
            read(&running, &book, id, key).await;
            continue;
        }
        sequence += 1;
        let (operation, command) = {
            let mut pages = book.open();
            let action = pages.draw(key, &mut rng);
            let kind = match action {
                Action::Get => OpKind::Read,
                Action::Put(value) => OpKind::Write(value),
                Action::CompareAndSet { expect, new } => OpKind::CompareAndSet { expect, new },
            };
            let operation = pages.history.call(id, key, kind, book.now());
            let operation = operation.expect("it has no limit");
            pages.named.insert((id, sequence), operation);
            let command = Command {
                client: id,
                sequence,
                floor: 0,
                key,
                action,
            };
            (operation, command.encode())
        };
        let written = running.write(command).await;
        // The handle must not outlive the node.
        drop(running);
        told(&book, operation, (id, sequence), written);
    }
}

fn told(book: &Book, operation: OperationId, name: Name, written: Result<Bytes, WriteError>) {
    let mut pages = book.open();
    let now = book.now();
    match written {
        Ok(answer) => {
            let Some(Response::Done { returned, .. }) = Response::decode(&answer) else {
                panic!("{name:?} was answered {answer:?}");
            };
            pages.acknowledged.insert(name);
            pages.answer(operation, returned, now);
        }
        Err(error) if error.is_refused() => {
            pages.history.complete(operation, Outcome::Failed, now);
            pages.refused += 1;
        }
        Err(_) => pages.unknown += 1,
    }
}

async fn read(running: &Running, book: &Book, client: u64, key: u64) {
    let operation = book
        .open()
        .history
        .call(client, key, OpKind::Read, book.now());
    let operation = operation.expect("it has no limit");
    let answer = running
        .read(Look::Register(key), Consistency::Linearizable)
        .await;
    let mut pages = book.open();
    let now = book.now();
    match answer {
        Some(answer) => {
            let (index, value) = register(answer);
            pages.history.record_index(operation, index.0);
            pages.answer(operation, Returned::Value(value), now);
        }
        None => pages.history.complete(operation, Outcome::Failed, now),
    }
}

/// Does things to the cluster.
struct Nemesis {
    cluster: Cluster,
    rng: Rng,
    /// The terms that had a leader.
    terms: BTreeMap<Term, NodeId>,
    done: BTreeMap<&'static str, u64>,
}

impl Nemesis {
    async fn act(&mut self) {
        self.pause(50, 350).await;
        self.look();
        let (one, other) = self.two();
        let what = match self.rng.below(16) {
            0..4 => self.kill(vec![one]).await,
            4..7 => self.kill(self.leader().into_iter().collect()).await,
            7 => self.kill(self.cluster.up()).await,
            8..11 => {
                let target = Some(NodeId(other));
                let node = self.cluster.node(one);
                let transfer = node.transfer_leadership(target);
                drop(timeout(Duration::from_secs(1), transfer).await);
                "transfer"
            }
            11 => {
                self.cluster.proxy(one).sever(&[other]);
                self.pause(200, 700).await;
                "one way severed"
            }
            12 => {
                self.cluster.proxy(one).stall(&[other]);
                self.pause(200, 700).await;
                "one way stalled"
            }
            13 | 14 => {
                let lonely = self.leader().unwrap_or(one);
                let others: Vec<_> = (1..=NODES).filter(|id| *id != lonely).collect();
                self.cluster.proxy(lonely).sever(&others);
                let proxies = others.iter().map(|id| self.cluster.proxy(*id));
                proxies.for_each(|proxy| proxy.sever(&[lonely]));
                self.pause(400, 900).await;
                "leader alone"
            }
            _ => {
                let node = self.cluster.node(one);
                drop(timeout(Duration::from_secs(1), node.snapshot_now()).await);
                "snapshot"
            }
        };
        self.look();
        (1..=NODES).for_each(|id| self.cluster.proxy(id).heal());
        *self.done.entry(what).or_default() += 1;
    }

    async fn kill(&mut self, ids: Vec<u64>) -> &'static str {
        for id in &ids {
            self.cluster.kill(*id).await;
        }
        self.pause(20, 400).await;
        self.look();
        for id in &ids {
            self.cluster.restart(*id).await;
        }
        match ids.len() as u64 {
            NODES => "all killed",
            0 => "no leader to kill",
            _ => "kill",
        }
    }

    fn look(&mut self) {
        for id in self.cluster.up() {
            let status = &self.cluster.status(id).core;
            if status.role == RoleName::Leader {
                let other = self.terms.insert(status.term, NodeId(id));
                assert!(other.is_none_or(|other| other.0 == id), "two of one term");
            }
        }
    }

    fn leader(&self) -> Option<u64> {
        let mut up = self.cluster.up().into_iter();
        up.find(|id| self.cluster.status(*id).core.role == RoleName::Leader)
    }

    fn two(&mut self) -> (u64, u64) {
        let mut ids: Vec<_> = (1..=NODES).collect();
        self.rng.shuffle(&mut ids);
        (ids[0], ids[1])
    }

    /// How long things are as they are.
    async fn pause(&mut self, low_ms: u64, high_ms: u64) {
        sleep(Duration::from_millis(self.rng.between(low_ms, high_ms))).await;
    }
}

fn seed() -> u64 {
    let drawn = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    match env::var("RAFT_SEED") {
        Ok(seed) => seed.parse().expect("RAFT_SEED is a number"),
        Err(_) => nanos(drawn().expect("it is later than 1970")),
    }
}

fn duration() -> Duration {
    let seconds = env::var("RAFT_CHAOS_SECONDS");
    let seconds = seconds.map_or(12, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_registers_whatever_happens_to_nodes_and_ways() {
    let seed = seed();
    println!("RAFT_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut plan = Plan::of(NODES);
    plan.is_proxied = true;
    plan.tune = Box::new(|id, node, _| {
        node.request_timeout = Duration::from_secs(1);
        if id == 1 {
            node.forward = Forward::Refuse;
        }
    });
    let cluster = Cluster::planned(plan).await;
    cluster.leader().await;
    let (book, stop) = (Arc::new(Book::new()), CancellationToken::new());
    let clients = (1..=CLIENTS).map(|id| {
        let client = client(cluster.clone(), book.clone(), id, rng.draw(), stop.clone());
        tokio::spawn(client)
    });
    let clients: Vec<_> = clients.collect();
    let mut nemesis = Nemesis {
        cluster: cluster.clone(),
        rng: rng.fork(),
        terms: BTreeMap::new(),
        done: BTreeMap::new(),
    };
    let is_enough = |nemesis: &Nemesis| {
        let elapsed = book.began.elapsed();
        let is_tested = book.open().answered >= ANSWERED_MIN && nemesis.terms.len() >= TERMS_MIN;
        elapsed >= duration() && (is_tested || elapsed >= duration() + EXTENSION_MAX)
    };
    while !is_enough(&nemesis) {
        nemesis.act().await;
    }
    cluster.leader().await;
    stop.cancel();
    for client in clients {
        client.await.expect("clients don't panic");
    }
    let (counts, acknowledged, named, mut history) = {
        let mut pages = book.open();
        let acknowledged = std::mem::take(&mut pages.acknowledged);
        let named = std::mem::take(&mut pages.named);
        let counts = [pages.answered, pages.refused, pages.unknown];
        (counts, acknowledged, named, pages.history.clone())
    };
    let [answered, refused, unknown] = counts;
    println!("{answered} answered, {refused} refused, {unknown} unknown");
    let Nemesis { terms, done, .. } = nemesis;
    println!("{done:?}, leaders {terms:?}");
    assert!(answered >= ANSWERED_MIN, "only {answered} answers");
    assert!(refused > 0 && unknown > 0, "nothing was in doubt");
    assert!(terms.len() >= TERMS_MIN, "leaders: {terms:?}");
    cluster.agree(&cluster.up(), &acknowledged).await;
    for (index, name) in cluster.witness().applied() {
        history.record_index(named[&name], index.0);
    }
    by_index::check(&history).unwrap_or_else(|wrong| panic!("RAFT_SEED={seed}: {wrong}"));
    wgl::check(&history).unwrap_or_else(|wrong| panic!("RAFT_SEED={seed}: {wrong}"));
}
