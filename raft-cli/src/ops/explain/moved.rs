//! Why leadership moved last. The one that led and the one that leads each know their part. It
//! knows no other question.

use super::picture::{Picture, span};
use super::{Finding, Question, Weight, Why};
use crate::server::report::{Cause, LeaderChangeReport, MemberReport};

pub(super) fn explain(picture: &Picture<'_>) -> Vec<Finding> {
    let changes = || {
        let reports = picture.reports.values();
        reports.filter_map(|report| report.leader_change.as_ref())
    };
    // Whoever started later knows of no earlier leader.
    let key =
        |change: &&LeaderChangeReport| (change.term, change.to.is_some(), change.from.is_some());
    let Some(last) = changes().max_by_key(key) else {
        return Vec::new();
    };
    let finding = |says: String, causes| Finding {
        question: Question::Moved,
        weight: Weight::Fact,
        says,
        causes,
    };
    let ago = span(last.ago_ms);
    let (from, to) = (last.from.as_deref(), last.to.as_deref());
    let says = match (
        from.map(|id| picture.name(id)),
        to.map(|id| picture.name(id)),
    ) {
        (None, Some(to)) => {
            let says = format!("{to} was elected in term {}, {ago} ago.", last.term);
            return vec![finding(says, vec![first(picture, to)])];
        }
        (Some(from), Some(to)) if from == to => {
            format!(
                "{from} lost leadership and won it again in term {}, {ago} ago.",
                last.term
            )
        }
        (Some(from), Some(to)) => {
            let gap = span(last.gap_ms);
            let term = last.term;
            format!(
                "Leadership moved from {from} to {to} in term {term}, {ago} ago; \
                 nobody led for {gap}."
            )
        }
        (Some(from), None) => format!("{from} lost leadership {ago} ago; nobody leads since."),
        (None, None) => return Vec::new(),
    };
    let mut causes = Vec::new();
    if let Some(from) = from {
        causes.extend(resigned(picture, from, last));
    }
    if let Some(to) = to {
        causes.extend(campaigned(picture, from, to, last));
    }
    if causes.is_empty() {
        let text = "the members that know are not among those that answered, or have restarted";
        causes.push(Why::new("nobody here can tell", vec![text.to_owned()], ""));
    }
    vec![finding(says, causes)]
}

fn first(picture: &Picture<'_>, to: &str) -> Why {
    let uptime = picture.reports.values().map(|report| report.uptime_s).max();
    let text = format!(
        "the first of them started {} ago",
        span(uptime.unwrap_or(0) * 1000)
    );
    let because = format!("no member that answers knew of a leader before {to}: they had started");
    Why::new(because, vec![text], "")
}

/// What the one that led says of it.
fn resigned(picture: &Picture<'_>, from: &str, last: &LeaderChangeReport) -> Option<Why> {
    let name = picture.name(from);
    let report = picture.reports.get(from)?;
    let its = same(report, last)?;
    let cause = its.resigned.as_ref()?;
    let target = its.handing_over_to.as_deref().map(|id| picture.name(id));
    let seen = |text: String| vec![format!("{name} says: {text}")];
    Some(match (cause, target, its.disk_stalled_ms) {
        (Cause::DiskStalled, _, ms) | (_, Some(_), ms @ Some(_)) => Why::new(
            format!("the disk of {name} was too slow, so it handed leadership over"),
            seen(format!(
                "a write was outstanding for {}",
                span(ms.unwrap_or(0))
            )),
            format!("look at the disk of {name} (iostat, dmesg)"),
        ),
        (_, Some(target), None) => Why::new(
            format!("{name} handed it over on request: a move-leader, or a stop in good order"),
            seen(format!("it was handing over to {target}")),
            "",
        ),
        (Cause::QuorumLost, None, _) => Why::new(
            format!("{name} heard from no majority for an election timeout"),
            seen("no quorum answered".to_owned()),
            format!("look at the network of {name}, and whether the others ran then"),
        ),
        (Cause::Removed, None, _) => Why::new(
            format!("{name} was removed, or made a learner"),
            seen("the configuration without it as a voter is committed".to_owned()),
            "",
        ),
        (Cause::HigherTerm(other), None, _) => Why::new(
            format!("{name} met a later term"),
            seen(format!("{} was in it", picture.name(other))),
            format!("it had not been heard: look at the network of {name}, and for long pauses"),
        ),
        (
            Cause::Started
            | Cause::ElectionTimeout
            | Cause::TransferRequested
            | Cause::Told
            | Cause::PreVotesWon
            | Cause::VotesWon
            | Cause::VotesLost
            | Cause::VotedFor(_)
            | Cause::LeaderHeard(_),
            None,
            _,
        ) => return None,
    })
}

/// What the one that leads says of it.
fn campaigned(
    picture: &Picture<'_>,
    from: Option<&str>,
    to: &str,
    last: &LeaderChangeReport,
) -> Option<Why> {
    let name = picture.name(to);
    let its = same(picture.reports.get(to)?, last)?;
    let before = from.map_or("a leader", |from| picture.name(from));
    match its.campaigned.as_ref()? {
        Cause::ElectionTimeout => {
            let mut evidence = vec![format!("{name} says: no leader was heard in time")];
            let mut next = format!("look whether {before} paused, was cut off, or was stopped");
            if let Some(from) = from {
                evidence.extend(absent(picture, from, last, &mut next));
            }
            let because = format!("{name} heard nothing of {before} for an election timeout");
            Some(Why::new(because, evidence, next))
        }
        Cause::TransferRequested => {
            let text = format!("{name} says: it was asked to take over");
            let because = format!("{before} handed leadership over to {name}");
            Some(Why::new(because, vec![text], ""))
        }
        Cause::Told => {
            let text = format!("{name} says: it was told to");
            Some(Why::new(
                format!("{name} was told to campaign"),
                vec![text],
                "",
            ))
        }
        Cause::Started
        | Cause::PreVotesWon
        | Cause::VotesWon
        | Cause::VotesLost
        | Cause::VotedFor(_)
        | Cause::HigherTerm(_)
        | Cause::LeaderHeard(_)
        | Cause::QuorumLost
        | Cause::DiskStalled
        | Cause::Removed => None,
    }
}

/// Where the one that led was meanwhile.
fn absent(
    picture: &Picture<'_>,
    from: &str,
    last: &LeaderChangeReport,
    next: &mut String,
) -> Option<String> {
    let name = picture.name(from);
    match picture.reports.get(from) {
        Some(report) if report.uptime_s * 1000 <= last.ago_ms + last.gap_ms => {
            *next = format!("see in the log of {name} why it stopped");
            let uptime = span(report.uptime_s * 1000);
            Some(format!("{name} runs for {uptime} only: it had stopped"))
        }
        Some(_) => None,
        None => {
            *next = format!("start {name} again");
            let members = picture.members.iter();
            let silence = members.clone().find(|member| member.id == from);
            let silence = silence.and_then(|member| picture.silence(member));
            Some(silence.unwrap_or_else(|| format!("{name} does not answer now either")))
        }
    }
}

/// A member's own view of the same move.
fn same<'a>(report: &'a MemberReport, last: &LeaderChangeReport) -> Option<&'a LeaderChangeReport> {
    let own = report.leader_change.as_ref();
    own.filter(|own| own.term == last.term)
}
