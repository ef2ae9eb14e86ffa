//! Compiles the protocol definitions of `raft-cli/proto` into `raft-cli/generated`, or says by
//! `--check` whether that is due. No `protoc` is needed, and nobody but who changes a definition
//! needs this.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;

/// Compile the protocol definitions of raft-cli.
#[derive(Parser)]
struct Args {
    /// Only say whether what is checked in is what the definitions come to.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let cli = Path::new(env!("CARGO_MANIFEST_DIR")).join("../raft-cli");
    let fresh = tempfile::tempdir().context("no temporary directory")?;
    compile(&cli.join("proto"), fresh.path())?;
    let kept = cli.join("generated");
    let mut stale = Vec::new();
    for name in names(fresh.path())? {
        let made = fs::read(fresh.path().join(&name))?;
        if fs::read(kept.join(&name)).ok().as_ref() == Some(&made) {
            continue;
        }
        if !args.check {
            fs::write(kept.join(&name), &made)?;
        }
        stale.push(name.display().to_string());
    }
    match (stale.is_empty(), args.check) {
        (true, _) => println!("all is as the definitions say"),
        (false, false) => println!("written anew: {}", stale.join(", ")),
        (false, true) => bail!(
            "{} differ from what the definitions come to: run this without --check",
            stale.join(", ")
        ),
    }
    Ok(())
}

fn compile(protos: &Path, out: &Path) -> Result<()> {
    let set = protox::compile(["rpc.proto", "v3lock.proto", "v3election.proto"], [protos])
        .context("the definitions are wrong")?;
    fs::write(
        out.join("descriptors.bin"),
        prost::Message::encode_to_vec(&set),
    )?;
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .compile_fds(set)
        .context("code was not generated")
}

fn names(dir: &Path) -> Result<Vec<PathBuf>> {
    let names = fs::read_dir(dir)?.map(|entry| Ok(PathBuf::from(entry?.file_name())));
    names.collect()
}
