//! `endpoint`, `defrag`, `alarm` and `move-leader`: what is asked of single members. It does not
//! know how answers look.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::{Args, Subcommand};
use tokio::task::JoinSet;

use super::caller::Client;
use super::connect::Settings;
use super::context::{Context, Verb};
use super::duration::Span;
use super::endpoint::Endpoint;
use super::member;
use super::output::{Hash, Health, Standing};
use super::range::bad;
use super::services;
use crate::exit::Exit;
use crate::out::say;
use crate::pb::etcdserverpb::alarm_request::AlarmAction;
use crate::pb::etcdserverpb::{
    AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, HashKvRequest, MemberListRequest,
    MoveLeaderRequest, RangeRequest, StatusRequest, StatusResponse,
};

/// Look at single servers.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// Ask all members of the cluster
    #[arg(long, global = true)]
    cluster: bool,
    #[command(subcommand)]
    verb: EndpointVerb,
}

#[derive(Clone, Copy, Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum EndpointVerb {
    /// Print whether they are well
    Health,
    /// Print where they stand
    Status,
    /// Print a hash of their keys' history
    Hashkv {
        /// Up to which revision [default: the newest]
        #[arg(long, default_value = "0")]
        rev: i64,
    },
}

impl Verb for EndpointArgs {
    fn has_rows(&self) -> bool {
        true
    }

    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let each = each(&context.settings, self.cluster).await?;
        match self.verb {
            EndpointVerb::Health => health(context, each).await,
            EndpointVerb::Status => status(context, each).await,
            EndpointVerb::Hashkv { rev } => hashkv(context, each, rev).await,
        }
    }
}

/// Settings for one endpoint each.
async fn each(settings: &Settings, is_all: bool) -> Result<Vec<Settings>, Exit> {
    let endpoints = if is_all {
        of_cluster(settings).await?
    } else {
        settings.endpoints.clone()
    };
    let one = |endpoint| settings.with_endpoints(vec![endpoint]);
    Ok(endpoints.into_iter().map(one).collect())
}

async fn of_cluster(settings: &Settings) -> Result<Vec<Endpoint>, Exit> {
    let client = settings.clone().connect().await?;
    let request = MemberListRequest { linearizable: true };
    let answer = client
        .call(request, |channel, request| async move {
            services::cluster(channel).member_list(request).await
        })
        .await?;
    let urls = answer
        .members
        .iter()
        .flat_map(|member| &member.client_ur_ls);
    let endpoints: Result<Vec<Endpoint>, String> = urls.map(|url| url.parse()).collect();
    endpoints.map_err(|error| Exit::Failed(anyhow!("a member advertises nonsense: {error}")))
}

async fn health(context: &mut Context, each: Vec<Settings>) -> Result<(), Exit> {
    let mut looks = JoinSet::new();
    for (index, settings) in each.into_iter().enumerate() {
        looks.spawn(async move { (index, health_of(settings).await) });
    }
    let mut all = looks.join_all().await;
    all.sort_by_key(|(index, _)| *index);
    let all: Vec<Health> = all.into_iter().map(|(_, health)| health).collect();
    context.printer.health(&all)?;
    if all.iter().any(|one| one.error.is_some()) {
        return Err(Exit::Unwell(anyhow!("unhealthy cluster")));
    }
    Ok(())
}

/// Well is who can answer with the newest state, which takes a majority, and has no alarm.
async fn health_of(settings: Settings) -> Health {
    let endpoint = settings.endpoints[0].to_string();
    let begin = Instant::now();
    let error = ailment(settings).await;
    Health {
        endpoint,
        took: Span(begin.elapsed()).to_string(),
        error,
    }
}

async fn ailment(settings: Settings) -> Option<String> {
    let client = match settings.connect().await {
        Ok(client) => client,
        Err(error) => return Some(error.to_string()),
    };
    let request = RangeRequest {
        key: b"health".as_slice().into(),
        ..RangeRequest::default()
    };
    let read = client
        .call(request, |channel, request| async move {
            services::kv(channel).range(request).await
        })
        .await;
    match read {
        Ok(_) => {}
        // It took a majority to know that we may not.
        Err(Exit::Refused(error)) if error.to_string().contains("permission denied") => {}
        Err(error) => return Some(error.to_string()),
    }
    let Ok(answer) = alarms(&client, AlarmAction::Get).await else {
        return Some("Unable to fetch the alarm list".to_owned());
    };
    if answer.alarms.is_empty() {
        return None;
    }
    let name = |alarm: i32| match AlarmType::try_from(alarm) {
        Ok(AlarmType::Nospace) => "NOSPACE ",
        Ok(AlarmType::Corrupt) => "CORRUPT ",
        Ok(AlarmType::None) | Err(_) => "UNKNOWN ",
    };
    let names: String = answer.alarms.iter().map(|one| name(one.alarm)).collect();
    Some(format!("Active Alarm(s): {names}"))
}

async fn status_of(client: &Client) -> Result<StatusResponse, Exit> {
    client
        .call(StatusRequest {}, |channel, request| async move {
            services::maintenance(channel).status(request).await
        })
        .await
}

async fn status(context: &mut Context, each: Vec<Settings>) -> Result<(), Exit> {
    let mut all = Vec::new();
    let mut failure = None;
    for settings in each {
        let endpoint = settings.endpoints[0].to_string();
        let status = match settings.connect().await {
            Ok(client) => status_of(&client).await,
            Err(error) => Err(error),
        };
        match status {
            Ok(status) => all.push(Standing { endpoint, status }),
            Err(error) => {
                say(format_args!(
                    "Failed to get the status of endpoint {endpoint} ({error})"
                ));
                failure = Some(error);
            }
        }
    }
    context.printer.standings(&all)?;
    failure.map_or(Ok(()), Err)
}

async fn hashkv(context: &mut Context, each: Vec<Settings>, rev: i64) -> Result<(), Exit> {
    let mut all = Vec::new();
    let mut failure = None;
    for settings in each {
        let endpoint = settings.endpoints[0].to_string();
        match hash_of(settings, rev).await {
            Ok(hash) => all.push(Hash { endpoint, hash }),
            Err(error) => {
                say(format_args!(
                    "Failed to get the hash of endpoint {endpoint} ({error})"
                ));
                failure = Some(error);
            }
        }
    }
    context.printer.hashes(&all)?;
    failure.map_or(Ok(()), Err)
}

async fn hash_of(
    settings: Settings,
    revision: i64,
) -> Result<crate::pb::etcdserverpb::HashKvResponse, Exit> {
    let client = settings.connect().await?;
    client
        .call(HashKvRequest { revision }, |channel, request| async move {
            services::maintenance(channel).hash_kv(request).await
        })
        .await
}

/// Give space back to the file system.
#[derive(Debug, Args)]
pub(crate) struct DefragArgs {
    /// On all members of the cluster
    #[arg(long)]
    cluster: bool,
}

/// A server that defragments answers nothing until it is done; large stores take long.
const DEFRAG_TIMEOUT_MIN: Duration = Duration::from_secs(60);

impl Verb for DefragArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let mut failure = None;
        for settings in each(&context.settings, self.cluster).await? {
            let endpoint = settings.endpoints[0].to_string();
            let begin = Instant::now();
            let done = defrag(settings).await;
            let took = Span(begin.elapsed());
            match done {
                Ok(()) => context.printer.line(&format!(
                    "Finished defragmenting etcd member[{endpoint}]. took {took}"
                ))?,
                Err(error) => {
                    say(format_args!(
                        "Failed to defragment etcd member[{endpoint}]. took {took}. ({error})"
                    ));
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn defrag(settings: Settings) -> Result<(), Exit> {
    let within = settings.command_timeout.max(DEFRAG_TIMEOUT_MIN);
    let client = settings.connect().await?;
    client
        .call_within(within, DefragmentRequest {}, |channel, request| async move {
            services::maintenance(channel).defragment(request).await
        })
        .await?;
    Ok(())
}

/// What is wrong with the cluster.
#[derive(Debug, Args)]
pub(crate) struct AlarmArgs {
    #[command(subcommand)]
    verb: AlarmVerb,
}

#[derive(Clone, Copy, Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum AlarmVerb {
    /// Print all alarms
    List,
    /// End all alarms
    Disarm,
}

impl Verb for AlarmArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let client = context.client().await?;
        let listed = alarms(&client, AlarmAction::Get).await?;
        match self.verb {
            AlarmVerb::List => context.printer.alarms(&listed),
            AlarmVerb::Disarm => {
                let answer = disarm(&client, listed).await?;
                context.printer.alarms(&answer)
            }
        }
    }
}

/// The server ends one alarm at a time. All that ended are in the last answer, as if it had been
/// one request.
async fn disarm(client: &Client, listed: AlarmResponse) -> Result<AlarmResponse, Exit> {
    let mut all = AlarmResponse {
        header: listed.header,
        alarms: Vec::new(),
    };
    for alarm in listed.alarms {
        let request = AlarmRequest {
            action: AlarmAction::Deactivate.into(),
            member_id: alarm.member_id,
            alarm: alarm.alarm,
        };
        let answer = client
            .call(request, |channel, request| async move {
                services::maintenance(channel).alarm(request).await
            })
            .await?;
        all.header = answer.header;
        all.alarms.extend(answer.alarms);
    }
    Ok(all)
}

async fn alarms(client: &Client, action: AlarmAction) -> Result<AlarmResponse, Exit> {
    let request = AlarmRequest {
        action: action.into(),
        ..AlarmRequest::default()
    };
    client
        .call(request, |channel, request| async move {
            services::maintenance(channel).alarm(request).await
        })
        .await
}

/// Have another member lead.
#[derive(Debug, Args)]
pub(crate) struct MoveLeaderArgs {
    /// The member, in hexadecimal digits
    #[arg(value_parser = member::parse_id)]
    id: u64,
}

impl Verb for MoveLeaderArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let target_id = self.id;
        for settings in each(&context.settings, false).await? {
            let client = settings.connect().await?;
            let status = status_of(&client).await?;
            let leader = status.leader;
            if status.header.unwrap_or_default().member_id != leader {
                continue;
            }
            let answer = client
                .call(
                    MoveLeaderRequest { target_id },
                    |channel, request| async move {
                        services::maintenance(channel).move_leader(request).await
                    },
                )
                .await?;
            return context.printer.leader_moved((leader, target_id), &answer);
        }
        let endpoints = &context.settings.endpoints;
        let endpoints: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        Err(bad(&format!(
            "no leader endpoint given at [{}] (name all members in --endpoints)",
            endpoints.join(" ")
        )))
    }
}
