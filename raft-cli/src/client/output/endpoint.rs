//! How single members are printed: whether they are well, where they stand, what they hold; and
//! what is done to them.

use super::json::{self, Json};
use super::table::Rows;
use super::{Format, Printer, unsupported};
use crate::exit::Exit;
use crate::out::say;
use crate::pb::etcdserverpb::{
    AlarmResponse, AlarmType, HashKvResponse, MoveLeaderResponse, StatusResponse,
};

/// Whether an endpoint is well.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) endpoint: String,
    pub(crate) took: String,
    /// What is wrong, if it isn't.
    pub(crate) error: Option<String>,
}

/// Where an endpoint stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) endpoint: String,
    pub(crate) status: StatusResponse,
}

/// What an endpoint's keys come to.
#[derive(Clone, Debug)]
pub(crate) struct Hash {
    pub(crate) endpoint: String,
    pub(crate) hash: HashKvResponse,
}

impl Printer {
    pub(crate) fn health(&mut self, all: &[Health]) -> Result<(), Exit> {
        match self.format {
            Format::Simple => self.simple_health(all),
            Format::Fields => self.text(|text| {
                for one in all {
                    text.quoted("Endpoint", &one.endpoint);
                    text.field("Health", one.error.is_none());
                    text.field("Took", &one.took);
                    text.field("Error", one.error.as_deref().unwrap_or_default());
                    text.line("");
                }
            }),
            Format::Json => {
                let items = all.iter().map(health_json).collect();
                self.line(Json::list_or_null(items).text())
            }
            Format::Protobuf => Err(unsupported("protobuf")),
            Format::Table => self.line(&health_rows(all).table()),
        }
    }

    fn simple_health(&mut self, all: &[Health]) -> Result<(), Exit> {
        for Health {
            endpoint,
            took,
            error,
        } in all
        {
            match error {
                None => self.line(&format!(
                    "{endpoint} is healthy: successfully committed proposal: took = {took}"
                ))?,
                Some(error) => {
                    say(format_args!(
                        "{endpoint} is unhealthy: failed to commit proposal: {error}"
                    ));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn standings(&mut self, all: &[Standing]) -> Result<(), Exit> {
        match self.format {
            Format::Simple => self.rows(&standing_rows(all)),
            Format::Fields => self.text(|text| {
                for one in all {
                    standing_fields(text, one);
                }
            }),
            Format::Json => {
                let item = |one: &Standing| {
                    let status = json::object("etcdserverpb.StatusResponse", &one.status)?;
                    let endpoint = Json::string(&one.endpoint);
                    Ok(Json::members(vec![
                        ("Endpoint", endpoint),
                        ("Status", status),
                    ]))
                };
                let items: Result<Vec<Json>, Exit> = all.iter().map(item).collect();
                self.line(Json::list_or_null(items?).text())
            }
            Format::Protobuf => Err(unsupported("protobuf")),
            Format::Table => self.line(&standing_rows(all).table()),
        }
    }

    pub(crate) fn hashes(&mut self, all: &[Hash]) -> Result<(), Exit> {
        match self.format {
            Format::Simple => self.rows(&hash_rows(all)),
            Format::Fields => self.text(|text| {
                for one in all {
                    text.header(one.hash.header.as_ref());
                    text.quoted("Endpoint", &one.endpoint);
                    text.field("Hash", one.hash.hash);
                    text.field("HashRevision", one.hash.hash_revision);
                    text.line("");
                }
            }),
            Format::Json => {
                let item = |one: &Hash| {
                    let hash = json::object("etcdserverpb.HashKVResponse", &one.hash)?;
                    let endpoint = Json::string(&one.endpoint);
                    Ok(Json::members(vec![
                        ("Endpoint", endpoint),
                        ("HashKV", hash),
                    ]))
                };
                let items: Result<Vec<Json>, Exit> = all.iter().map(item).collect();
                self.line(Json::list_or_null(items?).text())
            }
            Format::Protobuf => Err(unsupported("protobuf")),
            Format::Table => self.line(&hash_rows(all).table()),
        }
    }

    fn rows(&mut self, rows: &Rows) -> Result<(), Exit> {
        self.text(|text| {
            for line in rows.lines() {
                text.line(line);
            }
        })
    }

    pub(crate) fn alarms(&mut self, answer: &AlarmResponse) -> Result<(), Exit> {
        let name = |alarm: i32| AlarmType::try_from(alarm).map_or("UNKNOWN", |a| a.as_str_name());
        self.show(
            "etcdserverpb.AlarmResponse",
            answer,
            |text| {
                for one in &answer.alarms {
                    let mut line = String::new();
                    // Go's text of a message, which leaves out defaults as well, and ends in a
                    // space.
                    if one.member_id != 0 {
                        line += &format!("memberID:{} ", one.member_id);
                    }
                    if one.alarm != 0 {
                        line += &format!("alarm:{} ", name(one.alarm));
                    }
                    text.line(line);
                }
            },
            |text| {
                text.header(answer.header.as_ref());
                for one in &answer.alarms {
                    text.id("MemberID", one.member_id);
                    text.field("AlarmType", name(one.alarm));
                    text.line("");
                }
            },
        )
    }

    pub(crate) fn leader_moved(
        &mut self,
        (from, to): (u64, u64),
        answer: &MoveLeaderResponse,
    ) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.MoveLeaderResponse",
            answer,
            |text| text.line(format!("Leadership transferred from {from:x} to {to:x}")),
            |text| text.header(answer.header.as_ref()),
        )
    }
}

fn health_json(one: &Health) -> Json {
    let mut members = vec![
        ("endpoint", Json::string(&one.endpoint)),
        ("health", Json::bool(one.error.is_none())),
        ("took", Json::string(&one.took)),
    ];
    if let Some(error) = &one.error {
        members.push(("error", Json::string(error)));
    }
    Json::members(members)
}

fn health_rows(all: &[Health]) -> Rows {
    let row = |one: &Health| {
        vec![
            one.endpoint.clone(),
            one.error.is_none().to_string(),
            one.took.clone(),
            one.error.clone().unwrap_or_default(),
        ]
    };
    Rows {
        header: &["endpoint", "health", "took", "error"],
        rows: all.iter().map(row).collect(),
    }
}

fn hash_rows(all: &[Hash]) -> Rows {
    let row = |one: &Hash| {
        vec![
            one.endpoint.clone(),
            one.hash.hash.to_string(),
            one.hash.hash_revision.to_string(),
        ]
    };
    Rows {
        header: &["endpoint", "hash", "hash_revision"],
        rows: all.iter().map(row).collect(),
    }
}

fn standing_rows(all: &[Standing]) -> Rows {
    Rows {
        header: &[
            "endpoint",
            "ID",
            "version",
            "storage version",
            "db size",
            "in use",
            "percentage not in use",
            "quota",
            "is leader",
            "is learner",
            "raft term",
            "raft index",
            "raft applied index",
            "errors",
            "downgrade target version",
            "downgrade enabled",
        ],
        rows: all.iter().map(standing_row).collect(),
    }
}

fn standing_row(one: &Standing) -> Vec<String> {
    let status = &one.status;
    let id = status.header.unwrap_or_default().member_id;
    let downgrade = status.downgrade_info.clone().unwrap_or_default();
    let in_use = status.db_size_in_use.saturating_mul(100);
    let in_use = in_use.checked_div(status.db_size).unwrap_or(100);
    vec![
        one.endpoint.clone(),
        format!("{id:x}"),
        status.version.clone(),
        status.storage_version.clone(),
        size(status.db_size),
        size(status.db_size_in_use),
        format!("{}%", 100 - in_use),
        size(status.db_size_quota),
        (status.leader == id).to_string(),
        status.is_learner.to_string(),
        status.raft_term.to_string(),
        status.raft_index.to_string(),
        status.raft_applied_index.to_string(),
        status.errors.join(", "),
        downgrade.target_version,
        downgrade.enabled.to_string(),
    ]
}

fn standing_fields(text: &mut super::Text, one: &Standing) {
    let status = &one.status;
    let downgrade = status.downgrade_info.clone().unwrap_or_default();
    text.header(status.header.as_ref());
    text.quoted("Version", &status.version);
    text.quoted("StorageVersion", &status.storage_version);
    text.field("DBSize", status.db_size);
    text.field("DBSizeInUse", status.db_size_in_use);
    text.field("DBSizeQuota", status.db_size_quota);
    text.field("Leader", status.leader);
    text.field("IsLearner", status.is_learner);
    text.field("RaftIndex", status.raft_index);
    text.field("RaftTerm", status.raft_term);
    text.field("RaftAppliedIndex", status.raft_applied_index);
    text.field("Errors", format_args!("[{}]", status.errors.join(" ")));
    text.quoted("Endpoint", &one.endpoint);
    text.quoted("DowngradeTargetVersion", &downgrade.target_version);
    text.field("DowngradeEnabled", downgrade.enabled);
    text.line("");
}

const SIZES: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Bytes in the largest unit that leaves a digit before the point, with one behind it below ten.
pub(crate) fn size(bytes: i64) -> String {
    let bytes = u64::try_from(bytes).unwrap_or(0);
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let mut unit = 1_u64;
    let mut index = 0;
    while bytes / unit >= 1_000 {
        unit *= 1_000;
        index += 1;
    }
    // In tenths, halves rounded up; 64 bits could not hold it.
    let tenths = (u128::from(bytes) * 10 + u128::from(unit / 2)) / u128::from(unit);
    if tenths < 100 && index > 0 {
        format!("{}.{} {}", tenths / 10, tenths % 10, SIZES[index])
    } else {
        // A half goes to the even neighbour, as floating point prints it.
        let (whole, rest) = (tenths / 10, tenths % 10);
        let is_up = rest > 5 || (rest == 5 && whole % 2 == 1);
        format!("{} {}", whole + u128::from(is_up), SIZES[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let check = |bytes: i64, expected: &str| assert_eq!(size(bytes), expected, "{bytes}");
        check(0, "0 B");
        check(9, "9 B");
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(20_480, "20 kB");
        check(82_854_982, "83 MB");
        check(2_147_483_648, "2.1 GB");
        check(i64::MAX, "9.2 EB");
        check(-1, "0 B");
    }
}
