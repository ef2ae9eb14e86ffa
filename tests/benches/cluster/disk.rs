//! What the disk alone can do: a piece written over a file that is there, and synced, again and
//! again.
//!
//! It deliberately does not know how the log writes.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

const FILE_BYTES: usize = 16 << 20;
pub(crate) const PIECES: [usize; 2] = [4 << 10, 64 << 10];

/// How long writing and syncing one piece takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Synced {
    pub(crate) piece_bytes: usize,
    pub(crate) p50_microseconds: f64,
    pub(crate) p99_microseconds: f64,
}

impl fmt::Display for Synced {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:>6} bytes written and synced: p50 {:.0} µs, p99 {:.0} µs",
            self.piece_bytes, self.p50_microseconds, self.p99_microseconds
        )
    }
}

/// Writes pieces one after the other for this long.
pub(crate) fn probe(dir: &Path, piece_bytes: usize, span: Duration) -> anyhow::Result<Synced> {
    let path = dir.join("probe");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let piece = vec![7; piece_bytes];
    let mut took = Vec::new();
    let start = Instant::now();
    for place in (0..FILE_BYTES / piece_bytes).cycle() {
        let began = Instant::now();
        file.write_all_at(&piece, (place * piece_bytes) as u64)?;
        file.sync_data()?;
        took.push(began.elapsed());
        if start.elapsed() >= span {
            break;
        }
    }
    took.sort_unstable();
    let at = |per_cent: usize| -> anyhow::Result<f64> {
        let found = took.get(took.len() * per_cent / 100);
        Ok(found.context("nothing was written")?.as_secs_f64() * 1e6)
    };
    Ok(Synced {
        piece_bytes,
        p50_microseconds: at(50)?,
        p99_microseconds: at(99)?,
    })
}
