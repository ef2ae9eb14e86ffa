//! What is near its limit, or beyond it. It knows no other question.

use super::picture::{Picture, span};
use super::{Finding, Question, Weight, Why};
use crate::server::report::MemberReport;

/// From this share on a limit is near.
const NEAR_PERCENT: u64 = 80;
/// With less room than this a disk is nearly full.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// With less time than this a certificate should be replaced.
const EXPIRY_MIN_S: i64 = 14 * 86_400;

pub(super) fn explain(picture: &Picture<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, report) in &picture.reports {
        let name = picture.name(id);
        findings.extend(store(name, report));
        findings.extend(disk(name, report));
        findings.extend(clients(name, report));
        findings.extend(certificates(name, report));
    }
    findings
}

fn finding(weight: Weight, says: String, why: Why) -> Finding {
    Finding {
        question: Question::Limits,
        weight,
        says,
        causes: vec![why],
    }
}

fn percent(of: u64, limit: u64) -> u64 {
    match limit {
        0 => 0,
        limit => of.saturating_mul(100) / limit,
    }
}

fn store(name: &str, report: &MemberReport) -> Option<Finding> {
    let store = &report.store;
    let is_raised = |alarm: &&crate::server::report::AlarmReport| {
        alarm.alarm == "NOSPACE" && alarm.member == report.id
    };
    let is_full = report.alarms.iter().any(|alarm| is_raised(&alarm));
    let share = percent(store.bytes, store.quota_bytes);
    if share < NEAR_PERCENT && !is_full {
        return None;
    }
    let evidence = format!(
        "{} bytes of {} ({share} %), {} keys, history since revision {}",
        store.bytes, store.quota_bytes, store.keys, store.compacted
    );
    let why = Why::new(
        "keys, or their history, take the room",
        vec![evidence],
        "delete keys, compact (raft-cli compaction), or give more (--quota-backend-bytes); \
         --auto-compaction-retention keeps history short",
    );
    let (weight, says) = if is_full {
        let says = format!("The store of {name} is full: nothing that takes room is done.");
        (Weight::Wrong, says)
    } else {
        let says = format!("The store of {name} has used {share} % of its quota.");
        (Weight::Warning, says)
    };
    Some(finding(weight, says, why))
}

fn disk(name: &str, report: &MemberReport) -> Option<Finding> {
    let free = report
        .store
        .free_bytes
        .filter(|free| *free < FREE_BYTES_MIN)?;
    let evidence = format!(
        "{free} bytes are left; the log takes {}, the store {}",
        report.log.bytes, report.store.bytes
    );
    let why = Why::new(
        "the disk is nearly full, of this or of other things",
        vec![evidence],
        "make room; the member takes no more writes before the last of it is gone",
    );
    let says = format!("The disk of {name} is nearly full.");
    Some(finding(Weight::Warning, says, why))
}

fn clients(name: &str, report: &MemberReport) -> Vec<Finding> {
    let clients = &report.clients;
    let limits = [
        ("connections", clients.connections, clients.connections_max),
        ("requests", clients.requests, clients.requests_max),
        ("watchers", report.store.watchers, clients.watchers_max),
    ];
    let near = limits
        .into_iter()
        .filter(|(_, of, limit)| percent(*of, *limit) >= NEAR_PERCENT);
    near.map(|(what, of, limit)| {
        let mut evidence = vec![format!("{of} of {limit}")];
        if clients.refused > 0 {
            evidence.push(format!("{} requests were refused so far", clients.refused));
        }
        let why = Why::new(
            "more clients, or busier ones, than were planned for",
            evidence,
            "spread them over the members, or raise the limit",
        );
        let says = format!("{name} is near its limit of {what}.");
        finding(Weight::Warning, says, why)
    })
    .collect()
}

fn certificates(name: &str, report: &MemberReport) -> Vec<Finding> {
    let mut findings = Vec::new();
    for certificate in &report.certificates {
        let next = "put a new one in its place and send the process SIGHUP";
        let file = &certificate.file;
        let (weight, says, because) = match certificate.expires_in_s {
            None => (
                Weight::Warning,
                format!("A certificate of {name} can't be read any more."),
                "its file is gone or damaged; what was read before is still in use",
            ),
            Some(..=0) => (
                Weight::Wrong,
                format!("A certificate of {name} has expired."),
                "nobody replaced it in time; new connections are refused",
            ),
            Some(left) if left < EXPIRY_MIN_S => {
                let left = span(left.unsigned_abs() * 1000);
                (
                    Weight::Warning,
                    format!("A certificate of {name} expires in {left}."),
                    "its time is nearly over",
                )
            }
            Some(_) => continue,
        };
        findings.push(finding(
            weight,
            says,
            Why::new(because, vec![file.clone()], next),
        ));
    }
    findings
}
