//! Backups: all that clients have stored, in one stream of bytes that any member can write, and
//! that makes a new cluster.
//!
//! A backup is a consistent state, whatever is written meanwhile. It has a checksum of its bytes;
//! and its rows must add up to the digest that the state machine kept, so rows that were damaged on
//! the member's disk do not get into a new cluster unnoticed.
//!
//! A new cluster has another history. So whoever restores a backup raises the revision, well beyond
//! what may have been written after it, and marks all before as compacted: a client that watches
//! from a revision it has seen is told that this is gone, rather than being given other changes
//! under the same numbers. Sessions, alarms and members belong to the old cluster and are left out;
//! leases stay, and so does what is attached to them; and so do users, roles and their passwords.
//!
//! Each founder of the new cluster restores the same backup before it starts for the first time.
//! This file does not know where the bytes go.

#[cfg(test)]
mod tests;

use std::io::{Read, Write};

use bytes::Bytes;
use raft_core::port::PortError;
use raft_core::{Index, Term};

use crate::auth::is_auth_key;
use crate::engine::{self, Batch, Change, Direction, Engine, Family, Span, stream};
use crate::model::digest_of;
use crate::rows::{self, Lease, State};
use crate::store::Store;
use crate::types::Revision;

/// So many rows are restored at once.
const ROWS_A_BATCH: usize = 4096;

/// What is in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// The revision it was taken at.
    pub revision: Revision,
    /// The last entry of the log that is in it.
    pub applied: Index,
    /// How many keys there are.
    pub keys: u64,
    /// How many leases.
    pub leases: u64,
}

/// How a backup becomes a new cluster. The same at all its founders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The revision is raised by so much.
    pub raise_by: u64,
}

impl Default for RestoreOptions {
    /// A thousand million: more than is written between two backups.
    fn default() -> Self {
        Self {
            raise_by: 1_000_000_000,
        }
    }
}

/// Why there is no backup, or none was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The rows, or the bytes, can't be read or written, or are damaged.
    #[error(transparent)]
    Port(#[from] PortError),
    /// It would be mixed with what is there.
    #[error("there is data already: restore into a new, empty directory")]
    NotEmpty,
    /// The bytes are as they were written, but what was written is not a sound state.
    #[error(
        "the rows do not add up to their digest: the disk of the member that wrote this backup is \
         damaged; take one from another member"
    )]
    WrongDigest,
    /// Revisions do not go that far.
    #[error("the revision can't be raised by so much")]
    RevisionTooHigh,
}

impl Store {
    /// Writes a backup of the present state.
    ///
    /// # Errors
    /// When rows can't be read, or the bytes can't be written.
    pub fn backup(&self, to: &mut dyn Write) -> Result<BackupInfo, BackupError> {
        let info = self.read(|view| {
            let state = rows::state(view)?;
            stream::write(to, state.applied, view)?;
            Ok(info(&state))
        });
        Ok(info?)
    }
}

/// Reads a backup to its end, and says what is in it.
///
/// # Errors
/// When it can't be read, or is damaged.
pub fn verify_backup(from: &mut dyn Read) -> Result<BackupInfo, BackupError> {
    let mut sum = Sum::default();
    stream::read(from, &mut |family, key, row| sum.take(family, &key, &row))?;
    sum.check()
}

/// Makes a state for a new cluster out of a backup, in an engine that has no rows.
///
/// # Errors
/// When there is something already, or as for [`verify_backup`]. The engine is no use then.
pub fn restore_backup(
    from: &mut dyn Read,
    engine: &dyn Engine,
    options: RestoreOptions,
) -> Result<BackupInfo, BackupError> {
    if !is_empty(engine)? {
        return Err(BackupError::NotEmpty);
    }
    let mut sum = Sum::default();
    let mut restored = Restored {
        engine,
        batch: Vec::new(),
        family: Family::Keys,
        digest: 0,
    };
    stream::read(from, &mut |family, key, row| {
        sum.take(family, &key, &row)?;
        restored.take(family, key, row)
    })?;
    let info = sum.check()?;
    let raised = info.revision.0.checked_add(options.raise_by);
    let revision = Revision(raised.ok_or(BackupError::RevisionTooHigh)?);
    // The state comes last: without it the rows are none that a machine would begin with.
    let state = State {
        revision,
        compacted: revision,
        applied: Index(0),
        term: Term(0),
        chain: 0,
        digest: restored.digest,
        ..sum.state()
    };
    restored.write()?;
    restored.family = Family::Meta;
    let key = Bytes::from_static(State::KEY);
    restored.batch.push((key, Some(state.encode())));
    restored.write()?;
    engine.flush()?;
    Ok(info)
}

fn info(state: &State) -> BackupInfo {
    BackupInfo {
        revision: state.revision,
        applied: state.applied,
        keys: state.keys,
        leases: state.leases,
    }
}

fn is_empty(engine: &dyn Engine) -> Result<bool, PortError> {
    engine::read(engine, |view| {
        for family in Family::ALL {
            let rows = view.scan(family, &Span::all(), Direction::Ascending)?;
            if rows.row().is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// What rows add up to, and what they should.
#[derive(Default)]
struct Sum {
    found: Option<State>,
    digest: u64,
    keys: u64,
    leases: u64,
}

impl Sum {
    fn take(&mut self, family: Family, key: &[u8], row: &[u8]) -> Result<(), PortError> {
        match family {
            Family::Keys => self.keys += 1,
            Family::Leases => self.leases += u64::from(rows::split_lease_key(key).is_some()),
            Family::Meta if key == State::KEY => {
                let state = State::decode(row);
                let state = state.ok_or_else(|| PortError::damaged("the row of the state"))?;
                self.found = Some(state);
                return Ok(());
            }
            Family::Meta if is_auth_key(key) => {}
            Family::Meta | Family::History | Family::Revisions | Family::Sessions => {
                return Ok(());
            }
        }
        self.digest = self.digest.wrapping_add(digest_of(family, key, row));
        Ok(())
    }

    fn state(&self) -> State {
        // A store in which nothing was written has no such row.
        self.found.unwrap_or(State::FRESH)
    }

    fn check(&self) -> Result<BackupInfo, BackupError> {
        let state = self.state();
        let are_equal =
            (state.digest, state.keys, state.leases) == (self.digest, self.keys, self.leases);
        if !are_equal {
            return Err(BackupError::WrongDigest);
        }
        Ok(info(&state))
    }
}

/// What is restored, on its way into the engine.
struct Restored<'a> {
    engine: &'a dyn Engine,
    batch: Vec<Change>,
    /// Of the batch.
    family: Family,
    /// Of the rows so far.
    digest: u64,
}

impl Restored<'_> {
    fn take(&mut self, family: Family, key: Bytes, row: Bytes) -> Result<(), PortError> {
        let row = match family {
            Family::Keys => row,
            // The log begins anew, so every lease was granted before its first entry.
            Family::Leases => match Lease::decode(&row) {
                Some(lease) => {
                    let granted = Index(0);
                    Lease { granted, ..lease }.encode()
                }
                None => row,
            },
            Family::Meta if is_auth_key(&key) => row,
            Family::History | Family::Revisions | Family::Sessions | Family::Meta => return Ok(()),
        };
        self.digest = self.digest.wrapping_add(digest_of(family, &key, &row));
        if family != self.family || self.batch.len() >= ROWS_A_BATCH {
            self.write()?;
            self.family = family;
        }
        self.batch.push((key, Some(row)));
        Ok(())
    }

    fn write(&mut self) -> Result<(), PortError> {
        let mut batch = Batch::new(Index(0));
        let changes = std::mem::take(&mut self.batch);
        if changes.is_empty() {
            return Ok(());
        }
        batch.changes.push((self.family, changes));
        self.engine.write(batch)
    }
}
