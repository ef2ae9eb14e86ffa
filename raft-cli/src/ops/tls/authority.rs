//! The authority: a key that signs, and the certificate that all ends trust.
//!
//! What a signature needs of the authority's certificate is its name and its key. The name is made
//! of the key, so the key alone is enough to sign again later; and whatever was signed is checked
//! against the certificate before anybody gets it. It does not know where files lie.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

use super::trust;

/// So long is a new authority good for.
const AUTHORITY_DAYS: u32 = 3650;
/// Clocks of machines differ: what is made now is good from so long ago on.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Signs certificates.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// By a member, at both ends: members pass requests on to each other's client ports, too.
    Member,
    /// By who connects.
    Client,
}

/// A certificate with all up to the authority, and the key to it, as PEM.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Authority {
    /// A new one; and its key, which is to be kept.
    pub(super) fn new() -> anyhow::Result<(Self, String)> {
        let key = KeyPair::generate()?;
        let text = key.serialize_pem();
        let mut params = authority_params(&key)?;
        set_days(&mut params, AUTHORITY_DAYS)?;
        let certificate = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let authority = Self {
            certificate,
            issuer,
        };
        Ok((authority, text))
    }

    /// The one of this certificate and key.
    pub(super) fn read(certificate: String, key: &str) -> anyhow::Result<Self> {
        let key = KeyPair::from_pem(key).context("there is no private key in it")?;
        let issuer = Issuer::new(authority_params(&key)?, key);
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// Its own certificate, as PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a certificate for a key that nobody else has seen.
    pub(super) fn sign(
        &self,
        purpose: Purpose,
        name: &str,
        hosts: &[String],
        days: u32,
    ) -> anyhow::Result<Signed> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts).context("a host can't be named")?;
        params.distinguished_name = named(name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Member => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
        };
        set_days(&mut params, days)?;
        let signed = params.signed_by(&key, &self.issuer)?;
        let authority = trust::first_certificate(&self.certificate)?;
        trust::check_client_or_server(purpose, signed.der(), &authority).context(
            "ca.crt does not go with ca.key, or was not made by `tls gen`: sign with the tool \
             that made it",
        )?;
        let chain = format!("{}{}", signed.pem(), self.certificate);
        let key = key.serialize_pem();
        Ok(Signed { chain, key })
    }
}

fn authority_params(key: &KeyPair) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    let digest = Sha256::digest(key.der_bytes());
    let digest: String = digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name = named(&format!("raft-cli authority {digest}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut found = DistinguishedName::new();
    found.push(DnType::CommonName, name);
    found
}

fn set_days(params: &mut CertificateParams, days: u32) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    ensure!(now > BACKDATED, "the clock of this machine is not set");
    let begin = date_time_ymd(1970, 1, 1);
    params.not_before = begin + (now - BACKDATED);
    params.not_after = begin + (now + DAY * days);
    Ok(())
}
