//! What members say of themselves, and of their states. It does not know who compares a member with
//! its own disk.

use bytes::Bytes;
use raft_core::NodeId;

use super::catalog::{alarm_key, member_key, report_key};
use super::execution::Execution;
use crate::command::{Announcement, Command, DigestReport};
use crate::engine::Family;
use crate::types::AlarmKind;

/// The reports of so many indexes are kept.
const INDEXES_MAX: usize = 8;

impl Execution<'_, '_> {
    pub(super) fn raise(&mut self, member: NodeId, kind: AlarmKind) {
        if self.catalog.alarms.insert((kind, member)) {
            let key = alarm_key(kind, member);
            self.rows.put(Family::Meta, key, Bytes::new());
        }
    }

    pub(super) fn clear(&mut self, member: NodeId, kind: AlarmKind) {
        if self.catalog.alarms.remove(&(kind, member)) {
            self.rows.remove(Family::Meta, alarm_key(kind, member));
        }
    }

    pub(super) fn announce(&mut self, announcement: &Announcement) {
        let row = Command::Announce(announcement.clone()).encode();
        let member = announcement.member;
        self.rows.put(Family::Meta, member_key(member), row);
        self.catalog.members.insert(member, announcement.clone());
    }

    /// Nothing that a member said stays when it is gone, so that its alarm does not either.
    pub(super) fn forget(&mut self, member: NodeId) {
        if self.catalog.members.remove(&member).is_some() {
            self.rows.remove(Family::Meta, member_key(member));
        }
        self.clear(member, AlarmKind::NoSpace);
        self.clear(member, AlarmKind::Corrupt);
        for (index, reports) in &mut self.catalog.reports {
            if reports.remove(&member).is_some() {
                self.rows.remove(Family::Meta, report_key(*index, member));
            }
        }
    }

    /// Takes a report. As soon as a majority reports the same of an index, whoever reported
    /// something else is corrupt, whether it leads or not.
    pub(super) fn report(&mut self, report: &DigestReport) {
        let (index, member) = (report.index, report.member);
        let reports = self.catalog.reports.entry(index).or_default();
        reports.insert(member, report.digest);
        let key = report_key(index, member);
        let row = Bytes::copy_from_slice(&report.digest.to_le_bytes());
        self.rows.put(Family::Meta, key, row);
        let agreeing = |digest: u64| reports.values().filter(|other| **other == digest).count();
        let majority = usize::from(report.majority).max(1);
        let agreed = reports
            .values()
            .find(|digest| agreeing(**digest) >= majority);
        let differing: Vec<NodeId> = agreed.map_or_else(Vec::new, |agreed| {
            let others = reports.iter().filter(|(_, digest)| *digest != agreed);
            others.map(|(member, _)| *member).collect()
        });
        for member in differing {
            self.raise(member, AlarmKind::Corrupt);
        }
        while self.catalog.reports.len() > INDEXES_MAX
            && let Some((index, reports)) = self.catalog.reports.pop_first()
        {
            for member in reports.keys() {
                self.rows.remove(Family::Meta, report_key(index, *member));
            }
        }
    }
}
