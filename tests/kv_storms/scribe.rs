//! A machine, and beside it somebody who writes down all that its replica is told.
//!
//! It does not know what happens, nor whether it is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use raft_core::port::{Capture, Committed, Framing, PortError, SnapshotSource, StateMachine};
use raft_core::session::{Answered, Stamped};
use raft_core::{Index, NodeId};
use raft_kv::command::Command;
use raft_kv::keys::Keys;
use raft_kv::watch::{CancelReason, WatchItem, WatchRequest, Watcher};
use raft_kv::{AlarmKind, Answer, Machine, Response, Revision, Store};

use super::truth::Truth;

/// A machine that is watched from its beginning.
pub(crate) struct Scribe {
    who: NodeId,
    machine: Machine,
    store: Store,
    watcher: Watcher,
    truth: Truth,
    /// What is restored from now on came over the network.
    pub(crate) is_up: Arc<AtomicBool>,
}

impl Scribe {
    pub(crate) fn new(who: NodeId, machine: Machine, store: Store, truth: Truth) -> Self {
        Self {
            who,
            watcher: watch(&store, Revision::FIRST),
            machine,
            store,
            truth,
            is_up: Arc::default(),
        }
    }

    /// Writes down what is new.
    fn write_down(&mut self) {
        let who = self.who.to_string();
        while let Some(item) = self.watcher.poll_now() {
            match item {
                WatchItem::Events { events, .. } => self.truth.look(|seen| {
                    for whole in events.chunk_by(|a, b| a.revision() == b.revision()) {
                        seen.saw(&who, whole);
                    }
                }),
                // What was before a snapshot, others have seen.
                WatchItem::Cancelled(CancelReason::Compacted { compacted }) => {
                    self.watcher = watch(&self.store, compacted);
                }
                WatchItem::Cancelled(reason) => {
                    self.wrong(format!("the watch at {who} ended: {reason}"));
                    return;
                }
            }
        }
        let state = self.store.state().expect("its rows");
        let told = self.watcher.rest().start;
        if told != state.revision.next() {
            let revision = state.revision;
            self.wrong(format!(
                "{who} was told before {told}, and is at {revision}"
            ));
        }
        let alarms = self.store.alarms().expect("its rows");
        if let Some(alarm) = alarms.iter().find(|(_, kind)| *kind == AlarmKind::Corrupt) {
            self.wrong(format!("{alarm:?} at {who}"));
        }
    }

    /// Notes compactions, and the commands of those who look after members.
    fn recognize(&self, committed: &Committed, answer: &Bytes) {
        let stamped = Stamped::decode(committed.command.clone());
        let command = stamped.and_then(|stamped| Command::decode(stamped.command).ok());
        self.truth.look(|seen| match command {
            Some(Command::Compact(revision)) => {
                seen.compactions.insert(revision);
            }
            Some(Command::Report(_)) => seen.reports += 1,
            Some(Command::Upgrade(_)) => seen.upgrades += 1,
            Some(Command::Expire { term, ids, .. }) if !ids.is_empty() => {
                let ended = expired(answer).unwrap_or(0);
                seen.expiries_in_vain += u64::from(ended == 0);
                if ended > 0 && term != committed.term {
                    let at = committed.index;
                    seen.wrongs
                        .push(format!("who led in {term} ended {ids:?} at {at}"));
                }
            }
            _ => {}
        });
    }

    fn wrong(&self, what: String) {
        self.truth.look(|seen| seen.wrongs.push(what));
    }

    /// A machine does not fail on account of any fault that there is here.
    fn note<T>(&self, result: Result<T, PortError>) -> Result<T, PortError> {
        if let Err(error) = &result {
            self.wrong(format!("the machine of {}: {error}", self.who));
        }
        result
    }
}

/// How many leases ended, if that was the answer.
fn expired(answer: &Bytes) -> Option<u64> {
    let Answered::Applied(answer) = Answered::decode(answer.clone())? else {
        return None;
    };
    match Answer::decode(answer)?.outcome {
        Ok(Response::Expired(count)) => Some(count),
        _ => None,
    }
}

fn watch(store: &Store, start: Revision) -> Watcher {
    let watcher = store.watch(WatchRequest {
        start,
        wants_prev: true,
        ..WatchRequest::new(Keys::all())
    });
    watcher.expect("there are not that many")
}

impl StateMachine for Scribe {
    fn framing(&self) -> Framing {
        self.machine.framing()
    }

    fn durable(&self) -> Index {
        self.machine.durable()
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let applied = self.machine.apply(batch);
        let answers = self.note(applied)?;
        for (committed, answer) in batch.iter().zip(&answers) {
            self.recognize(committed, answer);
        }
        self.write_down();
        Ok(answers)
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        let answer = self.machine.query(query);
        self.note(answer)
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let capture = self.machine.snapshot();
        self.note(capture)
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let restored = self.machine.restore(last, source);
        self.note(restored)?;
        let came_from_afar = self.is_up.load(Ordering::Relaxed);
        self.truth.look(|seen| {
            seen.restored += 1;
            seen.installed += u64::from(came_from_afar);
        });
        self.write_down();
        Ok(())
    }
}
