//! A cluster of three members in one process, each with its own disk and network, to try things on:
//! to put and get, to kill the leader, and to see what happens.
//!
//! Members are killed as a process is: nothing is handed over, nobody is told. What it can't show
//! is the loss of power.

mod cluster;
mod failover;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::runtime::Runtime;

use crate::exit::Exit;
use crate::out::Out;
use cluster::Cluster;

/// Start a cluster of three members on this machine, and say what to try.
///
/// It listens on loopback only. Without --dir everything is gone when it ends.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where members keep their data: once there, the cluster goes on where it was.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The port of the first member; the others' lie 100 further on each, and each member talks to
    /// the others on the port behind its own.
    #[arg(long, default_value_t = 2379)]
    port: u16,
    /// How many members.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    members: u16,
    /// Show a failover and end: write all the time, kill the leader, and say how long nobody could
    /// write and that nothing was lost.
    #[arg(long)]
    kill_leader: bool,
}

const KEYS: &str = "type k to kill the leader, r to bring back who was killed, s for the state, \
                    q to quit";

/// How long to wait for a leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a demo.
pub(crate) fn run(args: DemoArgs) -> Result<(), Exit> {
    let runtime = Runtime::new().context("no runtime can be had")?;
    let done = runtime.block_on(demo(args));
    runtime.shutdown_background();
    done
}

async fn demo(args: DemoArgs) -> Result<(), Exit> {
    let mut out = Out::new();
    let temporary;
    let dir = match args.dir {
        Some(dir) => dir,
        None => {
            temporary = cluster::TemporaryDir::new()?;
            temporary.path().to_owned()
        }
    };
    let mut cluster = Cluster::new(&dir, args.port, args.members)?;
    out.line(format!(
        "starting {} members, with data in {}",
        args.members,
        dir.display()
    ))?;
    out.flush()?;
    cluster.start().await?;
    let leader = cluster
        .leader(PATIENCE)
        .await
        .context("no leader was elected in time")?;
    out.line(format!("{leader} leads"))?;
    let done = if args.kill_leader {
        failover::show(&mut cluster, &mut out).await
    } else {
        introduce(&cluster, &mut out)?;
        play(&mut cluster, &mut out).await
    };
    cluster.stop().await;
    done
}

fn introduce(cluster: &Cluster, out: &mut Out) -> Result<(), Exit> {
    // Without the scheme: some verbs of etcdctl 3.4 send it where it does not belong.
    let endpoints = cluster.endpoints().join(",").replace("http://", "");
    let first = cluster.endpoints().first().cloned().unwrap_or_default();
    out.line("")?;
    out.line("In another terminal:")?;
    out.line(format!(
        "  export ETCDCTL_API=3 ETCDCTL_ENDPOINTS={endpoints}"
    ))?;
    out.line("  raft-cli put greeting hello      # or: etcdctl put greeting hello")?;
    out.line("  raft-cli get greeting")?;
    out.line("  raft-cli watch greeting")?;
    out.line("  raft-cli endpoint status -w table")?;
    out.line("  raft-cli explain")?;
    out.line(format!(
        "  curl {first}/v3/kv/range -d '{{\"key\": \"Z3JlZXRpbmc=\"}}'   # greeting, in base64"
    ))?;
    out.line("")?;
    out.line(KEYS)?;
    out.flush()
}

/// Does what is typed, until the end of it or a signal.
async fn play(cluster: &mut Cluster, out: &mut Out) -> Result<(), Exit> {
    let mut lines = BufReader::new(stdin()).lines();
    let mut is_typing = true;
    loop {
        let line = tokio::select! {
            line = lines.next_line(), if is_typing => line,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("signals can't be heard")?;
                return Ok(());
            }
        };
        let said = match line {
            Ok(Some(line)) => match line.trim() {
                "k" => cluster.kill_leader().await?,
                "r" => cluster.bring_back().await?,
                "s" => cluster.state(),
                "q" => return Ok(()),
                "" => continue,
                _ => KEYS.to_owned(),
            },
            // Nobody types; it goes on until it is interrupted.
            Ok(None) | Err(_) => {
                is_typing = false;
                continue;
            }
        };
        out.line(said)?;
        out.flush()?;
    }
}
