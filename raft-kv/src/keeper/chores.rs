//! What is due, as far as it follows from what can be read: pure. It does not know who does it.

use std::collections::BTreeSet;

use raft_core::event::RoleName;
use raft_core::{Index, Membership, NodeId};

use crate::command::{Announcement, Command, DigestReport};
use crate::machine::DigestPoint;
use crate::quota::Quota;
use crate::rows::State;
use crate::types::AlarmKind;

/// What was read of the state, and of the node.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    pub(super) role: RoleName,
    pub(super) membership: Membership,
    pub(super) state: State,
    pub(super) alarms: BTreeSet<(AlarmKind, NodeId)>,
    pub(super) announced: Vec<Announcement>,
    /// The latest digest that all members report.
    pub(super) digest: Option<DigestPoint>,
}

impl Survey {
    pub(super) fn leads(&self) -> bool {
        self.role == RoleName::Leader
    }

    /// A member says who it is if that is not known, or not any more true. One that is no member
    /// waits until it is.
    pub(super) fn announcement(&self, own: &Announcement) -> Option<Command> {
        let is_due = self.membership.contains(own.member) && !self.announced.contains(own);
        is_due.then(|| Command::Announce(own.clone()))
    }

    /// The leader lifts the version to the latest that all members know; so none of them is ever
    /// handed a command that it doesn't.
    pub(super) fn upgrade(&self) -> Option<Command> {
        let version_of = |id| {
            let mut announced = self.announced.iter();
            let found = announced.find(|announcement| announcement.member == id);
            found.map_or(0, |announcement| announcement.version)
        };
        let members = self.membership.members();
        let all_know = members.map(|(id, _)| version_of(id)).min()?;
        let is_due = self.leads() && all_know > self.state.version;
        is_due.then_some(Command::Upgrade(all_know))
    }

    /// The leader forgets who is gone: an alarm that nobody clears would last for ever. Should it
    /// be added again, it says anew who it is, and what is wrong with it.
    pub(super) fn forgotten(&self) -> Option<Command> {
        let known: BTreeSet<NodeId> = self.announced.iter().map(|said| said.member).collect();
        let alarmed = self.alarms.iter().map(|(_, member)| *member);
        let mut all = known.into_iter().chain(alarmed);
        let gone = all.find(|member| !self.membership.contains(*member))?;
        self.leads().then_some(Command::Forget(gone))
    }

    /// The own alarm is raised or cleared by the member itself, which alone knows its disk.
    pub(super) fn alarm(
        &self,
        own: NodeId,
        quota: &Quota,
        used: u64,
        free: Option<u64>,
    ) -> Option<Command> {
        let kind = AlarmKind::NoSpace;
        if !self.membership.contains(own) {
            return None;
        }
        if self.alarms.contains(&(kind, own)) {
            let has_room = quota.has_room(used, free);
            has_room.then_some(Command::Clear(own, kind))
        } else {
            let is_used_up = quota.is_used_up(used, free);
            is_used_up.then_some(Command::Raise(own, kind))
        }
    }

    /// A member reports each digest once.
    pub(super) fn report(&self, own: NodeId, reported: Index) -> Option<Command> {
        let DigestPoint { index, digest } = self.digest?;
        if index <= reported || !self.membership.contains(own) {
            return None;
        }
        let majority = self.membership.members().count() / 2 + 1;
        let report = Command::Report(DigestReport {
            member: own,
            index,
            digest,
            majority: u16::try_from(majority).unwrap_or(u16::MAX),
        });
        (report.version() <= self.state.version).then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use raft_core::Member;

    use super::*;

    fn announcement(member: u64, version: u8) -> Announcement {
        Announcement {
            member: NodeId(member),
            version,
            name: format!("member {member}"),
            client_urls: Vec::new(),
        }
    }

    /// What a leader of these members sees, who announced these versions.
    fn survey(members: &[u64], versions: &[(u64, u8)]) -> Survey {
        let member = |id: &u64| (NodeId(*id), Member::at("somewhere"));
        let announced = versions.iter().map(|(id, known)| announcement(*id, *known));
        Survey {
            role: RoleName::Leader,
            membership: Membership::of_voters(members.iter().map(member)),
            state: State::FRESH,
            alarms: BTreeSet::new(),
            announced: announced.collect(),
            digest: None,
        }
    }

    #[test]
    fn a_member_says_who_it_is_until_all_know() {
        let own = announcement(1, 2);
        let check = |survey: Survey, is_due: bool| {
            let due = survey.announcement(&own);
            assert_eq!(
                due,
                is_due.then(|| Command::Announce(own.clone())),
                "{survey:?}"
            );
        };
        check(survey(&[1, 2], &[]), true);
        check(survey(&[1, 2], &[(2, 2)]), true);
        check(survey(&[1, 2], &[(1, 1)]), true);
        check(survey(&[1, 2], &[(1, 2)]), false);
        check(survey(&[2], &[]), false);
    }

    #[test]
    fn the_version_is_the_latest_that_all_members_know() {
        let check = |members: &[u64], versions: &[(u64, u8)], upgrade: Option<u8>| {
            let leader = survey(members, versions);
            assert_eq!(
                leader.upgrade(),
                upgrade.map(Command::Upgrade),
                "{versions:?}"
            );
            let mut follower = leader;
            follower.role = RoleName::Follower;
            assert_eq!(follower.upgrade(), None);
        };
        check(&[1, 2], &[(1, 2), (2, 2)], Some(2));
        check(&[1, 2], &[(1, 4), (2, 3)], Some(3));
        check(&[1, 2], &[(1, 2), (2, 1)], None);
        check(&[1, 2], &[(1, 2)], None);
        check(&[1], &[(1, 2), (2, 1)], Some(2));
        check(&[], &[(1, 2)], None);
    }

    #[test]
    fn who_is_no_member_is_forgotten_by_the_leader() {
        let mut survey = survey(&[1, 2], &[(1, 1), (2, 1), (3, 1)]);
        assert_eq!(survey.forgotten(), Some(Command::Forget(NodeId(3))));
        survey.role = RoleName::Follower;
        assert_eq!(survey.forgotten(), None);
        survey.role = RoleName::Leader;
        survey.announced.pop();
        assert_eq!(survey.forgotten(), None);
        survey.alarms = BTreeSet::from([(AlarmKind::NoSpace, NodeId(4))]);
        assert_eq!(survey.forgotten(), Some(Command::Forget(NodeId(4))));
    }

    #[test]
    fn a_member_raises_and_clears_its_own_alarm() {
        let quota = Quota {
            bytes: 100,
            reserve_bytes: 0,
        };
        let (own, kind) = (NodeId(2), AlarmKind::NoSpace);
        let raised = [(kind, own)];
        let others = [(kind, NodeId(1)), (AlarmKind::Corrupt, own)];
        let check = |alarms: &[(AlarmKind, NodeId)], used, expected: Option<Command>| {
            let mut survey = survey(&[1, 2], &[]);
            survey.role = RoleName::Follower;
            survey.alarms = alarms.iter().copied().collect();
            let alarm = survey.alarm(own, &quota, used, None);
            assert_eq!(alarm, expected, "{alarms:?}, {used} used");
        };
        check(&others, 99, None);
        check(&others, 100, Some(Command::Raise(own, kind)));
        check(&raised, 100, None);
        check(&raised, 91, None);
        check(&raised, 90, Some(Command::Clear(own, kind)));
        let gone = survey(&[1], &[]);
        assert_eq!(gone.alarm(own, &quota, 100, None), None);
    }

    #[test]
    fn a_digest_is_reported_once_and_only_when_all_know_how() {
        let mut survey = survey(&[1, 2, 3], &[]);
        let (index, digest) = (Index(8), 5);
        assert_eq!(survey.report(NodeId(1), Index(0)), None);
        survey.digest = Some(DigestPoint { index, digest });
        assert_eq!(survey.report(NodeId(1), Index(0)), None);
        survey.state.version = 2;
        let report = Command::Report(DigestReport {
            member: NodeId(1),
            index,
            digest,
            majority: 2,
        });
        assert_eq!(survey.report(NodeId(1), Index(7)), Some(report));
        assert_eq!(survey.report(NodeId(1), index), None);
        assert_eq!(survey.report(NodeId(4), Index(7)), None);
    }
}
