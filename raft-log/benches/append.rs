//! Durable appends: our log, a plain file and RocksDB in one run; what counts are the ratios.
//!
//! What every contender does a batch, and what is timed: make entries of 256 bytes durable. The
//! entries are made right before, as a node has them from its socket or its clients. Several
//! batches are one turn; the contenders take turns, each round another one begins, so that whatever
//! else the machine does hits all of them.
//!
//! - `file`: the floor. One `pwrite` of the commands alone, ready in one buffer, and `fdatasync`,
//!   into a file of 64 MiB that was filled with zeros; at its end it goes on at the beginning.
//! - `file, our bytes`: the same with as many bytes as our log writes: 40 an entry and 32 a batch
//!   more, for checksums, terms and indexes.
//! - `raft-log`: `LogStore::write`, configured by default. Segments are filled ahead, or are old
//!   ones written over; now and then, not timed, the log is purged. New segments are part of it.
//! - `raft-log, growing`: segments begin empty and grow. Shows what filling them is for.
//! - `rocksdb`, with the feature of that name: one synced `WriteBatch`, keys of 8 bytes.
//!
//! It does not look at reading and recovery; `log.rs` does.

mod support;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use raft_core::Index;
use raft_core::event::Write;
use raft_core::port::LogStore;
use raft_log::{Preparation, Wal, WalConfig, WalLog};

use support::{COMMAND_BYTES, Options, micros, quantile};

const BATCHES: [usize; 4] = [1, 16, 128, 1024];
/// What our log adds to the commands.
const OURS_AN_ENTRY: usize = 40;
const OURS_A_BATCH: usize = 32;
const FILE_BYTES: usize = 64 << 20;
/// As our log does it: the size of writes decides the size of pages in the system's cache.
const FILL_BYTES: usize = 128 << 10;
/// How many batches a contender writes in one turn.
const TURN: usize = 8;
/// Each part of the run gives a ratio of its own; they show how sure the result is.
const PARTS: usize = 8;
/// More than a segment, so that the log is past its first one, which nobody could fill ahead.
const WARM_UP_BYTES: usize = 80 << 20;

fn main() {
    let options = Options::parse(std::env::args().skip(1));
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory to work in");
    let mut contenders = contenders(dir.path());
    let mut next = Index(1);
    let most = BATCHES.iter().copied().max().unwrap_or(1);
    run(
        &mut contenders,
        &mut next,
        most,
        WARM_UP_BYTES / (most * COMMAND_BYTES * TURN),
    );
    let turns_a_part = if options.quick { 2 } else { 16 };
    if !options.json {
        println!("{COMMAND_BYTES}-byte entries, time a batch in µs; file = 1");
        println!("batch  contender           median     p99  ratio  (lowest..highest of {PARTS})");
    }
    for batch in BATCHES {
        run(&mut contenders, &mut next, batch, 4);
        let parts: Vec<Vec<Vec<Duration>>> = (0..PARTS)
            .map(|_| run(&mut contenders, &mut next, batch, turns_a_part))
            .collect();
        for (at, contender) in contenders.iter().enumerate() {
            Line::new(batch, contender.name(), &parts, at).print(options.json);
        }
    }
}

/// Whoever makes entries durable.
trait Contender {
    fn name(&self) -> &'static str;
    fn append(&mut self, write: &Write);
    /// Makes room; not timed.
    fn make_room(&mut self, last: Index);
}

fn contenders(dir: &Path) -> Vec<Box<dyn Contender>> {
    let ours = WalConfig {
        snapshots_retained: 1,
        ..WalConfig::default()
    };
    let growing = WalConfig {
        preparation: Preparation::Growing,
        spares_max: 0,
        ..ours
    };
    vec![
        Box::new(PlainFile::new(dir, "file", COMMAND_BYTES, 0)),
        Box::new(PlainFile::new(
            dir,
            "file, our bytes",
            COMMAND_BYTES + OURS_AN_ENTRY,
            OURS_A_BATCH,
        )),
        Box::new(RaftLog::new(dir, "raft-log", ours)),
        Box::new(RaftLog::new(dir, "raft-log, growing", growing)),
        #[cfg(feature = "rocksdb")]
        Box::new(Rocks::new(dir)),
    ]
}

/// Lets all contenders take turns; their times, in the contenders' order.
fn run(
    contenders: &mut [Box<dyn Contender>],
    next: &mut Index,
    batch: usize,
    turns: usize,
) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::new(); contenders.len()];
    for turn in 0..turns {
        let first = *next;
        *next = first.plus((TURN * batch) as u64);
        for at in 0..contenders.len() {
            let at = (at + turn) % contenders.len();
            for place in 0..TURN {
                let write = support::write(first.plus((place * batch) as u64), batch);
                let began = Instant::now();
                contenders[at].append(&write);
                times[at].push(began.elapsed());
            }
            contenders[at].make_room(next.prev());
        }
    }
    times
}

struct PlainFile {
    name: &'static str,
    file: File,
    offset: usize,
    entry_bytes: usize,
    batch_bytes: usize,
    buffer: Vec<u8>,
}

impl PlainFile {
    fn new(dir: &Path, name: &'static str, entry_bytes: usize, batch_bytes: usize) -> Self {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let file = options.open(dir.join(name)).expect("made");
        let zeros = vec![0; FILL_BYTES];
        for offset in (0..FILE_BYTES).step_by(FILL_BYTES) {
            file.write_all_at(&zeros, offset as u64).expect("filled");
        }
        file.sync_all().expect("synced");
        let most = BATCHES.iter().copied().max().unwrap_or(1);
        Self {
            name,
            file,
            offset: 0,
            entry_bytes,
            batch_bytes,
            buffer: vec![0xa5; most * entry_bytes + batch_bytes],
        }
    }
}

impl Contender for PlainFile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn append(&mut self, write: &Write) {
        let length = write.entries.len() * self.entry_bytes + self.batch_bytes;
        if self.offset + length > FILE_BYTES {
            self.offset = 0;
        }
        let written = self
            .file
            .write_all_at(&self.buffer[..length], self.offset as u64);
        written
            .and_then(|()| self.file.sync_data())
            .expect("durable");
        self.offset += length;
    }

    fn make_room(&mut self, _last: Index) {}
}

struct RaftLog {
    name: &'static str,
    wal: Wal,
    log: WalLog,
}

impl RaftLog {
    fn new(dir: &Path, name: &'static str, config: WalConfig) -> Self {
        let (wal, log) = support::open(&dir.join(name), config);
        Self { name, wal, log }
    }
}

impl Contender for RaftLog {
    fn name(&self) -> &'static str {
        self.name
    }

    fn append(&mut self, write: &Write) {
        self.log
            .write(std::slice::from_ref(write))
            .expect("durable");
    }

    fn make_room(&mut self, last: Index) {
        if self.wal.segments() > 2 {
            support::snapshot(&mut self.log, last);
            self.log.purge(last).expect("purged");
        }
    }
}

#[cfg(feature = "rocksdb")]
struct Rocks(rocksdb::DB);

#[cfg(feature = "rocksdb")]
impl Rocks {
    fn new(dir: &Path) -> Self {
        Self(rocksdb::DB::open_default(dir.join("rocksdb")).expect("a new directory"))
    }
}

#[cfg(feature = "rocksdb")]
impl Contender for Rocks {
    fn name(&self) -> &'static str {
        "rocksdb"
    }

    fn append(&mut self, write: &Write) {
        let mut batch = rocksdb::WriteBatch::default();
        for entry in &*write.entries {
            if let raft_core::Payload::Command(command) = &entry.payload {
                batch.put(entry.index.0.to_be_bytes(), command);
            }
        }
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(true);
        self.0.write_opt(batch, &options).expect("durable");
    }

    /// Its own threads do what they think right.
    fn make_room(&mut self, _last: Index) {}
}

/// One contender at one size of batches.
struct Line {
    batch: usize,
    name: &'static str,
    median: Duration,
    p99: Duration,
    /// The median of each part by that of the plain file in the same part, ascending.
    ratios: Vec<f64>,
}

impl Line {
    fn new(batch: usize, name: &'static str, parts: &[Vec<Vec<Duration>>], at: usize) -> Self {
        let all: Vec<Duration> = parts.iter().flat_map(|part| &part[at]).copied().collect();
        let median = |times: &[Duration]| quantile(times, 0.5);
        let ratio =
            |part: &Vec<Vec<Duration>>| micros(median(&part[at])) / micros(median(&part[0]));
        let mut ratios: Vec<f64> = parts.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        Self {
            batch,
            name,
            median: median(&all),
            p99: quantile(&all, 0.99),
            ratios,
        }
    }

    fn print(&self, json: bool) {
        let (batch, name) = (self.batch, self.name);
        let (median, p99) = (micros(self.median), micros(self.p99));
        let (low, high) = (self.ratios[0], self.ratios[PARTS - 1]);
        let ratio = f64::midpoint(self.ratios[PARTS / 2 - 1], self.ratios[PARTS / 2]);
        if json {
            println!(
                "{{\"bench\":\"append\",\"batch\":{batch},\"contender\":\"{name}\",\
                 \"median_us\":{median:.1},\"p99_us\":{p99:.1},\"ratio\":{ratio:.3},\
                 \"ratio_low\":{low:.3},\"ratio_high\":{high:.3}}}"
            );
        } else {
            println!(
                "{batch:>5}  {name:<17}  {median:>7.1}  {p99:>6.0}  {ratio:>5.2}  \
                 ({low:.2}..{high:.2})"
            );
        }
    }
}
