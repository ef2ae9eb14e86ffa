//! Dialing a peer, and the handshake at both ends: who is there, and may we talk?
//!
//! This file does not know what is said afterwards.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use raft_core::NodeId;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::connection::{Connection, Stream};
use crate::frame::{Frame, FrameError};
use crate::shared::Shared;
use crate::tls::{self, TlsError};
use crate::wire::{HANDSHAKE_BYTES_MAX, Hello, Lane, Rejection, Welcome, WireError, kind};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Nobody knows where the node is.
    #[error("no address of the node is known")]
    NoAddress,
    /// The system could not connect, or the connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("no handshake in time")]
    Timeout,
    /// The other end closed the connection without a word.
    #[error("the connection was closed in the middle of the handshake")]
    Closed,
    /// TLS refused it.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What came is no frame.
    #[error(transparent)]
    Frame(FrameError),
    /// What came is no handshake.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The other end refused.
    #[error("the other end refuses: {}", reason(.0))]
    Refused(Rejection),
    /// This end refused.
    #[error("refused: {}", reason(.0))]
    Refusing(Rejection),
}

impl HandshakeError {
    /// Whether it stays like that until somebody changes what a node was given.
    pub(crate) const fn is_lasting(&self) -> bool {
        match self {
            Self::Refused(rejection) | Self::Refusing(rejection) => match rejection {
                Rejection::Version { .. } | Rejection::Cluster(_) | Rejection::Unauthorized => true,
                Rejection::Node(_) | Rejection::Busy => false,
            },
            Self::Tls(_) => true,
            Self::NoAddress
            | Self::Io(_)
            | Self::Timeout
            | Self::Closed
            | Self::Frame(_)
            | Self::Wire(_) => false,
        }
    }
}

/// Says what a rejection means, and what to do about it.
fn reason(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Version { min, max } => {
            format!("it speaks versions {min} to {max}: upgrade the older of the two")
        }
        Rejection::Cluster(cluster) => format!(
            "it belongs to cluster {cluster:x}: one of the two was given a wrong id, or token, of \
             the cluster"
        ),
        Rejection::Node(node) => format!("it is node {node}: an address is out of date"),
        Rejection::Busy => "it is busy".to_owned(),
        Rejection::Unauthorized => "its certificate does not allow that".to_owned(),
    }
}

impl From<FrameError> for HandshakeError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => match tls::refusal(error) {
                Ok(refusal) => Self::Tls(refusal),
                Err(error) => Self::Io(error),
            },
            other @ (FrameError::TooLarge { .. } | FrameError::Checksum) => Self::Frame(other),
        }
    }
}

/// Connects to a node wherever it may be, and agrees with it.
pub(crate) async fn reach(
    shared: &Shared,
    node: NodeId,
    lane: Lane,
) -> Result<(Connection, Welcome), HandshakeError> {
    let mut failure = HandshakeError::NoAddress;
    for address in shared.addresses_of(node) {
        match dial(shared, &address, Some(node), lane).await {
            Ok(reached) => return Ok(reached),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Connects to whoever listens at an address, and agrees with it. Counts what comes of it.
pub(crate) async fn dial(
    shared: &Shared,
    address: &str,
    to: Option<NodeId>,
    lane: Lane,
) -> Result<(Connection, Welcome), HandshakeError> {
    shared.tally.dials.one();
    let reached = connect_and_greet(shared, address, to, lane).await;
    if let Err(error) = &reached {
        shared.tally.dials_failed.one();
        count(shared, error);
    }
    reached
}

async fn connect_and_greet(
    shared: &Shared,
    address: &str,
    to: Option<NodeId>,
    lane: Lane,
) -> Result<(Connection, Welcome), HandshakeError> {
    let timeout_after = shared.config.handshake_timeout;
    // Looked up at each dial: names outlive the addresses behind them.
    let found = timeout(timeout_after, lookup_host(address)).await;
    let mut failure = HandshakeError::NoAddress;
    for socket_address in found.map_err(|_| HandshakeError::Timeout)?? {
        let attempt = async {
            let stream = connect(shared, address, socket_address).await?;
            greet(shared, stream, to, lane).await
        };
        match timeout(timeout_after, attempt).await {
            Ok(Ok(reached)) => return Ok(reached),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = HandshakeError::Timeout,
        }
    }
    Err(failure)
}

async fn connect(
    shared: &Shared,
    address: &str,
    socket_address: SocketAddr,
) -> Result<Stream, HandshakeError> {
    let stream = TcpStream::connect(socket_address).await?;
    stream.set_nodelay(true)?;
    Ok(match &shared.config.tls {
        None => Stream::Plain(stream),
        Some(tls) => tls.connect(address, stream).await.map_err(FrameError::Io)?,
    })
}

/// The handshake of who dialed.
async fn greet(
    shared: &Shared,
    stream: Stream,
    to: Option<NodeId>,
    lane: Lane,
) -> Result<(Connection, Welcome), HandshakeError> {
    let config = &shared.config;
    let mut connection = Connection::new(stream, HANDSHAKE_BYTES_MAX);
    let hello = Hello {
        versions: config.versions,
        cluster: config.cluster,
        from: config.node,
        to,
        lane,
        features: 0,
        advertised: shared.advertised(),
    };
    say(shared, &mut connection, |out| hello.encode(out)).await?;
    let answer = first(&mut connection).await?;
    if answer.kind == kind::REJECTION {
        return Err(HandshakeError::Refused(Rejection::decode(&answer)?));
    }
    let welcome = Welcome::decode(&answer)?;
    let (oldest, newest) = config.versions;
    let refusing = if welcome.cluster != config.cluster {
        Some(Rejection::Cluster(welcome.cluster))
    } else if to.is_some_and(|to| to != welcome.from) {
        Some(Rejection::Node(welcome.from))
    } else if !(oldest..=newest).contains(&welcome.version) {
        let (min, max) = (welcome.version, welcome.version);
        Some(Rejection::Version { min, max })
    } else {
        None
    };
    match refusing {
        Some(rejection) => Err(HandshakeError::Refusing(rejection)),
        None => {
            connection.limit_frames(config.frame_bytes_max);
            Ok((connection, welcome))
        }
    }
}

/// The handshake of who listens. Gives what the other said, and the version agreed upon.
pub(crate) async fn receive(
    shared: &Shared,
    stream: TcpStream,
) -> Result<(Connection, Hello, u8), HandshakeError> {
    let all = async {
        stream.set_nodelay(true)?;
        let stream = match &shared.config.tls {
            None => Stream::Plain(stream),
            Some(tls) => tls.accept(stream).await.map_err(FrameError::Io)?,
        };
        let mut connection = Connection::new(stream, HANDSHAKE_BYTES_MAX);
        let hello = Hello::decode(&first(&mut connection).await?)?;
        let answer = judge(shared, &hello);
        say(shared, &mut connection, |out| match &answer {
            Ok(welcome) => welcome.encode(out),
            Err(rejection) => rejection.encode(out),
        })
        .await?;
        let welcome = answer.map_err(HandshakeError::Refusing)?;
        connection.limit_frames(shared.config.frame_bytes_max);
        Ok((connection, hello, welcome.version))
    };
    // One deadline over all of it: a peer that sends a byte a second gets no further than others.
    let result = timeout(shared.config.handshake_timeout, all).await;
    let result = result.unwrap_or(Err(HandshakeError::Timeout));
    if let Err(error) = &result {
        count(shared, error);
    }
    result
}

/// Whether to talk to who said that, and in which version.
fn judge(shared: &Shared, hello: &Hello) -> Result<Welcome, Rejection> {
    let config = &shared.config;
    let (min, max) = config.versions;
    if hello.cluster != config.cluster {
        return Err(Rejection::Cluster(config.cluster));
    }
    // Somebody who goes by our own id is as wrong as somebody who looks for another.
    if hello.to.is_some_and(|to| to != config.node) || hello.from == config.node {
        return Err(Rejection::Node(config.node));
    }
    let version = max.min(hello.versions.1);
    if version < min || version < hello.versions.0 {
        return Err(Rejection::Version { min, max });
    }
    Ok(Welcome {
        version,
        cluster: config.cluster,
        from: config.node,
        features: 0,
    })
}

async fn say(
    shared: &Shared,
    connection: &mut Connection,
    what: impl FnOnce(&mut BytesMut),
) -> Result<(), HandshakeError> {
    let mut out = BytesMut::new();
    what(&mut out);
    let written = connection.write(&out, shared.config.handshake_timeout);
    written.await.map_err(|error| FrameError::Io(error).into())
}

async fn first(connection: &mut Connection) -> Result<Frame, HandshakeError> {
    connection.frame().await?.ok_or(HandshakeError::Closed)
}

fn count(shared: &Shared, error: &HandshakeError) {
    let tally = &shared.tally;
    match error {
        HandshakeError::Refused(rejection) | HandshakeError::Refusing(rejection) => {
            let counter = match rejection {
                Rejection::Version { .. } => &tally.refused_version,
                Rejection::Cluster(_) => &tally.refused_cluster,
                Rejection::Node(_) => &tally.refused_node,
                Rejection::Busy => &tally.refused_limit,
                Rejection::Unauthorized => &tally.refused_tls,
            };
            counter.one();
        }
        HandshakeError::Timeout => tally.handshake_timeouts.one(),
        HandshakeError::Tls(_) => tally.refused_tls.one(),
        HandshakeError::Frame(_) | HandshakeError::Wire(_) => tally.bad_frames.one(),
        HandshakeError::NoAddress | HandshakeError::Io(_) | HandshakeError::Closed => {}
    }
}
