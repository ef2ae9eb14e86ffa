//! The directory of an engine: who may use it, and which database in it is the live one. It does
//! not know what is in a database.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use raft_core::port::PortError;

use super::RocksEngineError;

/// Who holds it may use the directory. The file stays; the lock goes with the process.
const LOCK: &str = "LOCK";
const CURRENT: &str = "CURRENT_DB";
const DATABASE: &str = "db.";
const CAPTURE: &str = "capture.";
const UNFINISHED: &str = ".tmp";

/// Tells the databases of a directory apart. Each restored snapshot is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(u64);

impl Number {
    pub(super) const FIRST: Self = Self(1);

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    fn name(self) -> String {
        format!("{DATABASE}{}", self.0)
    }

    fn parse(name: &str) -> Option<Self> {
        let number = name.strip_prefix(DATABASE)?.parse().ok().map(Self)?;
        (number.name() == name).then_some(number)
    }
}

pub(super) struct Home {
    root: PathBuf,
    /// Open for as long as the directory is used.
    _lock: File,
}

impl Home {
    /// Makes the directory if it is not there, and locks it.
    pub(super) fn open(root: &Path) -> Result<Self, RocksEngineError> {
        create_durably(root).map_err(failed("make", root))?;
        let path = root.join(LOCK);
        let failed = failed("lock", &path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(&path).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RocksEngineError::Locked {
                    path: root.display().to_string(),
                    holder: holder(&mut lock),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source).into()),
        }
        lock.set_len(0).map_err(&failed)?;
        let holder = std::process::id().to_string();
        lock.write_all(holder.as_bytes()).map_err(&failed)?;
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
        })
    }

    /// The live database; none if there was never one.
    pub(super) fn live(&self) -> Result<Option<Number>, PortError> {
        let path = self.root.join(CURRENT);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.unnamed(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let number = text.strip_suffix('\n').and_then(Number::parse);
        let damaged = || PortError::damaged(format!("{} says {text:?}", path.display()));
        number.ok_or_else(damaged).map(Some)
    }

    /// The name of the live database is written when it is complete. So the first one may be there
    /// without its name, and no other.
    fn unnamed(&self) -> Result<Option<Number>, PortError> {
        let names = self.names()?;
        let found: Vec<_> = names
            .iter()
            .filter_map(|name| Number::parse(name))
            .collect();
        match found[..] {
            [] => Ok(None),
            [Number::FIRST] => {
                self.make_live(Number::FIRST)?;
                Ok(Some(Number::FIRST))
            }
            [..] => Err(PortError::damaged(format!(
                "{} has databases, but the file {CURRENT} is gone that says which is the live one",
                self.root.display()
            ))),
        }
    }

    /// Makes a database the live one, durably. After an error it is the live one, or the one before
    /// still is.
    pub(super) fn make_live(&self, number: Number) -> Result<(), PortError> {
        let path = self.root.join(format!("{CURRENT}{UNFINISHED}"));
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(format!("{}\n", number.name()).as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed("write", &path))?;
        self.rename(&path, &self.root.join(CURRENT))
    }

    /// Where a database lies.
    pub(super) fn path(&self, number: Number) -> PathBuf {
        self.root.join(number.name())
    }

    /// An empty directory for a database that is not complete yet.
    pub(super) fn make_unfinished(&self, number: Number) -> Result<PathBuf, PortError> {
        let path = self.unfinished(number);
        for path in [&path, &self.path(number)] {
            remove(path)?;
        }
        fs::create_dir(&path).map_err(failed("make", &path))?;
        Ok(path)
    }

    /// The database is complete, and all its files are durable.
    pub(super) fn make_finished(&self, number: Number) -> Result<PathBuf, PortError> {
        let (from, to) = (self.unfinished(number), self.path(number));
        sync(&from)?;
        self.rename(&from, &to)?;
        Ok(to)
    }

    fn unfinished(&self, number: Number) -> PathBuf {
        self.root.join(format!("{}{UNFINISHED}", number.name()))
    }

    /// Where the next capture goes. No two of a process get the same, also not with an engine
    /// between them that was closed.
    pub(super) fn capture(&self) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!("{CAPTURE}{number}"))
    }

    /// Removes what an earlier process has left behind.
    pub(super) fn tidy(&self, live: Number) -> Result<(), PortError> {
        for name in self.names()? {
            let is_ours = [DATABASE, CAPTURE]
                .iter()
                .any(|ours| name.starts_with(ours));
            if is_ours && name != live.name() {
                remove(&self.root.join(name))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, PortError> {
        let failed = failed("list", &self.root);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(&failed)? {
            // A name that is no text is none of ours.
            names.extend(entry.map_err(&failed)?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), PortError> {
        fs::rename(from, to).map_err(failed("rename", from))?;
        sync(&self.root)
    }
}

/// Removes a directory and all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), PortError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> PortError {
    move |source| PortError::io(format!("{what} {}", path.display()), source)
}

fn sync(dir: &Path) -> Result<(), PortError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(failed("sync", dir))
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
