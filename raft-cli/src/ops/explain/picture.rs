//! A cluster as its members' reports show it, put together: who leads, who votes, who answers. It
//! judges nothing.

use std::collections::BTreeMap;

use crate::ops::reports::{Asked, bare};
use crate::server::report::{MemberReport, MemberSeen, PeerReport, Role};

/// What was said, put together.
pub(super) struct Picture<'a> {
    pub(super) asked: &'a [Asked],
    /// The reports, by member.
    pub(super) reports: BTreeMap<&'a str, &'a MemberReport>,
    /// The members of the latest configuration that anybody knows.
    pub(super) members: &'a [MemberSeen],
    /// The report of the leader of the highest term, if it answered.
    pub(super) leader: Option<&'a MemberReport>,
    /// The report with the latest configuration.
    pub(super) best: Option<&'a MemberReport>,
}

impl<'a> Picture<'a> {
    pub(super) fn of(asked: &'a [Asked]) -> Self {
        let reports: BTreeMap<&str, &MemberReport> = asked
            .iter()
            .filter_map(|asked| asked.said().map(|report| (report.id.as_str(), report)))
            .collect();
        let said = || reports.values().copied();
        let best = said().max_by_key(|report| (report.membership.index, report.term));
        // One of an older term has not heard of its end yet.
        let term = said().map(|report| report.term).max();
        let leader = said()
            .filter(|report| report.role == Role::Leader && report.stopped.is_none())
            .find(|report| Some(report.term) == term);
        Self {
            asked,
            members: best.map_or(&[], |best| &best.membership.members),
            leader,
            best,
            reports,
        }
    }

    /// How people call a member.
    pub(super) fn name<'n>(&'n self, id: &'n str) -> &'n str {
        self.best.map_or(id, |best| best.name_of(id))
    }

    /// Those who count in some majority.
    pub(super) fn voters(&self) -> impl Iterator<Item = &'a MemberSeen> + use<'a> {
        let members = self.members.iter();
        members.filter(|member| member.is_voter || member.is_outgoing)
    }

    /// The majorities that are needed: of the voters, and, on the way to another configuration, of
    /// the old ones.
    pub(super) fn quorums(&self) -> Vec<Vec<&'a str>> {
        let ids = |counts: fn(&MemberSeen) -> bool| -> Vec<&'a str> {
            let members = self.members.iter().filter(|member| counts(member));
            members.map(|member| member.id.as_str()).collect()
        };
        let both = [
            ids(|member| member.is_voter),
            ids(|member| member.is_outgoing),
        ];
        both.into_iter().filter(|ids| !ids.is_empty()).collect()
    }

    /// What the leader sees of a member.
    pub(super) fn peer(&self, id: &str) -> Option<&'a PeerReport> {
        self.leader?.peers.iter().find(|peer| peer.id == id)
    }

    /// What was met when a member was asked; `None` if it answered or was not asked.
    pub(super) fn silence(&self, member: &MemberSeen) -> Option<String> {
        if self.reports.contains_key(member.id.as_str()) {
            return None;
        }
        let is_theirs = |asked: &&Asked| {
            let mut urls = member.client_urls.iter();
            urls.any(|url| bare(url) == bare(&asked.endpoint))
        };
        let failed = self.asked.iter().filter(|asked| asked.report.is_err());
        let found = failed.clone().find(is_theirs);
        found.and_then(|asked| {
            let error = asked.report.as_ref().err()?;
            Some(format!("{}: {error}", asked.endpoint))
        })
    }

    /// The longest election timeout that anybody goes by; etcd's if nobody says.
    pub(super) fn election_timeout_ms(&self) -> u64 {
        let said = self.reports.values();
        let longest = said.map(|report| report.timing.election_timeout_ms).max();
        longest.filter(|longest| *longest > 0).unwrap_or(1000)
    }
}

/// How many of so many are a majority.
pub(super) const fn majority(of: usize) -> usize {
    of / 2 + 1
}

/// Names in a sentence.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// A span for people.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}
