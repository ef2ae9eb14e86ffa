//! A client of one member that tells "surely did not happen" from "who knows". It tries nothing
//! twice, and does not know what its answers mean to anybody.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use raft_cli::pb::etcdserverpb as pb;
use raft_cli::pb::etcdserverpb::cluster_client::ClusterClient;
use raft_cli::pb::etcdserverpb::kv_client::KvClient;
use raft_cli::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use raft_cli::pb::etcdserverpb::watch_client::WatchClient;
use tokio::time::timeout;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Response, Status};

/// Refusals that share their code with "who knows".
const REFUSALS: [&str; 2] = ["etcdserver: no leader", "etcdserver: too many requests"];

/// A client of one member. Its clones share a connection.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    patience: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It surely did not happen, and never will.
    Refused(String),
    /// It may have happened, or happen yet.
    Unknown(String),
}

/// What a key held.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its value, if there was any.
    pub value: Option<Bytes>,
    /// Where the store was.
    pub header: pb::ResponseHeader,
}

/// What came of a swap.
#[derive(Clone, Debug)]
pub struct Swap {
    /// What the key held instead, if nothing was swapped; nothing within if it held nothing.
    pub found: Option<Option<Bytes>>,
    /// Where the store was.
    pub header: pb::ResponseHeader,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change.
    pub revision: i64,
    /// The key.
    pub key: Bytes,
    /// What it holds since; nothing if it was deleted.
    pub value: Option<Bytes>,
}

impl Client {
    /// A client that connects when it is first used, and waits so long for every answer.
    ///
    /// # Panics
    /// When the URL is none.
    #[must_use]
    pub fn new(url: &str, tls: Option<ClientTlsConfig>, patience: Duration) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
        let endpoint = endpoint.connect_timeout(patience).tcp_nodelay(true);
        let endpoint = match tls {
            Some(tls) => endpoint
                .tls_config(tls)
                .expect("certificates that can be read"),
            None => endpoint,
        };
        Self {
            channel: endpoint.connect_lazy(),
            patience,
        }
    }

    /// The same with another patience.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Self {
        Self {
            channel: self.channel.clone(),
            patience,
        }
    }

    // --- Keys ---

    /// Reads a key, linearizably.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, key: &str) -> Result<Seen, Trouble> {
        let request = pb::RangeRequest {
            key: Bytes::copy_from_slice(key.as_bytes()),
            ..pb::RangeRequest::default()
        };
        let answer = self.ask(self.kv().range(request)).await?;
        Ok(Seen {
            value: answer.kvs.into_iter().next().map(|row| row.value),
            header: answer.header.unwrap_or_default(),
        })
    }

    /// Writes a key.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn put(
        &self,
        key: &str,
        value: impl Into<Bytes>,
    ) -> Result<pb::ResponseHeader, Trouble> {
        let request = pb::PutRequest {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: value.into(),
            ..pb::PutRequest::default()
        };
        let answer = self.ask(self.kv().put(request)).await?;
        Ok(answer.header.unwrap_or_default())
    }

    /// Deletes a key. Gives how many there were.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn delete(&self, key: &str) -> Result<i64, Trouble> {
        let request = pb::DeleteRangeRequest {
            key: Bytes::copy_from_slice(key.as_bytes()),
            ..pb::DeleteRangeRequest::default()
        };
        Ok(self.ask(self.kv().delete_range(request)).await?.deleted)
    }

    /// Writes a key if it holds what is expected, in a transaction that reads it otherwise.
    ///
    /// # Errors
    /// When there is no answer.
    ///
    /// # Panics
    /// When the answer is to another question.
    pub async fn swap(
        &self,
        key: &str,
        expect: Option<Bytes>,
        new: impl Into<Bytes>,
    ) -> Result<Swap, Trouble> {
        let request = swap_request(key, expect, new.into());
        let answer = self.ask(self.kv().txn(request)).await?;
        let found = (!answer.succeeded).then(|| {
            let only = answer.responses.into_iter().next();
            match only.and_then(|response| response.response) {
                Some(pb::response_op::Response::ResponseRange(range)) => {
                    range.kvs.into_iter().next().map(|row| row.value)
                }
                other => panic!("a range was asked for, not {other:?}"),
            }
        });
        Ok(Swap {
            found,
            header: answer.header.unwrap_or_default(),
        })
    }

    /// All changes of all keys from a revision through another, which must have been made.
    ///
    /// # Errors
    /// When they do not come, or are compacted.
    pub async fn events(&self, from: i64, through: i64) -> Result<Vec<Event>, Trouble> {
        let create = pb::WatchCreateRequest {
            key: Bytes::from_static(b"\0"),
            range_end: Bytes::from_static(b"\0"),
            start_revision: from,
            ..pb::WatchCreateRequest::default()
        };
        let create = pb::WatchRequest {
            request_union: Some(pb::watch_request::RequestUnion::CreateRequest(create)),
        };
        let mut watch =
            WatchClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        // The stream of requests stays open: its end would be that of the watch.
        let requests =
            tokio_stream::StreamExt::chain(tokio_stream::once(create), tokio_stream::pending());
        let mut answers = self.ask(watch.watch(requests)).await?;
        let mut events = Vec::new();
        while events
            .last()
            .is_none_or(|event: &Event| event.revision < through)
        {
            let next = timeout(self.patience, answers.message()).await;
            let Ok(Ok(Some(answer))) = next else {
                let last = events.last();
                return Err(Trouble::Unknown(format!("after {last:?}: {next:?}")));
            };
            if answer.canceled {
                return Err(Trouble::Refused(format!("{answer:?}")));
            }
            events.extend(answer.events.into_iter().map(event));
        }
        Ok(events)
    }

    // --- Members ---

    /// What the member says of itself.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn status(&self) -> Result<pb::StatusResponse, Trouble> {
        self.ask(self.maintenance().status(pb::StatusRequest {}))
            .await
    }

    /// The hash of the store at a revision.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn hash(&self, revision: i64) -> Result<u32, Trouble> {
        let request = pb::HashKvRequest { revision };
        Ok(self.ask(self.maintenance().hash_kv(request)).await?.hash)
    }

    /// The alarms that are raised, by member and kind.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn alarms(&self) -> Result<Vec<(u64, pb::AlarmType)>, Trouble> {
        let request = pb::AlarmRequest {
            action: pb::alarm_request::AlarmAction::Get.into(),
            ..pb::AlarmRequest::default()
        };
        let answer = self.ask(self.maintenance().alarm(request)).await?;
        let alarms = answer.alarms.iter();
        Ok(alarms
            .map(|alarm| (alarm.member_id, alarm.alarm()))
            .collect())
    }

    /// Hands leadership over. Only the leader does that.
    ///
    /// # Errors
    /// When it was not handed over.
    pub async fn move_leader(&self, target: u64) -> Result<(), Trouble> {
        let request = pb::MoveLeaderRequest { target_id: target };
        self.ask(self.maintenance().move_leader(request))
            .await
            .map(drop)
    }

    /// The members that there are.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn members(&self) -> Result<Vec<pb::Member>, Trouble> {
        let mut cluster = ClusterClient::new(self.channel.clone());
        let request = pb::MemberListRequest { linearizable: true };
        Ok(self.ask(cluster.member_list(request)).await?.members)
    }

    /// Adds a member, or a learner. Gives its id.
    ///
    /// # Errors
    /// When it is not known to be added.
    pub async fn add(&self, peer: &str, is_learner: bool) -> Result<u64, Trouble> {
        let mut cluster = ClusterClient::new(self.channel.clone());
        let request = pb::MemberAddRequest {
            peer_ur_ls: vec![peer.to_owned()],
            is_learner,
        };
        let answer = self.ask(cluster.member_add(request)).await?;
        Ok(answer.member.unwrap_or_default().id)
    }

    /// Says where a member is, which may be where it was.
    ///
    /// # Errors
    /// When it is not known to be written down.
    pub async fn update(&self, id: u64, peer: &str) -> Result<(), Trouble> {
        let mut cluster = ClusterClient::new(self.channel.clone());
        let request = pb::MemberUpdateRequest {
            id,
            peer_ur_ls: vec![peer.to_owned()],
        };
        self.ask(cluster.member_update(request)).await.map(drop)
    }

    /// Removes a member.
    ///
    /// # Errors
    /// When it is not known to be removed.
    pub async fn remove(&self, id: u64) -> Result<(), Trouble> {
        let mut cluster = ClusterClient::new(self.channel.clone());
        let request = pb::MemberRemoveRequest { id };
        self.ask(cluster.member_remove(request)).await.map(drop)
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    async fn ask<T>(
        &self,
        request: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Trouble> {
        match timeout(self.patience, request).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Trouble::of(&status)),
            Err(_) => Err(Trouble::Unknown(format!(
                "no answer within {:?}",
                self.patience
            ))),
        }
    }
}

fn swap_request(key: &str, expect: Option<Bytes>, new: Bytes) -> pb::TxnRequest {
    use pb::compare::{CompareResult, CompareTarget, TargetUnion};
    use pb::request_op::Request;

    let key = Bytes::copy_from_slice(key.as_bytes());
    let (target, union) = match expect {
        Some(value) => (CompareTarget::Value, TargetUnion::Value(value)),
        // What was never created was created at revision 0.
        None => (CompareTarget::Create, TargetUnion::CreateRevision(0)),
    };
    let compare = pb::Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: key.clone(),
        target_union: Some(union),
        ..pb::Compare::default()
    };
    let put = pb::PutRequest {
        key: key.clone(),
        value: new,
        ..pb::PutRequest::default()
    };
    let range = pb::RangeRequest {
        key,
        ..pb::RangeRequest::default()
    };
    let op = |request| pb::RequestOp {
        request: Some(request),
    };
    pb::TxnRequest {
        compare: vec![compare],
        success: vec![op(Request::RequestPut(put))],
        failure: vec![op(Request::RequestRange(range))],
    }
}

fn event(event: raft_cli::pb::mvccpb::Event) -> Event {
    let is_delete = event.r#type() == raft_cli::pb::mvccpb::event::EventType::Delete;
    let row = event.kv.unwrap_or_default();
    Event {
        revision: row.mod_revision,
        key: row.key,
        value: (!is_delete).then_some(row.value),
    }
}

impl Trouble {
    /// Whether it surely did not happen.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// What was said.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Unknown(text) => text,
        }
    }

    fn of(status: &Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        let is_refused = match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => true,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => {
                REFUSALS.iter().any(|refusal| status.message() == *refusal) || never_sent(status)
            }
        };
        if is_refused {
            Self::Refused(text)
        } else {
            Self::Unknown(text)
        }
    }
}

/// Whether nobody was there to be sent anything.
fn never_sent(status: &Status) -> bool {
    let mut cause: Option<&dyn Error> = status.source();
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
