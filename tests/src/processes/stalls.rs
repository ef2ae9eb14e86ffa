//! How long the machine itself keeps whoever writes waiting: what can't be asked of a cluster on
//! the same disk. It knows no cluster.

use std::fs::File;
use std::io::Write;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// How often the disk is tried.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes and syncs a few bytes again and again, and remembers what took longest.
#[derive(Debug)]
pub struct Stalls {
    thread: JoinHandle<Duration>,
    stop: CancellationToken,
}

impl Stalls {
    /// Begins to look.
    ///
    /// # Panics
    /// When there is no disk.
    #[must_use]
    pub fn watch() -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut file = tempfile::tempfile().expect("there is a disk");
        let thread = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.is_cancelled() {
                let began = Instant::now();
                write(&mut file);
                thread::sleep(PAUSE);
                longest = longest.max(began.elapsed());
            }
            longest
        });
        Self { thread, stop }
    }

    /// The longest time that a write and a short rest took.
    ///
    /// # Panics
    /// When the disk failed.
    #[must_use]
    pub fn longest(self) -> Duration {
        self.stop.cancel();
        self.thread.join().expect("the disk takes a few bytes")
    }
}

fn write(file: &mut File) {
    file.write_all(b"a few bytes").expect("there is a disk");
    file.sync_data().expect("there is a disk");
}
