//! The one way out when a cluster has lost its quorum for good: makes a new cluster out of what one
//! member has.
//!
//! Nothing in the old data directory is changed: its store is copied through a snapshot, and the
//! entries of the log that were not applied yet are applied to the copy, committed or not: one that
//! was acknowledged is among them if this member has it at all. The new directory has another
//! cluster id, so no old member can mix in.
//!
//! It does not know how commands are carried out, nor what a snapshot consists of.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use raft_core::entry::{Payload, Recovered, SnapshotMeta};
use raft_core::port::{Committed, LogStore, StateMachine};
use raft_core::{Index, Position};
use raft_kv::backup::{BackupInfo, RestoreOptions};
use raft_kv::{Machine, MachineConfig, Store};
use raft_log::{MemoryLog, WalLog};

use crate::bar::bar;
use crate::exit::Exit;
use crate::out::Out;
use crate::server::assemble::open_log;
use crate::server::config::{EngineName, Url};
use crate::server::home::{Home, Identity, hex};
use crate::server::{engine, founding};
use crate::snapshot_file;

/// So much of the log is read at a time.
const BATCH_BYTES: u64 = 4 << 20;

/// Make a new cluster out of what one member of a cluster has that lost its quorum for good.
///
/// Only if a majority of the members will never come back. If one more of them can be brought back,
/// do that instead: nothing is lost then.
///
/// 1. Stop all members that are left, and copy their data directories.
/// 2. Run this without --accept-loss for each: it says how far each one is. Take the one with the
///    highest last entry (term first, then index).
/// 3. Run it for that one with --accept-loss. Its data directory stays as it is.
/// 4. Start the new member as it says. Start others with empty data directories, the same token,
///    and --initial-cluster-state existing: they join.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// The data directory of a member of the old cluster, which must not run.
    #[arg(long, env = "RAFT_DATA_DIR")]
    data_dir: PathBuf,
    /// Where to put the data of the new cluster's first member.
    #[arg(long)]
    new_data_dir: Option<PathBuf>,
    /// How people call that member.
    #[arg(long, env = "RAFT_NAME", default_value = "default")]
    name: String,
    /// Where other members are going to reach it.
    #[arg(long, default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: Url,
    /// What the id of the new cluster follows from [default: a new one is made up].
    #[arg(long)]
    initial_cluster_token: Option<String>,
    /// By how much revisions are raised: clients that saw what is lost now must not take other
    /// changes for it.
    #[arg(long, default_value_t = RestoreOptions::default().raise_by)]
    bump_revision: u64,
    /// What the store lies on, the old as well as the new.
    #[arg(long, value_enum, default_value_t = EngineName::BUILT_IN)]
    engine: EngineName,
    /// Say that whatever only the lost members had is given up.
    #[arg(long)]
    accept_loss: bool,
}

/// Says how far a member is, or makes a new cluster of it.
pub(crate) fn run(args: &RecoverArgs) -> Result<(), Exit> {
    let old = Home::existing(&args.data_dir).map_err(Exit::BadInput)?;
    let mut log = open_log(&old)?;
    let recovered = log.recover().context("the log can't be read")?;
    let mut out = Out::new();
    for line in findings(&old, &recovered) {
        out.line(line)?;
    }
    out.flush()?;
    if !args.accept_loss {
        out.line("nothing was done: compare this with what the other members left have, take the")?;
        out.line("one with the highest last entry, and give --accept-loss and --new-data-dir")?;
        return out.flush();
    }
    let Some(dir) = &args.new_data_dir else {
        return Err(Exit::BadInput(anyhow!(
            "--new-data-dir is missing: where the new cluster's data go"
        )));
    };
    let (home, info) = found_anew(args, &old, dir, (&mut log, &recovered))?;
    for line in advice(args, &home, info) {
        out.line(line)?;
    }
    out.flush()
}

/// How far a member is, and what is wrong with it.
fn findings(home: &Home, recovered: &Recovered) -> Vec<String> {
    let term = recovered
        .terms
        .last()
        .map_or(recovered.snapshot.last.term, |(_, term)| *term);
    let last = recovered.last.max(recovered.snapshot.last.index);
    let members = recovered.memberships.last().map(|(_, members)| members);
    let members = members.unwrap_or(&recovered.snapshot.membership);
    let mut lines = vec![
        format!(
            "member {} of cluster {}",
            hex(home.identity.member),
            hex(home.identity.cluster)
        ),
        format!("last entry: term {term}, index {last}"),
    ];
    for (id, member) in members.members() {
        let what = if members.is_voter(id) {
            "voter"
        } else {
            "learner"
        };
        lines.push(format!("{what} {} at {}", hex(id.0), member.address));
    }
    if recovered.lost || recovered.watermark.index > last {
        lines.push(format!(
            "this member has lost some of what it had acknowledged, up to index {}: another one is \
             the better choice",
            recovered.watermark.index
        ));
    }
    lines
}

fn advice(args: &RecoverArgs, home: &Home, info: BackupInfo) -> Vec<String> {
    let (name, peer) = (&args.name, &args.initial_advertise_peer_urls);
    let token = &home.identity.token;
    vec![
        format!(
            "cluster {} has {} keys and {} leases, at revision {}",
            hex(home.identity.cluster),
            info.keys,
            info.leases,
            info.revision.0 + args.bump_revision
        ),
        "start its first member:".to_owned(),
        format!(
            "  raft-cli server --name {name} --data-dir {} --initial-cluster {name}={peer} \
             --initial-advertise-peer-urls {peer} --initial-cluster-token {token}",
            home.dir().display()
        ),
        "then others, each with an empty data directory, the same token, --initial-cluster-state \
         existing, and itself added to --initial-cluster"
            .to_owned(),
    ]
}

/// Makes the new data directory.
fn found_anew(
    args: &RecoverArgs,
    old: &Home,
    dir: &Path,
    (log, recovered): (&mut WalLog, &Recovered),
) -> Result<(Home, BackupInfo)> {
    let token = match &args.initial_cluster_token {
        Some(token) if *token == old.identity.token => bail!(
            "the new cluster needs a token of its own: with the old one, old members could mix in"
        ),
        Some(token) => token.clone(),
        None => format!("recovered-{:x}", drawn()),
    };
    let identity = Identity::of(&token, &args.initial_advertise_peer_urls);
    let home = Home::planned(dir, identity)?;
    let scratch = dir.join("scratch");
    let made = copy(args, old, &scratch, (log, recovered)).and_then(|backup| {
        let mut reader = snapshot_file::open(&backup)?;
        let options = RestoreOptions {
            raise_by: args.bump_revision,
        };
        let founders = [args.initial_advertise_peer_urls.clone()];
        founding::found(&home, args.engine, &founders, (&mut reader, options))
    });
    let made = made.with_context(|| format!("remove {} before you try again", dir.display()))?;
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    Ok((home, made))
}

/// A number that nobody else draws.
fn drawn() -> u64 {
    RandomState::new().hash_one("recovered")
}

/// A backup of all that a member has, in a file.
fn copy(
    args: &RecoverArgs,
    old: &Home,
    scratch: &Path,
    (log, recovered): (&mut WalLog, &Recovered),
) -> Result<PathBuf> {
    let place = Home::create(scratch, old.identity.clone())?;
    let (mut copy, store) = machine(&place, args.engine)?;
    let applied = copy_state(args, old, &mut copy, (log, recovered))?;
    replay(log, applied, recovered.last, &mut copy)?;
    let path = scratch.join("backup");
    let mut sealer = snapshot_file::Sealer::new(fs::File::create(&path)?);
    store.backup(&mut sealer)?;
    sealer.seal()?.sync_all()?;
    Ok(path)
}

fn machine(home: &Home, engine: EngineName) -> Result<(Machine, Store)> {
    let engine = engine::open(home, engine)?;
    Ok(Machine::open(engine, MachineConfig::default())?)
}

/// Copies what was applied, from wherever there is more of it: the store, or the newest snapshot.
fn copy_state(
    args: &RecoverArgs,
    old: &Home,
    copy: &mut Machine,
    (log, recovered): (&mut WalLog, &Recovered),
) -> Result<Index> {
    let (mut machine, store) = machine(old, args.engine)?;
    let state = store.state()?;
    let snapshot = recovered.snapshot.last;
    if state.applied >= snapshot.index && state.applied > Index(0) {
        let last = Position {
            term: state.term,
            index: state.applied,
        };
        let mut passing = MemoryLog::new();
        passing.found(&Recovered::blank(recovered.incarnation))?;
        let mut sink = passing.create_snapshot(Arc::new(SnapshotMeta {
            last,
            ..recovered.snapshot.clone()
        }))?;
        machine.snapshot()?(&mut *sink)?;
        sink.finish()?;
        let source = passing.open_snapshot()?.context("it was made just now")?;
        copy.restore(last.index, &*source)?;
        return Ok(last.index);
    }
    if snapshot.index > Index(0) {
        let source = log.open_snapshot()?;
        let source = source.context("the log's snapshot is missing")?;
        copy.restore(snapshot.index, &*source)?;
    }
    Ok(snapshot.index)
}

/// Applies what comes after it in the log.
fn replay(log: &WalLog, applied: Index, last: Index, copy: &mut Machine) -> Result<()> {
    let entries = last.0.saturating_sub(applied.0);
    let bar = bar(
        Some(entries),
        "applying the log [{bar:40}] {pos}/{len} ({eta})",
    );
    let mut next = applied.next();
    while next <= last {
        let entries = log.read(next, last, BATCH_BYTES)?;
        let Some(end) = entries.last().map(|entry| entry.index) else {
            bail!("entry {next} is missing in the log");
        };
        let command = |entry: &raft_core::entry::Entry| match &entry.payload {
            Payload::Command(command) => Some(Committed {
                index: entry.index,
                term: entry.term,
                command: command.clone(),
            }),
            Payload::Noop | Payload::Membership(_) => None,
        };
        let commands: Vec<_> = entries.iter().filter_map(command).collect();
        if !commands.is_empty() {
            copy.apply(&commands)?;
        }
        bar.inc(entries.len() as u64);
        next = end.next();
    }
    bar.finish_and_clear();
    Ok(())
}
