//! The data directory: what lies where in it, and who it belongs to.
//!
//! The log in it is locked by whoever has it open, and so is the store; so two processes can't
//! share one. This file does not know what is kept in either.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use raft_core::NodeId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::{ServerConfig, Url};

/// The format of the file of the identity.
const FORMAT: u32 = 1;
/// Ids travel in 62 bits.
const ID_MASK: u64 = (1 << 62) - 1;

/// Where a member keeps everything.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    /// Whose it is.
    pub(crate) identity: Identity,
}

/// Who a data directory belongs to. Written once: addresses may change later, ids may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    format: u32,
    /// The cluster's id.
    pub(crate) cluster: u64,
    /// The member's id.
    pub(crate) member: u64,
    /// What the cluster's id follows from; whoever joins has to be given the same.
    pub(crate) token: String,
}

impl Identity {
    /// That of a member that has no data yet: its ids follow from the token and its peer URL, so
    /// the founders know each other's from the list that all are given.
    pub(crate) fn of(token: &str, peer: &Url) -> Self {
        Self {
            format: FORMAT,
            cluster: hashed(&["cluster", token]),
            member: member_id(token, &peer.address).0,
            token: token.to_owned(),
        }
    }

    /// The member's id.
    pub(crate) const fn node(&self) -> NodeId {
        NodeId(self.member)
    }
}

/// The id of the member that others reach there.
pub(crate) fn member_id(token: &str, address: &str) -> NodeId {
    NodeId(hashed(&["member", token, address]))
}

/// An id as etcd prints it.
pub(crate) fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn hashed(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    // 0 means nobody.
    (u64::from_be_bytes(first) & ID_MASK).max(1)
}

impl Home {
    /// The data directory of a member, made if it is not there.
    pub(crate) fn open(config: &ServerConfig) -> Result<Self> {
        let dir = &config.data_dir;
        make_private(dir)?;
        let identity = match Self::read(dir)? {
            Some(identity) => identity,
            None => {
                check_new(dir)?;
                let identity = Identity::of(&config.cluster.token, &config.advertise_peer);
                Self::write(dir, &identity)?;
                identity
            }
        };
        Ok(Self {
            dir: dir.clone(),
            identity,
        })
    }

    /// Whether there is one.
    pub(crate) fn is_at(dir: &Path) -> bool {
        dir.join(IDENTITY).exists()
    }

    /// One that has to be there.
    pub(crate) fn existing(dir: &Path) -> Result<Self> {
        let Some(identity) = Self::read(dir)? else {
            bail!(
                "{} is no data directory of a member: it has no {IDENTITY}",
                dir.display()
            );
        };
        Ok(Self {
            dir: dir.to_owned(),
            identity,
        })
    }

    /// A new one for this identity. Nothing may be there yet.
    pub(crate) fn create(dir: &Path, identity: Identity) -> Result<Self> {
        let home = Self::planned(dir, identity)?;
        home.settle()?;
        Ok(home)
    }

    /// One that is to be made for this identity. Nothing may be there yet, and no server takes what
    /// comes there before it is [settled](Self::settle).
    pub(crate) fn planned(dir: &Path, identity: Identity) -> Result<Self> {
        make_private(dir)?;
        let mut entries =
            fs::read_dir(dir).with_context(|| format!("{} can't be read", dir.display()))?;
        if entries.next().is_some() {
            bail!("{} is not empty: give a new directory", dir.display());
        }
        Ok(Self {
            dir: dir.to_owned(),
            identity,
        })
    }

    /// All is there that belongs there.
    pub(crate) fn settle(&self) -> Result<()> {
        Self::write(&self.dir, &self.identity)
    }

    /// Where the log and its snapshots lie.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where the store lies.
    #[cfg(feature = "rocksdb")]
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// The whole.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn read(dir: &Path) -> Result<Option<Identity>> {
        let path = dir.join(IDENTITY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("{} can't be read", path.display()));
            }
        };
        let identity: Identity = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        if identity.format != FORMAT {
            bail!(
                "{} was written by a later version of this program",
                path.display()
            );
        }
        Ok(Some(identity))
    }

    /// Whole or not at all, and there to stay: a member that forgot its id would be somebody else.
    fn write(dir: &Path, identity: &Identity) -> Result<()> {
        let (path, fresh) = (dir.join(IDENTITY), dir.join("member.json.new"));
        let text = serde_json::to_string_pretty(identity).context("an identity is plain data")?;
        let written = || -> std::io::Result<()> {
            fs::write(&fresh, text + "\n")?;
            fs::File::open(&fresh)?.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(dir)?.sync_all()
        };
        written().with_context(|| format!("{} can't be written", path.display()))
    }
}

const IDENTITY: &str = "member.json";

/// Whoever makes a directory says last whose it is: what is there before may be a half.
fn check_new(dir: &Path) -> Result<()> {
    let has = |name: &&str| dir.join(name).exists();
    let Some(found) = ["log", "store", "restoring", "scratch"]
        .into_iter()
        .find(has)
    else {
        return Ok(());
    };
    let dir = dir.display();
    bail!(
        "{dir} holds `{found}`, but no {IDENTITY}: it was not made to the end. If `snapshot \
         restore` or `recover` was interrupted, remove {dir} and do that again; else put \
         {IDENTITY} back"
    )
}

/// What is kept there may be secret, so nobody else may look.
fn make_private(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.with_context(|| format!("the data directory {} can't be made", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn ids_follow_from_token_and_address() {
        let one = Identity::of("token", &url("http://a:2380"));
        assert_eq!(one, Identity::of("token", &url("https://a:2380")));
        assert_eq!(one.node(), member_id("token", "a:2380"));
        let other = Identity::of("token", &url("http://b:2380"));
        assert_eq!(one.cluster, other.cluster);
        assert_ne!(one.member, other.member);
        assert_ne!(
            one.cluster,
            Identity::of("other", &url("http://a:2380")).cluster
        );
    }

    #[test]
    fn a_directory_keeps_its_identity() {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = Identity::of("token", &url("http://a:2380"));
        let path = dir.path().join("n1");
        assert!(Home::existing(&path).is_err());
        Home::create(&path, identity.clone()).expect("new");
        assert_eq!(Home::existing(&path).expect("there").identity, identity);
        let error = Home::create(&path, identity).expect_err("not empty");
        assert!(error.to_string().contains("is not empty"), "{error}");
    }

    #[test]
    fn what_was_not_made_to_the_end_is_nobody_s() {
        let dir = tempfile::tempdir().expect("a directory");
        check_new(dir.path()).expect("a new one is empty");
        fs::create_dir(dir.path().join("lost+found")).expect("made");
        check_new(dir.path()).expect("so is a disk of its own");
        let path = dir.path().join("n1");
        let identity = Identity::of("token", &url("http://a:2380"));
        let home = Home::planned(&path, identity).expect("new");
        fs::create_dir(home.log()).expect("made");
        assert!(
            Home::existing(&path).is_err(),
            "nobody has said whose it is"
        );
        let error = check_new(&path).expect_err("half of one");
        assert!(error.to_string().contains("was interrupted"), "{error}");
        home.settle().expect("written");
        assert!(Home::existing(&path).is_ok());
    }
}
