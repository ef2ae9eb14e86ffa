//! Founds a cluster offline upon a state that is there already: that of a backup, or of a cluster
//! that lost its quorum.
//!
//! The state becomes a snapshot in the log of each founder, and the log begins behind it. So who
//! joins later, and has nothing, is given the snapshot: were the state only in the founders' own
//! stores, a newcomer would replay the log from its first entry, upon nothing.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result};
use raft_core::entry::{Recovered, SnapshotMeta};
use raft_core::event::Write;
use raft_core::port::{LogStore, StateMachine};
use raft_core::types::WriteId;
use raft_core::{
    Entries, HardState, Incarnation, Index, Member, Membership, NodeId, Position, Term,
};
use raft_kv::backup::{BackupInfo, RestoreOptions, restore_backup};
use raft_kv::{Machine, MachineConfig};
use raft_log::WalLog;

use super::assemble::open_log;
use super::config::{EngineName, Url};
use super::engine;
use super::home::{Home, member_id};

/// Where the log begins, in a term in which nobody led: the first leader's is a later one.
const BEGINNING: Position = Position::new(Term(1), Index(1));

/// Founds the log of a member of a new cluster upon a backup, and settles its directory. The same
/// founders, in any order, and the same backup have to be given to each of them.
pub(crate) fn found(
    home: &Home,
    engine: EngineName,
    founders: &[Url],
    backup: (&mut dyn Read, RestoreOptions),
) -> Result<BackupInfo> {
    let dir = home.dir().join("restoring");
    let scratch = Home::create(&dir, home.identity.clone())?;
    let (mut machine, info) = restored(&scratch, engine, backup)?;
    let mut log = open_log(home)?;
    begin(&mut log, members(home, founders), &mut machine)?;
    drop(machine);
    fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    home.settle()?;
    Ok(info)
}

/// A machine with the state of a backup, on rows of its own.
fn restored(
    scratch: &Home,
    engine: EngineName,
    (backup, options): (&mut dyn Read, RestoreOptions),
) -> Result<(Machine, BackupInfo)> {
    let engine = engine::open(scratch, engine)?;
    let info = restore_backup(backup, &*engine, options)?;
    let (machine, _) = Machine::open(engine, MachineConfig::default())?;
    Ok((machine, info))
}

fn members(home: &Home, founders: &[Url]) -> Membership {
    let member = |url: &Url| -> (NodeId, Member) {
        let id = member_id(&home.identity.token, &url.address);
        (id, Member::at(url.address.clone()))
    };
    Membership::of_voters(founders.iter().map(member))
}

fn begin(log: &mut WalLog, members: Membership, machine: &mut Machine) -> Result<()> {
    let incarnation = Incarnation(RandomState::new().hash_one("restored").max(1));
    log.recover()?;
    let founding = Recovered::bootstrap(incarnation, members);
    log.found(&founding)?;
    let meta = Arc::new(SnapshotMeta {
        last: BEGINNING,
        ..founding.snapshot
    });
    let mut sink = log.create_snapshot(Arc::clone(&meta))?;
    machine.snapshot()?(&mut *sink)?;
    sink.finish()?;
    let write = Write {
        id: WriteId(1),
        reset: Some(meta),
        hard_state: Some(HardState {
            term: BEGINNING.term,
            vote: None,
        }),
        truncate: None,
        entries: Entries::default(),
    };
    Ok(log.write(&[write])?)
}

#[cfg(test)]
mod tests;
