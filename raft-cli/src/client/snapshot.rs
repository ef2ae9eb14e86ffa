//! `snapshot save`: fetches a member's state into a file that is whole or not there. It does not
//! know what is in it; `snapshot restore` and `status`, which do, need no server.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tonic::Streaming;

use super::caller::said;
use super::context::{Context, Verb};
use super::output::Format;
use super::range::bad;
use super::services;
use crate::bar::bar;
use crate::exit::Exit;
use crate::ops::restore;
use crate::pb::etcdserverpb::{SnapshotRequest, SnapshotResponse};
use crate::snapshot_file::{CHECKSUM_BYTES, may_be_whole};

/// Back up a member's state.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    verb: SnapshotVerb,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
enum SnapshotVerb {
    /// Store a member's state in a file
    Save {
        /// The file
        path: PathBuf,
    },
    Restore(restore::RestoreArgs),
    Status(restore::StatusArgs),
}

/// A server that sends nothing for as long has been lost.
const SILENCE_MAX: Duration = Duration::from_secs(30);

impl Verb for SnapshotArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let path = match self.verb {
            SnapshotVerb::Save { path } => path,
            SnapshotVerb::Restore(args) => return restore::restore(args),
            SnapshotVerb::Status(args) => {
                let format = if context.printer.format() == Format::Json {
                    restore::Format::Json
                } else {
                    restore::Format::Simple
                };
                return restore::status(&args, format);
            }
        };
        if context.settings.endpoints.len() != 1 {
            return Err(bad(
                "snapshot must be requested to one selected node: name one in --endpoints",
            ));
        }
        let version = tokio::select! {
            saved = save(context, &path) => saved?,
            _ = tokio::signal::ctrl_c() => {
                return Err(Exit::Unwell(anyhow!("interrupted: nothing was saved")));
            }
        };
        let printer = &mut context.printer;
        printer.line(&format!("Snapshot saved at {}", path.display()))?;
        if !version.is_empty() {
            printer.line(&format!("Server version {version}"))?;
        }
        Ok(())
    }
}

/// Returns the server's version, if it says so.
async fn save(context: &Context, path: &Path) -> Result<String, Exit> {
    let mut part = Part::create(path)?;
    let client = context.client().await?;
    let stream = client
        .call(SnapshotRequest {}, |channel, request| async move {
            services::maintenance(channel).snapshot(request).await
        })
        .await?;
    let version = receive(stream, &mut part).await?;
    part.finish(path)?;
    Ok(version)
}

async fn receive(mut stream: Streaming<SnapshotResponse>, part: &mut Part) -> Result<String, Exit> {
    let bar = bar(None, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let mut version = String::new();
    loop {
        let Ok(answer) = timeout(SILENCE_MAX, stream.message()).await else {
            return Err(Exit::Unwell(anyhow!(
                "the server has sent nothing for {SILENCE_MAX:?}: nothing was saved, try again"
            )));
        };
        let Some(answer) = answer.map_err(|status| said(&status))? else {
            break;
        };
        part.write(&answer.blob)?;
        if !answer.version.is_empty() {
            version = answer.version;
        }
        bar.set_length(part.size + answer.remaining_bytes);
        bar.set_position(part.size);
    }
    bar.finish_and_clear();
    Ok(version)
}

/// A file that is not complete yet. It is removed unless it is finished.
struct Part {
    path: PathBuf,
    file: File,
    size: u64,
    sum: Sha256,
    /// The last bytes, which may be the checksum and are not a part of what it is of then.
    tail: Vec<u8>,
}

impl Part {
    fn create(of: &Path) -> Result<Self, Exit> {
        let mut path = OsString::from(of);
        path.push(".part");
        let path = PathBuf::from(path);
        // The state may hold secrets.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("could not open {}", path.display()))?;
        Ok(Self {
            path,
            file,
            size: 0,
            sum: Sha256::new(),
            tail: Vec::new(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Exit> {
        let written = self.file.write_all(bytes);
        written.with_context(|| format!("could not write {}", self.path.display()))?;
        self.size += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        let certain = self.tail.len().saturating_sub(CHECKSUM_BYTES);
        self.sum.update(&self.tail[..certain]);
        self.tail.drain(..certain);
        Ok(())
    }

    /// Checks it, has it on disk, and gives it its name.
    fn finish(mut self, path: &Path) -> Result<(), Exit> {
        if !may_be_whole(self.size) {
            return Err(Exit::Unwell(anyhow!(
                "sha256 checksum not found [bytes: {}]: nothing was saved, try again",
                self.size
            )));
        }
        let sum = std::mem::take(&mut self.sum).finalize();
        if sum.as_slice() != self.tail.as_slice() {
            return Err(Exit::Unwell(anyhow!(
                "what arrived is not what its checksum says: nothing was saved, try again"
            )));
        }
        let name = path.display();
        self.file
            .sync_all()
            .with_context(|| format!("could not fsync {name}"))?;
        fs::rename(&self.path, path).with_context(|| format!("could not rename to {name}"))?;
        let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .with_context(|| format!("could not fsync {}", directory.display()))?;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already if it was finished.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(chunks: &[&[u8]], directory: &Path) -> (PathBuf, Result<(), Exit>) {
        let path = directory.join("backup.db");
        let mut part = Part::create(&path).unwrap();
        for chunk in chunks {
            part.write(chunk).unwrap();
        }
        let done = part.finish(&path);
        (path, done)
    }

    #[test]
    fn a_snapshot_is_kept_if_its_checksum_says_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let data = vec![7; 1024];
        let sum = Sha256::digest(&data).to_vec();
        let whole = [data.as_slice(), &sum].concat();
        let (path, done) = written(&[&whole[..1030], &whole[1030..]], directory.path());
        done.unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_left_of_a_snapshot_that_is_cut_off_or_damaged() {
        let data = vec![7; 1024];
        let mut damaged = [data.as_slice(), &Sha256::digest(&data)].concat();
        damaged[3] = 8;
        for bytes in [data.as_slice(), &damaged, b""] {
            let directory = tempfile::tempdir().unwrap();
            let (_, done) = written(&[bytes], directory.path());
            assert_eq!(done.unwrap_err().code(), 5);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
