//! A cluster in one process under all faults at once, as the seed decides: the real driver over an
//! unreliable network in memory, under a clock that stands still.
//!
//! It does not know what the nodes run, nor what the clients do: [`Program`] and the tests do.

mod clients;
mod faults;
pub mod tally;
mod world;

use std::fmt;
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

pub use clients::{Care, KEYS, Registers};
pub use faults::rage;
pub use tally::Tally;
pub use world::{FOUNDERS, NODES, PATIENCE, Place, Program, World, name};

/// The time in which a cluster without faults must serve everybody.
pub const RECOVERY: Duration = Duration::from_secs(120);

/// Which seeds a campaign runs.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
}

impl Seeds {
    /// So many, unless the environment has other wishes: `NAME` is how many, `NAME_FROM` the first.
    #[must_use]
    pub fn wanted(name: &str, usual: u64) -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse().ok();
        Self {
            from: number(&format!("{name}_FROM")).unwrap_or(1),
            count: number(name).unwrap_or(usual),
        }
    }
}

/// Runs all seeds, on all cores, and returns what happened in all of them.
///
/// # Panics
/// If any of them went wrong.
pub fn campaign<T>(seeds: Seeds, run: impl Fn(u64) -> Result<T, String> + Sync) -> T
where
    T: Default + fmt::Display + Send + for<'a> AddAssign<&'a T>,
{
    let next = AtomicU64::new(seeds.from);
    let total = Mutex::new((T::default(), Vec::new()));
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.from + seeds.count {
                return;
            }
            let run = catch_unwind(AssertUnwindSafe(|| run(seed)));
            let mut total = total.lock().expect("nobody panics with it");
            match run {
                Ok(Ok(tally)) => total.0 += &tally,
                Ok(Err(wrong)) => total.1.push(format!("seed {seed}: {wrong}")),
                Err(_) => total.1.push(format!("seed {seed} panicked")),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    let (tally, wrongs) = total.into_inner().expect("nobody panicked with it");
    let count = seeds.count;
    println!("{count} seeds: {tally}");
    assert!(
        wrongs.is_empty(),
        "{} of {count}:\n{}",
        wrongs.len(),
        wrongs.join("\n")
    );
    tally
}

/// Runs a future to its end under a clock that stands still while anything can be done.
///
/// # Panics
/// If there can be no runtime.
pub fn in_paused_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // What still runs in it ends with it.
    LocalSet::new().block_on(&runtime, future)
}
