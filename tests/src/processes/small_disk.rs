//! A file system of few bytes, and ballast to fill it with. It takes root to mount one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

/// How often to take what is left, while others take it, too.
const FILL_TRIES_MAX: u32 = 100;

/// A file system in memory that is gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many mebibytes.
    ///
    /// # Errors
    /// Why that is not possible here.
    ///
    /// # Panics
    /// When there is no disk at all.
    pub fn mount(mebibytes: u64) -> Result<Self, String> {
        let dir = TempDir::new().expect("there is a disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]);
        let output = mount.arg(dir.path()).output();
        let output = output.map_err(|error| format!("no `mount` here: {error}"))?;
        if output.status.success() {
            return Ok(Self { dir });
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("no file system can be mounted: {}", said.trim()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How many bytes are free.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn free(&self) -> u64 {
        let state = statvfs(self.path()).expect("it is mounted");
        state.f_bavail * state.f_frsize
    }

    /// Fills it until only so many bytes are free.
    ///
    /// # Panics
    /// When there is not even space for a name.
    pub fn fill(&self, leave: u64) {
        let file = File::create(self.ballast()).expect("there is space for a name");
        let mut taken = 0;
        for _ in 0..FILL_TRIES_MAX {
            let more = self.free().saturating_sub(leave);
            if more == 0 {
                return;
            }
            // Others may be faster with what was free just now.
            if fallocate(&file, FallocateFlags::empty(), taken, more).is_ok() {
                taken += more;
            }
        }
    }

    /// Takes the ballast away.
    ///
    /// # Panics
    /// When there is none.
    pub fn drain(&self) {
        fs::remove_file(self.ballast()).expect("there is ballast");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there may keep it until they are gone.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
