//! The certificates that clients are met with. Read again at SIGHUP, for connections from then on.
//! Those of members are read by the network.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig as RustlsConfig};
use tokio_rustls::TlsAcceptor;

use super::config::TlsFiles;

/// What connections of clients are secured with.
pub(crate) struct ClientTls {
    files: TlsFiles,
    loaded: RwLock<TlsAcceptor>,
}

impl ClientTls {
    /// Reads the files.
    pub(crate) fn new(files: TlsFiles) -> Result<Self> {
        let loaded = RwLock::new(load(&files)?);
        Ok(Self { files, loaded })
    }

    /// Reads them again; if they are no good, what was read before stays in force.
    pub(crate) fn reload(&self) -> Result<()> {
        let fresh = load(&self.files)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// What to accept the next connection with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.loaded
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn load(files: &TlsFiles) -> Result<TlsAcceptor> {
    let name = files.certificate.display();
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{name} can't be read"))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("{} can't be read", files.key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = RustlsConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("no version of TLS is left")?;
    let builder = match &files.authority {
        Some(authority) => {
            let name = authority.display();
            let mut roots = RootCertStore::empty();
            let read = CertificateDer::pem_file_iter(authority)
                .with_context(|| format!("{name} can't be read"))?;
            for certificate in read {
                let certificate = certificate.with_context(|| format!("{name} is damaged"))?;
                roots
                    .add(certificate)
                    .with_context(|| format!("{name} is no authority"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            // Who shows a certificate is known by it even where none is asked for.
            let verifier = if files.wants_certificate {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier
                .build()
                .with_context(|| format!("{name} is no authority"))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .with_context(|| format!("{name} and {} don't go together", files.key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
