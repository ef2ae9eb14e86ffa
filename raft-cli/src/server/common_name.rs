//! The common name in a certificate: how a client's certificate says which user it is. It reads
//! just as much of DER as leads there, and believes no length.

/// The OID of a common name, 2.5.4.3, as DER has it.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];

/// The subject's common name, if there is one.
pub(crate) fn of(certificate: &[u8]) -> Option<String> {
    let (SEQUENCE, certificate, _) = element(certificate)? else {
        return None;
    };
    let (SEQUENCE, mut fields, _) = element(certificate)? else {
        return None;
    };
    // Version (optional), serial number, algorithm, issuer, validity; then the subject.
    if *fields.first()? == CONTEXT_0 {
        fields = element(fields)?.2;
    }
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, mut names, _) = element(fields)? else {
        return None;
    };
    while !names.is_empty() {
        let (_, set, rest) = element(names)?;
        names = rest;
        let (_, attribute, _) = element(set)?;
        if let Some(value) = attribute.strip_prefix(COMMON_NAME) {
            let (tag, text, _) = element(value)?;
            let text = std::str::from_utf8(text).ok()?;
            return STRINGS.contains(&tag).then(|| text.to_owned());
        }
    }
    None
}

/// The tag and the content of the first element, and what follows it.
pub(crate) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            if !(1..=4).contains(&count) || rest.len() < count {
                return None;
            }
            let (digits, rest) = rest.split_at(count);
            let add = |sum: usize, digit: &u8| (sum << 8) | usize::from(*digit);
            (digits.iter().fold(0, add), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn the_name_is_found_whatever_else_there_is() {
        let key = KeyPair::generate().expect("a key");
        for (name, others) in [("root", false), ("a user", true)] {
            let mut params = CertificateParams::new(vec!["host".to_owned()]).expect("a name");
            params.distinguished_name = rcgen::DistinguishedName::new();
            if others {
                params
                    .distinguished_name
                    .push(DnType::OrganizationName, "org");
            }
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.self_signed(&key).expect("signed");
            assert_eq!(of(certificate.der()).as_deref(), Some(name));
        }
    }

    #[test]
    fn anything_else_is_none() {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["host".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed").der().to_vec();
        for length in 0..certificate.len().min(60) {
            assert_eq!(of(&certificate[..length]), None, "{length}");
        }
        assert_eq!(of(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
