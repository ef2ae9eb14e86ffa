//! Endpoints that the domain name system knows. It does not know what is asked of them.

use anyhow::{Context as _, anyhow};
use raft_net::discovery::Resolver;
use tokio::runtime;

use super::endpoint::Endpoint;
use crate::exit::Exit;
use crate::out::say;

/// Where services of `domain` are that clients may speak to: those with TLS in front, and those
/// without it if they are wanted.
pub(super) fn endpoints(
    domain: &str,
    service: Option<&str>,
    are_plain_wanted: bool,
) -> Result<Vec<Endpoint>, Exit> {
    // The caller may have a runtime, in which nobody may wait for another one.
    let looked_up = std::thread::scope(|scope| {
        let thread = scope.spawn(|| look_up(domain, service, are_plain_wanted));
        thread.join()
    });
    looked_up.map_err(|_| anyhow!("looking up {domain} panicked"))?
}

fn look_up(
    domain: &str,
    service: Option<&str>,
    are_plain_wanted: bool,
) -> Result<Vec<Endpoint>, Exit> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("there is no runtime")?;
    let resolver = Resolver::default();
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for scheme in ["https", "http"] {
        let name = record(scheme, service, domain);
        match runtime.block_on(resolver.services(&name)) {
            Ok(services) => {
                for service in services {
                    let host = service.host.trim_end_matches('.');
                    let text = format!("{scheme}://{host}:{}", service.port);
                    if scheme == "http" && !are_plain_wanted {
                        say(format_args!(
                            "ignoring discovered insecure endpoint \"{text}\""
                        ));
                        continue;
                    }
                    let endpoint = text.parse().map_err(|why: String| anyhow!(why))?;
                    found.push(endpoint);
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    if found.is_empty() {
        return Err(Exit::Unreachable(anyhow!(
            "--discovery-srv {domain} leads to nobody: {}",
            failures.join("; ")
        )));
    }
    Ok(found)
}

/// The name of the records.
fn record(scheme: &str, service: Option<&str>, domain: &str) -> String {
    let ssl = if scheme == "https" { "-ssl" } else { "" };
    let suffix = service.map(|service| format!("-{service}"));
    format!(
        "_etcd-client{ssl}{}._tcp.{domain}",
        suffix.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_as_etcd_names_them() {
        let check = |scheme, service, expected: &str| {
            assert_eq!(record(scheme, service, "example.com"), expected);
        };
        check("http", None, "_etcd-client._tcp.example.com");
        check("https", None, "_etcd-client-ssl._tcp.example.com");
        check(
            "https",
            Some("blue"),
            "_etcd-client-ssl-blue._tcp.example.com",
        );
    }
}
