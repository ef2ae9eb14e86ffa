//! What else is wrong with a member: what it says of itself, and who does not answer. It knows no
//! other question.

use std::collections::BTreeSet;

use super::picture::Picture;
use super::{Finding, Question, Weight, Why};
use crate::server::report::MemberReport;

pub(super) fn explain(picture: &Picture<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(two_clusters(picture));
    findings.extend(silent(picture));
    for (id, report) in &picture.reports {
        findings.extend(of_member(picture.name(id), report));
    }
    findings.extend(corrupt(picture));
    findings
}

fn finding(weight: Weight, says: String, why: Why) -> Finding {
    Finding {
        question: Question::Trouble,
        weight,
        says,
        causes: vec![why],
    }
}

fn two_clusters(picture: &Picture<'_>) -> Option<Finding> {
    let reports = picture.reports.values();
    let clusters: BTreeSet<&str> = reports.map(|report| report.cluster.as_str()).collect();
    if clusters.len() < 2 {
        return None;
    }
    let evidence = picture.reports.iter().map(|(id, report)| {
        let name = if report.name.is_empty() {
            *id
        } else {
            &report.name
        };
        format!("{name} belongs to {}", report.cluster)
    });
    let why = Why::new(
        "members started with different tokens or founders are different clusters",
        evidence.collect(),
        "look at --endpoints; all of this explains only one of them well",
    );
    let says = "These endpoints belong to different clusters.".to_owned();
    Some(finding(Weight::Wrong, says, why))
}

/// Those who do not answer while the cluster does: redundancy is lost.
fn silent(picture: &Picture<'_>) -> Vec<Finding> {
    picture.leader.map_or_else(Vec::new, |_| {
        let missing = picture.members.iter().filter_map(|member| {
            let silence = picture.silence(member)?;
            let name = picture.name(&member.id);
            let why = Why::new(
                "it does not run, or can't be reached from here",
                vec![silence],
                format!("start {name} again; if its disk is lost: raft-cli member replace"),
            );
            let says = format!("{name} does not answer.");
            Some(finding(Weight::Wrong, says, why))
        });
        missing.collect()
    })
}

fn of_member(name: &str, report: &MemberReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wrong = |says: String, why| findings.push(finding(Weight::Wrong, says, why));
    if let Some(reason) = &report.stopped {
        let why = Why::new(
            reason.clone(),
            Vec::new(),
            "see its log; a disk that failed must be replaced, then: raft-cli member replace",
        );
        wrong(format!("The node of {name} has stopped."), why);
    }
    if report.is_other_life {
        let why = Why::new(
            "its data directory is not the one that the cluster knows: wiped, or an old copy",
            Vec::new(),
            "raft-cli member replace, or remove it and add it anew",
        );
        wrong(format!("{name} is refused by its cluster."), why);
    }
    if report.is_quarantined {
        let why = Why::new(
            "its disk lost what it had acknowledged",
            vec!["it votes again once a leader has brought it up to date".to_owned()],
            "look at its disk; raft-cli log verify says what is missing",
        );
        wrong(format!("{name} does not vote."), why);
    }
    if let Some(trouble) = &report.snapshot_trouble {
        let next = "make room, or look at its disk; its log grows until this is over";
        let why = Why::new(trouble.clone(), Vec::new(), next);
        wrong(format!("{name} has trouble with snapshots."), why);
    }
    let store = &report.store;
    if store.trouble.is_some() || store.background_errors > 0 {
        let because = store.trouble.clone();
        let because = because.unwrap_or_else(|| "its engine met errors".to_owned());
        let text = format!("{} errors of background work", store.background_errors);
        let next = "look at its disk; if it is sound, start the member again";
        wrong(
            format!("The store of {name} is not sound."),
            Why::new(because, vec![text], next),
        );
    }
    findings
}

fn corrupt(picture: &Picture<'_>) -> Vec<Finding> {
    let reports = picture.reports.values();
    let alarms = reports.flat_map(|report| &report.alarms);
    let about: BTreeSet<&str> = alarms
        .filter(|alarm| alarm.alarm == "CORRUPT")
        .map(|alarm| alarm.member.as_str())
        .collect();
    let findings = about.into_iter().map(|id| {
        let name = picture.name(id);
        let why = Why::new(
            "its state differs from that of the others: a disk or memory that errs, or a bug",
            vec!["the alarm CORRUPT is raised".to_owned()],
            "raft-cli member replace; then raft-cli alarm disarm",
        );
        finding(
            Weight::Wrong,
            format!("The data of {name} can't be trusted."),
            why,
        )
    });
    findings.collect()
}
