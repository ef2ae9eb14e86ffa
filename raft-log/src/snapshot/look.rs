//! Looks at the snapshots in a directory without changing anything there.
//!
//! This file does not know the log, or who wants to know.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use raft_core::port::{Manifest, PortError, PortErrorKind};

use super::layout::Stage;
use super::{Shared, SnapshotConfig, State};
use crate::disk::Disk;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Manifests, and the sizes of the files that they name.
    Manifests,
    /// The content of all files too.
    Everything,
}

/// A directory of the store.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What it is called.
    pub(crate) name: String,
    /// Whether its name says that the snapshot is complete; only then the rest is looked at.
    pub(crate) is_complete: bool,
    /// What the snapshot consists of; `None` if that can't be read.
    pub(crate) manifest: Option<Arc<Manifest>>,
    /// What is wrong with it.
    pub(crate) wrong: Vec<String>,
}

/// The directories of the store in `dir`, in the order of their names.
///
/// # Errors
/// When the disk can't be read, or a later program wrote a snapshot here.
pub(crate) fn look(
    disk: &Arc<dyn Disk>,
    dir: PathBuf,
    reading: Reading,
) -> Result<Vec<Seen>, PortError> {
    let shared = Arc::new(Shared {
        disk: Arc::clone(disk),
        dir,
        // Nothing is surplus to one who only looks.
        config: SnapshotConfig {
            retained: usize::MAX,
            bad_retained: usize::MAX,
        },
        state: Mutex::new(State::default()),
    });
    let mut names = shared.names()?;
    names.sort_unstable();
    let mut found = Vec::new();
    for name in names {
        let mut seen = Seen {
            name: name.to_string(),
            is_complete: name.stage == Stage::Complete,
            manifest: None,
            wrong: Vec::new(),
        };
        if seen.is_complete {
            match shared.look_at(name) {
                Ok(manifest) => {
                    let manifest = Arc::new(manifest);
                    seen.manifest = Some(Arc::clone(&manifest));
                    shared.lock().complete.insert(name.last, manifest);
                }
                Err(error) if error.kind == PortErrorKind::Damaged => {
                    seen.wrong.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
            if reading == Reading::Everything
                && let Some(source) = shared.open_source(name.last)
            {
                seen.wrong
                    .extend(source.verify().into_iter().map(|bad| bad.why));
            }
        }
        found.push(seen);
    }
    Ok(found)
}
