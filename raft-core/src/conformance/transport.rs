//! What a [`Transport`] must do, case by case.
//!
//! A parcel may get lost, so every case sends until something arrives, and judges what did. This
//! file does not know what carries the parcels, nor how much time passes: who owns the network
//! below can wait.

mod lives;
mod parcels;
mod record;
mod samples;
mod snapshots;
mod stand;

use crate::port::Transport;
use crate::types::NodeId;
use stand::Stand;

/// Where the transports under test come from.
pub trait TransportFixture {
    /// A network with the endpoints of these nodes, in this order, none of them started. Those made
    /// before are not used any more.
    fn fresh(&mut self, ids: &[NodeId]) -> Vec<Box<dyn Transport>>;

    /// The node starts again, at another address than before. Its former endpoint was dropped.
    fn relocate(&mut self, id: NodeId) -> Box<dyn Transport>;

    /// The address of the node as a configuration has it.
    fn address(&self, id: NodeId) -> String;

    /// Waits until the condition holds. False if it still does not, when it should have held for
    /// long.
    fn settle(&mut self, until: &mut dyn FnMut() -> bool) -> bool;

    /// Waits until what was sent has most likely arrived, or never will.
    fn calm(&mut self);

    /// Whether the inbox may be called within the call that sends: it must not block, so a sender
    /// may rely on it. Then no case makes it block.
    fn delivers_within_send(&self) -> bool {
        false
    }
}

type Case = (&'static str, fn(&mut Stand));

/// The whole suite.
///
/// # Panics
/// When the transport does not do what the contract says. The message names the case.
pub fn transport(fixture: &mut dyn TransportFixture) {
    let cases = parcels::CASES
        .iter()
        .chain(lives::CASES)
        .chain(snapshots::CASES);
    for (name, case) in cases {
        case(&mut Stand::new(name, fixture));
    }
}
