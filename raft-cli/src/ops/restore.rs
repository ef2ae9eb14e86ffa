//! What is done with the file of a snapshot where no server runs: `snapshot restore` and `snapshot
//! status`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use raft_kv::backup::{BackupInfo, RestoreOptions, verify_backup};
use serde::Serialize;

use crate::bar::bar;
use crate::exit::Exit;
use crate::out::Out;
use crate::server::config::{EngineName, Url};
use crate::server::founding;
use crate::server::home::{Home, Identity};
use crate::snapshot_file;

/// Make a data directory out of a snapshot, for a member of a new cluster.
///
/// Every founder of the new cluster restores the same file, with its own name and address, before
/// it starts for the first time. Then all are started with the same --initial-cluster as here, and
/// with the token that is printed, which members that are added later need as well.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The file that `snapshot save` wrote.
    file: PathBuf,
    /// How people call the member.
    #[arg(long, env = "RAFT_NAME", default_value = "default")]
    name: String,
    /// Where to put the data [default: <name>.raft]. It must not be there yet, or be empty.
    #[arg(long, env = "RAFT_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the other members are going to reach this one.
    #[arg(long, default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: Url,
    /// All founders, as name=url,name=url: the same for each of them [default: this one alone].
    #[arg(long)]
    initial_cluster: Option<String>,
    /// What the id of the new cluster follows from: one that no cluster had before [default: one
    /// that follows from the file].
    #[arg(long)]
    initial_cluster_token: Option<String>,
    /// By how much revisions are raised beyond those in the file, so that no client sees other
    /// changes under revisions that it has seen.
    #[arg(long, default_value_t = RestoreOptions::default().raise_by)]
    bump_revision: u64,
    /// What the store is going to lie on: the same as the server is started with.
    #[arg(long, value_enum, default_value_t = EngineName::BUILT_IN)]
    engine: EngineName,
}

/// Say what is in a snapshot, after its checksums were checked.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The file that `snapshot save` wrote.
    file: PathBuf,
}

/// How to print what is in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// In words.
    Simple,
    /// For machines.
    Json,
}

/// What is in a snapshot, for machines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    revision: u64,
    total_key: u64,
    total_lease: u64,
    raft_index: u64,
    total_size: u64,
}

/// Makes a data directory.
pub(crate) fn restore(args: RestoreArgs) -> Result<(), Exit> {
    let peer = &args.initial_advertise_peer_urls;
    let founders = founders(&args, peer)?;
    let dir = args
        .data_dir
        .unwrap_or_else(|| PathBuf::from(format!("{}.raft", args.name)));
    let mut reader = progress(&args.file, "restoring")?;
    let token = match args.initial_cluster_token {
        Some(token) => token,
        // The same for all founders, and another one than that of the cluster that was backed up:
        // its members must not be taken for these.
        None => format!("restored-{}", snapshot_file::fingerprint(&args.file)?),
    };
    let identity = Identity::of(&token, peer);
    let home = Home::planned(&dir, identity).map_err(Exit::BadInput)?;
    let options = RestoreOptions {
        raise_by: args.bump_revision,
    };
    let info = founding::found(&home, args.engine, &founders, (&mut reader, options));
    let info = info.with_context(|| {
        let (file, dir) = (args.file.display(), dir.display());
        format!("{file} was not restored; remove {dir}")
    })?;
    let mut out = Out::new();
    out.line(format!(
        "restored {} keys and {} leases to {}: from revision {}, which is {} now",
        info.keys,
        info.leases,
        dir.display(),
        info.revision,
        info.revision.0 + args.bump_revision,
    ))?;
    out.line(format!("start it with --initial-cluster-token {token}"))?;
    out.flush()
}

/// All founders, this one among them.
fn founders(args: &RestoreArgs, peer: &Url) -> Result<Vec<Url>, Exit> {
    let bad = |text: String| Exit::BadInput(anyhow!("--initial-cluster: {text}"));
    let me = format!("{}={peer}", args.name);
    let Some(founders) = &args.initial_cluster else {
        return Ok(vec![peer.clone()]);
    };
    if !founders.split(',').any(|founder| founder == me) {
        return Err(bad(format!(
            "it does not name this member: it should hold {me}"
        )));
    }
    let url = |founder: &str| {
        let (_, url) = founder
            .split_once('=')
            .ok_or_else(|| bad(format!("`{founder}` is not name=url")))?;
        url.parse().map_err(bad)
    };
    founders.split(',').map(url).collect()
}

/// Says what is in a snapshot.
pub(crate) fn status(args: &StatusArgs, format: Format) -> Result<(), Exit> {
    let mut reader = progress(&args.file, "checking")?;
    let info = verify_backup(&mut reader)
        .with_context(|| format!("{} is damaged", args.file.display()))?;
    let bytes = std::fs::metadata(&args.file).map_or(0, |file| file.len());
    let mut out = Out::new();
    out.line(told(info, bytes, format)?)?;
    out.flush()
}

fn told(info: BackupInfo, bytes: u64, format: Format) -> Result<String> {
    Ok(match format {
        Format::Simple => format!(
            "revision {}, {} keys, {} leases, {bytes} bytes, up to entry {}: sound",
            info.revision, info.keys, info.leases, info.applied
        ),
        Format::Json => serde_json::to_string(&Contents {
            revision: info.revision.0,
            total_key: info.keys,
            total_lease: info.leases,
            raft_index: info.applied.0,
            total_size: bytes,
        })?,
    })
}

/// The backup in a file, with a bar that shows how far it was read, if somebody looks.
fn progress(path: &Path, what: &'static str) -> Result<impl Read + use<>, Exit> {
    let reader = snapshot_file::open(path).map_err(Exit::BadInput)?;
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let bar = bar(
        Some(bytes),
        "{msg} [{bar:40}] {bytes}/{total_bytes} ({eta})",
    );
    Ok(bar.with_message(what).wrap_read(reader))
}
