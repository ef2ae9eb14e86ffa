//! The end of the bulk lane that has the snapshot.
//!
//! One connection reads one snapshot, which is held open meanwhile. This file does not know what
//! is missing at the other end.

use bytes::{Bytes, BytesMut};
use raft_core::NodeId;
use raft_core::port::{PortError, SnapshotSource};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::Connection;
use crate::shared::Shared;
use crate::wire::{BulkReply, BulkRequest, CHUNK_BYTES_MAX};

/// Serves requests until the other end hangs up, or is silent for too long.
pub(crate) async fn serve(shared: &Shared, connection: Connection, peer: NodeId) {
    let Ok(_permit) = shared.bulk_sessions.clone().try_acquire_owned() else {
        shared.tally.refused_limit.one();
        let mut session = Session::new(shared, connection);
        return session
            .fail("too many read snapshots here; try again later")
            .await;
    };
    shared.tally.bulk_sessions.one();
    let mut session = Session::new(shared, connection);
    while let Some(request) = session.request().await {
        if !session.answer(request).await {
            break;
        }
    }
    tracing::debug!(%peer, "the peer reads no snapshot any more");
}

/// A snapshot being read.
struct Session<'a> {
    shared: &'a Shared,
    connection: Connection,
    /// None before it is opened, and while a thread reads from it.
    source: Option<Box<dyn SnapshotSource>>,
    out: BytesMut,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, connection: Connection) -> Self {
        Self {
            shared,
            connection,
            source: None,
            out: BytesMut::new(),
        }
    }

    async fn request(&mut self) -> Option<BulkRequest> {
        let next = timeout(self.shared.config.bulk_timeout, self.connection.frame()).await;
        let frame = match next {
            Ok(Ok(frame)) => frame?,
            Ok(Err(_)) => return None,
            Err(_) => {
                self.shared.tally.idle_timeouts.one();
                return None;
            }
        };
        let request = BulkRequest::decode(&frame);
        if request.is_err() {
            self.shared.tally.bad_frames.one();
        }
        request.ok()
    }

    /// Says whether to go on.
    async fn answer(&mut self, request: BulkRequest) -> bool {
        match self.carry_out(request).await {
            Ok(reply) => self.reply(&reply).await,
            Err(reason) => {
                tracing::warn!(reason, "a snapshot can't be read by a peer");
                self.fail(&reason).await;
                false
            }
        }
    }

    async fn carry_out(&mut self, request: BulkRequest) -> Result<BulkReply, String> {
        match request {
            BulkRequest::Open { group, from, last } => {
                if from != self.shared.config.node {
                    return Err(format!("this is node {}", self.shared.config.node));
                }
                let inbox = self
                    .shared
                    .find_group(group)
                    .and_then(|group| group.inbox());
                let inbox = inbox.ok_or_else(|| format!("no group {group} is here"))?;
                let source = blocking(move || inbox.open_snapshot()).await?;
                let manifest = source.manifest().clone();
                if manifest.meta.last < last {
                    let newest = manifest.meta.last;
                    return Err(format!("the newest snapshot here ends at {newest}"));
                }
                self.source = Some(source);
                Ok(BulkReply::Manifest(manifest))
            }
            BulkRequest::Read {
                file,
                offset,
                length,
            } => {
                let chunk = self.read(file as usize, offset, length).await?;
                let grant = self.shared.throttle.grant(chunk.len(), Instant::now());
                sleep_until(grant).await;
                self.shared.tally.bulk_sent_bytes.add(chunk.len());
                Ok(BulkReply::Chunk(chunk))
            }
        }
    }

    async fn read(&mut self, file: usize, offset: u64, length: u32) -> Result<Bytes, String> {
        let source = self.source.take().ok_or("no snapshot is open")?;
        let Some(named) = source.manifest().files.get(file) else {
            return Err(format!("the snapshot has no file {file}"));
        };
        let name = named.name.clone();
        // Nobody makes us hold more than there is.
        let rest = named.size.saturating_sub(offset);
        let length = rest.min(u64::from(length.min(CHUNK_BYTES_MAX)));
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let (source, chunk) = blocking(move || {
            let mut buffer = vec![0; length];
            let count = source.read_at(&name, offset, &mut buffer)?;
            buffer.truncate(count);
            Ok((source, Bytes::from(buffer)))
        })
        .await?;
        self.source = Some(source);
        Ok(chunk)
    }

    async fn fail(&mut self, reason: &str) {
        let reason = reason.to_owned();
        self.reply(&BulkReply::Failed { reason }).await;
    }

    async fn reply(&mut self, reply: &BulkReply) -> bool {
        self.out.clear();
        reply.encode(&mut self.out);
        let stall_max = self.shared.config.bulk_timeout;
        self.connection.write(&self.out, stall_max).await.is_ok()
    }
}

/// Disks block; so they are read on threads that may be blocked.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PortError> + Send + 'static,
) -> Result<T, String> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(format!("the store panicked: {error}")),
    }
}
