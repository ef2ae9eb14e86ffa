//! A lease that a client renews over and over, over one stream. It does not know how long that
//! takes.

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::tally::{Failure, Lane};
use super::target::Caller;
use crate::client::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::lease_client::LeaseClient;
use crate::pb::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest,
};

/// Long enough that no lease ends while its client waits for its turn, short enough that those of
/// a load that was killed are gone soon.
const TTL_S: i64 = 60;

/// A lease and the stream it is renewed over.
pub(crate) struct Renewal {
    id: i64,
    client: LeaseClient<Channel>,
    caller: Caller,
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    answers: Streaming<LeaseKeepAliveResponse>,
}

impl Renewal {
    /// Has a lease granted and renews it once.
    pub(crate) async fn open(caller: Caller) -> Result<Self, Exit> {
        Self::try_open(caller)
            .await
            .context("a lease can't be had")
            .map_err(Exit::Refused)
    }

    async fn try_open(caller: Caller) -> anyhow::Result<Self> {
        let mut client = services::lease(caller.channel.clone());
        let grant = LeaseGrantRequest { ttl: TTL_S, id: 0 };
        let id = client.lease_grant(caller.ask(grant)).await?.into_inner().id;
        let (requests, stream) = mpsc::channel(1);
        // Servers may open their side of a stream only when there is something to answer.
        requests.send(LeaseKeepAliveRequest { id }).await?;
        let mut answers = client
            .lease_keep_alive(caller.ask(ReceiverStream::new(stream)))
            .await?
            .into_inner();
        answers.message().await?;
        Ok(Self {
            id,
            client,
            caller,
            requests,
            answers,
        })
    }

    /// Renews it.
    pub(crate) async fn renew(&mut self) -> Result<Lane, Failure> {
        let ended = Failure::Wrong("the stream of renewals ended");
        let request = LeaseKeepAliveRequest { id: self.id };
        if self.requests.send(request).await.is_err() {
            return Err(ended);
        }
        let answer = self.answers.message().await?.ok_or(ended)?;
        if answer.ttl <= 0 {
            return Err(Failure::Wrong("the lease is gone"));
        }
        Ok(Lane::KeepAlive)
    }

    /// Takes it back. One that can't be ends by itself.
    pub(crate) async fn close(mut self) {
        let request = LeaseRevokeRequest { id: self.id };
        drop(self.client.lease_revoke(self.caller.ask(request)).await);
    }
}
