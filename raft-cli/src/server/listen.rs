//! The client port: gRPC and HTTP/1 on the same one, with or without TLS. It does not know what is
//! served.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

use super::config::Url;
use super::gate::Connected;
use super::member::Shared;
use super::tls::ClientTls;

/// A connection that has not said what it wants by then is closed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for room, or after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);
/// Streams of one connection at one time.
const STREAMS_MAX: u32 = 1 << 20;
/// How much of requests one connection may send before they are read.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// The same of one stream: at least a whole request in one go.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// How often a connection is asked for a sign of life, and how long it may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_mins(2), Duration::from_secs(20));

/// What it takes to serve connections.
#[derive(Clone)]
pub(crate) struct Door {
    /// What is served.
    pub(crate) router: Router,
    /// Whose it is.
    pub(crate) member: Shared,
    /// How they are secured.
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// Turns true when no more are to be taken, and those that are there are to end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Listens at an address of a flag.
pub(crate) async fn bind(url: &Url) -> Result<TcpListener> {
    let listener = TcpListener::bind(&url.address).await;
    listener.with_context(|| format!("can't listen at {url}"))
}

/// Serves connections until told to close, then waits until all have ended.
pub(crate) async fn serve(listener: TcpListener, is_tls: bool, door: Door) {
    let mut connections = JoinSet::new();
    let mut closing = door.closing.clone();
    let tls = door.tls.clone().filter(|_| is_tls);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, from)) => {
                connections.spawn(connection(stream, from.ip(), tls.clone(), door.clone()));
            }
            Err(error) => {
                // Most likely there are no file descriptors left; some will be closed.
                tracing::warn!(%error, "a client's connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, from: IpAddr, tls: Option<Arc<ClientTls>>, door: Door) {
    // Answers are small and waited for. Without this they would wait for each other.
    drop(stream.set_nodelay(true));
    let Some(tls) = tls else {
        return match door.member.gate.connect(from, None) {
            Some(connected) => drive(stream, connected, door).await,
            None => tracing::warn!(%from, "too many connections: one was closed"),
        };
    };
    let accepted = timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await;
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%from, %error, "a client's TLS handshake failed"),
        Err(_) => return tracing::info!(%from, "a client's TLS handshake took too long"),
    };
    let shown = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(<[_]>::first);
    let common_name = shown.and_then(|shown| super::common_name::of(shown));
    match door.member.gate.connect(from, common_name.map(Arc::from)) {
        Some(connected) => drive(stream, connected, door).await,
        None => tracing::warn!(%from, "too many connections: one was closed"),
    }
}

async fn drive<S>(stream: S, connected: Connected, door: Door)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let origin = connected.origin.clone();
    let service = door
        .router
        .map_request(move |mut request: axum::http::Request<_>| {
            request.extensions_mut().insert(origin.clone());
            request
        });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1);
    let service = TowerToHyperService::new(service);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut closing = door.closing.clone();
    tokio::select! {
        ended = connection.as_mut() => return told(ended),
        _ = closing.wait_for(|closing| *closing) => connection.as_mut().graceful_shutdown(),
    }
    told(connection.await);
    drop(connected);
}

fn told<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended");
    }
}
