//! Who offers a service: the small part of a resolver that the system's own lacks.
//!
//! The system looks up addresses, but no `SRV` records (RFC 2782). They are asked for here, of the
//! name servers in `/etc/resolv.conf`, over UDP, and over TCP what does not fit. An answer counts
//! only if it comes from the server that was asked, to the port that asked, with the number and
//! the question of the query; port and number can't be guessed. Names are taken as absolute: no
//! search list is tried. This file keeps nothing: an operator's change is seen at the next attempt.

pub mod message;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use message::{Message, MessageError, Record};

/// Where the system says who its name servers are.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port of name servers.
const PORT: u16 = 53;
/// So many name servers are asked, as the system's own resolver does.
const SERVERS_MAX: usize = 3;
/// How often each of them is asked.
const ATTEMPTS: u32 = 2;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// So long may a name stand for another that stands for another.
const ALIASES_MAX: usize = 8;
/// The longest answer over UDP that is read. Without extensions servers send 512 bytes at most.
const DATAGRAM_BYTES_MAX: usize = 4096;
const CODE_NO_SUCH_NAME: u8 = 3;

/// Asks name servers where services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Whom to ask, one after the other until one answers; those of the system if there is none.
    pub servers: Vec<SocketAddr>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// On which host.
    pub host: String,
    /// Where it listens.
    pub port: u16,
}

/// Why it is not known where a service is.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// What was to be asked for is no name.
    #[error("`{0}` is no domain name")]
    BadName(String),
    /// There are no such records.
    #[error("there are no SRV records of `{0}`")]
    None(String),
    /// No server answers.
    #[error("no name server answers (the last said: {0})")]
    Io(#[from] io::Error),
    /// The servers can't say.
    #[error("the name server failed with code {0}")]
    Failed(u8),
    /// What came over TCP does not belong to what was asked.
    #[error("the name server does not answer what it was asked")]
    Mismatch,
    /// What came over TCP is no message.
    #[error("the name server makes no sense: {0}")]
    Message(#[from] MessageError),
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: TIMEOUT,
        }
    }
}

impl Resolver {
    /// Asks these servers instead of the system's.
    #[must_use]
    pub fn of(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            ..Self::default()
        }
    }

    /// Where the services of that name are, those to be tried first in front.
    ///
    /// # Errors
    /// When there are none, or nobody knows.
    pub async fn services(&self, name: &str) -> Result<Vec<Service>, DnsError> {
        let mut failure = DnsError::Io(io::ErrorKind::NotFound.into());
        let servers = if self.servers.is_empty() {
            system_servers(Path::new(RESOLV_CONF))
        } else {
            self.servers.clone()
        };
        for _ in 0..ATTEMPTS {
            for server in servers.iter().take(SERVERS_MAX) {
                match self.ask(*server, name).await {
                    Ok(answer) => return services_in(&answer, name),
                    // No server knows better.
                    Err(error @ (DnsError::BadName(_) | DnsError::None(_))) => return Err(error),
                    Err(error) => failure = error,
                }
            }
        }
        Err(failure)
    }

    async fn ask(&self, server: SocketAddr, name: &str) -> Result<Message, DnsError> {
        // The keys of the hasher are the system's randomness, and new for each query.
        let id = u16::from_be_bytes(first_two(RandomState::new().hash_one(name)));
        let query = message::query(id, name).map_err(|_| DnsError::BadName(name.to_owned()))?;
        let over_udp = over_udp(server, &query, (id, name));
        let mut answer = timeout(self.timeout, over_udp).await.map_err(late)??;
        if answer.is_truncated {
            let over_tcp = over_tcp(server, &query);
            answer = timeout(self.timeout, over_tcp).await.map_err(late)??;
            if !answer.answers(id, name) {
                return Err(DnsError::Mismatch);
            }
        }
        match answer.code {
            0 => Ok(answer),
            CODE_NO_SUCH_NAME => Err(DnsError::None(name.to_owned())),
            code => Err(DnsError::Failed(code)),
        }
    }
}

fn late(_: tokio::time::error::Elapsed) -> DnsError {
    DnsError::Io(io::ErrorKind::TimedOut.into())
}

fn first_two(hash: u64) -> [u8; 2] {
    let [first, second, ..] = hash.to_be_bytes();
    [first, second]
}

/// Waits for the answer. What else arrives is somebody's guess, or late, and is passed over.
async fn over_udp(
    server: SocketAddr,
    query: &[u8],
    (id, name): (u16, &str),
) -> Result<Message, DnsError> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A new socket for each query has a new port, of the system's choice.
    let socket = UdpSocket::bind((any, 0)).await?;
    // From now on the system drops what others send.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::decode(&buffer[..length]) {
            Ok(answer) if answer.answers(id, name) => return Ok(answer),
            Ok(_) => tracing::debug!(%server, "an answer to another question"),
            Err(error) => tracing::debug!(%server, %error, "no answer"),
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> Result<Message, DnsError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).expect("a query is its header and one name");
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(query).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(Message::decode(&answer)?)
}

/// The services in an answer: those of the name, or of the one that it stands for.
fn services_in(answer: &Message, name: &str) -> Result<Vec<Service>, DnsError> {
    let asked = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let mut owner = asked.as_str();
    for _ in 0..ALIASES_MAX {
        let alias = answer.answers.iter().find_map(|record| match record {
            Record::Alias { name, target } if name == owner => Some(target),
            Record::Alias { .. } | Record::Service { .. } | Record::Other => None,
        });
        match alias {
            Some(target) => owner = target,
            None => break,
        }
    }
    let mut found: Vec<((u16, u16), Service)> = Vec::new();
    for record in &answer.answers {
        // A target that is the root says that there is no such service (RFC 2782); one with other
        // than plain letters is no host.
        if let Record::Service {
            name,
            priority,
            weight,
            port,
            target,
        } = record
            && name == owner
            && !target.is_empty()
            && !target.contains('\\')
        {
            let service = Service {
                host: target.clone(),
                port: *port,
            };
            found.push(((*priority, u16::MAX - *weight), service));
        }
    }
    if found.is_empty() {
        return Err(DnsError::None(name.to_owned()));
    }
    // All are looked for in any case; so the weights only put the heavier in front.
    found.sort();
    Ok(found.into_iter().map(|(_, service)| service).collect())
}

/// The name servers in a file like `/etc/resolv.conf`; this very host if it names none.
fn system_servers(file: &Path) -> Vec<SocketAddr> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address: IpAddr = words.next()?.parse().ok()?;
        is_server.then_some(SocketAddr::new(address, PORT))
    });
    let mut servers: Vec<_> = servers.take(SERVERS_MAX).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
    }
    servers
}

#[cfg(test)]
#[path = "dns/tests.rs"]
mod tests;
