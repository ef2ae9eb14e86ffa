//! Until when a certificate is good. Of DER it reads just as much as leads there.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::CertificateReport;
use crate::server::common_name::element;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;

/// The first certificate of a file, as it lies there now.
pub(super) fn certificate(file: &Path) -> CertificateReport {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let read = CertificateDer::from_pem_file(file).ok();
    CertificateReport {
        file: file.display().to_string(),
        expires_in_s: read.and_then(|der| expires_at(&der)).map(|at| at - now),
    }
}

/// When a certificate ends to be good, in seconds since 1970.
fn expires_at(certificate: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // Version (optional), serial number, algorithm, issuer; then the validity.
    if *fields.first()? == CONTEXT_0 {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    let text = std::str::from_utf8(text).ok()?;
    let digits = |text: &str| text.parse::<i64>().ok().filter(|_| text.is_ascii());
    let (year, rest) = match tag {
        // RFC 5280: of two digits, those from 50 on are of the last century.
        UTC_TIME => {
            let year = digits(text.get(..2)?)?;
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                text.get(2..)?,
            )
        }
        GENERALIZED_TIME => (digits(text.get(..4)?)?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| digits(rest.get(at..at + 2)?);
    let days = days_since_1970(year, part(0)?, part(2)?);
    Some(((days * 24 + part(4)?) * 60 + part(6)?) * 60 + part(8)?)
}

/// Days of the Gregorian calendar. Years begin in March here, so that a leap day is a year's last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // From 1 March of year 0 to 1 January 1970.
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_is_read_from_either_kind_of_time() {
        let key = KeyPair::generate().expect("a key");
        for (year, month, day, expected) in [
            (2030, 1, 1, 1_893_456_000),
            (2024, 2, 29, 1_709_164_800),
            (2049, 12, 31, 2_524_521_600),
            (2060, 3, 1, 2_845_324_800),
        ] {
            let mut params = CertificateParams::new(vec!["host".to_owned()]).expect("a name");
            params.not_after = date_time_ymd(year, month, day);
            let certificate = params.self_signed(&key).expect("signed");
            assert_eq!(expires_at(certificate.der()), Some(expected), "{year}");
        }
    }

    #[test]
    fn anything_else_has_none() {
        for bytes in [
            &b""[..],
            b"\x30\x03\x30\x01\x00",
            b"\x30\x84\xff\xff\xff\xff",
        ] {
            assert_eq!(expires_at(bytes), None, "{bytes:?}");
        }
        let report = certificate(Path::new("/nowhere/at-all.pem"));
        assert_eq!(report.expires_in_s, None);
    }
}
