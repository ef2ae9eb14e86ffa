//! What the clients of a load do: each of them one operation after the other. It does not know when
//! they are due, nor how long they take.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::keys::{Keys, Random, Values};
use super::lease::Renewal;
use super::schedule::{Arrival, Extent};
use super::tally::{Failure, Lane};
use super::target::{Caller, Target};
use crate::client::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::kv_client::KvClient;
use crate::pb::etcdserverpb::{
    Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, request_op,
};

/// Bytes of a value of which watchers can tell when its put began, and in which round.
pub(crate) const STAMP_BYTES: usize = 9;

/// A transaction that fills the key space puts so many keys, or as many as fit into so many bytes:
/// well below what servers take by default.
const FILL_KEYS_MAX: usize = 100;
const FILL_BYTES_MAX: usize = 512 << 10;

/// So many of these transactions are under way at once.
const FILL_CLIENTS: usize = 8;

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Write one key.
    Put,
    /// Read so many keys in a row.
    Range(Reach),
    /// Compare one key, then write so many.
    Txn { puts: u64 },
    /// Of a hundred, so many read.
    Mixed { read_percent: u64, reach: Reach },
    /// Write one key that all watchers watch.
    Watch { watchers: usize },
    /// Renew a lease.
    KeepAlive,
}

/// What a range reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) keys: u64,
    /// Answered by the member that is asked, which may be behind.
    pub(crate) serializable: bool,
}

/// In which order keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Random,
    Sequential,
}

/// Everything that says what is done, the same for all targets.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) keys: Keys,
    pub(crate) values: Values,
    pub(crate) order: Order,
    pub(crate) seed: u64,
    pub(crate) clients: usize,
    pub(crate) warmup: std::time::Duration,
    pub(crate) extent: Extent,
    /// Operations a second in an open loop.
    pub(crate) rate: Option<f64>,
    /// Whether keys that are to be read were written before.
    pub(crate) filled: bool,
    /// What stamps in values count from.
    pub(crate) epoch: Instant,
}

impl Load {
    /// Writes all keys, if any are to be read.
    pub(crate) async fn fill(self: &Arc<Self>, target: &Target) -> Result<(), Exit> {
        let reads = match self.kind {
            Kind::Range(_) | Kind::Mixed { .. } => true,
            Kind::Put | Kind::Txn { .. } | Kind::Watch { .. } | Kind::KeepAlive => false,
        };
        if !reads || !self.filled {
            return Ok(());
        }
        let pair = self.keys.size() + self.values.size();
        let batch = (FILL_BYTES_MAX / pair.max(1)).clamp(1, FILL_KEYS_MAX) as u64;
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..FILL_CLIENTS {
            let (load, caller) = (Arc::clone(self), target.caller(client));
            let mut kv = services::kv(caller.channel.clone());
            tasks.spawn(async move {
                let step = batch * FILL_CLIENTS as u64;
                for from in (client as u64 * batch..load.keys.space()).step_by(step as usize) {
                    let to = (from + batch).min(load.keys.space());
                    kv.txn(caller.ask(load.txn(from, to - from))).await?;
                }
                Ok::<(), tonic::Status>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            let wrote = done.map_err(anyhow::Error::new)?;
            let context = "the keys that are to be read can't be written";
            wrote.map_err(|status| {
                Exit::Refused(anyhow::Error::msg(status.message().to_owned()).context(context))
            })?;
        }
        Ok(())
    }

    /// A transaction that holds and puts keys in a row.
    fn txn(&self, from: u64, puts: u64) -> TxnRequest {
        let put = |number| RequestOp {
            request: Some(request_op::Request::RequestPut(self.put(number))),
        };
        TxnRequest {
            compare: vec![Compare {
                // Versions count from 0, so this holds always; but the server has to look.
                result: compare::CompareResult::Greater as i32,
                target: compare::CompareTarget::Version as i32,
                key: self.keys.key(from),
                range_end: Bytes::new(),
                target_union: Some(compare::TargetUnion::Version(-1)),
            }],
            success: (from..from + puts).map(put).collect(),
            failure: Vec::new(),
        }
    }

    fn put(&self, number: u64) -> PutRequest {
        PutRequest {
            key: self.keys.key(number),
            value: self.values.value(number),
            ..PutRequest::default()
        }
    }

    fn range(&self, number: u64, reach: Reach) -> RangeRequest {
        let mut request = RangeRequest {
            key: self.keys.key(number),
            serializable: reach.serializable,
            ..RangeRequest::default()
        };
        if reach.keys > 1 {
            request.range_end = self.keys.end();
            request.limit = reach.keys.cast_signed();
        }
        request
    }
}

/// One of many that share a connection.
pub(crate) struct Client {
    load: Arc<Load>,
    random: Random,
    /// What watchers know events of this round by.
    mark: u8,
    wire: Wire,
}

enum Wire {
    Kv(Box<Kv>),
    Renewal(Box<Renewal>),
}

impl Client {
    /// The client of this number, ready for its first operation.
    pub(crate) async fn new(
        load: &Arc<Load>,
        target: &Target,
        number: usize,
        mark: u8,
    ) -> Result<Self, Exit> {
        let caller = target.caller(number);
        let wire = match load.kind {
            Kind::KeepAlive => Wire::Renewal(Box::new(Renewal::open(caller).await?)),
            Kind::Put
            | Kind::Range(_)
            | Kind::Txn { .. }
            | Kind::Mixed { .. }
            | Kind::Watch { .. } => Wire::Kv(Box::new(Kv {
                client: services::kv(caller.channel.clone()),
                caller,
            })),
        };
        Ok(Self {
            load: Arc::clone(load),
            random: Random::new(load.seed ^ ((number as u64 + 1) << 32)),
            mark,
            wire,
        })
    }

    /// Does one operation.
    pub(crate) async fn operate(&mut self, arrival: Arrival) -> Result<Lane, Failure> {
        let load = &*self.load;
        let kv = match &mut self.wire {
            Wire::Renewal(renewal) => return renewal.renew().await,
            Wire::Kv(kv) => kv,
        };
        let space = load.keys.space();
        let mut number = |last: u64| match load.order {
            Order::Sequential => arrival.index % (last + 1),
            Order::Random => self.random.below(last + 1),
        };
        match load.kind {
            Kind::Put => kv.put(load.put(number(space - 1))).await,
            Kind::Range(reach) => kv.range(load, number(space - reach.keys), reach).await,
            Kind::Txn { puts } => kv.txn(load.txn(number(space - puts), puts)).await,
            Kind::Mixed {
                read_percent,
                reach,
            } => {
                let number = number(space - reach.keys);
                if self.random.below(100) < read_percent {
                    kv.range(load, number, reach).await
                } else {
                    kv.put(load.put(number)).await
                }
            }
            Kind::Watch { .. } => {
                let request = PutRequest {
                    key: load.keys.key(number(space - 1)),
                    value: stamped(load, arrival, self.mark),
                    ..PutRequest::default()
                };
                kv.put(request).await
            }
            Kind::KeepAlive => Err(Failure::Wrong("leases are renewed over streams")),
        }
    }

    /// Takes back what the client had of the server.
    pub(crate) async fn close(self) {
        match self.wire {
            Wire::Kv(_) => {}
            Wire::Renewal(renewal) => renewal.close().await,
        }
    }
}

/// The way of a client's requests.
struct Kv {
    client: KvClient<Channel>,
    caller: Caller,
}

impl Kv {
    async fn put(&mut self, request: PutRequest) -> Result<Lane, Failure> {
        self.client.put(self.caller.ask(request)).await?;
        Ok(Lane::Write)
    }

    async fn range(&mut self, load: &Load, number: u64, reach: Reach) -> Result<Lane, Failure> {
        let request = self.caller.ask(load.range(number, reach));
        let answer = self.client.range(request).await?.into_inner();
        if load.filled && answer.kvs.len() as u64 != reach.keys {
            return Err(Failure::Wrong("keys that were written before are missing"));
        }
        Ok(Lane::Read)
    }

    async fn txn(&mut self, request: TxnRequest) -> Result<Lane, Failure> {
        let answer = self.client.txn(self.caller.ask(request)).await?;
        if !answer.into_inner().succeeded {
            return Err(Failure::Wrong("a comparison that always holds did not"));
        }
        Ok(Lane::Write)
    }
}

/// A value that says when its put was meant to begin, and whether that is measured.
fn stamped(load: &Load, arrival: Arrival, mark: u8) -> Bytes {
    let mut value = BytesMut::with_capacity(load.values.size());
    let since = arrival.intended.duration_since(load.epoch);
    value.put_u64(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    value.put_u8(if arrival.measured { mark } else { 0 });
    let rest = load.values.size().saturating_sub(STAMP_BYTES);
    value.put_slice(&load.values.value(arrival.index)[..rest]);
    value.freeze()
}

/// When the put of a value with this mark was meant to begin, as nanoseconds since the epoch.
pub(crate) fn stamp(value: &[u8], mark: u8) -> Option<u64> {
    let (stamp, rest) = value.split_first_chunk()?;
    (rest.first() == Some(&mark)).then(|| u64::from_be_bytes(*stamp))
}
