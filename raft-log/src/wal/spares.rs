//! Files for the segments to come: old ones to be written over, or new ones filled with zeros.
//!
//! To sync a file whose blocks are all there and written, the disk need not be told of new blocks:
//! that is why segments are filled before they are used. A spare file is no part of the log,
//! whatever is in it; it becomes one by being renamed, when its first batch is durable.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::config::{Preparation, WalConfig};
use crate::disk::{Disk, DiskFile, Open};

use super::files;

/// How much is filled at a time. It decides the size of the pages in which the system keeps the
/// file in memory, and to write a little into a large page takes longer than into a small one.
const FILL_BYTES: usize = 128 << 10;

/// The spare files.
pub(super) struct Spares {
    shared: Arc<Shared>,
    /// Where the thread that fills files is told to; `None` without such a thread.
    requests: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    spares_max: usize,
    state: Mutex<State>,
}

struct State {
    ready: VecDeque<PathBuf>,
    /// The number in the next new name.
    next: u64,
}

impl Spares {
    /// Takes over the spare files of an earlier run; those beyond the limit are removed.
    pub(super) fn new(disk: Arc<dyn Disk>, config: &WalConfig) -> io::Result<Self> {
        let mut state = State {
            ready: VecDeque::new(),
            next: 0,
        };
        let spares_max = usize::try_from(config.spares_max).unwrap_or(usize::MAX);
        for (number, path) in files::spares(&*disk)? {
            state.next = state.next.max(number + 1);
            if state.ready.len() < spares_max {
                state.ready.push_back(path);
            } else {
                disk.remove(&path)?;
            }
        }
        let shared = Arc::new(Shared {
            disk,
            segment_bytes: config.segment_bytes,
            spares_max,
            state: Mutex::new(state),
        });
        let (requests, thread) = match config.preparation {
            Preparation::Growing => (None, None),
            Preparation::Background => {
                let (requests, wanted) = sync_channel(1);
                let of_thread = Arc::clone(&shared);
                let thread = std::thread::Builder::new()
                    .name("raft-log-prepare".to_owned())
                    .spawn(move || of_thread.fill_on_request(&wanted))?;
                (Some(requests), Some(thread))
            }
        };
        let spares = Self {
            shared,
            requests,
            thread,
        };
        spares.request();
        Ok(spares)
    }

    /// A file for the next segment, and its path.
    pub(super) fn take(&self) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
        let (path, open) = {
            let mut state = self.shared.state();
            match state.ready.pop_front() {
                Some(path) => (path, Open::Existing),
                None => (state.name(), Open::New),
            }
        };
        let file = self.shared.disk.open(&path, open)?;
        self.request();
        Ok((path, file))
    }

    /// A segment that is not needed any more becomes a spare file, or goes; durably, on return.
    pub(super) fn give(&self, segment: &Path) -> io::Result<()> {
        let spare = {
            let mut state = self.shared.state();
            let is_wanted = state.ready.len() < self.shared.spares_max;
            is_wanted.then(|| state.name())
        };
        let disk = &self.shared.disk;
        match &spare {
            Some(path) => disk.rename(segment, path)?,
            None => disk.remove(segment)?,
        }
        // Before it can be taken: otherwise a power cut could bring the segment's name back, for a
        // file that is another segment by then.
        disk.sync_dir(Path::new(files::LOG_DIR))?;
        self.shared.state().ready.extend(spare);
        Ok(())
    }

    /// Has the thread see whether a file is wanted. It is told at most once while it is busy.
    fn request(&self) {
        if let Some(requests) = &self.requests {
            // A full channel means that it will look anyway.
            let _ = requests.try_send(());
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares segments had panicked");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        state.expect("nothing that holds this lock can panic")
    }

    fn fill_on_request(&self, wanted: &Receiver<()>) {
        while wanted.recv().is_ok() {
            let path = {
                let mut state = self.state();
                if state.ready.len() >= self.spares_max.min(1) {
                    continue;
                }
                state.name()
            };
            match self.fill(&path) {
                Ok(()) => self.state().ready.push_back(path),
                // Not fatal: the next segment grows as it is written, or says what is wrong.
                Err(error) => {
                    tracing::warn!(%error, "no segment could be prepared");
                    let _ = self.disk.remove(&path);
                }
            }
        }
    }

    fn fill(&self, path: &Path) -> io::Result<()> {
        let file = self.disk.open(path, Open::New)?;
        let zeros = vec![0; FILL_BYTES];
        let mut offset = 0;
        while offset < self.segment_bytes {
            let left = usize::try_from(self.segment_bytes - offset).unwrap_or(FILL_BYTES);
            let count = left.min(FILL_BYTES);
            file.write_at(&zeros[..count], offset)?;
            offset += count as u64;
        }
        file.sync()
    }
}

impl State {
    fn name(&mut self) -> PathBuf {
        self.next += 1;
        files::spare(self.next - 1)
    }
}
