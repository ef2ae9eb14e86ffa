//! The URLs of flags: a scheme, a host, a port. It resolves nothing.

use std::fmt;
use std::str::FromStr;

/// Where something listens, or is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// `host:port`; an IPv6 address stands in brackets.
    pub address: String,
}

impl Url {
    /// Whether it stands for all addresses of a machine: one can listen there, and nobody can be
    /// reached there.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        let (host, _) = self.host_and_port();
        matches!(host, "0.0.0.0" | "[::]")
    }

    /// Whether the system chooses the port.
    #[must_use]
    pub fn is_any_port(&self) -> bool {
        self.host_and_port().1 == "0"
    }

    /// Where this machine reaches itself, if it listens here.
    #[must_use]
    pub fn seen_from_itself(&self) -> Self {
        if !self.is_wildcard() {
            return self.clone();
        }
        let (_, port) = self.host_and_port();
        Self {
            is_tls: self.is_tls,
            address: format!("localhost:{port}"),
        }
    }

    fn host_and_port(&self) -> (&str, &str) {
        let parts = self.address.rsplit_once(':');
        parts.unwrap_or((&self.address, ""))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (is_tls, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else {
            return Err(format!("`{text}` does not begin with http:// or https://"));
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(format!("`{text}` has no port: write scheme://host:port"));
        };
        if host.is_empty() {
            return Err(format!(
                "`{text}` has no host: to listen everywhere, write 0.0.0.0 or [::]"
            ));
        }
        let is_in_brackets = host.starts_with('[') && host.ends_with(']');
        let is_host = !host.contains(['/', '@', '?', '#', ' ']);
        let is_port = !port.starts_with('+') && port.parse::<u16>().is_ok();
        if is_host && is_port && (is_in_brackets || !host.contains(':')) {
            Ok(Self {
                is_tls,
                address: address.to_owned(),
            })
        } else {
            Err(format!("`{text}` is not scheme://host:port"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port() {
        let check = |text: &str, expected: Option<(bool, &str)>| {
            let found = text.parse::<Url>().ok();
            let found = found.as_ref().map(|url| (url.is_tls, url.address.as_str()));
            assert_eq!(found, expected, "{text}");
        };
        check("http://n1:2379", Some((false, "n1:2379")));
        check("https://n1:2379/", Some((true, "n1:2379")));
        check("http://[::1]:2379", Some((false, "[::1]:2379")));
        check("http://0.0.0.0:0", Some((false, "0.0.0.0:0")));
        check("http://::1:2379", None);
        check("http://n1", None);
        check("http://:2379", None);
        check("http://n1:", None);
        check("http://n1:+1", None);
        check("http://n1:99999", None);
        check("http://n1:1/path", None);
        check("http://user@n1:1", None);
        check("unix://n1:1", None);
        check("n1:2379", None);
    }

    #[test]
    fn nobody_is_reached_at_all_addresses() {
        let check = |text: &str, is_wildcard, itself: &str| {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.is_wildcard(), is_wildcard, "{text}");
            assert_eq!(url.seen_from_itself().to_string(), itself);
        };
        check("http://n1:1", false, "http://n1:1");
        check("http://0.0.0.0:1", true, "http://localhost:1");
        check("https://[::]:1", true, "https://localhost:1");
        check("http://127.0.0.1:1", false, "http://127.0.0.1:1");
    }
}
