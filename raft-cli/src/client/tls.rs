//! TLS to a server: whom to trust, and who we are. It does not know what is spoken inside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::exit::Exit;

/// The files and the choice.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) trust: Trust,
}

/// Whether the server has to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// By a certificate that somebody we trust has signed.
    #[default]
    Verified,
    /// Anybody may be the server: for trying things out.
    Blind,
}

/// Where systems keep the certificates that everybody trusts, the most common first.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// HTTP/2, and nothing else.
const ALPN: &[u8] = b"h2";

impl TlsFiles {
    /// Whether any of them was named, which asks for TLS where the endpoint doesn't say.
    pub(crate) const fn are_named(&self) -> bool {
        self.cacert.is_some() || self.cert.is_some() || matches!(self.trust, Trust::Blind)
    }

    /// Reads them.
    pub(crate) fn load(&self) -> Result<ClientConfig, Exit> {
        self.config().map_err(Exit::BadInput)
    }

    fn config(&self) -> anyhow::Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match self.trust {
            Trust::Verified => builder.with_root_certificates(self.roots()?),
            Trust::Blind => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody { provider })),
        };
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let key = PrivateKeyDer::from_pem_file(key)
                    .with_context(|| format!("--key {}", key.display()))?;
                builder.with_client_auth_cert(certificates("--cert", cert)?, key)?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(anyhow!("--cert needs the --key that goes with it")),
            (None, Some(_)) => return Err(anyhow!("--key needs the --cert that goes with it")),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.cacert {
            for certificate in certificates("--cacert", path)? {
                roots
                    .add(certificate)
                    .with_context(|| format!("--cacert {}", path.display()))?;
            }
            return Ok(roots);
        }
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let known = SYSTEM_BUNDLES.iter().map(PathBuf::from);
        let bundle = named.into_iter().chain(known).find(|path| path.exists());
        let bundle = bundle.context("this system trusts nobody: name a --cacert")?;
        // A bundle may hold certificates that are older than the rules of today.
        roots.add_parsable_certificates(certificates("SSL_CERT_FILE", &bundle)?);
        Ok(roots)
    }
}

fn certificates(flag: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let named = || format!("{flag} {}", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .with_context(named)?
        .collect::<Result<_, _>>()
        .with_context(named)?;
    if found.is_empty() {
        return Err(anyhow!("{} holds no certificate", path.display()));
    }
    Ok(found)
}

/// Believes whoever answers. The signatures are checked all the same, so that the answer is at
/// least from the owner of the certificate shown.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
