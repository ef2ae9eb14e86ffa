//! Every fuzz target on its seeds, and on inputs drawn and mutated from them: the same ones in each
//! run, so that what fails fails again.
//!
//! `UPDATE_SEEDS=1 cargo test -p raft-tests --test fuzz_smoke` writes the seeds anew. This file
//! does not know what the targets do; `tests/fuzz/` runs them for as long as one likes.

#[path = "fuzz_smoke/dns_seeds.rs"]
mod dns_seeds;
#[path = "fuzz_smoke/kv_seeds.rs"]
mod kv_seeds;
#[path = "fuzz_smoke/log_seeds.rs"]
mod log_seeds;
#[path = "fuzz_smoke/wire_seeds.rs"]
mod wire_seeds;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use raft_tests::fuzz::{TARGETS, Target};

/// How often each target runs.
const RUNS: u64 = 40_000;
const INPUT_BYTES_MAX: u64 = 600;

#[test]
fn targets_hold_on_seeds_and_on_what_becomes_of_them() {
    let mut executions = 0;
    for ((name, target), (seeded, seeds)) in TARGETS.into_iter().zip(seeds()) {
        assert_eq!(name, seeded, "targets and seeds are in the same order");
        for seed in &seeds {
            run(name, target, seed);
        }
        let mut random = Random(0x9e37_79b9);
        for _ in 0..RUNS {
            run(name, target, &random.input(&seeds));
        }
        executions += RUNS + seeds.len() as u64;
    }
    println!("{executions} executions of {} targets", TARGETS.len());
    assert!(executions > 400_000);
}

#[test]
fn seeds_are_what_we_encode() {
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        write();
    }
    for (name, expected) in seeds() {
        assert!(
            read_seeds(name) == expected,
            "the seeds of {name}: see UPDATE_SEEDS"
        );
    }
}

/// The seeds of each target, in the order of their names.
fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut seeds = log_seeds::all();
    seeds.extend(dns_seeds::all());
    seeds.extend(kv_seeds::all());
    seeds.extend(wire_seeds::all());
    seeds.sort();
    seeds
}

/// Writes all of them, a file each.
fn write() {
    for (name, seeds) in seeds() {
        let directory = directory().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("made");
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("{number:02}")), seed).expect("written");
        }
    }
}

fn run(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        let bytes: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("target {name} failed on {bytes}");
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

fn read_seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory().join(target)).expect("the seeds of each target");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("listed").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read(path).expect("a seed is readable");
    paths.iter().map(read).collect()
}

/// The generator xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn byte(&mut self) -> u8 {
        // Zeros, ones and all bits set lead further into a decoder than most others.
        match self.below(6) {
            0 => 0,
            1 => 1,
            2 => 0xff,
            _ => self.below(256).to_le_bytes()[0],
        }
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count.max(1) as u64)).expect("within memory")
    }

    /// Drawn from nothing, or a seed that was changed here and there.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(4) == 0 {
            let length = self.below(INPUT_BYTES_MAX);
            return (0..length).map(|_| self.byte()).collect();
        }
        let mut input = seeds[self.place(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.place(input.len());
            match self.below(6) {
                0 => input.truncate(at),
                1 => input.insert(at, self.byte()),
                2 => {
                    let end = input.len().min(at + self.place(16));
                    let part = input[at..end].to_vec();
                    input.extend(part);
                }
                3 if at < input.len() => drop(input.remove(at)),
                _ if at < input.len() => input[at] = self.byte(),
                _ => input.push(self.byte()),
            }
        }
        input
    }
}
