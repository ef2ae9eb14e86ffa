//! Real power cuts: a file system is shut down under the log while it is written, again and again.
//!
//! After each the log must hold what it had acknowledged, and of the rest only what was being
//! written. The same is tried on a disk that syncs nothing; that this is caught shows that power is
//! really cut. Needs root. This file does not know how a log lies on a disk.

#[path = "power_loss/volume.rs"]
mod volume;
#[path = "power_loss/writer.rs"]
mod writer;

use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use raft_core::sim::rng::Rng;
use volume::Volume;
use writer::{Syncs, Writer};

/// Set in the process that has a mount namespace of its own.
const HOME: &str = "RAFT_POWER_LOSS_HOME";
const SEED: u64 = 20_261_121;
/// How often the power is cut under the log.
const CUTS: u64 = 80;
/// After so many cuts a log is begun anew.
const CUTS_PER_LOG: u64 = 10;
/// How often it is cut while nothing is synced.
const CARELESS_CUTS: u64 = 8;
/// How long is written at most before the cut.
const SPAN_US_MAX: u64 = 40_000;

#[test]
fn acknowledged_writes_survive_a_power_cut() {
    if let Some(home) = std::env::var_os(HOME) {
        return in_the_namespace(Path::new(&home));
    }
    // Memory that is there on any Linux; a disk would do, but slowly.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let dir = dir.expect("a directory");
    let test = "acknowledged_writes_survive_a_power_cut";
    match volume::in_a_namespace(test, dir.path(), HOME) {
        Err(error) => skip(error),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            if said.starts_with("unshare:") {
                return skip(said.trim());
            }
            print!("{}", String::from_utf8_lossy(&output.stdout));
            assert!(output.status.success(), "{said}");
        }
    }
}

fn skip(why: impl Display) {
    println!("skipped: needs root and loop mounts ({why})");
}

fn in_the_namespace(home: &Path) {
    let volume = match Volume::new(home).and_then(|volume| volume.mount().map(|()| volume)) {
        Ok(volume) => volume,
        Err(error) => return skip(error),
    };
    if let Err(error) = volume.cut() {
        return skip(error);
    }
    volume.unmount().expect("nobody uses it");
    println!("seed {SEED}");
    let began = Instant::now();
    let mut rng = Rng::new(SEED);
    let mut lost = 0;
    for cut in 0..CARELESS_CUTS {
        let mut writer = Writer::new(&format!("careless-{cut}"), Syncs::None, rng.fork());
        cycle(&volume, &mut writer, &mut rng).expect("there is nothing to lose yet");
        lost += u64::from(cycle(&volume, &mut writer, &mut rng).is_err());
    }
    println!("without syncs: {lost} of {CARELESS_CUTS} cuts lost something acknowledged");
    assert!(lost > 0, "power was not really cut");
    let mut acknowledged = 0;
    let mut in_flight = 0;
    for log in 0..CUTS / CUTS_PER_LOG {
        let mut writer = Writer::new(&format!("log-{log}"), Syncs::All, rng.fork());
        for cut in 0..CUTS_PER_LOG {
            let counted = cycle(&volume, &mut writer, &mut rng);
            acknowledged += counted.unwrap_or_else(|lost| panic!("cut {cut} of log {log}: {lost}"));
        }
        // The last cut is looked at too.
        volume.mount().expect("power is back");
        let opened = writer.open(volume.root());
        opened.unwrap_or_else(|lost| panic!("the last cut of log {log}: {lost}"));
        in_flight += writer.survivors();
        writer.close();
        std::fs::remove_dir_all(volume.root().join(format!("log-{log}"))).expect("removed");
        volume.unmount().expect("nobody uses it");
    }
    let took = began.elapsed();
    println!("{CUTS} cuts lost nothing of {acknowledged} steps, in {took:.1?}");
    println!("{in_flight} steps were durable that nobody had been told of");
    assert!(acknowledged > CUTS * 10, "too little was written");
}

/// Power on, write until it is cut. Says how many steps were acknowledged, or what is missing of
/// those before.
fn cycle(volume: &Volume, writer: &mut Writer, rng: &mut Rng) -> Result<u64, String> {
    volume.mount().expect("power is back");
    let opened = writer.open(volume.root());
    let acknowledged = AtomicU64::new(0);
    if opened.is_ok() {
        let span = Duration::from_micros(rng.below(SPAN_US_MAX));
        thread::scope(|scope| {
            scope.spawn(|| writer.write_on(&acknowledged));
            thread::sleep(span);
            volume.cut().expect("power was there");
        });
    }
    writer.close();
    volume.unmount().expect("nobody uses it");
    opened.map(|()| acknowledged.load(Ordering::SeqCst))
}
