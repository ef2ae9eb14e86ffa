//! A file system of its own, in a file in memory, whose power can be cut.
//!
//! It is mounted in a mount namespace that ends with the process, so whatever happens, the system
//! takes back mount and loop device. This file does not know what is written to it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `EXT4_IOC_SHUTDOWN` without a last flush of the journal. All that is in memory only is lost, and
/// whoever goes on writing gets an error. Rust can't say it without `unsafe`, so another language
/// says it; the first that is installed.
const CUTTERS: [(&str, &str, &str); 2] = [
    (
        "perl",
        "-e",
        "open(my $d, '<', $ARGV[0]) or die $!; my $f = pack('L', 2); ioctl($d, 0x8004587D, $f) \
         or die $!",
    ),
    (
        "python3",
        "-c",
        "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), \
         0x8004587D, struct.pack('I', 2))",
    ),
];

/// A file system that can be mounted and cut off.
pub(crate) struct Volume {
    image: PathBuf,
    root: PathBuf,
}

impl Volume {
    /// Makes an empty one. What it needs lies in `home`.
    pub(crate) fn new(home: &Path) -> io::Result<Self> {
        let volume = Self {
            image: home.join("image"),
            root: home.join("root"),
        };
        std::fs::create_dir(&volume.root)?;
        std::fs::File::create(&volume.image)?.set_len(64 << 20)?;
        run(
            "mke2fs",
            [
                OsStr::new("-q"),
                "-t".as_ref(),
                "ext4".as_ref(),
                volume.image.as_ref(),
            ],
        )?;
        Ok(volume)
    }

    /// Switches it on.
    pub(crate) fn mount(&self) -> io::Result<()> {
        let options = [OsStr::new("-o"), "loop".as_ref()];
        run(
            "mount",
            options
                .into_iter()
                .chain([self.image.as_ref(), self.root.as_ref()]),
        )
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cuts the power. From now on every write fails.
    pub(crate) fn cut(&self) -> io::Result<()> {
        let mut refused = None;
        for (program, flag, script) in CUTTERS {
            let arguments = [OsStr::new(flag), script.as_ref(), self.root.as_ref()];
            match run(program, arguments) {
                Ok(()) => return Ok(()),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::Error::other("there is none who could")))
    }

    /// Switches it off; nobody may have a file open any more.
    pub(crate) fn unmount(&self) -> io::Result<()> {
        run("umount", [self.root.as_os_str()])
    }
}

/// Runs a test of this program again, in a mount namespace of its own.
pub(crate) fn in_a_namespace(test: &str, home: &Path, variable: &str) -> io::Result<Output> {
    Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, home)
        .output()
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}
