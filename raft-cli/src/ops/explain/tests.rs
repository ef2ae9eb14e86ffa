//! One set of reports for each answer.

use super::*;
use crate::server::report::{
    AlarmReport, Cause, CertificateReport, Change, Indexes, LeaderChangeReport, MemberReport,
    MemberSeen, MembershipReport, PeerReport, Replication, Role, TimingReport,
};

/// Members 1, 2 and 3, of whom the first leads, and nothing is the matter.
fn cluster() -> Vec<Asked> {
    (1..=3).map(|id| answered(member(id))).collect()
}

fn answered(report: MemberReport) -> Asked {
    Asked {
        endpoint: format!("n{}:2379", report.id),
        report: Ok(report),
    }
}

fn member(id: u64) -> MemberReport {
    let peers = [2, 3].map(|peer| PeerReport {
        id: peer.to_string(),
        state: Replication::Replicate,
        matched: 100,
        next: 101,
        lag: 0,
        silent_ms: 20,
    });
    MemberReport {
        id: id.to_string(),
        name: format!("n{id}"),
        cluster: "c".to_owned(),
        uptime_s: 1000,
        role: if id == 1 {
            Role::Leader
        } else {
            Role::Follower
        },
        term: 5,
        leader: Some("1".to_owned()),
        indexes: Indexes {
            last: 100,
            commit: 100,
            applied: 100,
            ..Indexes::default()
        },
        membership: MembershipReport {
            index: 10,
            is_committed: true,
            is_joint: false,
            members: (1..=3).map(seen).collect(),
        },
        peers: if id == 1 { peers.to_vec() } else { Vec::new() },
        timing: TimingReport {
            heartbeat_ms: 100,
            election_timeout_ms: 1000,
        },
        ..MemberReport::default()
    }
}

fn seen(id: u64) -> MemberSeen {
    MemberSeen {
        id: id.to_string(),
        name: format!("n{id}"),
        peer_address: format!("n{id}:2380"),
        client_urls: vec![format!("http://n{id}:2379")],
        is_voter: true,
        is_outgoing: false,
        is_bound: true,
    }
}

/// The cluster after this change to it.
fn with(change: impl FnOnce(&mut [Asked])) -> Vec<Asked> {
    let mut cluster = cluster();
    change(&mut cluster);
    cluster
}

fn silence(asked: &mut Asked) {
    asked.report = Err("connection refused".to_owned());
}

fn report(asked: &mut Asked) -> &mut MemberReport {
    asked.report.as_mut().expect("it answers")
}

/// Nobody leads, since so long.
fn lose_leader(cluster: &mut [Asked], ago_ms: u64) {
    for asked in cluster {
        if let Ok(report) = &mut asked.report {
            report.leader = None;
            report.role = Role::PreCandidate;
            report.peers.clear();
            report.leader_change = Some(LeaderChangeReport {
                term: 5,
                from: Some("1".to_owned()),
                ago_ms,
                ..LeaderChangeReport::default()
            });
        }
    }
}

/// Whether an answer of this weight says these words, in this order, and what its first cause is.
fn answers(asked: &[Asked], question: Question, weight: Weight, words: &[&str]) {
    let findings = explain(asked, Some(question));
    let all = text(&findings);
    let of_weight: Vec<_> = findings
        .iter()
        .filter(|finding| finding.weight == weight)
        .cloned()
        .collect();
    let said = text(&of_weight);
    let mut rest = said.as_str();
    for word in words {
        let at = rest.find(word);
        let at = at.unwrap_or_else(|| panic!("`{word}` is missing, or earlier:\n{all}"));
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn a_cluster_that_is_well_has_only_facts() {
    let findings = explain(&cluster(), None);
    let said: Vec<&str> = findings
        .iter()
        .map(|finding| finding.says.as_str())
        .collect();
    assert_eq!(said, ["n1 leads in term 5; 3 of 3 voters answer."]);
    assert_eq!(
        text(&explain(&cluster(), Some(Question::Lag))),
        "Nothing of the kind.\n"
    );
}

#[test]
fn why_there_is_no_leader() {
    let check = |asked: Vec<Asked>, words: &[&str]| {
        answers(&asked, Question::Leader, Weight::Wrong, words);
    };
    check(
        with(|all| all.iter_mut().for_each(silence)),
        &["No endpoint answers", "connection refused"],
    );
    check(
        with(|all| {
            lose_leader(all, 60_000);
            silence(&mut all[1]);
            silence(&mut all[2]);
        }),
        &[
            "Nobody leads",
            "only 1 of 3 voters answer, 2 are needed; n2 and n3 do not",
            "n2:2379: connection refused",
            "start n2 and n3 again",
            "raft-cli recover",
        ],
    );
    check(
        with(|all| {
            lose_leader(all, 60_000);
            silence(&mut all[1]);
            report(&mut all[2]).is_quarantined = true;
        }),
        &["too few of them may vote", "n3 lost acknowledged state"],
    );
    check(
        with(|all| {
            lose_leader(all, 60_000);
            report(&mut all[1]).write_outstanding_ms = Some(4200);
        }),
        &[
            "disks do not finish",
            "a write of n2 has been outstanding for 4.2 s",
        ],
    );
    check(
        with(|all| lose_leader(all, 800)),
        &["an election is under way", "800 ms ago"],
    );
    check(
        with(|all| {
            lose_leader(all, 60_000);
            report(&mut all[0]).net.insert("refused_tls".to_owned(), 7);
        }),
        &[
            "do not reach each other",
            "n1: refused_tls 7",
            "peer certificates",
        ],
    );
    check(
        with(|all| {
            let lost = report(&mut all[2]);
            (lost.leader, lost.role, lost.term) = (None, Role::PreCandidate, 5);
            report(&mut all[0]).peers[1].silent_ms = 9000;
        }),
        &[
            "n3 does not know the leader",
            "messages between the two",
            "9.0 s ago",
        ],
    );
}

#[test]
fn a_half_done_change_of_voters_needs_both_majorities() {
    let asked = with(|all| {
        for asked in all.iter_mut() {
            let members = &mut report(asked).membership;
            members.is_joint = true;
            // From 1, 2, 3 to 1, 4, 5.
            for (place, member) in members.members.iter_mut().enumerate() {
                member.is_outgoing = true;
                member.is_voter = place == 0;
            }
            members.members.extend([seen(4), seen(5)]);
        }
        lose_leader(all, 60_000);
    });
    let words = ["only 1 of 3 voters answer", "n4 and n5 do not", "half done"];
    answers(&asked, Question::Leader, Weight::Wrong, &words);
    let words = ["half done", "only a leader can go on"];
    answers(&asked, Question::Membership, Weight::Wrong, &words);
}

fn far(peer: &mut PeerReport) {
    peer.lag = 70_000;
}

fn silent(peer: &mut PeerReport) {
    (peer.lag, peer.silent_ms) = (70_000, 90_000);
}

fn snapshot(peer: &mut PeerReport) {
    peer.state = Replication::Snapshot;
}

/// The leader sees the third member so, and it says this of itself.
fn behind(change: fn(&mut PeerReport), own: fn(&mut MemberReport)) -> Vec<Asked> {
    with(|all| {
        change(&mut report(&mut all[0]).peers[1]);
        own(report(&mut all[2]));
    })
}

#[test]
fn why_a_member_lags() {
    let cases: [(Vec<Asked>, Weight, &[&str]); 7] = [
        (
            behind(far, |_| {}),
            Weight::Warning,
            &["n3 lacks 70000 entries", "it is catching up"],
        ),
        (
            behind(far, |own| own.write_outstanding_ms = Some(3000)),
            Weight::Warning,
            &["its disk is slow", "3.0 s"],
        ),
        (
            behind(silent, |_| {}),
            Weight::Wrong,
            &[
                "n3 was not heard from for 90.0 s",
                "the leader does not reach it",
                "n3:2380",
            ],
        ),
        (
            behind(silent, |own| own.is_other_life = true),
            Weight::Wrong,
            &["its disk is not the one it had", "member replace"],
        ),
        (
            behind(snapshot, |own| {
                own.snapshot_trouble = Some("no room".to_owned());
            }),
            Weight::Warning,
            &["it fetches a snapshot", "n3 says: no room"],
        ),
        (
            behind(
                |_| {},
                |own| (own.indexes.applied, own.store.is_stalled) = (0, true),
            )
            .into_iter()
            .map(|mut asked| {
                report(&mut asked).indexes.commit = 9000;
                asked
            })
            .collect(),
            Weight::Warning,
            &["The store of n3 is 9000 entries behind", "takes no writes"],
        ),
        (
            with(|all| {
                report(&mut all[0]).peers[0].silent_ms = 5000;
                silence(&mut all[1]);
            }),
            Weight::Wrong,
            &[
                "n2 was not heard from",
                "it does not run",
                "n2:2379: connection refused",
            ],
        ),
    ];
    for (asked, weight, words) in cases {
        answers(&asked, Question::Lag, weight, words);
    }
}

#[test]
fn why_a_change_of_members_waits() {
    let learner = |is_bound, lag, silent_ms| {
        with(|all| {
            for asked in all.iter_mut() {
                let mut newcomer = seen(4);
                newcomer.is_voter = false;
                newcomer.is_bound = is_bound;
                report(asked).membership.members.push(newcomer);
            }
            let leader = report(&mut all[0]);
            leader.change = Some(Change::CatchingUp);
            leader.peers.push(PeerReport {
                id: "4".to_owned(),
                lag,
                silent_ms,
                ..PeerReport::default()
            });
        })
    };
    let check = |asked: &[Asked], words: &[&str]| {
        answers(asked, Question::Membership, Weight::Warning, words);
    };
    check(
        &learner(false, 100, 9000),
        &[
            "until its new voters have the log",
            "n4 was not started yet",
            "n4:2380",
            "existing",
        ],
    );
    check(
        &learner(true, 100, 9000),
        &["n4 does not answer the leader", "9.0 s ago"],
    );
    check(
        &learner(true, 100, 10),
        &["n4 is catching up", "100 entries"],
    );
    let uncommitted = with(|all| {
        let leader = report(&mut all[0]);
        leader.change = Some(Change::Settling);
        (leader.membership.index, leader.membership.is_committed) = (101, false);
        for peer in &mut leader.peers {
            peer.silent_ms = 7000;
        }
    });
    let words = [
        "1 of 3 voters have it, 2 are needed; n2 and n3 do not",
        "n2 was last heard",
    ];
    check(&uncommitted, &words);
}

/// Leadership went from 1 to 2, as each of them tells it.
fn moved(resigned: &LeaderChangeReport, campaigned: Option<&Cause>) -> Vec<Asked> {
    with(|all| {
        for (place, asked) in all.iter_mut().enumerate() {
            let own = if place == 0 {
                resigned.clone()
            } else {
                LeaderChangeReport::default()
            };
            report(asked).leader_change = Some(LeaderChangeReport {
                term: 6,
                from: Some("1".to_owned()),
                to: Some("2".to_owned()),
                campaigned: campaigned.filter(|_| place == 1).cloned(),
                gap_ms: 1500,
                ago_ms: 60_000,
                ..own
            });
        }
    })
}

#[test]
fn why_leadership_moved_last() {
    let check = |asked: &[Asked], words: &[&str]| {
        answers(asked, Question::Moved, Weight::Fact, words);
    };
    let resigned = |cause: Cause| LeaderChangeReport {
        resigned: Some(cause),
        ..LeaderChangeReport::default()
    };
    let handed_over = LeaderChangeReport {
        handing_over_to: Some("2".to_owned()),
        ..resigned(Cause::HigherTerm("2".to_owned()))
    };
    let sick = LeaderChangeReport {
        disk_stalled_ms: Some(2500),
        ..handed_over.clone()
    };
    let asked_to = Some(Cause::TransferRequested);
    let unheard = Some(Cause::ElectionTimeout);
    let intro = "moved from n1 to n2 in term 6, 60.0 s ago; nobody led for 1.5 s";
    check(
        &moved(&sick, asked_to.as_ref()),
        &[intro, "the disk of n1 was too slow", "2.5 s"],
    );
    check(
        &moved(&handed_over, asked_to.as_ref()),
        &[
            "n1 handed it over on request",
            "to n2",
            "n1 handed leadership over to n2",
        ],
    );
    check(
        &moved(&resigned(Cause::QuorumLost), unheard.as_ref()),
        &["n1 heard from no majority", "n2 heard nothing of n1"],
    );
    check(&moved(&resigned(Cause::Removed), None), &["n1 was removed"]);
    let none = LeaderChangeReport::default();
    let mut restarted = moved(&none, unheard.as_ref());
    report(&mut restarted[0]).leader_change = None;
    report(&mut restarted[0]).uptime_s = 30;
    check(
        &restarted,
        &[
            "heard nothing of n1",
            "n1 runs for 30.0 s only: it had stopped",
        ],
    );
    let mut gone = moved(&none, unheard.as_ref());
    silence(&mut gone[0]);
    check(
        &gone,
        &[
            "heard nothing of n1",
            "n1:2379: connection refused",
            "start n1 again",
        ],
    );
    check(&moved(&none, None), &[intro, "nobody here can tell"]);
    let first = with(|all| {
        report(&mut all[0]).leader_change = Some(LeaderChangeReport {
            term: 1,
            to: Some("1".to_owned()),
            ..LeaderChangeReport::default()
        });
    });
    check(&first, &["n1 was elected in term 1", "had started"]);
}

#[test]
fn what_is_near_its_limit() {
    let check = |change: fn(&mut MemberReport), weight, words: &[&str]| {
        let asked = with(|all| change(report(&mut all[1])));
        answers(&asked, Question::Limits, weight, words);
    };
    check(
        |own| (own.store.bytes, own.store.quota_bytes) = (85, 100),
        Weight::Warning,
        &["The store of n2 has used 85 % of its quota", "compact"],
    );
    check(
        |own| {
            own.alarms.push(AlarmReport {
                member: "2".to_owned(),
                alarm: "NOSPACE".to_owned(),
            });
        },
        Weight::Wrong,
        &["The store of n2 is full"],
    );
    check(
        |own| own.store.free_bytes = Some(1 << 20),
        Weight::Warning,
        &["The disk of n2 is nearly full", "1048576 bytes are left"],
    );
    check(
        |own| (own.clients.connections, own.clients.connections_max) = (9, 10),
        Weight::Warning,
        &["n2 is near its limit of connections", "9 of 10"],
    );
    let expires = |own: &mut MemberReport, left| {
        own.certificates.push(CertificateReport {
            file: "/c.pem".to_owned(),
            expires_in_s: left,
        });
    };
    let asked = |left| with(|all| expires(report(&mut all[1]), left));
    for (left, weight, words) in [
        (Some(86_400), Weight::Warning, "expires in 24 h"),
        (Some(-5), Weight::Wrong, "has expired"),
        (None, Weight::Warning, "can't be read"),
    ] {
        answers(&asked(left), Question::Limits, weight, &[words, "/c.pem"]);
    }
    assert_eq!(
        explain(&asked(Some(90 * 86_400)), Some(Question::Limits)),
        []
    );
}

#[test]
fn what_else_is_wrong() {
    let check = |change: fn(&mut MemberReport), words: &[&str]| {
        let asked = with(|all| change(report(&mut all[1])));
        answers(&asked, Question::Trouble, Weight::Wrong, words);
    };
    check(
        |own| own.stopped = Some("the log store failed".to_owned()),
        &["The node of n2 has stopped", "the log store failed"],
    );
    check(
        |own| own.is_other_life = true,
        &["n2 is refused", "member replace"],
    );
    check(|own| own.is_quarantined = true, &["n2 does not vote"]);
    check(
        |own| own.snapshot_trouble = Some("no room".to_owned()),
        &["n2 has trouble with snapshots", "no room"],
    );
    check(
        |own| own.store.background_errors = 2,
        &["The store of n2 is not sound"],
    );
    check(
        |own| own.cluster = "d".to_owned(),
        &["different clusters", "n2 belongs to d"],
    );
    check(
        |own| {
            own.alarms.push(AlarmReport {
                member: "3".to_owned(),
                alarm: "CORRUPT".to_owned(),
            });
        },
        &["The data of n3 can't be trusted"],
    );
    let asked = with(|all| silence(&mut all[2]));
    let words = ["n3 does not answer", "connection refused", "start n3 again"];
    answers(&asked, Question::Trouble, Weight::Wrong, &words);
}
