//! A server from its first line to its last: starts the member, listens, obeys signals, and stops
//! in an order that loses nothing.
//!
//! SIGTERM and SIGINT hand leadership over, let requests under way end, and flush; a second one
//! ends at once. SIGHUP has certificates read again.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use raft_core::driver::{NodeStatus, StopReason};
use raft_kv::engine::Engine;
use rustix::process::{Resource, getpid, getrlimit, kill_process, setrlimit};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::assemble::{self, Running};
use super::config::{ServerArgs, ServerConfig, Task};
use super::home::hex;
use super::listen::{self, Door};
use super::logging::Logging;
use super::member::Shared;
use super::tls::ClientTls;
use crate::exit::Exit;
use crate::out::Out;

/// How long requests under way may take to end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a member until it is told to stop, or answers what the command line asks of its settings.
///
/// # Errors
/// When it can't start, or had to stop.
pub fn run(args: ServerArgs) -> Result<(), Exit> {
    let Task::Run(config) = args.clone().task(&mut Out::new())? else {
        return Ok(());
    };
    let logging = Logging::open(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    let runtime = Runtime::new().context("no runtime can be had")?;
    let mut rows = None;
    let done = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let server = tokio::select! {
            server = Server::start(*config) => server?,
            () = signals.stop() => return Ok(()),
        };
        rows = Some(server.running.rows.clone());
        server.run(signals, &Settings { args, logging }).await
    });
    runtime.shutdown_timeout(DRAIN_PATIENCE);
    if let Some(rows) = rows {
        let_go(&rows);
    }
    done
}

/// Waits until nobody has the rows open any more: a process that ends while threads of their engine
/// run may end badly, after all was done well.
fn let_go(rows: &Weak<dyn Engine>) {
    let until = Instant::now() + DRAIN_PATIENCE;
    while rows.strong_count() > 0 && Instant::now() < until {
        std::thread::sleep(PAUSE);
    }
}

/// Each connection takes a file descriptor, and systems begin with few: as many as it may have.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "no more file descriptors can be had");
    }
}

/// What can be read again while a server runs.
struct Settings {
    args: ServerArgs,
    logging: Logging,
}

impl Settings {
    fn reload(&self) {
        let level = self.args.log_level().map_err(|error| error.to_string());
        match level.and_then(|level| self.logging.set_level(&level).map(|()| level)) {
            Ok(level) => tracing::info!(%level, "the level of the log was read again"),
            Err(error) => tracing::error!(%error, "the level of the log stays as it is"),
        }
    }
}

/// A member that serves clients.
pub struct Server {
    running: Running,
    client_tls: Option<Arc<ClientTls>>,
    close: watch::Sender<bool>,
    listeners: JoinSet<()>,
}

impl Server {
    /// Starts a member, and listens. Returns once it is part of its cluster.
    ///
    /// # Errors
    /// When it can't start; says what to do.
    pub async fn start(config: ServerConfig) -> Result<Self> {
        let tls = config.client_tls.clone().map(ClientTls::new).transpose()?;
        let client_tls = tls.map(Arc::new);
        let mut bound = Vec::new();
        for url in &config.listen_client {
            bound.push((listen::bind(url).await?, url.is_tls));
        }
        let mut bound_looks = Vec::new();
        for url in &config.listen_metrics {
            bound_looks.push((listen::bind(url).await?, url.is_tls));
        }
        let running = assemble::start(config).await?;
        let member = &running.member;
        let (close, closing) = watch::channel(false);
        let door = Door {
            router: super::http::all(member, super::api::routes(member).into_axum_router()),
            member: Arc::clone(member),
            tls: client_tls.clone(),
            closing,
        };
        let mut listeners = JoinSet::new();
        for (listener, is_tls) in bound {
            listeners.spawn(listen::serve(listener, is_tls, door.clone()));
        }
        let door = Door {
            router: super::http::looks(member),
            ..door
        };
        for (listener, is_tls) in bound_looks {
            listeners.spawn(listen::serve(listener, is_tls, door.clone()));
        }
        tracing::info!(
            member = %hex(member.id.0),
            cluster = %hex(member.cluster),
            name = %member.config.name,
            "serves clients"
        );
        Ok(Self {
            running,
            client_tls,
            close,
            listeners,
        })
    }

    /// Serves until a signal says to stop, or the node can't go on.
    async fn run(self, mut signals: Signals, settings: &Settings) -> Result<(), Exit> {
        told_system(&[sd_notify::NotifyState::Ready]);
        loop {
            tokio::select! {
                reason = self.running.member.node().stopped() => return Err(stopped(&reason)),
                () = self.removed() => {
                    self.stop().await;
                    return Err(Exit::Refused(anyhow::anyhow!(
                        "this member was removed from its cluster. To have it back, remove its \
                         data directory, and add it anew"
                    )));
                }
                told = signals.next() => match told {
                    Told::Reload => {
                        settings.reload();
                        self.reload();
                    }
                    Told::Stop => break,
                },
            }
        }
        told_system(&[sd_notify::NotifyState::Stopping]);
        tokio::select! {
            () = self.stop() => {}
            () = signals.stop() => {
                tracing::warn!("told twice: ends at once");
                // What was acknowledged is durable. A way out that asks any thread might wait for
                // the disk that somebody is tired of waiting for.
                let ended = kill_process(getpid(), rustix::process::Signal::KILL);
                ended.context("the process can't end itself")?;
            }
        }
        Ok(())
    }

    /// Returns once the cluster is known to go on without this member. A newcomer may be given a
    /// state from before it was added; so it has to have been a member first.
    async fn removed(&self) {
        let id = self.running.member.id;
        let has_settled = |status: &NodeStatus, is_in: bool| {
            let (index, membership) = &status.core.membership;
            let is_settled = *index <= status.core.commit && !membership.is_joint();
            is_settled && !membership.is_blank() && membership.contains(id) == is_in
        };
        let mut watch = self.running.member.node().watch_status();
        let added = watch.until(|status| has_settled(status, true)).await;
        let removed = match added {
            Some(_) => watch.until(|status| has_settled(status, false)).await,
            None => None,
        };
        if removed.is_none() {
            // The node has stopped, which has a reason of its own.
            std::future::pending::<()>().await;
        }
    }

    fn reload(&self) {
        let clients = self.client_tls.as_ref().map(|tls| tls.reload());
        let peers = self
            .running
            .peer_tls
            .as_ref()
            .map(|tls| tls.reload().map_err(Into::into));
        for reloaded in [clients, peers].into_iter().flatten() {
            match reloaded {
                Ok(()) => tracing::info!("certificates were read again"),
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "certificates were not read again: the old ones stay in force"
                ),
            }
        }
    }

    /// The id of the member.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.running.member.id.0
    }

    /// Who leads, as far as this member knows.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        let status = self.running.member.node().status();
        status.core.leader.map(|leader| leader.0)
    }

    /// Stops as if the process had been killed: nobody is told, nothing is handed over.
    pub async fn kill(mut self) {
        self.listeners.shutdown().await;
        self.running.member.node().halt().await;
        self.running.member.net.shutdown().await;
    }

    /// Hands leadership over, lets requests end, and stops.
    pub async fn stop(mut self) {
        let member = Arc::clone(&self.running.member);
        tracing::info!("stops");
        // First somebody else leads: requests that come meanwhile are passed on to them.
        hand_over(&member).await;
        self.close.send_replace(true);
        // Streams would not end by themselves.
        member.leadership.stop();
        let drained = timeout(DRAIN_PATIENCE, async {
            while self.listeners.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::info!("some connections did not end in time");
            self.listeners.shutdown().await;
        }
        member.node().shutdown().await;
        member.net.shutdown().await;
        tracing::info!("stopped");
    }
}

async fn hand_over(member: &Shared) {
    let status = member.node().status();
    let is_alone = status.core.membership.1.voters().len() < 2;
    if status.core.leader != Some(member.id) || is_alone {
        return;
    }
    if let Err(error) = member.node().transfer_leadership(None).await {
        tracing::warn!(%error, "leadership was not handed over");
    }
}

fn stopped(reason: &StopReason) -> Exit {
    Exit::Failed(anyhow::anyhow!("the node has stopped: {reason}"))
}

/// Tells the service manager, if there is one.
fn told_system(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// What the process is told.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let on = |kind| signal(kind).context("signals can't be heard");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            reload: on(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.reload.recv() => Told::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Told::Stop {}
    }
}

/// What a signal says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Stop,
    Reload,
}
