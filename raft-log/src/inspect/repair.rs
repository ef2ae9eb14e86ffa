//! Gives up what is missing in a log, so that its node votes again with what is there.
//!
//! This file does not judge what is missing: the log does that when it is opened.

use std::fmt;
use std::sync::Arc;

use raft_core::port::LogStore;
use raft_core::{GroupId, HardState, Index, Position, Watermark};

use super::{owner, text};
use crate::config::{Identity, Preparation, WalConfig};
use crate::disk::Disk;
use crate::error::OpenError;
use crate::wal::{Report, Wal};

/// Says that whoever asks knows what it may cost. It can't come about by default.
#[derive(Debug)]
pub struct AcceptLoss(());

impl AcceptLoss {
    /// What is missing may have been acknowledged to clients, and I accept that it is lost.
    #[must_use]
    pub const fn i_lose_what_is_missing() -> Self {
        Self(())
    }
}

/// What was found, and what was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Whose log it is.
    pub identity: Identity,
    /// What the opening of the log found.
    pub report: Report,
    /// What was given up, a group each; empty if nothing was missing.
    pub given_up: Vec<GivenUp>,
}

/// What was given up of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Which group.
    pub group: GroupId,
    /// The last entry that is here.
    pub kept: Position,
    /// What others may rely on all the same.
    pub relied_on: Watermark,
    /// Term and vote from now on, at least those that others rely on.
    pub hard_state: HardState,
}

impl GivenUp {
    /// The entries that others may rely on and that are not here; `None` if it is not known which:
    /// the log is long enough, but something in it was lost, maybe that entries were removed.
    #[must_use]
    pub fn entries(&self) -> Option<(Index, Index)> {
        let (from, to) = (self.kept.index.next(), self.relied_on.index);
        (from <= to).then_some((from, to))
    }
}

/// Opens a log, which cuts it before the first damage, and gives up what it then lacks of what the
/// node has acknowledged: from the next start on it votes with what is there.
///
/// **This can lose committed data of the whole cluster.** A node that lost entries and votes as if
/// it had not may help a leader to power that lacks them too; they are gone then, also where they
/// are still, and clients that were told "done" were told wrong. Without this, such a node only
/// waits: a leader brings it what it lacks, and then it votes. So use it only when no leader can
/// come to power any more, since too many nodes of the cluster are gone for good or have lost as
/// much, and after a copy was made of every directory. For a single damaged node it is never right:
/// start it and wait, or remove it and add it anew.
///
/// Term and vote are not given up, so no term gets two leaders by it: the highest term known stays,
/// and in it the node votes for nobody but the one it voted for. Only if the file of watermarks is
/// lost together with the end of the log may there have been a higher term that nothing here knows;
/// [`Repair::report`] says so. What was cut stays in the directory `damaged`. If not even what a
/// group was founded with is left, the node knows no member of it, and waits to be added.
///
/// # Errors
/// When there is no log, it was written by a later program, or the disk fails. Nothing of what is
/// missing is given up then, or that of some groups; it may be called again.
pub fn repair(disk: &Arc<dyn Disk>, _consent: &AcceptLoss) -> Result<Repair, OpenError> {
    let (id, _) = owner(&**disk)?;
    let config = WalConfig {
        preparation: Preparation::Growing,
        snapshots_retained: usize::MAX,
        spares_max: u32::MAX,
        ..WalConfig::default()
    };
    let wal = Wal::open(Arc::clone(disk), id.identity, config)?;
    let mut given_up = Vec::new();
    for group in wal.groups() {
        let mut log = wal.group(group)?;
        // It finds out here whether there is a snapshot for the log to follow.
        log.recover()?;
        if let Some(accepted) = log.accept_loss()? {
            given_up.push(GivenUp {
                group,
                kept: accepted.kept,
                relied_on: accepted.relied_on,
                hard_state: accepted.hard_state,
            });
        }
    }
    Ok(Repair {
        identity: id.identity,
        report: wal.report(),
        given_up,
    })
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { cluster, node } = self.identity;
        writeln!(f, "log of node {node} of cluster {cluster:x}")?;
        for finding in &self.report.findings {
            writeln!(f, "found: {finding}")?;
        }
        for given_up in &self.given_up {
            writeln!(f, "{given_up}")?;
        }
        if self.given_up.is_empty() {
            f.write_str("nothing was given up\n")
        } else {
            f.write_str("the node votes again from its next start on\n")
        }
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, kept) = (self.group, self.kept);
        match self.entries() {
            Some((from, to)) => write!(f, "GIVEN UP: group {group}: entries {from} to {to}")?,
            None => write!(f, "GIVEN UP: group {group}: what was lost before {kept}")?,
        }
        let relied_on = text::watermark(self.relied_on);
        let HardState { term, vote } = self.hard_state;
        let vote = text::vote(vote);
        write!(
            f,
            "; others may rely on {relied_on}; the log ends at {kept}; kept: term {term} {vote}"
        )
    }
}
