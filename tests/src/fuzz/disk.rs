//! A disk in memory that keeps all it is given, so that damage can be done to it.
//!
//! It deliberately knows no crash: what is not synced stays too.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_log::disk::{Disk, DiskFile, Open};

type Content = Arc<Mutex<Vec<u8>>>;

/// Files by their paths; directories are there as soon as something is in them.
#[derive(Default)]
pub(super) struct MemoryDisk(Mutex<BTreeMap<PathBuf, Content>>);

struct MemoryFile(Content);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryDisk {
    pub(super) fn of(files: &BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let content = |bytes: &Vec<u8>| Arc::new(Mutex::new(bytes.clone()));
        let files = files.iter();
        Self(Mutex::new(
            files
                .map(|(path, bytes)| (path.clone(), content(bytes)))
                .collect(),
        ))
    }

    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = lock(&self.0);
        let bytes = |content: &Content| lock(content).clone();
        let files = files.iter();
        files
            .map(|(path, content)| (path.clone(), bytes(content)))
            .collect()
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut files = lock(&self.0);
        if open == Open::New {
            files.insert(path.to_owned(), Content::default());
        }
        let content = files.get(path).ok_or_else(missing)?;
        Ok(Arc::new(MemoryFile(Arc::clone(content))))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = lock(&self.0);
        let mut names: Vec<String> = Vec::new();
        for path in files.keys() {
            let below = path.strip_prefix(dir).ok();
            let name = below.and_then(|below| below.iter().next());
            names.extend(name.map(|name| name.to_string_lossy().into_owned()));
        }
        names.dedup();
        Ok(names)
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.0);
        let content = files.remove(from).ok_or_else(missing)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.0);
        let content = Arc::clone(files.get(from).ok_or_else(missing)?);
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut files = lock(&self.0);
        files.retain(|file, _| !file.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = lock(&self.0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
