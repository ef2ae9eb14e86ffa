//! All that a log does beside appending, at a million entries: opening, reading, memory, purging.
//!
//! The log is written in batches of 1024 entries of 256 bytes, about 290 MiB. The files are in the
//! memory of the system then, so what is measured is our work and not the disk's; only what is
//! purged is synced. Memory is that of a process of its own, which opens the log and does nothing
//! else. It does not look at appends; `append.rs` does.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use raft_core::Index;
use raft_core::port::LogStore;
use raft_log::{WalConfig, WalLog};

use support::{COMMAND_BYTES, Options, micros, quantile};

const ENTRIES: u64 = 1_000_000;
const ENTRIES_QUICK: u64 = 100_000;
const BATCH: u64 = 1024;
const OPENINGS: usize = 5;
const READS: u64 = 20_000;
/// So much is asked for at a time when all is read in order.
const READ_BYTES: u64 = 1 << 20;
/// One purge drops so much of what is there.
const PURGES: u64 = 20;
/// With it, the program only opens the log in the directory that follows, and says what it needs.
const OPEN_ONLY: &str = "--open-only";
/// What `/proc/self/statm` counts in.
const PAGE_BYTES: u64 = 4096;

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq(OPEN_ONLY).is_some() {
        return open_only(Path::new(&arguments.next().unwrap_or_default()));
    }
    let options = Options::parse(arguments);
    let entries = if options.quick {
        ENTRIES_QUICK
    } else {
        ENTRIES
    };
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory to work in");
    let say = |measure: &str, value: f64, unit: &str| {
        if options.json {
            println!(
                "{{\"bench\":\"log\",\"entries\":{entries},\"measure\":\"{measure}\",\
                 \"value\":{value:.3},\"unit\":\"{unit}\"}}"
            );
        } else {
            println!("{measure:<34}  {value:>9.2} {unit}");
        }
    };
    if !options.json {
        println!("{entries} entries of {COMMAND_BYTES} bytes, in batches of {BATCH}");
    }
    fill(dir.path(), entries);
    let openings = openings(dir.path(), entries);
    say("open", openings.took.as_secs_f64() * 1e3, "ms");
    say("memory after opening", openings.bytes as f64 / 1e6, "MB");
    let an_entry = openings.bytes as f64 / entries as f64;
    say("memory after opening, an entry", an_entry, "bytes");
    let (wal, mut log) = support::open(dir.path(), WalConfig::default());
    say("read one, at random", micros(read_one(&log, entries)), "µs");
    let megabytes = (entries as usize * COMMAND_BYTES) as f64 / 1e6;
    let rate = megabytes / read_all(&log, entries).as_secs_f64();
    say("read all, 1 MiB at a time", rate, "MB/s");
    support::snapshot(&mut log, Index(entries));
    let purges = purges(&mut log, entries);
    assert_eq!(
        wal.segments(),
        1,
        "all is purged but the segment that is written"
    );
    say("purge a twentieth, median", micros(purges.0), "µs");
    say("purge a twentieth, longest", micros(purges.1), "µs");
}

fn fill(dir: &Path, entries: u64) {
    let (_wal, mut log) = support::open(dir, WalConfig::default());
    let mut next = Index(1);
    while next <= Index(entries) {
        let count = BATCH.min(entries + 1 - next.0);
        let write = support::write(next, usize::try_from(count).expect("small"));
        log.write(&[write]).expect("durable");
        next = next.plus(count);
    }
}

struct Openings {
    took: Duration,
    /// What the process needs after it, beyond what it needed before.
    bytes: u64,
}

/// Opens the log in processes of their own; the medians.
fn openings(dir: &Path, entries: u64) -> Openings {
    let program = std::env::current_exe().expect("this program");
    let (mut took, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..OPENINGS {
        let output = Command::new(&program).arg(OPEN_ONLY).arg(dir).output();
        let said = output.expect("runs").stdout;
        let said = String::from_utf8(said).expect("text");
        let numbers: Vec<u64> = said.split(' ').flat_map(str::parse).collect();
        assert_eq!(numbers.len(), 3, "{said}");
        assert_eq!(numbers[0], entries);
        took.push(Duration::from_micros(numbers[1]));
        bytes.push(numbers[2]);
    }
    bytes.sort_unstable();
    Openings {
        took: quantile(&took, 0.5),
        bytes: bytes[OPENINGS / 2],
    }
}

fn open_only(dir: &Path) {
    let before = resident_bytes();
    let began = Instant::now();
    let (_wal, log) = support::open(dir, WalConfig::default());
    let took = began.elapsed().as_micros();
    let bytes = resident_bytes() - before;
    println!("{} {took} {bytes} ", log.usage().entries);
}

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).map(str::parse);
    pages.expect("the second number").unwrap_or(0) * PAGE_BYTES
}

fn read_one(log: &WalLog, entries: u64) -> Duration {
    let mut times = Vec::new();
    let mut state = 1_u64;
    for _ in 0..READS {
        // Any sequence without a pattern will do: this is a linear congruential generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        let index = Index(1 + (state >> 33) % entries);
        let began = Instant::now();
        let read = log.read(index, index, u64::MAX).expect("readable");
        times.push(began.elapsed());
        assert_eq!(read[0].index, index);
    }
    quantile(&times, 0.5)
}

fn read_all(log: &WalLog, entries: u64) -> Duration {
    let began = Instant::now();
    let mut next = Index(1);
    while next <= Index(entries) {
        let read = log
            .read(next, Index(entries), READ_BYTES)
            .expect("readable");
        next = read.last().expect("there").index.next();
    }
    began.elapsed()
}

/// The median and the longest of those that drop all.
fn purges(log: &mut WalLog, entries: u64) -> (Duration, Duration) {
    let purge = |part| {
        let began = Instant::now();
        log.purge(Index(entries * part / PURGES)).expect("purged");
        began.elapsed()
    };
    let times: Vec<Duration> = (1..=PURGES).map(purge).collect();
    (quantile(&times, 0.5), quantile(&times, 1.0))
}
