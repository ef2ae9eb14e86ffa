//! A disk in memory that loses what a power cut may lose: unsynced bytes, unsynced names.
//!
//! Of each file it keeps what the process sees, what the platter has, and the changes between the
//! two; of each directory the same for its names. It counts the operations that change something,
//! so that a test can stop after each. It does not know what is in the files.

mod calls;
mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a power cut leaves of what was not synced. What was synced is there in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    AllLost,
    /// Everything.
    AllKept,
    /// Of the bytes anything, sector by sector; of the names those that were changed first, as
    /// with a journal.
    Ordered(u64),
    /// Of the bytes anything, sector by sector; of the names anything too.
    Scattered(u64),
}

/// What goes wrong. Operations are counted from 0; only those that change or sync something count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// From this operation on the process is dead: nothing is done any more, not even read.
    Dead(u64),
    /// This operation fails. A sync of a file that fails has lost what it was to sync, and nobody
    /// will hear of it again: the next one succeeds.
    Broken(u64),
    /// From this operation on there is no room: nothing is written or made.
    Full(u64),
    /// There is room for so many bytes in all files together.
    Capacity(u64),
}

/// The disk. A clone is the same disk.
#[derive(Clone, Default)]
pub struct CrashDisk {
    shared: Arc<Mutex<Shared>>,
}

/// A moment of the past: the disk before one of its operations, or now.
#[derive(Clone)]
pub struct Moment(State);

#[derive(Default)]
struct Shared {
    state: State,
    /// The state before each operation, if they are wanted.
    recorded: Option<Vec<Moment>>,
    operations: u64,
    faults: Vec<Fault>,
}

#[derive(Clone)]
struct State {
    files: Vec<Content>,
    /// The first is the root.
    dirs: Vec<Names>,
    /// Changes of names that no `sync_dir` has covered, oldest first.
    renames: Vec<Rename>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            dirs: vec![Names::default()],
            renames: Vec::new(),
        }
    }
}

/// A file without its names. Both versions are shared by all moments in which they are the same.
#[derive(Clone, Default)]
struct Content {
    now: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// What was done since the last sync, oldest first. It leads from `durable` to `now`, unless a
    /// sync failed.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Emptied,
    Written { offset: usize, bytes: Arc<[u8]> },
}

#[derive(Clone, Default)]
struct Names {
    now: BTreeMap<String, Target>,
    durable: BTreeMap<String, Target>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    File(usize),
    Dir(usize),
}

/// A change of names: one of them goes, then one comes. Both survive or neither.
#[derive(Clone)]
struct Rename {
    gone: Option<Place>,
    come: Option<(Place, Target)>,
}

/// A name in a directory.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    dir: usize,
    name: String,
}

impl Moment {
    /// The disk that a machine finds when the power is back.
    #[must_use]
    pub fn crash(&self, how: Crash) -> CrashDisk {
        CrashDisk::of(image::after(&self.0, how))
    }

    /// The disk that the next process finds after this one was killed: all is readable, and what
    /// was not synced still is not.
    #[must_use]
    pub fn kill(&self) -> CrashDisk {
        CrashDisk::of(self.0.clone())
    }

    /// How many changes were not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let files = self.0.files.iter().map(|file| file.pending.len());
        self.0.renames.len() + files.sum::<usize>()
    }
}

impl CrashDisk {
    fn of(state: State) -> Self {
        let shared = Shared {
            state,
            ..Shared::default()
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// As it is now.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment(self.lock().state.clone())
    }

    /// What a power cut now leaves.
    #[must_use]
    pub fn crash(&self, how: Crash) -> Self {
        self.moment().crash(how)
    }

    /// From now on the moment before each operation is kept.
    pub fn record(&self) {
        self.lock().recorded = Some(Vec::new());
    }

    /// The moments before each operation since [`CrashDisk::record`], and now.
    #[must_use]
    pub fn moments(&self) -> Vec<Moment> {
        let shared = self.lock();
        let mut moments = shared.recorded.clone().unwrap_or_default();
        moments.push(Moment(shared.state.clone()));
        moments
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Something will go wrong.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Nothing will go wrong any more.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// All files, by their paths.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let (shared, mut found) = (self.lock(), Vec::new());
        shared.state.walk(0, Path::new(""), &mut found);
        found
    }

    /// What a process reads in a file; empty if there is none.
    #[must_use]
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let shared = self.lock();
        let file = shared.state.file(path);
        file.map_or_else(|_| Vec::new(), |at| shared.state.files[at].now.to_vec())
    }

    /// The platter has something else than was written: flipped bits, a stale block, a lost tail.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn damage(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut shared = self.lock();
        let at = shared.state.file(path)?;
        let mut bytes = shared.state.files[at].now.to_vec();
        edit(&mut bytes);
        shared.state.files[at] = Content::durable(bytes);
        Ok(())
    }

    /// The platter has lost a file or a directory.
    ///
    /// # Errors
    /// When it is not there.
    pub fn lose(&self, path: &Path) -> io::Result<()> {
        let mut shared = self.lock();
        let place = shared.state.place(path)?;
        shared.state.target(&place)?;
        let names = &mut shared.state.dirs[place.dir];
        names.now.remove(&place.name);
        names.durable.remove(&place.name);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn durable(bytes: Vec<u8>) -> Self {
        let now = Arc::new(bytes);
        Self {
            durable: Arc::clone(&now),
            now,
            pending: Vec::new(),
        }
    }

    /// What is durable once all pending changes are: not always what a process reads, since a sync
    /// that failed has made it forget some.
    fn flushed(&self) -> Arc<Vec<u8>> {
        let mut durable = Arc::clone(&self.durable);
        for change in &self.pending {
            match change {
                Change::Emptied => durable = Arc::default(),
                Change::Written { offset, bytes } => {
                    put(Arc::make_mut(&mut durable), *offset, bytes);
                }
            }
        }
        durable
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(Arc::make_mut(&mut self.now), offset, bytes);
        self.pending.push(Change::Written {
            offset,
            bytes: bytes.into(),
        });
    }
}

/// Writes into a file, beyond its end too.
fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    content.resize(content.len().max(end), 0);
    content[offset..end].copy_from_slice(bytes);
}

/// What an operation needs, and so what a full disk refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Room,
    Nothing,
}

impl Shared {
    fn alive(&self) -> io::Result<()> {
        let at = self.operations;
        let is_dead = |fault: &Fault| matches!(fault, Fault::Dead(from) if at >= *from);
        if self.faults.iter().any(is_dead) {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(())
    }

    /// Counts an operation, and says whether it fails.
    fn begin(&mut self, needs: Needs) -> io::Result<()> {
        self.alive()?;
        if let Some(recorded) = &mut self.recorded {
            recorded.push(Moment(self.state.clone()));
        }
        let at = self.operations;
        self.operations += 1;
        for fault in &self.faults {
            match fault {
                Fault::Broken(when) if at == *when => return Err(io::Error::other("broken")),
                Fault::Full(from) if at >= *from && needs == Needs::Room => {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Fault::Dead(_) | Fault::Broken(_) | Fault::Full(_) | Fault::Capacity(_) => {}
            }
        }
        Ok(())
    }

    /// How many of the bytes find room.
    fn fitting(&self, file: usize, offset: usize, len: usize) -> usize {
        let used: usize = self.state.files.iter().map(|file| file.now.len()).sum();
        let free = |capacity: u64| {
            let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
            let end = self.state.files[file].now.len() + capacity.saturating_sub(used);
            end.saturating_sub(offset).min(len)
        };
        let limits = self.faults.iter().filter_map(|fault| match fault {
            Fault::Capacity(capacity) => Some(free(*capacity)),
            Fault::Dead(_) | Fault::Broken(_) | Fault::Full(_) => None,
        });
        limits.min().unwrap_or(len)
    }
}

impl State {
    /// The directory of a path and the name in it.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let dir = self.dir(path.parent().unwrap_or(Path::new("")))?;
        Ok(Place { dir, name })
    }

    fn target(&self, place: &Place) -> io::Result<Target> {
        let found = self.dirs[place.dir].now.get(&place.name).copied();
        found.ok_or(io::ErrorKind::NotFound.into())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.target(&self.place(path)?)? {
            Target::File(file) => Ok(file),
            Target::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn dir(&self, path: &Path) -> io::Result<usize> {
        let mut dir = 0;
        for part in path.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
            dir = match self.target(&Place { dir, name })? {
                Target::Dir(dir) => dir,
                Target::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        Ok(dir)
    }

    fn rename(&mut self, gone: Option<Place>, come: Option<(Place, Target)>) {
        let rename = Rename { gone, come };
        rename.apply(&mut self.dirs, |names| &mut names.now);
        self.renames.push(rename);
    }

    /// A directory goes name by name, from within.
    fn remove(&mut self, place: Place, target: Target) {
        if let Target::Dir(dir) = target {
            for (name, target) in self.dirs[dir].now.clone() {
                self.remove(Place { dir, name }, target);
            }
        }
        self.rename(Some(place), None);
    }

    /// Takes the changes that a sync of this directory makes durable: its own, and what those of
    /// other directories rest on.
    fn covered(&mut self, dir: usize) -> Vec<Rename> {
        let (mut dirs, mut covered, mut rest) = (BTreeSet::from([dir]), Vec::new(), Vec::new());
        for rename in self.renames.drain(..).rev() {
            if rename.dirs().any(|dir| dirs.contains(&dir)) {
                dirs.extend(rename.dirs());
                covered.push(rename);
            } else {
                rest.push(rename);
            }
        }
        covered.reverse();
        rest.reverse();
        self.renames = rest;
        covered
    }

    fn walk(&self, dir: usize, path: &Path, found: &mut Vec<PathBuf>) {
        for (name, target) in &self.dirs[dir].now {
            match target {
                Target::File(_) => found.push(path.join(name)),
                Target::Dir(dir) => self.walk(*dir, &path.join(name), found),
            }
        }
    }
}

impl Rename {
    fn apply(&self, dirs: &mut [Names], version: fn(&mut Names) -> &mut BTreeMap<String, Target>) {
        if let Some(place) = &self.gone {
            version(&mut dirs[place.dir]).remove(&place.name);
        }
        if let Some((place, target)) = &self.come {
            version(&mut dirs[place.dir]).insert(place.name.clone(), *target);
        }
    }

    fn dirs(&self) -> impl Iterator<Item = usize> {
        let come = self.come.iter().map(|(place, _)| place);
        self.gone.iter().chain(come).map(|place| place.dir)
    }
}
