//! What a [`StateMachine`] must do, case by case, and at random.
//!
//! One machine, told one command at a time, is the reference: whatever else is done to machines of
//! the same kind, they must answer and hold what it did. This file does not know what commands
//! mean, nor what a crash does to a machine's own disk: the fixture does.

mod crashes;
mod files;
mod replays;
mod snapshots;
mod stand;
mod walk;

#[cfg(all(test, feature = "sim"))]
mod tests;

pub use walk::state_machine_walk;

use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::port::StateMachine;
use crate::types::Index;
use stand::Stand;

/// Where the machines under test come from, and what they are told.
pub trait StateMachineFixture {
    /// A machine that has applied nothing. One with a disk of its own gets a place of its own;
    /// those made before are still used.
    fn fresh(&mut self) -> Box<dyn StateMachine>;

    /// Opens once more, after a crash, what the last [`StateMachineFixture::fresh`] made; that
    /// machine was dropped before. A machine in memory has nothing to open, and is a fresh one.
    fn reopen(&mut self) -> Box<dyn StateMachine> {
        self.fresh()
    }

    /// The command at this place of a log, drawn by this random number: the same for the same two.
    /// They should do all that the machine can do.
    fn command(&self, index: Index, random: u64) -> Bytes;

    /// Commands that make no sense. They are committed like any other, so they must be answered,
    /// alike on all members, and not stop the machine.
    fn malformed(&self) -> Vec<Bytes> {
        Vec::new()
    }

    /// Queries whose answers together stand for the whole state: two machines that differ must
    /// differ in one of them.
    fn queries(&self) -> Vec<Bytes>;

    /// How to read a file that the machine adds to a snapshot by its path. It is read as it is
    /// added, since the machine may remove it afterwards. Machines that add none need not say.
    fn file_reader(&self) -> FileReader {
        |path| {
            let why = format!("the fixture can't read {}", path.display());
            Err(io::Error::new(io::ErrorKind::Unsupported, why))
        }
    }
}

/// Reads a whole file.
pub type FileReader = fn(&Path) -> io::Result<Vec<u8>>;

type Case = (&'static str, fn(&mut Stand));

/// The whole suite, except for the random walk.
///
/// # Panics
/// When the machine does not do what the contract says. The message names the case.
pub fn state_machine(fixture: &mut dyn StateMachineFixture) {
    let cases = replays::CASES
        .iter()
        .chain(snapshots::CASES)
        .chain(crashes::CASES)
        .chain([&replays::LAST]);
    for ((name, case), seed) in cases.zip(1..) {
        case(&mut Stand::new((*name).to_owned(), fixture, seed));
    }
}
