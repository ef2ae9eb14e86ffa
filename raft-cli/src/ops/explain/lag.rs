//! Why a member lags behind its leader, or its store behind its log. It knows no other question.

use super::picture::{Picture, span};
use super::{Finding, Question, Weight, Why};
use crate::server::report::{MemberReport, PeerReport, Replication};

/// A follower that streams and is no further behind is on its way.
const ENTRIES_MAX: u64 = 5_000;

pub(super) fn explain(picture: &Picture<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let patience = picture.election_timeout_ms();
    for peer in picture.leader.iter().flat_map(|leader| &leader.peers) {
        let is_silent = peer.silent_ms >= patience;
        let is_behind = peer.lag > ENTRIES_MAX || peer.state == Replication::Snapshot;
        if is_silent || is_behind {
            findings.push(follower(picture, peer, is_silent));
        }
    }
    let stores = picture.reports.iter().filter_map(|(id, report)| {
        let behind = report.indexes.commit.saturating_sub(report.indexes.applied);
        (behind > ENTRIES_MAX).then(|| store(picture.name(id), report, behind))
    });
    findings.extend(stores);
    findings
}

fn finding(weight: Weight, says: String, causes: Vec<Why>) -> Finding {
    Finding {
        question: Question::Lag,
        weight,
        says,
        causes,
    }
}

fn follower(picture: &Picture<'_>, peer: &PeerReport, is_silent: bool) -> Finding {
    let name = picture.name(&peer.id);
    let member = picture.members.iter().find(|member| member.id == peer.id);
    let report = picture.reports.get(peer.id.as_str()).copied();
    let mut causes = Vec::new();
    match report {
        Some(report) => causes.extend(its_own(name, report)),
        None => {
            let evidence = member.and_then(|member| picture.silence(member));
            let next = format!("start {name} again; if its disk is lost: raft-cli member replace");
            causes.push(Why::new(
                "it does not run",
                evidence.into_iter().collect(),
                next,
            ));
        }
    }
    if let Some(why) = snapshot(name, peer, report) {
        causes.push(why);
    }
    if is_silent && report.is_some() {
        let address = member.map_or("its peer address", |member| &member.peer_address);
        let next = format!("look whether {address} is reached from the leader; see member update");
        let text = format!(
            "it answers clients, but was silent to the leader for {}",
            span(peer.silent_ms)
        );
        causes.push(Why::new("the leader does not reach it", vec![text], next));
    }
    if causes.is_empty() {
        let text = format!("it is sent entries from {} on, and takes them", peer.next);
        let next = "wait, and look again: what it has must grow faster than the leader's log";
        causes.push(Why::new("it is catching up", vec![text], next));
    }
    let says = if is_silent {
        format!(
            "{name} was not heard from for {}; it lacks {} entries.",
            span(peer.silent_ms),
            peer.lag
        )
    } else {
        format!("{name} lacks {} entries of the leader's log.", peer.lag)
    };
    let weight = if is_silent {
        Weight::Wrong
    } else {
        Weight::Warning
    };
    finding(weight, says, causes)
}

/// What a member says of itself that keeps it behind, the worst first.
fn its_own(name: &str, report: &MemberReport) -> Vec<Why> {
    let mut causes = Vec::new();
    if let Some(reason) = &report.stopped {
        let text = vec![format!("{name} says: {reason}")];
        causes.push(Why::new("its node has stopped", text, "start it again"));
    }
    if report.is_other_life {
        let text = "the cluster knows another life of its storage; it listens to nobody";
        let next = "raft-cli member replace, or remove it and add it anew";
        let evidence = vec![text.to_owned()];
        causes.push(Why::new("its disk is not the one it had", evidence, next));
    }
    if let Some(ms) = report.write_outstanding_ms.filter(|ms| *ms >= 1000) {
        let text = format!("a write has been outstanding for {}", span(ms));
        let next = "look at its disk (iostat, dmesg)";
        causes.push(Why::new("its disk is slow", vec![text], next));
    }
    if report.is_quarantined {
        let text = "it lost acknowledged state; it votes again once it has it";
        let evidence = vec![text.to_owned()];
        causes.push(Why::new("it is being repaired", evidence, "wait"));
    }
    causes
}

fn snapshot(name: &str, peer: &PeerReport, report: Option<&MemberReport>) -> Option<Why> {
    if peer.state != Replication::Snapshot {
        return None;
    }
    let trouble = report.and_then(|report| report.snapshot_trouble.clone());
    let because = "it needs entries that the leader no longer has, so it fetches a snapshot";
    let next = if trouble.is_some() {
        "remove the cause: room on its disk, or the way between the two"
    } else {
        "wait; if it happens often, keep more entries (--snapshot-count)"
    };
    let evidence = trouble.map(|trouble| format!("{name} says: {trouble}"));
    Some(Why::new(because, evidence.into_iter().collect(), next))
}

fn store(name: &str, report: &MemberReport, behind: u64) -> Finding {
    let mut evidence = Vec::new();
    if report.store.is_stalled {
        evidence.push("its engine takes no writes for now: its background work is behind".into());
    }
    if report.store.background_errors > 0 {
        let count = report.store.background_errors;
        evidence.push(format!("its engine met {count} errors"));
    }
    let why = Why::new(
        "its store takes longer to apply entries than they take to come",
        evidence,
        "look at its disk and its processor; after a restart this is normal for a while",
    );
    let says = format!("The store of {name} is {behind} entries behind what is committed.");
    finding(Weight::Warning, says, vec![why])
}
