//! `tls fetch`: gets the authority's certificate from a server that nobody trusts yet.
//!
//! The server shows its chain. The certificate in it whose digest is the pin is the authority's,
//! whoever shows it; so nobody on the way can put another in its place. That the server's own
//! certificate is signed by it, names the host and is the server's to show is checked as well,
//! because a server that fails this is not the one that was meant. It does not know what servers
//! speak inside of TLS, and says nothing there.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme,
};

use super::FetchArgs;
use super::files::{self, Secrecy};
use super::token::{Pin, Token, endpoint};
use super::trust;
use crate::exit::Exit;
use crate::server::config::Url;

/// So long does a server have to answer, each time.
const PATIENCE: Duration = Duration::from_secs(10);
const PEM_COLUMNS: usize = 64;

/// Gets it and writes it; returns what to say about it.
pub(super) fn fetch(args: &FetchArgs) -> Result<String, Exit> {
    let token: Token = args.token.parse().map_err(Exit::BadInput)?;
    let named = args.endpoint.as_deref().map(endpoint).transpose()?;
    let url = named.or(token.endpoint).ok_or_else(|| {
        let what = "the token names no server: give one as --endpoint";
        Exit::BadInput(anyhow!(what))
    })?;
    let certificate = from(&url, token.pin)?;
    let text = pem(&certificate);
    let path = args.out.join("ca.crt");
    let there = files::read(&path)?;
    if !args.force && there.is_some_and(|there| there != text) {
        let path = path.display();
        let what = anyhow!("{path}: there already, and another; --force replaces it");
        return Err(Exit::BadInput(what));
    }
    files::make_dir(&args.out)?;
    files::write(&path, Secrecy::Public, &text)?;
    let path = path.display();
    Ok(format!(
        "wrote {path}\n\nThis machine can tell the cluster's servers from others now: --cacert \
         {path}\nFor certificates of its own, run `raft-cli tls gen` where ca.key is kept.\n"
    ))
}

/// The pinned certificate, as this server shows it.
pub(super) fn from(url: &Url, pin: Pin) -> Result<CertificateDer<'static>, Exit> {
    let host = url.address.rsplit_once(':').map_or("", |(host, _)| host);
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(host).map_err(|error| Exit::BadInput(error.into()))?;
    let mut stream = connect(url).map_err(Exit::Unreachable)?;
    let seen = Arc::new(Pinned {
        pin,
        provider: Arc::new(ring::default_provider()),
        found: OnceLock::new(),
    });
    // In TLS 1.3 the server has shown and proven its certificate before it could ask for ours,
    // which a machine that is new does not have.
    let config = ClientConfig::builder_with_provider(seen.provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(anyhow::Error::new)?
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), name);
    let mut connection = connection.map_err(anyhow::Error::new)?;
    while connection.is_handshaking() {
        let done = connection.complete_io(&mut stream);
        done.with_context(|| format!("{url} is not trusted"))
            .map_err(Exit::Refused)?;
    }
    let found = seen.found.get().cloned();
    let missing = || Exit::Refused(anyhow!("{url} showed no certificate"));
    found.ok_or_else(missing)
}

fn connect(url: &Url) -> anyhow::Result<TcpStream> {
    let addresses = url.address.to_socket_addrs();
    let addresses = addresses.with_context(|| format!("{url} can't be looked up"))?;
    let mut last = anyhow!("{url} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = anyhow!(error).context(format!("{url} at {address}")),
        }
    }
    Err(last)
}

/// Believes who shows the pinned certificate, and one of its own that leads to it.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    provider: Arc<CryptoProvider>,
    /// The pinned one, once it was shown and all was well.
    found: OnceLock<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = intermediates.iter();
        let pinned = shown.filter(|certificate| Pin::of(certificate) == self.pin);
        let Some(pinned) = pinned.map(|found| found.clone().into_owned()).next() else {
            return Err(Error::General(
                "it does not show the authority that the token pins: this is another server, or \
                 its certificate file lacks the authority's certificate at its end"
                    .to_owned(),
            ));
        };
        let verifier = trust::of_servers(&pinned);
        let verifier = verifier.map_err(|error| Error::General(format!("{error:#}")))?;
        let verified = verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        // A connection verifies once, so there is none to be replaced.
        let _ = self.found.set(pinned);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// A certificate as a text that all tools read.
fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(PEM_COLUMNS) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
