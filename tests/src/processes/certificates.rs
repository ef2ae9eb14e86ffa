//! Certificates for members and clients, in files that are written anew while they are in use. It
//! does not know who reads them, or when.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Whoever shows a certificate, as client or member, is one of these.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
const RING: &str = "ring can";

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Signed {
    certificate: String,
    key: String,
}

/// The files that a member reads.
#[derive(Clone, Debug)]
pub struct Files {
    /// Its certificate.
    pub certificate: PathBuf,
    /// The key to that.
    pub key: PathBuf,
    /// Those whose signatures it believes.
    pub trusted: PathBuf,
}

impl Authority {
    /// One of this name.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect(RING);
        let certificate = params.self_signed(&key).expect(RING);
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// What those have who believe it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A new certificate.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn sign(&self) -> Signed {
        let names = NAMES.map(ToOwned::to_owned).to_vec();
        let params = CertificateParams::new(names).expect("these are names");
        let key = KeyPair::generate().expect(RING);
        let certificate = params.signed_by(&key, &self.issuer).expect(RING);
        Signed {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// How a client introduces itself that believes these.
    #[must_use]
    pub fn client(&self, trusted: &str) -> ClientTlsConfig {
        let signed = self.sign();
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(trusted))
            .identity(Identity::from_pem(signed.certificate, signed.key))
    }
}

impl Files {
    /// The files of this directory, which need not be there yet.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self {
            certificate: dir.join("certificate.pem"),
            key: dir.join("key.pem"),
            trusted: dir.join("trusted.pem"),
        }
    }

    /// Writes a certificate and its key.
    ///
    /// # Panics
    /// When there is no disk.
    pub fn write(&self, signed: &Signed) {
        replace(&self.certificate, &signed.certificate);
        replace(&self.key, &signed.key);
    }

    /// Writes whose signatures to believe.
    ///
    /// # Panics
    /// When there is no disk.
    pub fn trust(&self, authorities: &[&Authority]) {
        let pems: String = authorities
            .iter()
            .map(|authority| authority.pem())
            .collect();
        replace(&self.trusted, &pems);
    }
}

/// Nobody sees half a file.
fn replace(path: &Path, text: &str) {
    let dir = path.parent().expect("a file has a directory");
    fs::create_dir_all(dir).expect("there is a disk");
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("there is a disk");
    fs::rename(beside, path).expect("there is a disk");
}
