//! Where blocking work is done: on a thread of its own, or, where nothing blocks, in the loop.
//!
//! A lane takes all tasks that wait at once, so that a slow disk is paid for once by all of them.
//! This file does not know what the work is.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::config::Lanes;
use super::done::Done;
use super::error::{StartError, StopReason};
use super::mailbox::Mailbox;
use crate::port::PortError;

/// What is done in a lane.
pub(super) trait Work: Send + 'static {
    /// One piece of it.
    type Task: Send + 'static;
    /// The lane's name, for threads and errors.
    const NAME: &'static str;

    /// Does all of it, in order, and reports to the mailbox.
    fn carry_out(&mut self, tasks: &mut Vec<Self::Task>) -> Result<(), StopReason>;
}

/// A lane with what waits in front of it. After an error nothing more is done.
pub(super) struct Lane<W: Work> {
    /// What the next [`Lane::flush`] hands over.
    pending: Vec<W::Task>,
    place: Place<W>,
}

enum Place<W: Work> {
    Thread {
        queue: Arc<Queue<W::Task>>,
        thread: Option<JoinHandle<()>>,
    },
    Inline {
        worker: W,
        mailbox: Arc<Mailbox>,
        is_broken: bool,
    },
}

impl<W: Work> Lane<W> {
    /// Opens the lane.
    pub(super) fn open(
        lanes: Lanes,
        worker: W,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Self, StartError> {
        let mailbox = Arc::clone(mailbox);
        let place = match lanes {
            Lanes::Inline => Place::Inline {
                worker,
                mailbox,
                is_broken: false,
            },
            Lanes::Threads => {
                let queue = Arc::new(Queue::default());
                let theirs = Arc::clone(&queue);
                let thread = thread::Builder::new()
                    .name(format!("raft-{}", W::NAME))
                    .spawn(move || work(worker, &theirs, &mailbox))
                    .map_err(|source| StartError::Port {
                        port: "the system",
                        source: PortError::io("starting a thread", source),
                    })?;
                Place::Thread {
                    queue,
                    thread: Some(thread),
                }
            }
        };
        Ok(Self {
            pending: Vec::new(),
            place,
        })
    }

    /// Adds a task to what is handed over next.
    pub(super) fn push(&mut self, task: W::Task) {
        self.pending.push(task);
    }

    /// Hands over what was pushed.
    pub(super) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match &mut self.place {
            Place::Thread { queue, .. } => queue.append(&mut self.pending),
            Place::Inline {
                worker,
                mailbox,
                is_broken,
            } => {
                if !*is_broken && let Err(reason) = worker.carry_out(&mut self.pending) {
                    *is_broken = true;
                    mailbox.done(Done::Broken(reason));
                }
                self.pending.clear();
            }
        }
    }

    /// Lets the lane finish what it was given, and ends it. Blocks until then.
    pub(super) fn close(mut self) {
        self.flush();
        if let Place::Thread { queue, thread } = &mut self.place {
            queue.close();
            // Panics within were caught and reported; one outside has nothing left to say.
            drop(thread.take().map(JoinHandle::join));
        }
    }
}

impl<W: Work> Drop for Lane<W> {
    fn drop(&mut self) {
        if let Place::Thread { queue, .. } = &self.place {
            queue.close();
        }
    }
}

fn work<W: Work>(mut worker: W, queue: &Queue<W::Task>, mailbox: &Mailbox) {
    let mut tasks = Vec::new();
    while queue.take(&mut tasks) {
        let outcome = catch_unwind(AssertUnwindSafe(|| worker.carry_out(&mut tasks)));
        let reason = match outcome {
            Ok(Ok(())) => {
                tasks.clear();
                continue;
            }
            Ok(Err(reason)) => reason,
            Err(panic) => StopReason::Panicked {
                lane: W::NAME,
                message: message_of(panic.as_ref()),
            },
        };
        mailbox.done(Done::Broken(reason));
        return;
    }
}

/// What a panic said.
pub(super) fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}

/// Tasks on their way to a thread. Bounded by what the core lets be under way.
struct Queue<T> {
    state: Mutex<Waiting<T>>,
    news: Condvar,
}

struct Waiting<T> {
    tasks: Vec<T>,
    is_closed: bool,
    is_awaited: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(Waiting {
                tasks: Vec::new(),
                is_closed: false,
                is_awaited: false,
            }),
            news: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    fn append(&self, tasks: &mut Vec<T>) {
        let mut state = self.state();
        state.tasks.append(tasks);
        self.tell(state);
    }

    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.tell(state);
    }

    fn tell(&self, mut state: MutexGuard<'_, Waiting<T>>) {
        let is_awaited = mem::take(&mut state.is_awaited);
        drop(state);
        if is_awaited {
            self.news.notify_one();
        }
    }

    /// Waits until there is something, and takes all of it; false when nothing will come any more.
    fn take(&self, tasks: &mut Vec<T>) -> bool {
        let mut state = self.state();
        while state.tasks.is_empty() {
            if state.is_closed {
                return false;
            }
            state.is_awaited = true;
            state = self
                .news
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(tasks, &mut state.tasks);
        true
    }

    fn state(&self) -> MutexGuard<'_, Waiting<T>> {
        // Nothing under this lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeConfig;
    use crate::types::NodeId;

    /// Counts its tasks; each of them fails.
    struct Failing(Arc<Mutex<u32>>);

    impl Work for Failing {
        type Task = ();
        const NAME: &'static str = "failing";

        fn carry_out(&mut self, _: &mut Vec<()>) -> Result<(), StopReason> {
            *self.0.lock().expect("not poisoned") += 1;
            Err(StopReason::Told)
        }
    }

    #[test]
    fn a_lane_that_has_failed_does_nothing_more() {
        for lanes in [Lanes::Inline, Lanes::Threads] {
            let mailbox = Arc::new(Mailbox::new(&NodeConfig::joining(NodeId(1))));
            let count = Arc::new(Mutex::new(0));
            let mut lane = Lane::open(lanes, Failing(Arc::clone(&count)), &mailbox).expect("opens");
            lane.push(());
            lane.flush();
            lane.push(());
            lane.close();
            assert_eq!(*count.lock().expect("not poisoned"), 1, "{lanes:?}");
            assert_eq!(
                mailbox.close().done.len(),
                1,
                "it is reported once, {lanes:?}"
            );
        }
    }
}
