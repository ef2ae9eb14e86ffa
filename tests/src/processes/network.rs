//! A network for members alone: each in a namespace of its own, all on one bridge, and any way from
//! one to another can be cut. The tests stand at the bridge and reach everybody at any time. It
//! takes root, and the program `ip`.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Nobody has this address: what is sent to it is lost without a word, as on a broken line.
const NOBODY: &str = "02:00:00:00:00:01";

/// The namespaces of the members of a cluster.
#[derive(Debug)]
pub struct Network {
    /// What all of it is called after, unique on this machine.
    tag: String,
    subnet: String,
    size: u64,
    cuts: Mutex<BTreeSet<(u64, u64)>>,
}

impl Network {
    /// Makes one for so many members.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub fn new(size: u64) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let network = Self {
            tag: format!("r{id}-{count}"),
            // Of the addresses that are set apart for tests of networks.
            subnet: format!("198.{}.{}", 18 + count % 2, id % 256),
            size,
            cuts: Mutex::default(),
        };
        // What was made before something failed goes with it.
        network.make().map(|()| network)
    }

    fn make(&self) -> Result<(), String> {
        let Self { tag, subnet, .. } = self;
        ip(&format!("link add {tag} type bridge"))?;
        ip(&format!("address add {subnet}.1/24 dev {tag}"))?;
        ip(&format!("link set {tag} up"))?;
        for member in 1..=self.size {
            let (space, host) = (self.space(member), self.host(member));
            ip(&format!("netns add {space}"))?;
            ip(&format!(
                "link add {space} type veth peer name eth0 netns {space}"
            ))?;
            ip(&format!("link set {space} master {tag} up"))?;
            ip(&format!("-n {space} address add {host}/24 dev eth0"))?;
            ip(&format!("-n {space} link set eth0 up"))?;
            ip(&format!("-n {space} link set lo up"))?;
        }
        Ok(())
    }

    /// The address of a member.
    #[must_use]
    pub fn host(&self, member: u64) -> String {
        format!("{}.{}", self.subnet, 10 + member)
    }

    /// What the command line of a member begins with.
    #[must_use]
    pub fn words(&self, member: u64) -> Vec<String> {
        let space = self.space(member);
        ["ip", "netns", "exec", &space]
            .map(ToOwned::to_owned)
            .to_vec()
    }

    /// Loses all that one sends to another.
    ///
    /// # Panics
    /// When the namespaces are gone.
    pub fn cut(&self, from: u64, to: u64) {
        if self.lock().insert((from, to)) {
            let (space, host) = (self.space(from), self.host(to));
            let cut = format!(
                "-n {space} neighbor replace {host} lladdr {NOBODY} dev eth0 nud \
                               permanent"
            );
            ip(&cut).expect("the namespaces are there");
        }
    }

    /// Cuts all ways between these and all others.
    pub fn isolate(&self, some: &[u64]) {
        for one in some {
            for other in (1..=self.size).filter(|other| !some.contains(other)) {
                self.cut(*one, other);
                self.cut(other, *one);
            }
        }
    }

    /// Lets everybody reach everybody.
    ///
    /// # Panics
    /// When the namespaces are gone.
    pub fn heal(&self) {
        for (from, to) in std::mem::take(&mut *self.lock()) {
            let (space, host) = (self.space(from), self.host(to));
            let heal = format!("-n {space} neighbor delete {host} dev eth0");
            ip(&heal).expect("the namespaces are there");
        }
    }

    fn space(&self, member: u64) -> String {
        format!("{}-{member}", self.tag)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(u64, u64)>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // One that was made in part has no more than this to take away; the rest fails, rightly.
        for member in 1..=self.size {
            drop(ip(&format!("netns delete {}", self.space(member))));
        }
        drop(ip(&format!("link delete {}", self.tag)));
    }
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split_whitespace()).output();
    let output = output.map_err(|error| format!("no `ip` here: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`ip {words}`: {}", said.trim()))
}
