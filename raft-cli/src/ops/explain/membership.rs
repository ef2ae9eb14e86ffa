//! Why a change of members waits. It knows no other question.

use super::picture::{Picture, list, majority, span};
use super::{Finding, Question, Weight, Why};
use crate::server::report::{Change, MemberReport, MemberSeen};

pub(super) fn explain(picture: &Picture<'_>) -> Vec<Finding> {
    let Some(report) = picture.leader.or(picture.best) else {
        return Vec::new();
    };
    let membership = &report.membership;
    let is_open = membership.is_joint || !membership.is_committed;
    if report.change.is_none() && !is_open {
        return Vec::new();
    }
    let finding = |weight, says: String, causes| Finding {
        question: Question::Membership,
        weight,
        says,
        causes,
    };
    if picture.leader.is_none() {
        let next = "see why there is no leader; the next one finishes the change";
        let why = Why::new(
            "only a leader can go on with it, and there is none",
            Vec::new(),
            next,
        );
        let says = "A change of members is half done.".to_owned();
        return vec![finding(Weight::Wrong, says, vec![why])];
    }
    let (stage, causes) = match report.change {
        Some(Change::CatchingUp) => ("until its new voters have the log", newcomers(picture)),
        Some(Change::Learning) => (
            "until its newcomers are known to a majority",
            agreement(picture, report),
        ),
        Some(Change::Joint) => (
            "until both the old and the new majority agree",
            agreement(picture, report),
        ),
        Some(Change::Settling) => (
            "until the new configuration is committed",
            agreement(picture, report),
        ),
        Some(Change::Undoing) => ("to be taken back", agreement(picture, report)),
        None if membership.is_joint => (
            "until both the old and the new majority agree",
            agreement(picture, report),
        ),
        None => ("to be committed", agreement(picture, report)),
    };
    let is_stuck = causes.iter().any(|why| !why.evidence.is_empty());
    let weight = if is_stuck {
        Weight::Warning
    } else {
        Weight::Fact
    };
    vec![finding(
        weight,
        format!("A change of members waits {stage}."),
        causes,
    )]
}

/// Learners that do not have the log yet.
fn newcomers(picture: &Picture<'_>) -> Vec<Why> {
    let mut causes = Vec::new();
    let learners = picture.members.iter().filter(|member| !member.is_voter);
    for learner in learners {
        let name = picture.name(&learner.id);
        let peer = picture.peer(&learner.id);
        let lag = peer.map_or(0, |peer| peer.lag);
        if !learner.is_bound {
            let text = format!("it was never heard from at {}", learner.peer_address);
            let next = format!(
                "start {name} with --initial-cluster-state existing and that peer URL, or take \
                 the change back (member remove)"
            );
            causes.push(Why::new(
                format!("{name} was not started yet"),
                vec![text],
                next,
            ));
        } else if let Some(peer) =
            peer.filter(|peer| peer.silent_ms > picture.election_timeout_ms())
        {
            let text = format!("it was last heard from {} ago", span(peer.silent_ms));
            let because = format!("{name} does not answer the leader");
            causes.push(Why::new(
                because,
                vec![text],
                format!("look whether {name} runs"),
            ));
        } else if lag > 0 {
            let text = format!("{lag} entries are missing");
            causes.push(Why::new(
                format!("{name} is catching up"),
                vec![text],
                "wait",
            ));
        }
    }
    causes
}

/// Which of the voters that must agree do not answer the leader.
fn agreement(picture: &Picture<'_>, leader: &MemberReport) -> Vec<Why> {
    let needed = leader.membership.index;
    let patience = picture.election_timeout_ms();
    let agrees = |id: &str| {
        let matched = picture.peer(id).map(|peer| peer.matched);
        id == leader.id || matched.is_some_and(|matched| matched >= needed)
    };
    let mut causes = Vec::new();
    for quorum in picture.quorums() {
        let agree = quorum.iter().filter(|id| agrees(id)).count();
        if agree >= majority(quorum.len()) {
            continue;
        }
        let missing = quorum.iter().filter(|id| !agrees(id));
        let names: Vec<&str> = missing.clone().map(|id| picture.name(id)).collect();
        let evidence = missing.filter_map(|id| {
            let peer = picture.peer(id)?;
            let silent = span(peer.silent_ms);
            (peer.silent_ms >= patience)
                .then(|| format!("{} was last heard from {silent} ago", picture.name(id)))
        });
        let because = format!(
            "{agree} of {} voters have it, {} are needed; {} {} not",
            quorum.len(),
            majority(quorum.len()),
            list(&names),
            if names.len() == 1 { "does" } else { "do" },
        );
        let next = "bring these members back; nothing else is refused meanwhile";
        causes.push(Why::new(because, evidence.collect(), next));
    }
    let unbound = |member: &&MemberSeen| !member.is_bound && member.is_voter;
    for member in picture.members.iter().filter(unbound) {
        let because = format!("{} was never heard from", picture.name(&member.id));
        let text = format!("its peer address is {}", member.peer_address);
        causes.push(Why::new(
            because,
            vec![text],
            "start it, or look at that address",
        ));
    }
    causes
}
