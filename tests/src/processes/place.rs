//! Where a member is: its ports, its directory, its log. It does not know whether it runs.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Below the ports that systems give to outgoing connections, so that nobody is given the port of a
/// member while that is down.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// Where clients reach a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The number of the member in its cluster.
    pub member: u64,
    /// Its client URL.
    pub url: String,
}

/// Where a member is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) client: String,
    pub(super) peer: String,
}

/// A port that nobody listens at, and that this process gives to nobody else.
pub(super) fn free_port() -> u16 {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Test programs that run at the same time begin at different ports.
    let span = u32::from(PORTS.end - PORTS.start);
    let begin = std::process::id().wrapping_mul(97) % span;
    let ports = (0..span).map(|step| PORTS.start + ((begin + step) % span) as u16);
    let is_free = |port: &u16| {
        !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    let port = ports.into_iter().find(is_free).expect("a free port");
    taken.insert(port);
    port
}
