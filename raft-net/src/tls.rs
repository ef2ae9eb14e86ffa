//! TLS between nodes, with certificates at both ends that can be changed while connections live.
//!
//! A certificate proves membership of the cluster, not a node id: whoever holds one that the
//! authority signed is let in, and is believed who it is. Who dials also checks that the
//! certificate names the host that was dialed. This file does not know what is said inside.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::connection::Stream;

/// The certificates of a node. Its clones are the same.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    files: Files,
    /// The name that a peer's certificate must bear, if it is not the host that was dialed.
    name: Option<ServerName<'static>>,
    /// What was read last that was any good.
    loaded: RwLock<Arc<Loaded>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

struct Loaded {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

/// Why certificates are of no use, or a connection was refused.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds something else.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A file that should hold certificates holds none.
    #[error("{path}: there is no certificate in it")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The authority's certificates can't be used.
    #[error(transparent)]
    Authority(#[from] VerifierBuilderError),
    /// No certificate could bear that name.
    #[error("`{0}` is no host name")]
    Name(String),
    /// The certificates don't fit together, or a peer's were refused, or ours by it.
    #[error(transparent)]
    Refused(#[from] rustls::Error),
}

impl Tls {
    /// Reads PEM files: the node's certificate with all between it and the authority, its private
    /// key, and the certificates of the authority that signs those of all nodes.
    ///
    /// # Errors
    /// When a file can't be read, or they don't fit together.
    pub fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        authority: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.into(),
            key: key.into(),
            authority: authority.into(),
        };
        Self::new(files, None)
    }

    /// The same, but whoever is dialed must bear this name, wherever it was dialed: for nodes
    /// whose addresses are not known when certificates are made.
    ///
    /// # Errors
    /// When it is no name, or a file can't be read any more.
    pub fn with_name(&self, name: &str) -> Result<Self, TlsError> {
        let files = Files {
            certificate: self.inner.files.certificate.clone(),
            key: self.inner.files.key.clone(),
            authority: self.inner.files.authority.clone(),
        };
        Self::new(files, Some(server_name(name)?))
    }

    fn new(files: Files, name: Option<ServerName<'static>>) -> Result<Self, TlsError> {
        let loaded = RwLock::new(Arc::new(files.load()?));
        let inner = Arc::new(Inner {
            files,
            name,
            loaded,
        });
        Ok(Self { inner })
    }

    /// Reads the files again, for connections from now on. Those that live go on as they are.
    ///
    /// # Errors
    /// When they are no good; what was read before stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(self.inner.files.load()?);
        let loaded = &self.inner.loaded;
        *loaded.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn loaded(&self) -> Arc<Loaded> {
        let loaded = self.inner.loaded.read();
        loaded.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The handshake of who dialed `address`.
    pub(crate) async fn connect(&self, address: &str, stream: TcpStream) -> io::Result<Stream> {
        let name = match &self.inner.name {
            Some(name) => name.clone(),
            None => server_name(host(address)).map_err(io::Error::other)?,
        };
        let connected = self.loaded().connector.connect(name, stream).await;
        Ok(Stream::Tls(Box::new(connected?.into())))
    }

    /// The handshake of who listens.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let accepted = self.loaded().acceptor.accept(stream).await;
        Ok(Stream::Tls(Box::new(accepted?.into())))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = &self.inner.files;
        let mut out = f.debug_struct("Tls");
        out.field("certificate", &files.certificate)
            .field("authority", &files.authority)
            .finish_non_exhaustive()
    }
}

impl Files {
    fn load(&self) -> Result<Loaded, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::File {
            path: self.key.clone(),
            source,
        })?;
        let mut authority = RootCertStore::empty();
        for certificate in certificates(&self.authority)? {
            authority.add(certificate)?;
        }
        let authority = Arc::new(authority);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(authority.clone(), provider.clone());
        // A configuration of its own each time: no session of an older one can be resumed in it,
        // so nobody comes in by a certificate that is not trusted any more.
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authority)
            .with_client_auth_cert(chain, key)?;
        Ok(Loaded {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let found = CertificateDer::pem_file_iter(path).map_err(refused)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(refused)?;
    if found.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Empty { path });
    }
    Ok(found)
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let found = ServerName::try_from(name.to_owned());
    found.map_err(|_| TlsError::Name(name.to_owned()))
}

/// What TLS had to say, if the connection failed because of it.
pub(crate) fn refusal(error: io::Error) -> Result<TlsError, io::Error> {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(refused) => Ok(TlsError::Refused(refused.clone())),
        None => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_stands_before_the_port() {
        let check = |address, expected| assert_eq!(host(address), expected, "{address}");
        check("node-1.example:2380", "node-1.example");
        check("10.0.0.1:2380", "10.0.0.1");
        check("[::1]:2380", "::1");
        check("node-1", "node-1");
    }
}
