//! Work on the files of snapshots: checksums, copies, links, and the manifest beside them.
//!
//! No content is ever in memory as a whole. This file does not know which directory is what.

use std::io;
use std::path::Path;

use raft_core::port::{Manifest, PortError, SnapshotFile};
use xxhash_rust::xxh3::Xxh3;

use super::manifest::{MANIFEST_BYTES_MAX, MANIFEST_NAME, decode_manifest, encode_manifest};
use crate::disk::{Disk, DiskFile, Open};

/// How much is read, written and hashed at a time.
pub(super) const BUFFER_BYTES: usize = 512 << 10;

/// What content measures: all that a manifest says of a file but its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) size: u64,
    pub(super) hash: u64,
}

impl Measure {
    pub(super) fn of(file: &SnapshotFile) -> Self {
        Self {
            size: file.size,
            hash: file.hash,
        }
    }

    pub(super) fn named(self, name: &str) -> SnapshotFile {
        SnapshotFile {
            name: name.to_owned(),
            size: self.size,
            hash: self.hash,
        }
    }
}

/// Measures content that comes piece by piece.
pub(super) struct Meter {
    size: u64,
    hasher: Box<Xxh3>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            size: 0,
            hasher: Box::new(Xxh3::new()),
        }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn measure(&self) -> Measure {
        Measure {
            size: self.size,
            hash: self.hasher.digest(),
        }
    }
}

/// Room for one piece of content.
pub(super) fn buffer() -> Vec<u8> {
    vec![0; BUFFER_BYTES]
}

/// Reads a file from its beginning to its end, and hands on each piece.
pub(super) fn read_through(
    file: &dyn DiskFile,
    path: &Path,
    each: &mut dyn FnMut(&[u8]) -> Result<(), PortError>,
) -> Result<Meter, PortError> {
    let mut buffer = buffer();
    let mut meter = Meter::new();
    loop {
        let count = file
            .read_at(&mut buffer, meter.size())
            .map_err(failed("read", path))?;
        if count == 0 {
            return Ok(meter);
        }
        meter.add(&buffer[..count]);
        each(&buffer[..count])?;
    }
}

/// Measures what is in a file now.
pub(super) fn measure(file: &dyn DiskFile, path: &Path) -> Result<Measure, PortError> {
    let meter = read_through(file, path, &mut |_| Ok(()))?;
    Ok(meter.measure())
}

/// Whether the file at `path` is there and holds what a manifest says.
pub(super) fn is_intact(
    disk: &dyn Disk,
    path: &Path,
    expected: &SnapshotFile,
) -> Result<bool, PortError> {
    let Some(file) = open_if_there(disk, path)? else {
        return Ok(false);
    };
    // The size is told without reading, and most damage shows there.
    if file.size().map_err(failed("measure", path))? != expected.size {
        return Ok(false);
    }
    Ok(measure(&*file, path)? == Measure::of(expected))
}

/// Gives content that never changes again a second name, or a copy where that can't be done.
/// Durable on return but for the name.
pub(super) fn link_or_copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<Measure, PortError> {
    match disk.link(from, to) {
        Ok(()) => {
            let file = disk.open(to, Open::Existing).map_err(failed("open", to))?;
            let measure = measure(&*file, to)?;
            // Whoever wrote it may not have made it durable.
            file.sync().map_err(failed("sync", to))?;
            Ok(measure)
        }
        // Why it can't be linked does not matter if it can be copied, and shows if not.
        Err(_) => copy(disk, from, to),
    }
}

/// Opens a file, unless it is not there.
pub(super) fn open_if_there(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Option<std::sync::Arc<dyn DiskFile>>, PortError> {
    match disk.open(path, Open::Existing) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", path)(error)),
    }
}

/// Removes a file or a directory, unless it is not there.
pub(super) fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), PortError> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a manifest into its directory. Durable on return but for its name.
pub(super) fn write_manifest(
    disk: &dyn Disk,
    dir: &Path,
    manifest: &Manifest,
) -> Result<(), PortError> {
    let path = dir.join(MANIFEST_NAME);
    let bytes = encode_manifest(manifest);
    if bytes.len() > MANIFEST_BYTES_MAX {
        let count = manifest.files.len();
        return Err(PortError::misused(format!(
            "a snapshot of {count} files has too many: its manifest would be longer than \
             {MANIFEST_BYTES_MAX} bytes"
        )));
    }
    let file = disk.open(&path, Open::New).map_err(failed("make", &path))?;
    file.write_at(&bytes, 0).map_err(failed("write", &path))?;
    file.sync().map_err(failed("sync", &path))
}

/// Reads the manifest in a directory.
pub(super) fn read_manifest(disk: &dyn Disk, dir: &Path) -> Result<Manifest, PortError> {
    let path = dir.join(MANIFEST_NAME);
    let place = path.display().to_string();
    let Some(file) = open_if_there(disk, &path)? else {
        return Err(PortError::damaged(format!("{place} is missing")));
    };
    let size = file.size().map_err(failed("measure", &path))?;
    let Some(length) = usize::try_from(size)
        .ok()
        .filter(|length| *length <= MANIFEST_BYTES_MAX)
    else {
        return Err(PortError::damaged(format!(
            "{place} has {size} bytes, more than a manifest may have"
        )));
    };
    let mut bytes = vec![0; length];
    let count = file.read_at(&mut bytes, 0).map_err(failed("read", &path))?;
    decode_manifest(&bytes[..count]).map_err(|error| error.at(&place))
}

/// Puts what was being done, and to what, before what the system said.
pub(super) fn failed<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> PortError + use<'a> {
    move |source| PortError::io(format!("can't {doing} {}", path.display()), source)
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<Measure, PortError> {
    let source = disk
        .open(from, Open::Existing)
        .map_err(failed("open", from))?;
    let target = disk.open(to, Open::New).map_err(failed("make", to))?;
    let mut offset = 0;
    let meter = read_through(&*source, from, &mut |bytes| {
        target
            .write_at(bytes, offset)
            .map_err(failed("write", to))?;
        offset += bytes.len() as u64;
        Ok(())
    })?;
    target.sync().map_err(failed("sync", to))?;
    Ok(meter.measure())
}
