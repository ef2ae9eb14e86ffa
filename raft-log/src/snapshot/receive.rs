//! A snapshot that a peer sends.
//!
//! A file has its name once it is whole, verified and durable; until then it is called after its
//! place in the manifest. So what is written to is never a file that other snapshots share, and
//! after a crash it is clear which is which. This file does not know the peer.

use std::path::PathBuf;
use std::sync::Arc;

use raft_core::port::{Manifest, PortError, PortErrorKind, SnapshotFile, SnapshotReceiver};

use super::files::{
    Measure, Meter, failed, is_intact, link_or_copy, open_if_there, read_manifest, read_through,
    remove_if_there, write_manifest,
};
use super::layout::{DirName, Stage};
use super::manifest::{MANIFEST_NAME, check_manifest};
use super::retain::Pin;
use super::{Claim, Shared};
use crate::disk::{Disk, DiskFile, Open};

/// What is going to be a file is called so, with its place behind. No file can be.
const PARTIAL_PREFIX: &str = ".partial-";

/// Begins or resumes.
pub(super) fn begin(
    shared: &Arc<Shared>,
    manifest: Manifest,
) -> Result<Box<dyn SnapshotReceiver>, PortError> {
    check_offer(&manifest)?;
    if let Some(pin) = shared.pin(manifest.meta.last) {
        return Ok(Box::new(Known { _pin: pin }));
    }
    let claim = shared.claim(DirName::new(Stage::Receiving, manifest.meta.last))?;
    let mut receiver = Receiver {
        dir: claim.path(),
        claim,
        manifest,
        missing: Vec::new(),
        current: None,
        broken: None,
    };
    let ready = receiver.prepare().and_then(|()| receiver.open_next());
    if let Err(error) = ready {
        receiver.give_up(&error);
        return Err(error);
    }
    Ok(Box::new(receiver))
}

/// A peer may send anything.
fn check_offer(manifest: &Manifest) -> Result<(), PortError> {
    let refused = |why: String| {
        let last = manifest.meta.last;
        PortError::misused(format!(
            "the snapshot {last} that is offered is refused: {why}"
        ))
    };
    check_manifest(manifest).map_err(|error| refused(error.to_string()))?;
    let empty = Meter::new().measure();
    for file in &manifest.files {
        // It would be missing for ever: there is nothing to send that could make it whole.
        if file.size == 0 && Measure::of(file) != empty {
            let name = &file.name;
            return Err(refused(format!(
                "the empty file {name} has a wrong checksum"
            )));
        }
    }
    Ok(())
}

/// A snapshot that exists: nothing is wanted. It is kept until the receiver is dropped.
struct Known {
    _pin: Pin,
}

impl SnapshotReceiver for Known {
    fn wants(&self) -> Option<(usize, u64)> {
        None
    }

    fn take(&mut self, _bytes: &[u8]) -> Result<(), PortError> {
        Err(nothing_wanted())
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

struct Receiver {
    claim: Claim,
    dir: PathBuf,
    manifest: Manifest,
    /// The places of the files that are not there yet, the next one last.
    missing: Vec<usize>,
    /// The file that is being written, which is the last of `missing`.
    current: Option<Partial>,
    /// The first thing that went wrong on the disk. From then on all fails.
    broken: Option<(PortErrorKind, String)>,
}

/// A file that is not whole.
struct Partial {
    file: Arc<dyn DiskFile>,
    /// Over all that is in the file so far, re-read where it was there before.
    meter: Meter,
}

impl Receiver {
    /// Gets the directory to hold the manifest and every file that need not be sent.
    fn prepare(&mut self) -> Result<(), PortError> {
        let disk = self.claim.shared.disk.clone();
        let is_same = match read_manifest(&*disk, &self.dir) {
            Ok(found) => found == self.manifest,
            Err(error) => match error.kind {
                PortErrorKind::Damaged | PortErrorKind::Misused => false,
                PortErrorKind::Full | PortErrorKind::Broken => return Err(error),
            },
        };
        if is_same {
            self.remove_strangers(&*disk)?;
        } else {
            remove_if_there(&*disk, &self.dir)?;
            disk.create_dir(&self.dir)
                .map_err(failed("make", &self.dir))?;
            write_manifest(&*disk, &self.dir, &self.manifest)?;
        }
        let abandoned = self.claim.shared.claim_abandoned()?;
        let others = self.claim.shared.others(&abandoned);
        for (place, file) in self.manifest.files.iter().enumerate().rev() {
            if !self.obtain(&*disk, file, &others)? {
                self.missing.push(place);
            }
        }
        // Nobody sends an older snapshot once there is a newer one, and what was left of it has
        // been linked.
        for claim in abandoned {
            remove_if_there(&*disk, &claim.path())?;
        }
        Ok(())
    }

    /// Removes what the manifest does not name and no attempt at it can have left.
    fn remove_strangers(&self, disk: &dyn Disk) -> Result<(), PortError> {
        let names = disk.list(&self.dir).map_err(failed("list", &self.dir))?;
        for name in names {
            let is_partial = name
                .strip_prefix(PARTIAL_PREFIX)
                .and_then(|place| place.parse().ok())
                .is_some_and(|place: usize| place < self.manifest.files.len());
            if !is_partial && name != MANIFEST_NAME && self.manifest.find(&name).is_none() {
                remove_if_there(disk, &self.dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Whether a file is there, from an earlier attempt or another snapshot. Whatever it is, it is
    /// believed only after it was read.
    fn obtain(
        &self,
        disk: &dyn Disk,
        file: &SnapshotFile,
        others: &[(PathBuf, Arc<Manifest>)],
    ) -> Result<bool, PortError> {
        let path = self.dir.join(&file.name);
        if is_intact(disk, &path, file)? {
            return Ok(true);
        }
        remove_if_there(disk, &path)?;
        for (dir, manifest) in others {
            let twin = manifest.find(&file.name);
            if !twin.is_some_and(|(_, twin)| twin == file) {
                continue;
            }
            // An error here costs a transfer and no more.
            if let Ok(found) = link_or_copy(disk, &dir.join(&file.name), &path)
                && found == Measure::of(file)
            {
                return Ok(true);
            }
            remove_if_there(disk, &path)?;
        }
        Ok(false)
    }

    /// Opens the next missing file where an earlier attempt left it. Files that are empty are never
    /// wanted: they are made here.
    fn open_next(&mut self) -> Result<(), PortError> {
        self.current = None;
        while let Some(&place) = self.missing.last() {
            let expected = &self.manifest.files[place];
            let partial = self.open_partial(place, expected)?;
            let size = partial.meter.size();
            if size < expected.size {
                self.current = Some(partial);
                return Ok(());
            }
            if partial.meter.measure() == Measure::of(expected) {
                self.complete(place, &partial)?;
                continue;
            }
            // It was whole and is not what it should be: from the beginning.
            drop(partial);
            remove_if_there(&*self.claim.shared.disk, &self.partial_path(place))?;
        }
        Ok(())
    }

    fn open_partial(&self, place: usize, expected: &SnapshotFile) -> Result<Partial, PortError> {
        let disk = &self.claim.shared.disk;
        let path = self.partial_path(place);
        if let Some(file) = open_if_there(&**disk, &path)?
            && file.size().map_err(failed("measure", &path))? <= expected.size
        {
            let meter = read_through(&*file, &path, &mut |_| Ok(()))?;
            return Ok(Partial { file, meter });
        }
        let file = disk.open(&path, Open::New).map_err(failed("make", &path))?;
        Ok(Partial {
            file,
            meter: Meter::new(),
        })
    }

    /// Gives a file that is whole and verified its name.
    fn complete(&mut self, place: usize, partial: &Partial) -> Result<(), PortError> {
        let (from, to) = (self.partial_path(place), self.file_path(place));
        partial.file.sync().map_err(failed("sync", &from))?;
        let disk = &self.claim.shared.disk;
        disk.rename(&from, &to).map_err(failed("rename", &from))?;
        self.missing.pop();
        Ok(())
    }

    fn take_into(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        let (Some(&place), Some(mut partial)) = (self.missing.last(), self.current.take()) else {
            return Err(nothing_wanted());
        };
        let path = self.partial_path(place);
        let offset = partial.meter.size();
        partial
            .file
            .write_at(bytes, offset)
            .map_err(failed("write", &path))?;
        partial.meter.add(bytes);
        let expected = &self.manifest.files[place];
        if partial.meter.size() < expected.size {
            self.current = Some(partial);
            return Ok(());
        }
        if partial.meter.measure() != Measure::of(expected) {
            return self.start_over(place);
        }
        self.complete(place, &partial)?;
        self.open_next()
    }

    /// What arrived is not what was announced. That is no fault of the disk, so the next attempt
    /// may succeed.
    fn start_over(&mut self, place: usize) -> Result<(), PortError> {
        remove_if_there(&*self.claim.shared.disk, &self.partial_path(place))?;
        self.open_next()?;
        Err(self.differs(place))
    }

    fn differs(&self, place: usize) -> PortError {
        let name = &self.manifest.files[place].name;
        PortError::damaged(format!(
            "the file {name} that was received differs from its checksum"
        ))
    }

    fn seal(&self) -> Result<(), PortError> {
        let disk = &self.claim.shared.disk;
        for (place, file) in self.manifest.files.iter().enumerate() {
            let path = self.file_path(place);
            if !is_intact(&**disk, &path, file)? {
                remove_if_there(&**disk, &path)?;
                return Err(self.differs(place));
            }
        }
        disk.sync_dir(&self.dir).map_err(failed("sync", &self.dir))
    }

    /// After a failed write or sync what is in the files is unknown, even if it reads well now. So
    /// nothing of it may be resumed.
    fn give_up(&mut self, error: &PortError) {
        match error.kind {
            PortErrorKind::Full | PortErrorKind::Broken => {
                self.current = None;
                self.broken = Some((error.kind, error.to_string()));
                self.claim.shared.discard(self.claim.name);
            }
            PortErrorKind::Damaged | PortErrorKind::Misused => {}
        }
    }

    fn check_unbroken(&self) -> Result<(), PortError> {
        let Some((kind, why)) = &self.broken else {
            return Ok(());
        };
        Err(PortError {
            kind: *kind,
            context: format!("snapshot {} failed before: {why}", self.claim.name),
            source: None,
        })
    }

    fn file_path(&self, place: usize) -> PathBuf {
        self.dir.join(&self.manifest.files[place].name)
    }

    fn partial_path(&self, place: usize) -> PathBuf {
        self.dir.join(format!("{PARTIAL_PREFIX}{place}"))
    }
}

fn nothing_wanted() -> PortError {
    PortError::misused("nothing of the snapshot is wanted any more")
}

impl SnapshotReceiver for Receiver {
    fn wants(&self) -> Option<(usize, u64)> {
        let place = *self.missing.last()?;
        let offset = self.current.as_ref().map_or(0, |file| file.meter.size());
        Some((place, offset))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.check_unbroken()?;
        let Some((place, offset)) = self.wants() else {
            return Err(nothing_wanted());
        };
        let file = &self.manifest.files[place];
        if bytes.len() as u64 > file.size - offset {
            return Err(PortError::misused(format!(
                "{} bytes from {offset} on are more than the file {} has",
                bytes.len(),
                file.name
            )));
        }
        let taken = self.take_into(bytes);
        if let Err(error) = &taken {
            self.give_up(error);
        }
        taken
    }

    fn finish(mut self: Box<Self>) -> Result<(), PortError> {
        self.check_unbroken()?;
        if let Some((place, offset)) = self.wants() {
            return Err(PortError::misused(format!(
                "the file {} is wanted from {offset} on",
                self.manifest.files[place].name
            )));
        }
        let sealed = self.seal();
        if let Err(error) = &sealed {
            self.give_up(error);
        }
        sealed?;
        let manifest = std::mem::take(&mut self.manifest);
        self.claim.shared.publish(self.claim.name, manifest)
    }
}

impl Shared {
    /// What was being received before and is not any more, this attempt apart: it has a claim.
    fn claim_abandoned(self: &Arc<Self>) -> Result<Vec<Claim>, PortError> {
        let mut names = self.names()?;
        names.retain(|name| name.stage == Stage::Receiving);
        let claims = names.into_iter().filter_map(|name| self.claim(name).ok());
        Ok(claims.collect())
    }

    /// Where files may be found that need not be sent.
    fn others(&self, abandoned: &[Claim]) -> Vec<(PathBuf, Arc<Manifest>)> {
        let mut others = Vec::new();
        for (last, manifest) in &self.lock().complete {
            let dir = self.path(DirName::new(Stage::Complete, *last));
            others.push((dir, manifest.clone()));
        }
        for claim in abandoned {
            if let Ok(manifest) = read_manifest(&*self.disk, &claim.path()) {
                others.push((claim.path(), Arc::new(manifest)));
            }
        }
        others
    }
}
