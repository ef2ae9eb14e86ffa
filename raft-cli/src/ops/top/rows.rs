//! What `top` shows of each member. It does not know where reports come from, nor what they are
//! shown on.

use std::collections::BTreeMap;
use std::time::Instant;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableStyle};
use serde::Serialize;

use crate::ops::reports::Asked;
use crate::server::report::{MemberReport, Role};

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    endpoint: String,
    name: String,
    /// Its role, or why it says nothing.
    role: String,
    term: u64,
    commit: u64,
    applied: u64,
    /// So many entries that somebody knows to be committed it has not applied.
    lag: u64,
    /// Revisions a second since the last look.
    writes_per_second: Option<f64>,
    db_bytes: u64,
    alarms: Vec<String>,
}

/// The revisions of the last look.
#[derive(Debug, Default)]
pub(super) struct Past {
    revisions: BTreeMap<String, (u64, Instant)>,
}

/// A row for each that was asked.
pub(super) fn rows(asked: &[Asked], past: &mut Past, now: Instant) -> Vec<Row> {
    let said = asked.iter().filter_map(Asked::said);
    let commit = said.map(|report| report.indexes.commit).max().unwrap_or(0);
    asked
        .iter()
        .map(|asked| row(asked, commit, past, now))
        .collect()
}

fn row(asked: &Asked, commit: u64, past: &mut Past, now: Instant) -> Row {
    let report = match &asked.report {
        Ok(report) => report,
        Err(error) => {
            return Row {
                endpoint: asked.endpoint.clone(),
                name: String::new(),
                role: error.clone(),
                term: 0,
                commit: 0,
                applied: 0,
                lag: 0,
                writes_per_second: None,
                db_bytes: 0,
                alarms: Vec::new(),
            };
        }
    };
    let revision = report.store.revision;
    let before = past.revisions.insert(report.id.clone(), (revision, now));
    let rate = before.and_then(|(before, at)| {
        let span = now.duration_since(at).as_secs_f64();
        let count = u32::try_from(revision.saturating_sub(before)).unwrap_or(u32::MAX);
        (span > 0.0).then(|| f64::from(count) / span)
    });
    Row {
        endpoint: asked.endpoint.clone(),
        name: report.name.clone(),
        role: role(report),
        term: report.term,
        commit: report.indexes.commit,
        applied: report.indexes.applied,
        lag: commit.saturating_sub(report.indexes.applied),
        writes_per_second: rate,
        db_bytes: report.store.bytes,
        alarms: alarms(report),
    }
}

fn role(report: &MemberReport) -> String {
    let role = match report.role {
        Role::Leader => "leader",
        Role::Learner => "learner",
        Role::PreCandidate | Role::Candidate => "candidate",
        Role::Follower if report.leader.is_none() => "no leader",
        Role::Follower => "follower",
    };
    role.to_owned()
}

/// What is wrong with the member: its alarms, and what it says of itself.
fn alarms(report: &MemberReport) -> Vec<String> {
    let own = report
        .alarms
        .iter()
        .filter(|alarm| alarm.member == report.id);
    let mut alarms: Vec<String> = own.map(|alarm| alarm.alarm.clone()).collect();
    for (is_so, name) in [
        (report.stopped.is_some(), "STOPPED"),
        (report.is_quarantined, "NOVOTE"),
        (report.is_other_life, "OTHERLIFE"),
        (report.snapshot_trouble.is_some(), "SNAPSHOT"),
        (report.store.trouble.is_some(), "STORE"),
    ] {
        if is_so {
            alarms.push(name.to_owned());
        }
    }
    alarms
}

const HEADER: [&str; 10] = [
    "ENDPOINT", "NAME", "ROLE", "TERM", "COMMIT", "APPLIED", "LAG", "WRITES/S", "DB SIZE", "ALARMS",
];
/// Columns of words; the others are numbers.
const WORDS: [usize; 4] = [0, 1, 2, 9];

/// For people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(cells(HEADER.map(str::to_owned)));
    for row in rows {
        table.add_row(cells(texts(row)));
    }
    let lines = table.to_string();
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn cells(texts: [String; 10]) -> Vec<Cell> {
    let aligned = |(column, text)| {
        Cell::new(text).set_alignment(if WORDS.contains(&column) {
            CellAlignment::Left
        } else {
            CellAlignment::Right
        })
    };
    texts.into_iter().enumerate().map(aligned).collect()
}

fn texts(row: &Row) -> [String; 10] {
    // One that says nothing has no numbers.
    let number = |number: u64| match row.name.is_empty() && row.term == 0 {
        true => String::new(),
        false => number.to_string(),
    };
    let rate = row.writes_per_second;
    [
        row.endpoint.clone(),
        row.name.clone(),
        row.role.clone(),
        number(row.term),
        number(row.commit),
        number(row.applied),
        number(row.lag),
        rate.map_or_else(String::new, |rate| format!("{rate:.0}")),
        size(row.db_bytes),
        row.alarms.join(","),
    ]
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        let whole = bytes >> shift;
        if whole > 0 {
            let tenth = ((bytes >> (shift - 10)) & 1023) * 10 / 1024;
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::report::{AlarmReport, Indexes, StoreReport};

    fn member(name: &str, role: Role, applied: u64, revision: u64) -> Asked {
        let report = MemberReport {
            id: name.to_owned(),
            name: name.to_owned(),
            role,
            leader: Some("n1".to_owned()),
            term: 3,
            indexes: Indexes {
                commit: applied,
                applied,
                ..Indexes::default()
            },
            store: StoreReport {
                revision,
                bytes: 3 << 19,
                ..StoreReport::default()
            },
            alarms: vec![AlarmReport {
                member: "n2".to_owned(),
                alarm: "NOSPACE".to_owned(),
            }],
            ..MemberReport::default()
        };
        Asked {
            endpoint: format!("{name}:2379"),
            report: Ok(report),
        }
    }

    #[test]
    fn rates_are_differences_and_lag_is_behind_the_best() {
        let (mut past, start) = (Past::default(), Instant::now());
        let first = [member("n1", Role::Leader, 90, 50)];
        assert_eq!(rows(&first, &mut past, start)[0].writes_per_second, None);
        let second = [
            member("n1", Role::Leader, 100, 60),
            member("n2", Role::Follower, 70, 40),
            Asked {
                endpoint: "n3:2379".to_owned(),
                report: Err("connection refused".to_owned()),
            },
        ];
        let rows = rows(&second, &mut past, start + Duration::from_secs(2));
        assert_eq!(rows[0].writes_per_second, Some(5.0));
        assert_eq!((rows[0].lag, rows[1].lag), (0, 30));
        assert_eq!(rows[0].alarms, [""; 0]);
        assert_eq!(rows[1].alarms, ["NOSPACE"]);
        let text = table(&rows);
        let words: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let leader = [
            "n1:2379", "n1", "leader", "3", "100", "100", "0", "5", "1.5", "MiB",
        ];
        assert_eq!(words[1], leader, "{text}");
        assert_eq!(
            words[3][..3],
            ["n3:2379", "connection", "refused"],
            "{text}"
        );
    }

    #[test]
    fn sizes_are_short() {
        let check = |bytes: u64, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(3 << 19, "1.5 MiB");
        check(5 << 30, "5.0 GiB");
    }
}
