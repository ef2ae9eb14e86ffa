//! Invariant 20, as far as it can be seen from outside: nothing a server emits is larger than its
//! limits allow, but for a single entry that is larger by itself.
//!
//! What a server keeps inside is bounded by its own checks.

use super::World;
use crate::entry::Entry;
use crate::event::{Apply, Output};
use crate::message::Message;
use crate::sim::ghost::Violation;
use crate::sim::node::Node;

const MESSAGE: &str = "20: a message carries no more than one entry or the limit";
const MACHINE: &str = "20: what waits at the state machine is limited";

impl World {
    /// Checks the messages of an output, and what waits at the machine together with it.
    pub(super) fn check_bounds(&self, node: &Node, out: &Output) -> Result<(), Violation> {
        for envelope in &out.messages {
            let Message::AppendEntries(append) = &envelope.message else {
                continue;
            };
            let fits = weight(&append.entries) <= self.plan.knobs.append_bytes;
            if append.entries.len() > 1 && !fits {
                let detail = format!("{} to {}: {append:?}", envelope.from, envelope.to);
                return Err(Violation::new(MESSAGE, detail));
            }
        }
        if out.apply.is_empty() {
            return Ok(());
        }
        let waiting = node.machine.queue.iter().chain(&out.apply);
        let (mut bytes, mut largest) = (0, 0);
        for apply in waiting {
            match apply {
                Apply::Entries(entries) => {
                    bytes += weight(entries);
                    largest = entries.iter().map(Entry::weight).fold(largest, u64::max);
                }
                // What waited before is void, but the machine may not have come to it yet.
                Apply::Restore(_) => bytes = 0,
            }
        }
        if bytes > self.plan.knobs.apply_bytes + largest {
            let detail = format!("{}: {bytes} bytes", node.id);
            return Err(Violation::new(MACHINE, detail));
        }
        Ok(())
    }
}

fn weight(entries: &[Entry]) -> u64 {
    entries.iter().map(Entry::weight).sum()
}
