//! The machine upon both engines: applying puts, reading ranges, taking a snapshot while writing
//! goes on, starting again; and what of applying the engines themselves take.
//!
//! A put replaces one of a million keys, drawn at random, by a value of 256 bytes; so each reads a
//! record, and writes the record, the one it replaces, and the change. Commands are made before the
//! clock runs. Each figure is the median of several rounds, the engines taking turns. How fast
//! watchers are told is in `watch.rs`. Without the feature `rocksdb` only the memory is measured.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_core::port::StateMachine;
use raft_kv::engine::{Engine, Family, MemoryEngine, read};
#[cfg(feature = "rocksdb")]
use raft_kv::engine::{RocksEngine, RocksEngineConfig};
use raft_kv::keys::Keys;
use raft_kv::machine::{Machine, MachineConfig};
use raft_kv::request::RangeRequest;
use raft_kv::store::Store;
use support::{Commands, LinkSink, Options, key, median};

const BATCHES: [u64; 3] = [1, 64, 1024];
const RANGES: [u64; 3] = [1, 100, 10_000];
const ROUNDS: usize = 7;

struct Contender {
    name: &'static str,
    machine: Machine,
    store: Store,
    engine: Arc<dyn Engine>,
    commands: Commands,
}

impl Contender {
    fn open(name: &'static str, engine: Arc<dyn Engine>, keys: u64) -> Self {
        let opened = Machine::open(Arc::clone(&engine), MachineConfig::default());
        let (machine, store) = opened.expect("rows to begin with");
        let mut contender = Self {
            name,
            machine,
            store,
            engine,
            commands: Commands::new(keys),
        };
        let mut loaded = 0;
        while loaded < keys {
            let batch = contender.commands.load(1024.min(keys - loaded));
            loaded += batch.len() as u64;
            contender.machine.apply(&batch).expect("answers");
        }
        contender
    }

    /// Applies so many batches of this size; how long a put took.
    fn apply(&mut self, size: u64, batches: u64) -> Duration {
        let made: Vec<_> = (0..batches).map(|_| self.commands.puts(size)).collect();
        let began = Instant::now();
        for batch in &made {
            self.machine.apply(batch).expect("answers");
        }
        began.elapsed() / u32::try_from(size * batches).unwrap_or(u32::MAX)
    }

    /// Looks so many keys up at once, as a batch of puts does; how long a key took.
    fn look_up(&mut self, size: u64) -> Duration {
        let mut keys: Vec<_> = (0..size).map(|_| key(self.commands.draw())).collect();
        keys.sort_unstable();
        keys.dedup();
        let began = Instant::now();
        let found = read(&*self.engine, |view| view.get_many(Family::Keys, &keys));
        let took = began.elapsed();
        assert!(found.expect("rows").iter().all(Option::is_some));
        took / u32::try_from(keys.len()).unwrap_or(u32::MAX)
    }

    /// Writes the rows of so many puts, in a batch of their own; how long a put took.
    fn write(&mut self, size: u64) -> Duration {
        let applied = self.store.state().expect("a state").applied;
        let batch = self.commands.rows(applied, size);
        let began = Instant::now();
        self.engine.write(batch).expect("a write");
        began.elapsed() / u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Reads so many keys, some times, from one place or another; how long a range took.
    fn range(&mut self, keys: u64) -> Duration {
        let times = (100_000 / keys).clamp(10, 2_000);
        let mut starts = Vec::new();
        for _ in 0..times {
            starts.push(key(self.commands.draw()));
        }
        let began = Instant::now();
        for start in starts {
            let mut request = RangeRequest::of(match keys {
                1 => Keys::One(start),
                _ => Keys::from(start),
            });
            request.limit = keys;
            if keys > 1 {
                // Without an end all that follows would be counted.
                let Keys::In(span) = &mut request.keys else {
                    continue;
                };
                span.to = Some(key(support::number(&span.from) + keys));
            }
            let (_, found) = self.store.range(&request).expect("rows");
            std::hint::black_box(found.expect("a range"));
        }
        began.elapsed() / u32::try_from(times).unwrap_or(u32::MAX)
    }
}

fn main() {
    let options = Options::parse();
    let dir = tempfile::tempdir_in(&options.dir).expect("a directory to work in");
    let memory = Arc::new(MemoryEngine::new());
    let mut contenders = vec![Contender::open("memory", memory, options.keys)];
    #[cfg(feature = "rocksdb")]
    contenders.push(Contender::open("rocksdb", rocks(dir.path()), options.keys));
    println!("{} keys of 24 bytes, values of 256 bytes", options.keys);
    if options.wants("apply") {
        apply(&mut contenders, options.rounds(ROUNDS));
    }
    if options.wants("range") {
        range(&mut contenders, options.rounds(ROUNDS));
    }
    if options.wants("snapshot") {
        for contender in &mut contenders {
            snapshot(contender, dir.path());
        }
    }
    // The last, since these rows are none that commands lead to.
    if options.wants("engine") {
        engine(&mut contenders, options.rounds(ROUNDS));
    }
    drop(contenders);
    #[cfg(feature = "rocksdb")]
    if options.wants("restart") {
        restart(dir.path());
    }
}

#[cfg(feature = "rocksdb")]
fn rocks(dir: &Path) -> Arc<dyn Engine> {
    let opened = RocksEngine::open(&dir.join("db"), RocksEngineConfig::default());
    Arc::new(opened.expect("an engine"))
}

fn apply(contenders: &mut [Contender], rounds: usize) {
    println!("\napply, puts a second (time a batch)");
    for size in BATCHES {
        let batches = (100_000 / size).min(20_000);
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                times.push(contender.apply(size, batches));
            }
        }
        for (contender, times) in contenders.iter().zip(times) {
            let each = median(times);
            let rate = 1.0 / each.as_secs_f64();
            let batch = each * u32::try_from(size).unwrap_or(u32::MAX);
            println!("  {:8} {size:5}: {rate:>9.0} ({batch:?})", contender.name);
        }
    }
}

fn engine(contenders: &mut [Contender], rounds: usize) {
    println!("\nthe engine alone, batches of 1024, time a put");
    for contender in contenders {
        let look_ups = (0..rounds * 20).map(|_| contender.look_up(1024)).collect();
        let writes = (0..rounds * 20).map(|_| contender.write(1024)).collect();
        let (look_up, write) = (median(look_ups), median(writes));
        println!(
            "  {:8} look up {look_up:?}, write {write:?}",
            contender.name
        );
    }
}

fn range(contenders: &mut [Contender], rounds: usize) {
    println!("\nrange, time a request");
    for keys in RANGES {
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                times.push(contender.range(keys));
            }
        }
        for (contender, times) in contenders.iter().zip(times) {
            println!("  {:8} {keys:5}: {:?}", contender.name, median(times));
        }
    }
}

/// A snapshot on another thread while batches of 1024 are applied: for how long nothing is applied
/// while the state is held fast, and the slowest batch before and meanwhile.
fn snapshot(contender: &mut Contender, dir: &Path) {
    let slowest = |contender: &mut Contender, is_over: &dyn Fn(usize) -> bool| {
        let mut times = Vec::new();
        while !is_over(times.len()) {
            let batch = contender.commands.puts(1024);
            let began = Instant::now();
            contender.machine.apply(&batch).expect("answers");
            times.push(began.elapsed());
        }
        let slowest = times.iter().max().copied().unwrap_or_default();
        (times.len(), slowest)
    };
    let (_, before) = slowest(contender, &|batches| batches >= 100);
    let began = Instant::now();
    let capture = contender.machine.snapshot().expect("a snapshot");
    let stop = began.elapsed();
    let mut sink = LinkSink::new(&dir.join(contender.name).with_extension("snapshot"));
    let writer = std::thread::spawn(move || {
        capture(&mut sink).expect("a written snapshot");
        sink.bytes
    });
    let (batches, meanwhile) = slowest(contender, &|_| writer.is_finished());
    let took = began.elapsed();
    let bytes = writer.join().expect("it did not panic");
    println!(
        "\nsnapshot, {}: stops applying for {stop:?}; written in {took:?} ({} MiB) while {batches} \
         batches of 1024 were applied\n  slowest batch before {before:?}, meanwhile {meanwhile:?}",
        contender.name,
        bytes >> 20,
    );
}

#[cfg(feature = "rocksdb")]
fn restart(dir: &Path) {
    let began = Instant::now();
    let opened = Machine::open(rocks(dir), MachineConfig::default());
    let (machine, store) = opened.expect("rows to begin with");
    let took = began.elapsed();
    let state = store.state().expect("a state");
    let durable = machine.durable();
    println!(
        "\nrestart, rocksdb: {took:?} with {} keys; entry {durable} of {} is durable",
        state.keys, state.applied
    );
}
