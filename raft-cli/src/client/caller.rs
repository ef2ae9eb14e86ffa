//! Asks a cluster: the first endpoint that answers, then that one for as long as it does. It knows
//! nothing of any request but that which proves who we are.

use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Request, Response, Status};

use super::connect::Settings;
use super::endpoint::Endpoint;
use super::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::AuthenticateRequest;

/// A client of a cluster.
#[derive(Debug)]
pub(crate) struct Client {
    nodes: Vec<Node>,
    /// Which of them answered last.
    preferred: AtomicUsize,
    /// What proves who we are, if we have to.
    token: Mutex<Option<Token>>,
    settings: Settings,
}

#[derive(Debug)]
struct Node {
    endpoint: Endpoint,
    channel: Channel,
}

type Token = MetadataValue<Ascii>;

/// What etcd says when a token is too old: it has to be asked for anew.
const STALE_TOKEN: [&str; 2] = [
    "etcdserver: invalid auth token",
    "etcdserver: revision of auth store is old",
];
/// What etcd says to those who have not said who they are.
const USER_NAME_EMPTY: &str = "etcdserver: user name is empty";
/// What servers that are not well answer with, however right the request.
const UNWELL: [Code; 4] = [
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::Cancelled,
    Code::DataLoss,
];
const AUTH_NOT_ENABLED: &str = "etcdserver: authentication is not enabled";

impl Client {
    /// A client to the endpoints of `settings`; proves who we are if there is a user.
    pub(crate) async fn open(settings: Settings) -> Result<Self, Exit> {
        let mut nodes = Vec::new();
        for endpoint in &settings.endpoints {
            nodes.push(Node {
                endpoint: endpoint.clone(),
                channel: settings.channel(endpoint)?,
            });
        }
        if nodes.is_empty() {
            return Err(Exit::BadInput(anyhow!("there is no endpoint: --endpoints")));
        }
        let client = Self {
            nodes,
            preferred: AtomicUsize::new(0),
            token: Mutex::new(None),
            settings,
        };
        client.authenticate().await?;
        Ok(client)
    }

    /// What it was made from.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `message` with what proves who we are.
    pub(crate) async fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(token) = self.token.lock().await.clone() {
            request.metadata_mut().insert("token", token);
        }
        request
    }

    /// Has `send` ask; the next endpoint if one can't be reached. Waits for the answer, or for the
    /// beginning of it if it is a stream, as long as `--command-timeout` says.
    pub(crate) async fn call<Q, A, F, R>(&self, message: Q, send: F) -> Result<A, Exit>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let within = self.settings.command_timeout;
        self.call_within(within, message, send).await
    }

    /// The same, as patient as the caller says.
    pub(crate) async fn call_within<Q, A, F, R>(
        &self,
        within: Duration,
        message: Q,
        send: F,
    ) -> Result<A, Exit>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        match self.attempt(within, message.clone(), &send).await {
            Err(Failure::Said(status)) if self.is_stale(&status) => {
                self.authenticate().await?;
                let again = self.attempt(within, message, &send).await;
                again.map_err(|failure| self.exit(failure))
            }
            answer => answer.map_err(|failure| self.exit(failure)),
        }
    }

    /// Asks one endpoint after the other until one can be reached. A request that may have reached
    /// a server is not sent again: it may have been done.
    async fn attempt<Q, A, F, R>(
        &self,
        within: Duration,
        message: Q,
        send: &F,
    ) -> Result<A, Failure>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        // Connecting has its own limit, and may be a part of the first request.
        let within = within.saturating_add(self.settings.patience.dial);
        let first = self.preferred.load(Ordering::Relaxed);
        let mut unreachable = Vec::new();
        for turn in 0..self.nodes.len() {
            let index = (first + turn) % self.nodes.len();
            let node = &self.nodes[index];
            let request = self.request(message.clone()).await;
            match timeout(within, send(node.channel.clone(), request)).await {
                Err(_) => return Err(Failure::Late(node.endpoint.to_string(), within)),
                Ok(Ok(answer)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => match cause(&status) {
                    Cause::Said => return Err(Failure::Said(status)),
                    Cause::Broken => {
                        return Err(Failure::Broken(node.endpoint.to_string(), told(&status)));
                    }
                    Cause::Unreached => {
                        unreachable.push((node.endpoint.to_string(), told(&status)));
                    }
                },
            }
        }
        Err(Failure::Unreached(unreachable))
    }

    async fn authenticate(&self) -> Result<(), Exit> {
        let Some(login) = self.settings.login.clone() else {
            return Ok(());
        };
        // Who asks for a token has none to show.
        *self.token.lock().await = None;
        let message = AuthenticateRequest {
            name: login.name,
            password: login.password,
        };
        let send = |channel, request: Request<_>| async move {
            services::auth(channel).authenticate(request).await
        };
        let within = self.settings.command_timeout;
        match self.attempt(within, message, &send).await {
            Ok(answer) => {
                let token = answer.token.parse::<Token>();
                let token = token.map_err(|_| anyhow!("the server's token can't be sent back"))?;
                *self.token.lock().await = Some(token);
                Ok(())
            }
            // As etcdctl has it: who need not say who they are may do so.
            Err(Failure::Said(status)) if status.message() == AUTH_NOT_ENABLED => Ok(()),
            Err(failure) => Err(self.exit(failure)),
        }
    }

    fn is_stale(&self, status: &Status) -> bool {
        self.settings.login.is_some() && STALE_TOKEN.contains(&status.message())
    }

    fn exit(&self, failure: Failure) -> Exit {
        match failure {
            Failure::Said(status) => said(&status),
            Failure::Late(endpoint, within) => Exit::Unwell(anyhow!(
                "{endpoint} did not answer within {within:?}; what was asked for may still \
                 happen (`endpoint status` and `endpoint health` tell more, --command-timeout \
                 waits longer)"
            )),
            Failure::Broken(endpoint, why) => Exit::Unwell(anyhow!(
                "the connection to {endpoint} broke: {why}; what was asked for may have happened \
                 (a server with TLS wants https:// in --endpoints)"
            )),
            Failure::Unreached(tried) => {
                let tried: Vec<_> = tried.iter().map(|(e, why)| format!("{e}: {why}")).collect();
                let hint = if self.settings.endpoints.len() == 1 {
                    "is the server running, and is it the right one in --endpoints?"
                } else {
                    "are the servers running, and are they the right ones in --endpoints?"
                };
                Exit::Unreachable(anyhow!("cannot connect to {}; {hint}", tried.join(", ")))
            }
        }
    }
}

/// What the server's refusal is to the user, in the server's words. For streams, whose errors come
/// after their beginning.
pub(crate) fn said(status: &Status) -> Exit {
    match cause(status) {
        Cause::Said => {}
        Cause::Unreached | Cause::Broken => {
            return Exit::Unwell(anyhow!("the connection broke: {}", told(status)));
        }
    }
    let text = match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    };
    let code = status.code();
    let hint = if code == Code::Unauthenticated || text == USER_NAME_EMPTY {
        " (say who you are with --user)"
    } else if code == Code::PermissionDenied {
        " (`role grant-permission` gives what is missing)"
    } else if code == Code::Unavailable {
        " (`endpoint status` tells who leads)"
    } else {
        ""
    };
    let error = anyhow!("{text}{hint}");
    if UNWELL.contains(&code) {
        Exit::Unwell(error)
    } else {
        Exit::Refused(error)
    }
}

/// Why there is no answer.
enum Failure {
    /// Nothing was asked, because nobody was there: who, and why.
    Unreached(Vec<(String, String)>),
    /// The answer got lost.
    Broken(String, String),
    /// The answer did not come in time.
    Late(String, Duration),
    /// The server said no.
    Said(Status),
}

enum Cause {
    Unreached,
    Broken,
    Said,
}

/// Servers' errors have no source here; the transport's have.
fn cause(status: &Status) -> Cause {
    let Some(mut source) = status.source() else {
        return Cause::Said;
    };
    loop {
        if source.is::<ConnectError>() {
            return Cause::Unreached;
        }
        match source.source() {
            Some(next) => source = next,
            None => return Cause::Broken,
        }
    }
}

/// The innermost error of the transport: the outer ones only say that there is one.
fn told(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}
