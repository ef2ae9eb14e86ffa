//! The service of locks: whoever stands first in a queue holds its lock. It does not know what is
//! locked.
//!
//! A lock is held for as long as its key is there, which goes with the lease. So its holder fences
//! what it does by comparing the revision at which the key came to be.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use prost::Message;
use raft_kv::request::DeleteRequest;
use raft_kv::{Keys, Kv};
use tonic::{Request, Response, Status, async_trait};

use super::convert;
use super::queue::{self, Exits, Place, Unmet};
use crate::pb::v3lockpb as pb;
use crate::server::auth::Shown;
use crate::server::member::Shared;

/// The service of locks.
#[derive(Clone)]
pub(crate) struct LockService {
    member: Shared,
    exits: Exits,
}

impl LockService {
    pub(crate) fn new(member: Shared) -> Self {
        let exits = Exits::default();
        Self { member, exits }
    }
}

#[async_trait]
impl pb::lock_server::Lock for LockService {
    async fn lock(
        &self,
        request: Request<pb::LockRequest>,
    ) -> Result<Response<pb::LockResponse>, Status> {
        let member = &self.member;
        let pass = member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let keys = Keys::prefix(queue::prefix(&request.get_ref().name));
        member.permit_keys(&request, &keys)?;
        let shown = Shown::by(&request);
        let request = request.into_inner();
        let place = Place::of(member, &shown, &request.name, request.lease).await?;
        let mut exit = self.exits.watch_over(member, &place);
        let joined = place.join(member, &shown, Bytes::new()).await?;
        exit.created = Some(joined.created);
        // To wait is no work: others may ask meanwhile.
        drop(pass);
        let revision = if joined.is_first {
            joined.revision
        } else {
            match place.wait(member, joined.created).await {
                Ok(revision) => revision,
                Err(Unmet::Unknown(status)) => return Err(status),
                Err(Unmet::Lost) => {
                    exit.keep();
                    return Err(Status::unknown("mutex: session is expired"));
                }
            }
        };
        exit.keep();
        Ok(Response::new(pb::LockResponse {
            header: Some(member.header(revision)),
            key: place.key,
        }))
    }

    async fn unlock(
        &self,
        request: Request<pb::UnlockRequest>,
    ) -> Result<Response<pb::UnlockResponse>, Status> {
        let member = &self.member;
        let _pass = member
            .gate
            .enter(&request, request.get_ref().encoded_len())?;
        let shown = Shown::by(&request);
        let keys_of_it = DeleteRequest {
            keys: convert::keys(request.into_inner().key, Bytes::new())?,
            wants_prev: false,
        };
        let delete = |kv: Kv, delete| async move { kv.delete(delete).await };
        let (revision, _) = member.on_behalf(&shown, keys_of_it, delete).await?;
        Ok(Response::new(pb::UnlockResponse {
            header: Some(member.header(revision)),
        }))
    }
}
