//! `lease`: what its flags ask for, and how a lease is kept alive. It does not know how answers
//! look.

use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};

use super::caller::{Client, said};
use super::context::{Context, Verb};
use super::output::Format;
use super::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest,
};

/// Give keys a time to live.
#[derive(Debug, Args)]
pub(crate) struct LeaseArgs {
    #[command(subcommand)]
    verb: LeaseVerb,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum LeaseVerb {
    /// Create a lease
    Grant {
        /// How many seconds it lives when nobody renews it
        ttl: i64,
    },
    /// End a lease, and all keys that are attached to it
    Revoke {
        /// The lease, in hexadecimal digits
        #[arg(value_parser = parse_id)]
        id: i64,
    },
    /// Print how long a lease has to live
    Timetolive {
        /// The lease, in hexadecimal digits
        #[arg(value_parser = parse_id)]
        id: i64,
        /// Print the keys that are attached to it
        #[arg(long)]
        keys: bool,
    },
    /// Print all leases
    List,
    /// Renew a lease until it ends or we are interrupted
    KeepAlive {
        /// The lease, in hexadecimal digits
        #[arg(value_parser = parse_id)]
        id: i64,
        /// Only now
        #[arg(long)]
        once: bool,
    },
}

/// A lease as etcdctl writes them.
pub(crate) fn parse_id(text: &str) -> Result<i64, String> {
    i64::from_str_radix(text, 16).map_err(|_| format!("bad lease ID ({text}), expecting ID in Hex"))
}

impl Verb for LeaseArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let client = context.client().await?;
        let printer = &mut context.printer;
        match self.verb {
            LeaseVerb::Grant { ttl } => printer.granted(&grant(&client, ttl).await?),
            LeaseVerb::Revoke { id } => printer.revoked(id, &revoke(&client, id).await?),
            LeaseVerb::Timetolive { id, keys } => {
                let request = LeaseTimeToLiveRequest { id, keys };
                let answer = client
                    .call(request, |channel, request| async move {
                        services::lease(channel).lease_time_to_live(request).await
                    })
                    .await?;
                printer.time_to_live(&answer, keys)
            }
            LeaseVerb::List => {
                let answer = client
                    .call(LeaseLeasesRequest {}, |channel, request| async move {
                        services::lease(channel).lease_leases(request).await
                    })
                    .await?;
                printer.leases(&answer)
            }
            LeaseVerb::KeepAlive { id, once: true } => {
                let answer = Beats::new(&client, id).beat().await?;
                if answer.ttl <= 0 {
                    return Err(not_found());
                }
                printer.kept_alive(&answer)
            }
            LeaseVerb::KeepAlive { id, once: false } => {
                let mut beats = Beats::new(&client, id);
                while let Some(answer) = beats.next().await? {
                    printer.kept_alive(&answer)?;
                }
                if printer.format() == Format::Simple {
                    printer.line(&format!("lease {id:016x} expired or revoked."))?;
                }
                Ok(())
            }
        }
    }
}

fn not_found() -> Exit {
    Exit::Refused(anyhow!(
        "etcdserver: requested lease not found (`lease list` prints those that there are)"
    ))
}

/// A new lease.
pub(crate) async fn grant(client: &Client, ttl: i64) -> Result<LeaseGrantResponse, Exit> {
    client
        .call(
            LeaseGrantRequest { ttl, id: 0 },
            |channel, request| async move { services::lease(channel).lease_grant(request).await },
        )
        .await
}

/// The end of a lease.
pub(crate) async fn revoke(client: &Client, id: i64) -> Result<LeaseRevokeResponse, Exit> {
    client
        .call(LeaseRevokeRequest { id }, |channel, request| async move {
            services::lease(channel).lease_revoke(request).await
        })
        .await
}

/// Renews a lease, over one stream for as long as that holds.
pub(crate) struct Beats<'a> {
    client: &'a Client,
    id: i64,
    stream: Option<Stream>,
    /// When the lease has ended if no renewal is heard of: of the last one.
    ends: Option<Instant>,
    pause: Duration,
}

type Stream = (
    mpsc::Sender<LeaseKeepAliveRequest>,
    Streaming<LeaseKeepAliveResponse>,
);

/// So that two renewals may get lost.
const BEATS_A_LIFE: u32 = 3;
/// Between two attempts, when servers can't be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

impl<'a> Beats<'a> {
    pub(crate) const fn new(client: &'a Client, id: i64) -> Self {
        Self {
            client,
            id,
            stream: None,
            ends: None,
            pause: Duration::ZERO,
        }
    }

    /// The next renewal, when it is time for it; `None` when the lease has ended. While it may
    /// still live, failures are tried again.
    pub(crate) async fn next(&mut self) -> Result<Option<LeaseKeepAliveResponse>, Exit> {
        sleep(self.pause).await;
        loop {
            match self.beat().await {
                Ok(answer) => {
                    let Some(life) = u64::try_from(answer.ttl).ok().filter(|ttl| *ttl > 0) else {
                        return Ok(None);
                    };
                    let life = Duration::from_secs(life);
                    self.ends = Some(Instant::now() + life);
                    self.pause = life / BEATS_A_LIFE;
                    return Ok(Some(answer));
                }
                Err(exit @ (Exit::Unreachable(_) | Exit::Unwell(_))) => {
                    if self.ends.is_none_or(|ends| ends <= Instant::now()) {
                        return Err(exit);
                    }
                    sleep(RETRY_PAUSE).await;
                }
                Err(exit) => return Err(exit),
            }
        }
    }

    /// One renewal, now.
    pub(crate) async fn beat(&mut self) -> Result<LeaseKeepAliveResponse, Exit> {
        let request = LeaseKeepAliveRequest { id: self.id };
        let (sender, mut answers) = match self.stream.take() {
            Some((sender, answers)) if sender.try_send(request).is_ok() => (sender, answers),
            Some(_) | None => self.open(request).await?,
        };
        let within = self.client.settings().command_timeout;
        match timeout(within, answers.message()).await {
            Ok(Ok(Some(answer))) => {
                self.stream = Some((sender, answers));
                Ok(answer)
            }
            Ok(Ok(None)) => Err(Exit::Unwell(anyhow!("the server ended the renewals"))),
            Ok(Err(status)) => Err(said(&status)),
            Err(_) => Err(Exit::Unwell(anyhow!("no renewal within {within:?}"))),
        }
    }

    async fn open(&self, first: LeaseKeepAliveRequest) -> Result<Stream, Exit> {
        self.client
            .call(first, |channel, request: Request<_>| async move {
                let (sender, receiver) = mpsc::channel(1);
                let request = request.map(|first| {
                    sender.try_send(first).expect("it is empty");
                    ReceiverStream::new(receiver)
                });
                let answers = services::lease(channel).lease_keep_alive(request).await?;
                Ok(Response::new((sender, answers.into_inner())))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_hexadecimal() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_id(text).ok(), expected, "{text}");
        };
        check("694d7a5c35e5a50f", Some(0x694d_7a5c_35e5_a50f));
        check("0", Some(0));
        check("-1", Some(-1));
        check("ffffffffffffffff", None);
        check("0x1", None);
        check("", None);
    }
}
