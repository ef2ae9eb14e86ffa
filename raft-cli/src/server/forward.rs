//! The way to the leader, for what only it can answer: how long leases live. A request goes on once
//! at most, so that members which disagree on who leads can't send it round. It does not know what
//! is asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft_core::NodeId;
use raft_kv::LeaseError;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use super::api::error;
use super::config::TlsFiles;
use super::leadership::no_leader;
use super::member::Member;

/// Marks a request that came by another member.
const FORWARDED: &str = "raft-forwarded";
/// What says who asks goes on with the request.
const CREDENTIALS: [&str; 2] = ["token", "authorization"];
/// So many connections are kept; beyond that, all are made anew.
const CHANNELS_MAX: usize = 64;
/// A member that can't be reached by then is asked again, or another one is that leads by then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// So long may one attempt take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// So long may all attempts take, beside two elections; etcd's.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// For so many election timeouts there may be no leader before the client is told.
const ELECTIONS_MAX: u32 = 2;

/// Connections to other members' client ports, by their URLs.
#[derive(Debug, Default)]
pub(crate) struct Forward {
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl Forward {
    /// Asks this member if it leads, and whoever leads else. `None` if there is no such lease.
    ///
    /// # Errors
    /// When nobody has answered in time, or the leader has refused.
    pub(crate) async fn to_leader<T, Here, There, AskedHere, AskedThere>(
        &self,
        member: &Member,
        metadata: &MetadataMap,
        here: Here,
        there: There,
    ) -> Result<Option<T>, Status>
    where
        Here: Fn() -> AskedHere + Sync,
        There: Fn(Channel, MetadataMap) -> AskedThere + Sync,
        AskedHere: Future<Output = Result<T, LeaseError>> + Send,
        AskedThere: Future<Output = Result<T, Status>> + Send,
    {
        let is_forwarded = metadata.contains_key(FORWARDED);
        let mut patience = Patience::new(member.config.election_timeout);
        loop {
            let leader = match here().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(LeaseError::NotFound) => return Ok(None),
                // Whoever sent it here looks for the leader anew.
                Err(LeaseError::NotLeader { .. }) if is_forwarded => {
                    return Err(Status::failed_precondition("etcdserver: not leader"));
                }
                Err(LeaseError::NotLeader { hint }) => hint,
                Err(LeaseError::NotReady) => None,
                Err(refused @ (LeaseError::Overloaded | LeaseError::Stopped)) => {
                    return Err(error::lease(&refused));
                }
            };
            if let Some(leader) = leader {
                let channel = self.channel(member, leader, patience.attempts).await?;
                if let Some((url, channel)) = channel {
                    let asked = timeout(ATTEMPT_TIMEOUT, there(channel, passed_on(metadata)));
                    match asked.await {
                        Ok(Ok(answer)) => return Ok(Some(answer)),
                        Ok(Err(status)) if is_final(status.code()) => return Err(status),
                        Ok(Err(status)) => tracing::debug!(%leader, %status, "was not answered"),
                        Err(_) => tracing::debug!(%leader, "was not answered in time"),
                    }
                    // The next connection is made with what certificates there are by then.
                    self.lock().remove(&url);
                }
            }
            patience.pause(member).await?;
        }
    }

    /// Where to ask whoever leads, if that is another member and this was not passed on already:
    /// for what only a leader can take back.
    pub(crate) async fn beyond(
        &self,
        member: &Member,
        metadata: &MetadataMap,
    ) -> Result<Option<(Channel, MetadataMap)>, Status> {
        let leader = member.node().status().core.leader;
        let Some(leader) = leader.filter(|leader| *leader != member.id) else {
            return Ok(None);
        };
        if metadata.contains_key(FORWARDED) {
            return Ok(None);
        }
        let found = self.channel(member, leader, 0).await?;
        Ok(found.map(|(_, channel)| (channel, passed_on(metadata))))
    }

    /// A connection to a member, if it has said where clients reach it; each attempt takes the next
    /// of its URLs.
    async fn channel(
        &self,
        member: &Member,
        leader: NodeId,
        attempt: usize,
    ) -> Result<Option<(String, Channel)>, Status> {
        let known = member.store().members();
        let known = known.map_err(|broken| error::broken(&broken))?;
        let urls = known.into_iter().find(|known| known.member == leader);
        let urls = urls.map(|known| known.client_urls).unwrap_or_default();
        let Some(url) = urls.get(attempt % urls.len().max(1)).cloned() else {
            return Ok(None);
        };
        if let Some(channel) = self.lock().get(&url).cloned() {
            return Ok(Some((url, channel)));
        }
        let unreachable =
            |reason: String| Status::unavailable(format!("the leader is not reached: {reason}"));
        let channel = connect(&url, member.config.client_tls.as_ref()).await;
        let channel = channel.map_err(|failed| unreachable(format!("{failed:#}")))?;
        let mut channels = self.lock();
        if channels.len() >= CHANNELS_MAX {
            channels.clear();
        }
        channels.insert(url.clone(), channel.clone());
        Ok(Some((url, channel)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Channel>> {
        // Nothing is left half done where a panic is possible.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is made when it is first used, and again when it breaks.
async fn connect(url: &str, files: Option<&TlsFiles>) -> anyhow::Result<Channel> {
    let mut endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    if url.starts_with("https:")
        && let Some(files) = files
    {
        endpoint = endpoint.tls_config(tls(files).await?)?;
    }
    Ok(endpoint.connect_lazy())
}

/// This member shows the certificate that its clients see. Where no authority is named, members
/// are trusted that have the same.
async fn tls(files: &TlsFiles) -> anyhow::Result<ClientTlsConfig> {
    let certificate = tokio::fs::read(&files.certificate).await?;
    let key = tokio::fs::read(&files.key).await?;
    let authority = match &files.authority {
        Some(authority) => tokio::fs::read(authority).await?,
        None => certificate.clone(),
    };
    Ok(ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority))
        .identity(Identity::from_pem(certificate, key)))
}

fn passed_on(metadata: &MetadataMap) -> MetadataMap {
    let mut passed_on = MetadataMap::new();
    for name in CREDENTIALS {
        if let Some(value) = metadata.get(name) {
            passed_on.insert(name, value.clone());
        }
    }
    passed_on.insert(FORWARDED, MetadataValue::from_static("1"));
    passed_on
}

/// Whether another attempt would get the same answer.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::Unimplemented
    )
}

/// How long a client is kept waiting.
struct Patience {
    began: Instant,
    election_timeout: Duration,
    /// Since when nobody leads.
    leaderless: Option<Instant>,
    attempts: usize,
}

impl Patience {
    fn new(election_timeout: Duration) -> Self {
        Self {
            began: Instant::now(),
            election_timeout,
            leaderless: None,
            attempts: 0,
        }
    }

    /// Lets some time pass before the next attempt, if there may be one.
    async fn pause(&mut self, member: &Member) -> Result<(), Status> {
        self.attempts += 1;
        let elections = self.election_timeout * ELECTIONS_MAX;
        if member.node().status().core.leader.is_none() {
            let since = self.leaderless.get_or_insert_with(Instant::now);
            if since.elapsed() + PAUSE > elections {
                return Err(no_leader());
            }
        } else {
            self.leaderless = None;
        }
        if self.began.elapsed() + PAUSE > REQUEST_TIMEOUT + elections {
            return Err(Status::unavailable(error::TIMED_OUT));
        }
        sleep(PAUSE).await;
        Ok(())
    }
}
