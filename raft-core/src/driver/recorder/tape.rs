//! The thread's side of the flight recorder: encodes records, writes them, and turns to new files.
//!
//! It keeps two files, the newest, and never makes one longer than was agreed. It syncs nothing: a
//! recording must outlive the process, not the machine.

#![expect(
    clippy::disallowed_types,
    reason = "the core touches no disk; this thread writes down what it was told"
)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::{Batch, Item, Shared};
use crate::recorder::{Encoder, Record, header};

/// So many files are kept.
const FILES_MAX: usize = 2;

pub(super) struct Tape {
    dir: PathBuf,
    file_bytes_max: u64,
    shared: Arc<Shared>,
    /// The number of the next file.
    next: u64,
    /// `None` up to the first checkpoint, and when the file is full.
    file: Option<Reel>,
    /// What is encoded and not yet written; kept for its room.
    buffer: Vec<u8>,
}

/// A file that is being written.
struct Reel {
    file: File,
    encoder: Encoder,
    /// How long it is with what waits in the buffer.
    length: u64,
}

impl Tape {
    pub(super) fn open(dir: &Path, file_bytes_max: u64, shared: Arc<Shared>) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let newest = recordings(dir)?.last().map_or(0, |(number, _)| *number);
        Ok(Self {
            dir: dir.to_owned(),
            file_bytes_max,
            shared,
            next: newest + 1,
            file: None,
            buffer: Vec::new(),
        })
    }

    pub(super) fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            if let Err(error) = self.take(&batch) {
                self.shared.is_off.store(true, Ordering::Relaxed);
                let dir = self.dir.display();
                tracing::warn!(%error, %dir, "the flight recorder is off: it can't write");
                return;
            }
        }
    }

    pub(super) fn take(&mut self, batch: &Batch) -> io::Result<()> {
        let written = self.write(&batch.items);
        let waiting = &self.shared.waiting;
        waiting.fetch_sub(batch.weight, Ordering::Relaxed);
        written
    }

    fn write(&mut self, items: &[Item]) -> io::Result<()> {
        for item in items {
            match item {
                Item::Checkpoint(now, raft) => {
                    let now = *now;
                    self.begin(&Record::Checkpoint { now, raft })?;
                }
                Item::Event(now, event) => self.add(&Record::Event { now: *now, event })?,
                Item::Flush(now, hash) => {
                    let (now, hash) = (*now, *hash);
                    self.add(&Record::Flush { now, hash })?;
                }
            }
        }
        self.write_out()
    }

    /// Begins a new file with a checkpoint.
    fn begin(&mut self, checkpoint: &Record<'_>) -> io::Result<()> {
        self.write_out()?;
        self.file = None;
        self.buffer = header();
        let mut encoder = Encoder::new();
        encoder.frame(checkpoint, &mut self.buffer)?;
        let length = self.buffer.len() as u64;
        if length > self.file_bytes_max / 2 {
            let room = self.file_bytes_max;
            let what = format!("a checkpoint of {length} bytes leaves too little of {room}");
            return Err(io::Error::other(what));
        }
        // Before the new file, so that there are never more than were agreed.
        let old = recordings(&self.dir)?;
        for (_, path) in old.iter().rev().skip(FILES_MAX - 1) {
            fs::remove_file(path)?;
        }
        let file = File::create_new(path(&self.dir, self.next))?;
        self.next += 1;
        self.file = Some(Reel {
            file,
            encoder,
            length,
        });
        self.shared.written.store(length, Ordering::Relaxed);
        self.shared.is_full.store(false, Ordering::Relaxed);
        self.shared.turning.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Adds a record to the file if it has room for it; else the file ends here.
    fn add(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Some(reel) = &mut self.file else {
            return Ok(());
        };
        let before = self.buffer.len();
        reel.encoder.frame(record, &mut self.buffer)?;
        let length = reel.length + (self.buffer.len() - before) as u64;
        if length > self.file_bytes_max {
            self.buffer.truncate(before);
            self.write_out()?;
            self.file = None;
            self.shared.is_full.store(true, Ordering::Relaxed);
            return Ok(());
        }
        reel.length = length;
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        if let Some(reel) = &mut self.file {
            reel.file.write_all(&self.buffer)?;
            self.shared.written.store(reel.length, Ordering::Relaxed);
        }
        self.buffer.clear();
        Ok(())
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("flight-{number:08}.rec"))
}

/// The recordings in a directory with their numbers, the oldest first.
fn recordings(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("flight-")?.strip_suffix(".rec"))
            .and_then(|number| number.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}
