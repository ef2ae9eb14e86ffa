//! The thread that removes superfluous rows, some at a time, so that no command waits for long.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use raft_core::port::PortError;

use super::Shared;

/// Between two pages commands come through.
const PAUSE: Duration = Duration::from_millis(1);

/// Stops, and waits for its thread, when it is dropped.
pub(super) struct Sweeper {
    /// Taken when it is to stop.
    wakes: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, PortError> {
        // One that waits is enough: it stands for all.
        let (wakes, woken) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("kv-sweep".to_owned())
            .spawn(move || run(&shared, &woken))
            .map_err(|error| PortError::io("start the thread that sweeps", error))?;
        Ok(Self {
            wakes: Some(wakes),
            thread: Some(thread),
        })
    }

    /// There is something to remove.
    pub(super) fn wake(&self) {
        if let Some(wakes) = &self.wakes {
            // A full channel: it is about to look.
            let _ = wakes.try_send(());
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.wakes.take();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has poisoned the turn, so the machine has noticed.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        loop {
            match shared.sweep_page() {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    // An engine that fails does so for good, and the next command finds out.
                    tracing::error!(%error, "superfluous rows can't be removed");
                    return;
                }
            }
            match woken.recv_timeout(PAUSE) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}
