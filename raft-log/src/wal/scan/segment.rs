//! One segment as it lies on the disk: its header and its batches, up to the first flaw.
//!
//! This file does not know what the batches mean, or whether a flaw is damage.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::PortError;

use crate::disk::{Disk, DiskFile, Open};
use crate::error::OpenError;
use crate::format::{
    BatchHeader, Flaw, Placed, SEGMENT_HEADER_BYTES, Salt, SegmentHeader, SegmentHeaderError,
    VERSION, decode_batch,
};
use crate::wal::files;
use crate::wal::identity::IdentityFile;

/// Where the version lies in the header of a batch.
const VERSION_AT: usize = 12;

/// A segment whose header was read.
pub(crate) struct Opened {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) salt: Salt,
    /// The last batch before this segment, by its header or else by its first batch.
    pub(crate) follows: Option<u64>,
    /// The last batch here that counts.
    pub(crate) limit: u64,
    /// `None` if it can't be read.
    header: Option<SegmentHeader>,
    size: u64,
    content: OnceCell<Bytes>,
}

/// A whole batch.
pub(crate) struct Whole<'a> {
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) records: &'a [Placed],
}

/// Where the whole batches end.
pub(crate) struct Ended {
    pub(crate) offset: u64,
    /// How much of a batch lies there that is not whole.
    pub(crate) torn_bytes: u64,
}

impl Opened {
    /// Reads the header.
    ///
    /// # Errors
    /// When the system fails, the version is not known, or it is a segment of another log.
    pub(crate) fn new(disk: &dyn Disk, number: u64, id: IdentityFile) -> Result<Self, OpenError> {
        let path = files::segment(number);
        let (file, header, size) = open(disk, &path)?;
        let header = match header {
            Ok(header) if header.identity != id.identity => {
                return Err(OpenError::Foreign {
                    found: header.identity,
                    expected: id.identity,
                });
            }
            // A copy of another segment, or of another life of this node, is no part of this log.
            Ok(header) if header.log_id != id.log_id || header.number != number => None,
            Ok(header) => Some(header),
            Err(SegmentHeaderError::Damaged) => None,
            Err(SegmentHeaderError::Version(version)) => {
                return Err(OpenError::UnknownVersion {
                    file: path.display().to_string(),
                    version,
                });
            }
        };
        let mut opened = Self {
            number,
            file,
            salt: Salt::new(id.log_id, number),
            follows: header.map(|header| header.follows),
            limit: u64::MAX,
            header,
            size,
            content: OnceCell::new(),
        };
        if header.is_none() {
            let at = (opened.salt, SEGMENT_HEADER_BYTES as u64);
            let rest = opened.content()?.get(SEGMENT_HEADER_BYTES..);
            let first = BatchHeader::decode(rest.unwrap_or_default(), at);
            opened.follows = first.ok().map(|first| first.sequence.saturating_sub(1));
        }
        Ok(opened)
    }

    pub(crate) const fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// What it says of itself; `None` if that can't be read.
    pub(crate) const fn header(&self) -> Option<SegmentHeader> {
        self.header
    }

    /// Whether all that it holds was declared void.
    pub(crate) fn is_void(&self) -> bool {
        self.header.is_some_and(|header| header.first > self.limit)
    }

    /// Hands on the whole batches from the beginning.
    pub(crate) fn batches(&self, take: &mut dyn FnMut(Whole<'_>)) -> Result<Ended, OpenError> {
        self.batches_from(SEGMENT_HEADER_BYTES as u64, take)
    }

    /// Hands on the whole batches from `offset` on, as far as they count.
    pub(crate) fn batches_from(
        &self,
        offset: u64,
        take: &mut dyn FnMut(Whole<'_>),
    ) -> Result<Ended, OpenError> {
        let content = self.content()?;
        let mut records = Vec::new();
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut expected = None;
        let torn_bytes = loop {
            records.clear();
            match decode_batch(content, self.salt, at, &mut records) {
                Ok(header) if header.sequence > self.limit => break 0,
                Ok(header) if expected.is_some_and(|next| header.sequence != next) => break 0,
                Ok(header) => {
                    take(Whole {
                        sequence: header.sequence,
                        offset: at as u64,
                        size: header.size() as u64,
                        records: &records,
                    });
                    at += header.size();
                    expected = Some(header.sequence + 1);
                }
                Err(Flaw::Absent) => break 0,
                Err(Flaw::Incomplete(header)) => break header.size() as u64,
                Err(Flaw::Unknown { version }) => {
                    let file = files::segment(self.number).display().to_string();
                    return Err(OpenError::UnknownVersion { file, version });
                }
            }
        };
        Ok(Ended {
            offset: at as u64,
            torn_bytes,
        })
    }

    /// Where a later batch begins, after `offset` and with a number after `sequence`, as far as it
    /// counts.
    pub(crate) fn find_later(&self, offset: u64, sequence: u64) -> Result<Option<u64>, PortError> {
        let content = self.content()?;
        let is_later = |at: &usize| {
            let rest = &content[*at..];
            // Most places are ruled out without computing a checksum.
            let version = rest.get(VERSION_AT..VERSION_AT + 4);
            if version != Some(&u32::from(VERSION).to_le_bytes()[..]) {
                return false;
            }
            let header = BatchHeader::decode(rest, (self.salt, *at as u64));
            header.is_ok_and(|header| header.sequence > sequence && header.sequence <= self.limit)
        };
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .saturating_add(8);
        let found = (start..content.len()).step_by(8).find(is_later);
        Ok(found.map(|at| at as u64))
    }

    /// Where the last byte lies that is not zero.
    pub(crate) fn content_end(&self) -> Result<u64, PortError> {
        let content = self.content()?;
        let last = content.iter().rposition(|byte| *byte != 0);
        Ok(last.map_or(0, |last| last as u64 + 1))
    }

    /// All of the file, read once.
    fn content(&self) -> Result<&Bytes, PortError> {
        if let Some(content) = self.content.get() {
            return Ok(content);
        }
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(usize::MAX)];
        let read = self.file.read_at(&mut bytes, 0);
        let read = read.map_err(|error| failed(&files::segment(self.number), error))?;
        bytes.truncate(read);
        Ok(self.content.get_or_init(|| Bytes::from(bytes)))
    }
}

type Header = Result<SegmentHeader, SegmentHeaderError>;

fn open(disk: &dyn Disk, path: &Path) -> Result<(Arc<dyn DiskFile>, Header, u64), PortError> {
    let open = || {
        let file = disk.open(path, Open::Existing)?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0)?;
        let size = file.size()?;
        Ok((file, SegmentHeader::decode(&bytes[..read]), size))
    };
    open().map_err(|error| failed(path, error))
}

/// Whose log the segment says that it belongs to.
pub(crate) fn owner(disk: &dyn Disk, number: u64) -> Result<Option<IdentityFile>, PortError> {
    let (_, header, _) = open(disk, &files::segment(number))?;
    Ok(header.ok().map(|header| IdentityFile {
        identity: header.identity,
        log_id: header.log_id,
    }))
}

fn failed(path: &Path, error: std::io::Error) -> PortError {
    PortError::io(format!("read {}", path.display()), error)
}
