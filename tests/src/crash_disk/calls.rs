//! The calls of the seam to the disk, carried out on a [`CrashDisk`].
//!
//! This file knows what each call changes and what a fault makes of it, but not what a power cut
//! leaves.

use std::io;
use std::path::Path;
use std::sync::Arc;

use raft_core::sim::rng::Rng;
use raft_log::disk::{Disk, DiskFile, Open};

use super::{Change, Content, CrashDisk, Names, Needs, Target, image};

impl Disk for CrashDisk {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut shared = self.lock();
        let file = match open {
            Open::Existing => {
                shared.alive()?;
                shared.state.file(path)?
            }
            Open::New => {
                shared.begin(Needs::Room)?;
                let state = &mut shared.state;
                let place = state.place(path)?;
                if let Ok(file) = state.file(path) {
                    let content = &mut state.files[file];
                    content.now = Arc::default();
                    content.pending.push(Change::Emptied);
                    file
                } else {
                    let file = state.files.len();
                    state.files.push(Content::default());
                    state.rename(None, Some((place, Target::File(file))));
                    file
                }
            }
        };
        let disk = self.clone();
        Ok(Arc::new(CrashFile { disk, file }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let shared = self.lock();
        shared.alive()?;
        let names = shared.state.dir(dir).map(|dir| &shared.state.dirs[dir].now);
        Ok(names.map_or_else(|_| Vec::new(), |names| names.keys().cloned().collect()))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut shared = self.lock();
        shared.begin(Needs::Room)?;
        let state = &mut shared.state;
        let place = state.place(dir)?;
        if state.target(&place).is_err() {
            let made = Target::Dir(state.dirs.len());
            state.dirs.push(Names::default());
            state.rename(None, Some((place, made)));
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut shared = self.lock();
        shared.begin(Needs::Nothing)?;
        let state = &mut shared.state;
        let (from, to) = (state.place(from)?, state.place(to)?);
        let target = state.target(&from)?;
        if matches!(state.target(&to), Ok(Target::Dir(_))) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename(Some(from), Some((to, target)));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut shared = self.lock();
        shared.begin(Needs::Room)?;
        let state = &mut shared.state;
        let (file, to) = (state.file(from)?, state.place(to)?);
        if state.target(&to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename(None, Some((to, Target::File(file))));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut shared = self.lock();
        shared.begin(Needs::Nothing)?;
        let place = shared.state.place(path)?;
        let target = shared.state.target(&place)?;
        shared.state.remove(place, target);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut shared = self.lock();
        // Unlike bytes, names are not forgotten: a journal that can't be written stops everything.
        shared.begin(Needs::Nothing)?;
        let state = &mut shared.state;
        let dir = state.dir(dir)?;
        for rename in state.covered(dir) {
            rename.apply(&mut state.dirs, |names| &mut names.durable);
        }
        Ok(())
    }
}

/// An open file of a [`CrashDisk`].
struct CrashFile {
    disk: CrashDisk,
    file: usize,
}

impl DiskFile for CrashFile {
    fn size(&self) -> io::Result<u64> {
        let shared = self.disk.lock();
        shared.alive()?;
        Ok(shared.state.files[self.file].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let shared = self.disk.lock();
        shared.alive()?;
        let content = &shared.state.files[self.file].now;
        let from = place(offset)?.min(content.len());
        let count = buffer.len().min(content.len() - from);
        buffer[..count].copy_from_slice(&content[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = place(offset)?;
        let mut shared = self.disk.lock();
        shared.alive()?;
        let fitting = shared.fitting(self.file, offset, bytes.len());
        let mut done = shared.begin(Needs::Room);
        if done.is_ok() && fitting < bytes.len() {
            done = Err(io::ErrorKind::StorageFull.into());
        }
        // A write that fails may have done a part of its work.
        let count = match &done {
            Ok(()) => bytes.len(),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                fitting.min(bytes.len() / 2)
            }
            Err(_) => bytes.len() / 2,
        };
        if count > 0 {
            shared.state.files[self.file].write(offset, &bytes[..count]);
        }
        done
    }

    fn sync(&self) -> io::Result<()> {
        let mut shared = self.disk.lock();
        let (at, done) = (shared.operations, shared.begin(Needs::Nothing));
        shared.alive()?;
        let content = &mut shared.state.files[self.file];
        content.durable = match &done {
            Ok(()) => content.flushed(),
            Err(_) => image::landed(content, &mut Rng::new(at)),
        };
        content.pending.clear();
        done
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}
