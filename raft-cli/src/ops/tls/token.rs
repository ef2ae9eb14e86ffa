//! The token that a new machine is given: the SHA-256 of the authority's certificate, and perhaps
//! where to fetch it. It is no secret, but it must come by a way that is trusted: whoever can
//! change it can have another authority trusted. It does not know how anything is fetched.

use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use super::TokenArgs;
use super::files;
use super::trust::first_certificate;
use crate::exit::Exit;
use crate::server::config::Url;

/// What every token of this form begins with.
const BEGIN: &str = "raft-join:v1:";

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) pin: Pin,
    pub(super) endpoint: Option<Url>,
}

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pin([u8; 32]);

impl Pin {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGIN}{}", URL_SAFE_NO_PAD.encode(self.pin.0))?;
        match &self.endpoint {
            Some(endpoint) => write!(f, ":{endpoint}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Token {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let rest = text
            .trim()
            .strip_prefix(BEGIN)
            .with_context(|| format!("this is no token: it does not begin with {BEGIN}"))?;
        let (pin, endpoint) = match rest.split_once(':') {
            Some((pin, endpoint)) => (pin, Some(endpoint)),
            None => (rest, None),
        };
        let pin = URL_SAFE_NO_PAD.decode(pin).ok();
        let pin = pin.and_then(|pin| pin.try_into().ok());
        let pin = Pin(pin.context("this token is damaged: copy all of it")?);
        let endpoint = endpoint.map(str::parse::<Url>).transpose();
        let endpoint = endpoint.map_err(anyhow::Error::msg)?;
        Ok(Self { pin, endpoint })
    }
}

/// `tls token`.
pub(super) fn print(args: &TokenArgs) -> Result<String, Exit> {
    let path = args.ca.join("ca.crt");
    let text = files::read(&path)?.with_context(|| format!("{}: no such file", path.display()));
    let certificate = text.and_then(|text| first_certificate(&text));
    let certificate = certificate.with_context(|| path.display().to_string());
    let certificate = certificate.map_err(Exit::BadInput)?;
    let endpoint = args.endpoint.as_deref().map(endpoint).transpose()?;
    let pin = Pin::of(&certificate);
    Ok(format!("{}\n", Token { pin, endpoint }))
}

/// Where a certificate can be fetched: without TLS nobody shows any.
pub(super) fn endpoint(text: &str) -> Result<Url, Exit> {
    let url = text.parse::<Url>();
    let url = url.map_err(|what| Exit::BadInput(anyhow::anyhow!("--endpoint: {what}")))?;
    if !url.is_tls {
        let what = anyhow::anyhow!("--endpoint: {url} is without TLS: write https://");
        return Err(Exit::BadInput(what));
    }
    Ok(url)
}
