//! Looks into the log of a member that does not run: shows it, checks it, and, as the last resort,
//! gives up what is missing in it. What each of them does is the log's; this is the command line.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use raft_core::Index;
use raft_log::inspect::{self, AcceptLoss, DumpError, DumpOptions};

use crate::exit::Exit;
use crate::out::Out;
use crate::server::home::Home;

/// Look into the log of a member that does not run.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    verb: LogVerb,
}

#[derive(Debug, Subcommand)]
enum LogVerb {
    /// Print what lies in the log, a record a line.
    Dump(DumpArgs),
    /// Read everything, and say what is sound, what is not, and what to do.
    Verify(Place),
    /// Give up what is missing in a damaged log, so that its member votes again. It can lose data
    /// of the whole cluster, so it is the last resort: see what `log verify` advises first.
    Repair(RepairArgs),
}

#[derive(Debug, Args)]
struct Place {
    /// The data directory of the member.
    #[arg(long, env = "RAFT_DATA_DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, Args)]
struct DumpArgs {
    #[command(flatten)]
    place: Place,
    /// The first entry.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last entry.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// How many records to print at most.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// How many bytes of each command to print.
    #[arg(long, default_value_t = 32)]
    preview: usize,
}

#[derive(Debug, Args)]
struct RepairArgs {
    #[command(flatten)]
    place: Place,
    /// Say that what is missing may have been acknowledged, and that you accept its loss.
    #[arg(long)]
    accept_loss: bool,
}

/// Does what is asked.
pub(crate) fn run(args: LogArgs) -> Result<(), Exit> {
    match args.verb {
        LogVerb::Dump(args) => dump(&args),
        LogVerb::Verify(place) => verify(&place),
        LogVerb::Repair(args) => repair(&args),
    }
}

fn open(place: &Place) -> Result<std::sync::Arc<dyn raft_log::disk::Disk>, Exit> {
    let home = Home::existing(&place.data_dir).map_err(Exit::BadInput)?;
    let opened = inspect::open(&home.log());
    Ok(opened.with_context(|| format!("{} can't be looked into", home.log().display()))?)
}

fn dump(args: &DumpArgs) -> Result<(), Exit> {
    let disk = open(&args.place)?;
    let options = DumpOptions {
        group: None,
        from: Index(args.from),
        to: Index(args.to),
        records_max: args.limit,
        preview_bytes: args.preview,
    };
    let mut out = Out::new();
    match inspect::dump(&disk, &options, &mut out) {
        Ok(()) => out.flush(),
        Err(error @ (DumpError::Out(_) | DumpError::Open(_))) => Err(anyhow!(error).into()),
    }
}

fn verify(place: &Place) -> Result<(), Exit> {
    let disk = open(place)?;
    let verification = inspect::verify(&disk).context("the log can't be read")?;
    let mut out = Out::new();
    out.line(verification.to_string().trim_end())?;
    out.flush()?;
    if verification.is_sound() {
        return Ok(());
    }
    Err(Exit::Unwell(anyhow!(
        "something is missing that may have been acknowledged. As long as the cluster has a \
         leader, just start this member: it does not vote until the leader has brought it what it \
         lacks. If it can't have a leader any more, see `raft-cli recover --help`"
    )))
}

fn repair(args: &RepairArgs) -> Result<(), Exit> {
    if !args.accept_loss {
        return Err(Exit::BadInput(anyhow!(
            "this can lose what was acknowledged, also where it is still there. A member of a \
             cluster that has a leader needs no repair: start it and wait. Only if no leader can \
             come to power any more, make a copy of every data directory, and say --accept-loss"
        )));
    }
    let disk = open(&args.place)?;
    let repaired = inspect::repair(&disk, &AcceptLoss::i_lose_what_is_missing());
    let repaired = repaired.context("the log can't be repaired")?;
    let mut out = Out::new();
    out.line(repaired.to_string().trim_end())?;
    out.flush()
}
