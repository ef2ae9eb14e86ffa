//! Whether one certificate leads to another, as any end that trusts it would judge. It does not
//! know where certificates come from.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, Error};

use super::authority::Purpose;

/// The first certificate of a PEM text; others may follow while an authority is changed.
pub(super) fn first_certificate(text: &str) -> anyhow::Result<CertificateDer<'static>> {
    let found = CertificateDer::from_pem_slice(text.as_bytes());
    found.map_err(|error| anyhow::anyhow!("there is no certificate in it: {error}"))
}

/// Who believes servers with a certificate of this authority, and nobody else.
pub(super) fn of_servers(
    authority: &CertificateDer<'static>,
) -> anyhow::Result<Arc<WebPkiServerVerifier>> {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(authority)?);
    Ok(WebPkiServerVerifier::builder_with_provider(roots, provider).build()?)
}

/// Whether ends that trust the authority let somebody in who shows this certificate.
pub(super) fn check_client_or_server(
    purpose: Purpose,
    certificate: &CertificateDer<'_>,
    authority: &CertificateDer<'static>,
) -> anyhow::Result<()> {
    let now = UnixTime::now();
    let provider = Arc::new(ring::default_provider());
    let trusted = Arc::new(roots(authority)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(trusted, provider).build()?;
    verifier.verify_client_cert(certificate, &[], now)?;
    if purpose != Purpose::Client {
        // Names are looked at last, so all else is good when it is the name that is refused.
        let nobody = ServerName::try_from("nobody.invalid")?;
        let verifier = of_servers(authority)?;
        match verifier.verify_server_cert(certificate, &[], &nobody, &[], now) {
            Ok(_) | Err(Error::InvalidCertificate(CertificateError::NotValidForName)) => {}
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn roots(authority: &CertificateDer<'static>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(roots)
}
