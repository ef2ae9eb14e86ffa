//! Files of certificates and keys: who may read them, and that none is written over by accident or
//! left half written. It does not know what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Certificates are shown to everybody.
    Public,
    /// Keys are for their owner.
    Private,
}

impl Secrecy {
    const fn mode(self) -> u32 {
        match self {
            Self::Public => 0o644,
            Self::Private => 0o600,
        }
    }
}

/// Reads a text; `None` if there is no such file.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Makes a directory that is not there yet.
pub(super) fn make_dir(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| path.display().to_string())
}

/// Writes a file as a whole or not at all, over one that may be there: a server that reads it at
/// this moment sees the old one or the new one.
pub(super) fn write(path: &Path, secrecy: Secrecy, text: &str) -> anyhow::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    let written = write_new(unfinished, secrecy, text)
        .and_then(|()| fs::rename(unfinished, path))
        .and_then(|()| sync_dir(path));
    written.with_context(|| path.display().to_string())
}

fn write_new(path: &Path, secrecy: Secrecy, text: &str) -> io::Result<()> {
    // What an attempt before left may have another mode, which opening it would keep.
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(secrecy.mode())
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_dir(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
