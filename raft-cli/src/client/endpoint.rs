//! Where a member is reached: what users write, and what it comes to. It does not know how to
//! connect.

use std::fmt;
use std::str::FromStr;

/// An endpoint as it was written, and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    written: String,
    pub(crate) place: Place,
    pub(crate) security: Security,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A host, without the brackets that an IPv6 address is written in, and its port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(String),
}

/// Whether the endpoint's scheme says that it speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// `https`.
    Tls,
    /// `http` or `unix`.
    Plain,
    /// No scheme: the other settings tell.
    Unsaid,
}

/// etcd's port for clients.
const PORT: u16 = 2379;

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let written = written.trim();
        let wrong = |why: &str| format!("`{written}` is no endpoint: {why}");
        let (security, rest) = match written.split_once("://") {
            None => (Security::Unsaid, written),
            Some(("http", rest)) => (Security::Plain, rest),
            Some(("https", rest)) => (Security::Tls, rest),
            Some(("unix", path)) => {
                return Ok(Self {
                    written: written.to_owned(),
                    place: Place::Unix(path.to_owned()),
                    security: Security::Plain,
                });
            }
            Some(_) => return Err(wrong("the scheme is http, https or unix")),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = split(rest).ok_or_else(|| wrong("say host:port"))?;
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            return Err(wrong("say host:port"));
        }
        Ok(Self {
            written: written.to_owned(),
            place: Place::Tcp(host.to_owned(), port),
            security,
        })
    }
}

fn split(text: &str) -> Option<(&str, u16)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => rest.is_empty().then_some((host, PORT)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((text, PORT)),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Endpoint {
    /// What goes into a request's authority.
    pub(crate) fn authority(&self) -> String {
        match &self.place {
            Place::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp(host, port) => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_place_with_or_without_a_scheme() {
        let check = |text: &str, expected: Option<(&str, Security)>| {
            let read = text.parse::<Endpoint>().ok();
            let read = read.map(|endpoint| (endpoint.authority(), endpoint.security));
            let expected = expected.map(|(authority, security)| (authority.to_owned(), security));
            assert_eq!(read, expected, "{text}");
        };
        check("127.0.0.1:2379", Some(("127.0.0.1:2379", Security::Unsaid)));
        check(" a:1 ", Some(("a:1", Security::Unsaid)));
        check("a", Some(("a:2379", Security::Unsaid)));
        check("http://a:1/", Some(("a:1", Security::Plain)));
        check("https://[::1]:1", Some(("[::1]:1", Security::Tls)));
        check("[::1]", Some(("[::1]:2379", Security::Unsaid)));
        check("unix:///tmp/s", Some(("localhost", Security::Plain)));
        check("ftp://a:1", None);
        check("http://a:1/path", None);
        check("a:port", None);
        check("", None);
        check("http://", None);
    }
}
