//! The file that says whose directory it is, and draws the log's own number.
//!
//! ```text
//!  0        8         12       16        24     32       40
//!  | magic  | version | crc32c | cluster | node | log id |
//! ```
//!
//! This file does not know the log.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

use raft_core::NodeId;
use raft_core::port::PortError;

use crate::codec::{Decoder, Encoder};
use crate::config::Identity;
use crate::disk::{Disk, Open};

pub(crate) const NAME: &str = "identity";
const NEW_NAME: &str = "identity.new";

const MAGIC: &[u8; 8] = b"RAFTID\0\n";
const VERSION: u32 = 1;
const SIZE: usize = 40;

/// Whose directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdentityFile {
    pub(crate) identity: Identity,
    /// Drawn when the log was created: tells it from every other, also of the same node.
    pub(crate) log_id: u64,
}

/// What the directory says of its owner.
pub(crate) enum Found {
    Nothing,
    Damaged,
    Version(u32),
    Known(IdentityFile),
}

impl IdentityFile {
    /// For a log that is being created.
    pub(crate) fn draw(identity: Identity) -> Self {
        // The standard library keys its hashers at random; that is all the randomness needed here.
        let log_id = RandomState::new().hash_one(identity.cluster);
        Self { identity, log_id }
    }

    pub(crate) fn read(disk: &dyn Disk) -> io::Result<Found> {
        let file = match disk.open(Path::new(NAME), Open::Existing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            other => other?,
        };
        let mut bytes = [0; SIZE];
        let read = file.read_at(&mut bytes, 0)?;
        Ok(decode(&bytes[..read]).unwrap_or(Found::Damaged))
    }

    /// Writes it, durable and whole or not at all.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), PortError> {
        let write = || {
            let new = Path::new(NEW_NAME);
            let file = disk.open(new, Open::New)?;
            file.write_at(&self.encode(), 0)?;
            file.sync()?;
            disk.rename(new, Path::new(NAME))?;
            disk.sync_dir(Path::new(""))
        };
        write().map_err(|error| PortError::io("write the file `identity`", error))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut encoder = Encoder(&mut bytes);
        encoder.u32(VERSION);
        encoder.u32(0);
        encoder.u64(self.identity.cluster);
        encoder.u64(self.identity.node.0);
        encoder.u64(self.log_id);
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

fn decode(bytes: &[u8]) -> Option<Found> {
    let mut decoder = Decoder(bytes);
    let magic = decoder.bytes(MAGIC.len())?;
    let version = decoder.u32()?;
    let crc = decoder.u32()?;
    let cluster = decoder.u64()?;
    let node = NodeId(decoder.u64()?);
    let log_id = decoder.u64()?;
    if magic != MAGIC || crc != checksum(bytes) {
        return None;
    }
    if version != VERSION {
        return Some(Found::Version(version));
    }
    Some(Found::Known(IdentityFile {
        identity: Identity { cluster, node },
        log_id,
    }))
}
