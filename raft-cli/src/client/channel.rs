//! A connection to one endpoint, over TCP, TLS or a socket in the file system. It does not know
//! what is asked over it, or what to do when it breaks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Uri};

use super::endpoint::{Endpoint, Place};
use crate::exit::Exit;

/// How patient connections are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For a connection to be made.
    pub(crate) dial: Duration,
    /// Between two questions whether the server is still there, when nothing else is heard of it.
    pub(crate) keepalive_time: Duration,
    /// For the answer to such a question.
    pub(crate) keepalive_timeout: Duration,
}

/// A server that is asked more often for signs of life hangs up: etcd's default limit is 5 s, and
/// Go's own client never goes below this.
const KEEPALIVE_TIME_MIN: Duration = Duration::from_secs(10);

/// What bytes go through.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The channel to `endpoint`. It connects when it is first used, and again after it broke. To be
/// called within a runtime.
pub(crate) fn open(
    endpoint: &Endpoint,
    tls: Option<&Arc<ClientConfig>>,
    patience: Patience,
) -> Result<Channel, Exit> {
    let authority = endpoint.authority();
    let wrong = |error| Exit::BadInput(anyhow!("`{endpoint}` is no endpoint: {error}"));
    let uri = |scheme: &str| {
        let text = format!("{scheme}://{authority}");
        text.parse::<Uri>()
            .map_err(|error| wrong(error.to_string()))
    };
    // The transport would refuse `https` without its own TLS; ours lies below it. What is sent as
    // the scheme is the origin's.
    let origin = uri(if tls.is_some() { "https" } else { "http" })?;
    let transport = Channel::builder(uri("http")?)
        .origin(origin)
        .http2_keep_alive_interval(patience.keepalive_time.max(KEEPALIVE_TIME_MIN))
        .keep_alive_timeout(patience.keepalive_timeout)
        .tcp_nodelay(true);
    let place = endpoint.place.clone();
    let secured = match (&place, tls) {
        (Place::Tcp(host, _), Some(config)) => {
            let name = ServerName::try_from(host.clone()).map_err(|e| wrong(e.to_string()))?;
            Some((TlsConnector::from(Arc::clone(config)), name))
        }
        (Place::Tcp(..), None) | (Place::Unix(_), _) => None,
    };
    let connector = tower::service_fn(move |_: Uri| {
        let (place, secured) = (place.clone(), secured.clone());
        async move {
            match timeout(patience.dial, connect(&place, secured)).await {
                Ok(stream) => stream.map(TokioIo::new),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no connection in time (--dial-timeout)",
                )),
            }
        }
    });
    Ok(transport.connect_with_connector_lazy(connector))
}

async fn connect(
    place: &Place,
    secured: Option<(TlsConnector, ServerName<'static>)>,
) -> io::Result<Box<dyn Stream>> {
    let (host, port) = match place {
        Place::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Tcp(host, port) => (host.as_str(), *port),
    };
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    match secured {
        None => Ok(Box::new(stream)),
        Some((connector, name)) => Ok(Box::new(connector.connect(name, stream).await?)),
    }
}
