//! A failover, shown: a client writes all the time, the leader is killed, and then all that was
//! acknowledged is looked for.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use super::cluster::Cluster;
use crate::exit::Exit;
use crate::out::Out;
use crate::pb::etcdserverpb::kv_client::KvClient;
use crate::pb::etcdserverpb::{PutRequest, RangeRequest};

/// How long is written before, and after.
const CALM: Duration = Duration::from_secs(2);
/// How long a write may take.
const WRITE_PATIENCE: Duration = Duration::from_secs(4);
/// How long nobody may be able to write.
const OUTAGE_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);
const PREFIX: &str = "demo/";

/// Writes numbered keys, wherever it can.
struct Writer {
    clients: Vec<KvClient<Channel>>,
    /// Where the last write was done.
    at: usize,
    next: u64,
    acknowledged: Vec<u64>,
}

impl Writer {
    fn new(endpoints: Vec<String>) -> Result<Self, Exit> {
        let client = |endpoint: String| {
            let endpoint = Endpoint::from_shared(endpoint).context("an endpoint of ours")?;
            Ok(KvClient::new(endpoint.connect_lazy()))
        };
        let clients = endpoints.into_iter().map(client);
        Ok(Self {
            clients: clients.collect::<Result<_, anyhow::Error>>()?,
            at: 0,
            next: 0,
            acknowledged: Vec::new(),
        })
    }

    /// One write, at one member. If it is not acknowledged, its key is not used again.
    async fn write(&mut self) -> bool {
        let number = self.next;
        self.next += 1;
        let put = PutRequest {
            key: format!("{PREFIX}{number:08}").into(),
            value: "written".into(),
            ..PutRequest::default()
        };
        let written = timeout(WRITE_PATIENCE, self.clients[self.at].put(put)).await;
        let is_done = matches!(written, Ok(Ok(_)));
        if is_done {
            self.acknowledged.push(number);
        } else {
            self.at = (self.at + 1) % self.clients.len();
            sleep(PAUSE).await;
        }
        is_done
    }

    async fn write_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.write().await;
        }
    }

    /// How long it takes until a write is acknowledged.
    async fn outage(&mut self) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < OUTAGE_MAX {
            if self.write().await {
                return Some(began.elapsed());
            }
        }
        None
    }

    /// How many of the acknowledged writes are not there.
    async fn lost(&mut self) -> Result<usize, Exit> {
        let mut found = std::collections::BTreeSet::new();
        let range = RangeRequest {
            key: PREFIX.into(),
            range_end: "demo0".into(),
            keys_only: true,
            ..RangeRequest::default()
        };
        let at = self.at;
        let answer = self.clients[at]
            .range(range)
            .await
            .context("the keys were not read")?;
        for kv in answer.into_inner().kvs {
            found.insert(kv.key);
        }
        let is_there = |number: &&u64| !found.contains(format!("{PREFIX}{number:08}").as_bytes());
        Ok(self.acknowledged.iter().filter(is_there).count())
    }
}

/// Shows it.
pub(crate) async fn show(cluster: &mut Cluster, out: &mut Out) -> Result<(), Exit> {
    let mut writer = Writer::new(cluster.endpoints())?;
    out.line("writing all the time")?;
    out.flush()?;
    writer.write_for(CALM).await;
    let before = writer.acknowledged.len();
    out.line(cluster.kill_leader().await?)?;
    out.flush()?;
    let outage = writer
        .outage()
        .await
        .context("nobody could write any more")?;
    let leader = cluster.leader(OUTAGE_MAX).await.context("nobody leads")?;
    out.line(format!(
        "{leader} leads; nobody could write for {} ms",
        outage.as_millis()
    ))?;
    writer.write_for(CALM).await;
    out.line(cluster.bring_back().await?)?;
    out.flush()?;
    writer.write_for(CALM).await;
    let lost = writer.lost().await?;
    let (all, tried) = (writer.acknowledged.len(), writer.next);
    out.line(format!(
        "{all} of {tried} writes were acknowledged, {before} of them before; {lost} are lost"
    ))?;
    out.flush()?;
    if lost > 0 {
        return Err(Exit::Unwell(anyhow!("acknowledged writes are lost")));
    }
    Ok(())
}
