//! What the nodes run: registers, with sessions around them or without.
//!
//! It does not know what the registers are asked.

use bytes::Bytes;
use raft_core::driver::{ReadError, StartError};
use raft_core::session::{SessionLimits, Sessions};
use raft_core::sim::history::{OpKind, Returned};
use raft_core::{Consistency, Node, NodeId};
use raft_tests::storm::{self, Care, Place, Program};

use super::registers::{self, Ghost, Registers};

pub(crate) type World = storm::World<Registered>;

/// Registers on every node.
pub(crate) struct Registered {
    pub(crate) care: Care,
    pub(crate) ghost: Ghost,
}

impl Registered {
    pub(crate) fn new(care: Care) -> Self {
        Self {
            care,
            ghost: Ghost::default(),
        }
    }
}

impl Program for Registered {
    async fn start(&self, place: Place) -> Result<Node, StartError> {
        let registers = Registers::new(self.ghost.clone());
        match self.care {
            Care::None => place.run(registers).await,
            Care::Session => {
                let machine = Sessions::new(registers, SessionLimits::default());
                place.run(machine).await
            }
        }
    }

    fn gone(&self, _: NodeId) {}
}

impl storm::Registers for Registered {
    fn command(&self, key: u64, kind: OpKind) -> Bytes {
        registers::command(key, kind)
    }

    fn answered(&self, _: OpKind, answer: Bytes) -> (Returned, u64) {
        registers::answered(answer)
    }

    async fn read(&self, node: &Node, key: u64) -> Result<(Returned, u64), ReadError> {
        let query = registers::query(key);
        let answer = node.read(query, Consistency::Linearizable).await?;
        Ok(registers::answered(answer))
    }
}
