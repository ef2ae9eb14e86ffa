//! A small state machine, and the suite that it has to pass. It does not know how clusters run.

use bytes::Bytes;
use raft_core::Index;
use raft_core::conformance::{StateMachineFixture, state_machine, state_machine_walk};
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};

/// Counts up by what each command says.
#[derive(Default)]
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let execute = |one: &Committed| match one.command[..] {
            [step] => {
                self.0 = self.0.wrapping_add(u64::from(step));
                Bytes::copy_from_slice(&self.0.to_le_bytes())
            }
            // It is committed, so it is answered: all members say the same.
            _ => Bytes::from_static(b"one byte, please"),
        };
        Ok(batch.iter().map(execute).collect())
    }

    fn query(&self, _: &[u8]) -> Result<Bytes, PortError> {
        Ok(Bytes::copy_from_slice(&self.0.to_le_bytes()))
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let count = self.0.to_le_bytes();
        Ok(Box::new(move |sink| sink.add("count", &mut &count[..])))
    }

    fn restore(&mut self, _: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut file = Vec::new();
        source.copy("count", &mut file)?;
        let count = file.try_into();
        self.0 = u64::from_le_bytes(count.map_err(|_| PortError::damaged("the count"))?);
        Ok(())
    }
}

struct Fixture;

impl StateMachineFixture for Fixture {
    fn fresh(&mut self) -> Box<dyn StateMachine> {
        Box::new(Counter::default())
    }

    fn command(&self, _: Index, random: u64) -> Bytes {
        Bytes::copy_from_slice(&random.to_le_bytes()[..1])
    }

    fn malformed(&self) -> Vec<Bytes> {
        vec![Bytes::new(), Bytes::from_static(b"two")]
    }

    fn queries(&self) -> Vec<Bytes> {
        vec![Bytes::new()]
    }
}

fn main() {
    state_machine(&mut Fixture);
    for seed in 0..100 {
        state_machine_walk(&mut Fixture, seed, 100);
    }
}

#[test]
fn the_counter_passes() {
    main();
}
