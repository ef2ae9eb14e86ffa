//! What is measured: a cluster that is spoken to over some connections, each of which many clients
//! share. It does not know what they say.

use std::time::Duration;

use anyhow::Context;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::keys::Keys;
use crate::client::connect::Settings;
use crate::client::endpoint::Endpoint;
use crate::client::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::RangeRequest;

/// The first answer over a new connection may take so long.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to one cluster.
#[derive(Debug)]
pub(crate) struct Target {
    endpoints: Vec<Endpoint>,
    callers: Vec<Caller>,
    pids: Vec<u32>,
}

/// A connection, and what every request over it has to show.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Caller {
    /// A request that is ready to be sent.
    pub(crate) fn ask<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }
}

impl Target {
    /// Opens so many connections, to one endpoint after the other, and reads one of the `keys` over
    /// each: connecting is no part of what is measured. `pids` are the processes that serve there.
    pub(crate) async fn connect(
        settings: &Settings,
        connections: usize,
        keys: &Keys,
        pids: &[u32],
    ) -> Result<Self, Exit> {
        let probe = RangeRequest {
            key: keys.key(0),
            serializable: true,
            ..RangeRequest::default()
        };
        // Each endpoint by itself: a client of all would pass over those that can't be reached.
        let mut token = None;
        for endpoint in &settings.endpoints {
            let client = settings.with_endpoints(vec![endpoint.clone()]).connect();
            let client = client.await?;
            let ask = |channel, request| async move { services::kv(channel).range(request).await };
            client.call(probe.clone(), ask).await?;
            token = client.request(()).await.metadata().get("token").cloned();
        }
        let mut callers = Vec::with_capacity(connections);
        for endpoint in settings.endpoints.iter().cycle().take(connections) {
            let caller = Caller {
                channel: settings.channel(endpoint)?,
                token: token.clone(),
            };
            let mut kv = services::kv(caller.channel.clone());
            tokio::time::timeout(FIRST_ANSWER_TIMEOUT, kv.range(caller.ask(probe.clone())))
                .await
                .map_err(anyhow::Error::new)
                .and_then(|answer| answer.map_err(anyhow::Error::new))
                .with_context(|| format!("{endpoint} does not answer over all connections"))
                .map_err(Exit::Unreachable)?;
            callers.push(caller);
        }
        if callers.is_empty() {
            let error = anyhow::Error::msg("there must be an endpoint and a connection");
            return Err(Exit::BadInput(error));
        }
        Ok(Self {
            endpoints: settings.endpoints.clone(),
            callers,
            pids: pids.to_vec(),
        })
    }

    /// The connection of a client: that of the next client is the next one.
    pub(crate) fn caller(&self, client: usize) -> Caller {
        self.callers[client % self.callers.len()].clone()
    }

    /// How many connections there are.
    pub(crate) const fn connections(&self) -> usize {
        self.callers.len()
    }

    /// Where they lead.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.endpoints.iter().map(ToString::to_string).collect()
    }

    /// The processes that serve there, as far as they were named.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }
}
