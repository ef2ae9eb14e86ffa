//! Clients at work on registers, while things happen to the members. They know nothing of what
//! happens, and try nothing twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::sim::history::{INITIAL_VALUE, OpKind, Returned};
use raft_core::sim::rng::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::ClientTlsConfig;

use super::book::Book;
use super::client::{Client, Trouble};
use super::cluster::{Addresses, Cluster};
use super::until;

/// What the keys of registers begin with.
const PREFIX: &str = "register/";
/// A checker has to find an order of all that clients do to one key at the same time.
const KEYS: u64 = 8;
/// How long a client rests: more operations at a time only make the machine slower.
const REST: Duration = Duration::from_millis(2);

/// How clients work.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// How many clients there are.
    pub clients: u64,
    /// How long each waits for an answer.
    pub patience: Duration,
    /// What decides on what they do.
    pub seed: u64,
}

impl Wishes {
    /// The usual.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self {
            clients: 8,
            patience: Duration::from_secs(1),
            seed,
        }
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    book: Arc<Book>,
    clients: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    /// Clients begin to work, each with all members in turn, as they come and go.
    #[must_use]
    pub fn start(cluster: &Cluster, wishes: &Wishes) -> Self {
        Self::more(cluster, wishes, Arc::default(), 1)
    }

    /// Others take the place of these, as new clients of the same book.
    pub async fn replace(self, cluster: &Cluster, wishes: &Wishes) -> Self {
        let book = self.stop().await;
        let first = book.clients() + 1;
        Self::more(cluster, wishes, book, first)
    }

    fn more(cluster: &Cluster, wishes: &Wishes, book: Arc<Book>, first: u64) -> Self {
        let (stop, mut clients) = (CancellationToken::new(), JoinSet::new());
        let mut rng = Rng::new(wishes.seed);
        for id in first..first + wishes.clients {
            let worker = Worker {
                id,
                book: Arc::clone(&book),
                addresses: cluster.addresses(),
                tls: cluster.tls(),
                patience: wishes.patience,
                clients: BTreeMap::new(),
                rng: rng.fork(),
            };
            clients.spawn(worker.work(stop.clone()));
        }
        Self {
            book,
            clients,
            stop,
        }
    }

    /// What they have been told so far.
    #[must_use]
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Waits until so many more were answered than until now.
    ///
    /// # Panics
    /// When they are not.
    pub async fn answers(&self, more: u64) {
        let before = self.book.counts().answered;
        let what = format!("{more} more answers");
        let is_done = async || (self.book.counts().answered >= before + more).then_some(());
        until(&what, is_done).await;
    }

    /// Lets the clients end what they have begun.
    ///
    /// # Panics
    /// If one of them did.
    pub async fn stop(mut self) -> Arc<Book> {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("clients don't panic");
        }
        self.book
    }
}

struct Worker {
    id: u64,
    book: Arc<Book>,
    addresses: Addresses,
    tls: Option<ClientTlsConfig>,
    patience: Duration,
    clients: BTreeMap<String, Client>,
    rng: Rng,
}

impl Worker {
    async fn work(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            sleep(REST).await;
            let addresses = self.addresses.list();
            if let Some(address) = self.rng.pick(&addresses) {
                self.operate(&address.url).await;
            }
        }
    }

    async fn operate(&mut self, url: &str) {
        let new = || Client::new(url, self.tls.clone(), self.patience);
        let client = self
            .clients
            .entry(url.to_owned())
            .or_insert_with(new)
            .clone();
        let key = self.rng.below(KEYS);
        let kind = self.draw(key);
        let id = self.book.call(self.id, key, kind);
        let name = format!("{PREFIX}{key}");
        let answer = match kind {
            OpKind::Read => client.get(&name).await.map(|seen| {
                let value = held(seen.value.as_ref());
                (Returned::Value(value), seen.header)
            }),
            OpKind::Write(value) => {
                let put = client.put(&name, value.to_string()).await;
                put.map(|header| (Returned::Written, header))
            }
            OpKind::CompareAndSet { expect, new } => {
                let expect = (expect != INITIAL_VALUE).then(|| Bytes::from(expect.to_string()));
                let swap = client.swap(&name, expect, new.to_string()).await;
                swap.map(|swap| match swap.found {
                    Some(found) => {
                        let found = held(found.as_ref());
                        (Returned::Mismatch { found }, swap.header)
                    }
                    None => (Returned::Swapped, swap.header),
                })
            }
        };
        match answer {
            Ok((returned, header)) => self.book.answered(id, returned, &header),
            Err(Trouble::Refused(why)) => self.book.refused(id, &why),
            Err(Trouble::Unknown(why)) => self.book.unknown(&why),
        }
    }

    fn draw(&mut self, key: u64) -> OpKind {
        let dice = self.rng.below(100);
        if dice < 40 {
            return OpKind::Read;
        }
        let (new, seen) = self.book.draw(key);
        if dice < 70 {
            OpKind::Write(new)
        } else {
            OpKind::CompareAndSet { expect: seen, new }
        }
    }
}

/// Which register a key is, if it is one.
pub(super) fn register(key: &Bytes) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?;
    key.strip_prefix(PREFIX)?.parse().ok()
}

/// What a register holds, if that is what a client wrote.
pub(super) fn value(bytes: &Bytes) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn held(bytes: Option<&Bytes>) -> u64 {
    bytes.map_or(INITIAL_VALUE, |bytes| {
        value(bytes).unwrap_or_else(|| panic!("nobody wrote {bytes:?}"))
    })
}
