//! The reports of a cluster's members, from all that can be reached: from the endpoints that were
//! named, and from those that the members name. It does not know what reports are for.

use std::collections::BTreeSet;

use axum::http::Request;
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;
use tower::ServiceExt;

use crate::client::connect::Settings;
use crate::client::endpoint::Endpoint;
use crate::server::report::{MemberReport, PATH};

/// No report is longer: a member has a few hundred numbers to tell.
const REPORT_BYTES_MAX: usize = 4 << 20;

/// What came of asking an endpoint.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asked {
    /// Which.
    pub(crate) endpoint: String,
    /// What it said, or why it said nothing.
    pub(crate) report: Result<MemberReport, String>,
}

impl Asked {
    /// What it said, if it did.
    pub(crate) const fn said(&self) -> Option<&MemberReport> {
        match &self.report {
            Ok(report) => Some(report),
            Err(_) => None,
        }
    }
}

/// Asks the endpoints of the settings, then the members that these name and nobody has asked.
pub(crate) async fn fetch(settings: &Settings) -> Vec<Asked> {
    let mut asked = ask(settings, settings.endpoints.clone()).await;
    let more = unasked(&asked);
    asked.extend(ask(settings, more).await);
    asked
}

/// The first endpoint of each member that is known of and did not answer, unless it was asked.
fn unasked(asked: &[Asked]) -> Vec<Endpoint> {
    let answered: BTreeSet<&str> = asked
        .iter()
        .filter_map(|asked| asked.said().map(|report| report.id.as_str()))
        .collect();
    let known: BTreeSet<&str> = asked.iter().map(|asked| bare(&asked.endpoint)).collect();
    let mut more: Vec<Endpoint> = Vec::new();
    for report in asked.iter().filter_map(Asked::said) {
        for member in &report.membership.members {
            let is_asked = member
                .client_urls
                .iter()
                .any(|url| known.contains(bare(url)));
            let url = member.client_urls.first();
            if answered.contains(member.id.as_str()) || is_asked {
                continue;
            }
            if let Some(Ok(endpoint)) = url.map(|url| url.parse::<Endpoint>())
                && !more.contains(&endpoint)
            {
                more.push(endpoint);
            }
        }
    }
    more
}

/// An endpoint without its scheme.
pub(crate) fn bare(endpoint: &str) -> &str {
    let rest = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    rest.trim_end_matches('/')
}

/// Asks all of them at once; the answers come in their order.
async fn ask(settings: &Settings, endpoints: Vec<Endpoint>) -> Vec<Asked> {
    let mut asking = JoinSet::new();
    for (place, endpoint) in endpoints.into_iter().enumerate() {
        let settings = settings.clone();
        asking.spawn(async move {
            let patience = settings.command_timeout;
            let report = match timeout(patience, report_of(&settings, &endpoint)).await {
                Ok(report) => report,
                Err(_) => Err("no answer in time (--command-timeout)".to_owned()),
            };
            let endpoint = endpoint.to_string();
            (place, Asked { endpoint, report })
        });
    }
    let mut asked = asking.join_all().await;
    asked.sort_by_key(|(place, _)| *place);
    asked.into_iter().map(|(_, asked)| asked).collect()
}

async fn report_of(settings: &Settings, endpoint: &Endpoint) -> Result<MemberReport, String> {
    let channel = settings
        .channel(endpoint)
        .map_err(|exit| exit.to_string())?;
    let request = Request::get(PATH).body(Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let answer = channel
        .oneshot(request)
        .await
        .map_err(|error| root(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), REPORT_BYTES_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| root(error.as_ref()))?.to_bytes();
    if !status.is_success() {
        return Err(format!("{PATH}: {status}; is this a member of raft-cli?"));
    }
    serde_json::from_slice(&body).map_err(|error| format!("{PATH}: {error}"))
}

/// What lies at the root of an error: the layers above it say nothing to people.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::report::{MemberSeen, MembershipReport};

    #[test]
    fn members_that_nobody_has_asked_are_asked_too() {
        let member = |id: &str, url: &str| MemberSeen {
            id: id.to_owned(),
            client_urls: vec![url.to_owned()],
            ..MemberSeen::default()
        };
        let report = MemberReport {
            id: "1".to_owned(),
            membership: MembershipReport {
                members: vec![
                    member("1", "http://elsewhere:1"),
                    member("2", "http://b:2"),
                    member("3", "https://c:3/"),
                ],
                ..MembershipReport::default()
            },
            ..MemberReport::default()
        };
        let asked = [
            Asked {
                endpoint: "a:1".to_owned(),
                report: Ok(report),
            },
            Asked {
                endpoint: "c:3".to_owned(),
                report: Err("refused".to_owned()),
            },
        ];
        let more: Vec<String> = unasked(&asked).iter().map(ToString::to_string).collect();
        assert_eq!(more, ["http://b:2"]);
    }
}
