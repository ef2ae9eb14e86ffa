//! The disk of the operating system: a directory that one process at a time may use.
//!
//! This file does not know what is in the files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, Open};

/// Who holds it may use the directory. The file stays; the lock goes with the process.
const LOCK_NAME: &str = "LOCK";

/// Why a directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenDirError {
    /// Another process uses it.
    #[error(
        "{path} is in use by another process{holder}: stop that one first, or give this one a \
         directory of its own"
    )]
    Locked {
        /// The directory.
        path: String,
        /// Its process id in words, as far as the file says.
        holder: String,
    },
    /// It can't be made, or not be locked.
    #[error("can't use the directory {path}: {source}")]
    Io {
        /// The directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory of the operating system, locked for this process.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    /// Open for as long as the directory is used.
    _lock: File,
}

impl RealDisk {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    /// When another process has locked it, or the system says no.
    pub fn open(root: &Path) -> Result<Self, OpenDirError> {
        create_durably(root).map_err(failed(root))?;
        Self::open_existing(root)
    }

    /// Locks a directory that is there.
    ///
    /// # Errors
    /// When another process has locked it, it is not there, or the system says no.
    pub fn open_existing(root: &Path) -> Result<Self, OpenDirError> {
        let failed = failed(root);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(root.join(LOCK_NAME)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenDirError::Locked {
                    path: root.display().to_string(),
                    holder: holder(&mut lock),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        lock.set_len(0).map_err(failed)?;
        lock.write_all(std::process::id().to_string().as_bytes())
            .map_err(failed)?;
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
        })
    }
}

fn failed(root: &Path) -> impl Fn(io::Error) -> OpenDirError + Copy {
    move |source| OpenDirError::Io {
        path: root.display().to_string(),
        source,
    }
}

/// Makes a directory and what is missing above it, each durable in its parent.
fn create_durably(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if !path.is_dir() {
        create_durably(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    // One that is there may have been made by a process that died before this. A parent that may
    // not be opened was made by somebody else, long ago.
    match File::open(parent) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other?.sync_all(),
    }
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => format!(" (process {text})"),
        Ok(_) | Err(_) => String::new(),
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if open == Open::New {
            options.create(true).truncate(true);
        }
        Ok(Arc::new(RealFile(options.open(self.root.join(path))?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(self.root.join(dir)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = self.root.join(path);
        if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.root.join(dir))?.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_used_by_one_at_a_time() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = dir.path().join("a/b");
        let first = RealDisk::open(&root).expect("free");
        let error = RealDisk::open(&root).expect_err("in use");
        let said = error.to_string();
        let process = format!("process {}", std::process::id());
        assert!(
            said.contains(&process) && said.contains("stop that one"),
            "{said}"
        );
        drop(first);
        RealDisk::open(&root).expect("free again");
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let disk = RealDisk::open(dir.path()).expect("free");
        let (a, b) = (Path::new("d/a"), Path::new("d/b"));
        disk.create_dir(Path::new("d")).expect("made");
        disk.create_dir(Path::new("d")).expect("there already");
        let file = disk.open(a, Open::New).expect("made");
        file.write_at(b"end", 5).expect("written");
        file.sync().expect("synced");
        let mut buffer = [9; 16];
        assert_eq!(file.read_at(&mut buffer, 2).expect("read"), 6);
        assert_eq!(&buffer[..6], b"\0\0\0end");
        disk.link(a, b).expect("linked");
        disk.remove(a).expect("removed");
        assert_eq!(disk.list(Path::new("d")).expect("listed"), ["b"]);
        assert_eq!(
            disk.open(b, Open::Existing)
                .expect("there")
                .size()
                .expect("size"),
            8
        );
        assert!(disk.open(a, Open::Existing).is_err());
        disk.remove(Path::new("d"))
            .expect("removed with what is in it");
        assert!(disk.list(Path::new("d")).expect("nothing").is_empty());
    }
}
