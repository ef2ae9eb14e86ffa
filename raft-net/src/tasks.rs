//! The tasks of a network: each is told when to end, waited for, and not allowed to panic unheard.
//!
//! This file does not know what the tasks do.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::counters::Tally;

/// Owns the tasks of a network.
#[derive(Debug)]
pub(crate) struct Tasks {
    runtime: Handle,
    closing: CancellationToken,
    running: watch::Sender<usize>,
    tally: Arc<Tally>,
}

impl Tasks {
    /// None yet; what is spawned runs on this runtime.
    pub(crate) fn new(runtime: Handle, tally: Arc<Tally>) -> Self {
        Self {
            runtime,
            closing: CancellationToken::new(),
            running: watch::Sender::new(0),
            tally,
        }
    }

    /// Where panics are counted, among others.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Starts a task; it is dropped where it waits once [`Tasks::close`] is called.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let running = Running::new(name, self);
        let closing = self.closing.clone();
        self.runtime.spawn(async move {
            // Moved in, so that a panic of the task unwinds through it.
            let _running = running;
            closing.run_until_cancelled_owned(task).await;
        });
    }

    /// Ends all tasks, also those that are only spawned from now on.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Whether [`Tasks::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Until the last task is gone.
    pub(crate) async fn joined(&self) {
        let mut running = self.running.subscribe();
        running
            .wait_for(|count| *count == 0)
            .await
            .expect("the sender is borrowed from self, so it is not gone");
    }
}

/// Counts a task while it exists, and raises the alarm if it panics.
struct Running {
    name: &'static str,
    closing: CancellationToken,
    running: watch::Sender<usize>,
    tally: Arc<Tally>,
}

impl Running {
    fn new(name: &'static str, tasks: &Tasks) -> Self {
        tasks.running.send_modify(|count| *count += 1);
        Self {
            name,
            closing: tasks.closing.clone(),
            running: tasks.running.clone(),
            tally: tasks.tally.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tally.panics.one();
            tracing::error!(task = self.name, "a task panicked: the network shuts down");
            self.closing.cancel();
        }
        self.running.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn closing_ends_tasks_that_run_and_tasks_to_come() {
        let tasks = Tasks::new(Handle::current(), Arc::default());
        tasks.spawn("waits", pending());
        tasks.close();
        tasks.spawn("comes late", pending());
        tasks.joined().await;
        assert!(tasks.is_closed());
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_ends_the_others() {
        let tally = Arc::new(Tally::default());
        let tasks = Tasks::new(Handle::current(), tally.clone());
        tasks.spawn("waits", pending());
        tasks.spawn("panics", async { panic!("on purpose") });
        tasks.joined().await;
        assert_eq!(tally.snapshot().panics, 1);
    }
}
