//! A machine that fails when a test wants it, and one that takes its time.
//!
//! This file does not know what a node makes of it.

use bytes::Bytes;
use raft_core::Index;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_tests::faulty::{Spot, Trigger};

use crate::nodes::Journal;

#[derive(Default)]
pub(crate) struct FaultyMachine {
    pub(crate) journal: Journal,
    pub(crate) trigger: Trigger,
}

impl StateMachine for FaultyMachine {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        self.trigger.pull(Spot::Apply)?;
        let mut answers = self.journal.apply(batch)?;
        if self.trigger.pull(Spot::Answers).is_err() {
            answers.pop();
        }
        Ok(answers)
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        self.trigger.pull(Spot::Query)?;
        self.journal.query(query)
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        self.trigger.pull(Spot::Snapshot)?;
        let (capture, trigger) = (self.journal.snapshot()?, self.trigger.clone());
        Ok(Box::new(move |sink| {
            trigger.pull(Spot::Capture)?;
            capture(sink)
        }))
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        self.trigger.pull(Spot::Restore)?;
        self.journal.restore(last, source)
    }
}
