//! Why there is no leader. It knows no other question.

use super::picture::{Picture, list, majority, span};
use super::{Finding, Question, Weight, Why};
use crate::server::report::{MemberReport, Role};

/// So many election timeouts a first election may take before somebody should look.
const PATIENCE: u64 = 3;

pub(super) fn explain(picture: &Picture<'_>) -> Vec<Finding> {
    if picture.reports.is_empty() {
        return vec![nobody(picture)];
    }
    match picture.leader {
        Some(leader) => led(picture, leader),
        None => vec![leaderless(picture)],
    }
}

fn finding(weight: Weight, says: impl Into<String>, causes: Vec<Why>) -> Finding {
    Finding {
        question: Question::Leader,
        weight,
        says: says.into(),
        causes,
    }
}

fn nobody(picture: &Picture<'_>) -> Finding {
    let evidence = picture.asked.iter().filter_map(|asked| {
        let error = asked.report.as_ref().err()?;
        Some(format!("{}: {error}", asked.endpoint))
    });
    let why = Why::new(
        "the members do not run, or can't be reached from here",
        evidence.collect(),
        "look whether the processes run, then at --endpoints, at certificates, at firewalls",
    );
    finding(Weight::Wrong, "No endpoint answers.", vec![why])
}

/// There is one: who does not follow it?
fn led(picture: &Picture<'_>, leader: &MemberReport) -> Vec<Finding> {
    let voters: Vec<_> = picture.voters().collect();
    let answering = voters
        .iter()
        .filter(|voter| picture.reports.contains_key(voter.id.as_str()));
    let mut findings = vec![finding(
        Weight::Fact,
        format!(
            "{} leads in term {}; {} of {} voters answer.",
            picture.name(&leader.id),
            leader.term,
            answering.count(),
            voters.len(),
        ),
        Vec::new(),
    )];
    for (id, report) in &picture.reports {
        if report.leader.as_deref() == Some(leader.id.as_str()) || report.stopped.is_some() {
            continue;
        }
        let name = picture.name(id);
        let mut evidence = vec![format!(
            "{name} is in term {}, {} in term {}",
            report.term,
            picture.name(&leader.id),
            leader.term
        )];
        if let Some(peer) = picture.peer(id) {
            let silent = span(peer.silent_ms);
            evidence.push(format!("the leader last heard from it {silent} ago"));
        }
        let is_member = picture.members.iter().any(|member| member.id == **id);
        let why = if is_member {
            Why::new(
                "messages between the two do not arrive",
                evidence,
                "look at the peer addresses (member list), firewalls and peer certificates of both",
            )
        } else {
            Why::new(
                "it belongs to no configuration that the others know: removed, or not added yet",
                evidence,
                "add it (member add), or stop it",
            )
        };
        let says = format!("{name} does not know the leader.");
        findings.push(finding(Weight::Wrong, says, vec![why]));
    }
    findings
}

fn leaderless(picture: &Picture<'_>) -> Finding {
    let mut causes = Vec::new();
    causes.extend(too_few(picture));
    causes.extend(too_few_vote(picture));
    causes.extend(slow_disks(picture));
    causes.extend(under_way(picture));
    if causes.is_empty() {
        causes.push(apart(picture));
    }
    let says = "Nobody leads: nothing can be written, and nothing read but what a member has.";
    finding(Weight::Wrong, says, causes)
}

/// Fewer answer than a majority.
fn too_few(picture: &Picture<'_>) -> Option<Why> {
    let quorums = picture.quorums();
    if quorums.is_empty() {
        let blank = "the members that answer belong to no cluster yet";
        let next = "start all founders with the same --initial-cluster, or add these (member add)";
        return Some(Why::new(blank, Vec::new(), next));
    }
    let missing = quorums.iter().find(|quorum| {
        let answer = quorum
            .iter()
            .filter(|id| picture.reports.contains_key(**id));
        answer.count() < majority(quorum.len())
    })?;
    let silent: Vec<_> = picture
        .voters()
        .filter(|voter| !picture.reports.contains_key(voter.id.as_str()))
        .collect();
    let names: Vec<&str> = silent.iter().map(|voter| picture.name(&voter.id)).collect();
    let alive = missing
        .iter()
        .filter(|id| picture.reports.contains_key(**id));
    let because = format!(
        "only {} of {} voters answer, {} are needed; {} {} not",
        alive.count(),
        missing.len(),
        majority(missing.len()),
        list(&names),
        if names.len() == 1 { "does" } else { "do" },
    );
    let mut evidence: Vec<String> = silent
        .iter()
        .filter_map(|voter| picture.silence(voter))
        .collect();
    if quorums.len() > 1 {
        let text = "a change of voters is half done: the old and the new majority are both needed";
        evidence.push(text.to_owned());
    }
    let next = format!(
        "start {} again, with the data they had; only if their disks are lost for good: \
         raft-cli recover",
        list(&names)
    );
    Some(Why::new(because, evidence, next))
}

/// A majority answers, but some of them must not vote.
fn too_few_vote(picture: &Picture<'_>) -> Option<Why> {
    let may_vote = |id: &str| {
        let report = picture.reports.get(id);
        report.is_some_and(|report| {
            !report.is_quarantined && !report.is_other_life && report.stopped.is_none()
        })
    };
    let quorums = picture.quorums();
    let is_short = quorums.iter().any(|quorum| {
        let answer = quorum
            .iter()
            .filter(|id| picture.reports.contains_key(**id));
        let vote = quorum.iter().filter(|id| may_vote(id));
        answer.count() >= majority(quorum.len()) && vote.count() < majority(quorum.len())
    });
    if !is_short {
        return None;
    }
    let mut evidence = Vec::new();
    for voter in picture.voters() {
        let Some(report) = picture.reports.get(voter.id.as_str()) else {
            continue;
        };
        let name = picture.name(&voter.id);
        if report.is_quarantined {
            let text = "lost acknowledged state, and must not vote before it has it again";
            evidence.push(format!("{name} {text}"));
        } else if report.is_other_life {
            evidence.push(format!("{name} has another disk than the cluster knows"));
        } else if let Some(reason) = &report.stopped {
            evidence.push(format!("{name} has stopped: {reason}"));
        }
    }
    Some(Why::new(
        "enough voters answer, but too few of them may vote",
        evidence,
        "bring back the voters that are missing: they have what these lack; \
         only if that is impossible: raft-cli log verify, then log repair, at these",
    ))
}

/// Members whose disk hangs neither vote nor campaign.
fn slow_disks(picture: &Picture<'_>) -> Option<Why> {
    let patience = picture.election_timeout_ms();
    let mut evidence = Vec::new();
    for (id, report) in &picture.reports {
        if let Some(ms) = report.write_outstanding_ms.filter(|ms| *ms >= patience) {
            let name = picture.name(id);
            evidence.push(format!(
                "a write of {name} has been outstanding for {}",
                span(ms)
            ));
        }
    }
    let next = "look at these disks (iostat, dmesg); stop a member whose disk does not come back";
    let because = "disks do not finish their writes, and a vote must be on disk first";
    (!evidence.is_empty()).then(|| Why::new(because, evidence, next))
}

/// An election may just be under way.
fn under_way(picture: &Picture<'_>) -> Option<Why> {
    let patience = picture.election_timeout_ms() * PATIENCE;
    let has_quorum = too_few(picture).is_none() && too_few_vote(picture).is_none();
    let since = picture.reports.values().map(|report| {
        let lost = report
            .leader_change
            .as_ref()
            .filter(|change| change.to.is_none());
        lost.map_or(report.uptime_s * 1000, |change| change.ago_ms)
    });
    let since = since
        .max()
        .filter(|since| has_quorum && *since < patience)?;
    let evidence = vec![format!(
        "there was a leader, or a start, {} ago",
        span(since)
    )];
    Some(Why::new(
        "an election is under way",
        evidence,
        "ask again in a moment",
    ))
}

/// All are there, and yet nobody wins.
fn apart(picture: &Picture<'_>) -> Why {
    let mut evidence = Vec::new();
    for (id, report) in &picture.reports {
        let name = picture.name(id);
        let tries = matches!(report.role, Role::PreCandidate | Role::Candidate);
        if tries {
            let cause = "asks for votes and does not get them";
            evidence.push(format!("{name} {cause} (term {})", report.term));
        }
        for counter in [
            "refused_tls",
            "refused_cluster",
            "refused_node",
            "refused_version",
        ] {
            let count = report.net.get(counter).copied().unwrap_or(0);
            if count > 0 {
                evidence.push(format!("{name}: {counter} {count}"));
            }
        }
        let dials = report.net.get("dials_failed").copied().unwrap_or(0);
        if dials > 0 {
            evidence.push(format!(
                "{name} failed to reach another member {dials} times"
            ));
        }
    }
    Why::new(
        "enough voters run, but they do not reach each other",
        evidence,
        "look at the peer addresses (member list), at firewalls between members, and at peer \
         certificates",
    )
}
