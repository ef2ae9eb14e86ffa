//! A file beside the database that says what was acknowledged: how a loss in it is noticed.
//!
//! It never claims more than what is durable in the database: it is raised after a write, and
//! lowered, synced, before a write that truncates. Raising it is not synced, since that would
//! double the cost of every write; so after a power cut it may lag, by as much as the system had
//! not written back, and a loss within that is not noticed. A loss without a power cut always is.
//!
//! Two slots take turns, so a torn one leaves the other. This file knows no database.

use std::path::Path;
use std::sync::Arc;

use raft_core::Watermark;
use raft_core::port::PortError;
use raft_core::types::{Index, NodeId, Term};

use crate::codec::{Decoder, Encoder};
use crate::disk::{Disk, DiskFile, Open};

const NAME: &str = "ACKNOWLEDGED";
/// Far enough apart that no sector holds both.
const SLOT_BYTES: u64 = 4096;
const BODY_BYTES: usize = 33;

/// The file, open.
pub(super) struct Acknowledged {
    file: Arc<dyn DiskFile>,
    /// How often it was written; says which slot is next, and which one is newer.
    count: u64,
    pub(super) watermark: Watermark,
}

impl Acknowledged {
    pub(super) fn open(disk: &dyn Disk) -> Result<Self, PortError> {
        let path = Path::new(NAME);
        let names = disk.list(Path::new("")).map_err(failed("list"))?;
        let is_there = names.iter().any(|name| name == NAME);
        let open = if is_there { Open::Existing } else { Open::New };
        let file = disk.open(path, open).map_err(failed("open"))?;
        if !is_there {
            file.sync().map_err(failed("sync"))?;
            disk.sync_dir(Path::new("")).map_err(failed("sync"))?;
        }
        let mut newest = (0, Watermark::default());
        for slot in 0..2 {
            let mut bytes = [0; BODY_BYTES + 4];
            file.read_at(&mut bytes, slot * SLOT_BYTES)
                .map_err(failed("read"))?;
            let found = decode(&bytes).filter(|(count, _)| *count > newest.0);
            newest = found.unwrap_or(newest);
        }
        let (count, watermark) = newest;
        Ok(Self {
            file,
            count,
            watermark,
        })
    }

    /// From now on this is claimed, as far as the system writes it back.
    pub(super) fn raise(&mut self, watermark: Watermark) -> Result<(), PortError> {
        if watermark == self.watermark {
            return Ok(());
        }
        self.count += 1;
        let bytes = encode(self.count, watermark);
        let offset = self.count % 2 * SLOT_BYTES;
        self.file
            .write_at(&bytes, offset)
            .map_err(failed("write"))?;
        self.watermark = watermark;
        Ok(())
    }

    /// From now on no more than this is claimed, whatever happens.
    pub(super) fn lower(&mut self, index: Index) -> Result<(), PortError> {
        if index >= self.watermark.index {
            return Ok(());
        }
        let watermark = Watermark {
            index,
            ..self.watermark
        };
        self.raise(watermark)?;
        self.file.sync().map_err(failed("sync"))
    }
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> PortError {
    move |source| PortError::io(format!("{what} {NAME}"), source)
}

fn encode(count: u64, watermark: Watermark) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder(&mut bytes);
    encoder.u64(count);
    encoder.u64(watermark.term.0);
    encoder.u8(u8::from(watermark.vote.is_some()));
    encoder.u64(watermark.vote.unwrap_or_default().0);
    encoder.u64(watermark.index.0);
    let checksum = crc32c::crc32c(encoder.0);
    encoder.u32(checksum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u64, Watermark)> {
    let (body, checksum) = bytes.split_at_checked(BODY_BYTES)?;
    if Decoder(checksum).u32()? != crc32c::crc32c(body) {
        return None;
    }
    let mut decoder = Decoder(body);
    let count = decoder.u64()?;
    let term = Term(decoder.u64()?);
    let voted = decoder.u8()?;
    let vote = NodeId(decoder.u64()?);
    let index = Index(decoder.u64()?);
    let watermark = Watermark {
        term,
        vote: (voted == 1).then_some(vote),
        index,
    };
    Some((count, watermark))
}
