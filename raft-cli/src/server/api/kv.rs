//! The service of keys: ranges, puts, deletions, transactions, compactions.
//!
//! Writes go to the leader, wherever they arrive. Ranges are answered by this member, once it
//! reflects all that was acknowledged before, unless that is not wanted.

use prost::Message;
use raft_core::Consistency;
use raft_core::port::PortError;
use raft_core::session::Session;
use raft_kv::request::RangeRequest;
use raft_kv::response::RangeResponse;
use raft_kv::service::door;
use raft_kv::{Keys, Kv, KvError, Revision};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::convert::{self, Bounds};
use super::error;
use crate::pb::etcdserverpb as pb;
use crate::server::auth::Shown;
use crate::server::member::{Member, Shared};

/// Ranges that may be longer than this are read where a task may block.
const INLINE_KEYS_MAX: u64 = 64;

/// The service of keys.
pub(crate) struct KvService {
    member: Shared,
}

impl KvService {
    pub(crate) const fn new(member: Shared) -> Self {
        Self { member }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            key_bytes: self.member.config.limits.key_bytes,
        }
    }

    fn header(&self, revision: Revision) -> pb::ResponseHeader {
        self.member.header(revision)
    }

    async fn find(
        &self,
        shown: &Shown,
        request: RangeRequest,
        consistency: Consistency,
    ) -> Result<(Revision, RangeResponse), Status> {
        door::check_range(&request).map_err(error::refused)?;
        let most = self.member.config.limits.range_bytes;
        let find = |kv: Kv, request| find_by(kv, request, consistency, most);
        let (revision, found) = self.member.on_behalf(shown, request, find).await?;
        Ok((revision, found.ok_or_else(|| too_long(most))?))
    }
}

/// Keys, on behalf of whom this handle acts for; `None` if they are longer than this.
async fn find_by(
    kv: Kv,
    request: RangeRequest,
    consistency: Consistency,
    most: usize,
) -> Result<(Revision, Option<RangeResponse>), KvError> {
    kv.permit(|auth, user| auth.may_read(user, &request.keys))?;
    kv.node().barrier(consistency).await?;
    let is_short = match &request.keys {
        Keys::One(_) => true,
        Keys::In(_) => (1..=INLINE_KEYS_MAX).contains(&request.limit) && request.sort.is_none(),
    };
    if is_short {
        return kv.range_within(&request, most);
    }
    let read = tokio::task::spawn_blocking(move || kv.range_within(&request, most));
    let given_up = |_| PortError::misused("a range was given up");
    read.await.map_err(given_up)?
}

/// The session that a request belongs to, if its client wants it done once.
fn session(member: &Member, metadata: &MetadataMap) -> Result<Option<Session>, Status> {
    let number = |name: &str| -> Result<Option<u64>, Status> {
        let Some(value) = metadata.get(name) else {
            return Ok(None);
        };
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        let bad = || Status::invalid_argument(format!("{name} is not a number"));
        number.map(Some).ok_or_else(bad)
    };
    match (number("raft-client-id")?, number("raft-sequence")?) {
        (Some(client), Some(sequence)) => {
            member.check_sessions()?;
            Ok(Some(Session { client, sequence }))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(Status::invalid_argument(
            "raft-client-id and raft-sequence go together",
        )),
    }
}

fn too_long(most: usize) -> Status {
    Status::resource_exhausted(format!(
        "etcdserver: the answer is longer than {most} bytes: ask for less at a time, by a limit"
    ))
}

#[tonic::async_trait]
impl pb::kv_server::Kv for KvService {
    async fn range(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<pb::RangeResponse>, Status> {
        let _pass = self
            .member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let shown = Shown::by(&request);
        let request = request.into_inner();
        let consistency = if request.serializable {
            Consistency::Local
        } else {
            Consistency::Linearizable
        };
        let range = convert::range(request)?;
        let (revision, found) = self.find(&shown, range, consistency).await?;
        let response = pb::RangeResponse {
            header: Some(self.header(revision)),
            ..convert::range_response(found)
        };
        Ok(Response::new(response))
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        let _pass = self
            .member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let (shown, session) = (
            Shown::by(&request),
            session(&self.member, request.metadata())?,
        );
        let put = convert::put(request.into_inner(), self.bounds())?;
        let call = |kv: Kv, put| async move {
            match session {
                None => kv.put(put).await,
                Some(session) => kv.put_once(session, put).await,
            }
        };
        let (revision, prev) = self.member.on_behalf(&shown, put, call).await?;
        Ok(Response::new(pb::PutResponse {
            header: Some(self.header(revision)),
            ..convert::put_response(prev)
        }))
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let _pass = self
            .member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let (shown, session) = (
            Shown::by(&request),
            session(&self.member, request.metadata())?,
        );
        let delete = convert::delete(request.into_inner())?;
        let call = |kv: Kv, delete| async move {
            match session {
                None => kv.delete(delete).await,
                Some(session) => kv.delete_once(session, delete).await,
            }
        };
        let (revision, deleted) = self.member.on_behalf(&shown, delete, call).await?;
        Ok(Response::new(pb::DeleteRangeResponse {
            header: Some(self.header(revision)),
            ..convert::delete_response(deleted)
        }))
    }

    async fn txn(
        &self,
        request: Request<pb::TxnRequest>,
    ) -> Result<Response<pb::TxnResponse>, Status> {
        let _pass = self
            .member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let (shown, session) = (
            Shown::by(&request),
            session(&self.member, request.metadata())?,
        );
        let txn = convert::txn(request.into_inner(), self.bounds())?;
        let call = |kv: Kv, txn| async move {
            match session {
                None => kv.txn(txn).await,
                Some(session) => kv.txn_once(session, txn).await,
            }
        };
        let (revision, done) = self.member.on_behalf(&shown, txn, call).await?;
        let header = self.header(revision);
        let response = convert::txn_response(done, &header)?;
        Ok(Response::new(pb::TxnResponse {
            header: Some(header),
            ..response
        }))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let _pass = self
            .member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let revision = convert::revision(request.get_ref().revision);
        // Rows go in the background, so there is nothing more to wait for if `physical` is asked.
        let compact = |kv: Kv, revision| async move { kv.compact(revision).await };
        let shown = Shown::by(&request);
        let (revision, ()) = self.member.on_behalf(&shown, revision, compact).await?;
        Ok(Response::new(pb::CompactionResponse {
            header: Some(self.header(revision)),
        }))
    }
}
