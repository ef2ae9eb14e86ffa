//! Whether a member is well, as etcd's probes ask it: `/health`, `/livez` and `/readyz`, with the
//! same checks by the same names, and the same answers. It does not know what a probe does then.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use raft_core::Consistency;
use raft_kv::AlarmKind;
use serde_json::json;

use crate::server::member::{Member, Shared};
use crate::server::report::alarm_name;

/// Something that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    ReadIndex,
    NonLearner,
}

/// The process is of use at all; one that is not should be started anew.
const LIVE: &[Check] = &[Check::SerializableRead];
/// Clients may be sent here.
const READY: &[Check] = &[
    Check::DataCorruption,
    Check::SerializableRead,
    Check::LinearizableRead,
    Check::NonLearner,
];
/// etcd 3.6 calls a linearizable read by how it is made, too; asked for by its path alone.
const READY_BY_PATH: &[Check] = &[Check::ReadIndex];

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::ReadIndex => "read_index",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, member: &Member) -> Result<(), String> {
        match self {
            Self::DataCorruption => match alarms(member)?.contains(&AlarmKind::Corrupt) {
                true => Err("alarm activated: CORRUPT".to_owned()),
                false => Ok(()),
            },
            Self::SerializableRead => read(member, Consistency::Local).await,
            Self::LinearizableRead | Self::ReadIndex => {
                read(member, Consistency::Linearizable).await
            }
            Self::NonLearner => {
                let status = member.node().status();
                if status.core.membership.1.is_voter(member.id) {
                    Ok(())
                } else {
                    Err("not supported for learner".to_owned())
                }
            }
        }
    }
}

/// What may be asked.
pub(super) fn router() -> Router<Shared> {
    let mut router = Router::new().route("/health", get(health));
    for (root, checks, by_path) in [("/livez", LIVE, &[][..]), ("/readyz", READY, READY_BY_PATH)] {
        let all = move |State(member): State<Shared>, RawQuery(query): RawQuery| async move {
            let query = Query::parse(query.as_deref());
            let wanted = checks.iter().filter(|check| !query.excludes(check.name()));
            run(&member, wanted.copied().collect(), &query).await
        };
        router = router.route(root, get(all));
        for check in checks.iter().chain(by_path).copied() {
            let one = move |State(member): State<Shared>, RawQuery(query): RawQuery| async move {
                run(&member, vec![check], &Query::parse(query.as_deref())).await
            };
            router = router.route(&format!("{root}/{}", check.name()), get(one));
        }
    }
    router
}

async fn run(member: &Member, checks: Vec<Check>, query: &Query) -> Response {
    let mut told = String::new();
    let mut is_well = true;
    for check in checks {
        let done = check.run(member).await;
        is_well &= done.is_ok();
        line(&mut told, check.name(), &done);
    }
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if !is_well {
        return (StatusCode::SERVICE_UNAVAILABLE, headers, told + "\n").into_response();
    }
    let told = if query.is_verbose {
        told
    } else {
        String::new()
    };
    (headers, told + "ok\n").into_response()
}

fn line(told: &mut String, name: &str, done: &Result<(), String>) {
    let written = match done {
        Ok(()) => writeln!(told, "[+]{name} ok"),
        Err(why) => writeln!(told, "[-]{name} failed: {why}"),
    };
    written.expect("a string takes everything");
}

/// `/health`: one answer for everything, which says the first thing that is wrong.
async fn health(State(member): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref());
    let wrong = first_wrong(&member, &query).await.err();
    let health = if wrong.is_none() { "true" } else { "false" };
    member.metrics.health_checked(wrong.is_none());
    let body = json!({"health": health, "reason": wrong.unwrap_or_default()}).to_string();
    if health == "true" {
        body.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, body + "\n").into_response()
    }
}

async fn first_wrong(member: &Arc<Member>, query: &Query) -> Result<(), String> {
    for alarm in alarms(member)? {
        if !query.excludes(alarm_name(alarm)) {
            return Err(format!("ALARM {}", alarm_name(alarm)));
        }
    }
    if !query.is_serializable && member.node().status().core.leader.is_none() {
        return Err("RAFT NO LEADER".to_owned());
    }
    let consistency = if query.is_serializable {
        Consistency::Local
    } else {
        Consistency::Linearizable
    };
    let read = read(member, consistency).await;
    read.map_err(|error| format!("RANGE ERROR:{error}"))
}

fn alarms(member: &Member) -> Result<Vec<AlarmKind>, String> {
    let alarms = member.store().alarms().map_err(|error| error.to_string())?;
    Ok(alarms.into_iter().map(|(_, kind)| kind).collect())
}

/// Reads where the store stands: what a range would do first.
async fn read(member: &Member, consistency: Consistency) -> Result<(), String> {
    let barrier = member.node().barrier(consistency).await;
    barrier.map_err(|error| error.to_string())?;
    let state = member.store().state();
    state.map(|_| ()).map_err(|error| error.to_string())
}

/// What stands behind the question mark.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    is_verbose: bool,
    is_serializable: bool,
    excluded: Vec<String>,
}

impl Query {
    fn parse(query: Option<&str>) -> Self {
        let mut parsed = Self::default();
        for part in query.unwrap_or_default().split('&') {
            match part.split_once('=').unwrap_or((part, "")) {
                ("verbose", _) => parsed.is_verbose = true,
                ("serializable", value) => parsed.is_serializable = value == "true",
                ("exclude", name) if !name.is_empty() => parsed.excluded.push(name.to_owned()),
                _ => {}
            }
        }
        parsed
    }

    fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_to_leave_out() {
        let check = |query: &str, expected: Query| assert_eq!(Query::parse(Some(query)), expected);
        check("", Query::default());
        check(
            "verbose&exclude=NOSPACE&exclude=&x=1&exclude=CORRUPT",
            Query {
                is_verbose: true,
                is_serializable: false,
                excluded: vec!["NOSPACE".to_owned(), "CORRUPT".to_owned()],
            },
        );
        let serializable = Query {
            is_serializable: true,
            ..Query::default()
        };
        check("serializable=true", serializable);
        check("serializable=1", Query::default());
    }

    #[test]
    fn lines_are_etcds() {
        let mut told = String::new();
        line(&mut told, "serializable_read", &Ok(()));
        line(&mut told, "linearizable_read", &Err("no leader".to_owned()));
        let expected = "[+]serializable_read ok\n[-]linearizable_read failed: no leader\n";
        assert_eq!(told, expected);
    }
}
