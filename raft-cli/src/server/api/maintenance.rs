//! The service of what operators do to a member: its status, alarms, hashes, snapshots, and who
//! leads.

use std::io::{self, Write};
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use raft_core::{Consistency, NodeId};
use raft_kv::{AlarmKind, Revision};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{convert, error};
use crate::pb::etcdserverpb as pb;
use crate::server::member::Shared;
use crate::snapshot_file::Sealer;

/// A part of a snapshot's stream.
const BLOB_BYTES: usize = 64 << 10;
/// So many parts wait at most for a client to take them.
const BLOBS_MAX: usize = 16;

/// The service of operators.
pub(crate) struct MaintenanceService {
    member: Shared,
}

impl MaintenanceService {
    pub(crate) const fn new(member: Shared) -> Self {
        Self { member }
    }

    async fn alarms(&self) -> Result<Vec<pb::AlarmMember>, Status> {
        let alarms = self.member.kv.alarms(Consistency::Linearizable).await;
        let alarms = alarms.map_err(|refused| error::status(&refused))?;
        let listed = alarms
            .into_iter()
            .map(|(member, kind)| alarm_member(member, kind));
        Ok(listed.collect())
    }

    /// Who is meant: whoever is asked, if nobody is named.
    fn meant(&self, id: u64) -> NodeId {
        if id == 0 { self.member.id } else { NodeId(id) }
    }

    fn errors(&self) -> Vec<String> {
        let status = self.member.node().status();
        let mut errors = Vec::new();
        if status.core.leader.is_none() {
            errors.push(error::NO_LEADER.to_owned());
        }
        for (member, kind) in self.member.store().alarms().unwrap_or_default() {
            let name = alarm_type(kind).as_str_name();
            errors.push(format!("memberID:{} alarm:{name} ", member.0));
        }
        errors
    }
}

const fn alarm_type(kind: AlarmKind) -> pb::AlarmType {
    match kind {
        AlarmKind::NoSpace => pb::AlarmType::Nospace,
        AlarmKind::Corrupt => pb::AlarmType::Corrupt,
    }
}

fn alarm_member(member: NodeId, kind: AlarmKind) -> pb::AlarmMember {
    pb::AlarmMember {
        member_id: member.0,
        alarm: alarm_type(kind).into(),
    }
}

/// The kinds that a request means: all, if it names none.
fn kinds(alarm: pb::AlarmType) -> &'static [AlarmKind] {
    match alarm {
        pb::AlarmType::None => &[AlarmKind::NoSpace, AlarmKind::Corrupt],
        pb::AlarmType::Nospace => &[AlarmKind::NoSpace],
        pb::AlarmType::Corrupt => &[AlarmKind::Corrupt],
    }
}

type Blobs = Pin<Box<dyn Stream<Item = Result<pb::SnapshotResponse, Status>> + Send>>;

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for MaintenanceService {
    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        use pb::alarm_request::AlarmAction;
        let _pass = self.member.gate.enter(&request, 0)?;
        let unknown = |_| Status::invalid_argument("etcdserver: unknown alarm");
        let action = AlarmAction::try_from(request.get_ref().action).map_err(unknown)?;
        match action {
            AlarmAction::Get => self.member.permit_anybody(&request)?,
            AlarmAction::Activate | AlarmAction::Deactivate => {
                self.member.permit_administrator(&request)?;
            }
        }
        let request = request.into_inner();
        let kind = pb::AlarmType::try_from(request.alarm).map_err(unknown)?;
        let (kv, member) = (&self.member.kv, self.meant(request.member_id));
        let alarms = match action {
            AlarmAction::Get => self.alarms().await?,
            AlarmAction::Activate | AlarmAction::Deactivate => {
                for kind in kinds(kind) {
                    let done = if action == AlarmAction::Activate {
                        kv.raise(member, *kind).await
                    } else {
                        kv.clear(member, *kind).await
                    };
                    done.map_err(|refused| error::status(&refused))?;
                }
                kinds(kind)
                    .iter()
                    .map(|kind| alarm_member(member, *kind))
                    .collect()
            }
        };
        Ok(Response::new(pb::AlarmResponse {
            header: Some(self.member.header_now()),
            alarms,
        }))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_anybody(&request)?;
        let status = self.member.node().status();
        let core = &status.core;
        let health = self
            .member
            .store()
            .health()
            .map_err(|broken| error::broken(&broken))?;
        Ok(Response::new(pb::StatusResponse {
            header: Some(self.member.header_now()),
            version: self.member.config.advertised_version.clone(),
            db_size: convert::signed(health.bytes),
            leader: core.leader.map_or(0, |leader| leader.0),
            raft_index: core.commit.0,
            raft_term: core.term.0,
            raft_applied_index: core.applied.0,
            errors: self.errors(),
            db_size_in_use: convert::signed(health.bytes),
            is_learner: !core.membership.1.is_voter(self.member.id),
            storage_version: self.member.config.advertised_version.clone(),
            db_size_quota: convert::signed(self.member.config.quota_bytes),
            downgrade_info: None,
        }))
    }

    /// Room is given back while the store runs, so there is nothing to be done, and nothing stops
    /// meanwhile.
    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        Ok(Response::new(pb::DefragmentResponse {
            header: Some(self.member.header_now()),
        }))
    }

    async fn hash(
        &self,
        request: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let hash = self.hash_at(Revision::NONE).await?;
        Ok(Response::new(pb::HashResponse {
            header: Some(self.member.header_now()),
            hash: hash.hash,
        }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let hash = self
            .hash_at(convert::revision(request.get_ref().revision))
            .await?;
        // etcd says -1 where nothing was compacted yet.
        let compacted = match hash.compacted {
            Revision::NONE => -1,
            compacted => convert::signed(compacted.0),
        };
        Ok(Response::new(pb::HashKvResponse {
            header: Some(self.member.header_now()),
            hash: hash.hash,
            compact_revision: compacted,
            hash_revision: convert::signed(hash.revision.0),
        }))
    }

    type SnapshotStream = Blobs;

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Blobs>, Status> {
        let pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let (sender, receiver) = mpsc::channel(BLOBS_MAX);
        let store = self.member.store().clone();
        let version = self.member.config.advertised_version.clone();
        let expected = store.health().map_or(0, |health| health.bytes);
        tokio::task::spawn_blocking(move || {
            let _pass = pass;
            let blobs = BlobWriter {
                sender: sender.clone(),
                version,
                chunk: BytesMut::with_capacity(BLOB_BYTES),
                expected,
            };
            let mut sealer = Sealer::new(blobs);
            let written = match store.backup(&mut sealer) {
                Ok(_) => sealer.seal().map(|_| ()).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = written {
                // If the client has gone, there is nobody to tell.
                drop(sender.blocking_send(Err(Status::internal(error))));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let _pass = self.member.gate.enter(&request, 0)?;
        self.member.permit_administrator(&request)?;
        let node = self.member.node();
        if node.status().core.leader != Some(self.member.id) {
            return Err(Status::failed_precondition("etcdserver: not leader"));
        }
        let target = NodeId(request.get_ref().target_id);
        let moved = node.transfer_leadership(Some(target)).await;
        moved.map_err(|refused| error::change(&refused))?;
        Ok(Response::new(pb::MoveLeaderResponse {
            header: Some(self.member.header_now()),
        }))
    }

    async fn downgrade(
        &self,
        _: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        Err(Status::unimplemented(
            "the version of commands never sinks; members of the version before may be started as \
             long as no later one is in use",
        ))
    }
}

impl MaintenanceService {
    async fn hash_at(&self, revision: Revision) -> Result<raft_kv::model::HashKv, Status> {
        let kv = self.member.kv.clone();
        let hashed = tokio::task::spawn_blocking(move || kv.hash(revision)).await;
        let hashed = hashed.map_err(|_| Status::internal("a hash was given up"))?;
        hashed.map_err(|refused| error::status(&refused))
    }
}

/// Sends what is written in parts. It blocks while the client is slow.
struct BlobWriter {
    sender: mpsc::Sender<Result<pb::SnapshotResponse, Status>>,
    version: String,
    chunk: BytesMut,
    /// How much is still expected, for progress bars; the end is where the stream ends.
    expected: u64,
}

impl BlobWriter {
    fn send(&mut self) -> io::Result<()> {
        let blob: Bytes = self.chunk.split().freeze();
        self.expected = self.expected.saturating_sub(blob.len() as u64).max(1);
        let response = pb::SnapshotResponse {
            header: None,
            remaining_bytes: self.expected,
            blob,
            version: self.version.clone(),
        };
        let sent = self.sender.blocking_send(Ok(response));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOB_BYTES - self.chunk.len();
        let part = &bytes[..bytes.len().min(room)];
        self.chunk.extend_from_slice(part);
        if self.chunk.len() == BLOB_BYTES {
            self.send()?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.send()
    }
}
