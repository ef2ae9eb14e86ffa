//! Reads all of a log and of its snapshots, and says what is sound, what is not, and what to do.
//!
//! It comes to the same judgement as the opening of the log, since it runs the same code, and
//! changes nothing.

use std::fmt;
use std::sync::Arc;

use raft_core::{GroupId, HardState, Index, Position};

use super::{owner, snapshots, text};
use crate::config::Identity;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::snapshot::{Reading, Seen};
use crate::wal::scan::scan;
use crate::wal::{Finding, open_watermark};

/// What is sound in a log, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Whose log it is.
    pub identity: Identity,
    /// The segments read.
    pub segments: u64,
    /// The whole batches read that count.
    pub batches: u64,
    /// What the log knows of each group.
    pub groups: Vec<GroupState>,
    /// The complete snapshots, all their files read.
    pub snapshots: u64,
    /// The bytes of all their files.
    pub snapshot_bytes: u64,
    /// All that is not as it should be, in the order of the log.
    pub findings: Vec<Finding>,
}

/// What the log knows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Which group.
    pub group: GroupId,
    /// The position before the first entry.
    pub base: Position,
    /// The last entry that counts.
    pub last: Index,
    /// Term and vote.
    pub hard_state: HardState,
}

/// Reads all of a log and of its snapshots. Changes nothing.
///
/// # Errors
/// When there is no log, it can't be read, or was written by a later program.
pub fn verify(disk: &Arc<dyn Disk>) -> Result<Verification, OpenError> {
    let (id, is_rebuilt) = owner(&**disk)?;
    let watermark = open_watermark(&**disk)?;
    let scan = scan(&**disk, id, watermark.as_ref())?;
    let mut verification = Verification {
        identity: id.identity,
        segments: scan.report.segments,
        batches: scan.report.batches,
        groups: Vec::new(),
        snapshots: 0,
        snapshot_bytes: 0,
        findings: scan.report.findings,
    };
    if is_rebuilt {
        verification.findings.insert(0, Finding::IdentityRebuilt);
    }
    let mut snapshots = snapshots(disk, Reading::Everything)?;
    for (group, found) in &snapshots {
        verification.count(*group, found);
    }
    for (group, state) in scan.groups {
        let of_group = snapshots.iter_mut().find(|(of, _)| *of == group);
        let newest = of_group.and_then(|(_, found)| newest(found));
        let snapshot = newest.unwrap_or(state.founding.last);
        if snapshot.index.max(state.founding.last.index) < state.base.index {
            verification.findings.push(Finding::SnapshotMissing {
                group,
                base: state.base,
                snapshot,
            });
        }
        verification.groups.push(GroupState {
            group,
            base: state.base,
            last: state.last(),
            hard_state: state.hard_state,
        });
    }
    Ok(verification)
}

/// Where the newest snapshot ends with which nothing is wrong.
fn newest(found: &[Seen]) -> Option<Position> {
    let sound = found.iter().filter(|seen| seen.wrong.is_empty());
    let manifests = sound.filter_map(|seen| seen.manifest.as_ref());
    manifests.map(|manifest| manifest.meta.last).max()
}

impl Verification {
    /// Whether nothing is missing that was acknowledged, or may have been.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(Finding::is_loss)
    }

    fn count(&mut self, group: GroupId, found: &[Seen]) {
        for seen in found.iter().filter(|seen| seen.is_complete) {
            self.snapshots += 1;
            self.snapshot_bytes += seen.manifest.as_ref().map_or(0, |found| found.size());
            for wrong in &seen.wrong {
                let what = format!("snapshot {}: {wrong}", seen.name);
                self.findings.push(Finding::BadSnapshot { group, what });
            }
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { cluster, node } = self.identity;
        let (segments, batches) = (self.segments, self.batches);
        let (snapshots, bytes) = (self.snapshots, self.snapshot_bytes);
        writeln!(f, "log of node {node} of cluster {cluster:x}")?;
        writeln!(f, "read: {segments} segments, {batches} batches")?;
        writeln!(f, "read: {snapshots} snapshots, {bytes} bytes")?;
        for state in &self.groups {
            let (group, base, last) = (state.group, state.base, state.last);
            let HardState { term, vote } = state.hard_state;
            let vote = text::vote(vote);
            writeln!(
                f,
                "group {group}: entries after {base} up to {last}, term {term} {vote}"
            )?;
        }
        for finding in &self.findings {
            let weight = if finding.is_loss() { "DAMAGE" } else { "note" };
            writeln!(f, "{weight}: {finding}\n  next: {}", advice(finding))?;
        }
        if self.is_sound() {
            f.write_str("sound\n")
        } else {
            f.write_str("NOT SOUND\n")
        }
    }
}

/// What to do about it.
const fn advice(finding: &Finding) -> &'static str {
    match finding {
        Finding::TornTail { .. } => "nothing, the next start writes over it",
        Finding::SegmentHeader { .. } => "nothing, the segment goes when the log is shortened",
        Finding::IdentityRebuilt => "nothing, the next start writes the file anew",
        Finding::Damage { .. } | Finding::Lost { .. } => {
            "start the node: it keeps what is before, does not vote, and a leader brings the rest; \
             only if no majority of the voters is left, repair with the loss accepted"
        }
        Finding::BatchesMissing { .. } | Finding::EntriesMissing { .. } => {
            "put the missing segments back into the directory `log` if they are anywhere; \
             otherwise start the node: it does not vote until a leader has brought the rest"
        }
        Finding::SlotsMissing { .. } => {
            "if the node lost power, it is safest to remove this member and add it again with an \
             empty directory; a start writes new slots, and believes that the log is whole"
        }
        Finding::WatermarkMissing => {
            "put the file back if it is anywhere; otherwise it is safe to remove this member and \
             add it again with an empty directory; a start makes a new file, and believes that the \
             log is whole"
        }
        Finding::SnapshotMissing { .. } => {
            "put the snapshot back if it is anywhere; otherwise start the node: it begins at the \
             older one, and does not vote until a leader has brought the rest"
        }
        Finding::BadSnapshot { .. } => {
            "set its directory aside and start the node: an older one takes its place, or a leader \
             sends one"
        }
    }
}
