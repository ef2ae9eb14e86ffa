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

use raft_core::port::PortError;
use raft_core::types::{NodeId, Position, Term};
use raft_core::{HardState, Watermark};

use crate::codec::{Decoder, Encoder};
use crate::disk::{Disk, DiskFile, Open};

const NAME: &str = "ACKNOWLEDGED";
/// Far enough apart that no sector holds both.
const SLOT_BYTES: u64 = 4096;
const BODY_BYTES: usize = 41;

/// The file, open.
pub(super) struct Acknowledged {
    file: Arc<dyn DiskFile>,
    /// How often it was written; says which slot is next, and which one is newer.
    count: u64,
    pub(super) claim: Claim,
}

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) hard_state: HardState,
    /// The last entry, with its term: after a truncation was lost, an older log may be as long.
    pub(super) last: Position,
}

impl Claim {
    /// As the core wants it.
    pub(super) const fn watermark(&self) -> Watermark {
        Watermark {
            term: self.hard_state.term,
            vote: self.hard_state.vote,
            index: self.last.index,
        }
    }

    /// Whether nothing that was acknowledged is missing here.
    pub(super) fn is_met_by(&self, hard_state: HardState, last: Position) -> bool {
        hard_state.covers(self.hard_state) && last >= self.last
    }
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
        let mut newest = (0, Claim::default());
        for slot in 0..2 {
            let mut bytes = [0; BODY_BYTES + 4];
            file.read_at(&mut bytes, slot * SLOT_BYTES)
                .map_err(failed("read"))?;
            let found = decode(&bytes).filter(|(count, _)| *count > newest.0);
            newest = found.unwrap_or(newest);
        }
        let (count, claim) = newest;
        Ok(Self { file, count, claim })
    }

    /// From now on this is claimed, as far as the system writes it back.
    pub(super) fn raise(&mut self, claim: Claim) -> Result<(), PortError> {
        if claim == self.claim {
            return Ok(());
        }
        self.count += 1;
        let bytes = encode(self.count, claim);
        let offset = self.count % 2 * SLOT_BYTES;
        self.file
            .write_at(&bytes, offset)
            .map_err(failed("write"))?;
        self.claim = claim;
        Ok(())
    }

    /// From now on no entry beyond this one is claimed, whatever happens.
    pub(super) fn lower(&mut self, last: Position) -> Result<(), PortError> {
        if last.index >= self.claim.last.index {
            return Ok(());
        }
        self.raise(Claim { last, ..self.claim })?;
        self.file.sync().map_err(failed("sync"))
    }
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> PortError {
    move |source| PortError::io(format!("{what} {NAME}"), source)
}

fn encode(count: u64, claim: Claim) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder(&mut bytes);
    let HardState { term, vote } = claim.hard_state;
    encoder.u64(count);
    encoder.u64(term.0);
    encoder.u8(u8::from(vote.is_some()));
    encoder.u64(vote.unwrap_or_default().0);
    encoder.position(claim.last);
    let checksum = crc32c::crc32c(encoder.0);
    encoder.u32(checksum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u64, Claim)> {
    let (body, checksum) = bytes.split_at_checked(BODY_BYTES)?;
    if Decoder(checksum).u32()? != crc32c::crc32c(body) {
        return None;
    }
    let mut decoder = Decoder(body);
    let count = decoder.u64()?;
    let term = Term(decoder.u64()?);
    let voted = decoder.u8()?;
    let vote = NodeId(decoder.u64()?);
    let last = decoder.position()?;
    let hard_state = HardState {
        term,
        vote: (voted == 1).then_some(vote),
    };
    Some((count, Claim { hard_state, last }))
}
