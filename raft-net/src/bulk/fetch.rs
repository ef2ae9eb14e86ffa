//! The end of the bulk lane that needs the snapshot.
//!
//! Whoever reads blocks on a thread of its own, and a task talks to the peer. Two requests are
//! always under way: while one chunk is written down here, the next ones are read there. This file
//! does not know which parts are wanted, or what becomes of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::{Buf, Bytes, BytesMut};
use raft_core::port::{Manifest, PortError, SnapshotSource};
use raft_core::{GroupId, NodeId, Position};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::handshake;
use crate::shared::Shared;
use crate::wire::{BulkReply, BulkRequest, CHUNK_BYTES_MAX, Lane};

/// How many requests are under way at a time.
const AHEAD: usize = 2;
/// Room for the answers to them, to the opening, and for a last word.
const ANSWERS_MAX: usize = AHEAD + 2;

/// Opens the newest snapshot of another node. Blocks.
pub(crate) fn open(
    shared: &Arc<Shared>,
    group: GroupId,
    from: NodeId,
    last: Position,
) -> Result<RemoteSnapshot, PortError> {
    let (requests, wanted) = mpsc::channel(AHEAD);
    let (answer, answers) = sync_channel(ANSWERS_MAX);
    let opening = BulkRequest::Open { group, from, last };
    let task = fetch(shared.clone(), from, opening, wanted, answer);
    shared.tasks.spawn("fetch", task);
    let BulkReply::Manifest(manifest) = next(from, &answers)? else {
        return Err(failed(from, "it answered something else"));
    };
    Ok(RemoteSnapshot {
        from,
        manifest,
        chunk_bytes: shared.config.bulk_chunk_bytes.min(CHUNK_BYTES_MAX),
        requests,
        reading: RefCell::new(Reading {
            answers,
            under_way: VecDeque::new(),
            chunk: None,
        }),
    })
}

/// A snapshot of another node, open there as long as this lives.
pub(crate) struct RemoteSnapshot {
    from: NodeId,
    manifest: Manifest,
    chunk_bytes: u32,
    requests: mpsc::Sender<BulkRequest>,
    reading: RefCell<Reading>,
}

struct Reading {
    answers: Receiver<Answer>,
    /// What was asked for and has not come yet: file and offset, oldest first.
    under_way: VecDeque<(u32, u64)>,
    /// What has come and was not read yet, with its file and offset.
    chunk: Option<(u32, u64, Bytes)>,
}

type Answer = Result<BulkReply, String>;

impl SnapshotSource for RemoteSnapshot {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let (file, size) = self.find(name)?;
        let mut count = 0;
        while count < buffer.len() && offset + (count as u64) < size {
            match self.read_some(file, offset + count as u64, &mut buffer[count..]) {
                Ok(more) => count += more,
                // What came before the cut is kept. The next read meets the same trouble.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError> {
        let (file, size) = self.find(name)?;
        let mut buffer = vec![0; self.chunk_bytes as usize];
        let mut offset = 0;
        while offset < size {
            let count = self.read_some(file, offset, &mut buffer)?;
            let written = to.write_all(&buffer[..count]);
            written.map_err(|error| PortError::io(format!("copying `{name}`"), error))?;
            offset += count as u64;
        }
        Ok(())
    }
}

impl RemoteSnapshot {
    /// The place of a file, and its length.
    fn find(&self, name: &str) -> Result<(u32, u64), PortError> {
        let found = self.manifest.find(name).and_then(|(place, file)| {
            let place = u32::try_from(place).ok()?;
            Some((place, file.size))
        });
        found.ok_or_else(|| PortError::misused(format!("the snapshot has no file `{name}`")))
    }

    /// Reads at least a byte, of which there is one.
    fn read_some(&self, file: u32, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let mut reading = self.reading.borrow_mut();
        let is_here = |chunk: &(u32, u64, Bytes)| (chunk.0, chunk.1) == (file, offset);
        if !reading.chunk.as_ref().is_some_and(is_here) {
            let bytes = self.receive(&mut reading, file, offset)?;
            reading.chunk = Some((file, offset, bytes));
        }
        let Some((_, at, bytes)) = &mut reading.chunk else {
            return Ok(0);
        };
        let count = bytes.len().min(buffer.len());
        bytes.copy_to_slice(&mut buffer[..count]);
        *at += count as u64;
        if bytes.is_empty() {
            reading.chunk = None;
        }
        Ok(count)
    }

    /// The chunk at that offset. Has asked for those after it when it returns.
    fn receive(&self, reading: &mut Reading, file: u32, offset: u64) -> Result<Bytes, PortError> {
        if reading.under_way.front() != Some(&(file, offset)) {
            // Somebody reads elsewhere now: what is under way is of no use.
            while reading.under_way.pop_front().is_some() {
                next(self.from, &reading.answers)?;
            }
        }
        self.ask_ahead(reading, file, offset);
        let answer = next(self.from, &reading.answers)?;
        reading.under_way.pop_front();
        let wanted = u64::from(self.chunk_bytes);
        self.ask_ahead(reading, file, offset.saturating_add(wanted));
        let expected = wanted.min(self.size(file) - offset);
        match answer {
            BulkReply::Chunk(bytes) if bytes.len() as u64 == expected => Ok(bytes),
            BulkReply::Chunk(_) | BulkReply::Manifest(_) | BulkReply::Failed { .. } => {
                Err(failed(self.from, "it sent something else than was wanted"))
            }
        }
    }

    /// Asks for what comes after all that is under way, or for `from` on if nothing is.
    fn ask_ahead(&self, reading: &mut Reading, file: u32, from: u64) {
        let length = self.chunk_bytes;
        let mut offset = match reading.under_way.back() {
            Some((_, last)) => last.saturating_add(u64::from(length)),
            None => from,
        };
        while reading.under_way.len() < AHEAD && offset < self.size(file) {
            let request = BulkRequest::Read {
                file,
                offset,
                length,
            };
            // There is room: no more wait there than are under way.
            if self.requests.try_send(request).is_err() {
                break;
            }
            reading.under_way.push_back((file, offset));
            offset = offset.saturating_add(u64::from(length));
        }
    }

    fn size(&self, file: u32) -> u64 {
        self.manifest.files[file as usize].size
    }
}

/// The next answer. Blocks; the task at the other end of the channel knows for how long.
fn next(from: NodeId, answers: &Receiver<Answer>) -> Result<BulkReply, PortError> {
    match answers.recv() {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(reason)) => Err(failed(from, &reason)),
        Err(_) => Err(failed(from, "the connection ended")),
    }
}

fn failed(from: NodeId, reason: &str) -> PortError {
    let context = format!("the snapshot of node {from}");
    PortError::io(context, io::Error::other(reason))
}

/// Talks to the peer until nobody reads any more, or something fails.
async fn fetch(
    shared: Arc<Shared>,
    from: NodeId,
    opening: BulkRequest,
    wanted: mpsc::Receiver<BulkRequest>,
    answers: SyncSender<Answer>,
) {
    if let Err(reason) = talk(&shared, from, opening, wanted, &answers).await {
        // Whoever reads may be gone already.
        answers.try_send(Err(reason)).ok();
    }
}

async fn talk(
    shared: &Shared,
    from: NodeId,
    opening: BulkRequest,
    mut wanted: mpsc::Receiver<BulkRequest>,
    answers: &SyncSender<Answer>,
) -> Result<(), String> {
    let patience = shared.config.bulk_timeout;
    let reached = handshake::reach(shared, from, Lane::Bulk).await;
    let (mut connection, _) = reached.map_err(|error| error.to_string())?;
    let mut out = BytesMut::new();
    opening.encode(&mut out);
    let mut under_way = 1_usize;
    loop {
        if !out.is_empty() {
            let written = connection.write(&out, patience).await;
            written.map_err(|error| error.to_string())?;
            out.clear();
        }
        tokio::select! {
            reply = receive(&mut connection), if under_way > 0 => {
                let reply = reply?;
                if let BulkReply::Chunk(bytes) = &reply {
                    shared.tally.bulk_received_bytes.add(bytes.len());
                }
                under_way -= 1;
                answers.try_send(Ok(reply)).map_err(|error| error.to_string())?;
            }
            () = sleep(patience), if under_way > 0 => {
                shared.tally.idle_timeouts.one();
                return Err("nothing came for too long".to_owned());
            }
            request = wanted.recv() => {
                let Some(request) = request else {
                    return Ok(());
                };
                request.encode(&mut out);
                under_way += 1;
            }
        }
    }
}

async fn receive(connection: &mut Connection) -> Result<BulkReply, String> {
    let frame = connection
        .frame()
        .await
        .map_err(|error| error.to_string())?;
    let frame = frame.ok_or("the peer closed the connection")?;
    match BulkReply::decode(&frame).map_err(|error| error.to_string())? {
        BulkReply::Failed { reason } => Err(reason),
        reply @ (BulkReply::Manifest(_) | BulkReply::Chunk(_)) => Ok(reply),
    }
}
