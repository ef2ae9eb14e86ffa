//! The members of a demo: started, killed, brought back. It does not know what they are shown for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::server::Server;
use crate::server::config::{ServerArgs, ServerConfig};

const PAUSE: Duration = Duration::from_millis(20);
/// Ports of members lie so far apart.
const STRIDE: u16 = 100;

/// The members.
pub(crate) struct Cluster {
    members: Vec<Place>,
}

/// A member, running or not.
struct Place {
    name: String,
    client: String,
    config: ServerConfig,
    server: Option<Server>,
}

impl Cluster {
    /// With data below `dir`.
    pub(crate) fn new(dir: &Path, port: u16, count: u16) -> Result<Self> {
        let ports: Option<Vec<u16>> = (0..count)
            .map(|nth| {
                port.checked_add(nth * STRIDE)
                    .filter(|port| *port < u16::MAX)
            })
            .collect();
        let ports = ports.context("the ports reach beyond 65535: give a lower --port")?;
        let name = |nth: usize| format!("n{}", nth + 1);
        let peer = |port: u16| format!("http://127.0.0.1:{}", port + 1);
        let founders: Vec<_> = ports
            .iter()
            .enumerate()
            .map(|(nth, port)| format!("{}={}", name(nth), peer(*port)))
            .collect();
        let founders = founders.join(",");
        let place = |(nth, port): (usize, &u16)| {
            let client = format!("http://127.0.0.1:{port}");
            let name = name(nth);
            let flags = [
                ("name", name.clone()),
                ("data-dir", dir.join(&name).display().to_string()),
                ("listen-client-urls", client.clone()),
                ("advertise-client-urls", client.clone()),
                ("listen-peer-urls", peer(*port)),
                ("initial-advertise-peer-urls", peer(*port)),
                ("initial-cluster", founders.clone()),
            ];
            Ok(Place {
                config: config(&flags)?,
                name,
                client,
                server: None,
            })
        };
        let members = ports.iter().enumerate().map(place).collect::<Result<_>>()?;
        Ok(Self { members })
    }

    /// Starts all: none comes up alone.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let mut starting = JoinSet::new();
        for (nth, place) in self.members.iter().enumerate() {
            let config = place.config.clone();
            starting.spawn(async move { (nth, Server::start(config).await) });
        }
        while let Some(started) = starting.join_next().await {
            let (nth, server) = started.context("a member was not started")?;
            let place = &mut self.members[nth];
            place.server = Some(server.with_context(|| format!("{} did not start", place.name))?);
        }
        Ok(())
    }

    /// Where clients reach them.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|place| place.client.clone())
            .collect()
    }

    /// Who leads, once a majority knows.
    pub(crate) async fn leader(&self, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(nth) = self.leading() {
                return Some(self.members[nth].name.clone());
            }
            if Instant::now() >= until {
                return None;
            }
            sleep(PAUSE).await;
        }
    }

    /// The place of the member that leads, by its own word.
    fn leading(&self) -> Option<usize> {
        let leads = |place: &Place| {
            let server = place.server.as_ref();
            server.is_some_and(|server| server.leader() == Some(server.id()))
        };
        self.members.iter().position(leads)
    }

    /// Kills whoever leads.
    pub(crate) async fn kill_leader(&mut self) -> Result<String> {
        let Some(nth) = self.leading() else {
            return Ok("nobody leads".to_owned());
        };
        let server = self.members[nth].server.take();
        server.context("it leads, so it runs")?.kill().await;
        let name = &self.members[nth].name;
        Ok(format!("killed {name}, which led; {}", self.state()))
    }

    /// Starts whoever does not run.
    pub(crate) async fn bring_back(&mut self) -> Result<String> {
        for place in self
            .members
            .iter_mut()
            .filter(|place| place.server.is_none())
        {
            let server = Server::start(place.config.clone()).await;
            place.server = Some(server.with_context(|| format!("{} did not start", place.name))?);
        }
        Ok(self.state())
    }

    /// Who runs, and who leads.
    pub(crate) fn state(&self) -> String {
        let leading = self.leading();
        let told = self.members.iter().enumerate().map(|(nth, place)| {
            let what = match &place.server {
                None => "down",
                Some(_) if leading == Some(nth) => "leads",
                Some(_) => "up",
            };
            format!("{} {what}", place.name)
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Stops all.
    pub(crate) async fn stop(&mut self) {
        let mut stopping = JoinSet::new();
        for place in &mut self.members {
            if let Some(server) = place.server.take() {
                stopping.spawn(server.stop());
            }
        }
        while stopping.join_next().await.is_some() {}
    }
}

/// What these flags come to.
fn config(flags: &[(&str, String)]) -> Result<ServerConfig> {
    let flags = flags.iter().map(|(flag, value)| (*flag, value.as_str()));
    let config = ServerArgs::of_flags(flags).resolve();
    config.map_err(|exit| anyhow!("{exit}"))
}

/// A directory that is removed at the end.
pub(crate) struct TemporaryDir(PathBuf);

impl TemporaryDir {
    /// A new one.
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("raft-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("{} can't be made", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "was not removed");
        }
    }
}
